"""Values of parallel paths side by side: one behind the other along their first axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, final

from xgraph.ir.graph import Node, Value
from xgraph.ir.op import OpSpec
from xgraph.ir.types import Axis, TensorType
from xgraph.optimize.costs import Costs
from xgraph.optimize.network import Maker, Optimized
from xgraph.optimize.sources import Source


@final
@dataclass(frozen=True)
class Strand:
    """Some of a value, along its first axis."""

    whole: Value
    first: int
    size: int


@final
class Strands:
    """Makes the graph of `join-paths`: knows of each old value where it is now."""

    def __init__(self, network: Optimized, costs: Costs) -> None:
        self.maker, self.costs = Maker(network), costs
        nodes = network.graph.nodes()
        self._names = {n.attrs.axis for n in nodes if n.op.name == "each_in"}
        self._strands: dict[Value, Strand] = {}
        self._cuts: dict[Strand, Value] = {}

    def can_join(self, t: TensorType) -> bool:
        """Whether values of this type can be put side by side: all sizes are known, and none has a
        name by which `each` looks for it, since what is joined may lose names."""
        return t.rank > 0 and all(
            isinstance(size, int) and not (isinstance(size, Axis) and size.name in self._names)
            for size in t.features
        )

    def strand(self, value: Value) -> Strand:
        if value not in self._strands:
            new = self.maker.values[value]
            size = new.type.features[0] if new.type.rank else 1
            self._strands[value] = Strand(new, 0, size if isinstance(size, int) else -1)
        return self._strands[value]

    def value(self, value: Value) -> Value:
        """By itself."""
        if value not in self.maker.values:
            strand = self._strands[value]
            if strand not in self._cuts:
                self._cuts[strand] = self._sliced(strand, value.node)
            self.maker.values[value] = self._cuts[strand]
        return self.maker.values[value]

    def _sliced(self, strand: Strand, origin: Node) -> Value:
        if strand.first == 0 and strand.whole.type.features[0] == strand.size:
            return strand.whole
        ends = {"start": strand.first, "stop": strand.first + strand.size, "axis": 0}
        return self.maker.add("slice", [strand.whole], ends, origin)

    def side_by_side(self, values: Sequence[Value], saved: float) -> Value | None:
        """The whole that is just these values in their order; None where bringing them side by
        side takes longer than is saved by it, or leaving them so loses more than cutting takes."""
        if not all(self.can_join(value.type) for value in values):
            return None
        copy = self.costs.copy(sum(count_of(value.type) for value in values))
        found = self._as_they_are(values)
        if saved < (-copy if found else copy):
            return None
        if found is None:
            parts = [self.value(value) for value in values]
            found = self.maker.add("concat", parts, {"axis": 0}, values[0].node)
            first = 0
            for value in values:
                size = first_of(value.type)
                self._strands[value] = Strand(found, first, size)
                first += size
        return found

    def _as_they_are(self, values: Sequence[Value]) -> Value | None:
        strands = [self.strand(value) for value in values]
        whole, first = strands[0].whole, 0
        for strand in strands:
            if strand.whole is not whole or strand.first != first:
                return None
            first += strand.size
        return whole if whole.type.rank and whole.type.features[0] == first else None

    def place(self, value: Value, strand: Strand) -> None:
        """Say where a value is."""
        self._strands[value] = strand

    def part(self, nodes: Sequence[Node], whole: Value) -> None:
        """Say that the outputs of some nodes are side by side in this."""
        first = 0
        for node in nodes:
            size = first_of(node.output.type)
            self._strands[node.output] = Strand(whole, first, size)
            first += size

    def add(
        self,
        nodes: Sequence[Node],
        op: str | OpSpec,
        inputs: Iterable[Value],
        attrs: Mapping[str, Any],
        sources: Mapping[str, Source] | None = None,
    ) -> Value:
        """A node in the place of several."""
        address = self.maker.free(_common([node.address for node in nodes]))
        return self.maker.add(op, inputs, attrs, nodes[0], sources, address, is_joint=True)


def _common(addresses: Sequence[str]) -> str:
    """`path_all.c2.conv1` of `path.0.c2.conv1`, `path.1.c2.conv1` and so on."""
    each = [address.split(".") for address in addresses]
    if len({len(parts) for parts in each}) > 1:
        return f"{addresses[0]}_all"
    found: list[str] = []
    for parts in zip(*each, strict=True):
        if len(set(parts)) == 1:
            found.append(parts[0])
        elif found and all(part.isdigit() for part in parts):
            found[-1] += "_all"
        else:
            found.append(f"{parts[0]}_all")
    return ".".join(found)


def count_of(t: TensorType) -> int:
    return prod(t.sizes)


def first_of(t: TensorType) -> int:
    """The size of the first axis, which is known."""
    size = t.features[0]
    assert isinstance(size, int)
    return size
