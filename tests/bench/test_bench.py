"""`xgraph bench`."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xgraph import lower
from xgraph.bench.rows import EAGER, ROWS, Case, Made, Row, rows_of
from xgraph.bench.table import figures
from xgraph.build import build_source
from xgraph.cli import main
from xgraph.source import Source
from xgraph.timing import interleaved
from xgraph.tune.store import kept
from xgraph.weights import initialise

NET = """network small
modality image: [3, 8, 8]
superlayer path[2](image) { conv(4, 3) -> bn -> relu -> globalavgpool -> linear(5) }
output logits = mean(path[*])
"""
pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "small.xg").write_text(NET)
    return tmp_path / "small.xg"


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["bench", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


def test_a_table(net: Path) -> None:
    told = run(net, "--batch", 3, "--seconds", 0.01)
    quick = rows_of("cpu", slow=False)
    assert [told.count(f"| {row} ") for row in quick] == [1] * len(quick)


def test_json(net: Path) -> None:
    told = json.loads(run(net, "--batch", 2, "--seconds", 0.01, "--json"))
    assert told["peak"] > 0
    assert {figure["batch"] for figure in told["figures"]} == {2}
    assert all(figure["spread"] >= 0 for figure in told["figures"])
    assert next(f for f in told["figures"] if f["row"] == EAGER)["speed"] == 1


def test_what_was_found_is_kept(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XGRAPH_CACHE", str(tmp_path / "cache"))
    low = lower(build_source(Source("<test>", NET)))
    assert kept(low, "onnx", 3) is None
    run(net, "--batch", 3, "--seconds", 0.01)
    assert kept(low, "onnx", 3) is not None


def test_open_axes_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.xg").write_text(
        "network t\ndim T\nmodality words: i64[T]\n"
        "superlayer read(words) { embedding(9, 4) -> lstm(3) }\noutput y = read\n"
    )
    told = run(tmp_path / "t.xg", "--batch", 2, "--seconds", 0.01)
    assert told.startswith("with T = ")


def test_open_axes_are_the_same_for_all_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the largest, where values of twelve steps are too large."""
    monkeypatch.setattr("xgraph.samples.LARGEST", 64 * 6 * 40)
    (tmp_path / "t.xg").write_text(
        "network t\ndim T\nmodality s: [T, 40]\n"
        "superlayer a(s) { reduce(mean, axis = [0, 1]) }\noutput y = a\n"
    )
    told = run(tmp_path / "t.xg", "--batch", 1, "--batch", 64, "--seconds", 0.01)
    assert told.startswith("with T = 6, PyTorch on ")


def test_rows_compute_the_same() -> None:
    low = lower(build_source(Source("<test>", NET)))
    case = Case(low, initialise(low, 0), 4)
    found = {row: ROWS[row].make(case).run() for row in rows_of("cpu", slow=False)}
    plain = {r: np.asarray(*v.values() if isinstance(v, dict) else [v]) for r, v in found.items()}
    for row, value in plain.items():
        assert np.allclose(value, plain[EAGER], atol=1e-5), row


def test_a_row_is_made_anew_for_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def waiting(label: str, milliseconds: list[int]) -> Row:
        def make(case: Case) -> Made:
            made.append(label)
            wait = milliseconds[made.count(label) - 1] / 1000
            return Made(lambda: time.sleep(wait))

        return Row(make, is_slow=len(milliseconds) == 1)

    rows = {
        EAGER: waiting(EAGER, [20, 20, 20]),
        "a": waiting("a", [5, 10, 30]),
        "b": waiting("b", [5]),
    }
    monkeypatch.setattr("xgraph.bench.table.ROWS", rows)
    monkeypatch.setattr("xgraph.bench.table._ROUNDS", 3)
    low = lower(build_source(Source("<test>", NET)))
    ((eager, a, b),) = figures(low, initialise(low, 0), [1], rows, 0.01)
    assert Counter(made) == {EAGER: 3, "a": 3, "b": 1}
    assert a.seconds == pytest.approx(0.010, rel=0.3)
    assert a.spread == pytest.approx(2.5, rel=0.3)
    assert a.speed == pytest.approx(eager.seconds / a.seconds)
    assert b.spread < 1


def test_a_row_that_cannot_run(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise RuntimeError("no exporter\ntoday")

    monkeypatch.setattr("torch.onnx.export", refused)
    told = run(net, "--batch", 1, "--seconds", 0.01)
    assert "| 1 | torch.onnx.export, ONNX Runtime: no exporter | - | - | - | - |" in told
    monkeypatch.setattr("xgraph.bench.rows.in_torch", refused)
    assert "bug in xgraph" in run(net, "--batch", 1, "--seconds", 0.01, code=3)


def test_a_batch_that_memory_does_not_hold(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr("xgraph.bench.rows.optimize", short)
    told = run(net, "--batch", 1, "--seconds", 0.01)
    assert "| 1 | xgraph, PyTorch: a batch of 1 does not fit in memory | - | - | - | - |" in told
    monkeypatch.setattr("xgraph.bench.rows.in_torch", short)
    assert "a batch of 1 does not fit in memory" in run(net, "--batch", 1, code=1)


@pytest.mark.long
def test_compiled_rows(net: Path) -> None:
    told = run(net, "--batch", 2, "--seconds", 0.01, "--compile")
    assert all(f"| {row} " in told for row in rows_of("cpu", slow=True))


@pytest.mark.parametrize(
    ("args", "told"),
    [(("--batch", 0), "--batch"), (("--seconds", 0), "--seconds"), (("--device", "tpu"), "tpu")],
)
def test_mistakes(net: Path, args: tuple[object, ...], told: str) -> None:
    assert told in run(net, *args, code=2)


def test_times_are_of_each() -> None:
    found = interleaved({"a": lambda: time.sleep(0.02), "b": lambda: None}, 0.05, rest=0.0)
    assert found["a"] > 0.015 > 100 * found["b"]


def test_a_device_that_is_not_there(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "device-unavailable" in run(net, "--device", "cuda", code=1)


def test_sizes_that_are_given(tmp_path: Path) -> None:
    """Of which the share of the peak is told too."""
    (tmp_path / "t.xg").write_text(
        "network t\ndim T\nmodality s: [T, 8]\n"
        "superlayer a(s) { lstm(4, last = true) }\noutput y = a\n"
    )
    args = ("--batch", 2, "--seconds", 0.01)
    told = run(tmp_path / "t.xg", *args, "--size", "T=7")
    assert told.startswith("with T = 7, ")
    assert re.search(r"PyTorch, as it is written \| [\d.]+ \| \d+% \| 1.00 \| \d+% \|", told)
    assert "no open axis `U`" in run(tmp_path / "t.xg", *args, "--size", "U=7", code=1)
    assert "such as T=100" in run(tmp_path / "t.xg", *args, "--size", "T", code=2)
