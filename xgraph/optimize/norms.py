"""`fold-norms`: a batch normalisation becomes part of the layer behind or before which it stands.

Behind: also where operations lie between that it may change places with (`_BEFORE`), and of all
layers that a concat or a sum brings together. Nothing else may read what it goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from xgraph.ir.graph import Node, Value
from xgraph.ir.types import Dim, product
from xgraph.optimize.network import Optimized
from xgraph.optimize.rewrite import Expression, New, Rewriter, rewrite
from xgraph.optimize.sources import (
    InNormedBias,
    InNormedWeight,
    Norm,
    NormedBias,
    NormedWeight,
    Source,
)
from xgraph.optimize.views import sliced_norm

FARTHEST = 16
"""So many operations may lie between."""

_MOST = 0.5
"""Of a larger `eps`, no variance of a normalisation that does nothing could be told in float32."""


def fold_norms(network: Optimized) -> Optimized:
    """Batch normalisations that no layer takes stay."""
    return rewrite(network, {"bn": (_behind,), "conv": (_before,), "linear": (_before,)})


def norm_of(rewriter: Rewriter, node: Node) -> Norm:
    """The parameters of a `bn`."""
    held = rewriter.sources(node)
    return Norm(
        held["running_mean"], held["running_var"], held.get("weight"), held.get("bias"),
        node.resolved.eps,
    )  # fmt: skip


# ---------------------------------------------------------------------------- behind a layer


def _behind(rewriter: Rewriter, node: Node) -> Expression | None:
    if node.resolved.eps > _MOST:
        return None
    norm = norm_of(rewriter, node)
    return _taken(rewriter, node.inputs[0], node.resolved.axis, norm, True, FARTHEST)


def _taken(
    rewriter: Rewriter, value: Value, axis: int, norm: Norm, shifts: bool, farthest: int
) -> New | None:
    """The normalised value, with the normalisation in the layers that it comes from; without the
    constant that it adds, unless it `shifts`."""
    node = value.node
    if not farthest or not rewriter.is_sole(value):
        return None
    if output_axis(node) == axis:
        return _layer(rewriter, node, norm, shifts)
    if node.op.name not in _BEFORE:
        return None
    before = _BEFORE[node.op.name](node, axis)
    if before is None:
        return None
    inputs: list[Expression] = []
    for index, (each, part) in enumerate(zip(node.inputs, _parts(node, axis, norm), strict=True)):
        adds = shifts and (index == 0 or node.op.name != "add")
        taken = _taken(rewriter, each, before, part, adds, farthest - 1)
        if taken is None:
            return None
        inputs.append(taken)
    return New(node.op.name, inputs, node.attrs)


def output_axis(node: Node) -> int | None:
    """Along which axis each number of its bias goes to a slice of what a layer gives; None for what
    is no layer."""
    attrs = node.resolved
    match node.op.name:
        case "conv":
            return 0
        case "deconv":
            return 0 if attrs.groups == 1 else None
        case "linear":
            return node.output.type.rank - 1
        case "bn":
            return int(attrs.axis) if attrs.affine else None
    return None


def _layer(rewriter: Rewriter, node: Node, norm: Norm, shifts: bool) -> New | None:
    held = rewriter.sources(node)
    if not shifts and "bias" in held and not rewriter.take_all(held["bias"]):
        return None
    weight = NormedWeight(held["weight"], norm, 1 if node.op.name == "deconv" else 0)
    sources: dict[str, Source] = {**held, "weight": weight}
    if shifts:
        sources["bias"] = NormedBias(held.get("bias"), norm)
    elif "bias" in held:
        sources["bias"] = NormedWeight(held["bias"], norm)
    attrs = node.attrs if node.op.name == "bn" else node.attrs.but(bias="bias" in sources)
    return New(node.op.name, node.inputs, attrs, sources, node)


# ------------------------------------------------------------- what it changes places with

_Axis: TypeAlias = Callable[[Node, int], int | None]
"""The axis of the inputs that is this one of the output, where it does not matter whether a factor
and a constant for each place on it come before the node or behind."""


def _parts(node: Node, axis: int, norm: Norm) -> Iterator[Norm]:
    first = 0
    for value in node.inputs:
        if node.op.name == "concat" and node.resolved.axis == axis:
            size = value.type.features[axis]
            assert isinstance(size, int)
            yield sliced_norm(norm, first, first + size)
            first += size
        else:
            yield norm


def _same_parts(node: Node, axis: int) -> int | None:
    return axis if node.resolved.axis == axis else None


def _same_sizes(node: Node, axis: int) -> int | None:
    """Other axes may be stretched, as for a number for each channel."""
    return axis if len({value.type.features[axis] for value in node.inputs}) == 1 else None


def _other_axis(node: Node, axis: int) -> int | None:
    return axis if node.resolved.axis != axis else None


def _channels(node: Node, axis: int) -> int | None:
    return axis if axis == 0 else None


def _mean(node: Node, axis: int) -> int | None:
    attrs, rank = node.resolved, node.inputs[0].type.rank
    if attrs.how != "mean":
        return None
    kept = [i for i in range(rank) if attrs.keep or i not in attrs.axis]
    return kept[axis] if kept[axis] not in attrs.axis else None


def _reshaped(node: Node, axis: int) -> int | None:
    """That of the same size, with as many numbers before it and behind it."""
    after, before = node.output.type.features, node.inputs[0].type.features
    wanted = product(after[:axis]), after[axis]
    first: Dim = 1
    for index, size in enumerate(before):
        if (first, size) == wanted:
            return index
        first = first * size
    return None


_BEFORE: Mapping[str, _Axis] = {
    "concat": _same_parts,
    "add": _same_sizes,
    "slice": _other_axis,
    "transpose": lambda node, axis: int(node.resolved.order[axis]),
    "reshape": _reshaped,
    "reduce": _mean,
    "avgpool": _channels,
    "upsample": _channels,
}


# ---------------------------------------------------------------------------- before a layer


def _before(rewriter: Rewriter, node: Node) -> Expression | None:
    """A layer that pads with zeros, or has no bias, has no place for the constant that a
    normalisation adds."""
    (value,), attrs = node.inputs, node.resolved
    if not attrs.bias or not rewriter.is_sole(value):
        return None
    if node.op.name == "conv" and any(map(any, attrs.pad)):
        return None
    axis, each, view = 0 if node.op.name == "conv" else value.type.rank - 1, 1, None
    if value.node.op.name == "reshape" and value.type.rank == 1:
        view = value.node
        (value,) = view.inputs
        if not value.type.rank or not rewriter.is_sole(value):
            return None
        axis = 0
        count, size = view.output.type.features[0], value.type.features[0]
        assert isinstance(count, int)
        each = count // size if isinstance(size, int) else 0
    norm = value.node
    if norm.op.name != "bn" or norm.resolved.axis != axis or not each:
        return None
    if norm.resolved.eps > _MOST:
        return None
    held, told = rewriter.sources(node), norm_of(rewriter, norm)
    if not rewriter.take_all(held["bias"]):
        return None
    groups = attrs.groups if node.op.name == "conv" else 1
    sources = {
        "weight": InNormedWeight(held["weight"], told, groups, each),
        "bias": InNormedBias(held["bias"], held["weight"], told, groups, each),
    }
    before: Expression = norm.inputs[0]
    if view is not None:
        before = New("reshape", [before], view.attrs)
    return New(node.op.name, [before], node.attrs, sources, node)
