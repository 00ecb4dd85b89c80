"""What is trained on what: the meeting of a network, data and a recipe, checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from xgraph.data.check import check_labels, check_rows, check_shapes, without
from xgraph.data.choose import chosen, held_out
from xgraph.data.feed import Feed, feed_of
from xgraph.data.source import Data
from xgraph.data.split import Split
from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph
from xgraph.recipe.model import Input, Recipe
from xgraph.train.optim import check_patterns, check_stages


@final
@dataclass(frozen=True)
class Plan:
    """A training that is ready to run."""

    graph: Graph
    recipe: Recipe
    """With all that its steps measured on the training split."""
    feed: Feed
    train: Split
    val: Split
    test: Split | None


def plan(
    graph: Graph, data: Data, recipe: Recipe, *, fraction: float = 1.0, allow_leaks: bool = False
) -> Plan:
    """Choose the rows, fit the steps, and check everything before the first step.

    `fraction` of the training split is kept, of each class alike; the validation set is `val`, or
    a part of what is kept. `DiagnosticError` lists what is wrong.
    """
    train = data.training
    feed = feed_of(graph, recipe, train)
    if recipe.monitor in ("accuracy", "f1") and feed.targets[0].loss.kind == "mse":
        told = f"`monitor` asks for the {recipe.monitor}, and `mse` has none"
        raise fail("bad-value", told, origin="recipe: monitor", help="`loss`, or leave it out")
    check_patterns(graph, recipe)
    check_stages(graph, recipe, [target.output for target in feed.targets])
    splits = [train, *(split for split in data.splits.values() if split is not train)]
    check_shapes(feed, splits)
    check_labels(feed, splits)
    labels = train.whole(feed.main.column) if feed.main else None
    train = chosen(train, fraction, labels, recipe.seed)
    test = data.splits.get("test")
    if "val" in data.splits:
        val = data.splits["val"]
    else:
        labels = train.whole(feed.main.column) if feed.main else None
        train, val = held_out(train, recipe.validation, labels, recipe.seed)
        val = without(val, train, feed)  # the same row twice stays in training
    check_rows(feed, [train, val, *([test] if test else [])], leaks=not allow_leaks)
    return prepared(graph, recipe, feed, train, val, test)


def prepared(
    graph: Graph, recipe: Recipe, feed: Feed, train: Split, val: Split, test: Split | None = None
) -> Plan:
    """A plan on splits that are checked already."""
    feed = feed.fitted(train)
    inputs = {
        port.name: Input().model_copy(
            update={"column": port.column, "transforms": list(port.steps)}
        )
        for port in feed.ports
    }
    return Plan(graph, recipe.model_copy(update={"inputs": inputs}), feed, train, val, test)
