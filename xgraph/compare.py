"""What changed between two networks, in the terms of the language.

Declarations and labels are told apart by their names, layers by their addresses; connections and
routers by the points that they join. Within what only one network has, nothing is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, final

from xgraph.build.names import written
from xgraph.build.write import layer_text, op_text, router_text
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Scope
from xgraph.ops import ENTER, LEAVE
from xgraph.report import Summary

Sign = Literal["+", "-", "~"]
Part: TypeAlias = Scope | Node
"""What a change is about, in a graph."""


class _Fact(NamedTuple):
    """What is said of a part of one network, and which that is."""

    text: str
    parts: tuple[Part, ...]


_Facts: TypeAlias = Mapping[str, _Fact]
"""Those of one kind, by name."""


@final
@dataclass(frozen=True)
class Change:
    """A part that was added (`+`), removed (`-`) or changed (`~`), with what it was and is."""

    sign: Sign
    kind: str
    name: str
    before: str = ""
    after: str = ""
    parts_before: tuple[Part, ...] = ()
    """What it is about in the first network: nothing where it was added."""
    parts_after: tuple[Part, ...] = ()

    def __str__(self) -> str:
        shown = {"+": self.after, "-": self.before, "~": f"{self.before}  =>  {self.after}"}
        return f"{self.sign} {self.kind} {self.name}  {shown[self.sign]}".rstrip()

    def to_json(self) -> dict[str, str]:
        sign = {"+": "added", "-": "removed", "~": "changed"}[self.sign]
        found = {"change": sign, "kind": self.kind, "name": self.name}
        found |= {"before": self.before} if self.before else {}
        return found | ({"after": self.after} if self.after else {})


@final
class Difference:
    """From network `a` to network `b`."""

    def __init__(self, a: Graph, b: Graph) -> None:
        self.a, self.b = Summary(a), Summary(b)
        self.changes = tuple(_changes(a, b))

    def __bool__(self) -> bool:
        return bool(self.changes)

    def to_json(self) -> dict[str, Any]:
        (a, b), deltas = (s.to_json() for s in (self.a, self.b)), {}
        for key in ("parameters", "statistics", "macs"):
            deltas[key] = {"before": a[key], "after": b[key]}
        return {**deltas, "changes": [change.to_json() for change in self.changes]}

    def render(self) -> str:
        """The changes, one a line, and what they cost."""
        lines = [str(change) for change in self.changes] or ["the networks are alike"]
        return "\n".join([*lines, *self.figures()])

    def figures(self) -> Iterator[str]:
        """What the changes cost, one sum a line."""
        for name, key in (("parameters", "params"), ("MACs", "macs")):
            before, after = (getattr(s.total, key) for s in (self.a, self.b))
            known = isinstance(before, int) and isinstance(after, int)
            delta = f" ({after - before:+,})" if known and before != after else ""
            yield f"{name}: {_figure(before)} -> {_figure(after)}{delta}"


def _figure(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else str(number)


def _changes(a: Graph, b: Graph) -> Iterator[Change]:
    for kind, facts in _KINDS.items():
        yield from _compared(kind, facts(a), facts(b))
    before, after = _orders(a), _orders(b)
    same = [p for p in before if p in after and _joined(before[p]) == _joined(after[p])]
    yield from _compared("order at", *({p: o[p] for p in same} for o in (before, after)))
    common = _bodied(a).keys() & _bodied(b).keys()
    yield from _compared("label", _labels(a, common), _labels(b, common))
    yield from _compared("layer", _layers(a, common), _layers(b, common))


def _compared(kind: str, before: _Facts, after: _Facts) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            text, parts = before[name]
            yield Change("-", kind, name, before=text, parts_before=parts)
        elif name not in before:
            text, parts = after[name]
            yield Change("+", kind, name, after=text, parts_after=parts)
        elif before[name].text != after[name].text:
            (text, parts), (new, those) = before[name], after[name]
            yield Change("~", kind, name, text, new, parts, those)


# ---------------------------------------------------------------------------- declarations


def _modalities(graph: Graph) -> _Facts:
    meta = {s.address: s.meta for s in _of(graph, scopes.Modality)}
    return {
        name: _Fact(f"{value.type}{_with(meta.get(name, {}))}", (value.node,))
        for name, value in graph.inputs.items()
    }


def _superlayers(graph: Graph) -> _Facts:
    return {
        written(s.address): _Fact(
            f"({_read(graph, f'{s.address}.in')}){_with(s.meta)}{_steps(s)}", (s,)
        )
        for s in _of(graph, scopes.SuperLayer)
    }


def _fusions(graph: Graph) -> _Facts:
    return {
        s.address: _Fact(f"({_read(graph, f'{s.address}.in')}){_with(s.meta)}{_steps(s)}", (s,))
        for s in _of(graph, scopes.Fusion)
    }


def _connections(graph: Graph) -> _Facts:
    held = _held(graph)
    found: dict[str, _Fact] = {}
    for scope in _of(graph, scopes.Connect):
        layers = " -> ".join(_staged(graph, n) for n in held.get(scope, []) if not n.rebinds)
        name = f"{written(scope.source)} -> {', '.join(map(written, scope.targets))}"
        text = f"by {scope.by}{_with(scope.meta)}" + (f" via {layers}" if layers else "")
        text += _steps(scope)
        found[_unused(name, found)] = _Fact(text, (scope,))
    return found


def _staged(graph: Graph, node: Node) -> str:
    """A layer of a connection; what it reads too, where that is more than what flows."""
    return layer_text(node) if len(node.inputs) < 2 else f"({_applied(graph, node)})"


def _orders(graph: Graph) -> _Facts:
    """In which order connections and routers join at a place, where they are several."""
    found: dict[str, list[Node]] = {}
    for node in graph.nodes():
        for place in node.rebinds:
            found.setdefault(written(place), []).append(node)
    return {
        place: _Fact(", ".join(node.scope.address if node.scope else "" for node in nodes),
                     tuple(nodes))
        for place, nodes in found.items() if len(nodes) > 1
    }  # fmt: skip


def _joined(order: _Fact) -> list[str]:
    """What joins at a place, in whatever order."""
    return sorted(order.text.split(", "))


def _routers(graph: Graph) -> _Facts:
    held = _held(graph)
    found: dict[str, _Fact] = {}
    for scope in _of(graph, scopes.Route):
        (node,) = (n for n in held[scope] if n.rebinds)
        sources, targets = (", ".join(map(written, p)) for p in (scope.sources, scope.targets))
        name = sources if sources == targets else f"{sources} -> {targets}"
        merged = [v.node.scope.address for v in node.inputs if v.node.rebinds and v.node.scope]
        behind = f" behind {', '.join(merged)}" if merged else ""
        text = f"{node.op.name}{router_text(node)}{behind}{_steps(scope)}"
        found[_unused(name, found)] = _Fact(text, (node,))
    return found


def _outputs(graph: Graph) -> _Facts:
    declared = {s.address: s for s in _of(graph, scopes.Output)}
    found = {}
    for name, value in graph.outputs.items():
        made = _stands_in(graph.own(value).node, scopes.Output)
        text = _applied(graph, value.node) if made else _name(graph, value)
        stands = declared.get(name) or scopes.Output(address=name)  # `output y` alone makes none
        found[name] = _Fact(text, (stands, *([value.node] if made else [])))
    return found


_KINDS: dict[str, Callable[[Graph], _Facts]] = {
    "modality": _modalities,
    "superlayer": _superlayers,
    "fusion": _fusions,
    "connection": _connections,
    "router": _routers,
    "output": _outputs,
}


def _unused(name: str, taken: _Facts) -> str:
    """`name`, numbered where two points are joined more than once."""
    number = 2
    found = name
    while found in taken:
        found, number = f"{name} #{number}", number + 1
    return found


# ------------------------------------------------------------------------ labels and layers


def _labels(graph: Graph, common: Iterable[str]) -> _Facts:
    heads, made = set(common), _unlabelled(graph)
    around = {s.address: s for s in _of(graph, (scopes.Label, scopes.Call))}
    return {
        written(address): _Fact(str(value.type), (around.get(address, value.node),))
        for address, value in graph.points.items()
        if owner(address) in heads
        and address not in made
        and address not in heads
        and not address.endswith(".in")
        and "[" not in address
    }


def _unlabelled(graph: Graph) -> set[str]:
    return {s.address for s in _of(graph, scopes.Call) if not s.labelled}


def _layers(graph: Graph, common: Iterable[str]) -> _Facts:
    shown, bodied = {*common, ""}, _bodied(graph)
    made = (graph.own(value).node for value in graph.outputs.values())
    ends = {node for node in made if _stands_in(node, scopes.Output)}
    found: dict[str, _Fact] = {}
    for node in graph.nodes():
        hidden = node.rebinds or node.op in (ENTER, LEAVE, None) or node.op.name == "input"
        hooked = _stands_in(node, scopes.Connect, scopes.Route) or node in ends
        head = owner(node.address)
        if not hidden and not hooked and (head in shown or head not in bodied):
            text = _applied(graph, node) + ("" if head in bodied else _steps(node.scope))
            found[written(node.address)] = _Fact(text, (node,))
    return found


def _stands_in(node: Node, *kinds: type[Scope]) -> bool:
    return node.scope is not None and any(isinstance(s, kinds) for s in node.scope.chain())


def _applied(graph: Graph, node: Node) -> str:
    """A layer and what it reads."""
    reads = ", ".join(_name(graph, value) for value in node.inputs)
    return f"{op_text(node.op, node.attrs)} of {reads}" if reads else op_text(node.op, node.attrs)


def owner(address: str) -> str:
    """The super-layer or fusion that an address is in: `path.0` of `path.0.c2`."""
    head, _, rest = address.partition(".")
    index = rest.partition(".")[0]
    return f"{head}.{index}" if index.isdigit() else head


def _bodied(graph: Graph) -> dict[str, Scope]:
    kinds = (scopes.SuperLayer, scopes.Fusion)
    return {s.address: s for s in graph.scopes if isinstance(s, kinds)}


# ------------------------------------------------------------------------------------ names


def _of(graph: Graph, kind: type[Any] | tuple[type[Any], ...]) -> Iterator[Any]:
    return (scope for scope in graph.scopes if isinstance(scope, kind))


def _held(graph: Graph) -> dict[Scope, list[Node]]:
    found: dict[Scope, list[Node]] = {}
    for node in graph.nodes():
        for scope in node.scope.chain() if node.scope else ():
            found.setdefault(scope, []).append(node)
    return found


def _steps(scope: Scope | None) -> str:
    """Of which axes it runs for each step."""
    chain = scope.chain() if scope else ()
    return "".join(f", each {held.axis}" for held in chain if isinstance(held, scopes.Each))


def _with(meta: Mapping[str, Any]) -> str:
    given = ", ".join(f"{key} = {value}" for key, value in meta.items())
    return f" with {given}" if given else ""


def _read(graph: Graph, address: str) -> str:
    points = graph.points
    if address in points:
        return _name(graph, points[address])
    values: list[Value] = []
    while f"{address}[{len(values)}]" in points:
        values.append(points[f"{address}[{len(values)}]"])
    return ", ".join(_name(graph, value) for value in values)


def _name(graph: Graph, value: Value) -> str:
    """What makes a value, past connections and routers."""
    value = graph.own(value)
    while value.node.op in (ENTER, LEAVE):
        value = graph.own(value.node.inputs[0])
    suffix = f"[{value.index}]" if len(value.node.outputs) > 1 else ""
    return f"{written(value.node.address)}{suffix}"
