"""Routers: several streams in, several out. Written with `route`, never as a layer.

Each takes m values and gives `outputs` of them. The data-dependent gates of `cc` and `cp` are
those of Tissera et al. (2107.02450), section 4: for input i, A_i = W2 ReLU(W1 pool(X_i)), and
G_i = softmax(A_i) over the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xgraph.ir.attrs import MAX_PARTS, Attrs, Boolean, Choice, Init, Initialiser, Integer, Layers
from xgraph.ir.op import Attr, Fault, OpSpec, Port
from xgraph.ops.common import channels, one_shape
from xgraph.ops.fusion import pooled

_VALUES = (Port("values", variadic=True),)
_OUTPUTS = Attr("outputs", Integer(1, MAX_PARTS), doc="how many streams come out")
_HIDDEN = Attr("hidden", Integer(), 16, "hidden features of a gate")


def _gates(b: Any, x: Sequence[Any], a: Attrs) -> list[list[Any]]:
    """`gates[i][j]`: the share of input i that goes to output j, [N, 1, ...] of x[i]'s rank."""
    rows = []
    for i, value in enumerate(x):
        hidden = b("linear", pooled(b, value), label=f"gate.{i}.fc1", units=a.hidden)
        scores = b("linear", b("relu", hidden), label=f"gate.{i}.fc2", units=a.outputs)
        shares = b("softmax", scores)
        rows.append([b("slice", shares, start=j, stop=j + 1) for j in range(a.outputs)])
    return rows


def _gated(b: Any, value: Any, gate: Any) -> Any:
    ones = (1,) * b.type(value).rank
    return b("mul", value, gate if len(ones) == 1 else b("reshape", gate, shape=ones))


def _sum(b: Any, terms: Sequence[Any]) -> Any:
    return terms[0] if len(terms) == 1 else b("add", *terms)


def _expand_cc(b: Any, x: Any, a: Attrs) -> Any:
    one_shape("cc", b, x, "streams")
    gates = _gates(b, x, a)
    return tuple(
        _sum(b, [_gated(b, v, gates[i][j]) for i, v in enumerate(x)]) for j in range(a.outputs)
    )


CC = OpSpec(
    "cc",
    "cross-connection: every output is the sum of all inputs, each times its gate (equation 6)",
    "route cc path[*].c2 with hidden = 16",
    inputs=_VALUES,
    attrs=(_OUTPUTS, _HIDDEN),
    expand=_expand_cc,
    arity=lambda a: int(a.outputs),
)


def _layers(b: Any, value: Any, layers: Sequence[Any], label: str) -> Any:
    for k, layer in enumerate(layers):
        name = label if len(layers) == 1 else f"{label}.{k}"
        value = b(layer.op, value, label=name, **layer.attrs)
    return value


def _expand_cp(b: Any, x: Any, a: Attrs) -> Any:
    gates = _gates(b, x, a)
    outputs = []
    for j in range(a.outputs):
        terms = [
            _gated(b, _layers(b, v, a.layers, f"layer.{i}.{j}"), gates[i][j])
            for i, v in enumerate(x)
        ]
        one_shape("cp", b, terms, "streams")
        y = _sum(b, terms)
        outputs.append(y if a.act == "identity" else b(a.act, y))
    return tuple(outputs)


CP = OpSpec(
    "cp",
    "cross-prediction: every output is a layer of each input, each times its gate, then ReLU"
    " (equation 3)",
    "route cp path[*].c2 -> path[*].c3 via conv(64, 3)",
    inputs=_VALUES,
    attrs=(
        _OUTPUTS,
        _HIDDEN,
        Attr("layers", Layers(), doc="what is computed for each pair (`via`)"),
        Attr("act", Choice(("relu", "identity")), "relu", "identity: where layers after it do"),
    ),
    expand=_expand_cp,
    arity=lambda a: int(a.outputs),
)


def _mix(b: Any, x: Sequence[Any], weights: Any, rank: int, n: int) -> list[Any]:
    """Sums of x weighted by rows of `weights` [1, n, m, width]."""
    outputs = []
    for j in range(n):
        row = b("slice", weights, start=j, stop=j + 1)
        terms = []
        for i, value in enumerate(x):
            share = b("slice", row, start=i, stop=i + 1, axis=1)
            width = b.type(share).features[-1]
            scale = b("reshape", share, shape=(width,) + (1,) * (rank - 1))
            terms.append(b("mul", value, scale))
        outputs.append(_sum(b, terms))
    return outputs


def _expand_stitch(b: Any, x: Any, a: Attrs) -> Any:
    one_shape("stitch", b, x, "streams")
    t = b.type(x[0])
    width = channels("stitch", t) if a.per == "channel" else 1
    weights = b("parameter", label="alpha", shape=(a.outputs, len(x), width), init=a.init)
    return tuple(_mix(b, x, weights, t.rank, a.outputs))


STITCH = OpSpec(
    "stitch",
    "cross-stitch: every output is a learned weighted sum of all inputs (Misra et al., 2016)",
    "route stitch path[*].c2",
    inputs=_VALUES,
    attrs=(
        _OUTPUTS,
        Attr("per", Choice(("stream", "channel")), "stream", "what has a weight of its own"),
        Attr("init", Initialiser(), Init("diagonal", (0.9, 0.1))),
    ),
    expand=_expand_stitch,
    arity=lambda a: int(a.outputs),
)


def _expand_nddr(b: Any, x: Any, a: Attrs) -> Any:
    one_shape("nddr", b, x, "streams")
    t = b.type(x[0])
    joint = b("concat", *x)
    width = a.filters or channels("nddr", t)
    outputs = []
    for j in range(a.outputs):
        if t.rank > 1:
            y = b("conv", joint, label=f"layer.{j}", filters=width, kernel=1, bias=a.bias)
        else:
            y = b("linear", joint, label=f"layer.{j}", units=width, bias=a.bias)
        outputs.append(y)
    return tuple(outputs)


NDDR = OpSpec(
    "nddr",
    "every output is a 1x1 convolution of all inputs side by side (Gao et al., 2019)",
    "route nddr path[*].c2 with filters = 64",
    inputs=_VALUES,
    attrs=(
        _OUTPUTS,
        Attr("filters", Integer(), None, "channels out; none: those of an input"),
        Attr("bias", Boolean(), True),
    ),
    expand=_expand_nddr,
    arity=lambda a: int(a.outputs),
)


def _expand_sluice(b: Any, x: Any, a: Attrs) -> Any:
    one_shape("sluice", b, x, "streams")
    if a.outputs != len(x):
        raise Fault("`sluice` gives as many streams as it takes", id="wrong-arity")
    t = b.type(x[0])
    parts = [part for v in x for part in b.many("split", v, parts=a.subspaces)]
    weights = b("parameter", label="alpha", shape=(len(parts), len(parts), 1), init=a.init)
    mixed = _mix(b, parts, weights, t.rank, len(parts))
    k = a.subspaces
    return tuple(b("concat", *mixed[j * k : (j + 1) * k]) for j in range(len(x)))


SLUICE = OpSpec(
    "sluice",
    "sluice units: streams parted into subspaces, all of them stitched (Ruder et al., 2019)",
    "route sluice path[*].c2 with subspaces = 2",
    inputs=_VALUES,
    attrs=(
        _OUTPUTS,
        Attr("subspaces", Integer(1, 16), 2, "parts of a stream's channels"),
        Attr("init", Initialiser(), Init("diagonal", (0.9, 0.1))),
    ),
    expand=_expand_sluice,
    arity=lambda a: int(a.outputs),
)

OPS = (CC, CP, STITCH, NDDR, SLUICE)
