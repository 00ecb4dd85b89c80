"""Networks by chance (RandomNet: Alletto et al., 2020; and the yardstick of all others)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Literal, final

from xgraph.recipe.model import Count
from xgraph.search.strategies.contract import Allowed, Ask, Asking, Strategy
from xgraph.space import Space
from xgraph.space.space import Sample

LISTED = 4096
"""The most networks that are put in an order rather than drawn."""


@final
class RandomSearch(Strategy):
    """Draws from the space, no encoding twice."""

    name: Literal["random"] = "random"
    samples: Count = 100

    def search(self, space: Space, rng: Random, allowed: Allowed) -> Asking:
        drawn = different(space, rng, allowed)
        left = self.samples
        while batch := list(islice(drawn, min(self.batch, left))):
            left -= len(batch)
            yield [Ask(sample) for sample in batch]

    def trials(self, space: Space) -> int:
        return min(self.samples, space.size)


def different(space: Space, rng: Random, allowed: Allowed) -> Iterator[Sample]:
    """Networks by chance, no encoding twice: all there are of a small space, else until so many
    draws in a row brought nothing new within the limits."""
    seen, stale = set[str](), 0
    for sample in _drawn(space, rng):
        known = sample.encoding in seen
        seen.add(sample.encoding)
        if not known and allowed(sample):
            stale = 0
            yield sample
        else:
            stale += 1
            if stale == LISTED:
                return


def _drawn(space: Space, rng: Random) -> Iterator[Sample]:
    if space.size > LISTED or space.region.is_weighted:
        while True:
            yield space.sample(rng)
    numbers = list(range(space.size))
    rng.shuffle(numbers)
    yield from (Sample(space, space.region.unrank(number)) for number in numbers)
