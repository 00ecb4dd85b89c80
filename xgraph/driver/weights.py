"""Weights from wherever they are given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from xgraph import weights as weight_files
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.given import arrays_of, integer
from xgraph.ir.graph import Graph

Arrays: TypeAlias = "dict[str, np.ndarray[Any, Any]]"
Weights: TypeAlias = "Path | str | Mapping[str, Any]"


def initial_weights(low: Graph, weights: Weights | None = None, seed: int = 0) -> Arrays:
    """Weights for a tensor-level graph: those of a safetensors file or of a mapping (arrays or
    tensors by address, such as a `state_dict`), or fresh ones from `seed`."""
    if weights is None:
        return weight_files.initialise(low, integer("seed", seed))
    if isinstance(weights, (str, os.PathLike)):
        arrays = weight_files.load(weights)
        if weight_files.OPTIMIZED in weight_files.metadata(weights):
            raise _of_another(str(weights))
        return weight_files.check(low, arrays, str(weights))
    return weight_files.check(low, arrays_of(weights, "weights", "bad-weights"), "weights")


def _of_another(origin: str) -> DiagnosticError:
    return fail(
        "optimized-weights", "these are weights of an optimised network", origin=origin,
        help="give those that it was compiled with, of the network as it was written; from Python,"
        " `xgraph.optimized(network, ...).undone` tells them",
    )  # fmt: skip
