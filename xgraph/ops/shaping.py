"""Ops that move values about and compute nothing."""

from __future__ import annotations

from typing import Any

from xgraph.ir.attrs import (
    Attrs,
    AttrValue,
    AxisRef,
    Choice,
    Integer,
    Integers,
    Parts,
    Real,
    Shape,
    Sizes,
)  # fmt: skip
from xgraph.ir.op import Attr, Fault, OpSpec, Port, Types
from xgraph.ir.types import Dim, Expr, TensorType, divide, product
from xgraph.ops.common import (
    axis_index,
    both_sides,
    known,
    maps,
    one_shape,
    per_axis,
    plain,
    resolve_axis,
    shape,
)

_ANY = (Port("x", dtype=None),)
_VALUES = (Port("values", variadic=True, dtype=None),)
_AXIS = Attr("axis", AxisRef(), 0)


def _resolve_reshape(types: Types, a: Attrs) -> dict[str, AttrValue]:
    t = types[0]
    total = product(t.features)
    rest = product(dim for dim in a.shape if not _is_rest(dim))
    if not any(map(_is_rest, a.shape)):
        if rest != total:
            raise Fault(
                f"`reshape` cannot bring {shape(t)} to {_sample(a.shape)}: {total} numbers a"
                f" sample are not {rest}",
                input=0,
            )
        return {}
    left = divide(total, rest)
    if left is None:
        raise Fault(
            f"`reshape` cannot bring {shape(t)} to {_sample(a.shape)}: {total} numbers a sample"
            f" do not part into {rest}",
            input=0,
        )
    return {"shape": tuple(left if _is_rest(dim) else dim for dim in a.shape)}


def _is_rest(dim: Dim) -> bool:
    return isinstance(dim, int) and dim == -1


def _sample(dims: tuple[Dim, ...]) -> str:
    return f"({', '.join(map(str, dims))})"


RESHAPE = OpSpec(
    "reshape",
    "the same numbers in another shape; -1 stands for what is left",
    "reshape(1, 28, 28)",
    inputs=_ANY,
    attrs=(Attr("shape", Shape(), doc="the shape of a sample", rest=True),),
    resolve=_resolve_reshape,
    infer=lambda types, a: types[0].with_features(*a.shape),
)


def _expand_flatten(b: Any, x: Any, a: Attrs) -> Any:
    return b("reshape", x[0], shape=(product(b.type(x[0]).features),))


FLATTEN = OpSpec("flatten", "a vector of all numbers", "flatten", expand=_expand_flatten)


def _infer_transpose(types: Types, a: Attrs) -> TensorType:
    t = types[0]
    if sorted(a.order) != list(range(t.rank)):
        raise Fault(
            f"`transpose` needs each of the axes 0 to {t.rank - 1} once, for shape {shape(t)}",
            id="bad-attribute",
            attr="order",
        )
    return t.with_features(*(t.features[i] for i in a.order))


TRANSPOSE = OpSpec(
    "transpose",
    "the axes in another order (0 is the first after the batch)",
    "transpose([1, 0])",
    inputs=_ANY,
    attrs=(Attr("order", Integers(0), doc="which axis goes where"),),
    infer=_infer_transpose,
)


def _infer_slice(types: Types, a: Attrs) -> TensorType:
    t = types[0]
    size = t.features[a.axis]
    length: Dim
    if isinstance(size, Expr):
        length = _open_length(size, a.start, a.stop)
    else:
        start, stop, _ = slice(a.start, a.stop).indices(size)
        length = stop - start
        if length < 1 or a.start < -size or (a.stop is not None and a.stop > size):
            raise Fault(
                f"`slice` from {a.start} to {'the end' if a.stop is None else a.stop} is not within"
                f" axis {a.axis} of {shape(t)}",
                id="out-of-range",
                input=0,
            )
    return t.with_features(*(length if i == a.axis else d for i, d in enumerate(t.features)))


def _open_length(size: Dim, start: int, stop: int | None) -> Dim:
    """The length of a slice of an axis whose size only the running network knows."""
    if stop is None:
        return -start if start < 0 else size - start if start else size
    if (start < 0) == (stop < 0):
        return stop - start
    raise Fault(
        f"`slice` from {start} to {stop} of an axis of size `{size}` has no known length",
        id="unknown-size",
        input=0,
        help="count both ends from the same side",
    )


SLICE = OpSpec(
    "slice",
    "a part of an axis, from `start` to before `stop`; negative ones count from its end. Of an axis"
    " whose size only the running network knows, that part must be there when it runs",
    "slice(0, 1)",
    inputs=_ANY,
    positional=2,
    attrs=(
        Attr("start", Integer(-(2**31) + 1), 0),
        Attr("stop", Integer(-(2**31) + 1), None, "none: to the end"),
        _AXIS,
    ),
    resolve=resolve_axis("slice"),
    infer=_infer_slice,
)


def _expand_split(b: Any, x: Any, a: Attrs) -> Any:
    axis = axis_index("split", a.axis, b.type(x[0]))
    size = known("split", b.type(x[0]).features[axis], "the size of the axis")
    if isinstance(a.parts, int):
        if size % a.parts:
            raise Fault(f"`split` cannot part {size} into {a.parts} equal parts", input=0)
        sizes: tuple[int, ...] = (size // a.parts,) * a.parts
    else:
        sizes = a.parts
    if sum(sizes) != size:
        raise Fault(f"the parts of `split` hold {sum(sizes)}, and the axis {size}", input=0)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return tuple(
        b("slice", x[0], start=end - n, stop=end, axis=axis)
        for n, end in zip(sizes, ends, strict=True)
    )


SPLIT = OpSpec(
    "split",
    "several values, each a part of an axis",
    "split(3)",
    inputs=_ANY,
    attrs=(
        Attr("parts", Parts(), doc="how many equal ones, or a list of their sizes"),
        _AXIS,
    ),
    expand=_expand_split,
    arity=lambda a: a.parts if isinstance(a.parts, int) else len(a.parts),
)


def _resolve_pad(types: Types, a: Attrs) -> dict[str, AttrValue]:
    return {"amount": both_sides("pad", "amount", a.amount, maps("pad", types[0]))}


def _infer_pad(types: Types, a: Attrs) -> TensorType:
    t = types[0]
    sizes = [d + low + high for d, (low, high) in zip(t.shape[2:], a.amount, strict=True)]
    return t.with_features(t.channels, *sizes)


PAD = OpSpec(
    "pad",
    "a border around the spatial axes",
    "pad(1)",
    attrs=(
        Attr(
            "amount",
            Sizes(0, pairs=True),
            doc="how much on each side",
        ),
        Attr("value", Real(), 0.0),
    ),
    resolve=_resolve_pad,
    infer=_infer_pad,
)


def _infer_upsample(types: Types, a: Attrs) -> TensorType:
    t = types[0]
    sizes = [d * f for d, f in zip(t.shape[2:], a.factor, strict=True)]
    return t.with_features(t.channels, *sizes)


def _resolve_upsample(types: Types, a: Attrs) -> dict[str, AttrValue]:
    axes = maps("upsample", types[0])
    return {"factor": per_axis("upsample", "factor", a.factor, axes)}


UPSAMPLE = OpSpec(
    "upsample",
    "larger maps, by repeating or by linear interpolation (corners not aligned)",
    "upsample(2)",
    attrs=(
        Attr("factor", Sizes(), doc="how many times larger"),
        Attr("mode", Choice(("nearest", "linear")), "nearest"),
    ),
    resolve=_resolve_upsample,
    infer=_infer_upsample,
)


def _infer_concat(types: Types, a: Attrs) -> TensorType:
    first = types[0]
    total: Dim = 0
    for i, t in enumerate(types):
        if t.rank != first.rank or t.dtype is not first.dtype or _others(t, a) != _others(first, a):
            raise Fault(
                f"`concat` along axis {a.axis} needs inputs that agree on every other axis:"
                f" {shape(first)} and {shape(t)} do not",
                input=i,
                help="bring them to one size first, or `flatten` both",
            )
        total = total + t.features[a.axis]
    if len(types) == 1:
        return first
    return first.with_features(*(total if i == a.axis else d for i, d in enumerate(first.features)))


def _others(t: TensorType, a: Attrs) -> tuple[Dim, ...]:
    return (t.batch, *(plain(d) for i, d in enumerate(t.features) if i != a.axis))


CONCAT = OpSpec(
    "concat",
    "values side by side along an axis",
    "concat(a, b)",
    inputs=_VALUES,
    attrs=(_AXIS,),
    resolve=resolve_axis("concat"),
    infer=_infer_concat,
)


def _expand_stack(b: Any, x: Any, a: Attrs) -> Any:
    one_shape("stack", b, x)
    return b("concat", *(b("reshape", v, shape=(1, *b.type(v).features)) for v in x), axis=0)


STACK = OpSpec(
    "stack",
    "values along a new first axis",
    "stack(a, b)",
    inputs=_VALUES,
    expand=_expand_stack,
)


def _expand_last(b: Any, x: Any, a: Attrs) -> Any:
    axis = axis_index("last", a.axis, b.type(x[0]))
    one = b("slice", x[0], start=-1, axis=axis)
    features = b.type(one).features
    return b("reshape", one, shape=(*features[:axis], *features[axis + 1 :]))


LAST = OpSpec(
    "last",
    "the last element along an axis",
    "last(T)",
    inputs=_ANY,
    positional=1,
    attrs=(_AXIS,),
    expand=_expand_last,
)

OPS = (RESHAPE, FLATTEN, TRANSPOSE, SLICE, SPLIT, PAD, UPSAMPLE, CONCAT, STACK, LAST)
