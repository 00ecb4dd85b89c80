"""Rules of what moves values about: boundaries, shapes, and masks over steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from xgraph.backends.onnx.registry import rule
from xgraph.backends.onnx.site import Site
from xgraph.ir.types import Expr, TensorType
from xgraph.ops.common import axis_index

_TO_THE_END = 2**63 - 1

Pads: TypeAlias = Sequence[tuple[int, int]]
"""How much before and after each axis."""


@rule("input")
def enter(site: Site) -> str:
    site.emitter.enter(site.node.output, site.node.address)
    return site.node.address


@rule("each_in")
def each_in(site: Site) -> str:
    axis = axis_index("each", site.attrs.axis, site.type) + 1
    order = [0, axis, *(i for i in range(1, site.type.rank + 1) if i != axis)]
    x = site.x if axis == 1 else site.op("Transpose", site.x, perm=order)
    return site.reshape(x, [site.type.shape[i] for i in order], site.node.output.type.shape)


@rule("each_out", "reshape")
def reshape(site: Site) -> str:
    return site.reshape(site.x, site.type.shape, site.node.output.type.shape)


@rule("transpose")
def transpose(site: Site) -> str:
    return site.op("Transpose", site.x, perm=[0, *(i + 1 for i in site.attrs.order)])


@rule("slice")
def part(site: Site) -> str:
    a = site.attrs
    stop = _TO_THE_END if a.stop is None else a.stop
    return site.op("Slice", site.x, *(site.ints([n]) for n in (a.start, stop, a.axis + 1)))


@rule("concat")
def concat(site: Site) -> str:
    if len(site.inputs) == 1:
        return site.x
    return site.op("Concat", *site.inputs, axis=site.attrs.axis + 1)


def both_ends(pads: Pads) -> list[int]:
    """ONNX's order: what comes before each axis, then what comes after each."""
    return [before for before, _ in pads] + [after for _, after in pads]


def bordered(site: Site, x: str, amount: Pads, value: float) -> str:
    """`x` with a border around its spatial axes."""
    pads = site.ints(both_ends([(0, 0), (0, 0), *amount]))
    return site.op("Pad", x, pads, site.number(value))


@rule("pad")
def pad(site: Site) -> str:
    return bordered(site, site.x, site.attrs.amount, site.attrs.value)


@rule("mask")
def mask(site: Site) -> str:
    x, lengths = site.inputs
    return masked(site, x, lengths, site.type, site.attrs.axis, site.attrs.value)


def masked(site: Site, x: str, lengths: str, t: TensorType, axis: int, value: float = 0.0) -> str:
    """`x`, of type `t`, with `value` at the steps of `axis` past each sample's length."""
    steps = _steps(site, t, axis)
    limits = site.op("Unsqueeze", lengths, site.ints(range(1, t.rank + 1)))
    return site.op("Where", site.op("Less", steps, limits), x, site.number(value))


def _steps(site: Site, t: TensorType, axis: int) -> str:
    """0, 1, 2 … along `axis`, ready to be compared with one number a sample."""
    size = t.features[axis]
    after = t.rank - 1 - axis
    if not isinstance(size, Expr):
        steps = np.arange(int(size), dtype=np.int64).reshape(-1, *(1,) * after)
        return site.emitter.constant(f"steps{list(steps.shape)}", steps)
    end = site.op("Squeeze", site.emitter.size(size), site.ints([0]))
    found = site.op("Range", site.integer(0), end, site.integer(1))
    return site.op("Unsqueeze", found, site.ints(range(1, after + 1))) if after else found
