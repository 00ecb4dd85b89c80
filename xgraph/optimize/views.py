"""Parts of parameters, their numbers in another shape, and simple functions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from xgraph.optimize.sources import Array, Arrays, Norm, Source


@final
@dataclass(frozen=True)
class Sliced(Source):
    """A part of an axis. On the way back the rest stays as it was found."""

    whole: Source
    axis: int
    start: int
    stop: int

    def made(self, given: Mapping[str, Array]) -> Array:
        return self._part(self.whole.made(given))

    def undo(self, value: Array, found: Arrays) -> None:
        whole = np.array(self.whole.made(found))
        self._part(whole)[...] = value
        self.whole.undo(whole, found)

    def _part(self, whole: Array) -> Array:
        return whole[(slice(None),) * self.axis + (slice(self.start, self.stop),)]


def sliced_norm(norm: Norm, start: int, stop: int) -> Norm:
    """The normalisation of some channels."""

    def part(source: Source) -> Source:
        return Sliced(source, 0, start, stop)

    weight = None if norm.weight is None else part(norm.weight)
    bias = None if norm.bias is None else part(norm.bias)
    return Norm(part(norm.mean), part(norm.var), weight, bias, norm.eps)


@final
@dataclass(frozen=True)
class Reshaped(Source):
    source: Source
    before: tuple[int, ...]
    after: tuple[int, ...]

    def made(self, given: Mapping[str, Array]) -> Array:
        return self.source.made(given).reshape(self.after)

    def undo(self, value: Array, found: Arrays) -> None:
        self.source.undo(value.reshape(self.before), found)


@final
@dataclass(frozen=True)
class Transposed(Source):
    source: Source
    order: tuple[int, ...]

    def made(self, given: Mapping[str, Array]) -> Array:
        return self.source.made(given).transpose(self.order)

    def undo(self, value: Array, found: Arrays) -> None:
        self.source.undo(value.transpose(np.argsort(self.order)), found)


@final
@dataclass(frozen=True)
class Affine(Source):
    """Times a factor other than 0, plus an offset; `source` None stands for `size` zeros."""

    source: Source | None
    factor: float
    offset: float = 0.0
    size: int = 0

    def made(self, given: Mapping[str, Array]) -> Array:
        value = np.zeros(self.size) if self.source is None else self.source.made(given)
        return np.asarray(value.astype(np.float64) * self.factor + self.offset, np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        if self.source is not None:
            before = (value.astype(np.float64) - self.offset) / self.factor
            self.source.undo(before.astype(np.float32), found)

    @property
    def takes_all(self) -> bool:
        return self.source is not None and self.source.takes_all


def affine(source: Source | None, factor: float, offset: float = 0.0, size: int = 0) -> Source:
    """One in place of two."""
    if not isinstance(source, Affine):
        return Affine(source, factor, offset, size)
    joint = source.factor * factor, source.offset * factor + offset
    return Affine(source.source, *joint, source.size)


def is_moderate(source: Source) -> bool:
    """Whether float32 can tell back what was scaled."""
    return not isinstance(source, Affine) or 2.0**-40 < abs(source.factor) < 2.0**40


@final
@dataclass(frozen=True)
class Sum(Source):
    """Of parameters of one shape. On the way back each takes what those before it left."""

    parts: tuple[Source, ...]

    def made(self, given: Mapping[str, Array]) -> Array:
        found = sum(part.made(given).astype(np.float64) for part in self.parts)
        return np.asarray(found, np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        for part in self.parts:
            part.undo(value, found)
            value = value - part.made(found)

    @property
    def takes_all(self) -> bool:
        return any(part.takes_all for part in self.parts)


_LEAST = 2.0**-24
"""Half the distance of 1 to the float32 below it."""

Function: TypeAlias = Callable[[Array], Array]

FUNCTIONS: Mapping[str, tuple[Function, Function]] = {
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda y: _logit(np.clip(y, _LEAST, 1 - _LEAST))),
    "tanh": (np.tanh, lambda y: np.arctanh(np.clip(y, -1 + _LEAST, 1 - _LEAST))),
}
"""Functions of numbers, and the way back."""


def _logit(y: Array) -> Array:
    return np.asarray(np.log(y) - np.log1p(-y))


@final
@dataclass(frozen=True)
class Mapped(Source):
    """A function of each number."""

    source: Source
    function: str

    def made(self, given: Mapping[str, Array]) -> Array:
        return self._through(0, self.source.made(given))

    def undo(self, value: Array, found: Arrays) -> None:
        self.source.undo(self._through(1, value), found)

    @property
    def takes_all(self) -> bool:
        return False

    def _through(self, way: int, value: Array) -> Array:
        with np.errstate(over="ignore"):
            return FUNCTIONS[self.function][way](value.astype(np.float64)).astype(np.float32)


@final
@dataclass(frozen=True)
class Softmax(Source):
    """Softmax along an axis."""

    source: Source
    axis: int

    def made(self, given: Mapping[str, Array]) -> Array:
        value = self.source.made(given).astype(np.float64)
        found = np.exp(value - value.max(self.axis, keepdims=True))
        return np.asarray(found / found.sum(self.axis, keepdims=True), np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        least = np.finfo(np.float32).tiny
        self.source.undo(np.log(np.maximum(value, least)).astype(np.float32), found)

    @property
    def takes_all(self) -> bool:
        return False
