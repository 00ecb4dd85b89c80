"""How many candidates an hour a search evaluates, ours beside the procedure that papers publish.

    python benchmarks/search.py [--parts PARTS] [--c 24] [--rows 50000]

Both train the same fusion networks of `avmnist_mfas` for the same epochs with the same batches. The
reference has the extractors in the loop and one candidate at a time; its steps are measured on some
candidates and taken to be equally long for all. Each of our steps is measured by itself: features
once, several candidates as one computation. Seconds are those that one core worked. With PARTS, a
folder with train/ and val/ of AV-MNIST (docs/data-sets.md), else made data of the same shapes:
times do not depend on what the numbers are.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

import xgraph
from xgraph.recipe import read_recipe
from xgraph.search.candidate import Candidate
from xgraph.search.evaluate import Evaluator, Job
from xgraph.space import Space
from xgraph.space.space import Sample
from xgraph.train.fit import Silent, Stopped, fit
from xgraph.train.plan import prepared
from xgraph.weights import initialise, save

SPACE = Path(__file__).resolve().parent.parent / "examples" / "spaces" / "avmnist_mfas.xg"
CANDIDATES = 180
"""Of the paper's search; the first of `Space.samples` with depths as it draws them."""
EPOCHS, BATCH, UNITS, TOGETHER = 3, 32, 16, 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=Path, help="a folder with train/ and val/ of AV-MNIST")
    parser.add_argument("--c", type=int, default=24, help="width of the extractors")
    parser.add_argument("--rows", type=int, default=50_000, help="rows to train on, if made")
    parser.add_argument("--steps", type=int, default=20, help="of the reference, that are timed")
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    print(f"{platform.machine()}, one core, {versions}; c = {given.c}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = given.parts or made_data(folder / "data", given.rows)
        compare(folder, data, given.c, given.steps)


def made_data(folder: Path, rows: int) -> Path:
    """Random numbers of the shapes of AV-MNIST."""
    rng = np.random.default_rng(0)
    shapes = {"image": (1, 28, 28), "audio": (1, 112, 112)}
    for split, count in (("train", rows), ("val", rows // 10)):
        (folder / split).mkdir(parents=True)
        for column, shape in shapes.items():
            array = rng.integers(0, 256, (count, *shape), np.uint8)
            np.save(folder / split / f"{column}.npy", array)
        np.save(folder / split / "label.npy", rng.integers(0, 10, count))
    return folder


def compare(folder: Path, data: Path, c: int, steps: int) -> None:
    space = Space.load(SPACE)
    covers = [Sample(space, space.region.cover(i)) for i in range(space.region.breadth)]
    settings = (("c", c), ("units", UNITS))
    first = xgraph.parse(covers[0].text, dict(settings))
    save(folder / "init.safetensors", initialise(xgraph.lower(first), 0))
    told = [f"epochs={EPOCHS}", f"batch={BATCH}", "losses={logits: cross-entropy}"]
    job = Job(
        data=str(data), recipe=read_recipe("mfas-search", told), fraction=1.0, allow_leaks=True,
        settings=settings, weights=folder / "init.safetensors", features=folder / "features",
        examples=tuple(sample.text for sample in covers),
    )  # fmt: skip
    candidates = [Candidate(s.text, i) for i, s in enumerate(depths(space, CANDIDATES))]

    seconds, evaluator = timed(lambda: Evaluator(job))
    rows = len(evaluator.plan.train)
    in_epoch = -(-rows // BATCH)
    print(f"{CANDIDATES} candidates, {EPOCHS} epochs of {in_epoch} steps\n")

    reference = [in_the_loop(evaluator, one, steps) for one in candidates[:: CANDIDATES // 4]]
    step, check = (sum(parts) / len(parts) for parts in zip(*reference, strict=True))
    published = CANDIDATES * EPOCHS * (in_epoch * step + check)
    print(f"extractors in the loop        {step * 1e3:8.1f} ms a step, {published:9.0f} s in all")

    print(f"data checked, features made   {'':19}{seconds:10.1f} s, once")
    alone, _ = timed(lambda: [evaluator.run([one]) for one in candidates[:: CANDIDATES // 4]])
    alone = alone / len(candidates[:: CANDIDATES // 4]) * CANDIDATES
    per_step = alone / CANDIDATES / EPOCHS / in_epoch
    print(f"features, one at a time       {per_step * 1e3:8.3f} ms a step, {alone:9.1f} s")

    def all_together() -> list[Any]:
        return [evaluator.run(candidates[i : i + TOGETHER]) for i in range(0, CANDIDATES, TOGETHER)]

    together, _ = timed(all_together)
    per_step = together / CANDIDATES / EPOCHS / in_epoch
    print(
        f"features, {TOGETHER} as one           {per_step * 1e3:8.3f} ms a step, {together:9.1f} s"
    )

    ours = seconds + together
    print(f"\nfeatures alone       {published / (seconds + alone):8.0f} times as many an hour")
    print(
        f"and together         {published / ours:8.0f} times: {CANDIDATES / ours * 3600:,.0f}",
        end=" ",
    )
    print(f"an hour, beside {CANDIDATES / published * 3600:,.1f}")


def depths(space: Space, count: int) -> list[Sample]:
    """As many of each depth: an evaluation in the paper is at each of four levels equally often."""
    by_depth: dict[int, list[Sample]] = {1: [], 2: [], 3: [], 4: []}
    part = space.region.parts[0]
    rng = np.random.default_rng(0)
    for depth, found in by_depth.items():
        while len(found) < count // 4:
            rows = tuple(part.part.unrank(int(rng.integers(30))) for _ in range(depth))  # type: ignore[attr-defined]
            found.append(Sample(space, (rows,)))
    return [sample for group in zip(*by_depth.values(), strict=True) for sample in group]


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = act()
    return time.process_time() - began, found


class Few(Silent):
    """Notes the time, and ends after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.times: list[float] = []

    def step(self, progress: Any, loss: float | None) -> None:
        self.times.append(time.process_time())
        self.stop = len(self.times) > self.steps


def in_the_loop(evaluator: Evaluator, candidate: Candidate, steps: int) -> tuple[float, float]:
    """Seconds of a step and of a validation of a whole network of which only the fusion learns."""
    graph = evaluator.graph(candidate.text)
    recipe = evaluator.recipe
    plan = evaluator.plan
    whole = prepared(graph, recipe, plan.feed, plan.train, plan.val)
    weights = initialise(xgraph.lower(graph), candidate.seed)
    watch = Few(steps)
    with suppress(Stopped):
        fit(whole, weights, watch=watch)
    step = (watch.times[-1] - watch.times[0]) / (len(watch.times) - 1)
    module = xgraph.load(graph, weights).eval()
    count = min(512, len(plan.val))
    inputs = {p.name: p.take(plan.val, np.arange(count)) for p in plan.feed.ports}
    tensors = [torch.from_numpy(inputs[name]) for name in graph.inputs]
    with torch.inference_mode():
        check, _ = timed(lambda: module(*tensors))
    return step, check / count * len(plan.val)


if __name__ == "__main__":
    main()
