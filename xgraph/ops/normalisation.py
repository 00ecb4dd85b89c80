"""Normalisation and dropout."""

from __future__ import annotations

from xgraph.ir.attrs import Attrs, AttrValue, AxisRef, Boolean, Integer, Real
from xgraph.ir.op import Attr, Fault, OpSpec, Param, Types
from xgraph.ir.types import product
from xgraph.ops.common import ONES, ZEROS, axis_index, channels, known, same_type

_EPS = Attr("eps", Real(0.0), 1e-5, "added to the variance")
_AFFINE = Attr("affine", Boolean(), True, "learn a scale and a shift")


def _resolve_bn(types: Types, a: Attrs) -> dict[str, AttrValue]:
    axis = axis_index("bn", a.axis, types[0])
    known("bn", types[0].features[axis], "the size of its axis")
    return {"axis": axis}


def _bn_params(types: Types, a: Attrs) -> list[Param]:
    size = known("bn", types[0].features[a.axis], "the size of its axis")
    affine = [Param("weight", (size,), ONES), Param("bias", (size,), ZEROS)] if a.affine else []
    return [
        *affine,
        Param("running_mean", (size,), ZEROS, "statistic"),
        Param("running_var", (size,), ONES, "statistic"),
        Param("num_batches_tracked", (), ZEROS, "counter"),
    ]


BN = OpSpec(
    "bn",
    "batch normalisation over one axis (0: the channels)",
    "bn(eps = 0.001)",
    attrs=(
        Attr("axis", AxisRef(), 0, "the axis that keeps statistics of its own"),
        _EPS,
        Attr(
            "momentum",
            Real(0.0, 1.0),
            0.1,
            "weight of the new batch in the running statistics",
        ),
        _AFFINE,
    ),
    resolve=_resolve_bn,
    infer=same_type,
    params=_bn_params,
)


def _resolve_ln(types: Types, a: Attrs) -> dict[str, AttrValue]:
    t = types[0]
    if a.axes > t.rank:
        raise Fault(
            f"`layernorm` over {a.axes} axes needs as many, and a sample has {t.rank}",
            id="bad-attribute",
            attr="axes",
        )
    for dim in t.shape[-a.axes :]:
        known("layernorm", dim, "the size of every axis it works on")
    return {}


def _ln_params(types: Types, a: Attrs) -> list[Param]:
    shape = tuple(known("layernorm", d, "its axes") for d in types[0].shape[-a.axes :])
    return [Param("weight", shape, ONES), Param("bias", shape, ZEROS)] if a.affine else []


LAYERNORM = OpSpec(
    "layernorm",
    "normalisation of each sample over its last axes",
    "layernorm",
    attrs=(Attr("axes", Integer(1, 4), 1, "how many axes from the last"), _EPS, _AFFINE),
    resolve=_resolve_ln,
    infer=same_type,
    params=_ln_params,
)


def _resolve_gn(types: Types, a: Attrs) -> dict[str, AttrValue]:
    count = channels("groupnorm", types[0])
    if count % a.groups:
        raise Fault(
            f"`groupnorm` cannot part {count} channels into {a.groups} groups",
            id="bad-attribute",
            attr="groups",
        )
    if product(types[0].features) == a.groups:
        raise Fault(
            f"`groupnorm` with {a.groups} groups would normalise each value by itself, and leave"
            " nothing of it",
            id="bad-attribute",
            attr="groups",
        )
    return {}


def _gn_params(types: Types, a: Attrs) -> list[Param]:
    shape = (channels("groupnorm", types[0]),)
    return [Param("weight", shape, ONES), Param("bias", shape, ZEROS)] if a.affine else []


GROUPNORM = OpSpec(
    "groupnorm",
    "normalisation of each sample over groups of channels",
    "groupnorm(8)",
    attrs=(Attr("groups", Integer(), doc="how many groups"), _EPS, _AFFINE),
    resolve=_resolve_gn,
    infer=same_type,
    params=_gn_params,
)

DROPOUT = OpSpec(
    "dropout",
    "zeroes values at random while training; nothing else",
    "dropout(0.5)",
    attrs=(Attr("rate", Real(0.0, 1.0, below=True), doc="the share of values zeroed"),),
    infer=same_type,
)

OPS = (BN, LAYERNORM, GROUPNORM, DROPOUT)
