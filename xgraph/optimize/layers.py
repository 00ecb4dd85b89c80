"""`fold-concats`: layers with nothing between them become one, where that multiplies less.

A linear layer or convolution that reads a concat is a sum of layers of its parts, so each part that
is such a layer itself is replaced by what that reads; parts that come twice come once. A layer of
which a part is read makes no more than that part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, final

from xgraph.ir.attrs import MAX_SIZE
from xgraph.ir.graph import Node, Value
from xgraph.ir.types import TensorType, evaluate
from xgraph.optimize.network import Optimized
from xgraph.optimize.products import Product, ThroughBias
from xgraph.optimize.rewrite import Expression, New, Rewriter, rewrite
from xgraph.optimize.sources import Joined, Source
from xgraph.optimize.views import Sliced, Sum

_OPEN = 16
"""What an axis counts for whose size only the running network knows."""


def fold_concats(network: Optimized) -> Optimized:
    """Fewer multiplications, the same outputs."""
    layer = (behind_layer, behind_concat)
    return rewrite(network, {"conv": layer, "linear": layer, "slice": (of_layer,)})


def _places(t: TensorType, axis: int) -> int:
    """How many vectors along an axis a sample has."""
    dims = (dim for i, dim in enumerate(t.features) if i != axis)
    return prod(evaluate(dim, _Open()) for dim in dims)


class _Open(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return _OPEN


def _axis(node: Node) -> int:
    """That of a layer's features."""
    return 0 if node.op.name == "conv" else node.output.type.rank - 1


def _is_pointwise(node: Node) -> bool:
    """Whether it looks at one place at a time, and at each."""
    return _is_narrow(node) and (node.op.name == "linear" or set(node.resolved.stride) == {1})


def _is_narrow(node: Node) -> bool:
    """Whether it looks at one place at a time."""
    attrs = node.resolved
    return node.op.name == "linear" or (
        attrs.groups == 1 and set(attrs.kernel) == {1} and not _pads(node)
    )


def _pads(node: Node) -> bool:
    return node.op.name == "conv" and any(map(any, node.resolved.pad))


def _shape(node: Node) -> tuple[int, ...]:
    return node.params[0].shape


def _work(node: Node) -> int:
    return prod(_shape(node)) * _places(node.output.type, _axis(node))


def _has_place(inner: Node, outer: Node) -> bool:
    """For what the bias of the inner layer comes to: in the bias of the outer, if that does not add
    zeros around it."""
    return not inner.resolved.bias or (outer.resolved.bias and not _pads(outer))


def _take_all(rewriter: Rewriter, node: Node) -> bool:
    """Whether its parameters may be told from those of a layer that they are in."""
    return rewriter.take_all(*rewriter.sources(node).values())


# ------------------------------------------------------------------------------- two in a row


def behind_layer(rewriter: Rewriter, node: Node) -> Expression | None:
    """A layer behind a layer."""
    (value,) = node.inputs
    inner = value.node
    if inner.op is not node.op or not rewriter.is_sole(value) or not _has_place(inner, node):
        return None
    if not _take_all(rewriter, node) or not _take_all(rewriter, inner):
        return None
    if node.op.name == "conv" and (node.resolved.groups > 1 or inner.resolved.groups > 1):
        return None
    is_outer = _is_narrow(node)
    if not is_outer and not _is_pointwise(inner):
        return None
    shapes = _shape(node), _shape(inner)
    window = shapes[1][2:] if is_outer else shapes[0][2:]
    work = shapes[0][0] * shapes[1][1] * prod(window) * _places(node.output.type, _axis(node))
    if work >= _work(node) + _work(inner):
        return None
    outer, before = rewriter.sources(node), rewriter.sources(inner)
    sources: dict[str, Source] = {
        "weight": Product(outer["weight"], before["weight"], shapes, is_outer)
    }
    if inner.resolved.bias:
        sources["bias"] = ThroughBias(outer["bias"], outer["weight"], (before["bias"],), (0,))
    elif node.resolved.bias:
        sources["bias"] = outer["bias"]
    attrs: dict[str, Any] = dict(node.attrs)
    if node.op.name == "conv" and is_outer:
        steps = zip(inner.resolved.stride, node.resolved.stride, strict=True)
        attrs = {**inner.attrs, "filters": node.resolved.filters, "bias": node.resolved.bias}
        attrs["stride"] = tuple(a * b for a, b in steps)
        if max(attrs["stride"]) > MAX_SIZE:
            return None
    return New(node.op.name, inner.inputs, attrs, sources, node)


# ------------------------------------------------------------------------------- over a concat


@final
@dataclass
class _Part:
    """Some of what a layer reads: a value, and its columns of the weight."""

    value: Value
    size: int
    weight: Source


def behind_concat(rewriter: Rewriter, node: Node) -> Expression | None:
    """A layer that reads several values side by side."""
    (value,), axis = node.inputs, _axis(node)
    concat = value.node
    if concat.op.name != "concat" or concat.resolved.axis != axis:
        return None
    if node.op.name == "conv" and node.resolved.groups > 1:
        return None
    weight = rewriter.sources(node)["weight"]
    is_sole = rewriter.is_sole(value) and _take_all(rewriter, node)
    parts: list[_Part] = []
    biases: dict[int, Source] = {}
    first = 0
    for inputs in _runs(concat.inputs, rewriter, node, is_sole):
        size = sum(_width(v, axis) for v in inputs)
        columns = Sliced(weight, 1, first, first + size)
        inner = [v.node for v in inputs]
        if is_sole and _pays(rewriter, inner, node, size):
            parts.append(_through(rewriter, inner, node, columns, size))
            at = first
            for layer in inner:
                if layer.resolved.bias:
                    biases[at] = rewriter.sources(layer)["bias"]
                at += _shape(layer)[0]
        else:
            at = first
            for v in inputs:
                width = _width(v, axis)
                parts.append(_Part(v, width, Sliced(weight, 1, at, at + width)))
                at += width
        first += size
    return _over_parts(rewriter, node, _once(rewriter, parts), biases)


def _width(value: Value, axis: int) -> int:
    size = value.type.features[axis]
    assert isinstance(size, int)
    return size


def _runs(
    values: Sequence[Value], rewriter: Rewriter, node: Node, is_sole: bool
) -> list[list[Value]]:
    """Layers of one value in a row are one; everything else is by itself."""
    found: list[list[Value]] = []
    for value in values:
        last = found[-1][-1] if found else None
        if (
            last is not None
            and is_sole
            and _may_go(rewriter, value, node)
            and _may_go(rewriter, last, node)
            and value.node.inputs == last.node.inputs
        ):
            found[-1].append(value)
        else:
            found.append([value])
    return found


def _may_go(rewriter: Rewriter, value: Value, node: Node) -> bool:
    inner = value.node
    return (
        inner.op is node.op
        and rewriter.is_sole(value)
        and _is_pointwise(inner)
        and _has_place(inner, node)
        and _take_all(rewriter, inner)
    )


def _pays(rewriter: Rewriter, inner: Sequence[Node], node: Node, size: int) -> bool:
    """Whether fewer are multiplied without these layers."""
    if not all(_may_go(rewriter, layer.output, node) for layer in inner):
        return False
    features, shape = _shape(inner[0])[1], _shape(node)
    places = _places(node.output.type, _axis(node)) * shape[0] * prod(shape[2:])
    return features * places < size * places + sum(map(_work, inner))


def _through(
    rewriter: Rewriter, inner: Sequence[Node], node: Node, columns: Source, size: int
) -> _Part:
    weights = tuple(rewriter.sources(layer)["weight"] for layer in inner)
    shape, (_, features, *window) = _shape(node), _shape(inner[0])
    joint = Joined(weights, tuple(_shape(layer)[0] for layer in inner))
    before = weights[0] if len(weights) == 1 else joint
    shapes = (shape[0], size, *shape[2:]), (size, features, *window)
    return _Part(inner[0].inputs[0], features, Product(columns, before, shapes, False))


def _once(rewriter: Rewriter, parts: Sequence[_Part]) -> list[_Part]:
    """Each value once, with all its columns added up."""
    found: dict[Value, list[_Part]] = {}
    for part in parts:
        found.setdefault(part.value, []).append(part)
    once: list[_Part] = []
    for value, each in found.items():
        joint = Sum(tuple(part.weight for part in each))
        is_one = len(each) == 1 or not rewriter.take_all(joint)
        once += each if is_one else [_Part(value, each[0].size, joint)]
    return once


def _over_parts(
    rewriter: Rewriter, node: Node, parts: Sequence[_Part], biases: dict[int, Source]
) -> Expression | None:
    """The layer over these, if they are others than it reads."""
    if [part.value for part in parts] == list(node.inputs[0].node.inputs):
        return None
    held = rewriter.sources(node)
    sizes = tuple(part.size for part in parts)
    weight = Joined(tuple(part.weight for part in parts), sizes, 1)
    sources: dict[str, Source] = {"weight": weight if len(parts) > 1 else parts[0].weight}
    if biases:
        sources["bias"] = ThroughBias(
            held["bias"], held["weight"], tuple(biases.values()), tuple(biases)
        )
    elif "bias" in held:
        sources["bias"] = held["bias"]
    whole: Expression = parts[0].value
    if len(parts) > 1:
        whole = New("concat", [part.value for part in parts], {"axis": _axis(node)})
    return New(node.op.name, [whole], node.attrs, sources, node)


# --------------------------------------------------------------------------------- of which a part


def of_layer(rewriter: Rewriter, node: Node) -> Expression | None:
    """A slice of what a layer gives, which nothing else reads."""
    (value,), attrs = node.inputs, node.resolved
    layer = value.node
    is_layer = layer.op.name == "linear" or (layer.op.name == "conv" and layer.resolved.groups == 1)
    if not is_layer or attrs.axis != _axis(layer) or not rewriter.is_sole(value):
        return None
    start, stop, _ = slice(attrs.start, attrs.stop).indices(_shape(layer)[0])
    held = rewriter.sources(layer)
    sources = {name: Sliced(source, 0, start, stop) for name, source in held.items()}
    count = "filters" if layer.op.name == "conv" else "units"
    return New(layer.op.name, layer.inputs, {**layer.attrs, count: stop - start}, sources, layer)
