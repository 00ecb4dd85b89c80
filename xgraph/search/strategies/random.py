"""Networks by chance (RandomNet: Alletto et al., 2020; and the yardstick of all others)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Literal, final

from xgraph.diagnostics import DiagnosticError
from xgraph.recipe.model import Count
from xgraph.search.strategies.contract import Allowed, Ask, Asking, Strategy
from xgraph.space import Space
from xgraph.space.space import Sample

PATIENCE = 500
"""So many networks in a row beyond the limits end a search for one."""


@final
class RandomSearch(Strategy):
    """Independent draws from the space, no network twice."""

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
    """Networks by chance, no two of which compute the same, until the space has no other or so
    many in a row are beyond the limits."""
    drawn = space.samples(space.size, rng.randrange(2**32), unique=True)
    refused = 0
    while refused < PATIENCE:
        try:
            sample = next(drawn)
        except (DiagnosticError, StopIteration):  # it says so with either
            return
        refused = 0 if allowed(sample) else refused + 1
        if not refused:
            yield sample
