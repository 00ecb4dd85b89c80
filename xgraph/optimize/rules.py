"""How operations that are alike become one on values side by side, op by op. A rule says whether
it could."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xgraph.ir.graph import Node, Value
from xgraph.ops.common import ELEMENTWISE
from xgraph.optimize.shares import Shares
from xgraph.optimize.sources import Diagonal, Held, Joined, Source, Zeros
from xgraph.optimize.strands import Strands, count_of, first_of

SPATIAL = frozenset(("maxpool", "avgpool", "upsample", "pad"))
DENSE = 2**17
"""Of more numbers, a matrix of blocks is not made: most of it would be zeros."""

Join = Callable[[Strands, Sequence[Node]], bool]


def params_of(nodes: Sequence[Node]) -> dict[str, Source]:
    """Those of all nodes, joined along their first axis."""
    found: dict[str, Source] = {}
    for each in zip(*(node.params for node in nodes), strict=True):
        name = each[0].name
        held = tuple(Held(f"{node.address}.{name}") for node in nodes)
        if each[0].kind != "counter":
            found[name] = Joined(held, tuple(param.shape[0] for param in each))
    return found


def _wholes(
    strands: Strands, nodes: Sequence[Node], saved: float | None = None
) -> list[Value] | None:
    """What is read, input by input; None where one is not side by side, and bringing it so takes
    longer than is saved: the calls of all nodes but one, if nothing else is told."""
    found = []
    told = (len(nodes) - 1) * strands.costs.call if saved is None else saved
    for values in zip(*(node.inputs for node in nodes), strict=True):
        whole = strands.side_by_side(values, told)
        if whole is None:
            return None
        found.append(whole)
    return found


def _is_shared(strands: Strands, nodes: Sequence[Node]) -> bool:
    """Whether all read one value."""
    return len({strands.strand(node.inputs[0]) for node in nodes}) == 1


def _pays_wider(strands: Strands, nodes: Sequence[Node]) -> bool:
    """Whether one layer for several of one value saves more than its output takes to be cut; those
    of one width are likely to be read side by side."""
    if len({node.output.type for node in nodes}) == 1:
        return True
    made = sum(count_of(node.output.type) for node in nodes)
    read = count_of(nodes[0].inputs[0].type)
    return (len(nodes) - 1) * strands.costs.copy(read) > strands.costs.copy(made)


def _elementwise(strands: Strands, nodes: Sequence[Node]) -> bool:
    if nodes[0].op.name == "mul" and len(nodes[0].inputs) == 2:
        value, gate = nodes[0].inputs
        if count_of(gate.type) == 1 and value.type == nodes[0].output.type != gate.type:
            return _gated(strands, nodes)
    if any(v.type != nodes[0].output.type for v in nodes[0].inputs):
        return False
    return _direct(strands, nodes)


def _gated(strands: Strands, nodes: Sequence[Node]) -> bool:
    """Values times a number each, or one value times all of these."""
    is_shared, value = _is_shared(strands, nodes), nodes[0].inputs[0]
    saved = (len(nodes) - 1) * strands.costs.call
    values = (
        strands.value(value)
        if is_shared
        else strands.side_by_side([node.inputs[0] for node in nodes], saved)
    )
    gates = strands.side_by_side([node.inputs[1] for node in nodes], saved)
    if values is None or gates is None:
        return False
    shape = (len(nodes), 1) if is_shared else (1, len(nodes))
    shares = strands.add(nodes, "reshape", [gates], {"shape": shape})
    strands.part(nodes, Shares(strands, nodes, values, shares).products())
    return True


def _direct(strands: Strands, nodes: Sequence[Node]) -> bool:
    wholes = _wholes(strands, nodes)
    if wholes is None:
        return False
    strands.part(nodes, strands.add(nodes, nodes[0].op, wholes, nodes[0].resolved))
    return True


def _reduce(strands: Strands, nodes: Sequence[Node]) -> bool:
    return 0 not in nodes[0].resolved.axis and _direct(strands, nodes)


def _softmax(strands: Strands, nodes: Sequence[Node]) -> bool:
    node = nodes[0]
    if node.output.type.rank > 1:
        return node.resolved.axis != 0 and _direct(strands, nodes)
    wholes = _wholes(strands, nodes)
    if wholes is None:
        return False
    count, size = len(nodes), node.output.type.features[0]
    rows = strands.add(nodes, "reshape", wholes, {"shape": (count, size)})
    shares = strands.add(nodes, node.op, [rows], {"axis": 1})
    strands.part(nodes, strands.add(nodes, "reshape", [shares], {"shape": (count * size,)}))
    return True


def _reshape(strands: Strands, nodes: Sequence[Node]) -> bool:
    wholes = _wholes(strands, nodes)
    if wholes is None:
        return False
    first, *rest = nodes[0].output.type.features
    shape = (len(nodes) * first, *rest)
    strands.part(nodes, strands.add(nodes, "reshape", wholes, {"shape": shape}))
    return True


def _norm(strands: Strands, nodes: Sequence[Node]) -> bool:
    wholes = _wholes(strands, nodes)
    if wholes is None or nodes[0].resolved.axis != 0:
        return False
    params = {**params_of(nodes), "num_batches_tracked": Zeros()}
    strands.part(nodes, strands.add(nodes, "bn", wholes, nodes[0].resolved, params))
    return True


def _conv(strands: Strands, nodes: Sequence[Node]) -> bool:
    node, attrs = nodes[0], nodes[0].resolved
    if _is_shared(strands, nodes) and attrs.groups == 1:
        if not _pays_wider(strands, nodes):
            return False
        wholes, groups = [strands.value(node.inputs[0])], 1
    else:
        saved = strands.costs.saved(nodes) if attrs.groups == 1 else None
        found = _wholes(strands, nodes, saved)
        if found is None:
            return False
        wholes, groups = found, attrs.groups * len(nodes)
    filters = sum(first_of(node.output.type) for node in nodes)
    changed = {**attrs, "filters": filters, "groups": groups}
    strands.part(nodes, strands.add(nodes, node.op, wholes, changed, params_of(nodes)))
    return True


def _linear(strands: Strands, nodes: Sequence[Node]) -> bool:
    node, attrs = nodes[0], nodes[0].resolved
    if node.output.type.rank > 1:
        return False
    count, (units, features) = len(nodes), node.params[0].shape
    params = params_of(nodes)
    if _is_shared(strands, nodes):
        if not _pays_wider(strands, nodes):
            return False
        wholes = [strands.value(node.inputs[0])]
    else:
        if count * units * count * features > DENSE:
            return False
        found = _wholes(strands, nodes, strands.costs.saved(nodes))
        if found is None:
            return False
        wholes = found
        blocks = tuple(Held(f"{node.address}.weight") for node in nodes)
        params["weight"] = Diagonal(blocks, ((units, features),) * count)
    changed = {**attrs, "units": sum(first_of(node.output.type) for node in nodes)}
    strands.part(nodes, strands.add(nodes, node.op, wholes, changed, params))
    return True


def add_up(strands: Strands, node: Node) -> bool:
    """A sum of strands that are one whole is a sum over them."""
    types = {v.type for v in node.inputs}
    count = len(node.inputs)
    if count < 2 or len(types) > 1 or not strands.can_join(node.output.type):
        return False
    whole = strands.side_by_side(node.inputs, (count - 1) * strands.costs.call)
    if whole is None:
        return False
    shape = (count, *node.output.type.features)
    apart = strands.maker.add("reshape", [whole], {"shape": shape}, node)
    strands.maker.values[node.output] = strands.maker.add(
        "reduce", [apart], {"how": "sum", "axis": 0}, node
    )
    return True


JOINS: dict[str, Join] = {
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
