"""The decisions of a space one after the other, as a progressive search opens them.

Every decision is a level, and so is every row of one that takes rows (the fusion layers of `mfas`).
What is not open yet is as short as may be, and takes its first option.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import final

from xgraph.space import Space
from xgraph.space.algebra import Pick, Region, Repeated
from xgraph.space.space import Sample


@final
@dataclass(frozen=True)
class Level:
    """One decision, or one row of one."""

    part: int
    row: int | None
    region: Region
    """What it can take."""

    def put(self, pick: Pick, option: Pick) -> Pick:
        """A pick of the space with this option here."""
        if self.row is None:
            new = option
        else:
            rows = pick[self.part]
            new = (*rows[: self.row], option, *rows[self.row + 1 :])
        return (*pick[: self.part], new, *pick[self.part + 1 :])

    def options(self, rng: Random, most: int) -> list[Pick]:
        """All there are, or so many by chance."""
        numbers = range(self.region.size)
        if len(numbers) > most:
            numbers = sorted(rng.sample(numbers, most))  # type: ignore[assignment]
        return [self.region.unrank(number) for number in numbers]

    def is_open(self, pick: Pick) -> bool:
        return self.row is None or self.row < len(pick[self.part])


def levels(space: Space) -> list[Level]:
    found = []
    for index, part in enumerate(space.region.parts):
        if isinstance(part, Repeated):
            found += [Level(index, row, part.part) for row in range(part.most)]
        else:
            found.append(Level(index, None, part))
    return found


def bare(space: Space) -> Pick:
    """What a search begins with: no row that is not needed, and every first option."""
    return tuple(part.unrank(0) for part in space.region.parts)


def rows(space: Space, sample: Sample) -> list[list[float]]:
    """A network as a sequence, one vector a level, all equally wide."""
    given = levels(space)
    width = max(level.region.width for level in given)
    found = []
    for level in given:
        if level.is_open(sample.pick):
            picked = sample.pick[level.part]
            vector = level.region.vector(picked if level.row is None else picked[level.row])
            found.append([float(n) for n in vector] + [0.0] * (width - len(vector)))
    return found
