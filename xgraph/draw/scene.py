"""What is drawn of a network: boxes in boxes, and what flows between them, as data.

The picture is made of it in JavaScript (`static/draw.js`), for a page in the browser and for a
file in an engine of our own, so that both look alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, final

from xgraph.build.write import layer_text, router_text
from xgraph.diagnostics import did_you_mean, fail
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Scope
from xgraph.ir.types import Dim
from xgraph.report import Cost, Summary, written

MOST: Final = 48
"""So many boxes stand in one; where there are more, they come in runs."""
_ADDRESSED = ("superlayer", "fusion", "let", "label", "call")
_NAMELESS = (scopes.Argument, scopes.Each)


@final
@dataclass
class Box:
    """A part of a network, and what is within it."""

    id: str
    kind: str
    title: str
    text: str = ""
    """What it is, as the `.xg` writes it."""
    shape: str = ""
    params: int = 0
    macs: Dim = 0
    sign: str = ""
    """Whether it was added (`+`), removed (`-`) or changed (`~`)."""
    is_idle: bool = False
    """Whether no output needs it."""
    boxes: list[Box] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"id": self.id, "kind": self.kind, "title": self.title}
        optional: dict[str, Any] = {
            "text": self.text, "shape": self.shape, "params": self.params,
            "macs": self.macs if isinstance(self.macs, int) else str(self.macs), "sign": self.sign,
            "idle": self.is_idle,
            "boxes": [box.to_json() for box in self.boxes],
        }  # fmt: skip
        return found | {key: value for key, value in optional.items() if value}

    def walk(self) -> Iterator[Box]:
        yield self
        for box in self.boxes:
            yield from box.walk()


@final
@dataclass(frozen=True)
class Scene:
    """The boxes of a network, and its wires: pairs of ids of boxes without boxes."""

    name: str
    boxes: Sequence[Box]
    wires: Sequence[tuple[str, str]]
    total: Cost

    @cached_property
    def ids(self) -> set[str]:
        return {box.id for top in self.boxes for box in top.walk()}

    def within(self, address: str) -> Scene:
        """What the box of a super-layer, label or use of a block holds, and the wires of that."""
        boxes = [box for top in self.boxes for box in top.walk() if box.boxes]
        found = {written(box.id.partition(":")[2]): box for box in boxes if box.kind in _ADDRESSED}
        if address not in found:
            raise fail(
                "unknown-name", f"no box is at `{address}`", origin=self.name,
                help=did_you_mean(address, found) or "give a super-layer or label, as `image.b1`",
            )  # fmt: skip
        box = found[address]
        ids = {inner.id for inner in box.walk()}
        wires = [wire for wire in self.wires if ids.issuperset(wire)]
        return Scene(address, box.boxes, wires, Cost(box.params, macs=box.macs))

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "boxes": [box.to_json() for box in self.boxes],
            "wires": [list(wire) for wire in self.wires],
        }


@final
@dataclass(frozen=True)
class Sheet:
    """What is drawn at once: a network, or two beside each other with what changed."""

    title: str
    note: str
    scenes: Sequence[Scene]
    changes: Sequence[Told] = ()

    def within(self, address: str) -> Sheet:
        """What is at one address alone."""
        return Sheet(
            address, f"within {self.title}", [each.within(address) for each in self.scenes]
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "note": self.note,
            "scenes": [scene.to_json() for scene in self.scenes],
            "changes": [change.boxes for change in self.changes],
        }


@final
@dataclass(frozen=True)
class Told:
    """A change in words, and the ids of the boxes in each scene that it is about."""

    text: str
    boxes: Sequence[Sequence[str]]


def sheet(graph: Graph) -> Sheet:
    """One network."""
    drawn = scene(graph)
    return Sheet(drawn.name, f"{drawn.total.params:,} parameters", (drawn,))


def scene(graph: Graph) -> Scene:
    """Of an architecture-level graph; `DiagnosticError` for anything else."""
    summary = Summary(graph)
    return _Drawn(graph, summary).scene()


@final
class _Drawn:
    def __init__(self, graph: Graph, summary: Summary) -> None:
        self._graph, self._summary = graph, summary
        self._live = {node.id for node in graph.live()}
        self._groups: dict[Scope, Box] = {}
        self._top: list[Box] = []

    def scene(self) -> Scene:
        wires: dict[tuple[str, str], None] = {}
        for scope in self._graph.scopes:
            self._group(scope)
        for node in self._graph.nodes():
            self._home(node.scope).append(self._layer(node))
            for value in node.inputs:
                wires[box_id(value.node), box_id(node)] = None
        for name, value in self._graph.outputs.items():
            box = Box(f"output:{name}", "output", name, shape=_shape(value))
            self._top.append(box)
            wires[box_id(value.node), box.id] = None
        top = _in_runs([box for box in map(_tidied, self._top) if box is not None], "top")
        return Scene(self._graph.name, top, list(wires), self._summary.total)

    def _group(self, scope: Scope) -> None:
        if isinstance(scope, (*_NAMELESS, scopes.Output, scopes.Modality, scopes.Route)):
            return
        box = Box(box_id(scope), scope.kind, _title(scope), _note(scope))
        cost = self._summary.cost(scope)
        box.params, box.macs = cost.params, cost.macs
        value = self._graph.points.get(scope.address)
        box.shape = "" if value is None else _shape(value)
        self._home(scope.parent).append(box)
        self._groups[scope] = box

    def _home(self, scope: Scope | None) -> list[Box]:
        """The boxes among which those of a scope stand."""
        for each in scope.chain() if scope is not None else ():
            if each in self._groups:
                return self._groups[each].boxes
        return self._top

    def _layer(self, node: Node) -> Box:
        kind, title = "layer", layer_text(node)
        if isinstance(node.scope, scopes.Modality):
            kind, title = "modality", written(node.address)
        elif isinstance(node.scope, scopes.Route):
            kind, title = "route", f"{node.op.name}{router_text(node)}".strip()
        text = ""
        if kind == "layer" and node.address in self._graph.points:  # it has a label
            title, text = written(node.address).rpartition(".")[2], title
        cost = self._summary.cost_at(node.address)
        shape = _shape(node.outputs[0]) if node.outputs else ""
        return Box(
            box_id(node), kind, title, text, shape, cost.params, cost.macs,
            is_idle=node.id not in self._live,
        )  # fmt: skip


def box_id(part: Node | Scope) -> str:
    """The id of the box that stands for a part of a graph, if one does; an output's scope has that
    of the output."""
    return f"node:{part.id}" if isinstance(part, Node) else f"{part.kind}:{part.address}"


def sign(scene: Scene, signs: Mapping[str, str]) -> None:
    """Sign the boxes with these ids; what is within what came or went did so too."""
    for box in scene.boxes:
        _sign(box, signs, "")


def _sign(box: Box, signs: Mapping[str, str], around: str) -> None:
    box.sign = around or signs.get(box.id, "")
    for inner in box.boxes:
        _sign(inner, signs, box.sign.strip("~"))


def _tidied(box: Box) -> Box | None:
    """Without boxes that hold nothing, and with one that holds too many parted into runs."""
    boxes = [inner for inner in map(_tidied, box.boxes) if inner is not None]
    if box.boxes and not boxes:
        return None
    if not box.boxes and box.kind in ("superlayer", "fusion", "connect", "let", "label", "call"):
        return None
    box.is_idle = all(inner.is_idle for inner in boxes) if boxes else box.is_idle
    box.boxes = _in_runs(boxes, box.id)
    return box


def _in_runs(boxes: list[Box], within: str) -> list[Box]:
    while len(boxes) > MOST:
        runs = []
        for first in range(0, len(boxes), MOST):
            part = boxes[first : first + MOST]
            run = Box(f"{within}:{first}", "run", f"{part[0].title} to {part[-1].title}")
            run.text, run.boxes = f"{len(part)} parts", part
            run.params = sum(each.params for each in part)
            run.macs = sum((each.macs for each in part), 0)
            run.shape = part[-1].shape
            run.is_idle = all(each.is_idle for each in part)
            runs.append(run)
        boxes, within = runs, f"{within}:run"
    return boxes


def _title(scope: Scope) -> str:
    """The name, without those of what is around it."""
    match scope:
        case scopes.Connect():
            return f"{scope.by} to {', '.join(map(written, scope.targets))}"
        case scopes.Label() | scopes.Call():
            around = next((s.address for s in scope.chain() if s.address != scope.address), "")
            return written(scope.address.removeprefix(f"{around}."))
        case _:
            return written(scope.address)


def _note(scope: Scope) -> str:
    return scope.block if isinstance(scope, scopes.Call) and scope.labelled else ""


def _shape(value: Value) -> str:
    return "x".join(map(str, value.type.features)) or "1"
