"""How passes change a network: in the language it is written in.

A pass reads the graph (shapes, widths, who reads what) and says what it wants as declarations.
The text of the graph is edited as a syntax tree, printed, and built anew, so that what a pass
makes is what a person would have written, with the meaning and the checks of the language, and a
mistake shows the line in which it lies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from xgraph.build import MADE, build_source, unbuild
from xgraph.diagnostics import Report, did_you_mean, fail
from xgraph.grammar import format_document, format_tree, parse, parse_expression, parts, rewritten
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph
from xgraph.source import Source, Span

Edit = Callable[[t.Document], t.Document]
D = TypeVar("D", bound="t.Declaration")
T = TypeVar("T", bound=t.Tree)
G = TypeVar("G", bound="t.Document | t.Each")


def redeclared(graph: Graph, edit: Edit, step: str, labels: Iterable[str] = ()) -> Graph:
    """The graph of `graph`'s text after `edit`. `step` says in diagnostics where that text is
    from; `labels` are layers that the edit names."""
    text = format_document(edit(document_of(graph, labels)))
    report = Report()
    made = build_source(Source(f"{graph.name} after {step}", text), report=report, limits=MADE)
    report.raise_errors()
    return made


def document_of(graph: Graph, labels: Iterable[str] = ()) -> t.Document:
    """The syntax tree of a graph, with the blocks that it holds in reserve."""
    document = _parsed(unbuild(graph, labels))
    present = {named(d) for d in document.declarations}
    spare = [d for part in graph.prelude for d in _parsed(part).declarations]
    spare = [d for d in spare if isinstance(d, t.Block) and named(d) not in present]
    network, *rest = document.declarations
    return replace(document, declarations=(network, *spare, *rest))


def declarations(text: str, step: str) -> tuple[t.Declaration, ...]:
    """The declarations that a text holds; its mistakes are raised."""
    report = Report()
    found = parse(Source(step, text), report)
    report.raise_errors()
    return found.declarations


def _parsed(text: str) -> t.Document:
    return parse(Source("<graph>", text), Report())


def named(declaration: t.Declaration) -> str | None:
    """The name that a declaration brings."""
    name = getattr(declaration, "name", None)
    return name.name if isinstance(name, t.Name) else None


def with_declarations(document: t.Document, new: Iterable[t.Declaration]) -> t.Document:
    """`document` with declarations added behind its super-layers, connections and routers, and
    behind what else they name."""
    added, held = tuple(new), list(document.declarations)
    names = {part.name for d in added for part in parts(d) if isinstance(part, t.Name)}
    before = (t.SuperLayer, t.Connect, t.Route, t.Each)
    place = max(
        (i + 1 for i, d in enumerate(held) if isinstance(d, before) or named(d) in names),
        default=len(held),
    )
    place = min([place, *(i for i, d in enumerate(held) if isinstance(d, t.Output))])
    return replace(document, declarations=(*held[:place], *added, *held[place:]))


def body_of(declaration: t.SuperLayer | t.Fusion) -> t.Body:
    """Its body; a graph holds none that a search space has left open."""
    assert isinstance(declaration.body, t.Body)
    return declaration.body


def place_of(graph: Graph, tree: t.Declaration) -> Span | None:
    """Where a declaration of a graph's text was written by a person."""
    name = named(tree)
    found = (s.span for s in graph.scopes if name in (s.address, s.address.partition(".")[0]))
    return next((span for span in found if span is not None), None)


def replaced(document: t.Document, old: t.Tree, *new: t.Declaration) -> t.Document:
    """`document` with other declarations in the place of one, also within `each`."""

    def visit(part: t.Tree) -> t.Tree:
        if not isinstance(part, (t.Document, t.Each)):
            return part
        if all(declaration is not old for declaration in part.declarations):
            return part
        changed: list[t.Declaration] = []
        for declaration in part.declarations:
            changed += new if declaration is old else (declaration,)
        return replace(part, declarations=tuple(changed))

    return rewritten(document, visit)


def held(document: t.Document | t.Each, kind: type[D]) -> Iterator[D]:
    """The declarations of a kind, also within `each`."""
    for part in parts(document):
        if isinstance(part, kind):
            yield part


def sole(document: t.Document, kind: type[D], name: str | None, key: str, graph: Graph) -> D:
    """The declaration of a kind by its name, or the only one there is; `key` is the option of a
    pass that names it, such as `multipath{net}`."""
    found = list(held(document, kind))
    chosen = [d for d in found if name is None or named(d) == name]
    if len(chosen) == 1:
        return chosen[0]
    what = {"SuperLayer": "super-layer"}.get(kind.__name__, kind.__name__.lower())
    listed = ", ".join(f"`{named(d)}`" for d in found)
    if not found:
        raise fail("unfit-network", f"the network has no {what}", origin=key)
    if name is not None and not chosen:
        told = f"no {what} is called `{name}`"
        near = did_you_mean(name, [named(d) or "" for d in found]) or f"there are {listed}"
        raise fail("unknown-name", told, origin=key, help=near)
    first = f"{key[:-1]}={named(chosen[0])}}}"
    raise fail(
        "unfit-network", f"one {what} is wanted, and there are {listed}",
        span=place_of(graph, chosen[1]), help=f"name it: `{first}`",
    )  # fmt: skip


def with_names(tree: T, names: Mapping[str, t.Expression]) -> T:
    """`tree` with other expressions in the place of values of these names."""

    def visit(part: t.Tree) -> t.Tree:
        return names.get(part.name, part) if isinstance(part, t.Name) else part

    return rewritten(tree, visit, values_only=True)


def renamed(graph: Graph, document: G, names: Mapping[str, t.Expression]) -> G:
    """The same of a document of `graph` in its `plain` form, but for blocks, which see no values.

    `DiagnosticError` if a body has a label that hides one of these names, or of the new ones.
    """
    old = set(map(root, names))
    seen = old | {root(word) for new in names.values() for word in _read(plain(new))}
    bodied: list[t.SuperLayer | t.Fusion] = [
        *held(document, t.SuperLayer),
        *held(document, t.Fusion),
    ]
    for owner in (d for d in bodied if any(mentions(d.body, word) for word in old)):
        for part in parts(body_of(owner)):
            label = part.name if isinstance(part, (t.Label, t.Let)) else None
            if label is not None and label.name in seen:
                raise fail(
                    "unfit-network",
                    f"`{label.name}` is a label within `{named(owner)}`, where something else"
                    " would have to be called so",
                    span=place_of(graph, owner), help="rename the label",
                )  # fmt: skip
    changed = (d if isinstance(d, t.Block) else with_names(d, names) for d in document.declarations)
    return replace(document, declarations=tuple(changed))


def plain(tree: T) -> T:
    """A tree that says the same, in which every value is read by one name: `net.c[1]` too, and
    the `y` of `output y`."""

    def visit(part: t.Tree) -> t.Tree:
        if isinstance(part, t.Output) and part.value is None:
            return replace(part, value=part.name)
        if isinstance(part, t.Index) and not isinstance(part.index, t.Number):
            return part
        if isinstance(part, (t.Member, t.Index)) and isinstance(part.base, t.Name):
            return t.Name(name=format_tree(part), span=part.span)
        return part

    return rewritten(tree, visit)


def reads(tree: t.Tree, name: str) -> list[str]:
    """How a value and what is within it are read in a `plain` tree: `net`, `net.c[1]`."""
    return [word for word in _read(tree) if root(word) == name]


def root(spelt: str) -> str:
    """The value in which something is read: `net` of `net.c[1]`."""
    return re.split(r"[.\[]", spelt)[0]


def _read(tree: t.Tree) -> dict[str, None]:
    """All names that may stand for values, in order."""
    found: dict[str, None] = {}

    def visit(part: t.Tree) -> t.Tree:
        if isinstance(part, t.Name):
            found[part.name] = None
        return part

    rewritten(tree, visit, values_only=True)
    return found


def mentions(tree: t.Tree, name: str) -> bool:
    """Whether a value of this name, or what is within it, is read anywhere in `tree`."""
    return bool(reads(tree, name))


def name(text: str) -> t.Name:
    return t.Name(name=text, span=t.SYNTHETIC)


def expression(text: str, step: str) -> t.Expression:
    """The expression that a text is; its mistakes are raised."""
    report = Report()
    found = parse_expression(Source(step, text), report)
    report.raise_errors()
    assert found is not None
    return found
