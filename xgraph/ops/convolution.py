"""Convolutions over 1, 2 or 3 spatial axes, and their layers of several pieces."""

from __future__ import annotations

from math import prod
from typing import Any

from xgraph.ir.attrs import Attrs, AttrValue, Boolean, Init, Initialiser, Integer, Sizes
from xgraph.ir.op import Attr, Fault, OpSpec, Param, Types
from xgraph.ir.types import Dim, TensorType, product
from xgraph.ops.common import GLOROT, ZEROS, known, maps, padding, per_axis, windowed

_FILTERS = Attr("filters", Integer(words=("same",)), doc="channels out; `same` keeps them")
_KERNEL = Attr("kernel", Sizes(), doc="size of the window")
_PAD = Attr("pad", Sizes(0, ("same", "valid"), pairs=True), "same", "zeros around each axis")
_STRIDE = Attr("stride", Sizes(), 1, "step of the window")
_DILATION = Attr("dilation", Sizes(), 1, "distance between taps")
_BIAS = Attr("bias", Boolean(), True)
_INIT = Attr("init", Initialiser(), GLOROT)
_BIAS_INIT = Attr("bias_init", Initialiser(), ZEROS)


def _resolve_window(op: str) -> Any:
    def resolve(types: Types, a: Attrs) -> dict[str, AttrValue]:
        axes = maps(op, types[0])
        kernel = per_axis(op, "kernel", a.kernel, axes)
        dilation = per_axis(op, "dilation", a.dilation, axes)
        filters = a.filters
        if filters == "same":
            filters = known(op, types[0].channels, "the number of channels")
        return {
            "filters": filters,
            "kernel": kernel,
            "dilation": dilation,
            "stride": per_axis(op, "stride", a.stride, axes),
            "pad": padding(op, a.pad, kernel, dilation),
        }

    return resolve


def _check_groups(op: str, channels: int, a: Attrs) -> None:
    if channels % a.groups or a.filters % a.groups:
        raise Fault(
            f"`{op}` cannot part {channels} channels in and {a.filters} out into {a.groups} groups",
            id="bad-attribute",
            attr="groups",
        )


def _infer_conv(types: Types, a: Attrs) -> TensorType:
    t = types[0]
    _check_groups("conv", known("conv", t.channels, "the number of channels"), a)
    sizes = [
        windowed(size, *window)
        for size, *window in zip(t.shape[2:], a.kernel, a.stride, a.pad, a.dilation, strict=True)
    ]
    return t.with_features(a.filters, *sizes)


def _conv_params(types: Types, a: Attrs) -> list[Param]:
    channels = known("conv", types[0].channels, "the number of channels")
    weight = Param("weight", (a.filters, channels // a.groups, *a.kernel), a.init)
    return [weight, Param("bias", (a.filters,), a.bias_init)] if a.bias else [weight]


def _conv_macs(types: Types, outs: tuple[TensorType, ...], a: Attrs) -> Dim:
    return product((*outs[0].shape, types[0].channels, *a.kernel)) // int(a.groups)


CONV = OpSpec(
    "conv",
    "convolution over 1, 2 or 3 spatial axes",
    "conv(32, 3, stride = 2)",
    attrs=(
        _FILTERS, _KERNEL, _STRIDE, _PAD, _DILATION,
        Attr("groups", Integer(), 1, "channels are parted in so many groups"),
        _BIAS, _INIT, _BIAS_INIT,
    ),
    resolve=_resolve_window("conv"),
    infer=_infer_conv,
    params=_conv_params,
    macs=_conv_macs,
)  # fmt: skip


def _infer_deconv(types: Types, a: Attrs) -> TensorType:
    t = types[0]
    _check_groups("deconv", known("deconv", t.channels, "the number of channels"), a)
    extra = per_axis("deconv", "output_pad", a.output_pad, len(a.kernel))
    sizes = [
        (size - 1) * s + d * (k - 1) + 1 - p[0] - p[1] + e
        for size, k, s, p, d, e in zip(
            t.shape[2:], a.kernel, a.stride, a.pad, a.dilation, extra, strict=True
        )
    ]
    for e, s, d in zip(extra, a.stride, a.dilation, strict=True):
        if e >= max(s, d):
            raise Fault(
                "`output_pad` of `deconv` must be below its stride or dilation",
                id="bad-attribute",
                attr="output_pad",
            )
    return t.with_features(a.filters, *sizes)


def _deconv_params(types: Types, a: Attrs) -> list[Param]:
    channels = known("deconv", types[0].channels, "the number of channels")
    window = prod(a.kernel)
    fans = (channels * window // a.groups, a.filters * window // a.groups)
    shape = (channels, a.filters // a.groups, *a.kernel)
    weight = Param("weight", shape, a.init, fans=fans)
    return [weight, Param("bias", (a.filters,), a.bias_init)] if a.bias else [weight]


def _deconv_macs(types: Types, outs: tuple[TensorType, ...], a: Attrs) -> Dim:
    return product((*types[0].shape, int(a.filters), *a.kernel)) // int(a.groups)


def _resolve_deconv(types: Types, a: Attrs) -> dict[str, AttrValue]:
    window = _resolve_window("deconv")(types, a)
    extra = per_axis("deconv", "output_pad", a.output_pad, types[0].rank - 1)
    return {**window, "output_pad": extra}


DECONV = OpSpec(
    "deconv",
    "transposed convolution over 1, 2 or 3 spatial axes",
    "deconv(16, 8, pad = valid)",
    attrs=(
        _FILTERS, _KERNEL, _STRIDE,
        Attr("pad", _PAD.kind, "same", "taken off each axis of the result"),
        Attr("output_pad", Sizes(0), 0, "added after each axis of the result"),
        _DILATION, Attr("groups", Integer(), 1), _BIAS, _INIT, _BIAS_INIT,
    ),
    resolve=_resolve_deconv,
    infer=_infer_deconv,
    params=_deconv_params,
    macs=_deconv_macs,
)  # fmt: skip


def _expand_depthwise(b: Any, x: Any, a: Attrs) -> Any:
    channels = known("depthwise", b.type(x[0]).channels, "the number of channels")
    return b(
        "conv", x[0], label="conv", filters=channels * a.multiplier, kernel=a.kernel,
        stride=a.stride, pad=a.pad, dilation=a.dilation, groups=channels, bias=a.bias,
        init=a.init, bias_init=a.bias_init,
    )  # fmt: skip


def _need_maps(op: str) -> Any:
    def resolve(types: Types, a: Attrs) -> dict[str, AttrValue]:
        maps(op, types[0])
        return {}

    return resolve


DEPTHWISE = OpSpec(
    "depthwise",
    "convolution of each channel by itself",
    "depthwise(3)",
    attrs=(
        _KERNEL, Attr("multiplier", Integer(), 1, "channels out for each one in"),
        _STRIDE, _PAD, _DILATION, _BIAS, _INIT, _BIAS_INIT,
    ),
    resolve=_need_maps("depthwise"),
    expand=_expand_depthwise,
)  # fmt: skip


def _expand_sepconv(b: Any, x: Any, a: Attrs) -> Any:
    depth = b(
        "depthwise", x[0], label="depthwise", kernel=a.kernel, stride=a.stride, pad=a.pad,
        dilation=a.dilation, bias=False, init=a.init,
    )  # fmt: skip
    return b(
        "conv", depth, label="pointwise", filters=a.filters, kernel=1, bias=a.bias,
        init=a.init, bias_init=a.bias_init,
    )  # fmt: skip


SEPCONV = OpSpec(
    "sepconv",
    "separable convolution: each channel by itself, then a 1x1 convolution",
    "sepconv(64, 5)",
    attrs=(_FILTERS, _KERNEL, _STRIDE, _PAD, _DILATION, _BIAS, _INIT, _BIAS_INIT),
    resolve=_need_maps("sepconv"),
    expand=_expand_sepconv,
)


def _expand_maxout(b: Any, x: Any, a: Attrs) -> Any:
    units = a.units * a.pieces
    init: Init = a.init
    if a.kernel is None:
        y = b("linear", x[0], label="linear", units=units, init=init, bias=a.bias)
        features = b.type(y).features[:-1]
        parts = b("reshape", y, shape=(*features, a.pieces, a.units))
        return b("reduce", parts, how="max", axis=-2)
    y = b(
        "conv", x[0], label="conv", filters=units, kernel=a.kernel, stride=a.stride, pad=a.pad,
        init=init, bias=a.bias,
    )  # fmt: skip
    parts = b("reshape", y, shape=(a.pieces, a.units, *b.type(y).features[1:]))
    return b("reduce", parts, how="max", axis=0)


MAXOUT = OpSpec(
    "maxout",
    "the largest of several linear layers or, with a kernel, convolutions",
    "maxout(500, pieces = 5)",
    attrs=(
        Attr("units", Integer(), doc="features or channels out"),
        Attr("kernel", Sizes(), None, "size of the window; none: linear"),
        Attr("pieces", Integer(2), 2, "how many the largest is taken of"),
        _STRIDE, _PAD, _BIAS, _INIT,
    ),
    expand=_expand_maxout,
)  # fmt: skip

OPS = (CONV, DECONV, DEPTHWISE, SEPCONV, MAXOUT)
