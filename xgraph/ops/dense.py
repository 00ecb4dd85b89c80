"""Linear layers, embeddings and tensors that a network owns outright."""

from __future__ import annotations

from typing import Any

from xgraph.ir.attrs import Attrs, AttrValue, Boolean, Init, Initialiser, Integer, Integers
from xgraph.ir.op import Attr, Fault, OpSpec, Param, Port, Types
from xgraph.ir.types import Dim, DType, TensorType, product
from xgraph.ops.common import GLOROT, ZEROS, known, shape


def _resolve_linear(types: Types, a: Attrs) -> dict[str, AttrValue]:
    known("linear", types[0].shape[-1], "the number of features")
    if a.units != "same":
        return {}
    return {"units": known("linear", types[0].shape[-1], "the number of features")}


def _infer_linear(types: Types, a: Attrs) -> TensorType:
    return types[0].with_shape(*types[0].shape[:-1], a.units)


def _linear_params(types: Types, a: Attrs) -> list[Param]:
    features = known("linear", types[0].shape[-1], "the number of features")
    weight = Param("weight", (a.units, features), a.init)
    return [weight, Param("bias", (a.units,), a.bias_init)] if a.bias else [weight]


def _linear_macs(types: Types, outs: tuple[TensorType, ...], a: Attrs) -> Dim:
    return product((*types[0].shape, int(a.units)))


LINEAR = OpSpec(
    "linear",
    "weighted sums of the features on the last axis",
    "linear(512)",
    attrs=(
        Attr("units", Integer(words=("same",)), doc="features out; `same` keeps them"),
        Attr("bias", Boolean(), True),
        Attr("init", Initialiser(), GLOROT),
        Attr("bias_init", Initialiser(), ZEROS),
    ),
    resolve=_resolve_linear,
    infer=_infer_linear,
    params=_linear_params,
    macs=_linear_macs,
)


def _infer_embedding(types: Types, a: Attrs) -> TensorType:
    return TensorType((*types[0].shape, a.units))


EMBEDDING = OpSpec(
    "embedding",
    "a learned vector for each integer",
    "embedding(10000, 64)",
    inputs=(Port("x", dtype=DType.I64),),
    attrs=(
        Attr("count", Integer(), doc="how many integers there are, from 0"),
        Attr("units", Integer(), doc="features of a vector"),
        Attr("init", Initialiser(), Init("uniform", (-0.05, 0.05))),
    ),
    infer=_infer_embedding,
    params=lambda types, a: [Param("weight", (a.count, a.units), a.init)],
)

PARAMETER = OpSpec(
    "parameter",
    "a trained tensor by itself, the same for every sample",
    "parameter([64], init = zeros)",
    inputs=(),
    attrs=(
        Attr("shape", Integers(1), doc="its shape"),
        Attr("init", Initialiser(), ZEROS),
    ),
    infer=lambda types, a: TensorType((1, *a.shape)),
    params=lambda types, a: [Param("weight", tuple(a.shape), a.init)],
)


def _expand_bilinear(b: Any, x: Any, a: Attrs) -> Any:
    left, right = x
    width = known("bilinear", b.type(right).shape[-1], "the number of features", 1)
    rows = b("linear", left, label="linear", units=a.units * width, bias=False, init=a.init)
    matrix = b("reshape", rows, shape=(a.units, width))
    column = b("reshape", right, shape=(width, 1))
    y = b("reshape", b("matmul", matrix, column), shape=(a.units,))
    if not a.bias:
        return y
    return b("add", y, b("parameter", label="bias", shape=(a.units,)))


def _need_vectors(op: str) -> Any:
    def resolve(types: Types, a: Attrs) -> dict[str, AttrValue]:
        for index, t in enumerate(types):
            if t.rank != 1:
                raise Fault(
                    f"`{op}` needs vectors, and this has shape {shape(t)}",
                    input=index,
                    help="bring it to a vector first, with `flatten` or `globalavgpool`",
                )
        return {}

    return resolve


BILINEAR = OpSpec(
    "bilinear",
    "every product of a feature of one vector with one of another, weighted",
    "bilinear(64)",
    inputs=(Port("left"), Port("right")),
    attrs=(
        Attr("units", Integer(), doc="features out"),
        Attr("bias", Boolean(), True),
        Attr("init", Initialiser(), GLOROT),
    ),
    resolve=_need_vectors("bilinear"),
    expand=_expand_bilinear,
)


def _expand_lowrank(b: Any, x: Any, a: Attrs) -> Any:
    left = b("linear", x[0], label="left", units=a.rank, bias=False, init=a.init)
    right = b("linear", x[1], label="right", units=a.rank, bias=False, init=a.init)
    product_ = b("mul", left, right)
    return b("linear", product_, label="out", units=a.units, bias=a.bias, init=a.init)


LOWRANK_BILINEAR = OpSpec(
    "lowrank_bilinear",
    "a bilinear form of bounded rank: both vectors projected, multiplied, projected",
    "lowrank_bilinear(64, rank = 32)",
    inputs=(Port("left"), Port("right")),
    attrs=(
        Attr("units", Integer(), doc="features out"),
        Attr("rank", Integer(), 32, "features of the product"),
        Attr("bias", Boolean(), True),
        Attr("init", Initialiser(), GLOROT),
    ),
    resolve=_need_vectors("lowrank_bilinear"),
    expand=_expand_lowrank,
)

OPS = (LINEAR, EMBEDDING, PARAMETER, BILINEAR, LOWRANK_BILINEAR)
