"""What a search asks for, and what is found of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]


@final
@dataclass(frozen=True)
class Candidate:
    """A network to be evaluated."""

    text: str = field(repr=False)
    """Its `.xg`."""
    seed: int
    """Of its weights, the order of the examples, and what is drawn."""
    inherited: Arrays = field(default_factory=dict, repr=False)
    """Weights that it begins with, by address; those that do not fit are left."""


@final
@dataclass(frozen=True)
class Outcome:
    """What came of a network."""

    score: float | None
    """What the recipe watches, turned round where that is to be small; None where it failed."""
    metrics: dict[str, float]
    """Of the validation, in the best epoch."""
    params: int
    macs: int
    seconds: float
    """Of its share of what was trained together."""
    together: int
    """How many were trained as one computation."""
    weights: Arrays = field(default_factory=dict, repr=False)
    """What was trained, by address."""
    error: str | None = None
