"""PyTorch against ONNX Runtime."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from xgraph.diagnostics import InternalError, fail
from xgraph.driver.running import run_module
from xgraph.driver.weights import Arrays
from xgraph.ir.graph import Graph
from xgraph.samples import fitting_sizes, open_axes, sample_inputs

TOLERANCE = 1e-4
"""The largest difference of two backends, relative to the largest output, that is taken for
rounding."""


def unverified(low: Graph) -> str | None:
    """Why the backends cannot be compared, if they cannot."""
    for package in ("torch", "onnxruntime"):
        if find_spec(package) is None:
            return f"the package `{package}` is not installed"
    if fitting_sizes(low) is not None:
        return None
    axes = ", ".join(f"`{axis}`" for axis in open_axes(low))
    if not axes:
        return "its values are too large"
    return f"at every size of {axes} that was tried, some value is empty or too large"


def verified(low: Graph, arrays: Arrays, model: Any) -> float:
    """How far the backends are apart; an error where that is more than rounding."""
    from xgraph.backends.onnx import save

    # What disagrees must not be left where it could be taken for sound.
    with TemporaryDirectory() as folder:
        save(model, Path(folder, "model.onnx"))
        difference = compare(low, arrays, Path(folder, "model.onnx"))
    if not difference <= TOLERANCE:
        raise InternalError(
            "compile", f"the ONNX model and the PyTorch module differ by {difference:.1e}"
        )
    return difference


def compare(low: Graph, arrays: Arrays, model: Path, *, batch: int = 2, seed: int = 0) -> float:
    """The largest difference between the module and the ONNX model on random inputs, relative to
    the largest output (or to 1 where that is less); infinite where the model alone gives numbers
    that are not finite.

    Where the module gives such, `DiagnosticError` says so unless the model gives the same.
    """
    from xgraph.runtime import Session

    inputs = sample_inputs(low, batch, seed)
    ours = run_module(low, arrays, inputs)
    theirs = Session(model).run(inputs)
    for name, value in ours.items():
        if not np.isfinite(value).all() and not _same_kinds(value, theirs[name]):
            raise fail(
                "not-finite",
                f"on random inputs output `{name}` is not finite, and PyTorch and ONNX Runtime"
                " differ in where",
                origin=low.name,
                help="look for a division by zero or a number that grows without bound;"
                " `--no-verify` writes the model as it is",
            )
    return max(_difference(ours[name], theirs[name]) for name in ours)


def _same_kinds(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> bool:
    """Whether NaN, infinity and minus infinity stand in the same places."""
    a, b = (np.where(np.isfinite(value), 0, value) for value in (ours, theirs))
    return np.array_equal(a, b, equal_nan=True)


def _difference(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    """How far two outputs are apart where they are finite."""
    if not _same_kinds(ours, theirs):
        return np.inf
    finite = np.isfinite(ours)
    a, b = (value[finite].astype(np.float64) for value in (ours, theirs))
    return float(np.max(np.abs(a - b), initial=0.0) / np.max(np.abs(a), initial=1.0))
