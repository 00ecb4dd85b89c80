"""Rows of a GPU, with stand-ins for ONNX Runtime's and for PyTorch's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from stand_in import Machine

from xgraph import lower
from xgraph.bench.rows import EAGER, ROWS, Case, rows_of
from xgraph.build import build_source
from xgraph.cli import main
from xgraph.runtime import Session
from xgraph.source import Source
from xgraph.weights import initialise

NET = """network small
modality image: [3, 8, 8]
superlayer path[2](image) { conv(4, 3) -> bn -> relu -> globalavgpool -> linear(5) }
output logits = mean(path[*])
"""
pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether TF32 was on each time that PyTorch's GPU was waited for. It is the CPU."""
    found: list[bool] = []
    to = torch.Tensor.to

    def moved(self: Any, *args: Any, **more: Any) -> Any:
        return to(self, *("cpu" if str(arg) == "cuda" else arg for arg in args), **more)

    monkeypatch.setattr(torch.Tensor, "to", moved)
    monkeypatch.setattr(
        torch.cuda, "synchronize", lambda: found.append(torch.backends.cudnn.allow_tf32)
    )
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield found
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def case() -> Case:
    low = lower(build_source(Source("<test>", NET)))
    return Case(low, initialise(low, 0), 4, "cuda")


@pytest.mark.parametrize(
    ("row", "off"),
    [("PyTorch, TF32", 1e-5), ("PyTorch, fp16", 1e-2), ("PyTorch, bf16", 1e-1),
     ("xgraph, PyTorch", 1e-5)],
)  # fmt: skip
def test_rows_of_pytorch(case: Case, gpu: Machine, row: str, off: float) -> None:
    wanted, found = (ROWS[label].make(case).run() for label in (EAGER, row))
    assert np.allclose(found.float(), wanted, atol=off * float(wanted.abs().max()))


def test_tf32_is_off_but_where_it_is_named(case: Case, waits: list[bool]) -> None:
    for label in ("PyTorch, TF32", EAGER, "PyTorch, fp16"):
        ROWS[label].make(case).run()
    assert waits == [True, False, False]


@pytest.mark.parametrize(
    ("row", "options"),
    [
        ("xgraph, ONNX Runtime", {"use_tf32": "0"}),
        ("xgraph, CUDA graph", {"use_tf32": "0", "enable_cuda_graph": "1"}),
        ("xgraph, CUDA graph, TF32", {"use_tf32": "1", "enable_cuda_graph": "1"}),
        ("xgraph, CUDA graph, fp16", {"use_tf32": "0", "enable_cuda_graph": "1"}),
        ("torch.onnx.export, ONNX Runtime", {"use_tf32": "0"}),
        ("torch.onnx.export, ONNX Runtime, TF32", {"use_tf32": "1"}),
    ],
)
def test_rows_of_onnx_runtime(case: Case, gpu: Machine, row: str, options: dict[str, str]) -> None:
    made = ROWS[row].make(case)
    assert gpu.opened[-1].providers[0] == ("CUDAExecutionProvider", options)
    buffers, runs = len(gpu.buffers), len(gpu.runs)
    made.run()
    made.run()
    assert len(gpu.buffers) == buffers
    graph = "1" if "enable_cuda_graph" in options else None
    assert gpu.runs[runs:] == [(4, graph)] * 2
    assert made.note.startswith("off by ") == ("fp16" in row)


def test_a_prepared_run_leaves_others_their_buffers(gpu: Machine) -> None:
    from xgraph.backends.onnx import to_onnx

    low = lower(build_source(Source("<test>", NET)))
    model = to_onnx(low, initialise(low, 0)).SerializeToString()
    rng = np.random.default_rng(0)
    one, two = ({"image": rng.random((2, 3, 8, 8), np.float32)} for _ in range(2))
    session, plain = Session(model, device="cuda", buckets=[2]), Session(model)
    run = session.prepared(one)
    found = session.run(two)["logits"]
    run()
    np.testing.assert_array_equal(found, plain.run(two)["logits"])
    assert [graph for _, graph in gpu.runs] == ["1", "2", "1"]


def test_the_command(tmp_path: Path, gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.xg").write_text(NET)
    monkeypatch.setattr("xgraph.bench.table.peak", lambda device: 1e9)
    monkeypatch.setattr("xgraph.driver.require_device", lambda device: None)
    told = CliRunner().invoke(
        main, ["bench", str(tmp_path / "small.xg"), "--batch", "2", "--seconds", "0.01",
               "--device", "cuda", "--json"],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    found = {each["row"]: each for each in json.loads(told.output)["figures"]}
    assert list(found) == rows_of("cuda", slow=False)
    assert len(found.keys() - rows_of("cpu", slow=False)) == 8
    (unable,) = (row for row, figure in found.items() if figure["seconds"] is None)
    assert unable == "xgraph, CUDA graph, bf16"  # the stand-in has a CPU's operators
    assert "Could not find an implementation" in found[unable]["note"]
