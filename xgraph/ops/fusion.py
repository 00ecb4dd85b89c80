"""Layers that bring modalities together, and squeeze-and-excite."""

from __future__ import annotations

from typing import Any

from xgraph.ir.attrs import Attrs, Boolean, Choice, Init, Initialiser, Integer
from xgraph.ir.op import Attr, Fault, OpSpec, Port
from xgraph.ops.common import channels, shape

_VALUES = (Port("values", variadic=True),)


def pooled(b: Any, value: Any) -> Any:
    """The mean of each channel of maps; vectors as they are."""
    return b("globalavgpool", value) if b.type(value).rank > 1 else value


def _expand_fuse(b: Any, x: Any, a: Attrs) -> Any:
    return b("concat", *(pooled(b, v) for v in x))


FUSE = OpSpec(
    "fuse",
    "global average pooling of maps, then all side by side (MFAS, section 3.1)",
    "fuse(audio.f5, image.f3)",
    inputs=_VALUES,
    expand=_expand_fuse,
)


def _expand_se(b: Any, x: Any, a: Attrs) -> Any:
    value = x[0]
    t = b.type(value)
    count = channels("se", t)
    squeezed = b("linear", pooled(b, value), label="squeeze", units=max(1, count // a.ratio))
    gate = b("sigmoid", b("linear", b("relu", squeezed), label="excite", units=count))
    ones = (1,) * (t.rank - 1)
    return b("mul", value, b("reshape", gate, shape=(count, *ones)) if ones else gate)


SE = OpSpec(
    "se",
    "squeeze-and-excite: each channel scaled by a gate computed from all (Hu et al., 2018)",
    "se(16)",
    positional=1,
    attrs=(Attr("ratio", Integer(), 16, "channels for one hidden feature"),),
    expand=_expand_se,
)


def _vectors(op: str, b: Any, values: Any) -> None:
    for index, value in enumerate(values):
        if b.type(value).rank != 1:
            raise Fault(
                f"`{op}` needs vectors, and this has shape {shape(b.type(value))}",
                input=index,
                help="bring it to a vector first, with `flatten` or `globalavgpool`",
            )


def _expand_gmu(b: Any, x: Any, a: Attrs) -> Any:
    _vectors("gmu", b, x)
    joint = b("concat", *x)
    hidden = [
        b(a.act, b("linear", v, label=f"hidden.{i}", units=a.units, bias=a.bias))
        for i, v in enumerate(x)
    ]
    size = 1 if a.gate == "scalar" else a.units
    if len(x) == 2:
        z = b("sigmoid", b("linear", joint, label="gate", units=size, bias=a.bias))
        rest = b("scale", z, factor=-1.0, offset=1.0)
        return b("add", b("mul", z, hidden[0]), b("mul", rest, hidden[1]))
    gates = [
        b("sigmoid", b("linear", joint, label=f"gate.{i}", units=size, bias=a.bias))
        for i in range(len(x))
    ]
    return b("add", *(b("mul", g, h) for g, h in zip(gates, hidden, strict=True)))


GMU = OpSpec(
    "gmu",
    "gated multimodal unit: hidden vectors mixed by gates that see all inputs"
    " (Arevalo et al., 2017; for two, one gate z and 1 - z)",
    "gmu(a, b, units = 128)",
    inputs=(Port("values", variadic=True, least=2),),
    attrs=(
        Attr("units", Integer(), doc="features out"),
        Attr("gate", Choice(("vector", "scalar")), "vector", "a gate a feature, or one for all"),
        Attr("act", Choice(("tanh", "relu")), "tanh"),
        Attr("bias", Boolean(), True),
    ),
    expand=_expand_gmu,
)


def _expand_wsum(b: Any, x: Any, a: Attrs) -> Any:
    widest = max(channels("wsum", b.type(v), i) for i, v in enumerate(x))
    rank = b.type(x[0]).rank
    for i, v in enumerate(x):
        if b.type(v).rank != rank:
            raise Fault(
                f"`wsum` needs inputs of one rank: {shape(b.type(x[0]))} and {shape(b.type(v))}"
                " are not",
                input=i,
            )
    weights = b("parameter", label="alpha", shape=(len(x),) + (1,) * (rank - 1), init=a.init)
    terms = [
        b("mul", _widened(b, v, widest), b("slice", weights, start=i, stop=i + 1))
        for i, v in enumerate(x)
    ]
    return b("add", *terms)


def _widened(b: Any, value: Any, width: int) -> Any:
    t = b.type(value)
    missing = width - int(t.features[0])
    if not missing:
        return value
    if t.rank != 1:
        raise Fault(
            f"`wsum` widens vectors only, and this has shape {shape(t)}",
            help="bring maps to one number of channels first: `-> conv(channels, 1)`",
        )
    border = b("pad", b("reshape", value, shape=(1, width - missing)), amount=[[0, missing]])
    return b("reshape", border, shape=(width,))


WSUM = OpSpec(
    "wsum",
    "CentralNet's weighted sum: a learned scalar per input; shorter vectors padded with zeros",
    "wsum(central, image.f2, audio.f4)",
    inputs=_VALUES,
    attrs=(Attr("init", Initialiser(), Init("ones"), "of the scalars"),),
    expand=_expand_wsum,
)

OPS = (FUSE, SE, GMU, WSUM)
