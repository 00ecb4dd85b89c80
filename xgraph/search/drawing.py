"""A network as a drawing: boxes in lanes, from the inputs on the left to the outputs on the right.

A lane is a super-layer or a fusion, a box one of its labelled points; layers between them are boxes
without a name. What has no lane of its own (modalities, connections, routers) stands in the lane of
whoever reads it; inputs that a fusion reads by itself share one. Fusions stand between the
super-layers that they read, so that few edges cross.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import final

from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Node
from xgraph.ir.scope import Scope
from xgraph.report import written

MOST = 150
"""Of more boxes, a drawing says nothing."""
_WIDTH, _HEIGHT, _APART, _STACKED = 96, 46, 14, 10
_INPUTS = ""
"""The lane of what is in none."""
_BETWEEN, _SIDE, _TOP = 52, 10, 24
"""Between lanes, and round all."""
_TITLE, _LETTERS = 13, 17
"""Letters that fit into a box, large and small."""


@final
@dataclass(frozen=True)
class Box:
    """`x` and `y` are of its upper left corner."""

    x: float
    y: float
    title: str
    layers: str
    shape: str
    kind: str
    """`input`, `point`, `fusion`, `connect` or `output`."""
    is_used: bool
    """Whether an output needs it."""
    told: str
    """All of it, for who points at it."""


@final
@dataclass(frozen=True)
class Lane:
    y: float
    height: float
    name: str


@final
@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    lanes: tuple[Lane, ...]
    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, bool], ...]
    """SVG paths, and whether an output needs what runs along."""
    box_width: int = _WIDTH
    box_height: int = _HEIGHT


def draw(graph: Graph) -> Drawing | None:
    """None where there are too many boxes."""
    found = _Groups(graph)
    return _Layout(found).drawing() if len(found.all) <= MOST else None


# --------------------------------------------------------------------------------------- groups


@final
@dataclass(eq=False)
class _Group:
    """The nodes of a box."""

    number: int
    name: str
    kind: str
    lane: str | None
    nodes: list[Node] = field(default_factory=list)
    sources: dict[_Group, bool] = field(default_factory=dict)
    """Those it reads, and whether to a live node."""


@final
class _Groups:
    def __init__(self, graph: Graph) -> None:
        self.all: list[_Group] = []
        self.points = graph.points
        self.live = {node.id for node in graph.live()}
        self._of: dict[int, _Group] = {}
        self._named: dict[str, _Group] = {}
        for node in graph.nodes():
            if node.op.name != "input" or graph.users(node.outputs[0]):
                self._put(node)
        for name, value in graph.outputs.items():
            group = self._new(name, "output", None)
            group.sources[self._of[value.node.id]] = True
        self._find_lanes()

    def is_used(self, group: _Group) -> bool:
        return not group.nodes or any(node.id in self.live for node in group.nodes)

    def _put(self, node: Node) -> None:
        before = {value.node.id: self._of[value.node.id] for value in node.inputs}
        group = self._group(node, list(before.values()))
        group.nodes.append(node)
        self._of[node.id] = group
        for source in before.values():
            if source is not group:
                group.sources[source] = group.sources.get(source, False) or node.id in self.live

    def _group(self, node: Node, before: list[_Group]) -> _Group:
        around = node.scope.chain() if node.scope else ()
        chain = [scope for scope in around if not isinstance(scope, scopes.Each)][::-1]
        if not chain or not isinstance(chain[0], (scopes.SuperLayer, scopes.Fusion)):
            outside = chain[0] if chain else None
            return self._at(outside.address if outside else node.address,
                            *_outside(outside, node), None)  # fmt: skip
        lane, kind = chain[0].address, "fusion" if chain[0].kind == "fusion" else "point"
        label = next((s.address for s in chain if _is_point(s)), None)
        if label is None and node.address in self.points and not node.rebinds:
            label = node.address  # of a single layer
        if label is not None:
            return self._at(label, label.removeprefix(f"{lane}."), kind, lane)
        # Layers without a label continue what is without one, so that a chain is one box.
        last = before[0] if before else None
        if last and all(b is last for b in before) and last.lane == lane and not last.name:
            return last
        return self._new("", kind, lane)

    def _at(self, address: str, name: str, kind: str, lane: str | None) -> _Group:
        if address not in self._named:
            self._named[address] = self._new(name, kind, lane)
        return self._named[address]

    def _new(self, name: str, kind: str, lane: str | None) -> _Group:
        self.all.append(_Group(len(self.all), name, kind, lane))
        return self.all[-1]

    def _find_lanes(self) -> None:
        """Of those without one: that of the first reader, else of the first that is read."""
        readers: dict[_Group, _Group] = {}
        for group in self.all:
            for source in group.sources:
                readers.setdefault(source, group)
        for group in reversed(self.all):
            if group.lane is None and group in readers:
                reader = readers[group]
                is_direct = group.kind == "input" and reader.kind == "fusion"
                group.lane = _INPUTS if is_direct else reader.lane
        for group in self.all:
            if group.lane is None:
                group.lane = next((s.lane for s in group.sources if s.lane), _INPUTS)

    @cached_property
    def depths(self) -> dict[_Group, int]:
        """The column of each: behind what it reads in its lane, and not before what it reads in
        others."""
        before = {group: dict.fromkeys(group.sources) for group in self.all}
        inputs = [g for g in self.all if g.lane == _INPUTS and g.kind == "input"]
        for left, right in pairwise(inputs):  # side by side
            before[right][left] = None
        while True:
            try:
                order = list(TopologicalSorter(before).static_order())
                break
            except CycleError as error:  # two boxes may read parts of each other
                first, second = error.args[1][:2]
                del before[second][first]
        found: dict[_Group, int] = {}
        for group in order:
            columns = (found[s] + (s.lane == group.lane) for s in before[group])
            found[group] = max(columns, default=0)
        return found


def _outside(scope: Scope | None, node: Node) -> tuple[str, str]:
    """Name and kind of what is in no lane."""
    match scope:
        case scopes.Modality():
            return scope.address, "input"
        case scopes.Connect():
            return f"+ {written(scope.source)}", "connect"
        case scopes.Route():
            return node.op.name, "connect"
        case _:
            return scope.address if scope else node.address, "point"


def _is_point(scope: Scope) -> bool:
    return isinstance(scope, scopes.Label) or (isinstance(scope, scopes.Call) and scope.labelled)


# --------------------------------------------------------------------------------------- layout


@final
class _Layout:
    def __init__(self, groups: _Groups) -> None:
        self.groups = groups
        self.depths = groups.depths
        self.rows: dict[_Group, int] = {}
        """Of boxes of one lane and depth, which is above which."""
        heights: dict[str, int] = {}
        taken: dict[tuple[str, int], int] = {}
        for group in groups.all:
            place = group.lane or "", self.depths[group]
            self.rows[group] = taken.get(place, 0)
            taken[place] = self.rows[group] + 1
            heights[place[0]] = max(heights.get(place[0], 1), taken[place])
        self.lanes: dict[str, Lane] = {}
        y = float(_TOP)
        for name in self._order(list(heights)):
            height = heights[name] * (_HEIGHT + _STACKED) - _STACKED
            self.lanes[name] = Lane(y, height, written(name))
            y += height + _BETWEEN
        self.height = y - _BETWEEN + _TOP

    def _order(self, names: list[str]) -> list[str]:
        """The lanes from top to bottom: each that reads others amid these."""
        heights = {name: float(i) for i, name in enumerate(names)}
        for name in names:
            read = {
                source.lane or "" for group in self.groups.all if group.lane == name
                for source in group.sources if source.lane != name
            }  # fmt: skip
            if read:
                heights[name] = sum(heights[other] for other in read) / len(read)
        return sorted(names, key=lambda name: (heights[name], names.index(name)))

    def drawing(self) -> Drawing:
        width = 2 * _SIDE + (max(self.depths.values()) + 1) * (_WIDTH + _APART) - _APART
        boxes = tuple(self._box(group) for group in self.groups.all)
        edges = tuple(
            (self._edge(source, group), used)
            for group in self.groups.all
            for source, used in group.sources.items()
        )
        return Drawing(width, self.height, tuple(self.lanes.values()), boxes, edges)

    def _corner(self, group: _Group) -> tuple[float, float]:
        x = _SIDE + self.depths[group] * (_WIDTH + _APART)
        return x, self.lanes[group.lane or ""].y + self.rows[group] * (_HEIGHT + _STACKED)

    def _box(self, group: _Group) -> Box:
        ops = [node.op.name for node in group.nodes]
        shape = str(group.nodes[-1].outputs[0].type.features) if group.nodes else ""
        shape = shape.replace("(", "[").replace(",)", "]").replace(")", "]")
        address = f"{group.lane}.{group.name}" if group.kind in ("point", "fusion") else group.name
        told = " ".join([written(address), *ops, shape])
        layers = _shown(ops) if group.name or len(ops) > 1 else ""
        title = _cut(group.name or ops[-1], _TITLE)
        return Box(
            *self._corner(group), title, layers, _cut(shape), group.kind,
            self.groups.is_used(group), told,
        )  # fmt: skip

    def _is_free(self, source: _Group, target: _Group) -> bool:
        """Whether no box stands between two of one lane."""
        between = range(self.depths[source] + 1, self.depths[target])
        return self.depths[source] < self.depths[target] and not any(
            group.lane == source.lane and self.depths[group] in between for group in self.groups.all
        )

    def _edge(self, source: _Group, target: _Group) -> str:
        (a, b), (c, d) = self._corner(source), self._corner(target)
        if source.lane == target.lane:
            b, d = b + _HEIGHT / 2, d + _HEIGHT / 2
            if self._is_free(source, target):
                middle = (a + _WIDTH + c) / 2
                return f"M{a + _WIDTH:g},{b:g} C{middle:g},{b:g} {middle:g},{d:g} {c:g},{d:g}"
            # Over the boxes between.
            top = min(b, d) - _HEIGHT / 2
            a, c = a + 0.7 * _WIDTH, c + 0.3 * _WIDTH
            ends = b - _HEIGHT / 2, d - _HEIGHT / 2
            return f"M{a:g},{ends[0]:g} C{a:g},{top - 26:g} {c:g},{top - 26:g} {c:g},{ends[1]:g}"
        down = b < d
        a, c = a + _WIDTH / 2, c + _WIDTH / 2
        b, d = (b + _HEIGHT, d) if down else (b, d + _HEIGHT)
        bend = min(abs(d - b), 2 * _BETWEEN) * (0.8 if down else -0.8)
        return f"M{a:g},{b:g} C{a:g},{b + bend:g} {c:g},{d - bend:g} {c:g},{d:g}"


def _shown(ops: list[str]) -> str:
    """The layers of a box in few letters: an activation tells more than what is about it."""
    told = [name for name in ops if name != "input"]
    for left in (("fuse", "concat"), ("bn", "dropout", "flatten", "identity")):
        if len(" ".join(told)) > _LETTERS:
            told = [name for name in told if name not in left] or told
    short = " ".join(told)
    if len(short) > _LETTERS:
        short = f"{told[0][:9]}\N{HORIZONTAL ELLIPSIS} {told[-1]}"
    return _cut(short)


def _cut(text: str, most: int = _LETTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
