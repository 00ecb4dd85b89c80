"""`join-paths`: what parallel paths do alike becomes one operation on their values side by side.

Values of paths stand one behind the other along their first axis (channels, or features) in one
*whole*; a path's own value is a *strand* of it, cut out only where something needs it by itself.
So the convolutions of all paths are one of as many groups, which reads the whole that the last
operation left: paths stay side by side from end to end, and nothing is copied between two
operations. Routers mix a whole by one small product of matrices (`mixes`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias, final

from xgraph.ir.graph import Node
from xgraph.optimize.costs import Costs
from xgraph.optimize.mixes import depths, mixes
from xgraph.optimize.network import Optimized
from xgraph.optimize.routers import mixed
from xgraph.optimize.rules import JOINS, add_up
from xgraph.optimize.strands import Strand, Strands, first_of

Levels: TypeAlias = dict[tuple[int, Any], list[Node]]
"""What is alike, by how deep it is."""
_WIDTHS = {"conv": "filters", "linear": "units"}


def join_paths(network: Optimized, costs: Costs) -> Optimized:
    """Join what takes less time so, copies that it needs included."""
    if costs.joins == "never":
        return network
    return _Joiner(network, costs).run()


@final
class _Joiner:
    def __init__(self, network: Optimized, costs: Costs) -> None:
        self.old = network.graph
        self.strands = Strands(network, costs)

    def run(self) -> Optimized:
        found = mixes(self.old)
        inside = {node for mix in found for node in mix.inside}
        of = {node: mix for mix in found for node in mix.sums}
        levels: Levels = defaultdict(list)
        depth = depths(self.old)
        for node in self.old.live():
            if node not in inside:
                key = id(of[node]) if node in of else _likeness(node)
                levels[depth[node], key].append(node)
        levels = _widened(levels)
        order = sorted(levels, key=lambda level: (level[0], levels[level][0].id))
        for level in order:
            nodes = levels[level]
            mix = of.get(nodes[0])
            done = mixed(self.strands, mix) if mix else len(nodes) > 1 and self.joined(nodes)
            if not done:
                for node in [*(mix.inside if mix else ()), *nodes]:
                    self.alone(node)
        for value in self.old.outputs.values():
            self.strands.value(value)
        return self.strands.maker.done()

    def alone(self, node: Node) -> None:
        if self._is_cut(node):
            held, attrs = self.strands.strand(node.inputs[0]), node.resolved
            size = first_of(node.output.type)
            start = attrs.start if attrs.start >= 0 else held.size + attrs.start
            self.strands.place(node.output, Strand(held.whole, held.first + start, size))
            return
        if node.op.name == "add" and add_up(self.strands, node):
            return
        for value in node.inputs:
            self.strands.value(value)
        self.strands.maker.copy(node)

    def _is_cut(self, node: Node) -> bool:
        if node.op.name != "slice" or node.resolved.axis != 0:
            return False
        return all(self.strands.can_join(v.type) for v in (node.output, node.inputs[0]))

    def joined(self, nodes: Sequence[Node]) -> bool:
        """Make one node of several that are alike; whether that was done."""
        rule = JOINS.get(nodes[0].op.name)
        known = all(
            self.strands.can_join(v.type) for node in nodes for v in (*node.inputs, *node.outputs)
        )
        return known and rule is not None and rule(self.strands, nodes)


def _widened(levels: Levels) -> Levels:
    """With layers that read one value, and differ but in their width, at one level."""
    found: Levels = defaultdict(list)
    for (depth, key), nodes in levels.items():
        node = nodes[0]
        width = _WIDTHS.get(node.op.name)
        if len(nodes) == 1 and width is not None and node.resolved.get("groups", 1) == 1:
            attrs = tuple((k, v) for k, v in node.resolved.items() if k != width)
            key = (node.op.name, node.inputs[0], attrs)
        found[depth, key] += nodes
    return found


def _likeness(node: Node) -> tuple[Any, ...]:
    """What is equal for nodes that can be one."""
    return (
        node.op.name, tuple(node.resolved.items()), tuple(v.type for v in node.inputs),
        tuple((p.name, p.shape) for p in node.params),
    )  # fmt: skip
