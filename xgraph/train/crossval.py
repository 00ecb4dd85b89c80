"""Cross-validation: fresh weights in every fold, each fold durable once it is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, final

import numpy as np

from xgraph import driver
from xgraph.data.check import check_rows, check_shapes, fingerprint, without
from xgraph.data.choose import folds, held_out, one_group_out
from xgraph.data.feed import feed_of
from xgraph.data.source import Data
from xgraph.data.split import Split
from xgraph.diagnostics import fail
from xgraph.files import make_folder, read_text, write_whole
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.recipe import Recipe, write_recipe
from xgraph.train.evaluate import evaluate
from xgraph.train.fit import Watch, fit
from xgraph.train.objective import ERRORS
from xgraph.train.optim import check_patterns
from xgraph.train.plan import prepared

RESULTS = "results.json"
"""What is told of all folds."""


@final
@dataclass(frozen=True)
class CrossValidation:
    """The score of every network on every fold."""

    metric: str
    scores: dict[str, list[float]]
    """By the name of the network: the kept weights on each fold's test rows."""
    best: dict[str, list[float]]
    """The best epoch's score on the rows held out to choose it, which XFlow reports."""
    digest: str = ""
    """Of what was trained on what."""

    def summary(self) -> dict[str, Any]:
        """Mean and deviation of each network, and the paired t-test of the first two."""
        found: dict[str, Any] = {"metric": self.metric}
        for kind, held in (("scores", self.scores), ("best_epoch", self.best)):
            found[kind] = {
                name: {"mean": float(np.mean(s)), "std": float(np.std(s, ddof=1)), "folds": s}
                for name, s in held.items()
            }
        if len(self.scores) == 2:
            a, b = self.scores.values()
            found["paired_t_test"] = t_test(a, b)
        return found


def t_test(a: list[float], b: list[float]) -> dict[str, float | None]:
    """The paired t-test of two networks on the same folds; no p where all differences are one."""
    from scipy.stats import ttest_rel

    differences = np.subtract(a, b)
    mean = float(differences.mean())
    if np.allclose(differences, differences[0]):
        return {"mean_difference": mean, "t": None, "p": None}
    found = ttest_rel(a, b)
    return {"mean_difference": mean, "t": float(found.statistic), "p": float(found.pvalue)}


def cross_validate(
    networks: dict[str, Graph],
    data: Data,
    recipe: Recipe,
    out: Path,
    *,
    count: int = 10,
    group: str | None = None,
    watch: Watch | None = None,
    told: Callable[[str, int, float], None] = lambda name, fold, score: None,
) -> CrossValidation:
    """Train every network on every fold of the training split, or with each `group` left out.

    Rows that a fold holds too are left out of what is trained on for it. What is trained on keeps
    `recipe.validation` of itself to choose the epoch by; the fold is not
    looked at until the end. A fold that is done is a file in `out`, and is not done again.
    """
    split = data.training
    first = next(iter(networks.values()))
    make_folder(out)
    digest = _digest(networks, recipe, split, count, group)
    _done(out / RESULTS, digest)
    scores: dict[str, list[float]] = {name: [] for name in networks}
    best: dict[str, list[float]] = {name: [] for name in networks}
    metric = "accuracy"
    for graph in networks.values():
        feed = feed_of(graph, recipe, split)
        check_patterns(graph, recipe)
        check_shapes(feed, [split])
        check_rows(feed, [split], leaks=False)
    feed = feed_of(first, recipe, split)
    labels = split.whole(feed.main.column) if feed.main else None
    for number, (train, test) in enumerate(_parts(split, count, labels, group, recipe.seed)):
        train = without(train, test, feed)
        for name, graph in networks.items():
            path = out / f"{name}-fold{number + 1}.json"
            done = _done(path, digest)
            if done is None:
                done = _fold(graph, recipe, train, test, number, watch)
                write_whole(path, json.dumps({**done, "digest": digest}, indent=2) + "\n")
            metric = done["metric"]
            scores[name].append(done["score"])
            best[name].append(done["best"])
            told(name, number + 1, done["score"])
    return CrossValidation(metric, scores, best, digest)


def _parts(
    split: Split, count: int, labels: Any, group: str | None, seed: int
) -> Iterator[tuple[Split, Split]]:
    if group is None:
        return folds(split, count, labels, seed)
    return ((train, test) for _, train, test in one_group_out(split, group))


def _fold(
    graph: Graph, recipe: Recipe, train: Split, test: Split, number: int, watch: Watch | None
) -> dict[str, Any]:
    recipe = recipe.model_copy(update={"seed": recipe.seed + number})
    feed = feed_of(graph, recipe, train)
    labels = train.whole(feed.main.column) if feed.main else None
    part, val = held_out(train, recipe.validation, labels, recipe.seed)
    val = without(val, part, feed)
    made = prepared(graph, recipe, feed, part, val)
    weights = driver.initial_weights(driver.tensor_graph(graph), None, recipe.seed)
    epochs = _Epochs(watch)
    fitted = fit(made, weights, watch=epochs)
    found = evaluate(graph, fitted.weights, made.feed, test, predict=recipe.predict)
    metric = next(iter(found.metrics))
    return {
        "fold": number + 1,
        "metric": metric,
        "score": found.metrics[metric],
        "best": (min if metric in ERRORS else max)(
            record[f"val/{metric}"] for record in fitted.history
        ),
        "rows": {"train": len(part), "val": len(val), "test": len(test)},
        "metrics": found.metrics,
        "history": fitted.history,
    }


@final
class _Epochs:
    """Hands on what happens."""

    def __init__(self, watch: Watch | None) -> None:
        from xgraph.train.fit import Silent

        self._watch = watch or Silent()

    @property
    def stop(self) -> bool:
        return self._watch.stop

    def epoch_begins(self, number: int, batches: int, done: int) -> None:
        self._watch.epoch_begins(number, batches, done)

    def step(self, progress: Any, loss: float | None) -> None:
        self._watch.step(progress, loss)

    def epoch_ends(self, history: list[dict[str, Any]]) -> None:
        self._watch.epoch_ends(history)


def _digest(
    networks: dict[str, Graph], recipe: Recipe, split: Split, count: int, group: str | None
) -> str:
    said = [*(f"{name} {canonical(graph)}" for name, graph in networks.items())]
    said += [write_recipe(recipe), str(count), str(group)]
    for graph in networks.values():
        said.append(fingerprint(feed_of(graph, recipe, split), split))
    if group is not None and group in split.columns:
        said.append(sha256(split.whole(group).tobytes()).hexdigest())
    return sha256("\n".join(said).encode()).hexdigest()


def _done(path: Path, digest: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found = json.loads(read_text(path).text)
        if isinstance(found, dict) and found["digest"] == digest:
            return found
    except (ValueError, KeyError):
        pass
    raise fail(
        "would-overwrite", "this is of another cross-validation", origin=str(path),
        help="choose another folder",
    )  # fmt: skip
