"""Values side by side, each times a number: what gates do to streams.

The axes of a value become one for that. Where channels are last in memory, this would copy it, so
there channels are brought behind the other axes and parted where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, final

from xgraph.ir.graph import Node, Value
from xgraph.optimize.strands import Strands

_MAPS = 3
"""Axes of a value of which PyTorch has channels last."""


@final
class Shares:
    """Numbers g_ji, as a value of axes [j, i], for the values x_i that lie side by side in one."""

    def __init__(self, strands: Strands, nodes: Sequence[Node], whole: Value, shares: Value):
        self._strands, self._nodes, self._whole, self._shares = strands, nodes, whole, shares
        self._n, self._m = shares.type.sizes
        channels, *rest = whole.type.sizes
        self._channels, self._rest = channels // self._m, rest
        self._is_last = strands.costs.channels_last and whole.type.rank == _MAPS

    def products(self) -> Value:
        """All g_ji x_i side by side, those of one j behind those of the last."""
        return self._side_by_side(self._products(), self._n * self._m)

    def sums(self) -> Value:
        """All sums over i of g_ji x_i side by side. A compiler makes one loop of products and
        sums; else, one product of matrices is faster."""
        if self._is_last and self._strands.costs.target == "inductor":
            terms = self._products()
            how = {"how": "sum", "axis": terms.type.rank - 2}
            return self._side_by_side(self._add("reduce", [terms], how), self._n)
        size = self._channels * prod(self._rest)
        rows = self._add("reshape", [self._whole], {"shape": (self._m, size)})
        found = self._add("matmul", [self._shares, rows], {})
        return self._add("reshape", [found], {"shape": (self._n * self._channels, *self._rest)})

    def _products(self) -> Value:
        """With an axis for j and one for i, or the one of them that is longer than 1."""
        n, m = self._n, self._m
        axes = [(1, n)] * (n > 1) + [(m, m)] * (m > 1 or n == 1)
        read, given = zip(*axes, strict=True)
        if self._is_last:
            order = (*range(1, _MAPS), 0)
            whole = self._add("transpose", [self._whole], {"order": order})
            places, size = self._rest, self._channels
        else:
            whole, places, size = self._whole, [], self._channels * prod(self._rest)
        rows = self._add("reshape", [whole], {"shape": (*places, *read, size)})
        ones = (1,) * len(places)
        shares = self._add("reshape", [self._shares], {"shape": (*ones, *given, 1)})
        return self._add("mul", [rows, shares], {})

    def _side_by_side(self, found: Value, count: int) -> Value:
        channels = count * self._channels
        if not self._is_last:
            return self._add("reshape", [found], {"shape": (channels, *self._rest)})
        joined = self._add("reshape", [found], {"shape": (*self._rest, channels)})
        order = (_MAPS - 1, *range(_MAPS - 1))
        return self._add("transpose", [joined], {"order": order})

    def _add(self, op: str, inputs: Sequence[Value], attrs: Mapping[str, Any]) -> Value:
        return self._strands.add(self._nodes, op, inputs, attrs)
