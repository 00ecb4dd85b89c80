"""Weights of two layers in a row as those of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np

from xgraph.optimize.sources import Array, Arrays, Source


@final
@dataclass(frozen=True)
class Product(Source):
    """The weight of two layers, `outer` behind `inner`, of which one looks at single places:
    `outer` where `is_outer`. Weights are [out, in, *window], `hidden` features lie between.

    The way back gives two weights that make the same, if there are any: where there are fewer
    features between than in and out, the closest. Both must take any value.
    """

    outer: Source
    inner: Source
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    """Of both."""
    is_outer: bool = True

    def made(self, given: Mapping[str, Array]) -> Array:
        outer, inner = (s.made(given).astype(np.float64) for s in (self.outer, self.inner))
        (units, hidden, *_), (_, features, *wide) = self.shapes
        if self.is_outer:
            found = (outer.reshape(units, hidden) @ inner.reshape(hidden, -1)).reshape(
                units, features, *wide
            )
        else:
            rows = np.moveaxis(outer, 1, -1) @ inner.reshape(hidden, features)
            found = np.moveaxis(rows, -1, 1)
        return found.astype(np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        (units, hidden, *window), (_, features, *_) = self.shapes
        if self.is_outer:
            left, right = _factors(value.reshape(units, -1), hidden)
            self.outer.undo(left.reshape(self.shapes[0]), found)
            self.inner.undo(right.reshape(self.shapes[1]), found)
        else:
            left, right = _factors(np.moveaxis(value, 1, -1).reshape(-1, features), hidden)
            rows = left.reshape(units, *window, hidden)
            self.outer.undo(np.moveaxis(rows, -1, 1), found)
            self.inner.undo(right.reshape(self.shapes[1]), found)

    @property
    def takes_all(self) -> bool:
        (units, hidden, *window), (_, features, *wide) = self.shapes
        sides = (
            (units, features * prod(wide)) if self.is_outer else (units * prod(window), features)
        )
        return hidden >= min(sides)


def _factors(matrix: Array, hidden: int) -> tuple[Array, Array]:
    """Two matrices of which this is the product, `hidden` columns and rows between."""
    rows, columns = matrix.shape
    left, right = np.zeros((rows, hidden), np.float32), np.zeros((hidden, columns), np.float32)
    if hidden >= columns:
        left[:, :columns], right[:columns] = matrix, np.eye(columns)
    elif hidden >= rows:
        left[:, :rows], right[:rows] = np.eye(rows), matrix
    else:
        u, s, v = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
        root = np.sqrt(s[:hidden])
        left[...], right[...] = u[:, :hidden] * root, root[:, None] * v[:hidden]
    return left, right


@final
@dataclass(frozen=True)
class ThroughBias(Source):
    """The bias of two layers in a row, or of one over several side by side: that of the outer, and
    what its weight makes of those of the inner ones, all of which must take any value. `firsts`
    says where in its features each begins."""

    bias: Source
    weight: Source
    inner: tuple[Source, ...]
    firsts: tuple[int, ...]

    def made(self, given: Mapping[str, Array]) -> Array:
        weight = self.weight.made(given).astype(np.float64)
        weight = weight.reshape(*weight.shape[:2], prod(weight.shape[2:])).sum(2)
        found = self.bias.made(given).astype(np.float64)
        for source, first in zip(self.inner, self.firsts, strict=True):
            before = source.made(given)
            found = found + weight[:, first : first + len(before)] @ before
        return np.asarray(found, np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        self.bias.undo(value, found)
        for source in self.inner:
            source.undo(np.zeros_like(source.made(found)), found)

    @property
    def takes_all(self) -> bool:
        return self.bias.takes_all
