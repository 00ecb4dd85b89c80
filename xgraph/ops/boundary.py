"""Where values enter: modalities, and the two ends of `each`."""

from __future__ import annotations

from xgraph.ir.attrs import Attrs, Choice, Shape, Text
from xgraph.ir.op import Attr, Fault, OpSpec, Port, Types
from xgraph.ir.types import DType, TensorType, divide, is_empty, parse_dim
from xgraph.ops.common import axis_index, shape


def _infer_input(types: Types, a: Attrs) -> TensorType:
    t = TensorType(tuple(a.shape), DType(a.dtype))
    if any(map(is_empty, t.shape)):
        raise Fault(f"a modality of shape {shape(t)} is always empty", id="empty-value")
    return t


INPUT = OpSpec(
    "input",
    "a modality",
    "",
    inputs=(),
    attrs=(
        Attr("shape", Shape(), doc="its shape, the batch included"),
        Attr("dtype", Choice(tuple(d.value for d in DType)), "f32"),
    ),
    infer=_infer_input,
    hidden=True,
)


def _infer_enter(types: Types, a: Attrs) -> TensorType:
    axis = axis_index("each", a.axis, types[0])
    rest = [d for i, d in enumerate(types[0].features) if i != axis]
    return types[0].with_shape(types[0].batch * types[0].features[axis], *rest)


ENTER = OpSpec(
    "each_in",
    "an axis folded into the batch",
    "",
    inputs=(Port("x", dtype=None),),
    attrs=(Attr("axis", Text()),),
    infer=_infer_enter,
    hidden=True,
)


def _infer_leave(types: Types, a: Attrs) -> TensorType:
    try:
        size = parse_dim(a.size)
    except ValueError as error:
        raise Fault(str(error), id="bad-attribute", attr="size") from None
    batch = divide(types[0].batch, size)
    if batch is None:
        raise Fault(f"cannot take the axis of size {size} out of {shape(types[0])}", input=0)
    return types[0].with_shape(batch, size, *types[0].features)


LEAVE = OpSpec(
    "each_out",
    "that axis out of the batch again, as the first",
    "",
    inputs=(Port("x", dtype=None),),
    attrs=(Attr("size", Text(), doc="the axis, as a size prints"),),
    infer=_infer_leave,
    hidden=True,
)

OPS = (INPUT, ENTER, LEAVE)
