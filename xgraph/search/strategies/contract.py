"""What a strategy is: a section of options, and a generator of what to evaluate next.

A strategy yields networks and is sent what came of them, in the same order, until it is content or
the budget is used up. All that it draws comes from the generator that it is given. So it is a
function of its seed and of results: a search that was killed goes on by running it again, with the
results that are there already.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeAlias, final

from xgraph.recipe.model import Count, Section
from xgraph.search.candidate import Outcome
from xgraph.space import Space
from xgraph.space.space import Sample

Sharing = Literal["none", "shape", "activation"]
"""Which weights of earlier networks one begins with: none, those of its addresses and shapes, or of
these and the same activation behind."""


@final
@dataclass(frozen=True)
class Ask:
    """A network that a strategy wants to know about."""

    sample: Sample
    notes: dict[str, Any] = field(default_factory=dict)
    """What the strategy knew when it asked: kept with the trial, for the report."""
    round: int = 0
    """A network is evaluated once in a round."""


Answers: TypeAlias = "Sequence[Outcome | None]"
"""What came of each network asked for; None where it failed."""
Asking: TypeAlias = "Generator[list[Ask], Answers, None]"
Allowed: TypeAlias = "Callable[[Sample], bool]"
"""Whether a network is within the limits of the search."""


class Strategy(Section):
    """The base of all strategies."""

    batch: Count = 15
    """Networks asked for at a time; they know nothing of each other."""
    sharing: Sharing = "none"

    @abstractmethod
    def search(self, space: Space, rng: Random, allowed: Allowed) -> Asking:
        """Yield networks, and take what came of them."""

    @abstractmethod
    def trials(self, space: Space) -> int:
        """How many networks it evaluates by itself, without a budget."""


def score(outcome: Outcome | None) -> float | None:
    return None if outcome is None else outcome.score
