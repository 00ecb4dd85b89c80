"""The state of a training in one safetensors file: arrays, and plain numbers in its metadata.

One file, written beside and renamed, is whole or is not there; and it holds no code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from xgraph.diagnostics import fail
from xgraph.weights import load, metadata, save

NAME = "checkpoint.safetensors"
_KEY = "xgraph.training"
FORMAT = 1


@final
@dataclass
class Progress:
    """Where a training is."""

    stage: int = 0
    epoch: int = 0
    """Within the stage."""
    batch: int = 0
    """Within the epoch: how many are done."""
    step: int = 0
    """In all."""
    loss: float = 0.0
    """The sum over the rows of this epoch."""
    rows: int = 0
    lr: float = 0.0
    """Of the last step."""
    stale: int = 0
    """Epochs since one was better than `mark` by as much as the recipe's `stop` asks."""
    mark: float | None = None
    """The score of that epoch."""
    best: float | None = None
    best_epoch: int | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


@final
@dataclass(frozen=True)
class Checkpoint:
    """A training between two steps."""

    progress: Progress
    weights: dict[str, np.ndarray[Any, Any]]
    best: dict[str, np.ndarray[Any, Any]]
    """The best weights so far, if they are to be kept."""
    optimizer: dict[str, np.ndarray[Any, Any]]
    """Its arrays: `<number of the weight>.<name>`."""
    random: dict[str, np.ndarray[Any, Any]]
    """States of torch's generators, by device."""
    scaler: dict[str, Any]

    def write(self, path: Path) -> None:
        parts = {"weights": self.weights, "best": self.best,
                 "optimizer": self.optimizer, "random": self.random}  # fmt: skip
        arrays = {f"{part}/{k}": v for part, held in parts.items() for k, v in held.items()}
        state = {"format": FORMAT, "progress": vars(self.progress), "scaler": self.scaler}
        save(path, arrays, {_KEY: json.dumps(state)})

    @staticmethod
    def read(path: Path) -> Checkpoint:
        """`DiagnosticError` (`bad-checkpoint`) for anything else than a whole checkpoint."""
        arrays = load(path)
        text = metadata(path).get(_KEY)
        try:
            state = json.loads(text or "")
            progress = Progress(**state["progress"])
            if state["format"] != FORMAT:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise fail(
                "bad-checkpoint", "this is no checkpoint of this version of xgraph",
                origin=str(path), help="begin anew in another folder",
            ) from None  # fmt: skip
        parts: dict[str, dict[str, Any]] = {
            "weights": {},
            "best": {},
            "optimizer": {},
            "random": {},
        }
        for key, array in arrays.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = array
        return Checkpoint(
            progress, parts["weights"], parts["best"], parts["optimizer"], parts["random"],
            state["scaler"],
        )  # fmt: skip
