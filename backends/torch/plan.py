"""Which groups run as modules of their own, and what each runs in which order.

A group is a function of its inputs if nothing that leaves it comes back: then it has a `forward`
and its parent calls it. Connections and routers cut other groups apart; these are opened, and
the nearest group around them that is a function runs what they hold.

Seen as one step, a group makes each of its outputs wait for each of its inputs. Where that is
more than the nodes within ask for, the group is loose and can close a circle. So of the loose
groups on a circle the largest are opened, again and again, until no circle is left.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from xgraph.backends.torch.tree import Group, Member, Tree
from xgraph.ir.graph import IN_PLACE, Graph, Node, Value


@final
@dataclass(frozen=True, eq=False)
class Driver:
    """What runs a group: its steps in order, and the values that go in and come out."""

    group: Group
    items: list[Member]
    inputs: list[Value]
    outputs: list[Value]


@final
class Plan:
    """The drivers of a graph's groups, the innermost first."""

    def __init__(self, graph: Graph) -> None:
        self.tree = Tree(graph)
        self.in_place = IN_PLACE in graph.meta
        self.drivers: dict[Group, Driver] = {}
        self._rank = {node.id: place for place, node in enumerate(self.tree.order)}
        self._drive(self.tree.root)

    def _drive(self, group: Group) -> None:
        items = self._items(group)
        edges = self._edges(items)
        while circles := [c for c in _components(edges) if len(c) > 1]:
            for circle in circles:
                self._open([items[place] for place in circle])
            items = self._items(group)
            edges = self._edges(items)
        ordered = [items[place] for place in _sorted(edges, [_first(item) for item in items])]
        for item in ordered:
            if isinstance(item, Group):
                self._drive(item)
        self.drivers[group] = self._driver(group, ordered)

    def _open(self, circle: list[Member]) -> None:
        """Open the largest of the loose groups on a circle, which may leave the others whole."""
        loose = [
            member for member in circle if isinstance(member, Group) and self._is_loose(member)
        ]
        sizes = {group: len(inner_nodes(group)) for group in loose}
        for group, size in sizes.items():
            group.is_open = 2 * size > max(sizes.values())

    def _items(self, group: Group) -> list[Member]:
        """The steps of `group`: its nodes and groups, and those of the open groups within."""
        items: list[Member] = list(group.nodes)
        for inner in group.groups:
            if inner.is_array or not any(part.nodes for part in inner.walk()):
                inner.is_open = True
            items += self._items(inner) if inner.is_open else [inner]
        return items

    def _edges(self, items: list[Member]) -> list[list[int]]:
        """For each item those that read it, as indices."""
        place = {node.id: i for i, item in enumerate(items) for node in inner_nodes(item)}
        readers: list[dict[int, None]] = [{} for _ in items]
        for i, item in enumerate(items):
            for node in inner_nodes(item):
                for value in node.inputs:
                    source = place.get(value.node.id, i)
                    if source != i:
                        readers[source][i] = None
        return [list(found) for found in readers]

    def _is_loose(self, group: Group) -> bool:
        """Whether some output of `group` does not need all of its inputs."""
        nodes = sorted(inner_nodes(group), key=lambda node: self._rank[node.id])
        inside = {node.id for node in nodes}
        bits: dict[Value, int] = {}
        needs: dict[int, int] = {}
        for node in nodes:
            mask = 0
            for value in node.inputs:
                if value.node.id in inside:
                    mask |= needs[value.node.id]
                else:
                    mask |= bits.setdefault(value, 1 << len(bits))
            needs[node.id] = mask
        whole = (1 << len(bits)) - 1
        return any(needs[value.node.id] != whole for value in self._outputs(nodes, inside))

    def _outputs(self, nodes: Iterable[Node], inside: set[int]) -> list[Value]:
        """The values of `nodes` that something outside reads."""
        tree = self.tree
        return [
            value
            for node in nodes
            for value in node.outputs
            if value in tree.results
            or any(reader.id not in inside for reader in tree.readers.get(value, ()))
        ]

    def _driver(self, group: Group, items: list[Member]) -> Driver:
        if group.parent is None:
            graph = self.tree.graph
            inputs, outputs = list(graph.inputs.values()), list(graph.outputs.values())
            return Driver(group, items, inputs, outputs)
        nodes = inner_nodes(group)
        inside = {node.id for node in nodes}
        read = [value for item in items for value in self.operands(item)]
        given = dict.fromkeys(value for value in read if value.node.id not in inside)
        return Driver(group, items, list(given), self._outputs(nodes, inside))

    def operands(self, item: Member) -> list[Value]:
        """What a step reads."""
        return list(item.inputs) if isinstance(item, Node) else self.drivers[item].inputs

    def results(self, item: Member) -> list[Value]:
        """What a step gives."""
        return list(item.outputs) if isinstance(item, Node) else self.drivers[item].outputs


def inner_nodes(item: Member) -> list[Node]:
    """All live nodes of a step, by id."""
    if isinstance(item, Node):
        return [item]
    nodes = [node for group in item.walk() for node in group.nodes]
    return sorted(nodes, key=lambda node: node.id)


def _first(item: Member) -> int:
    return min(node.id for node in inner_nodes(item))


def _sorted(edges: list[list[int]], keys: list[int]) -> list[int]:
    """A topological order of an acyclic graph; among free ones, by key."""
    waiting = [0] * len(edges)
    for readers in edges:
        for reader in readers:
            waiting[reader] += 1
    ready = [(keys[i], i) for i, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        _, place = heapq.heappop(ready)
        order.append(place)
        for reader in edges[place]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, (keys[reader], reader))
    return order


def _components(edges: list[list[int]]) -> list[list[int]]:
    """The strongly connected components (Tarjan's, without recursion)."""
    found: list[list[int]] = []
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    held: list[int] = []
    settled: set[int] = set()
    for root in range(len(edges)):
        work = [] if root in number else [(root, 0)]
        while work:
            place, step = work.pop()
            if not step:
                number[place] = low[place] = len(number)
                held.append(place)
            if step < len(edges[place]):
                work.append((place, step + 1))
                reader = edges[place][step]
                if reader not in number:
                    work.append((reader, 0))
                elif reader not in settled:
                    low[place] = min(low[place], number[reader])
                continue
            if work:
                above = work[-1][0]
                low[above] = min(low[above], low[place])
            if low[place] == number[place]:
                found.append(_taken(held, place))
                settled.update(found[-1])
    return found


def _taken(held: list[int], place: int) -> list[int]:
    """What was held since `place`, taken off."""
    cut = len(held) - 1
    while held[cut] != place:
        cut -= 1
    part = held[cut:]
    del held[cut:]
    return part
