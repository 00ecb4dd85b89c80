"""`keep-blocks`: values stay in the layout of blocks of channels that ONNX Runtime's convolutions
on a CPU work in.

There a convolution reads and writes blocks, and so do pools, sums and activations between blocks;
anything else needs the plain layout. A residual sum of a convolution and a value in the plain
layout therefore leaves the blocks, and all sums after it, which cannot be part of a convolution
any more. Where a convolution reads that value too, and brings it into blocks for itself, a pool of
windows of one brings it there for both.
"""

from __future__ import annotations

from xgraph.ir.graph import Graph, Node, Value
from xgraph.optimize.costs import Costs
from xgraph.optimize.network import Maker, Optimized

BLOCK = 16
"""Channels, where vectors are longest; elsewhere half."""
_STAY = frozenset(("relu", "sigmoid", "tanh", "maxpool", "avgpool"))


def keep_blocks(network: Optimized, costs: Costs) -> Optimized:
    """Where ONNX Runtime runs the network on a CPU."""
    if costs.target != "onnx":
        return network
    plain = _plain(network.graph)
    if not plain:
        return network
    maker = Maker(network)
    brought: dict[Value, Value] = {}
    for node in network.graph.live():
        before = {}
        if node.op.name in ("conv", "add"):
            before = {v: maker.values[v] for v in node.inputs if v in brought}
            maker.values.update((value, brought[value]) for value in before)
        maker.copy(node)
        maker.values.update(before)
        for value in plain.intersection(node.outputs):
            attrs = {"kernel": (1, 1), "stride": (1, 1)}
            brought[value] = maker.add("maxpool", [maker.values[value]], attrs, node)
    return maker.done()


def _plain(graph: Graph) -> set[Value]:
    """Values to be brought into blocks: not in them, and read by a convolution, and by a sum with
    what is."""
    nodes = graph.live()
    read = {
        v for node in nodes if node.op.name == "conv" and _is_blocked(node) for v in node.inputs
    }
    inside: set[Value] = set()
    found: set[Value] = set()
    for node in nodes:
        if not node.inputs or not _fits(node.output):
            continue
        if node.op.name == "conv":
            if _is_blocked(node):
                inside.add(node.output)
        elif node.op.name == "add" and any(value in inside for value in node.inputs):
            outside = {v for v in node.inputs if v not in inside}
            if all(v.type == node.output.type and v in read for v in outside):
                found |= outside
                inside |= {*outside, node.output}
        elif node.op.name in _STAY and node.inputs[0] in inside:
            inside.add(node.output)
    return found


def _fits(value: Value) -> bool:
    channels = value.type.channels if value.type.rank == 3 else None
    return isinstance(channels, int) and channels % BLOCK == 0


def _is_blocked(conv: Node) -> bool:
    """Whether ONNX Runtime has a convolution of blocks for it."""
    groups, (filters, channels, *_) = conv.resolved.groups, conv.params[0].shape
    return bool(groups == 1 or (filters // groups) % BLOCK == 0 == channels % BLOCK)
