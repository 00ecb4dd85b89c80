"""Rules for primitives with parameters: each has a module that holds them."""

from __future__ import annotations

from collections.abc import Callable

from xgraph.backends.torch.code import Code, call, index, literal, method
from xgraph.backends.torch.registry import Ctor, Scalar, Site, build, rule
from xgraph.backends.torch.shapes import sizes
from xgraph.ir.graph import Node

Pads = tuple[tuple[int, int], ...]


def short(sizes: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number for all axes where they agree."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


def is_even(pads: Pads) -> bool:
    """Whether each axis is padded alike on both sides, so that a module can do it."""
    return all(before == after for before, after in pads)


def border(pads: Pads) -> str:
    """Pads as `F.pad` takes them: the last axis first."""
    return f"({', '.join(f'{before}, {after}' for before, after in reversed(pads))})"


def _channels(node: Node) -> int:
    return int(node.inputs[0].type.channels)  # type: ignore[arg-type]  # inference made sure


def _features(node: Node) -> int:
    return int(node.inputs[0].type.shape[-1])  # type: ignore[arg-type]  # inference made sure


# ------------------------------------------------------------------------------ convolutions


def _convolution(node: Node) -> Ctor:
    a = node.resolved
    given = {
        "in_channels": _channels(node),
        "out_channels": a.filters,
        "kernel_size": short(a.kernel),
    }
    pads = tuple(before for before, _ in a.pad) if is_even(a.pad) else (0,)
    return build(
        f"nn.Conv{len(a.kernel)}d",
        given,
        stride=(short(a.stride), 1),
        padding=(short(pads), 0),
        dilation=(short(a.dilation), 1),
        groups=(a.groups, 1),
        bias=(a.bias, True),
    )


@rule("conv", layer=_convolution, heavy=True)
def conv(s: Site) -> Code:
    pads = s.attrs.pad
    return s.layer(s.x if is_even(pads) else call("F.pad", s.x, border(pads)))


def _transposed(node: Node) -> Ctor:
    a = node.resolved
    given = {
        "in_channels": _channels(node),
        "out_channels": a.filters,
        "kernel_size": short(a.kernel),
    }
    return build(
        f"nn.ConvTranspose{len(a.kernel)}d",
        given,
        stride=(short(a.stride), 1),
        padding=(short(tuple(map(min, a.pad))), 0),
        output_padding=(short(a.output_pad), 0),
        groups=(a.groups, 1),
        bias=(a.bias, True),
        dilation=(short(a.dilation), 1),
    )


@rule("deconv", layer=_transposed, heavy=True)
def deconv(s: Site) -> Code:
    """The module takes off what both sides have in common; the rest is cut."""
    y = s.layer(s.x)
    if is_even(s.attrs.pad):
        return y
    return index(y, (":", ":", *(_inner(b - min(b, a), a - min(b, a)) for b, a in s.attrs.pad)))


def _inner(before: int, after: int) -> str:
    return f"{before or ''}:{-after or ''}"


# -------------------------------------------------------------------- linear and free tensors


def _linear(node: Node) -> Ctor:
    given = {"in_features": _features(node), "out_features": node.resolved.units}
    return build("nn.Linear", given, bias=(node.resolved.bias, True))


@rule("linear", layer=_linear, heavy=True)
def linear(s: Site) -> Code:
    return s.layer(s.x)


def _embedding(node: Node) -> Ctor:
    a = node.resolved
    return build("nn.Embedding", {"num_embeddings": a.count, "embedding_dim": a.units})


@rule("embedding", layer=_embedding, heavy=True)
def embedding(s: Site) -> Code:
    return s.layer(s.x)


@rule("parameter", layer=lambda node: build("Parameter", {"shape": tuple(node.resolved.shape)}))
def parameter(s: Site) -> Code:
    return s.layer()


# -------------------------------------------------------------------------------- activation


def _prelu(node: Node) -> Ctor:
    (weight,) = node.params
    if len(weight.shape) == 1:
        count = weight.shape[0]
        return build("nn.PReLU", {"num_parameters": count} if count > 1 else {})
    return build("PReLU", {"shape": weight.shape})


@rule("prelu", layer=_prelu)
def prelu(s: Site) -> Code:
    return s.layer(s.x)


# ----------------------------------------------------------------------------- normalisation


def _bn(node: Node) -> Ctor:
    a, t = node.resolved, node.inputs[0].type
    axes = t.rank - 1 if 1 < t.rank <= 4 else 1
    given: dict[str, Scalar] = {"num_features": node.params[0].shape[0]}
    return build(
        f"nn.BatchNorm{axes}d",
        given,
        eps=(a.eps, 1e-5),
        momentum=(a.momentum, 0.1),
        affine=(a.affine, True),
    )


@rule("bn", layer=_bn)
def bn(s: Site) -> Code:
    """The module keeps statistics of axis 1, of values of up to 5 axes."""
    axis, features = s.attrs.axis, list(s.type.features)
    if axis:
        features[0], features[axis] = features[axis], features[0]

    def swapped(x: Code) -> Code:
        return method(x, "transpose", "1", str(axis + 1)) if axis else x

    if s.type.rank <= 4:
        return swapped(s.layer(swapped(s.x)))
    joined = s.layer(method(swapped(s.x), "flatten", "2"))
    return swapped(method(joined, "unflatten", "2", sizes(s, features[1:])))


def _layernorm(node: Node) -> Ctor:
    a = node.resolved
    shape = tuple(int(d) for d in node.inputs[0].type.shape[-a.axes :])  # type: ignore[arg-type]
    return build(
        "nn.LayerNorm",
        {"normalized_shape": shape[0] if len(shape) == 1 else shape},
        eps=(a.eps, 1e-5),
        elementwise_affine=(a.affine, True),
    )


@rule("layernorm", layer=_layernorm)
def layernorm(s: Site) -> Code:
    if s.attrs.affine:
        return s.layer(s.x)
    shape = literal(tuple(s.type.shape[-s.attrs.axes :]))
    return call("F.layer_norm", s.x, shape, **_eps(s))


def _eps(s: Site) -> dict[str, object]:
    return {} if s.attrs.eps == 1e-5 else {"eps": s.attrs.eps}


def _groupnorm(node: Node) -> Ctor:
    a = node.resolved
    given = {"num_groups": a.groups, "num_channels": _channels(node)}
    return build("nn.GroupNorm", given, eps=(a.eps, 1e-5), affine=(a.affine, True))


@rule("groupnorm", layer=_groupnorm)
def groupnorm(s: Site) -> Code:
    if s.attrs.affine:
        return s.layer(s.x)
    return call("F.group_norm", s.x, str(s.attrs.groups), **_eps(s))


# --------------------------------------------------------------------------------- sequences


def _recurrent(callee: str) -> Callable[[Node], Ctor]:
    def layer(node: Node) -> Ctor:
        a = node.resolved
        return build(
            callee,
            {"features": _features(node), "units": a.units},
            bidirectional=(a.bidirectional, False),
            last=(a.last, False),
        )

    return layer


@rule("lstm", layer=_recurrent("LSTM"), heavy=True)
def lstm(s: Site) -> Code:
    return s.layer(*s.xs)


@rule("gru", layer=_recurrent("GRU"), heavy=True)
def gru(s: Site) -> Code:
    return s.layer(*s.xs)
