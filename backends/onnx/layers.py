"""Rules of the layers that own weights, sequences apart."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xgraph.backends.onnx.registry import rule
from xgraph.backends.onnx.shaping import Pads, bordered, both_ends
from xgraph.backends.onnx.site import Site
from xgraph.ir.types import Dim, Expr, divide, product


@rule("conv")
def conv(site: Site) -> str:
    a = site.attrs
    return site.op(
        "Conv",
        site.x,
        *site.params(),
        kernel_shape=a.kernel,
        strides=a.stride,
        pads=both_ends(a.pad),
        dilations=a.dilation,
        group=a.groups,
    )


@rule("deconv")
def deconv(site: Site) -> str:
    a = site.attrs
    weight, *bias = site.params()
    if all(extra < step for extra, step in zip(a.output_pad, a.stride, strict=True)):
        return _deconv(site, [weight, *bias], a.pad, output_padding=a.output_pad)
    # ONNX Runtime allows no more than a stride's worth, where dilation would give it a meaning.
    kept = [(low, max(0, high - e)) for (low, high), e in zip(a.pad, a.output_pad, strict=True)]
    rest = [(0, max(0, e - high)) for (_, high), e in zip(a.pad, a.output_pad, strict=True)]
    y = bordered(site, _deconv(site, [weight], kept), rest, 0.0)
    return site.op("Add", y, _per_channel(site, bias[0])) if bias else y


def _deconv(site: Site, params: Sequence[str], pads: Pads, **attrs: tuple[int, ...]) -> str:
    a = site.attrs
    return site.op(
        "ConvTranspose",
        site.x,
        *params,
        kernel_shape=a.kernel,
        strides=a.stride,
        pads=both_ends(pads),
        dilations=a.dilation,
        group=a.groups,
        **attrs,
    )


@rule("linear")
def linear(site: Site) -> str:
    weight, *bias = site.params()
    if site.type.rank == 1:
        return site.op("Gemm", site.x, weight, *bias, transB=1)
    y = site.op("MatMul", site.x, site.op("Transpose", weight, perm=[1, 0]))
    return site.op("Add", y, *bias) if bias else y


@rule("embedding")
def embedding(site: Site) -> str:
    """Of numbers below 0, which `Gather` would count from the end, it finds as little as of those
    above the last."""
    none = site.ints([site.attrs.count])
    rows = site.op("Where", site.op("Less", site.x, site.ints([0])), none, site.x)
    return site.op("Gather", *site.params(), rows, axis=0)


@rule("parameter")
def parameter(site: Site) -> str:
    return site.op("Unsqueeze", *site.params(), site.ints([0]))


@rule("prelu")
def prelu(site: Site) -> str:
    """With more slopes than one, ONNX Runtime's own kernel on a CPU goes number by number: four
    operations that do not take a third of the time."""
    (slope,) = site.params()
    if site.attrs.per == "channel":
        slope = _per_channel(site, slope)
    if prod(site.node.params[0].shape) == 1:
        return site.op("PRelu", site.x, slope)
    below = site.op("Min", site.x, site.number(0.0))
    return site.op("Add", site.op("Relu", site.x), site.op("Mul", below, slope))


@rule("bn")
def bn(site: Site) -> str:
    """ONNX normalises over axis 1. Another one is brought there: by merging the axes before it
    into the batch, which moves no data, or by a transposition where sizes are open."""
    axis = site.attrs.axis
    dims = site.type.shape
    if axis == 0:
        return _normalised(site, site.x)
    if any(isinstance(dim, Expr) for dim in site.type.features):
        order = [*range(len(dims))]
        order[1], order[axis + 1] = axis + 1, 1
        moved = _normalised(site, site.op("Transpose", site.x, perm=order))
        return site.op("Transpose", moved, perm=order)
    merged = (product(dims[: axis + 1]), *dims[axis + 1 :])
    return site.reshape(_normalised(site, site.reshape(site.x, dims, merged)), merged, dims)


def _normalised(site: Site, x: str) -> str:
    a = site.attrs
    params = site.params()
    if not a.affine:
        size = int(site.type.features[a.axis])
        params = [site.ones([size]), site.zeros([size]), *params]
    return site.op("BatchNormalization", x, *params, epsilon=a.eps, momentum=1 - a.momentum)


@rule("layernorm")
def layernorm(site: Site) -> str:
    a = site.attrs
    sizes = [int(d) for d in site.type.shape[-a.axes :] if not isinstance(d, Expr)]
    params = site.params() or [site.ones(sizes)]
    return site.op("LayerNormalization", site.x, *params, axis=-a.axes, epsilon=a.eps)


@rule("groupnorm")
def groupnorm(site: Site) -> str:
    """Through `InstanceNormalization`: ONNX's own operator was wrong until opset 21, and ONNX
    Runtime takes it apart anyway."""
    a = site.attrs
    dims = site.type.shape
    size = divide(product(site.type.features), a.groups)
    assert size is not None  # the op checked that the groups part the channels
    parted: tuple[Dim, ...] = (dims[0], a.groups, size)
    x = site.reshape(site.x, dims, parted)
    y = site.op(
        "InstanceNormalization", x, site.ones([a.groups]), site.zeros([a.groups]), epsilon=a.eps
    )
    y = site.reshape(y, parted, dims)
    for op, param in zip(("Mul", "Add"), site.params(), strict=False):
        y = site.op(op, y, _per_channel(site, param))
    return y


def _per_channel(site: Site, param: str) -> str:
    rank = site.type.rank
    return site.op("Unsqueeze", param, site.ints(range(1, rank))) if rank > 1 else param


@rule("upsample")
def upsample(site: Site) -> str:
    scales = site.numbers([1, 1, *site.attrs.factor])
    if site.attrs.mode == "linear":
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    else:
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return site.op("Resize", site.x, "", scales, **how)
