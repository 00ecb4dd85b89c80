"""How well strategies search, on a space of which the truth is known.

    python benchmarks/strategies.py [--seeds 10] [--truth FILE]

All 6,174 networks of examples/spaces/digits_mfas.xg are evaluated once on the digits that come with
scikit-learn; then strategies search that table with equal budgets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from random import Random

import numpy as np
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
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--truth", type=Path, help="the table; it is made where it is not there")
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    space = Space.load(SPACE)
    with tempfile.TemporaryDirectory() as name:
        path = given.truth or Path(name) / "truth.json"
        began = time.perf_counter()
        if not path.exists():
            path.write_text(json.dumps(evaluated(space, Path(name))))
        truth: dict[str, float] = json.loads(path.read_text())
        seconds = time.perf_counter() - began
    scores = sorted(truth.values(), reverse=True)
    print(f"{len(truth):,} networks in {seconds:.0f} s on one core: ", end="")
    print(f"best {scores[0]:.2%}, median {scores[len(scores) // 2]:.2%}, worst {scores[-1]:.2%}\n")
    strategies: list[Strategy] = [
        RandomSearch(samples=98, batch=10),
        Evolution(samples=98, batch=4, population=20, tournament=5),
        Mfas(iterations=3, samples=10, restart=False),
    ]
    found = {s: [best_found(s, space, truth, seed) for seed in range(given.seeds)]
             for s in strategies}  # fmt: skip
    print("| strategy | networks | best found, mean ± deviation | below the best of all |", end="")
    print(" rank among all, median | ahead of / behind `random` |")
    print("|---|---:|---:|---:|---:|---:|")
    chance = [value for value, _ in found[strategies[0]]]
    for strategy, results in found.items():
        values = [value for value, _ in results]
        ranks = [1 + sum(score > value for score in scores) for value in values]
        ahead = sum(a > b for a, b in zip(values, chance, strict=True))
        behind = sum(a < b for a, b in zip(values, chance, strict=True))
        name = type(strategy).__name__
        print(
            f"| {name} | {statistics.mean(n for _, n in results):.0f}"
            f" | {statistics.mean(values):.2%} ± {statistics.stdev(values) * 100:.2f}"
            f" | {scores[0] - statistics.mean(values):.2%} | {statistics.median(ranks):.0f}"
            f" | {ahead} / {behind} |"
        )


def evaluated(space: Space, folder: Path) -> dict[str, tuple[float, float]]:
    """The validation accuracy of every network, by encoding."""
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
        answers = [Outcome(v, {"accuracy": v}, 1, 1, 0.0, 1) for v in values]


if __name__ == "__main__":
    main()
