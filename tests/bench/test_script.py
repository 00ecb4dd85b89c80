"""`benchmarks/inference.py`, from end to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inference.py"


@pytest.mark.long
def test_figures_are_kept(tmp_path: Path) -> None:
    def run(*batches: str) -> str:
        return subprocess.run(
            [sys.executable, SCRIPT, "--only", "XKerasNet", "--batches", *batches, "--seconds",
             "0.01", "--out", tmp_path],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    assert "| 1 | xgraph, ONNX Runtime" in run("1")
    kept = (tmp_path / "XKerasNet-1.json").read_bytes()
    told = run("1", "2")
    assert "| 1 |" not in told
    assert "| 2 | xgraph, ONNX Runtime" in told
    assert (tmp_path / "XKerasNet-1.json").read_bytes() == kept
    lines = (tmp_path / "inference.md").read_text().splitlines()
    assert [line.split(" | ")[:2] for line in lines[2:]] == [["| XKerasNet", "1"], ["| ", "2"]]
    ElementTree.parse(tmp_path / "inference.svg")
