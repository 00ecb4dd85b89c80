"""How well strategies search, on a space of which the truth is known.

    python benchmarks/strategies.py [--seeds 10] [--first 0] [--truth FILE]

All 6,174 networks of examples/spaces/digits_mfas.xg are evaluated once on the digits that come with
scikit-learn; then strategies search that table with equal budgets, by accuracy and by loss.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from sklearn.datasets import load_digits

import xgraph
from xgraph.data import open_data
from xgraph.recipe import read_recipe
from xgraph.search.candidate import Candidate, Outcome
from xgraph.search.evaluate import Evaluator, Job
from xgraph.search.strategies.contract import Strategy
from xgraph.search.strategies.evolution import Evolution
from xgraph.search.strategies.mfas import Mfas
from xgraph.search.strategies.random import RandomSearch
from xgraph.space import Space
from xgraph.space.space import Sample
from xgraph.train.fit import fit
from xgraph.train.plan import plan
from xgraph.weights import initialise, save

SPACE = Path(__file__).resolve().parent.parent / "examples" / "spaces" / "digits_mfas.xg"
TOGETHER = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--truth", type=Path, help="the table; it is made where it is not there")
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    space = Space.load(SPACE)
    with tempfile.TemporaryDirectory() as name:
        path = given.truth or Path(name) / "truth.json"
        began = time.perf_counter()
        if not path.exists():
            path.write_text(json.dumps(evaluated(space, Path(name))))
        truth: dict[str, tuple[float, float]] = json.loads(path.read_text())
        print(f"{len(truth):,} networks, {time.perf_counter() - began:.0f} s of one core")
    seeds = range(given.first, given.first + given.seeds)
    show("accuracy", space, {name: accuracy for name, (accuracy, _) in truth.items()}, seeds)
    show("loss", space, {name: -loss for name, (_, loss) in truth.items()}, seeds)


STRATEGIES: list[Strategy] = [
    RandomSearch(samples=98, batch=10),
    Evolution(samples=98, batch=4, population=20, tournament=5),
    Evolution(samples=98, batch=1, population=25, tournament=8),
    Mfas(samples=10, restart=False),
    Mfas(samples=10, restart=False, sigma=2.0),
    Mfas(samples=10, restart=False, hottest=0.05, coldest=0.02, surrogate_epochs=300),
]
"""Of about as many networks each."""


def show(measure: str, space: Space, scores: dict[str, float], seeds: Sequence[int]) -> None:
    """A table of what each strategy finds, by a score that is the better the larger it is."""
    every = sorted(scores.values(), reverse=True)
    told = "{:.2%}" if every[0] > 0 else "{:.3f}"
    print(f"\nby {measure}: best {told}, median {told}\n".format(every[0], every[len(every) // 2]))
    print(
        "| strategy | networks | best found, mean | rank among all, median | mean | worst |", end=""
    )
    print(" ahead of / behind `random` |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    chance: list[float] = []
    for strategy in STRATEGIES:
        results = [best_found(strategy, space, scores, seed) for seed in seeds]
        values = [value for value, _ in results]
        chance = chance or values
        ranks = [1 + sum(score > value for score in every) for value in values]
        ahead = sum(a > b for a, b in zip(values, chance, strict=True))
        behind = sum(a < b for a, b in zip(values, chance, strict=True))
        options = strategy.model_dump(exclude_defaults=True)
        name = " ".join((type(strategy).__name__, *(f"{k}={v}" for k, v in options.items())))
        count = statistics.mean(n for _, n in results)
        print(
            f"| {name} | {count:.0f} | {told.format(statistics.mean(values))}"
            f" | {statistics.median(ranks):g} | {statistics.mean(ranks):.0f} | {max(ranks)}"
            f" | {ahead} / {behind} |", flush=True,
        )  # fmt: skip


def evaluated(space: Space, folder: Path) -> dict[str, tuple[float, float]]:
    """Accuracy and loss on the validation rows of every network, by encoding."""
    data = digits(folder / "data")
    first = xgraph.parse(Sample(space, space.region.cover(0)).text)
    heads = "losses={top_logits: cross-entropy, bottom_logits: cross-entropy}"
    extractors = plan(first, open_data(data), read_recipe(None, ["epochs=15", heads, "keep=last"]))
    weights = initialise(xgraph.lower(first), 0)
    save(folder / "init.safetensors", fit(extractors, weights).weights)
    covers = [Sample(space, space.region.cover(i)) for i in range(space.region.breadth)]
    recipe = read_recipe("mfas-search", ["losses={logits: cross-entropy}", "epochs=5"])
    evaluator = Evaluator(
        Job(str(data), recipe, 1.0, False, (), folder / "init.safetensors", folder / "features",
            tuple(sample.text for sample in covers))
    )  # fmt: skip
    samples = list(space.enumerate())
    found: dict[str, tuple[float, float]] = {}
    for start in range(0, len(samples), TOGETHER):
        part = samples[start : start + TOGETHER]
        for sample, outcome in zip(
            part, evaluator.run([Candidate(sample.text, 0) for sample in part]), strict=True
        ):
            assert outcome.score is not None, outcome.error
            found[sample.encoding] = outcome.metrics["accuracy"], outcome.metrics["loss"]
    return found


def digits(folder: Path) -> Path:
    """Halves of 1,300 digits to train with and 497 to compare by."""
    loaded = load_digits()
    order = np.random.default_rng(0).permutation(len(loaded.target))
    images = (loaded.images[order, None] / 16).astype(np.float32)
    labels = loaded.target[order].astype(np.int64)
    for split, rows in {"train": slice(0, 1300), "val": slice(1300, None)}.items():
        (folder / split).mkdir(parents=True)
        np.save(folder / split / "top.npy", images[rows, :, :4])
        np.save(folder / split / "bottom.npy", images[rows, :, 4:])
        np.save(folder / split / "label.npy", labels[rows])
    return folder


def best_found(
    strategy: Strategy, space: Space, truth: dict[str, float], seed: int
) -> tuple[float, int]:
    """The best score among what a strategy asks for, and how many networks that are."""
    asking = strategy.search(space, Random(seed), lambda sample: True)
    seen: dict[str, float] = {}
    answers = None
    while True:
        try:
            asks = next(asking) if answers is None else asking.send(answers)
        except StopIteration:
            return max(seen.values()), len(seen)
        values = [truth[ask.sample.encoding] for ask in asks]
        seen |= {ask.sample.encoding: v for ask, v in zip(asks, values, strict=True)}
        answers = [Outcome(v, {}, 1, 1, 0.0, 1) for v in values]


if __name__ == "__main__":
    main()
