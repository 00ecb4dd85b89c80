"""Activations: element-wise, with or without parameters, and softmax."""

from __future__ import annotations

from xgraph.ir.attrs import Attrs, AttrValue, AxisRef, Choice, Init, Initialiser, Real
from xgraph.ir.op import Attr, OpSpec, Param, Types
from xgraph.ops.common import known, resolve_axis, same_type


def _plain(name: str, doc: str) -> OpSpec:
    return OpSpec(name, doc, name, infer=same_type)


IDENTITY = _plain("identity", "the value itself")
RELU = _plain("relu", "max(x, 0)")
GELU = _plain("gelu", "x Phi(x), with the exact normal distribution function")
SILU = _plain("silu", "x sigmoid(x)")
SIGMOID = _plain("sigmoid", "1 / (1 + exp(-x))")
TANH = _plain("tanh", "hyperbolic tangent")

LEAKYRELU = OpSpec(
    "leakyrelu",
    "x where positive, else slope x",
    "leakyrelu(0.01)",
    positional=1,
    attrs=(Attr("slope", Real(), 0.01),),
    infer=same_type,
)

ELU = OpSpec(
    "elu",
    "x where positive, else alpha (exp(x) - 1)",
    "elu",
    attrs=(Attr("alpha", Real(0.0), 1.0),),
    infer=same_type,
)


def _resolve_prelu(types: Types, a: Attrs) -> dict[str, AttrValue]:
    sizes = {"shared": (), "channel": types[0].features[:1], "element": types[0].features}[a.per]
    for dim in sizes:
        known("prelu", dim, "the shape of its slopes")
    return {}


def _prelu_params(types: Types, a: Attrs) -> list[Param]:
    features = types[0].features
    sizes = {"shared": (1,), "channel": features[:1], "element": features}[a.per]
    shape = tuple(known("prelu", d, "the shape of its slopes") for d in sizes)
    return [Param("weight", shape, a.init)]


PRELU = OpSpec(
    "prelu",
    "x where positive, else a learned slope times x",
    "prelu(per = element)",
    attrs=(
        Attr(
            "per",
            Choice(("shared", "channel", "element")),
            "channel",
            "what has its own slope",
        ),
        Attr("init", Initialiser(), Init("constant", (0.25,))),
    ),
    resolve=_resolve_prelu,
    infer=same_type,
    params=_prelu_params,
)

SOFTMAX = OpSpec(
    "softmax",
    "exp(x) over its sum along an axis",
    "softmax",
    attrs=(Attr("axis", AxisRef(), -1),),
    resolve=resolve_axis("softmax"),
    infer=same_type,
)

LOGSOFTMAX = OpSpec(
    "logsoftmax",
    "the logarithm of softmax",
    "logsoftmax",
    attrs=(Attr("axis", AxisRef(), -1),),
    resolve=resolve_axis("logsoftmax"),
    infer=same_type,
)

OPS = (
    IDENTITY, RELU, LEAKYRELU, PRELU, ELU, GELU, SILU, SIGMOID, TANH, SOFTMAX, LOGSOFTMAX,
)  # fmt: skip
