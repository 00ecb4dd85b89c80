"""The words of `xgraph` in Python: what they compare, and what they say of what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xgraph
from xgraph import driver
from xgraph.diagnostics import Diagnostic, DiagnosticError, InternalError

TEXT = """network n
param width = 4
param rate = 0.5
param mode = fast
param on = true
param sizes = [1, 2]
modality x: [3]
superlayer a(x) { l: linear(width) -> relu }
output y = a
"""


def refused(act: Any, *args: Any, **more: Any) -> Diagnostic:
    with pytest.raises(DiagnosticError) as caught:
        act(*args, **more)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


class TestDifference:
    """How far two outputs are apart."""

    @pytest.mark.parametrize(
        ("ours", "theirs", "apart"),
        [
            ([1.0, 0.5], [1.0, 0.25], 0.25),
            ([100.0, 0.0], [100.0, 1.0], 0.01),  # relative to the largest
            ([np.inf, -np.inf, np.nan, 1.0], [np.inf, -np.inf, np.nan, 1.0], 0.0),
            ([np.nan, np.inf], [np.nan, np.inf], 0.0),  # nothing is finite
            ([np.inf, 1.0], [-np.inf, 1.0], np.inf),
            ([np.nan, 1.0], [np.inf, 1.0], np.inf),
            ([1.0, 1.0], [1.0, np.nan], np.inf),
            ([3e38], [-3e38], 2.0),  # float32 cannot hold the difference
        ],
    )
    def test_finite_numbers_count(
        self, ours: list[float], theirs: list[float], apart: float
    ) -> None:
        found = driver._difference(np.float32(ours), np.float32(theirs))
        assert found == pytest.approx(apart)


def test_a_model_that_alone_gives_no_numbers_is_our_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")

    def broken(*args: Any) -> dict[str, Any]:
        return {"y": np.full((2, 4), np.nan, np.float32)}

    monkeypatch.setattr("xgraph.backends.runtime.Session.run", broken)
    with pytest.raises(InternalError, match="differ by inf"):
        xgraph.compile(TEXT, "onnx", tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_compared_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr("xgraph.driver.fitting_sizes", lambda low: None)
    compiled = xgraph.compile(TEXT, "onnx", tmp_path / "n.onnx")
    assert (compiled.difference, compiled.unverified) == (None, "its values are too large")
    assert xgraph.compile(TEXT, "onnx", tmp_path / "n.onnx", verify=False).unverified is None
