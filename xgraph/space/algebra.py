"""Decisions, and how many ways there are to take them: exact integers, however large.

A region is a set of picks. A `Leaf` picks a number, an `Options` one of several regions, a
`Product` something of each of its parts, a `Repeated` a row of picks of one part. Every region
counts its picks and numbers them: `unrank` is a bijection from `range(size)`, `rank` its inverse,
so a uniform pick is that of a uniform integer.

A pick is an integer for a leaf, `(option, pick)` for options, and a tuple of picks otherwise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from random import Random
from typing import Any, TypeAlias, final

Pick: TypeAlias = Any
Numbers: TypeAlias = "int | tuple[Numbers, ...]"
"""A pick as a person reads it: the number of a leaf, and rows of such."""


class Region(ABC):
    """A set of picks."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many picks there are."""

    @property
    @abstractmethod
    def width(self) -> int:
        """How many integers `vector` gives."""

    @property
    @abstractmethod
    def is_weighted(self) -> bool:
        """Whether some decision in it has chances of its own."""

    @abstractmethod
    def rank(self, pick: Pick) -> int:
        """The number of a pick, from 0."""

    @abstractmethod
    def unrank(self, number: int) -> Pick:
        """The pick of a number below `size`."""

    @abstractmethod
    def weighted(self, rng: Random) -> Pick:
        """A pick by its decisions, each with its own chances."""

    @abstractmethod
    def vector(self, pick: Pick) -> list[int]:
        """The numbers of a pick, each in its place; 0 where something was not to be decided."""

    @abstractmethod
    def neighbours(self, pick: Pick) -> Iterator[Pick]:
        """Every pick that differs in one decision; what an option brings with it is its first."""

    @abstractmethod
    def cross(self, a: Pick, b: Pick, rng: Random) -> Pick:
        """Each decision as in one of two picks."""

    @property
    @abstractmethod
    def breadth(self) -> int:
        """How many picks of `cover` take every option of every decision."""

    @abstractmethod
    def cover(self, number: int) -> Pick:
        """A pick, from 0 on, that takes the next option of each decision."""

    def draw(self, rng: Random) -> Pick:
        """A pick by chance: uniform, except where decisions have chances of their own."""
        if self.is_weighted:
            return self.weighted(rng)
        return self.unrank(rng.randrange(self.size))


@final
@dataclass(frozen=True)
class Leaf(Region):
    """One of `count` numbers from `first` on. `chances` are theirs; none: all are equal."""

    count: int
    first: int = 1
    chances: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        return self.count

    @property
    def width(self) -> int:
        return 1

    @property
    def is_weighted(self) -> bool:
        return bool(self.chances)

    def rank(self, pick: Pick) -> int:
        return int(pick)

    def unrank(self, number: int) -> Pick:
        return number

    def weighted(self, rng: Random) -> Pick:
        if not self.chances:
            return rng.randrange(self.count)
        return rng.choices(range(self.count), self.chances)[0]

    def vector(self, pick: Pick) -> list[int]:
        return [self.first + pick]

    def neighbours(self, pick: Pick) -> Iterator[Pick]:
        return (number for number in range(self.count) if number != pick)

    def cross(self, a: Pick, b: Pick, rng: Random) -> Pick:
        return a if rng.random() < 0.5 else b

    @property
    def breadth(self) -> int:
        return self.count

    def cover(self, number: int) -> Pick:
        return number % self.count


@final
@dataclass(frozen=True)
class Options(Region):
    """One of several regions, counted from `first`."""

    options: tuple[Region, ...]
    first: int = 1

    @cached_property
    def size(self) -> int:
        return sum(option.size for option in self.options)

    @cached_property
    def width(self) -> int:
        return 1 + sum(option.width for option in self.options)

    @cached_property
    def is_weighted(self) -> bool:
        return any(option.is_weighted for option in self.options)

    def rank(self, pick: Pick) -> int:
        index, inner = pick
        before = sum(option.size for option in self.options[:index])
        return int(before + self.options[index].rank(inner))

    def unrank(self, number: int) -> Pick:
        index = 0
        while number >= self.options[index].size:
            number -= self.options[index].size
            index += 1
        return index, self.options[index].unrank(number)

    def weighted(self, rng: Random) -> Pick:
        index, _ = self.unrank(rng.randrange(self.size))
        return index, self.options[index].draw(rng)

    def vector(self, pick: Pick) -> list[int]:
        index, inner = pick
        found = [self.first + index]
        for number, option in enumerate(self.options):
            found += option.vector(inner) if number == index else [0] * option.width
        return found

    def neighbours(self, pick: Pick) -> Iterator[Pick]:
        index, inner = pick
        for other, option in enumerate(self.options):
            if other != index:
                yield other, option.unrank(0)
        for near in self.options[index].neighbours(inner):
            yield index, near

    def cross(self, a: Pick, b: Pick, rng: Random) -> Pick:
        if a[0] == b[0]:
            return a[0], self.options[a[0]].cross(a[1], b[1], rng)
        return a if rng.random() < 0.5 else b

    @property
    def breadth(self) -> int:
        return len(self.options) * max(option.breadth for option in self.options)

    def cover(self, number: int) -> Pick:
        turn, index = divmod(number, len(self.options))
        return index, self.options[index].cover(turn)


@final
@dataclass(frozen=True)
class Product(Region):
    """Something of each part. Where parts have `names`, they are decisions of their own."""

    parts: tuple[Region, ...] = ()
    names: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        return prod(part.size for part in self.parts)

    @cached_property
    def width(self) -> int:
        return sum(part.width for part in self.parts)

    @cached_property
    def is_weighted(self) -> bool:
        return any(part.is_weighted for part in self.parts)

    def rank(self, pick: Pick) -> int:
        number = 0
        for part, inner in zip(self.parts, pick, strict=True):
            number = number * part.size + part.rank(inner)
        return number

    def unrank(self, number: int) -> Pick:
        found = []
        for part in reversed(self.parts):
            number, rest = divmod(number, part.size)
            found.append(part.unrank(rest))
        return tuple(reversed(found))

    def weighted(self, rng: Random) -> Pick:
        return tuple(part.draw(rng) for part in self.parts)

    def vector(self, pick: Pick) -> list[int]:
        pairs = zip(self.parts, pick, strict=True)
        return [number for part, inner in pairs for number in part.vector(inner)]

    def neighbours(self, pick: Pick) -> Iterator[Pick]:
        for index, (part, inner) in enumerate(zip(self.parts, pick, strict=True)):
            for near in part.neighbours(inner):
                yield (*pick[:index], near, *pick[index + 1 :])

    def cross(self, a: Pick, b: Pick, rng: Random) -> Pick:
        both = zip(self.parts, a, b, strict=True)
        return tuple(part.cross(left, right, rng) for part, left, right in both)

    @property
    def breadth(self) -> int:
        return max((part.breadth for part in self.parts), default=1)

    def cover(self, number: int) -> Pick:
        return tuple(part.cover(number) for part in self.parts)


@final
@dataclass(frozen=True)
class Repeated(Region):
    """From `least` to `most` picks of one part, in a row."""

    part: Region
    least: int
    most: int

    @cached_property
    def size(self) -> int:
        return sum(int(self.part.size**count) for count in self._counts)

    @property
    def _counts(self) -> range:
        return range(self.least, self.most + 1)

    @cached_property
    def width(self) -> int:
        return self.most * self.part.width

    @property
    def is_weighted(self) -> bool:
        return self.part.is_weighted

    def _row(self, count: int) -> Product:
        return Product((self.part,) * count)

    def rank(self, pick: Pick) -> int:
        shorter = sum(int(self.part.size**count) for count in range(self.least, len(pick)))
        return shorter + self._row(len(pick)).rank(pick)

    def unrank(self, number: int) -> Pick:
        count = self.least
        while number >= self.part.size**count:
            number -= self.part.size**count
            count += 1
        return self._row(count).unrank(number)

    def weighted(self, rng: Random) -> Pick:
        count = len(self.unrank(rng.randrange(self.size)))
        return self._row(count).draw(rng)

    def vector(self, pick: Pick) -> list[int]:
        found = self._row(len(pick)).vector(pick)
        return found + [0] * (self.width - len(found))

    def neighbours(self, pick: Pick) -> Iterator[Pick]:
        yield from self._row(len(pick)).neighbours(pick)
        if len(pick) > self.least:
            yield pick[:-1]
        if len(pick) < self.most:
            yield from ((*pick, self.part.unrank(n)) for n in range(self.part.size))

    def cross(self, a: Pick, b: Pick, rng: Random) -> Pick:
        longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
        shared = self._row(len(shorter)).cross(longer[: len(shorter)], shorter, rng)
        return shared + (longer[len(shorter) :] if rng.random() < 0.5 else ())

    @property
    def breadth(self) -> int:
        return self.part.breadth

    def cover(self, number: int) -> Pick:
        return (self.part.cover(number),) * self.most
