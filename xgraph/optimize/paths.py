"""`join-paths`: what parallel paths do alike becomes one operation on their values side by side.

Values of paths stand one behind the other along their first axis (channels, or features) in one
*whole*; a path's own value is a *strand* of it, cut out only where something needs it by itself.
So the convolutions of all paths are one of as many groups, which reads the whole that the last
operation left: paths stay side by side from end to end, and nothing is copied between two
operations. Routers mix a whole by one small product of matrices (`mixes`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, final

from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.op import OpSpec
from xgraph.ir.types import Axis, TensorType
from xgraph.optimize.mixes import Mix, mixes
from xgraph.optimize.network import Maker, Optimized
from xgraph.optimize.sources import Column, Diagonal, Held, Joined, Source, Zeros

ELEMENTWISE = frozenset(
    ("relu", "leakyrelu", "elu", "gelu", "silu", "sigmoid", "tanh", "scale", "add", "mul", "sub",
     "div", "max")
)  # fmt: skip
SPATIAL = frozenset(("maxpool", "avgpool", "upsample", "pad"))
_COPIED = 2**13
"""So many numbers of a sample are brought side by side, if that makes one operation of several."""
_DENSE = 2**17
"""Of more numbers, a matrix of blocks is not made: most of it would be zeros."""


def join_paths(network: Optimized) -> Optimized:
    """Join what can be read side by side without a copy."""
    return _Joiner(network).run()


@final
@dataclass(frozen=True)
class Strand:
    """Some of a value, along its first axis."""

    whole: Value
    first: int
    size: int


@final
class _Joiner:
    def __init__(self, network: Optimized) -> None:
        self.old = network.graph
        self.maker = Maker(network)
        self.names = {n.attrs.axis for n in self.old.nodes() if n.op.name == "each_in"}
        self.strands: dict[Value, Strand] = {}
        self.cut: dict[Strand, Value] = {}

    def can_join(self, t: TensorType) -> bool:
        """Whether values of this type can be put side by side: all sizes are known, and none has a
        name by which `each` looks for it, since what is joined may lose names."""
        return t.rank > 0 and all(
            isinstance(size, int) and not (isinstance(size, Axis) and size.name in self.names)
            for size in t.features
        )

    def run(self) -> Optimized:
        found = mixes(self.old)
        inside = {node for mix in found for node in mix.inside}
        of = {node: mix for mix in found for node in mix.sums}
        levels: dict[tuple[Any, ...], list[Node]] = defaultdict(list)
        depths = _depths(self.old)
        for node in self.old.live():
            if node not in inside:
                key = id(of[node]) if node in of else _likeness(node)
                levels[depths[node], key].append(node)
        order = sorted(levels, key=lambda level: (level[0], levels[level][0].id))
        for level in order:
            nodes = levels[level]
            mix = of.get(nodes[0])
            done = self.mixed(mix) if mix else len(nodes) > 1 and self.joined(nodes)
            if not done:
                for node in [*(mix.inside if mix else ()), *nodes]:
                    self.alone(node)
        for value in self.old.outputs.values():
            self.value(value)
        return self.maker.done()

    # --------------------------------------------------------------------------------- values

    def strand(self, value: Value) -> Strand:
        if value not in self.strands:
            new = self.maker.values[value]
            size = new.type.features[0] if new.type.rank else 1
            self.strands[value] = Strand(new, 0, size if isinstance(size, int) else -1)
        return self.strands[value]

    def value(self, value: Value) -> Value:
        """By itself."""
        if value not in self.maker.values:
            strand = self.strands[value]
            if strand not in self.cut:
                self.cut[strand] = self._cut(strand, value.node)
            self.maker.values[value] = self.cut[strand]
        return self.maker.values[value]

    def _cut(self, strand: Strand, origin: Node) -> Value:
        if strand.first == 0 and strand.whole.type.features[0] == strand.size:
            return strand.whole
        ends = {"start": strand.first, "stop": strand.first + strand.size, "axis": 0}
        return self.maker.add("slice", [strand.whole], ends, origin)

    def side_by_side(self, values: Sequence[Value]) -> Value | None:
        """The whole that is just these values in their order; None where it would be a copy that
        costs more than it spares."""
        found = self._as_they_are(values)
        known = all(self.can_join(value.type) for value in values)
        if found is None and known and sum(_count(value.type) for value in values) <= _COPIED:
            parts = [self.value(value) for value in values]
            found = self.maker.add("concat", parts, {"axis": 0}, values[0].node)
            first = 0
            for value in values:
                size = _first(value.type)
                self.strands[value] = Strand(found, first, size)
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

    def part(self, nodes: Sequence[Node], whole: Value) -> None:
        """Say that the outputs of some nodes are side by side in this."""
        first = 0
        for node in nodes:
            size = _first(node.output.type)
            self.strands[node.output] = Strand(whole, first, size)
            first += size

    # ---------------------------------------------------------------------------------- nodes

    def alone(self, node: Node) -> None:
        if self._is_cut(node):
            held, attrs = self.strand(node.inputs[0]), node.resolved
            size = _first(node.output.type)
            start = attrs.start if attrs.start >= 0 else held.size + attrs.start
            self.strands[node.output] = Strand(held.whole, held.first + start, size)
            return
        if node.op.name == "add" and self._sum(node):
            return
        for value in node.inputs:
            self.value(value)
        self.maker.copy(node)

    def _is_cut(self, node: Node) -> bool:
        if node.op.name != "slice" or node.resolved.axis != 0:
            return False
        return all(self.can_join(v.type) for v in (node.output, node.inputs[0]))

    def _sum(self, node: Node) -> bool:
        """A sum of strands that are one whole is a sum over them."""
        types = {v.type for v in node.inputs}
        count = len(node.inputs)
        if count < 2 or len(types) > 1 or not self.can_join(node.output.type):
            return False
        whole = self.side_by_side(node.inputs)
        if whole is None:
            return False
        shape = (count, *node.output.type.features)
        apart = self.maker.add("reshape", [whole], {"shape": shape}, node)
        self.maker.values[node.output] = self.maker.add(
            "reduce", [apart], {"how": "sum", "axis": 0}, node
        )
        return True

    def joined(self, nodes: Sequence[Node]) -> bool:
        """Make one node of several that are alike; whether that was done."""
        rule = _RULES.get(nodes[0].op.name)
        known = all(self.can_join(v.type) for node in nodes for v in (*node.inputs, *node.outputs))
        return known and rule is not None and rule(self, nodes)

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

    def mixed(self, mix: Mix) -> bool:
        """All y_j at once, by a product of matrices or one layer."""
        types = {value.type for value in (*mix.values, *(node.output for node in mix.sums))}
        if not all(map(self.can_join, types)) or (mix.layers and not _is_small(mix)):
            return False
        values = self.side_by_side(mix.values)
        gates = self.side_by_side([gate for row in mix.gates for gate in row])
        if values is None or gates is None or gates.type.batch != values.type.batch:
            return False
        m, n, count = len(mix.values), len(mix.sums), _count(mix.values[0].type)
        rows = self.add(mix.sums, "reshape", [values], {"shape": (m, count)})
        shares = self.add(mix.sums, "reshape", [gates], {"shape": (m, n)})
        shares = self.add(mix.sums, "transpose", [shares], {"order": (1, 0)})
        if mix.layers:
            self.part(mix.sums, self._predicted(mix, mix.layers, rows, shares))
            return True
        mixed = self.add(mix.sums, "matmul", [shares, rows], {})
        channels, *rest = mix.sums[0].output.type.features
        shape = (n * channels, *rest)
        self.part(mix.sums, self.add(mix.sums, "reshape", [mixed], {"shape": shape}))
        return True

    def _predicted(
        self, mix: Mix, layers: Sequence[Sequence[Node]], rows: Value, shares: Value
    ) -> Value:
        """y_j = sum of g_ij f_ij(x_i): layers are linear but for their bias, so that scaled inputs
        side by side go through one of them, and the sum is its own."""
        m, n, first = len(layers), len(layers[0]), layers[0][0]
        channels, *rest = mix.values[0].type.features
        columns = self.add(mix.sums, "reshape", [rows], {"shape": (1, *rows.type.features)})
        each = self.add(mix.sums, "reshape", [shares], {"shape": (n, m, 1)})
        scaled = self.add(mix.sums, "mul", [columns, each], {})
        inputs = self.add(mix.sums, "reshape", [scaled], {"shape": (n * m * channels, *rest)})
        nodes = [layers[i][j] for j in range(n) for i in range(m)]
        attrs, weight = first.resolved, first.params[0].shape
        pairs = [
            Joined(
                tuple(Held(f"{layers[i][j].address}.weight") for i in range(m)),
                (weight[1],) * m, 1,
            )
            for j in range(n)
        ]  # fmt: skip
        if first.op.name == "conv":
            changed = {**attrs, "filters": n * attrs.filters, "groups": n, "bias": False}
            joint: Source = Joined(tuple(pairs), (weight[0],) * n)
        else:
            changed = {**attrs, "units": n * attrs.units, "bias": False}
            joint = Diagonal(tuple(pairs), ((weight[0], m * weight[1]),) * n)
        found = self.add(nodes, first.op, [inputs], changed, {"weight": joint})
        return self._biased(mix, layers, found, shares) if attrs.bias else found

    def _biased(
        self, mix: Mix, layers: Sequence[Sequence[Node]], found: Value, shares: Value
    ) -> Value:
        """And the sum of g_ij b_ij."""
        m, n, units = len(layers), len(layers[0]), layers[0][0].params[0].shape[0]
        columns = [
            Joined(
                tuple(Column(Held(f"{layers[i][j].address}.bias")) for i in range(m)), (1,) * m, 1
            )
            for j in range(n)
        ]
        weight = Diagonal(tuple(columns), ((units, m),) * n)
        flat = self.add(mix.sums, "reshape", [shares], {"shape": (n * m,)})
        bias = self.add(
            mix.sums, "linear", [flat], {"units": n * units, "bias": False}, {"weight": weight}
        )
        ones = (1,) * (found.type.rank - 1)
        shaped = self.add(mix.sums, "reshape", [bias], {"shape": (n * units, *ones)})
        return self.add(mix.sums, "add", [found, shaped], {})


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


def _depths(graph: Graph) -> dict[Node, int]:
    """How many nodes lie before each at most: of two at one depth, neither needs the other."""
    found: dict[Node, int] = {}
    for node in graph.live():
        found[node] = 1 + max((found[v.node] for v in node.inputs), default=0)
    return found


def _likeness(node: Node) -> tuple[Any, ...]:
    """What is equal for nodes that can be one."""
    return (
        node.op.name, tuple(node.resolved.items()), tuple(v.type for v in node.inputs),
        tuple((p.name, p.shape) for p in node.params),
    )  # fmt: skip


def _is_small(mix: Mix) -> bool:
    """Whether the matrices that layers would be blocks of are not mostly zeros."""
    assert mix.layers is not None
    layer, m, n = mix.layers[0][0], len(mix.layers), len(mix.layers[0])
    return layer.op.name != "linear" or prod(layer.params[0].shape) * m * n * n <= _DENSE


def _count(t: TensorType) -> int:
    return prod(map(int, t.features))  # type: ignore[arg-type]


def _first(t: TensorType) -> int:
    """The size of the first axis, which is known."""
    size = t.features[0]
    assert isinstance(size, int)
    return size


# ------------------------------------------------------------------------------------------ rules

Rule = Callable[[_Joiner, Sequence[Node]], bool]


def _params(nodes: Sequence[Node]) -> dict[str, Source]:
    """Those of all nodes, joined along their first axis."""
    found: dict[str, Source] = {}
    for each in zip(*(node.params for node in nodes), strict=True):
        name = each[0].name
        held = tuple(Held(f"{node.address}.{name}") for node in nodes)
        if each[0].kind != "counter":
            found[name] = Joined(held, tuple(param.shape[0] for param in each))
    return found


def _wholes(joiner: _Joiner, nodes: Sequence[Node]) -> list[Value] | None:
    """What is read, input by input; None where one is not side by side."""
    found = []
    for values in zip(*(node.inputs for node in nodes), strict=True):
        whole = joiner.side_by_side(values)
        if whole is None:
            return None
        found.append(whole)
    return found


def _is_shared(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    """Whether all read one value."""
    return len({joiner.strand(node.inputs[0]) for node in nodes}) == 1


def _elementwise(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    if nodes[0].op.name == "mul" and len(nodes[0].inputs) == 2:
        value, gate = nodes[0].inputs
        if _count(gate.type) == 1 and value.type == nodes[0].output.type != gate.type:
            return _gated(joiner, nodes)
    if any(v.type != nodes[0].output.type for v in nodes[0].inputs):
        return False
    return _direct(joiner, nodes)


def _gated(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    """Values times a number each, or one value times all of these."""
    is_shared, value = _is_shared(joiner, nodes), nodes[0].inputs[0]
    count, size = (1 if is_shared else len(nodes)), _count(value.type)
    values = (
        joiner.value(value)
        if is_shared
        else joiner.side_by_side([node.inputs[0] for node in nodes])
    )
    gates = joiner.side_by_side([node.inputs[1] for node in nodes])
    if values is None or gates is None:
        return False
    rows = joiner.add(nodes, "reshape", [values], {"shape": (count, size)})
    shares = joiner.add(nodes, "reshape", [gates], {"shape": (len(nodes), 1)})
    each = joiner.add(nodes, "mul", [rows, shares], {})
    first, *rest = value.type.features
    shape = (len(nodes) * first, *rest)
    joiner.part(nodes, joiner.add(nodes, "reshape", [each], {"shape": shape}))
    return True


def _direct(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    wholes = _wholes(joiner, nodes)
    if wholes is None:
        return False
    joiner.part(nodes, joiner.add(nodes, nodes[0].op, wholes, nodes[0].resolved))
    return True


def _reduce(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    return 0 not in nodes[0].resolved.axis and _direct(joiner, nodes)


def _softmax(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    node = nodes[0]
    if node.output.type.rank > 1:
        return node.resolved.axis != 0 and _direct(joiner, nodes)
    wholes = _wholes(joiner, nodes)
    if wholes is None:
        return False
    count, size = len(nodes), node.output.type.features[0]
    rows = joiner.add(nodes, "reshape", wholes, {"shape": (count, size)})
    shares = joiner.add(nodes, node.op, [rows], {"axis": 1})
    joiner.part(nodes, joiner.add(nodes, "reshape", [shares], {"shape": (count * size,)}))
    return True


def _reshape(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    wholes = _wholes(joiner, nodes)
    if wholes is None:
        return False
    first, *rest = nodes[0].output.type.features
    shape = (len(nodes) * first, *rest)
    joiner.part(nodes, joiner.add(nodes, "reshape", wholes, {"shape": shape}))
    return True


def _norm(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    wholes = _wholes(joiner, nodes)
    if wholes is None or nodes[0].resolved.axis != 0:
        return False
    params = {**_params(nodes), "num_batches_tracked": Zeros()}
    joiner.part(nodes, joiner.add(nodes, "bn", wholes, nodes[0].resolved, params))
    return True


def _conv(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    node, attrs = nodes[0], nodes[0].resolved
    if _is_shared(joiner, nodes) and attrs.groups == 1:
        wholes, groups = [joiner.value(node.inputs[0])], 1
    else:
        found = _wholes(joiner, nodes)
        if found is None:
            return False
        wholes, groups = found, attrs.groups * len(nodes)
    filters = sum(_first(node.output.type) for node in nodes)
    changed = {**attrs, "filters": filters, "groups": groups}
    joiner.part(nodes, joiner.add(nodes, node.op, wholes, changed, _params(nodes)))
    return True


def _linear(joiner: _Joiner, nodes: Sequence[Node]) -> bool:
    node, attrs = nodes[0], nodes[0].resolved
    if node.output.type.rank > 1:
        return False
    count, (units, features) = len(nodes), node.params[0].shape
    params = _params(nodes)
    if _is_shared(joiner, nodes):
        wholes = [joiner.value(node.inputs[0])]
    else:
        found = _wholes(joiner, nodes)
        if found is None or count * units * count * features > _DENSE:
            return False
        wholes = found
        blocks = tuple(Held(f"{node.address}.weight") for node in nodes)
        params["weight"] = Diagonal(blocks, ((units, features),) * count)
    changed = {**attrs, "units": sum(_first(node.output.type) for node in nodes)}
    joiner.part(nodes, joiner.add(nodes, node.op, wholes, changed, params))
    return True


_RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(SPATIAL, _direct),
    "bn": _norm,
    "conv": _conv,
    "linear": _linear,
    "reduce": _reduce,
    "reshape": _reshape,
    "softmax": _softmax,
    "logsoftmax": _softmax,
}
