"""What data says of an int8 model: rows to calibrate it on, and its accuracy beside float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from xgraph.data.feed import Feed, all_batches
from xgraph.data.source import Data
from xgraph.data.split import Split
from xgraph.ir.graph import Graph
from xgraph.recipe.model import Recipe
from xgraph.train.evaluate import Array, collected, evaluate, fed, scored

ROWS, BATCH = 256, 32
"""How many rows of the training split an int8 model is calibrated on, evenly chosen, and how many
at once."""


@final
@dataclass(frozen=True)
class Calibration:
    """Rows of a data set that a network takes, checked."""

    graph: Graph
    weights: Mapping[str, Array]
    recipe: Recipe
    feed: Feed
    rows: Split
    held: Split
    """What the accuracy is measured on."""

    @staticmethod
    def of(
        graph: Graph, weights: Mapping[str, Array], data: Data, recipe: Recipe, origin: str
    ) -> Calibration:
        """The rows to calibrate on, and those to measure on: of `test`, `val` or the training
        split, the first that is there. `DiagnosticError` lists what does not fit; `origin` is of
        the weights."""
        train = data.training
        held = next((data.splits[name] for name in ("test", "val") if name in data.splits), train)
        chosen = np.unique(np.linspace(0, len(train) - 1, ROWS).astype(np.int64))
        rows = train.part(chosen)
        fed(graph, recipe, rows, origin, targets=False)
        labelled = recipe.losses or any(
            {name, "label"} & held.columns.keys() for name in graph.outputs
        )
        feed = fed(graph, recipe, held, origin, targets=bool(labelled))
        return Calibration(graph, weights, recipe, feed, rows, held)

    def batches(self) -> list[dict[str, Array]]:
        """The inputs to calibrate on, [rows, ...] by name."""
        inputs = Feed(self.feed.ports, ())
        return [batch for batch, _ in all_batches(inputs, self.rows, BATCH)]

    def scores(self, model: Path) -> dict[str, Any] | None:
        """Every metric of the network in float32, and of `model`; None without labels."""
        if not self.feed.targets:
            return None
        from xgraph.runtime import Session

        predict = self.recipe.predict
        exact = evaluate(
            self.graph, self.weights, self.feed, self.held, backend="onnx", predict=predict
        )
        session = Session(model)
        pairs = collected(lambda inputs: session.run(dict(inputs)), self.feed, self.held, 256)
        less = scored(*pairs, self.feed, self.held, predict, 0)
        return {
            "split": exact.split,
            "rows": exact.rows,
            "fp32": exact.metrics,
            "int8": less.metrics,
        }
