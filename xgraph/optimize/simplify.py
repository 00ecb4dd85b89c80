"""`simplify`: what two operations do that one can, or none, as a table of small rules.

A rule looks at a node and at what stands right before it; see `rewrite`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import isfinite
from typing import Any

from xgraph.ir.attrs import MAX_REAL
from xgraph.ir.graph import Node, Value
from xgraph.ir.types import axis_name
from xgraph.optimize.network import Optimized
from xgraph.optimize.norms import output_axis
from xgraph.optimize.rewrite import Expression, New, Rewriter, Rule, rewrite
from xgraph.optimize.views import affine, is_moderate

MANY = 16
"""Nested sums, products and concats become one of so many inputs at most."""


def simplify(network: Optimized) -> Optimized:
    """In one walk, in which what a rule made goes through the rules itself."""
    return rewrite(network, RULES)


# ------------------------------------------------------------------------ one value or number


def itself(_: Rewriter, node: Node) -> Expression | None:
    """What does nothing at inference."""
    return node.inputs[0]


def same_type(_: Rewriter, node: Node) -> Expression | None:
    """`reshape` to the shape it has, `slice` of the whole, `pad` by 0, `upsample` by 1."""
    (value,) = node.inputs
    return value if str(value.type) == str(node.output.type) else None


def one_input(_: Rewriter, node: Node) -> Expression | None:
    return node.inputs[0] if len(node.inputs) == 1 else None


def pool_of_one(_: Rewriter, node: Node) -> Expression | None:
    attrs = node.resolved
    is_one = all(size == 1 for size in (*attrs.kernel, *attrs.stride))
    return node.inputs[0] if is_one and not any(map(any, attrs.pad)) else None


def scale_by_one(_: Rewriter, node: Node) -> Expression | None:
    attrs = node.resolved
    return node.inputs[0] if (attrs.factor, attrs.offset) == (1.0, 0.0) else None


def scale_twice(_: Rewriter, node: Node) -> Expression | None:
    (value,), attrs = node.inputs, node.resolved
    if value.node.op.name != "scale":
        return None
    inner = value.node.resolved
    factor = inner.factor * attrs.factor
    offset = inner.offset * attrs.factor + attrs.offset
    if not _fits(factor) or not _fits(offset):
        return None
    return New("scale", value.node.inputs, {"factor": factor, "offset": offset})


def _fits(number: float) -> bool:
    return isfinite(number) and (not number or 1 / MAX_REAL < abs(number) <= MAX_REAL)


_POSITIVE = frozenset(("relu", "sigmoid", "softmax"))


def of_positive(_: Rewriter, node: Node) -> Expression | None:
    """`relu` and its like do nothing to what is 0 or more."""
    (value,) = node.inputs
    return value if value.node.op.name in _POSITIVE else None


def reduce_of_one(_: Rewriter, node: Node) -> Expression | None:
    """Over axes of size 1."""
    (value,), attrs = node.inputs, node.resolved
    if any(_size(value, axis) != 1 for axis in attrs.axis):
        return None
    return New("reshape", [value], {"shape": node.output.type.features})


def share_of_one(_: Rewriter, node: Node) -> Expression | None:
    """`softmax` over one number is 1."""
    (value,) = node.inputs
    if _size(value, node.resolved.axis) != 1:
        return None
    is_log = node.op.name == "logsoftmax"
    return New("scale", [value], {"factor": 0.0, "offset": 0.0 if is_log else 1.0})


def _size(value: Value, axis: int) -> Any:
    return value.type.features[axis]


# ------------------------------------------------------------------------------ known numbers

_KEEPS = frozenset(("reshape", "transpose", "slice"))


def _number(rewriter: Rewriter, value: Value) -> float | None:
    """What all numbers of a value are, where that is known."""
    known, path = rewriter.known, [value]
    while path[-1] not in known and path[-1].node.op.name in _KEEPS:
        path += path[-1].node.inputs
    node = path[-1].node
    if path[-1] not in known:
        is_known = node.op.name == "scale" and node.resolved.factor == 0.0
        known[path[-1]] = node.resolved.offset if is_known else None
    number: float | None = known[path[-1]]
    known.update(dict.fromkeys(path, number))
    return number


def with_neutral(rewriter: Rewriter, node: Node) -> Expression | None:
    """A sum with 0, or a product with 1, is one of what is left."""
    neutral = 0.0 if node.op.name == "add" else 1.0
    kept = [v for v in node.inputs if _number(rewriter, v) != neutral]
    if len(kept) == len(node.inputs) or not kept:
        return None
    return New(node.op.name, kept) if len(kept) > 1 else kept[0]


def times_number(rewriter: Rewriter, node: Node) -> Expression | None:
    if len(node.inputs) != 2:
        return None
    for value, other in (node.inputs, node.inputs[::-1]):
        number = _number(rewriter, other)
        if number is not None and value.type == node.output.type:
            return New("scale", [value], {"factor": number})
    return None


# ------------------------------------------------------------------------ two that are alike


def nested(rewriter: Rewriter, node: Node) -> Expression | None:
    """A sum in a sum, a concat in a concat."""
    if len(node.inputs) > MANY:
        return None
    found: list[Expression] = []
    for value in node.inputs:
        inner = value.node
        is_part = (
            inner.op is node.op
            and inner.resolved == node.resolved
            and (node.op.name == "concat" or value.type == node.output.type)
            and len(found) + len(inner.inputs) <= MANY
            and rewriter.is_sole(value)
        )
        found += inner.inputs if is_part else [value]
    return New(node.op.name, found, node.attrs) if len(found) > len(node.inputs) else None


def max_of_same(_: Rewriter, node: Node) -> Expression | None:
    kept = tuple(dict.fromkeys(node.inputs))
    return New("max", kept) if len(kept) < len(node.inputs) else None


def reshape_twice(_: Rewriter, node: Node) -> Expression | None:
    inner = node.inputs[0].node
    return New("reshape", inner.inputs, node.attrs) if inner.op is node.op else None


def transpose_twice(_: Rewriter, node: Node) -> Expression | None:
    inner = node.inputs[0].node
    if inner.op is not node.op:
        return None
    order = tuple(inner.resolved.order[axis] for axis in node.resolved.order)
    return New("transpose", inner.inputs, {"order": order})


def transpose_of_nothing(_: Rewriter, node: Node) -> Expression | None:
    order = list(node.resolved.order)
    return node.inputs[0] if order == sorted(order) else None


def pad_twice(_: Rewriter, node: Node) -> Expression | None:
    inner = node.inputs[0].node
    if inner.op is not node.op or inner.resolved.value != node.resolved.value:
        return None
    amount = _both(inner.resolved.amount, node.resolved.amount)
    return New("pad", inner.inputs, {**node.attrs, "amount": amount})


def _both(a: Sequence[tuple[int, int]], b: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
    pairs = zip(a, b, strict=True)
    return tuple((one[0] + two[0], one[1] + two[1]) for one, two in pairs)


def joined_steps(_: Rewriter, node: Node) -> Expression | None:
    """`each T` behind `each T`: the axis that went out goes in again."""
    (value,) = node.inputs
    names = [axis_name(dim) for dim in value.type.features]
    is_same = value.node.op.name == "each_out" and names[0] == node.attrs.axis
    return value.node.inputs[0] if is_same and names.count(names[0]) == 1 else None


# -------------------------------------------------------------------------- slices and concats


def _ends(value: Value, attrs: Any) -> tuple[int, int] | None:
    """First and last place of a slice, of an axis whose size is known."""
    size = _size(value, attrs.axis)
    if not isinstance(size, int):
        return None
    start, stop, _ = slice(attrs.start, attrs.stop).indices(size)
    return start, stop


def _slice(value: Expression, start: int, stop: int, axis: int) -> New:
    return New("slice", [value], {"start": start, "stop": stop, "axis": axis})


def slice_twice(_: Rewriter, node: Node) -> Expression | None:
    (value,), attrs = node.inputs, node.resolved
    inner = value.node
    if inner.op is not node.op or inner.resolved.axis != attrs.axis:
        return None
    ends, before = _ends(value, attrs), _ends(inner.inputs[0], inner.resolved)
    if ends is None or before is None:
        return None
    return _slice(inner.inputs[0], before[0] + ends[0], before[0] + ends[1], attrs.axis)


def slice_of_concat(rewriter: Rewriter, node: Node) -> Expression | None:
    """Of one part, or of parts as they are."""
    (value,), attrs = node.inputs, node.resolved
    concat, ends = value.node, _ends(value, attrs)
    if concat.op.name != "concat" or concat.resolved.axis != attrs.axis or ends is None:
        return None
    if concat not in rewriter.known:
        sizes = (_size(part, attrs.axis) for part in concat.inputs)
        rewriter.known[concat] = list(accumulate(sizes, initial=0))
    starts = rewriter.known[concat]
    first, last = bisect_right(starts, ends[0]) - 1, bisect_right(starts, ends[1] - 1) - 1
    if first == last:
        at = starts[first]
        return _slice(concat.inputs[first], ends[0] - at, ends[1] - at, attrs.axis)
    if (starts[first], starts[last + 1]) == ends and rewriter.is_sole(value):
        return New("concat", concat.inputs[first : last + 1], {"axis": attrs.axis})
    return None


def concat_of_slices(_: Rewriter, node: Node) -> Expression | None:
    """Parts of one value in a row are one part."""
    axis = node.resolved.axis
    found: list[Expression] = []
    whole, start, stop = None, 0, 0
    for value in node.inputs:
        inner = value.node
        is_part = inner.op.name == "slice" and inner.resolved.axis == axis
        ends = _ends(inner.inputs[0], inner.resolved) if is_part else None
        if ends is None:
            whole = None
            found.append(value)
        elif inner.inputs[0] is whole and ends[0] == stop:
            stop = ends[1]
            found[-1] = _slice(whole, start, stop, axis)
        else:
            whole, (start, stop) = inner.inputs[0], ends
            found.append(value)
    return New("concat", found, {"axis": axis}) if len(found) < len(node.inputs) else None


# ------------------------------------------------------------------------- into what layers do


def scale_of_layer(rewriter: Rewriter, node: Node) -> Expression | None:
    """A scale behind a layer becomes part of its weights."""
    (value,), attrs = node.inputs, node.resolved
    layer = value.node
    if not _is_layer(layer) or not rewriter.is_sole(value):
        return None
    held = rewriter.sources(layer)
    sources = {**held, "weight": affine(held["weight"], attrs.factor)}
    if not is_moderate(sources["weight"]):
        return None
    if "bias" in held or attrs.offset:
        size = _size(value, output_axis(layer) or 0)
        sources["bias"] = affine(held.get("bias"), attrs.factor, attrs.offset, size)
    changed = {} if layer.op.name == "bn" else {"bias": "bias" in sources}
    return New(layer.op.name, layer.inputs, {**layer.attrs, **changed}, sources, layer)


def _is_layer(node: Node) -> bool:
    return node.op.name == "deconv" or output_axis(node) is not None


def layer_of_scale(rewriter: Rewriter, node: Node) -> Expression | None:
    """A factor before a layer, too."""
    inner = node.inputs[0].node
    if inner.op.name != "scale" or not rewriter.is_sole(node.inputs[0]):
        return None
    held = rewriter.sources(node)
    sources = {**held, "weight": affine(held["weight"], inner.resolved.factor)}
    if inner.resolved.offset or not is_moderate(sources["weight"]):
        return None
    return New(node.op.name, inner.inputs, node.attrs, sources, node)


def conv_of_pad(rewriter: Rewriter, node: Node) -> Expression | None:
    """Zeros around maps are what a convolution may add itself."""
    inner = node.inputs[0].node
    if inner.op.name != "pad" or inner.resolved.value:
        return None
    attrs = {**node.attrs, "pad": _both(inner.resolved.amount, node.resolved.pad)}
    return New("conv", inner.inputs, attrs, rewriter.sources(node), node)


RULES: dict[str, tuple[Rule, ...]] = {
    "identity": (itself,),
    "dropout": (itself,),
    "relu": (of_positive,),
    "leakyrelu": (of_positive,),
    "prelu": (of_positive,),
    "elu": (of_positive,),
    "scale": (scale_by_one, scale_twice, scale_of_layer),
    "add": (one_input, with_neutral, nested),
    "mul": (one_input, with_neutral, times_number, nested),
    "max": (one_input, max_of_same, nested),
    "softmax": (share_of_one,),
    "logsoftmax": (share_of_one,),
    "reduce": (reduce_of_one,),
    "maxpool": (pool_of_one,),
    "avgpool": (pool_of_one,),
    "reshape": (same_type, reshape_twice),
    "transpose": (transpose_of_nothing, transpose_twice),
    "pad": (same_type, pad_twice),
    "upsample": (same_type,),
    "each_in": (joined_steps,),
    "slice": (same_type, slice_twice, slice_of_concat),
    "concat": (one_input, nested, concat_of_slices),
    "conv": (conv_of_pad, layer_of_scale),
    "linear": (layer_of_scale,),
    "deconv": (layer_of_scale,),
}
