"""`multipath`: one super-layer becomes parallel paths with weights of their own (Tissera et al.,
"End-to-end data-dependent routing in multi-path neural networks", 2021, section 4).

What is read of the one is read of the mean of all. A fusion that takes nothing but the
super-layer goes into every path, so that the heads are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from xgraph.diagnostics import fail
from xgraph.grammar import SYNTHETIC
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph
from xgraph.passes.contract import Pass, option, register
from xgraph.passes.redeclare import (
    body_of,
    expression,
    held,
    mentions,
    name,
    place_of,
    redeclared,
    renamed,
    replaced,
    sole,
    with_names,
)
from xgraph.source import Span


@register
@final
@dataclass(frozen=True)
class Multipath(Pass):
    """Multiply a super-layer into parallel paths, and average what they give."""

    name = "multipath"
    example = "multipath{paths=2 stem=stem}"
    paths: int = option(2, "how many paths", low=1, high=10_000)
    net: str | None = option(None, "the super-layer; the only one if it is not named")
    to: str = option("path", "what the array of paths is called")
    stem: str | None = option(None, "a label: what is up to there is shared by all paths")
    merge: Literal["mean", "add", "max", "mul", "concat"] = option(
        "mean", "how the paths come together"
    )

    def apply(self, graph: Graph) -> Graph:
        return redeclared(graph, lambda document: self._edit(graph, document), self.name)

    def _edit(self, graph: Graph, document: t.Document) -> t.Document:
        net = sole(document, t.SuperLayer, self.net, "multipath{net}", graph)
        _check_alone(graph, document, net)
        joined = expression(f"{self.merge}({self.to}[*])", self.name)
        head = _head(document, net)
        if head is not None and _is_read_besides(document, net, head):
            head = None
        path = replace(
            net, name=name(self.to), count=t.Number(value=self.paths, span=SYNTHETIC), meta=()
        )
        names = {net.name.name: joined}
        if head is not None:
            names[head.name.name] = joined
            document = replaced(document, head)
            path = replace(path, body=_appended(body_of(path), body_of(head)))
        lets: tuple[t.Let, ...] = ()
        if self.stem is not None:
            stem, path = self._parted(path, self.stem, place_of(graph, net))
            lets = (stem,)
        return renamed(replaced(document, net, *lets, path), names)

    def _parted(
        self, path: t.SuperLayer, label: str, span: Span | None
    ) -> tuple[t.Let, t.SuperLayer]:
        """The stem as a `let`, and the path without it."""
        body = body_of(path)
        statements = body.statements
        ends = [i + 1 for i, s in enumerate(statements) if _label(s) == label]
        chains = [s.chain for s in statements[: ends[0]] if isinstance(s, t.Stage)] if ends else []
        if not ends or len(chains) < ends[0] or len(path.arguments) != 1:
            raise fail(
                "unfit-network",
                f"the super-layer does not begin with a stem that ends at a label `{label}`",
                span=span,
                help="label the last of the layers that all paths share: `stem: conv(16, 3)`",
            )
        rest = replace(body, statements=statements[ends[0] :], span=SYNTHETIC)
        inner = [word for s in statements[: ends[0] - 1] if (word := _label(s))]
        lost = [word for word in ("in", *inner) if mentions(rest, word)]
        if lost or not rest.statements:
            told = (
                f"what follows `{label}` reads `{lost[0]}`, which is before it"
                if lost
                else (f"nothing follows `{label}`: nothing would be left of the paths")
            )
            raise fail("unfit-network", told, span=span, help="choose another label as the stem")
        stages = [path.arguments[0], *chains]
        flat = [part for c in stages for part in (c.stages if isinstance(c, t.Chain) else (c,))]
        stem = t.Let(
            name=name(label), value=t.Chain(stages=tuple(flat), span=SYNTHETIC), span=SYNTHETIC
        )
        return stem, replace(path, arguments=(name(label),), body=rest)


def _label(statement: t.Statement) -> str | None:
    found = statement.label if isinstance(statement, t.Stage) else None
    return found.name.name if found is not None else None


def _check_alone(graph: Graph, document: t.Document, net: t.SuperLayer) -> None:
    """Connections and routers of the one path do not say what they mean for many."""
    hooks: Sequence[t.Connect | t.Route] = [*held(document, t.Connect), *held(document, t.Route)]
    for hook in hooks:
        if mentions(hook, net.name.name):
            raise fail(
                "unfit-network",
                f"`{net.name.name}` has connections or routers already",
                span=place_of(graph, net),
                help="multiply the plain network first, then connect its paths",
            )
    if net.count is not None:
        raise fail(
            "unfit-network", f"`{net.name.name}` is an array already", span=place_of(graph, net)
        )


def _is_read_besides(document: t.Document, net: t.SuperLayer, head: t.Fusion) -> bool:
    """Whether something else than its head reads the super-layer, so that both must stay."""
    others = [d for d in document.declarations if d is not net and d is not head]
    names = [d.name for d in others if isinstance(d, t.Output) and d.value is None]
    return net.name in names or any(mentions(d, net.name.name) for d in others)


def _head(document: t.Document, net: t.SuperLayer) -> t.Fusion | None:
    """The fusion that takes nothing but the super-layer."""
    for fusion in held(document, t.Fusion):
        if fusion.arguments == (net.name,):
            return fusion
    return None


def _appended(body: t.Body, tail: t.Body) -> t.Body:
    """`body` followed by `tail`, whose `in` is the end of `body`."""
    statements = body.statements
    if statements and mentions(tail, "in"):
        end, label = statements[-1], _label(statements[-1]) or "trunk"
        if isinstance(end, t.Stage) and end.label is None:
            end = replace(end, label=t.Label(name=name(label), span=SYNTHETIC))
        statements = (*statements[:-1], end)
        tail = with_names(tail, {"in": name(label)})
    return replace(body, statements=(*statements, *tail.statements), span=SYNTHETIC)
