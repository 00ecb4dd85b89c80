"""What strategies ask for: how many, of which level, how hot, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from spaces import space

from xgraph.search.candidate import Outcome
from xgraph.search.strategies.contract import Ask, Strategy
from xgraph.search.strategies.evolution import Evolution
from xgraph.search.strategies.levels import bare, levels, rows
from xgraph.search.strategies.mfas import Mfas, _drawn
from xgraph.search.strategies.random import RandomSearch
from xgraph.search.strategies.surrogate import Surrogate
from xgraph.space import Space
from xgraph.space.space import Sample

AVMNIST = Path(__file__).parents[2] / "examples" / "spaces" / "avmnist_mfas.xg"


def worth(sample: Sample) -> float:
    """Made up: later features are better, and sigmoids a little worse."""
    found = sample.rows["head"]
    assert isinstance(found, tuple)
    values = [n for row in found if isinstance(row, tuple) for n in row if isinstance(n, int)]
    return min(0.99, sum(values) / (10 * len(values)) + 0.03 * len(found))


def outcome(value: float | None) -> Outcome | None:
    return None if value is None else Outcome(value, {"accuracy": value}, 1, 1, 0.0, 1)


def followed(
    strategy: Strategy, given: Space, seed: int = 0, allowed: Any = lambda sample: True
) -> list[list[Ask]]:
    """All that a strategy asks for, where networks are worth what is made up."""
    asking, answers, found = strategy.search(given, Random(seed), allowed), None, []
    while True:
        try:
            asks = next(asking) if answers is None else asking.send(answers)
        except StopIteration:
            return found
        found.append(asks)
        answers = [outcome(worth(ask.sample)) for ask in asks]


STRATEGIES = [
    RandomSearch(samples=40),
    Evolution(samples=40, population=10),
    Mfas(iterations=2, samples=5),
    Mfas(iterations=2, samples=5, restart=False),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_asks_for_the_same(strategy: Strategy) -> None:
    first, again, other = (
        [[ask.sample.encoding for ask in asks] for asks in followed(strategy, space(), seed)]
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert sum(map(len, first)) == strategy.trials(space())


@pytest.mark.parametrize(
    ("strategy", "asked"), [(Mfas(restart=False), 30 + 11 * 15), (Mfas(), 3 * (30 + 3 * 15))]
)
def test_mfas_asks_for_as_many_as_the_paper_and_the_code(strategy: Mfas, asked: int) -> None:
    given = Space.load(AVMNIST)
    found = followed(strategy, given)
    assert sum(map(len, found)) == strategy.trials(given) == asked
    assert len(found[0]) == 30
    assert [len(asks[0].sample.rows["head"]) for asks in found[:4]] == [1, 2, 3, 4]  # type: ignore[arg-type]
    lengths = {len(a.sample.rows["head"]) for asks in found[4:] for a in asks}  # type: ignore[arg-type]
    assert lengths == ({1, 2, 3, 4} if strategy.restart else {4})


CODE = [10.0, 9.406, 7.832, 5.784, 3.805, 3.805, 2.254, 1.233, 0.658, 0.658, 0.380, 0.262]
"""What the authors' code has at each step, by arithmetic."""


def test_mfas_cools_as_the_code_does_or_by_steps() -> None:
    given = Space.load(AVMNIST)
    found = followed(Mfas(restart=False, temperature="code"), given)
    heats = [asks[0].notes["temperature"] for asks in found]
    assert heats == pytest.approx(CODE, abs=1e-3)
    steps = [a[0].notes["temperature"] for a in followed(Mfas(restart=False), given)]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] == pytest.approx(0.205, abs=1e-3)


def test_draws_follow_the_guesses() -> None:
    """A power of 1/T of each guess, without replacement."""
    given = space()
    samples = [Sample(given, given.region.unrank(n)) for n in range(4)]
    guesses, heat = [0.1, 0.2, 0.3, 0.4], 0.5
    weights = [guess ** (1 / heat) for guess in guesses]
    rng, draws = Random(0), 4000
    firsts = Counter(
        _drawn(samples, guesses, heat, 1, rng, lambda s: True)[0] for _ in range(draws)
    )
    for number, weight in enumerate(weights):
        assert firsts[number] / draws == pytest.approx(weight / sum(weights), abs=0.03)
    assert sorted(_drawn(samples, guesses, 0.001, 4, rng, lambda s: True)) == [0, 1, 2, 3]
    assert _drawn(samples, guesses, 0.001, 2, rng, lambda s: True) == [3, 2]  # cold is greedy
    odd = _drawn(samples, guesses, heat, 2, rng, lambda s: s is not samples[3])
    assert 3 not in odd


def test_levels_of_any_space() -> None:
    given = Space.load(
        "network n\nmodality x: [4]\nsuperlayer a(x) { linear(choice(4, 8)) -> choice(relu, tanh)"
        " -> linear(3 .. 6) }\noutput y = a\n"
    )
    assert [level.region.size for level in levels(given)] == [2, 2, 4]
    sample = Sample(given, bare(given))
    assert rows(given, sample) == [[1.0], [1.0], [3.0]]
    option = levels(given)[2].region.unrank(2)
    assert Sample(given, levels(given)[2].put(bare(given), option)).rows["range1"] == 5


def test_evolution_has_neighbours_of_the_living() -> None:
    given = space()
    strategy = Evolution(samples=30, population=10, tournament=3, batch=5)
    found = followed(strategy, given)
    firsts = [ask.sample for asks in found[:2] for ask in asks]
    for ask in found[2]:
        near = {s.encoding for parent in firsts for s in given.neighbours(parent)}
        assert ask.sample.encoding in near
    everything = [ask.sample.encoding for asks in found for ask in asks]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_limits_hold(strategy: Strategy) -> None:
    def allowed(sample: Sample) -> bool:
        return "2)" not in sample.encoding

    asked = followed(strategy, space(), allowed=allowed)
    assert asked
    assert all(allowed(ask.sample) for asks in asked for ask in asks)


def test_nothing_is_within_the_limits() -> None:
    for strategy in STRATEGIES:
        assert followed(strategy, space(), allowed=lambda sample: False) == []


def test_failures_are_left_out() -> None:
    """A search goes on without them."""
    for strategy in (Evolution(samples=20, population=5), Mfas(iterations=1, samples=3)):
        asking, answers, count = strategy.search(space(), Random(0), lambda s: True), None, 0
        while True:
            try:
                asks = next(asking) if answers is None else asking.send(answers)
            except StopIteration:
                break
            answers = [None if i % 2 else outcome(0.5) for i in range(len(asks))]
            count += len(asks)
        assert count > 5


def test_the_surrogate_is_the_paper_s() -> None:
    guesser = Surrogate(3, 0, 50, 1e-3)
    assert sum(p.numel() for p in guesser._net.parameters()) == 81_301
    known = [
        ([[float(a), 1.0, 0.0]] * length, 0.2 + 0.15 * a) for a in range(4) for length in (1, 3)
    ]
    before = guesser.guess([sequence for sequence, _ in known])
    for _ in range(10):
        guesser.learn(known)
    after = guesser.guess([sequence for sequence, _ in known])

    def wrong(guesses: list[float]) -> float:
        return sum(abs(g - truth) for g, (_, truth) in zip(guesses, known, strict=True))

    assert wrong(after) < wrong(before) / 2
    torch.manual_seed(123)
    other = Surrogate(3, 0, 50, 1e-3)
    assert other.guess([known[0][0]]) == pytest.approx([before[0]])
