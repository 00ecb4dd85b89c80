"""What was measured of one run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeAlias, final

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


@final
@dataclass
class Run:
    """Times in seconds. `total` is of all, `unnamed` of kernels that no part was found for, and
    `layout` that part of the kernels' time in which arrays are only brought into another order."""

    total: float
    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    unnamed: float = 0.0
    layout: float = 0.0

    def add(self, part: str | None, seconds: float) -> None:
        if part is None:
            self.unnamed += seconds
        else:
            self.parts[part] += seconds

    @property
    def between(self) -> float:
        """What the runtime itself takes, between the kernels."""
        return max(0.0, self.total - self.unnamed - sum(self.parts.values()))


@final
@dataclass(frozen=True)
class Measured:
    """Runs that were measured part by part, and what as many others took as a whole (seconds)."""

    runs: list[Run]
    plain: list[float]


def clocked(run: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each of some runs."""
    found = []
    for _ in range(repeats):
        began = perf_counter()
        run()
        found.append(perf_counter() - began)
    return found
