"""What a parameter of an optimised network is made of, and the way back.

`made` computes it from the weights of the network as it was written. `undo` takes it apart again:
weights with which that network computes the same, which after folding are not always those that it
had.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeAlias, final

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "dict[str, Array]"


@dataclass(frozen=True)
class Source(ABC):
    """An expression over the parameters of another network."""

    @abstractmethod
    def made(self, given: Mapping[str, Array]) -> Array: ...

    @abstractmethod
    def undo(self, value: Array, found: Arrays) -> None: ...

    def over(self, earlier: Mapping[str, Source]) -> Source:
        """The same over what the parameters it reads are made of."""
        parts = {each.name: _over(getattr(self, each.name), earlier) for each in fields(self)}
        return replace(self, **parts)

    @cached_property
    def depth(self) -> int:
        """How many expressions stand within each other."""
        parts = (getattr(self, each.name) for each in fields(self))
        return 1 + max((_depth(part) for part in parts), default=0)

    @property
    def takes_all(self) -> bool:
        """Whether `undo` finds parameters for any value, not only for what can be made of some."""
        return all(_takes_all(getattr(self, each.name)) for each in fields(self))


def _over(part: Any, earlier: Mapping[str, Source]) -> Any:
    if isinstance(part, (Source, Norm)):
        return part.over(earlier)
    return tuple(_over(each, earlier) for each in part) if isinstance(part, tuple) else part


def _depth(part: Any) -> int:
    if isinstance(part, (Source, Norm)):
        return part.depth
    return max(map(_depth, part), default=0) if isinstance(part, tuple) else 0


def _takes_all(part: Any) -> bool:
    if isinstance(part, (Source, Norm)):
        return part.takes_all
    return all(map(_takes_all, part)) if isinstance(part, tuple) else True


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

    @property
    def takes_all(self) -> bool:
        return False


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


@final
@dataclass(frozen=True)
class Column(Source):
    """A vector as a matrix of one column."""

    vector: Source

    def made(self, given: Mapping[str, Array]) -> Array:
        return self.vector.made(given)[:, None]

    def undo(self, value: Array, found: Arrays) -> None:
        self.vector.undo(value[:, 0], found)


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

    @property
    def takes_all(self) -> bool:
        return len(self.parts) == 1 and self.parts[0].takes_all

    def _blocks(self, whole: Array) -> list[Array]:
        found, row, column = [], 0, 0
        for rows, columns in self.shapes:
            found.append(whole[row : row + rows, column : column + columns])
            row, column = row + rows, column + columns
        return found


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
        return replace(
            self, **{each.name: _over(getattr(self, each.name), earlier) for each in fields(self)}
        )

    @property
    def takes_all(self) -> bool:
        return all(_takes_all(getattr(self, each.name)) for each in fields(self))

    @property
    def depth(self) -> int:
        return max(_depth(getattr(self, each.name)) for each in fields(self))

    def be_plain(self, shift: Array, found: Arrays) -> None:
        """Parameters with which it adds `shift` and does nothing else."""
        self.mean.undo(-shift, found)
        self.be_unit(len(shift), found)
        if self.bias is not None:
            self.bias.undo(np.zeros_like(shift), found)

    def be_unit(self, size: int, found: Arrays) -> None:
        """Parameters with which it multiplies by 1."""
        ones = np.ones(size, np.float32)
        self.var.undo(ones * (1 - self.eps), found)
        if self.weight is not None:
            self.weight.undo(ones, found)


@final
@dataclass(frozen=True)
class NormedWeight(Source):
    """The weight of a layer with the normalisation behind it in it; `axis` is that of outputs."""

    weight: Source
    norm: Norm
    axis: int = 0

    def made(self, given: Mapping[str, Array]) -> Array:
        weight = self.weight.made(given)
        return (weight * along(self.norm.factor(given), self.axis, weight.ndim)).astype(np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        self.weight.undo(value, found)
        self.norm.be_unit(value.shape[self.axis], found)


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
        before = np.zeros_like(value)
        if self.bias is not None:
            self.bias.undo(before, found)
            before = self.bias.made(found)
        self.norm.be_plain(value - before, found)

    @property
    def takes_all(self) -> bool:
        return self.norm.takes_all


@final
@dataclass(frozen=True)
class InNormedWeight(Source):
    """The weight of a layer with the normalisation before it in it; inputs are its second axis,
    parted into groups, and `each` of them in a row are of one channel."""

    weight: Source
    norm: Norm
    groups: int = 1
    each: int = 1

    def made(self, given: Mapping[str, Array]) -> Array:
        weight = self.weight.made(given)
        factor = _by_input(self.norm.factor(given), weight, self.groups, self.each)
        return (weight * factor).astype(np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        self.weight.undo(value, found)
        size = self.groups * value.shape[1] // self.each
        self.norm.be_plain(np.zeros(size, np.float32), found)


@final
@dataclass(frozen=True)
class InNormedBias(Source):
    """The bias of that layer."""

    bias: Source
    weight: Source
    norm: Norm
    groups: int = 1
    each: int = 1

    def made(self, given: Mapping[str, Array]) -> Array:
        weight = self.weight.made(given).astype(np.float64)
        shift = _by_input(self.norm.shift(given, 0.0), weight, self.groups, self.each)
        found = self.bias.made(given) + (weight * shift).reshape(len(weight), -1).sum(1)
        return np.asarray(found, np.float32)

    def undo(self, value: Array, found: Arrays) -> None:
        self.bias.undo(value, found)

    @property
    def takes_all(self) -> bool:
        return self.bias.takes_all


def along(vector: Array, axis: int, rank: int) -> Array:
    """A vector as a tensor of so many axes, along one of them."""
    return vector.reshape(*(1,) * axis, -1, *(1,) * (rank - axis - 1))


def _by_input(vector: Array, weight: Array, groups: int, each: int) -> Array:
    """A number a channel, as the weight of a layer has its inputs."""
    rows = np.repeat(vector, each).reshape(groups, -1).repeat(len(weight) // groups, axis=0)
    return rows.reshape(*rows.shape, *(1,) * (weight.ndim - 2))
