"""Filters of super-layers, scaled: Eq. 1 of `xsertion`, rounded, and the lane scale."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from xgraph.build.names import written
from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.op import Fault
from xgraph.ir.scope import SuperLayer
from xgraph.passes.lower import lower
from xgraph.passes.places import Place

_CLOSE, _STEPS, _NARROW = 0.02, 50, 1e-5
"""Of the search for the lane scale: a difference of 2 % is near enough; so many steps at most."""


def _rounded(width: float) -> int:
    """Filters are rounded up, but for what is hardly over."""
    return ceil(width - 1e-4)


def filters_of(width: int, weight: float) -> int:
    """How many filters a connection of this weight has behind so many channels; 0 is none."""
    return _rounded(width * weight)


def width_of(filters: int, scale: float) -> int:
    """The width of a scaled layer, which always has a filter."""
    return max(1, _rounded(filters * scale))


def _widened(node: Node) -> str | None:
    """The attribute of a layer that says how many filters it has."""
    if isinstance(node.attrs.get("filters"), int):
        return "filters"
    return "units" if node.op.name == "maxout" and node.attrs.get("kernel") else None


def scaled(graph: Graph, scales: dict[str, float]) -> Graph:
    """`graph` with the filters of each super-layer times its scale."""
    new = graph.copy()
    for node in new.nodes():
        scale = next((scales[s.address] for s in _holders(node) if s.address in scales), None)
        key = _widened(node)
        if scale is not None and key is not None:
            new.set_attrs(node, **{key: width_of(node.attrs[key], scale)})
    try:
        new.infer()
    except Fault as fault:
        raise fail(
            "unfit-network", f"with scaled widths, {fault.message}", origin=graph.name,
            help="widths that must stay as they are cannot be scaled",
        ) from None  # fmt: skip
    return new


def _holders(node: Node) -> Iterator[SuperLayer]:
    for scope in node.scope.chain() if node.scope else ():
        if isinstance(scope, SuperLayer):
            yield scope


def width_at(place: Place) -> int:
    """How many channels there are at a place."""
    return channels_of(place.value, written(place.address))


def channels_of(value: Value, name: str) -> int:
    channels = value.type.features[0] if value.type.features else None
    if isinstance(channels, int):
        return channels
    raise fail(
        "open-size", f"`{name}` has no known number of channels", span=value.node.span,
        help="`xsertion` needs to know how many there are",
    )  # fmt: skip


def lane_scale(single: Graph, lane: str, count: int, target: float) -> float:
    """By bisection, how much wider a super-layer is than its share of `count`: until `single`, the
    network of `lane` alone, has about `target` parameters."""
    widths = sorted({node.attrs[key] for node in single.nodes() if (key := _widened(node))})
    found: dict[tuple[int, ...], float] = {}

    def over(scale: float) -> float:
        rounded = tuple(width_of(width, scale / count) for width in widths)
        if rounded not in found:  # many scales come to the same widths
            found[rounded] = parameters(scaled(single, {lane: scale / count})) - target
        return found[rounded]

    low, high = 1.0, 2.0
    at_low, at_high = over(low), over(high)
    if at_low * at_high > 0:
        return high
    middle = (low + high) / 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        there = over(middle)
        if -_CLOSE <= there / target < _CLOSE or (high - low) / 2 < _NARROW:
            break
        if (there > 0) == (at_low > 0):
            low, at_low = middle, there
        else:
            high = middle
    return middle


def parameters(graph: Graph) -> int:
    """How many numbers a network trains."""
    found = 0
    for _, param in lower(graph).params():
        if param.kind == "parameter":
            size = 1
            for dim in param.shape:
                size *= int(dim)
            found += size
    return found
