"""What is kept of the generations of a pair, and what is chosen of them; nothing here trains.

Generation 0 has weights of 0.5, generation 1 those of Eq. 2, and each further one those that the
two before it lead to (`ascent`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from xgraph.search.xsertion.ascent import Pair, Point, next_weights

HALVES: Pair = (0.5, 0.5)
LAST = 0.8
"""The share of the epochs, at the end, in which the best counts: at first weights are inherited."""


@final
@dataclass(frozen=True)
class Generation:
    """A pair's model with some weights."""

    number: int
    weights: Pair
    filters: tuple[int, ...]
    """Of its connections, by depth: to the second modality, and back."""
    accuracy: float
    """The mean over the repeats."""
    same_as: int | None
    """The earlier generation whose model it is, filter by filter; None if it was trained."""
    seconds: float

    @property
    def trained(self) -> int:
        """The generation whose model it is."""
        return self.number if self.same_as is None else self.same_as

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def weights_of(
    number: int, past: Sequence[Generation], base: Pair, rate: float, *, as_published: bool = False
) -> Pair:
    """The weights of a generation."""
    if number < 2:
        return (HALVES, base)[number]
    models = [None, *(generation.trained for generation in past)]
    points = [
        Point(generation.weights, generation.accuracy, generation.trained == before)
        for before, generation in zip(models, past, strict=False)
    ]
    return next_weights(points, rate, as_published=as_published)


def same(past: Sequence[Generation], filters: Sequence[int]) -> Generation | None:
    """The generation that was trained with these numbers of filters."""
    return next((g for g in past if g.same_as is None and g.filters == tuple(filters)), None)


def best(past: Sequence[Generation], *, as_published: bool = False) -> Generation:
    """The generation of the highest accuracy, and the earliest of such.

    `as_published` repeats what the authors' program does: its list holds the first generation
    twice, and is asked for the generation by its number, so that each is taken for the one after.
    """
    if not as_published:
        return max(past, key=lambda generation: generation.accuracy)
    listed = [past[0], *past]
    found = 0
    for number, generation in enumerate(past):
        if generation.accuracy > listed[found].accuracy:
            found = number
    return listed[found]


def accuracy_of(history: Sequence[Mapping[str, Any]]) -> float:
    """The best validation accuracy in the last part of the epochs."""
    found = [float(record["val/accuracy"]) for record in history]
    return max(found[len(found) - int(LAST * len(found)) :] or found)
