"""What `xgraph explain` tells is what the network computes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sets import digits_folder

from xgraph.backends.torch import to_module
from xgraph.build import build_source
from xgraph.cli import main
from xgraph.data import open_data
from xgraph.diagnostics import DiagnosticError
from xgraph.driver import initial_weights
from xgraph.explain import Explanation, explain
from xgraph.explain.report import page
from xgraph.explain.taps import tapped
from xgraph.ir.graph import Graph
from xgraph.passes import lower
from xgraph.recipe import Recipe
from xgraph.source import Source
from xgraph.train.evaluate import fed
from xgraph.view import explanation_html

Array = np.ndarray[Any, Any]
PATHS = """network paths
modality image: [1, 8, 8]
superlayer path[2](image) {
  c1: conv(4, 3) -> bn -> relu
  c2: conv(6, 3) -> bn -> relu -> maxpool(2)
  d1: flatten -> linear(12) -> relu
  linear(10)
}
route cc image -> path[*].in
route cp path[*].c1 -> path[*].c2 via conv(6, 3) -> bn
route cc path[*].d1
output label = mean(path[*])
"""
CROSSED = """network crossed
modality top: [1, 4, 8]
modality bottom: [1, 4, 8]
superlayer above(top) { c1: conv(4, 3) -> relu; flatten -> linear(10) }
superlayer below(bottom) { c1: conv(4, 3) -> relu; flatten -> linear(10) }
connect above.c1 -> below.c1 via conv(3, 1) -> relu
connect below.c1 -> above.c1 by add via conv(4, 1)
connect top -> above.c1 by mul via globalavgpool -> linear(4) -> sigmoid -> reshape(4, 1, 1)
output label = mean(above, below)
"""


def graph_of(text: str) -> Graph:
    return build_source(Source("<test>", text))


def weights_of(graph: Graph, seed: int = 3) -> dict[str, Array]:
    """Such that gates differ from row to row."""
    rng = np.random.default_rng(seed)
    made = initial_weights(lower(graph))
    return {
        name: value if name.endswith(("mean", "var", "tracked")) else
        (value + 0.4 * rng.standard_normal(value.shape)).astype(np.float32)
        for name, value in made.items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("sets") / "digits", 160, 60)


@pytest.fixture(scope="module")
def numbers(data: Path) -> Path:
    """The same pictures, with numbers to predict: an error tells more than an accuracy."""
    rng = np.random.default_rng(0)
    path = data.parent / "numbers"
    shutil.copytree(data, path)
    for split, rows in {"train": 100, "test": 60}.items():
        np.save(path / split / "label.npy", rng.random((rows, 10), np.float32))
    return path


def explained(graph: Graph, data: Path, weights: dict[str, Array], **options: Any) -> Explanation:
    split = open_data(data).split("test")
    return explain(graph, weights, fed(graph, Recipe(), split, "test"), split, **options)


def outputs(graph: Graph, weights: dict[str, Array], inputs: dict[str, Array]) -> dict[str, Array]:
    with torch.inference_mode():
        found = to_module(graph, weights).eval()(
            *(torch.from_numpy(inputs[name]) for name in graph.inputs)
        )
    each = found if isinstance(found, tuple) else (found,)
    return {name: value.numpy() for name, value in zip(graph.outputs, each, strict=True)}


def gate(stream: Array, weights: dict[str, Array], at: str) -> Array:
    """softmax(W2 relu(W1 pool(x))), section 4 of the paper."""
    x = stream.mean(tuple(range(2, stream.ndim))) if stream.ndim > 2 else stream
    x = np.maximum(x @ weights[f"{at}.fc1.weight"].T + weights[f"{at}.fc1.bias"], 0)
    x = np.exp(x @ weights[f"{at}.fc2.weight"].T + weights[f"{at}.fc2.bias"])
    return np.asarray(x / x.sum(1, keepdims=True))


class TestGates:
    def test_are_those_that_the_module_computes(self, data: Path) -> None:
        graph = graph_of(PATHS)
        weights = weights_of(graph)
        found = explained(graph, data, weights)
        taps = tapped(graph)
        inputs = {name: np.asarray(value) for name, value in found.inputs.items()}
        heard = outputs(taps.low, weights, inputs)
        plain = outputs(lower(graph), weights, inputs)
        np.testing.assert_allclose(heard["label"], plain["label"], atol=1e-6)
        assert [one.router.address for one in found.heard.routed] == [
            r.address for r in taps.routers
        ]
        for one in found.heard.routed:
            for i in range(one.gates.shape[1]):
                wanted = gate(
                    heard[one.router.streams[i]], weights, f"{one.router.address}.gate.{i}"
                )
                np.testing.assert_allclose(one.gates[:, i], wanted, atol=1e-5)

    def test_strengths_are_against_the_strongest(self, data: Path) -> None:
        graph = graph_of(PATHS)
        found = explained(graph, data, weights_of(graph))
        for one in found.heard.routed:
            for strengths in (one.inputs, one.outputs):
                np.testing.assert_allclose(strengths.max(1), 1)
                assert strengths.min() >= 0

    def test_extremes_are_of_the_gate(self, data: Path) -> None:
        graph = graph_of(PATHS)
        found = explained(graph, data, weights_of(graph), gates=5)
        assert len(found.extremes) == 5
        assert {one.router for one in found.extremes} == {0, 1, 2}
        for one in found.extremes:
            gates = found.heard.routed[one.router].gates[:, one.source, one.target]
            assert gates[one.top[0]] == gates.max()
            assert gates[one.bottom[0]] == gates.min()

    def test_what_is_made_opens_the_gate(self, data: Path) -> None:
        graph = graph_of(PATHS)
        weights = weights_of(graph)
        found = explained(graph, data, weights, gates=5)
        taps = tapped(graph)
        for one in found.extremes:
            router = found.heard.routed[one.router]
            made = {name: value[None] for name, value in one.made.items()}
            reached = outputs(taps.low, weights, made)[router.router.gates[one.source]]
            np.testing.assert_allclose(reached[0, one.target], one.reached, atol=1e-4)
            assert one.reached > np.median(router.gates[:, one.source, one.target])
            assert all(0 <= value.min() <= value.max() <= 1 for value in one.made.values())


class TestSwitchedOff:
    def off(self, found: Explanation) -> dict[tuple[str, str], float]:
        return {(one.title, one.off): one.metrics["mse"] for one in found.ablations}

    def error(self, graph: Graph, numbers: Path, weights: dict[str, Array]) -> float:
        return explained(graph, numbers, weights, gates=0).heard.metrics["mse"]

    def test_even_gates_are_those_of_zero_scores(self, numbers: Path) -> None:
        graph = graph_of(PATHS)
        weights = weights_of(graph)
        found = self.off(explained(graph, numbers, weights, gates=0))
        at = next(r for r in tapped(graph).routers if len(r.gates) == 1)
        zero = {
            name: np.zeros_like(v) if name.startswith(f"{at.address}.gate.0.fc2") else v
            for name, v in weights.items()
        }
        assert found[at.title, "even gates"] == pytest.approx(
            self.error(graph, numbers, zero), rel=1e-5
        )
        assert (at.title, "nothing crosses") not in found

    def test_where_nothing_crosses(self, numbers: Path) -> None:
        """What crosses in a `cp` is a layer of its own: with zeros in it, nothing does."""
        text = PATHS.replace(" -> bn\nroute", "\nroute")
        graph = graph_of(text)
        weights = weights_of(graph)
        found = self.off(explained(graph, numbers, weights, gates=0))
        (at,) = (r for r in tapped(graph).routers if "c1" in r.title)
        across = [f"{at.address}.layer.{i}.{1 - i}." for i in range(2)]
        zero = {
            name: np.zeros_like(v) if name.startswith(tuple(across)) else v
            for name, v in weights.items()
        }
        assert sum(name.startswith(tuple(across)) for name in weights) == 4
        assert found[at.title, "nothing crosses"] == pytest.approx(
            self.error(graph, numbers, zero), rel=1e-5
        )

    def test_connections_bring_nothing(self, numbers: Path) -> None:
        graph = graph_of(CROSSED)
        weights = weights_of(graph)
        found = explained(graph, numbers, weights).ablations
        assert [one.off for one in found] == ["brings nothing"] * 3
        for line in (line for line in CROSSED.splitlines() if " by " in line):
            without = graph_of(CROSSED.replace(f"{line}\n", ""))
            kept = {name: weights[name] for name in initial_weights(lower(without))}
            error = self.error(without, numbers, kept)
            assert any(one.metrics["mse"] == pytest.approx(error, rel=1e-5) for one in found)


class TestConnections:
    def test_norms_are_of_what_comes(self, data: Path) -> None:
        graph = graph_of(CROSSED)
        weights = weights_of(graph)
        found = explained(graph, data, weights)
        assert [one.connection.by for one in found.heard.carried] == ["concat", "add", "mul"]
        first = found.heard.carried[0]
        assert first.values.shape == (60, 3, 4, 8)
        np.testing.assert_allclose(
            first.norms[:, 0], np.linalg.norm(first.values.reshape(60, -1), axis=1), rtol=1e-5
        )
        assert found.embeddings[first.connection.address].shape == (60, 2)

    def test_steps_have_norms_of_their_own(self, data: Path) -> None:
        text = """network lips
dim T = 2
modality top: [T, 2, 8]
each T { superlayer see(top) { a: flatten -> linear(6) -> relu; b: linear(6) } }
each T { connect see.a -> see.b by add via linear(6) }
fusion head(see) { flatten -> linear(10) }
output label = head
"""
        graph = graph_of(text)
        weights = weights_of(graph)
        split = open_data(data).split("test")
        recipe = Recipe.model_validate(
            {"inputs": {"top": {"transforms": [{"name": "reshape", "to": [2, 2, 8]}]}}}
        )
        found = explain(graph, weights, fed(graph, recipe, split, "test"), split)
        (one,) = found.heard.carried
        assert one.norms.shape == (60, 2)
        assert one.values.shape == (60, 6)


def test_weights_of_parallel_paths(data: Path) -> None:
    graph = graph_of(PATHS)
    weights = weights_of(graph)
    found = {one.name: one for one in explained(graph, data, weights, gates=0).parallels}
    first = found["path[*].c1.conv1.weight"]
    assert first.members == ("path[0]", "path[1]")
    counts, _ = np.histogram(weights["path.0.c1.conv1.weight"], first.edges)
    np.testing.assert_allclose(first.shares[0], counts / counts.sum())
    assert not [name for name in found if name.endswith("bias")]


def test_nothing_to_explain(data: Path) -> None:
    graph = graph_of("network n\nmodality image: [1, 8, 8]\nsuperlayer s(image) "
                     "{ flatten -> linear(10) }\noutput label = s\n")  # fmt: skip
    with pytest.raises(DiagnosticError, match="no routers with gates"):
        explained(graph, data, weights_of(graph))


def test_few_rows_and_numbers_to_predict(tmp_path: Path) -> None:
    """No classes: rows have no colours, and what is measured is an error."""
    rng = np.random.default_rng(0)
    (tmp_path / "d" / "test").mkdir(parents=True)
    for name, shape in {"top": (3, 1, 4, 8), "bottom": (3, 1, 4, 8), "label": (3, 10)}.items():
        np.save(tmp_path / "d" / "test" / f"{name}.npy", rng.random(shape, np.float32))
    graph = graph_of(CROSSED)
    found = explained(graph, tmp_path / "d", weights_of(graph))
    assert found.heard.labels is None
    assert found.embeddings == {}
    assert "mse" in found.heard.metrics
    assert "What connections bring" in page(found, {})


class TestThePage:
    def test_it_has_all_figures_and_loads_nothing(self, data: Path) -> None:
        graph = graph_of(PATHS)
        text = page(explained(graph, data, weights_of(graph), gates=3), {"data": "<b>'\"</b>"})
        for title in ("What carries information", "Routes", "Gates by class", "How open gates are",
                      "What gates look for", "Weights of parallel operations"):  # fmt: skip
            assert f"<h2>{title}</h2>" in text
        assert "<script" not in text
        assert "&lt;b&gt;" in text
        assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
        assert text.count("The numbers of this figure") == text.count("<figure>")

    def test_the_same_gives_the_same(self, data: Path) -> None:
        graph = graph_of(CROSSED)
        weights = weights_of(graph)
        one, two = (explained(graph, data, weights) for _ in range(2))
        assert page(one, {}) == page(two, {})
        assert one.to_json() == two.to_json()


def test_a_notebook_shows_it_in_a_frame(data: Path) -> None:
    graph = graph_of(CROSSED)
    html = explanation_html(explained(graph, data, weights_of(graph)))
    assert html.startswith("<iframe")
    assert "<h2>" not in html  # it is text of an attribute


class TestTheCommand:
    @pytest.fixture
    def trained(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        digits_folder(tmp_path / "digits", 300, 100)
        (tmp_path / "net.xg").write_text(PATHS)
        self.run("train", "net.xg", "--data", "digits", "--epochs", 2, "--accelerator", "cpu",
                 "-o", "run")  # fmt: skip
        return tmp_path

    def run(self, *args: object, code: int = 0) -> str:
        found = CliRunner().invoke(main, [str(arg) for arg in args])
        assert found.exit_code == code, found.output
        return found.output

    def test_a_trained_network(self, trained: Path) -> None:
        given = ("explain", "net.xg", "--weights", "run/weights.safetensors", "--data", "digits")
        told = self.run(*given, "--rows", 50, "-o", "out")
        assert "even gates" in told
        assert "wrote out/explain.html and out/explain.json" in told
        numbers = json.loads((trained / "out" / "explain.json").read_text())
        assert len(numbers["rows"]) == 50
        assert np.shape(numbers["routers"][2]["gates"]) == (50, 2, 2)
        evaluated = json.loads(self.run("eval", *given[1:], "--json"))
        assert evaluated["rows"] == 100

    def test_what_is_read_stays(self, trained: Path) -> None:
        given = ("explain", "net.xg", "--weights", "run/weights.safetensors", "--data", "digits")
        assert "cannot-write" in self.run(*given, "-o", "net.xg", code=1)
        (trained / "explain.json").write_bytes((trained / "run/weights.safetensors").read_bytes())
        told = self.run("explain", "net.xg", "--weights", "explain.json", "--data", "digits",
                        "-o", ".", code=1)  # fmt: skip
        assert "explain.json" in told
        assert not (trained / "explain.html").exists()
