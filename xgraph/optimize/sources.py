"""What a parameter of an optimised network is made of, and the way back.

`made` computes it from the weights of the network as it was written. `undo` takes it apart again:
weights with which that network computes the same, which after folding are not always those that it
had.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "dict[str, Array]"


class Source(ABC):
    """An expression over the parameters of another network."""

    @abstractmethod
    def made(self, given: Mapping[str, Array]) -> Array: ...

    @abstractmethod
    def undo(self, value: Array, found: Arrays) -> None: ...

    @abstractmethod
    def over(self, earlier: Mapping[str, Source]) -> Source:
        """The same over what the parameters it reads are made of."""


@final
@dataclass(frozen=True)
class Held(Source):
    """A parameter as it is."""

    address: str

    def made(self, given: Mapping[str, Array]) -> Array:
        return given[self.address]

    def undo(self, value: Array, found: Arrays) -> None:
        found[self.address] = np.array(value)

    def over(self, earlier: Mapping[str, Source]) -> Source:
        return earlier[self.address]


@final
@dataclass(frozen=True)
class Zeros(Source):
    """Nothing of the network as it was written: a count of batches that begins anew."""

    def made(self, given: Mapping[str, Array]) -> Array:
        return np.zeros((), np.int64)

    def undo(self, value: Array, found: Arrays) -> None: ...

    def over(self, earlier: Mapping[str, Source]) -> Source:
        return self


@final
@dataclass(frozen=True)
class Joined(Source):
    """Parameters one behind the other along an axis, `sizes` long each."""

    parts: tuple[Source, ...]
    sizes: tuple[int, ...]
    axis: int = 0

    def made(self, given: Mapping[str, Array]) -> Array:
        return np.concatenate([part.made(given) for part in self.parts], self.axis)

    def undo(self, value: Array, found: Arrays) -> None:
        ends = np.cumsum(self.sizes)[:-1]
        for part, piece in zip(self.parts, np.split(value, ends, self.axis), strict=True):
            part.undo(piece, found)

    def over(self, earlier: Mapping[str, Source]) -> Source:
        return Joined(tuple(part.over(earlier) for part in self.parts), self.sizes, self.axis)


@final
@dataclass(frozen=True)
class Column(Source):
    """A vector as a matrix of one column."""

    vector: Source

    def made(self, given: Mapping[str, Array]) -> Array:
        return self.vector.made(given)[:, None]

    def undo(self, value: Array, found: Arrays) -> None:
        self.vector.undo(value[:, 0], found)

    def over(self, earlier: Mapping[str, Source]) -> Source:
        return Column(self.vector.over(earlier))


@final
@dataclass(frozen=True)
class Diagonal(Source):
    """Matrices along the diagonal of one, of `shapes` each; the rest is 0."""

    parts: tuple[Source, ...]
    shapes: tuple[tuple[int, int], ...]

    def made(self, given: Mapping[str, Array]) -> Array:
        rows, columns = (sum(sizes) for sizes in zip(*self.shapes, strict=True))
        whole = np.zeros((rows, columns), np.float32)
        for block, part in zip(self._blocks(whole), self.parts, strict=True):
            block[...] = part.made(given)
        return whole

    def undo(self, value: Array, found: Arrays) -> None:
        for block, part in zip(self._blocks(value), self.parts, strict=True):
            part.undo(block, found)

    def _blocks(self, whole: Array) -> list[Array]:
        found, row, column = [], 0, 0
        for rows, columns in self.shapes:
            found.append(whole[row : row + rows, column : column + columns])
            row, column = row + rows, column + columns
        return found

    def over(self, earlier: Mapping[str, Source]) -> Source:
        return Diagonal(tuple(part.over(earlier) for part in self.parts), self.shapes)


@final
@dataclass(frozen=True)
class Norm:
    """The parameters of a batch normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias."""

    mean: Source
    var: Source
    weight: Source | None
    bias: Source | None
    eps: float

    def factor(self, given: Mapping[str, Array]) -> Array:
        scale = 1 / np.sqrt(self.var.made(given).astype(np.float64) + self.eps)
        return scale if self.weight is None else scale * self.weight.made(given)

    def shift(self, given: Mapping[str, Array], before: Array | float) -> Array:
        """What a constant in front of it comes to behind it."""
        found: Array = (before - self.mean.made(given)) * self.factor(given)
        return found if self.bias is None else found + self.bias.made(given)

    def over(self, earlier: Mapping[str, Source]) -> Norm:
        def moved(source: Source | None) -> Source | None:
            return None if source is None else source.over(earlier)

        return Norm(self.mean.over(earlier), self.var.over(earlier), moved(self.weight),
                    moved(self.bias), self.eps)  # fmt: skip

    def be_plain(self, shift: Array, found: Arrays) -> None:
        """Parameters with which it adds `shift` and does nothing else."""
        self.mean.undo(-shift, found)
        self.var.undo(np.full_like(shift, 1 - self.eps), found)
        if self.weight is not None:
            self.weight.undo(np.ones_like(shift), found)
        if self.bias is not None:
            self.bias.undo(np.zeros_like(shift), found)


@final
@dataclass(frozen=True)
class NormedWeight(Source):
    """The weight of a layer with the normalisation behind it in it; outputs are its first axis."""

    weight: Source
    norm: Norm

    def made(self, given: Mapping[str, Array]) -> Array:
        weight = self.weight.made(given)
        factor = self.norm.factor(given).reshape(-1, *(1,) * (weight.ndim - 1))
        return (weight * factor).astype(np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        self.weight.undo(value, found)

    def over(self, earlier: Mapping[str, Source]) -> Source:
        return NormedWeight(self.weight.over(earlier), self.norm.over(earlier))


@final
@dataclass(frozen=True)
class NormedBias(Source):
    """The bias of that layer, which may have had none."""

    bias: Source | None
    norm: Norm

    def made(self, given: Mapping[str, Array]) -> Array:
        before = 0.0 if self.bias is None else self.bias.made(given).astype(np.float64)
        return self.norm.shift(given, before).astype(np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        self.norm.be_plain(value, found)
        if self.bias is not None:
            self.bias.undo(np.zeros_like(value), found)

    def over(self, earlier: Mapping[str, Source]) -> Source:
        bias = None if self.bias is None else self.bias.over(earlier)
        return NormedBias(bias, self.norm.over(earlier))
