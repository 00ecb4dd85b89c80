"""A network whose first layers do not change is cut in two: what can be computed once for all, and
the rest that is trained.

What does not change is known by a digest of how it comes about: ops, attributes, what is read, the
bytes of weights. So the same feature of many candidates is one feature, and one that comes about
in another way is another.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import final

from xgraph.ir.canonical import plain_attrs
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ops import OPS

FREE = ("concat",)
"""Ops whose inputs are kept rather than what they give: that costs as much, and is shared more."""
_RESTS = ("bn", "dropout")
"""Ops that do in training what they do in use only in a part that does not change."""


@final
@dataclass(frozen=True)
class Cut:
    """A tensor-level network as features and what is trained on them."""

    features: dict[str, Value] = field(repr=False)
    """What is computed once, by name: values of the whole network."""
    digests: dict[Node, str] = field(repr=False)
    """Of all nodes that do not change."""
    rest: Graph
    """What is trained; its inputs are the features."""


def cut(
    graph: Graph,
    outputs: Iterable[str],
    is_trained: Callable[[str], bool],
    inputs: Mapping[str, str],
    weights: Mapping[str, str],
) -> Cut | None:
    """Cut what `outputs` of a tensor-level graph need; None where no layer of it is trained, or a
    part that is frozen reads one that is not: how it acts is not known from the rest alone.

    `inputs` and `weights` are digests by name and address; `is_trained` is asked of addresses.
    """
    digests = _digests(graph, is_trained, inputs, weights)
    if digests is None:
        return None
    wanted = {name: graph.outputs[name] for name in outputs}
    if all(value.node in digests for value in wanted.values()):
        return None
    rest, features = Graph(graph.name, "tensor"), dict[str, Value]()
    copied: dict[Value, Value] = {}
    once = {node for node in digests if node.op.name not in FREE}
    nodes = _needed(wanted.values(), once)
    read_there = [value for node in nodes if node not in once for value in node.inputs]
    for value in (*read_there, *wanted.values()):
        if value.node in once and value not in copied:
            name = f"f{digests[value.node][:24]}_{value.index}"
            copied[value] = rest.inputs.get(name) or placeholder(rest, name, value)
            features[name] = value
    for node in nodes:
        if node not in once:
            read = [copied[value] for value in node.inputs]
            new = rest.add(node.op, read, node.attrs, ports=node.ports, address=node.address)
            copied.update(zip(node.outputs, new.outputs, strict=True))
    rest.outputs = {name: copied[value] for name, value in wanted.items()}
    return Cut(features, digests, rest)


def placeholder(graph: Graph, name: str, value: Value) -> Value:
    """An input of `graph` in the place of a value of another."""
    attrs = {"shape": value.type.shape, "dtype": value.type.dtype.value}
    return graph.add(OPS["input"], attrs=attrs, address=name).output


def merged(cuts: Iterable[Cut]) -> Graph:
    """One tensor-level graph that computes the features of all, each once."""
    whole = Graph("features", "tensor")
    made: dict[str, Node] = {}
    for each in cuts:
        for node in _needed(each.features.values()):
            digest = each.digests[node]
            if digest in made:
                continue
            read = [made[each.digests[v.node]].outputs[v.index] for v in node.inputs]
            own = node.params or node.op.name == "input"
            address = node.address if own else f"step{len(made)}"
            made[digest] = whole.add(node.op, read, node.attrs, ports=node.ports, address=address)
        for name, value in each.features.items():
            whole.outputs[name] = made[each.digests[value.node]].outputs[value.index]
    return whole


def _needed(values: Iterable[Value], ends: Container[Node] = ()) -> list[Node]:
    """The nodes that some values need, inputs before readers, up to some that end the search."""
    found, order = set[Node](), list[Node]()
    stack = [(value.node, False) for value in values]
    while stack:
        node, entered = stack.pop()
        if entered:
            order.append(node)
        elif node not in found:
            found.add(node)
            stack.append((node, True))
            stack += [(value.node, False) for value in node.inputs if node not in ends]
    return order


def _digests(
    graph: Graph,
    is_trained: Callable[[str], bool],
    inputs: Mapping[str, str],
    weights: Mapping[str, str],
) -> dict[Node, str] | None:
    """Of the nodes that are frozen: that read what is frozen, and neither learn nor draw. None
    where one is at rest that reads what is not frozen."""
    trained = {
        f"{node.address}.{param.name}": is_trained(f"{node.address}.{param.name}")
        for node in graph.nodes()
        for param in node.params
        if param.kind == "parameter"
    }
    resting = _resting(trained)
    found: dict[Node, str] = {}
    for node in graph.nodes():
        names = [f"{node.address}.{param.name}" for param in node.params]
        rests = node.op.name not in _RESTS or any(p in resting for p in _parts(node.address))
        if any(trained.get(name) for name in names) or not rests:
            continue
        if not all(value.node in found for value in node.inputs):
            if node.op.name in _RESTS:
                return None
            continue
        read = [
            inputs[node.address]
            if node.op.name == "input"
            else [(found[value.node], value.index) for value in node.inputs]
        ]
        owned = [weights[name] for name in names]
        record = repr((node.op.name, node.ports, plain_attrs(node), read, owned))
        found[node] = sha256(record.encode()).hexdigest()
    return found


def _resting(trained: Mapping[str, bool]) -> set[str]:
    """The parts of a network that have weights, none of which is trained."""
    has: dict[str, bool] = {}
    for address, is_trained in trained.items():
        for part in _parts(address):
            has[part] = has.get(part, False) or is_trained
    return {part for part, any_trained in has.items() if not any_trained}


def _parts(address: str) -> Iterator[str]:
    """What an address lies in, and itself."""
    names = address.split(".")
    return (".".join(names[:count]) for count in range(1, len(names) + 1))
