"""Search spaces: one network of a space, with its holes in the places where something was chosen.

A hole is found by where it stands in the text. What was chosen for it is made of the text within
it, a layer that has it for an argument of the text around it; what is neither was chosen in a
declaration. Shapes and figures are those of a network, and not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from math import log10
from textwrap import shorten, wrap
from typing import TypeAlias, final

from xgraph.build import Limits, build_document
from xgraph.build.names import written
from xgraph.diagnostics import Report
from xgraph.draw.scene import Box, Scene, Sheet, box_id, scene
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Node
from xgraph.ir.scope import Scope
from xgraph.source import Span
from xgraph.space import Space
from xgraph.space.algebra import Pick
from xgraph.space.sites import Site

_WIDE, _LINES = 36, 5
"""So much of what there is to choose from stands in a box."""
_Part: TypeAlias = Node | Scope


def sheet(
    space: Space, settings: Mapping[str, object] | None = None, limits: Limits | None = None
) -> Sheet:
    """A space; `DiagnosticError` for mistakes in the network that is drawn of it."""
    report = Report()
    pick = tuple(map(_pick, space.sites))
    document = space.filled(pick, in_place=True)
    graph = build_document(document, settings, report=report, limits=limits)
    report.raise_errors()
    drawn = _Holes(space, graph).scene()
    return Sheet(drawn.name, f"{space.size_text} networks", (drawn,))


def _pick(site: Site) -> Pick:
    """Something, where there may be nothing: the first alternative that is any, and the second
    number of a range, as the first may be 0."""
    for number, (part, within) in enumerate(site.alternatives):
        if part is not None:
            return number, tuple(map(_pick, within))
    return site.region.cover(1 if isinstance(site.hole, t.Range) else 0)


@final
class _Holes:
    def __init__(self, space: Space, graph: Graph) -> None:
        self._space, self._graph = space, graph
        self._boxes: dict[str, Box] = {}
        """The box of a hole, by the id of each box that it takes the place of."""
        self._leaves: dict[str, Box] = {}
        """The same, by the ids of the layers within."""
        self._found: list[tuple[Site, Scope | None, dict[Span | None, str], Box]] = []
        """Holes, the scopes they stand in, and which part each text in them is."""

    def scene(self) -> Scene:
        drawn = scene(self._graph)
        for node in self._graph.nodes():
            self._find(node)
        boxes = list(self._kept(drawn.boxes))
        known = {box.id: box for top in boxes for box in top.walk()}
        for node in self._graph.nodes():
            self._write(node, known)
        found = {site.name for site, *_ in self._found}
        beside = [site for site in self._space.sites if site.name not in found]
        parts: list[_Part] = [*self._graph.nodes(), *_of(self._graph, scopes.Call, scopes.Connect)]
        told = {site.name for part in parts for site in _mark(part, beside, known)}
        boxes += [self._declared(site) for site in beside if site.name not in told]
        return Scene(drawn.name, boxes, list(dict.fromkeys(self._wires(drawn))), drawn.total)

    # ------------------------------------------------------------------- what holes stand for

    def _find(self, node: Node) -> None:
        """The hole that a layer was made for, with the outermost part that was."""
        around: Scope | None = None
        for part in reversed([node, *(node.scope.chain() if node.scope else ())]):
            for site in self._space.sites:
                if _made(part, around, site):
                    box = self._box(site, part, around)
                    self._boxes[box_id(part)] = self._leaves[box_id(node)] = box
                    return
            around = part if isinstance(part, Scope) else around

    def _box(self, site: Site, part: _Part, around: Scope | None) -> Box:
        """That of a hole where it stands; another one where the same text comes again, as in what
        is repeated."""
        for known, where, spans, box in reversed(self._found):
            if known is site and where is around:
                if site.kind is None and spans.get(part.span, box_id(part)) != box_id(part):
                    break
                spans[part.span] = box_id(part)
                return box
        found = _hole(site, f"hole:{len(self._found)}")
        if part.address in self._graph.points and site.kind is None:
            found.title = f"{part.address.rpartition('.')[2]}: {found.title}"
        self._found.append((site, around, {part.span: box_id(part)}, found))
        return found

    def _kept(self, boxes: Iterable[Box]) -> Iterator[Box]:
        """Boxes without figures, and holes once each in the places of theirs."""
        seen: set[str] = set()
        for box in boxes:
            hole = self._boxes.get(box.id)
            if hole is None:
                box.boxes = list(self._kept(box.boxes))
                box.shape, box.params, box.macs, box.is_idle = "", 0, 0, False
                yield box
            elif hole.id not in seen:
                seen.add(hole.id)
                yield hole

    def _wires(self, drawn: Scene) -> Iterator[tuple[str, str]]:
        """Those to a hole go to all that may stand there, and come from all that it may read."""
        for start, end in drawn.wires:
            ends = (self._leaves.get(start), self._leaves.get(end))
            if ends[0] is None or ends[0] is not ends[1]:
                yield from product(*map(_inner, (start, end), ends))
        points = {written(address): value for address, value in self._graph.points.items()}
        for site, _, _, hole in self._found:
            for name in map(format_tree, site.kind.features if site.kind else ()):
                if name in points:
                    start = box_id(points[name].node)
                    yield from product(_inner(start, self._leaves.get(start)), [hole.id])

    # -------------------------------------------------------------------- what is beside them

    def _write(self, node: Node, known: Mapping[str, Box]) -> None:
        """A layer as it was written: what it takes may be open."""
        box = known.get(box_id(node))
        if box is None or box.kind != "layer" or node.span is None or node.rebinds:
            return
        text = _line(node.span.text)
        if text and node.address in self._graph.points:
            box.text = text
        elif text:
            box.title = text

    def _declared(self, site: Site) -> Box:
        """The box of what is chosen once for several places."""
        found = _hole(site, f"hole:{site.name}")
        for declaration in self._space.document.declarations:
            match declaration:
                case t.Let(name=name) | t.Param(name=name):
                    if _within(site.hole.span, declaration.span):
                        found.title = name.name
        return found


def _made(part: _Part, around: Scope | None, site: Site) -> bool:
    """Whether a hole stands for this: all in the body that is a space, else what is made of the
    text of the hole."""
    if site.kind is not None:
        bodied = isinstance(around, scopes.SuperLayer | scopes.Fusion)
        return bodied and not isinstance(part, scopes.Argument) and _within(
            site.hole.span, around.span if around else None
        )  # fmt: skip
    return isinstance(part, Node | scopes.Call | scopes.Label) and _within(
        part.span, site.hole.span
    )


def _mark(part: _Part, sites: Iterable[Site], known: Mapping[str, Box]) -> Iterator[Site]:
    """The holes in what a layer, block or connection is told; its box tells them, too."""
    for site in sites:
        if box_id(part) in known and _within(site.hole.span, part.span):
            box = known[box_id(part)]
            box.kind = "hole"
            box.text = "\n".join(filter(None, (box.text, site.name, *_told(site))))
            yield site


def _of(graph: Graph, *kinds: type[Scope]) -> Iterator[Scope]:
    return (scope for scope in graph.scopes if isinstance(scope, kinds))


def _within(inner: Span | None, outer: Span | None) -> bool:
    if inner is None or outer is None or inner.source is not outer.source:
        return False
    return outer.start <= inner.start and inner.end <= outer.end


def _hole(site: Site, id: str) -> Box:  # noqa: A002
    found = Box(id, "hole", site.title if site.kind else site.name, "\n".join(_told(site)))
    texts = ("nothing" if part is None else format_tree(part) for part, _ in site.alternatives)
    found.boxes = [Box(f"{id}:{i}", "layer", _line(text)) for i, text in enumerate(texts)]
    return found


def _told(site: Site) -> list[str]:
    """What there is to choose from, and how many ways that are."""
    size = site.region.size
    ways = f"{size:,}" if size < 10**12 else f"10^{log10(size):.1f}"
    return [*wrap(site.options, _WIDE, max_lines=_LINES, placeholder=" ..."), f"{ways} ways"]


def _line(text: str) -> str:
    return shorten(text, 2 * _WIDE, placeholder=" ...")


def _inner(id: str, hole: Box | None) -> list[str]:  # noqa: A002
    """The ids of what a wire of a layer goes to."""
    return [id] if hole is None else [box.id for box in hole.boxes] or [hole.id]
