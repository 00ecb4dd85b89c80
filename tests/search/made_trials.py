"""Trials as a search would have kept them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xgraph.search.search import SEARCH
from xgraph.search.study import Trial

FAILED = "diverged: the loss is not finite in epoch 3"


def trial(number: int, score: float | None, phase: str = SEARCH, **changes: Any) -> Trial:
    """A network of 100 parameters more than the one before."""
    made = Trial(
        number, phase, f"head: ({number})", f"{number:04x}", number, score,
        {} if score is None else {"loss": 1 - score, "accuracy": score},
        1000 + 100 * number, 5000 + 100 * number, 2.0, 4,
        FAILED if score is None else None,
    )  # fmt: skip
    return replace(made, **changes)


def loss(made: Trial, value: float) -> Trial:
    """A trial by a loss turned round."""
    return replace(made, score=-value, metrics={"loss": value})


def noted(made: Trial, step: int, heat: float, guess: float | None = None) -> Trial:
    """A trial that a progressive search asked for."""
    notes = {"iteration": 1, "level": step, "step": step, "temperature": heat}
    return replace(made, notes=notes if guess is None else {**notes, "guess": guess})


def searched() -> list[Trial]:
    """A search by temperature with a failure and a repeat, and its baselines."""
    heats = [10.0, 5.0, 1.0, 0.2]
    found = []
    for number in range(12):
        step = number // 3
        score = None if number == 4 else 0.7 + 0.02 * number + 0.01 * (number % 3)
        guess = None if step == 0 or score is None else score + 0.01 * (-1) ** number
        found.append(noted(trial(number, score), step + 1, heats[step], guess))
    found[7] = replace(found[7], same_as=6, seconds=0.0, key=found[6].key)
    found += [trial(number, 0.65 + 0.01 * number, "random") for number in range(12, 24)]
    found.append(trial(24, 0.9, "late fusion", encoding="late fusion"))
    found.append(trial(25, 0.8, "image alone", encoding="image alone"))
    found.append(trial(26, 0.6, "audio alone", encoding="audio alone"))
    return found
