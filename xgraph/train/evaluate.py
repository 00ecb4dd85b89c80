"""How good a network is on a split: every row once, through PyTorch or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from xgraph.data.check import check_rows, check_shapes
from xgraph.data.feed import Feed, Target, all_batches, feed_of
from xgraph.data.split import Split
from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph
from xgraph.recipe.model import Recipe
from xgraph.train.fit import running

Array = np.ndarray[Any, Any]
Backend = Literal["torch", "onnx"]
RESAMPLES = 2000
"""Of the bootstrap."""


@final
@dataclass(frozen=True)
class Evaluation:
    """What was measured of a split."""

    split: str
    rows: int
    metrics: dict[str, float]
    """Of the prediction; those of other outputs as `output/metric`."""
    interval: tuple[float, float] | None
    """95 % of the accuracy, by bootstrap over the rows."""
    confusion: Array | None
    """Rows by true class, columns by predicted one."""
    predictions: Array
    """The class of each row, or the numbers predicted."""

    @property
    def classes(self) -> list[dict[str, float]]:
        """Precision, recall, F1 and rows of each class."""
        if self.confusion is None:
            return []
        hits = np.diag(self.confusion).astype(float)
        support, predicted = self.confusion.sum(1), self.confusion.sum(0)
        found = []
        for i, hit in enumerate(hits):
            precision = hit / predicted[i] if predicted[i] else 0.0
            recall = hit / support[i] if support[i] else 0.0
            both = precision + recall
            f1 = 2 * precision * recall / both if both else 0.0
            found.append({"class": i, "precision": float(precision), "recall": float(recall),
                          "f1": float(f1), "rows": int(support[i])})  # fmt: skip
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "split": self.split,
            "rows": self.rows,
            "metrics": self.metrics,
            "accuracy_interval_95": self.interval,
            "classes": self.classes,
            "confusion": None if self.confusion is None else self.confusion.tolist(),
        }


def fed(graph: Graph, recipe: Recipe, split: Split, origin: str, *, targets: bool = True) -> Feed:
    """How a split feeds a network whose weights, of `origin`, are trained; `DiagnosticError` lists
    what does not fit."""
    feed = feed_of(graph, recipe, split, targets=targets)
    unfitted = [p.name for p in feed.ports if not all(step.is_fitted for step in p.steps)]
    if unfitted:
        raise fail(
            "not-fitted", f"`normalise` of `{unfitted[0]}` was measured on nothing yet",
            origin=origin, help="give the `recipe.yaml` of the training: it holds the numbers",
        )  # fmt: skip
    check_shapes(feed, [split])
    check_rows(feed, [split], leaks=False, learns=False)
    return feed


def evaluate(
    graph: Graph,
    weights: Mapping[str, Array],
    feed: Feed,
    split: Split,
    *,
    backend: Backend = "torch",
    predict: list[str] | None = None,
    batch: int = 256,
    seed: int = 0,
) -> Evaluation:
    """Measure a network with these weights on a split."""
    run = runner(graph, weights, backend)
    outputs, targets = collected(run, feed, split, batch)
    return scored(outputs, targets, feed, split, predict or [], seed)


def runner(
    graph: Graph, weights: Mapping[str, Array], backend: Backend
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """A function from the inputs of a batch to the outputs."""
    from xgraph import driver

    low = driver.tensor_graph(graph)
    arrays = driver.initial_weights(low, dict(weights))
    if backend == "onnx":
        from xgraph.backends.onnx import in_memory, to_onnx
        from xgraph.runtime import Session

        driver.require("onnx")
        session = Session(in_memory(to_onnx(low, arrays)))
        return lambda inputs: dict(session.run(dict(inputs)))
    return _module(low, arrays)


def _module(
    low: Graph, arrays: dict[str, Array]
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    import torch

    from xgraph.backends.torch import to_module

    module = to_module(low, arrays).eval()

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        with torch.inference_mode():
            found = module(*(torch.from_numpy(inputs[name]) for name in low.inputs))
        values = found if isinstance(found, tuple) else (found,)
        return {name: v.numpy() for name, v in zip(low.outputs, values, strict=True)}

    return run


def collected(
    run: Callable[[Mapping[str, Array]], dict[str, Array]], feed: Feed, split: Split, batch: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """All outputs and targets of a split."""

    def each() -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
        for inputs, targets in all_batches(feed, split, batch):
            with running(f"a batch of `{split.name}`", inputs):
                found = run(inputs)
            yield found, targets

    pairs = list(each())
    with running("putting batches together", {}):
        outputs, targets = (
            {name: np.concatenate([pair[i][name] for pair in pairs]) for name in pairs[0][i]}
            for i in range(2)
        )
    return outputs, targets


def scored(
    outputs: Mapping[str, Array],
    targets: Mapping[str, Array],
    feed: Feed,
    split: Split,
    predict: list[str],
    seed: int,
) -> Evaluation:
    """The metrics of outputs that were collected."""
    main = feed.targets[0]
    given = sum(
        (outputs[name] for name in predict[1:]), outputs[predict[0] if predict else main.output]
    )
    metrics = measured(main, given, targets[main.output])
    for target in feed.targets if len(feed.targets) > 1 else ():
        own = measured(target, outputs[target.output], targets[target.output])
        metrics |= {f"{target.output}/{name}": value for name, value in own.items()}
    if not main.classes:
        return Evaluation(split.name, len(split), metrics, None, None, given)
    classes, truth = given.argmax(1), targets[main.output]
    confusion = np.zeros((main.classes, main.classes), np.int64)
    np.add.at(confusion, (truth.ravel(), classes.ravel()), 1)
    correct = (classes == truth).reshape(len(truth), -1).mean(1)
    return Evaluation(
        split.name, len(split), metrics, interval_of(correct, seed), confusion, classes
    )


def measured(target: Target, given: Array, wanted: Array) -> dict[str, float]:
    import torch

    from xgraph.train.objective import scores

    return scores(target, torch.from_numpy(np.asarray(given)), torch.from_numpy(wanted))


def interval_of(correct: Array, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a mean over rows, by bootstrap (percentiles)."""
    from scipy.stats import bootstrap

    if len(correct) < 2 or correct.std() == 0:
        return float(correct.mean()), float(correct.mean())
    found = bootstrap(
        (correct,), np.mean, n_resamples=RESAMPLES, batch=max(1, 2**22 // len(correct)),
        method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)
