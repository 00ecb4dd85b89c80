"""Pooling over windows, over whole maps, and reductions."""

from __future__ import annotations

from typing import Any

from xgraph.ir.attrs import Attrs, AttrValue, Axes, Boolean, Choice, Sizes
from xgraph.ir.op import Attr, Fault, OpSpec, Types
from xgraph.ir.types import TensorType
from xgraph.ops.common import axis_index, maps, padding, per_axis, windowed

_PAD = Sizes(0, ("same", "valid"), pairs=True)


def _resolve_pool(op: str) -> Any:
    def resolve(types: Types, a: Attrs) -> dict[str, AttrValue]:
        axes = maps(op, types[0])
        kernel = per_axis(op, "kernel", a.kernel, axes)
        stride = kernel if a.stride is None else per_axis(op, "stride", a.stride, axes)
        pad = padding(op, a.pad, kernel, (1,) * axes)
        for k, p in zip(kernel, pad, strict=True):
            if max(p) >= k:
                raise Fault(
                    f"`pad` of `{op}` must be below its kernel", id="bad-attribute", attr="pad"
                )
        return {"kernel": kernel, "stride": stride, "pad": pad}

    return resolve


def _infer_pool(types: Types, a: Attrs) -> TensorType:
    t = types[0]
    sizes = [
        windowed(size, k, s, p, 1)
        for size, k, s, p in zip(t.shape[2:], a.kernel, a.stride, a.pad, strict=True)
    ]
    return t.with_features(t.channels, *sizes)


def _pool(name: str, doc: str) -> OpSpec:
    return OpSpec(
        name,
        doc,
        f"{name}(2)",
        attrs=(
            Attr("kernel", Sizes(), doc="size of the window"),
            Attr("stride", Sizes(), None, "step of the window; none: its size"),
            Attr(
                "pad",
                Sizes(0, ("same", "valid"), pairs=True),
                "valid",
                "around each axis; never counted",
            ),
        ),
        resolve=_resolve_pool(name),
        infer=_infer_pool,
    )


MAXPOOL = _pool("maxpool", "the largest value in each window")
AVGPOOL = _pool("avgpool", "the mean of each window")


def _resolve_reduce(types: Types, a: Attrs) -> dict[str, AttrValue]:
    axes = a.axis if isinstance(a.axis, tuple) else (a.axis,)
    found = sorted({axis_index("reduce", axis, types[0]) for axis in axes})
    return {"axis": tuple(found)}


def _infer_reduce(types: Types, a: Attrs) -> TensorType:
    kept = [
        1 if i in a.axis else dim
        for i, dim in enumerate(types[0].features)
        if a.keep or i not in a.axis
    ]
    return types[0].with_features(*kept)


REDUCE = OpSpec(
    "reduce",
    "the mean, sum or largest value along axes",
    "reduce(mean, axis = T)",
    attrs=(
        Attr("how", Choice(("mean", "sum", "max")), doc="what is taken"),
        Attr("axis", Axes(), doc="the axis or axes that go"),
        Attr("keep", Boolean(), False, "keep them with size 1"),
    ),
    resolve=_resolve_reduce,
    infer=_infer_reduce,
)


def _global(name: str, doc: str, how: str) -> OpSpec:
    def resolve(types: Types, a: Attrs) -> dict[str, AttrValue]:
        maps(name, types[0])
        return {}

    def expand(b: Any, x: Any, a: Attrs) -> Any:
        return b("reduce", x[0], how=how, axis=tuple(range(1, b.type(x[0]).rank)))

    return OpSpec(name, doc, name, resolve=resolve, expand=expand)


GLOBALAVGPOOL = _global("globalavgpool", "the mean of each channel", "mean")
GLOBALMAXPOOL = _global("globalmaxpool", "the largest value of each channel", "max")

OPS = (MAXPOOL, AVGPOOL, GLOBALAVGPOOL, GLOBALMAXPOOL, REDUCE)
