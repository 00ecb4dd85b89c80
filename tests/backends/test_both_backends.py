"""Networks on which one backend once computed something else than the other, or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xgraph import driver, lower, parse
from xgraph.backends.onnx import files, save, to_onnx
from xgraph.backends.onnx.precision import halved
from xgraph.backends.torch import to_module
from xgraph.diagnostics import DiagnosticError
from xgraph.optimize.costs import Costs
from xgraph.optimize.levels import optimize
from xgraph.runtime import Session
from xgraph.samples import sample_inputs
from xgraph.weights import initialise

PARTS = """network n
modality sound: [40, 100]
superlayer s(sound) {
  slice(0, 50, axis = 1) -> reshape(1, 40, 1, 50) -> reduce(mean, axis = -1)
}
output s
"""
CUBE = """network n
modality cube: [3, 4, 5]
output y = cube -> slice(1, 4, axis = 2) -> reshape(1, 1, 3, 4, 3)
"""
LATER = """network n
dim T
modality a: [T + 1, 8]
let later = a -> slice(1)
each T { superlayer f(later) { linear(4) } }
output f
"""
BACKWARDS = """network n
dim T
modality a: [3 * T + 2, 8]
let some = a -> slice(2) -> reshape(T, 24)
each T { superlayer f(some) { linear(4) } }
output f
"""
HALVES = """network n
dim T
modality x: [T // 2, 4]
output y = x -> flatten -> reshape(-1, 2)
"""
LETTERS = """network n
modality a: [2, 2, 2, 2, 2, 2, 2]
modality b: [2, 2, 2, 2, 2, 2, 2]
modality c: [2, 2, 2, 2, 2, 2]
modality d: [2, 2, 2, 2, 2, 2]
output y = einsum(a, b, c, d, equation = "abcdefg,hijklmn,opqrst,uvwxyz->a")
"""
ATTENDED = """network n
modality x: [5, 8]
modality n: i64 []
output y = attention(x, 2, lengths = n)
"""
PATHS = """network n
modality w: i64 [4]
superlayer s(w) { repeat 60 { concat(in, in) -> slice(0, 4) } -> embedding(10, 2) -> flatten }
output s
"""


@pytest.mark.parametrize("text", [PARTS, CUBE, LATER, BACKWARDS, HALVES, LETTERS])
def test_they_agree(text: str, tmp_path: Path) -> None:
    low = lower(parse(text))
    weights = initialise(low, 0)
    save(to_onnx(low, weights), tmp_path / "n.onnx")
    for batch in (1, 3):
        assert driver.compare(low, weights, tmp_path / "n.onnx", batch=batch) < 1e-5


def test_a_slice_is_of_the_axis_that_is_named() -> None:
    low = lower(parse(PARTS))
    inputs = sample_inputs(low, 2)
    (found,) = driver.run(parse(PARTS), inputs, backend="torch").values()
    wanted = inputs["sound"][:, :, :50].mean(-1).reshape(2, 1, 40, 1)
    assert np.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
@pytest.mark.parametrize("row", [-1, -10, 10])
def test_rows_that_an_embedding_has_not(backend: driver.Backend, row: int) -> None:
    graph = parse("network n\nmodality w: i64 [3]\noutput o = w -> embedding(10, 2)\n")
    with pytest.raises(DiagnosticError) as told:
        driver.run(graph, {"w": np.array([[0, row, 9]])}, backend=backend)
    assert told.value.diagnostics[0].id == "run-failed"


def test_nothing_to_attend_to_in_fp16() -> None:
    low = lower(parse(ATTENDED))
    model = to_onnx(low, initialise(low, 0))
    inputs = {
        "x": np.random.default_rng(0).standard_normal((3, 5, 8), "f4"),
        "n": np.array([0, 3, 5]),
    }
    exact = Session(model.SerializeToString()).run(inputs)["y"]
    half = Session(halved(model, "fp16").SerializeToString()).run(inputs)["y"]
    assert np.allclose(half, exact, atol=1e-2)


def test_paths_to_a_reader_are_not_walked_one_by_one() -> None:
    """Of 2 to the power of 60."""
    low = lower(parse(PATHS))
    assert sample_inputs(low, 50)["w"].max() == 9


def test_a_super_layer_called_run_in_chunks() -> None:
    low = lower(parse("network n\nmodality x: [4]\nsuperlayer run(x) { linear(3) }\noutput run\n"))
    weights = initialise(low, 0)
    made = optimize(low, "chunk-batch", costs=Costs("torch", 4, chunk=2))
    inputs = sample_inputs(low, 4)
    wanted = driver.run_module(low, weights, inputs)["run"]
    assert "run" in dict(to_module(made.graph, weights).named_children())
    assert np.allclose(driver.run_module(made.graph, weights, inputs)["run"], wanted)


def test_an_equation_that_leaves_no_letter() -> None:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    parts = [letters[i : i + 8] for i in range(0, 52, 8)]
    lines = [f"modality m{i}: {[1] * len(part)}" for i, part in enumerate(parts)]
    names = ", ".join(f"m{i}" for i in range(len(parts)))
    equation = ",".join(parts)
    lines.append(f'output y = einsum({names}, equation = "{equation}->a")')
    with pytest.raises(DiagnosticError, match="leaves none for the batch"):
        parse("\n".join(["network n", *lines, ""]))


def test_what_does_not_fit_into_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = parse("network n\nmodality x: [4]\noutput y = x -> linear(3)\n")
    inputs = {"x": np.zeros((1, 4), "f4")}
    monkeypatch.setattr(files, "LARGEST", 32)
    with pytest.raises(DiagnosticError, match="of 2 GB or more runs from a file alone"):
        driver.run(graph, inputs)
    with pytest.raises(DiagnosticError, match="only models of less than 2 GB"):
        driver.compile(graph, "onnx", tmp_path / "n.onnx", precision="fp16")
