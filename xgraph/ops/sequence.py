"""Layers over sequences: LSTM, GRU and multi-head attention."""

from __future__ import annotations

from typing import Any

from xgraph.ir.attrs import Attrs, AttrValue, Boolean, Init, Initialiser, Integer
from xgraph.ir.op import Attr, Fault, OpSpec, Param, Port, Types
from xgraph.ir.types import Dim, DType, TensorType, product
from xgraph.ops.arithmetic import check_lengths
from xgraph.ops.common import GLOROT, ZEROS, known, shape

_LENGTHS = Port("lengths", "how many steps of each sample count", optional=True, dtype=DType.I64)


def _resolve_recurrent(op: str) -> Any:
    def resolve(types: Types, a: Attrs) -> dict[str, AttrValue]:
        if types[0].rank != 2:
            raise Fault(
                f"`{op}` needs steps of features, and this has shape {shape(types[0])}",
                input=0,
                help="bring it to `[steps, features]` first",
            )
        known(op, types[0].shape[2], "the number of features")
        check_lengths(op, types)
        return {}

    return resolve


def _infer_recurrent(types: Types, a: Attrs) -> TensorType:
    units = a.units * (2 if a.bidirectional else 1)
    if a.last:
        return types[0].with_features(units)
    return types[0].with_features(types[0].shape[1], units)


def _recurrent_params(gates: int, biases: tuple[str, ...], bias: Init) -> Any:
    def params(types: Types, a: Attrs) -> list[Param]:
        features = known("lstm", types[0].shape[2], "the number of features")
        found = []
        for suffix in ("", "_reverse") if a.bidirectional else ("",):
            rows = gates * a.units
            found.append(Param(f"weight_ih{suffix}", (rows, features), a.init))
            found.append(Param(f"weight_hh{suffix}", (rows, a.units), Init("orthogonal")))
            found += [Param(f"{name}{suffix}", (rows,), bias) for name in biases]
        return found

    return params


def _recurrent_macs(gates: int) -> Any:
    def macs(types: Types, outs: tuple[TensorType, ...], a: Attrs) -> Dim:
        steps = product(types[0].shape[:2])
        directions = 2 if a.bidirectional else 1
        per_step = (types[0].shape[2] + int(a.units)) * (gates * int(a.units) * directions)
        return steps * per_step

    return macs


def _recurrent(name: str, doc: str, gates: int, biases: tuple[str, ...], bias: Init) -> OpSpec:
    return OpSpec(
        name,
        doc,
        f"{name}(64)",
        inputs=(Port("x"), _LENGTHS),
        attrs=(
            Attr("units", Integer(), doc="features out, per direction"),
            Attr("bidirectional", Boolean(), False, "a second one from the end; side by side"),
            Attr("last", Boolean(), False, "give the final state in place of every step's"),
            Attr("init", Initialiser(), GLOROT),
        ),
        resolve=_resolve_recurrent(name),
        infer=_infer_recurrent,
        params=_recurrent_params(gates, biases, bias),
        macs=_recurrent_macs(gates),
    )


LSTM = _recurrent("lstm", "long short-term memory over steps", 4, ("bias",), Init("forget_gate"))
GRU = _recurrent("gru", "gated recurrent unit over steps", 3, ("bias_ih", "bias_hh"), ZEROS)


def _expand_attention(b: Any, x: Any, a: Attrs) -> Any:
    query, memory = x[0], x.get("memory") or x[0]
    lengths = x.get("lengths")
    width = known("attention", b.type(query).shape[-1], "the number of features")
    if width % a.heads:
        raise Fault(f"`attention` cannot part {width} features into {a.heads} heads", attr="heads")
    size = width // a.heads

    def heads(value: Any, label: str, order: list[int]) -> Any:
        projected = b("linear", value, label=label, units=width, bias=a.bias)
        steps = b.type(projected).features[0]
        return b("transpose", b("reshape", projected, shape=(steps, a.heads, size)), order=order)

    scores = b(
        "scale",
        b("matmul", heads(query, "query", [1, 0, 2]), heads(memory, "key", [1, 2, 0])),
        factor=size**-0.5,
    )
    if lengths is not None:
        scores = b("mask", scores, lengths, axis=2, value=-3e4)  # within fp16
    mixed = b("matmul", b("softmax", scores, axis=-1), heads(memory, "value", [1, 0, 2]))
    steps = b.type(query).features[0]
    joined = b("reshape", b("transpose", mixed, order=[1, 0, 2]), shape=(steps, width))
    return b("linear", joined, label="out", units=width, bias=a.bias)


def _resolve_attention(types: Types, a: Attrs) -> dict[str, AttrValue]:
    for index, (t, port) in enumerate(zip(types, types.ports, strict=True)):
        if port != "lengths" and t.rank != 2:
            raise Fault(
                f"`attention` needs steps of features, and this has shape {shape(t)}",
                input=index,
            )
    check_lengths("attention", types)
    return {}


ATTENTION = OpSpec(
    "attention",
    "multi-head attention of steps over steps (its own, or those of `memory`)",
    "attention(8)",
    inputs=(Port("x"), Port("memory", "what is attended to", optional=True), _LENGTHS),
    attrs=(
        Attr("heads", Integer(), doc="parts of the features that attend by themselves"),
        Attr("bias", Boolean(), True),
    ),
    resolve=_resolve_attention,
    expand=_expand_attention,
)


OPS = (LSTM, GRU, ATTENTION)
