"""A small space over the halves of digits, and all that a search of it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sets import digits_folder

import xgraph
from xgraph.recipe import read_recipe
from xgraph.search.evaluate import Evaluator, Job
from xgraph.search.search import Limits, Search
from xgraph.search.study import Trial
from xgraph.space import Space
from xgraph.space.space import Sample
from xgraph.weights import initialise, save

SPACE = """network halves

param units = 8

modality top: [1, 4, 8]
modality bottom: [1, 4, 8]

superlayer upper(top) {
  c1: conv(4, 3) -> bn -> relu
  c2: conv(8, 3) -> relu
}

superlayer lower(bottom) {
  c1: conv(4, 3) -> bn -> relu
  c2: dropout(0.5) -> conv(8, 3) -> relu
}

fusion head(upper, lower) = mfas {
  features: upper.[c1, c2], lower.[c1, c2]
  layers: 1 .. 2
  units: units
  activations: relu, sigmoid
  DROPOUT
  then: linear(10)
}

output logits = head
"""
RECIPE = ("epochs=2", "batch=32", "train=['@fusion']", "optimizer.lr=0.01", "validation=0.25")


def space(dropout: str = "") -> Space:
    """Of 72 networks."""
    return Space.load(SPACE.replace("DROPOUT", dropout))


class Quiet:
    """Watches nothing, and asks for an end once so many trials are told of."""

    def __init__(self, most: int = 10**9) -> None:
        self.seen: list[Trial] = []
        self._most = most

    @property
    def stop(self) -> bool:
        return len(self.seen) >= self._most

    def phase(self, name: str, trials: int) -> None: ...

    def trials(self, trials: Sequence[Trial], *, kept: bool) -> None:
        self.seen += trials


def job(folder: Path, dropout: str = "", **more: Any) -> Job:
    """Over 400 digits, with extractors as they are when they are new."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if not data.exists():
        digits_folder(data)
    given = space(dropout)
    covers = [Sample(given, given.region.cover(i)) for i in range(given.region.breadth)]
    weights = [initialise(xgraph.lower(one.graph()), 0) for one in covers]
    save(folder / "init.safetensors", {n: a for each in weights for n, a in each.items()})
    told: dict[str, Any] = {
        "data": str(data), "recipe": read_recipe(None, RECIPE), "fraction": 1.0,
        "allow_leaks": False, "settings": (), "weights": folder / "init.safetensors",
        "features": folder / "features", "examples": tuple(one.text for one in covers),
    }  # fmt: skip
    return Job(**{**told, **more})


def search(
    folder: Path, watch: Quiet | None = None, limits: Limits | None = None, **more: Any
) -> Search:
    given = more.pop("evaluator", None) or Evaluator(job(folder))
    folder.mkdir(parents=True, exist_ok=True)
    return Search(folder, space(), given, 0, limits or Limits(), watch or Quiet(), **more)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
