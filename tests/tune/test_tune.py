"""Costs are measured, kept, and read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import xgraph
from xgraph import driver
from xgraph.build import build_source
from xgraph.cli import main
from xgraph.diagnostics import DiagnosticError
from xgraph.optimize.costs import Case, Target
from xgraph.report import live_cost
from xgraph.source import Source
from xgraph.tune.cases import grid
from xgraph.tune.choose import choose
from xgraph.tune.measure import apart, joined
from xgraph.tune.store import costs, keep, keep_choice, kept, known, path_of
from xgraph.weights import initialise

TWO = """network two
modality a: [3, 8, 8]
modality b: [3, 8, 8]
superlayer p(a) { conv(4, 3) }
superlayer q(b) { conv(4, 3) }
output y = add(p, q)
"""
pytestmark = pytest.mark.usefixtures("at_once")
CASE = Case("conv", 2, 3, 4, (3, 3), (8, 8), 8)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XGRAPH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_what_comes_with_xgraph(target: Target) -> None:
    found = costs(target, 8)
    assert (found.batch, found.call > 0, found.byte > 0) == (8, True, True)
    assert {case.op for case in found.cases} == {"conv", "linear"}


def test_what_is_kept_is_read() -> None:
    keep("onnx", 1e-6, 1e-9, {CASE: (1e-3, 2e-3)})
    found = costs("onnx", 4)
    assert (found.call, found.byte, found.batch) == (1e-6, 1e-9, 4)
    assert found.cases == known("onnx") == {CASE: (1e-3, 2e-3)}


def _table(count: str, kernel: str = "[3, 3]", time: str = "1") -> str:
    case = f'["conv", {count}, 4, 4, {kernel}, [4, 4], 3, 1, {time}]'
    return f'{{"call": 1, "byte": 1, "cases": [{case}]}}'


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"call": 1, "cases": [[1]]}', "[" * 100_000,
     '{"call": NaN, "byte": 1, "cases": []}', _table("0"), _table("-3"), _table("1e999"),
     _table("null"), _table('"2"'), _table("2", '["3", 3]'), _table("2", '"33"'),
     _table("2", time="NaN")],
)  # fmt: skip
def test_a_file_that_is_none(text: str) -> None:
    path = keep("onnx", 1e-6, 1e-9, {})
    path.write_text(text)
    with pytest.raises(DiagnosticError, match="cannot be read"):
        costs("onnx", 1)


def test_what_chooses_nothing_reads_nothing(tmp_path: Path) -> None:
    low = driver.tensor_graph(build_source(Source("<two>", TWO)))
    keep("torch", 1e-6, 1e-9, {}).write_text("")
    for level in ("0", "1", "tidy,fold-norms"):
        driver.optimized(low, level, "torch")
    with pytest.raises(DiagnosticError, match="cannot be read"):
        driver.optimized(low, "2", "torch")


@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_a_network_is_measured(target: Target, tmp_path: Path) -> None:
    (tmp_path / "two.xg").write_text(TWO)
    keep(target, 1, 1, {CASE: (5.0, 6.0)})
    told = CliRunner().invoke(
        main, ["tune", str(tmp_path / "two.xg"), "--target", target, "--batch", "2"]
    )
    assert told.exit_code == 0, told.output
    assert "1 cases measured" in told.output
    assert f"two.xg on {target}, batch 2: " in told.output
    found = known(target)
    assert found[CASE] == (5.0, 6.0)
    (new,) = found.keys() - {CASE}
    assert new.batch == 2
    assert all(0 < seconds < 1 for seconds in found[new])
    assert json.loads(path_of(target).read_text())["call"] < 1


@pytest.mark.parametrize("case", [case for case in grid() if case.batch == 1][::7])
def test_every_case_of_the_grid_is_two_networks(case: Case) -> None:
    """As many multiply-accumulates, but where a matrix has blocks of zeros."""
    more = case.count if case.op == "linear" else 1
    for text, factor in ((joined(case), more), (apart(case), 1)):
        low = driver.tensor_graph(build_source(Source("<case>", text)))
        assert live_cost(low).macs == factor * case.macs


def test_what_is_fastest_is_kept(tmp_path: Path) -> None:
    """And made by `-O2` of this network on that batch alone."""
    (tmp_path / "two.xg").write_text(TWO)
    low = driver.tensor_graph(xgraph.parse(tmp_path / "two.xg"))
    chosen = replace(costs("torch", 4), joins="never", channels_last=True, chunk=2)
    keep_choice(low, chosen)
    assert kept(low, "torch", 4) == chosen
    assert kept(low, "torch", 5) is None
    assert kept(low, "onnx", 4) is None
    made = driver.optimized(low, "2", "torch", batch=4).graph
    assert made.meta == {"chunk": "2", "channels_last": "true"}
    assert driver.optimized(low, "chunk-batch", "torch", batch=4).graph.meta == {"chunk": "2"}
    assert driver.optimized(low, "2", "torch", batch=5).graph.meta == {}
    assert driver.optimized(low, "1", "torch", batch=4).graph.meta == {}


def test_a_compiler_has_its_own_choice(tmp_path: Path) -> None:
    path = tmp_path / "two.xg"
    path.write_text(TWO)
    low = driver.tensor_graph(xgraph.parse(path))
    keep_choice(low, replace(costs("inductor", 1), channels_last=True))

    def made(*options: str) -> str:
        out = tmp_path / "two.py"
        told = CliRunner().invoke(
            main, ["compile", str(path), "--to", "torch", "-O2", "-o", str(out), *options]
        )
        assert told.exit_code == 0, told.output
        return out.read_text()

    assert "channels_last" in made("--inductor")
    assert "channels_last" not in made()


def test_open_axes_at_which_it_never_runs(tmp_path: Path) -> None:
    path = tmp_path / "long.xg"
    path.write_text(
        "network n\ndim T\nmodality s: [T, 4]\n"
        "superlayer a(s) { slice(0, 3000, axis = T) -> flatten -> linear(2) }\noutput y = a\n"
    )
    told = CliRunner().invoke(main, ["tune", str(path)])
    assert told.exit_code == 1
    assert "no sizes were found at which `n` runs" in told.output


def test_a_batch_that_memory_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    low = driver.tensor_graph(build_source(Source("<test>", TWO)))
    monkeypatch.setattr("xgraph.tune.choose.prepared", short)
    with pytest.raises(DiagnosticError, match="a batch of 4 does not fit in memory"):
        choose(low, initialise(low, 0), costs("torch", 4))


def test_a_compiler_without_a_network() -> None:
    told = CliRunner().invoke(main, ["tune", "--target", "inductor"])
    assert (told.exit_code, "name files" in told.output) == (1, True)


def test_batches_are_of_networks() -> None:
    told = CliRunner().invoke(main, ["tune", "--batch", "8"])
    assert (told.exit_code, "name files" in told.output) == (1, True)


def test_a_compiler_has_the_cases_of_pytorch() -> None:
    keep("torch", 2e-6, 3e-9, {CASE: (1e-3, 2e-3)})
    assert costs("inductor", 4).cases == {CASE: (1e-3, 2e-3)}


def _choice(last: str, chunk: str, workers: str) -> str:
    joins = f'"joins": "never", "channels_last": {last}, "threads": null'
    return f'{{"D": {{"4": {{{joins}, "chunk": {chunk}, "workers": {workers}}}}}}}'


@pytest.mark.parametrize(
    "value",
    ["[]", '{"D": 1}', '{"D": {"4": 1}}', '{"D": {"4": {"joins": "x"}}}', "x", "[" * 100_000,
     _choice("false", "Infinity", "1"), _choice("false", "null", "2.7"),
     _choice('"x"', "null", "1"), _choice("false", '"8"', "1")],
)  # fmt: skip
def test_choices_that_are_none(value: str, tmp_path: Path) -> None:
    (tmp_path / "two.xg").write_text(TWO)
    low = driver.tensor_graph(xgraph.parse(tmp_path / "two.xg"))
    path = keep_choice(low, costs("torch", 4))
    (digest,) = json.loads(path.read_text())
    path.write_text(value.replace("D", digest))
    with pytest.raises(DiagnosticError, match="cannot be read"):
        kept(low, "torch", 4)


def test_choices_beside_which_nothing_can_be_kept() -> None:
    low = driver.tensor_graph(build_source(Source("<two>", TWO)))
    path = keep_choice(low, costs("torch", 4))
    (digest,) = json.loads(path.read_text())
    path.write_text(f'{{"{digest}": []}}')
    with pytest.raises(DiagnosticError, match="cannot be read"):
        keep_choice(low, costs("torch", 4))


def test_cases_that_come_with_xgraph_stay(tmp_path: Path) -> None:
    (tmp_path / "two.xg").write_text(TWO)
    before = costs("onnx", 1).cases
    assert len(before) > 100
    CliRunner().invoke(main, ["tune", str(tmp_path / "two.xg"), "--target", "onnx", "--batch", "2"])
    assert path_of("onnx").is_file()
    assert costs("onnx", 1).cases.keys() > before.keys()


@pytest.mark.parametrize(
    "target", ["onnx", "torch", pytest.param("inductor", marks=pytest.mark.long)]
)
def test_something_is_chosen(target: Target) -> None:
    low = driver.tensor_graph(build_source(Source("<two>", TWO)))
    chosen = choose(low, initialise(low, 0), costs(target, 9))
    assert (chosen.target, chosen.batch) == (target, 9)
    assert chosen.chunk in ((None,) if target == "inductor" else (None, 4))


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XGRAPH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DiagnosticError):
        keep("onnx", 1e-6, 1e-9, {})


def test_a_file_that_is_not_text() -> None:
    path = keep("onnx", 1e-6, 1e-9, {})
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DiagnosticError):
        costs("onnx", 1)
