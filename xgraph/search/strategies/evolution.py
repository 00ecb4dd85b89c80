"""Regularised evolution (Real et al., 2019): the oldest dies, the best of a few has a child."""

from __future__ import annotations

from collections import deque
from itertools import islice
from random import Random
from typing import Literal, final

from xgraph.recipe.model import Count
from xgraph.search.strategies.contract import Allowed, Ask, Asking, Strategy, score
from xgraph.search.strategies.random import different
from xgraph.space import Space
from xgraph.space.space import Sample


@final
class Evolution(Strategy):
    """Children differ from their parent in one decision; those of one batch have parents of one
    population, so that they can be evaluated side by side."""

    name: Literal["evolution"] = "evolution"
    samples: Count = 100
    population: Count = 20
    tournament: Count = 5
    """How many are drawn, of which the best is the parent."""

    def search(self, space: Space, rng: Random, allowed: Allowed) -> Asking:
        alive: deque[tuple[Sample, float]] = deque(maxlen=self.population)
        seen: set[str] = set()
        left = self.samples
        drawn = different(space, rng, allowed)
        while left > 0:
            size = min(self.batch, left)
            first = islice(drawn, min(size, self.population - len(alive)))
            batch = list(first) or self._children(space, rng, alive, seen, size, allowed)
            if not batch:
                return
            left -= len(batch)
            seen |= {sample.encoding for sample in batch}
            found = yield [Ask(sample) for sample in batch]
            for sample, outcome in zip(batch, found, strict=True):
                if (value := score(outcome)) is not None:
                    alive.append((sample, value))

    def _children(
        self,
        space: Space,
        rng: Random,
        alive: deque[tuple[Sample, float]],
        seen: set[str],
        size: int,
        allowed: Allowed,
    ) -> list[Sample]:
        """Of parents that have a neighbour which was not asked for yet."""
        batch: list[Sample] = []
        taken = set(seen)
        for _ in range(size * self.population):
            if len(batch) == size or not alive:
                break
            rivals = rng.sample(range(len(alive)), min(self.tournament, len(alive)))
            parent = max(rivals, key=lambda i: alive[i][1])
            near = [s for s in space.neighbours(alive[parent][0]) if s.encoding not in taken]
            if near:
                child = rng.choice(near)
                taken.add(child.encoding)
                batch += [child] if allowed(child) else []
        return batch

    def trials(self, space: Space) -> int:
        return min(self.samples, space.size)
