"""How a pair's connection weights climb (the iterative approach of Karazija et al., 2018).

Accuracy is no function that has a gradient, so the slope of a weight w is a difference quotient
over the last two generations, of the accuracy a less a penalty of large weights:

    g = ((a - l w^2) - (a' - l w'^2)) / (w - w'),    l = 0.001

and a step of Nadam (Dozat, "Incorporating Nesterov momentum into Adam", 2016) follows it upwards:

    mu_t = 0.9 (1 - 0.96^(0.004 t) / 2)             P_t = mu_1 ... mu_t
    m_t  = 0.9 m + 0.1 g                            v_t = 0.999 v + 0.001 g^2
    s    = (1 - mu_t) g / (1 - P_t) + mu_(t+1) m_t / (1 - P_(t+1))
    w   <- max(0, w + rate s / (sqrt(v_t / (1 - 0.999^t)) + 1e-8))

Both weights of a pair see the same change of accuracy. Filters are whole numbers, so a small step
may lead to the model it came from: that tells of no slope, and the next step goes on the way the
moments point, by the rate.

Everything here is arithmetic on what was measured: the moments are found again from the
generations, and nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import copysign, prod, sqrt
from typing import TypeAlias, final

PENALTY = 0.001
_BETA1, _BETA2, _EPS, _DECAY = 0.9, 0.999, 1e-8, 0.004

Pair: TypeAlias = tuple[float, float]
"""The weights of the connections from the first modality to the second, and back."""


@final
@dataclass(frozen=True)
class Point:
    """What was measured of a pair with some weights."""

    weights: Pair
    accuracy: float
    same: bool = False
    """Whether they come to the same filters as those before: then nothing was learnt."""


@final
@dataclass(frozen=True)
class Moments:
    """The running means of slopes and of their squares, after so many."""

    m: float = 0.0
    v: float = 0.0
    count: int = 0


def next_weights(points: Sequence[Point], rate: float, *, as_published: bool = False) -> Pair:
    """The weights to try after these generations, two or more.

    `as_published` repeats what the authors' program does: every step begins with moments of 0, the
    moments of the second weight take the slope of the first, and a weight that has not moved stays
    where it is for ever.
    """
    before, now = points[-2:]
    if as_published:
        return _published(before, now, len(points) - 1, rate)
    first, second = (_weight(points, direction, rate) for direction in (0, 1))
    return first, second


def _weight(points: Sequence[Point], direction: int, rate: float) -> float:
    moments, step = Moments(), 0.0
    for before, now in pairwise(points):
        found = None if now.same else slope(before, now, direction)
        if found is None:
            step = _probe(now.weights[direction], moments.m, direction)
        else:
            moments, step = nadam(found, moments)
    return max(0.0, points[-1].weights[direction] + rate * step)


def _probe(weight: float, m: float, direction: int) -> float:
    """Where nothing was learnt, a weight moves by the rate so that something is: the way it went;
    at first the one up and the other down, as they differ in Eq. 2; and up from 0."""
    if weight == 0:
        return 1.0
    return copysign(1.0, m) if m else (1.0, -1.0)[direction]


def slope(before: Point, now: Point, direction: int) -> float | None:
    """The difference quotient of a weight; None where it has not moved."""
    old, new = before.weights[direction], now.weights[direction]
    if new == old:
        return None
    gain = now.accuracy - before.accuracy
    return (gain - PENALTY * new**2 + PENALTY * old**2) / (new - old)


def nadam(found: float, moments: Moments) -> tuple[Moments, float]:
    """The moments with one more slope, and the step as a multiple of the rate."""
    t = moments.count + 1
    m = _BETA1 * moments.m + (1 - _BETA1) * found
    v = _BETA2 * moments.v + (1 - _BETA2) * found**2
    return Moments(m, v, t), _step(found, m, v, t)


def _step(found: float, m: float, v: float, t: int) -> float:
    ahead = (1 - _mu(t)) * found / (1 - _warmed(t)) + _mu(t + 1) * m / (1 - _warmed(t + 1))
    return ahead / (sqrt(v / (1 - _BETA2**t)) + _EPS)


def _mu(t: int) -> float:
    return float(_BETA1 * (1 - 0.5 * 0.96 ** (_DECAY * t)))


def _warmed(t: int) -> float:
    return prod(_mu(s) for s in range(1, t + 1))


def _published(before: Point, now: Point, t: int, rate: float) -> Pair:
    slopes = [slope(before, now, direction) or 0.0 for direction in (0, 1)]
    m, v = (1 - _BETA1) * slopes[0], (1 - _BETA2) * slopes[0] ** 2  # of both, and never kept
    first, second = (
        max(0.0, weight + rate * _step(found, m, v, t))
        for weight, found in zip(now.weights, slopes, strict=True)
    )
    return first, second
