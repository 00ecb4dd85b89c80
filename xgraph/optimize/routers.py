"""What routers do, on values side by side: all y_j of a mix (`mixes`) at once, by sums over shares
or one layer."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xgraph.ir.graph import Node, Value
from xgraph.optimize.mixes import Mix
from xgraph.optimize.rules import DENSE
from xgraph.optimize.shares import Shares
from xgraph.optimize.sources import Column, Diagonal, Held, Joined, Source
from xgraph.optimize.strands import Strands, count_of


def mixed(strands: Strands, mix: Mix) -> bool:
    """All y_j at once."""
    types = {value.type for value in (*mix.values, *(node.output for node in mix.sums))}
    if not all(map(strands.can_join, types)) or (mix.layers and not _is_small(mix)):
        return False
    gate, *others = {gate.type for row in mix.gates for gate in row}
    of_data = gate.batch == mix.values[0].type.batch
    if others or not (of_data or (gate.batch == 1 and not mix.layers)):
        return False
    m, n, count = len(mix.values), len(mix.sums), count_of(mix.values[0].type)
    saved = 2 * m * n * strands.costs.copy(count)  # each product, and each term of a sum
    values = strands.side_by_side(mix.values, saved)
    gates = strands.side_by_side([gate for row in mix.gates for gate in row], saved)
    if values is None or gates is None:
        return False
    table = strands.add(mix.sums, "reshape", [gates], {"shape": (m, n)})
    shares = strands.add(mix.sums, "transpose", [table], {"order": (1, 0)})
    given = Shares(strands, mix.sums, values, shares)
    whole = (
        _predicted(strands, mix, mix.layers, given.products(), shares)
        if mix.layers
        else given.sums()
    )
    strands.part(mix.sums, whole)
    return True


def _predicted(
    strands: Strands, mix: Mix, layers: Sequence[Sequence[Node]], inputs: Value, shares: Value
) -> Value:
    """y_j = sum of g_ij f_ij(x_i): layers are linear but for their bias, so that scaled inputs
    side by side go through one of them, and the sum is its own."""
    m, n, first = len(layers), len(layers[0]), layers[0][0]
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
    found = strands.add(nodes, first.op, [inputs], changed, {"weight": joint})
    return _biased(strands, mix, layers, found, shares) if attrs.bias else found


def _biased(
    strands: Strands, mix: Mix, layers: Sequence[Sequence[Node]], found: Value, shares: Value
) -> Value:
    """And the sum of g_ij b_ij."""
    m, n, units = len(layers), len(layers[0]), layers[0][0].params[0].shape[0]
    columns = [
        Joined(tuple(Column(Held(f"{layers[i][j].address}.bias")) for i in range(m)), (1,) * m, 1)
        for j in range(n)
    ]
    weight = Diagonal(tuple(columns), ((units, m),) * n)
    flat = strands.add(mix.sums, "reshape", [shares], {"shape": (n * m,)})
    bias = strands.add(
        mix.sums, "linear", [flat], {"units": n * units, "bias": False}, {"weight": weight}
    )
    ones = (1,) * (found.type.rank - 1)
    shaped = strands.add(mix.sums, "reshape", [bias], {"shape": (n * units, *ones)})
    return strands.add(mix.sums, "add", [found, shaped], {})


def _is_small(mix: Mix) -> bool:
    """Whether the matrices that layers would be blocks of are not mostly zeros."""
    assert mix.layers is not None
    layer, m, n = mix.layers[0][0], len(mix.layers), len(mix.layers[0])
    return layer.op.name != "linear" or prod(layer.params[0].shape) * m * n * n <= DENSE
