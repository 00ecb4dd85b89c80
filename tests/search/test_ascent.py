"""The rule of the weights, against the numbers of design/semantics.md (2.2, 2.3) and torch's Nadam;
and what is chosen of the generations."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from xgraph.search.xsertion.ascent import Moments, Pair, Point, nadam, next_weights, slope
from xgraph.search.xsertion.generations import (
    HALVES,
    Generation,
    accuracy_of,
    best,
    same,
    weights_of,
)

BASE: Pair = (0.6164, 0.3836)
PUBLISHED = {1: 1.0565, 2: 1.0450, 3: 1.1286, 5: 1.3524, 10: 1.8759, 15: 2.2926}
"""Steps of the published rule, in rates, where the slope keeps its sign."""


def climbing(count: int) -> list[Point]:
    """Generations of which each has larger weights, and is better."""
    return [Point((0.1 + 0.05 * i,) * 2, 0.5 + 0.01 * i) for i in range(count)]


def generation(number: int, accuracy: float, filters: Sequence[int] = ()) -> Generation:
    return Generation(number, HALVES, tuple(filters), accuracy, None, 0.0)


def test_the_slope_has_the_penalty_within() -> None:
    before, now = Point((0.5, 0.5), 0.60), Point((0.6, 0.4), 0.62)
    assert slope(before, now, 0) == pytest.approx((0.02 - 0.001 * (0.36 - 0.25)) / 0.1)
    assert slope(before, now, 1) == pytest.approx((0.02 - 0.001 * (0.16 - 0.25)) / -0.1)
    assert slope(before, before, 0) is None


def test_steps_of_the_corrected_rule_are_those_of_nadam() -> None:
    slopes = [0.31, -0.02, 0.0, 1.7, -0.4, 0.05, 0.05, -0.9]
    weight = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.NAdam([weight], lr=0.1, momentum_decay=0.004, maximize=True)
    moments, ours = Moments(), 0.5
    for found in slopes:
        weight.grad = torch.tensor([found], dtype=torch.float64)
        theirs.step()
        moments, step = nadam(found, moments)
        ours += 0.1 * step
        assert ours == pytest.approx(weight.item(), abs=1e-7)


def test_the_second_step_written_out() -> None:
    """m and v are kept, and each weight has its own slope."""
    points = [Point((0.5, 0.5), 0.60), Point((0.6, 0.4), 0.62), Point((0.7, 0.35), 0.61)]
    mu = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2, 3)]
    for direction, last in ((0, 0.7), (1, 0.35)):
        g1, g2 = (slope(a, b, direction) or 0 for a, b in itertools.pairwise(points))
        m = 0.9 * 0.1 * g1 + 0.1 * g2
        v = 0.999 * 0.001 * g1**2 + 0.001 * g2**2
        ahead = (1 - mu[1]) * g2 / (1 - mu[0] * mu[1]) + mu[2] * m / (1 - mu[0] * mu[1] * mu[2])
        wanted = last + 0.1 * ahead / ((v / (1 - 0.999**2)) ** 0.5 + 1e-8)
        assert next_weights(points, 0.1)[direction] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("t", PUBLISHED)
def test_published_steps_are_as_long_as_the_rate_has_it(t: int) -> None:
    points = climbing(t + 1)
    for found, old in zip(
        next_weights(points, 0.1, as_published=True), points[-1].weights, strict=True
    ):
        assert (found - old) / 0.1 == pytest.approx(PUBLISHED[t], abs=5e-5)


def test_the_first_step_is_the_same_where_both_weights_have_one_slope() -> None:
    points = [Point((0.5, 0.5), 0.6), Point((0.6, 0.6), 0.7)]
    assert next_weights(points, 0.1) == pytest.approx(next_weights(points, 0.1, as_published=True))
    assert next_weights(points, 0.1)[0] == pytest.approx(0.6 + 0.1 * PUBLISHED[1], abs=1e-5)


def test_the_published_second_weight_takes_moments_of_the_first_slope() -> None:
    points = [Point((0.5, 0.5), 0.6), Point((0.6, 0.3), 0.7)]
    first, second = (slope(*points, direction) or 0 for direction in (0, 1))
    mu1, mu2 = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2))
    wanted = 0.3 + 0.1 * (second + mu2 * 0.1 * first / (1 - mu1 * mu2)) / (abs(first) + 1e-8)
    assert next_weights(points, 0.1, as_published=True)[1] == pytest.approx(wanted, abs=1e-12)
    assert next_weights(points, 0.1)[1] == pytest.approx(0.3 - 0.1 * PUBLISHED[1], abs=1e-5)


def test_weights_stay_at_0_or_above_and_may_pass_1() -> None:
    falling = [Point((0.9, 0.1), 0.6), Point((0.98, 0.05), 0.7)]
    for as_published in (False, True):
        up, down = next_weights(falling, 0.1, as_published=as_published)
        assert up > 1
        assert down == 0


def test_a_weight_that_has_not_moved_is_moved_or_was_frozen() -> None:
    still = [Point((0.5, 0.5), 0.6), Point((0.5, 0.5), 0.6)]
    assert next_weights(still, 0.1, as_published=True) == (0.5, 0.5)
    assert next_weights(still, 0.1) == pytest.approx((0.6, 0.4))
    clipped = [Point((0.5, 0.0), 0.6), Point((0.6, 0.0), 0.7)]
    assert next_weights(clipped, 0.1, as_published=True)[1] < 0.11
    assert next_weights(clipped, 0.1)[1] == pytest.approx(0.1)
    first, second = next_weights([*still, Point((0.6, 0.4), 0.7)], 0.1)
    assert (first, second) == pytest.approx((0.7 + 0.1 * 0.0565, 0.3 - 0.1 * 0.0565), abs=1e-5)


def test_a_step_to_the_same_model_goes_on() -> None:
    """Else the penalty alone would be left of the slope, and the weights would hardly move."""
    points = [Point((0.5, 0.5), 0.6), Point((0.6, 0.4), 0.7), Point((0.62, 0.38), 0.7, same=True)]
    assert next_weights(points, 0.1) == pytest.approx((0.72, 0.28))
    past = [generation(0, 0.6, [5, 5]), generation(1, 0.7, [6, 4])]
    past.append(Generation(2, HALVES, (6, 4), 0.7, 1, 0.0))
    past.append(Generation(3, HALVES, (5, 5), 0.6, 0, 0.0))
    assert weights_of(3, past[:3], BASE, 0.1) == pytest.approx((0.6, 0.4))


def test_generations_begin_with_halves_and_eq_2() -> None:
    past = [generation(0, 0.5)]
    assert weights_of(0, [], BASE, 0.1) == HALVES
    assert weights_of(1, past, BASE, 0.1) == BASE


def test_a_generation_with_the_same_filters_is_not_trained() -> None:
    past = [generation(0, 0.5, [4, 4]), generation(1, 0.6, [5, 3])]
    past.append(Generation(2, HALVES, (4, 4), 0.5, 0, 0.0))
    found = same(past, [4, 4])
    assert found is past[0]
    assert past[2].trained == 0
    assert same(past, [4, 5]) is None


BESTS: list[tuple[list[float], int, int]] = [
    ([0.5, 0.6, 0.7], 2, 1),  # each is taken for the one after
    ([0.7, 0.6, 0.5], 0, 0),
    ([0.5, 0.5, 0.5], 0, 0),  # the earliest
    ([0.6, 0.5, 0.7, 0.4], 2, 1),
    ([0.5, 0.6, 0.55, 0.58], 1, 1),  # 0.55 was held against 0.5, and the mistakes cancel
]


@pytest.mark.parametrize(("accuracies", "wanted", "published"), BESTS)
def test_the_best_generation(accuracies: list[float], wanted: int, published: int) -> None:
    past = [generation(i, accuracy) for i, accuracy in enumerate(accuracies)]
    assert best(past).number == wanted
    assert best(past, as_published=True).number == published


@pytest.mark.parametrize(
    ("accuracies", "wanted"),
    [([0.9], 0.9), ([0.9, 0.1], 0.1), ([0.9, 0.1, 0.2, 0.3, 0.2], 0.3), ([0.2] * 9 + [0.1], 0.2)],
)
def test_accuracy_is_the_best_of_the_last_four_fifths(
    accuracies: list[float], wanted: float
) -> None:
    history: list[dict[str, Any]] = [{"val/accuracy": accuracy} for accuracy in accuracies]
    assert accuracy_of(history) == wanted
