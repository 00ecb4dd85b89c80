"""How several small networks are computed as one: which of their layers go together, and when.

Layers that are ready and alike form a group, which is one operation on values of shape
[members, batch, features]; the group whose like lie least deep comes first, so that layers wait
for their like in deeper networks (on-the-fly operation batching, Neubig et al., 2017). A linear
layer reads the parts of a concatenation where they are. Its features, which nothing learns through,
may differ in width from member to member, and are filled up with zeros.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from xgraph.ir.graph import Graph, Node, Value

ACTIVATIONS = ("identity", "relu", "gelu", "silu", "sigmoid", "tanh", "leakyrelu", "elu")
ELEMENTWISE = ("add", "mul")
Place = tuple[int, int]
"""A value: the number of a group, and of the member."""


@final
@dataclass(frozen=True)
class Part:
    """Some of the columns that a linear layer reads."""

    value: Value
    first: int
    width: int

    @property
    def is_feature(self) -> bool:
        return self.value.node.op.name == "input"

    @property
    def columns(self) -> slice:
        return slice(self.first, self.first + self.width)


@final
@dataclass(frozen=True)
class Member:
    """A layer of one of the networks."""

    network: int
    node: Node
    parts: tuple[Part, ...] = field(repr=False)
    """What it reads."""

    @property
    def features(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.is_feature)

    @property
    def computed(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if not part.is_feature)


@final
@dataclass(frozen=True)
class Group:
    """Layers that are computed as one."""

    kind: str
    members: tuple[Member, ...]
    inputs: tuple[tuple[Place, ...], ...]
    """What is computed and read, one value a member each."""

    @property
    def node(self) -> Node:
        """The first member's; what is not in `members` is the same in all."""
        return self.members[0].node


@final
@dataclass(frozen=True)
class Schedule:
    """Groups in the order in which they are computed."""

    groups: tuple[Group, ...]
    outputs: Mapping[str, tuple[Place, ...]]
    """Where each output is, one place a network."""


def reason_against(graph: Graph) -> str | None:
    """Why a tensor-level network cannot be computed together with others; None if it can."""
    addresses = set[str]()
    for node in graph.nodes():
        known = (*ACTIVATIONS, *ELEMENTWISE, "input", "linear", "bn", "dropout", "concat")
        if node.op.name not in known:
            return f"`{node.op.name}`"
        if any(value.type.rank != 1 or not _width(value) for value in node.outputs):
            return f"`{node.name}`, which is no vector"
        if node.params and node.address in addresses:
            return f"`{node.address}`, which is used twice"
        addresses.add(node.address)
    return None


def schedule(networks: Sequence[Graph]) -> Schedule:
    """Group the layers of networks, of which none has a `reason_against`."""
    waiting: dict[tuple[int, Node], Member] = {}
    depth: dict[tuple[int, Node], int] = {}
    for number, graph in enumerate(networks):
        for member in _members(number, graph):
            waiting[number, member.node] = member
            read = [depth.get((number, part.value.node), 0) for part in member.parts]
            depth[number, member.node] = 1 + max(read, default=0)
    alike = defaultdict[object, list[Member]](list)
    for member in waiting.values():
        alike[_likeness(member)].append(member)
    place: dict[tuple[int, Value], Place] = {}
    groups: list[Group] = []

    def is_ready(member: Member) -> bool:
        return all((member.network, part.value) in place for part in _awaited(member))

    def mean_depth(likeness: object) -> float:
        members = alike[likeness]
        return sum(depth[m.network, m.node] for m in members) / len(members)

    while alike:
        ready = {like: found for like, ms in alike.items() if (found := [*filter(is_ready, ms)])}
        chosen = min(ready, key=lambda like: (mean_depth(like), repr(like)))
        members = tuple(ready[chosen])
        rows = zip(*(_awaited(m) for m in members), strict=True)
        inputs = tuple(
            tuple(place[m.network, part.value] for m, part in zip(members, row, strict=True))
            for row in rows
        )
        kind = members[0].node.op.name
        kind = "activation" if kind in ACTIVATIONS else kind
        for row, member in enumerate(members):
            place[member.network, member.node.output] = len(groups), row
        groups.append(Group(kind, members, inputs))
        taken = {id(member) for member in members}
        alike[chosen] = [m for m in alike[chosen] if id(m) not in taken]
        if not alike[chosen]:
            del alike[chosen]
    outputs = {
        name: tuple(place[number, graph.outputs[name]] for number, graph in enumerate(networks))
        for name in networks[0].outputs
    }
    return Schedule(tuple(groups), outputs)


def _members(number: int, graph: Graph) -> Iterator[Member]:
    """The layers that are computed, inputs before readers: a concatenation that linear layers read
    is not, nor is a feature that they read."""
    read = {v.node for v in graph.outputs.values()}
    members: list[Member] = []
    for node in reversed(graph.nodes()):
        if node not in read:
            continue
        values = node.inputs
        parts = tuple(_parts(values[0])) if node.op.name == "linear" else tuple(_whole(values))
        members.append(Member(number, node, parts))
        read |= {
            part.value.node for part in parts if not (node.op.name == "linear" and part.is_feature)
        }
    yield from reversed(members)


def _awaited(member: Member) -> tuple[Part, ...]:
    """What must be computed before."""
    return member.computed if member.node.op.name == "linear" else member.parts


def _whole(values: Sequence[Value]) -> Iterator[Part]:
    return (Part(value, 0, _width(value)) for value in values)


def _parts(value: Value) -> Iterator[Part]:
    """A value as what is put side by side in it."""
    start = 0
    for leaf in _leaves(value):
        yield Part(leaf, start, _width(leaf))
        start += _width(leaf)


def _leaves(value: Value) -> Iterator[Value]:
    if value.node.op.name == "concat":
        for inner in value.node.inputs:
            yield from _leaves(inner)
    else:
        yield value


def _width(value: Value) -> int:
    """The features of a vector; 0 where that is not known."""
    size: Any = value.type.features[0]
    return size if isinstance(size, int) else 0


def _likeness(member: Member) -> tuple[object, ...]:
    """What is equal for layers that can be computed as one."""
    node, attrs = member.node, member.node.resolved
    width = _width(node.output)
    match node.op.name:
        case "linear":
            return "linear", width, attrs.bias, tuple(part.width for part in member.computed)
        case "dropout":
            return "dropout", width, attrs.rate
        case "bn":
            return "bn", width, attrs.eps, attrs.momentum, attrs.affine
        case name if name in ACTIVATIONS:
            return "activation", width
        case name:
            return name, width, tuple(part.width for part in member.parts)
