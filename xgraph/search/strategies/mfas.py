"""Progressive search (MFAS: Pérez-Rúa et al., 2019, algorithm 1).

Where the authors' code departs from the paper, an option says so: `restart`, `temperature` and
`sharing`. By default the paper is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from random import Random
from typing import Annotated, Literal, final

from pydantic import Field

from xgraph.recipe.model import Count, Positive
from xgraph.search.strategies.contract import Allowed, Ask, Asking, Strategy, score
from xgraph.search.strategies.levels import Level, bare, levels, rows
from xgraph.space import Space
from xgraph.space.algebra import Pick
from xgraph.space.space import Sample

_LEAST = 1e-9
"""Of a guess: a sigmoid may come down to nothing."""


@final
class Mfas(Strategy):
    """Level after level, a surrogate guesses what each option would make of the last networks, and
    some are drawn by these guesses, the more greedily the colder it gets."""

    name: Literal["mfas"] = "mfas"
    iterations: Count = 3
    samples: Count = 15
    """Drawn and trained at a level."""
    restart: bool = True
    """Every iteration begins with the first level (the paper); or, from the second on, each level
    is decided anew in the networks of the last one (the code)."""
    temperature: Literal["steps", "code"] = "steps"
    """It falls with every step; or by the step that the code counts, some of them twice."""
    hottest: Positive = 10.0
    coldest: Positive = 0.2
    sigma: Positive = 4.0
    surrogate_epochs: Count = 50
    surrogate_lr: Positive = 1e-3
    options: Annotated[int, Field(ge=2)] = 4096
    """The most of one level that are looked at; of more, so many by chance."""

    def search(self, space: Space, rng: Random, allowed: Allowed) -> Asking:
        from xgraph.search.strategies.surrogate import Surrogate

        given = levels(space)
        width = max(level.region.width for level in given)
        guesser = Surrogate(width, rng.randrange(2**32), self.surrogate_epochs, self.surrogate_lr)
        known: list[tuple[Sequence[Sequence[float]], float]] = []
        last: list[Pick] = [bare(space)]
        heat, step = self.hottest, 0
        for iteration in range(self.iterations):
            if self.restart:
                last = [bare(space)]
            for number, level in enumerate(given):
                found = _options(space, last, level, rng, self.options)
                notes = {"iteration": iteration + 1, "level": number + 1, "step": step + 1,
                         "temperature": heat}  # fmt: skip
                if step == 0 or (self.restart and number == 0):
                    asked = [Ask(s, notes, iteration) for s in found if allowed(s)]
                else:
                    guesses = guesser.guess([rows(space, sample) for sample in found])
                    drawn = _drawn(found, guesses, heat, self.samples, rng, allowed)
                    asked = [
                        Ask(found[i], {**notes, "guess": guesses[i]}, iteration) for i in drawn
                    ]
                if not asked:
                    return
                outcomes = yield asked
                told = [(ask.sample, outcome) for ask, outcome in zip(asked, outcomes, strict=True)]
                known += [
                    (rows(space, sample), _in_unit(value))
                    for sample, outcome in told
                    if (value := score(outcome)) is not None
                ]
                last = [sample.pick for sample, outcome in told if score(outcome) is not None]
                if not last:
                    return
                guesser.learn(known)
                heat = self._heat(step, iteration, number)
                step += 1

    def _heat(self, step: int, iteration: int, level: int) -> float:
        """A falling half of a normal curve (the paper calls it an inverse exponential schedule)."""
        k = step if self.temperature == "steps" else iteration * self.iterations + level
        return (self.hottest - self.coldest) * exp(-(((k + 1) / self.sigma) ** 2)) + self.coldest

    def trials(self, space: Space) -> int:
        given = levels(space)
        first = min(given[0].region.size, self.options)
        firsts = self.iterations if self.restart else 1
        return firsts * first + (self.iterations * len(given) - firsts) * self.samples


def _options(space: Space, last: list[Pick], level: Level, rng: Random, most: int) -> list[Sample]:
    """What each of some networks becomes with each option of a level, no network twice."""
    options = level.options(rng, most)
    picks = dict.fromkeys(level.put(pick, option) for pick in last for option in options)
    return [Sample(space, pick) for pick in picks]


def _drawn(
    samples: list[Sample],
    guesses: list[float],
    heat: float,
    count: int,
    rng: Random,
    allowed: Allowed,
) -> list[int]:
    """Some of them, without replacement, by their share of all guesses to the power of 1/T."""
    # The largest of log w + Gumbel noise are a draw by w without replacement; dividing by the sum
    # of all guesses would move them all alike.
    keys = [log(max(guess, _LEAST)) / heat - log(-log(rng.random() or 0.5)) for guess in guesses]
    order = sorted(range(len(samples)), key=lambda i: (-keys[i], i))
    found: list[int] = []
    for i in order:
        if len(found) == count:
            break
        if allowed(samples[i]):
            found.append(i)
    return found


def _in_unit(value: float) -> float:
    """A score as the surrogate gives it: accuracies as they are, what falls to minus infinity
    (a loss turned round) by its exponential."""
    return value if value >= 0 else exp(value)
