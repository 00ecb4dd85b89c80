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
        found = explained(graph, data, weights_of(graph), gates=4)
        assert len(found.extremes) == 4
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

    def test_gates_at_their_mean_are_a_constant(self, numbers: Path) -> None:
        graph = graph_of(PATHS)
        weights = weights_of(graph)
        whole = explained(graph, numbers, weights, gates=0)
        found = self.off(whole)
        at = next(r for r in tapped(graph).routers if len(r.gates) == 1)
        (mean,) = next(
            one.gates.mean(0) for one in whole.heard.routed if one.router.title == at.title
        )
        constant = dict(weights)
        constant[f"{at.address}.gate.0.fc2.weight"] = np.zeros((2, 16), np.float32)
        constant[f"{at.address}.gate.0.fc2.bias"] = np.log(mean).astype(np.float32)
        assert found[at.title, "gates at their mean"] == pytest.approx(
            self.error(graph, numbers, constant), rel=1e-5
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

    def test_a_router_whose_shares_are_fixed_is_left_out(self, numbers: Path) -> None:
        text = PATHS.replace("route cc path[*].d1", "route stitch path[*].d1")
        graph, without = graph_of(text), graph_of(PATHS.replace("route cc path[*].d1\n", ""))
        weights = weights_of(graph)
        kept = {name: weights[name] for name in initial_weights(lower(without))}
        found = {off: error for (_, off), error in
                 self.off(explained(graph, numbers, weights, gates=0)).items()}  # fmt: skip
        assert found["left out"] == pytest.approx(self.error(without, numbers, kept), rel=1e-5)


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


def test_predictions_are_of_another_output_than_labels(data: Path, tmp_path: Path) -> None:
    """Tags first, by which nothing is told apart: then no change has a margin."""
    path = tmp_path / "tagged"
    shutil.copytree(data, path)
    rng = np.random.default_rng(0)
    for split, rows in {"train": 100, "test": 60}.items():
        np.save(path / split / "tags.npy", rng.integers(0, 2, (rows, 3)))
    text = PATHS.replace("output", "fusion t(path[0]) { linear(3) }\noutput tags = t\noutput")
    graph = graph_of(text)
    found = explained(graph, path, weights_of(graph))
    assert found.heard.labels is not None
    assert {ablation.margin for ablation in found.ablations} == {None}


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


class TestOddNetworksAndData:
    """Each was once a crash or a wrong number."""

    def test_a_connection_that_brings_the_same_for_all_rows(self, data: Path) -> None:
        text = CROSSED.replace("via conv(3, 1) -> relu", "via conv(3, 1) -> relu -> scale(0)")
        graph = graph_of(text)
        found = explained(graph, data, weights_of(graph))
        assert len(found.embeddings) == 2

    def test_rows_of_different_lengths(self, tmp_path: Path) -> None:
        """Each runs at its own: what is told of one does not depend on what is beside it."""
        rng = np.random.default_rng(0)
        lengths = rng.integers(2, 6, 90)
        (tmp_path / "d" / "test").mkdir(parents=True)
        place = tmp_path / "d" / "test"
        np.save(place / "wave.npy", rng.random((int(lengths.sum()), 3), np.float32))
        np.save(place / "wave.offsets.npy", np.concatenate([[0], lengths.cumsum()]))
        np.save(place / "label.npy", rng.integers(0, 4, 90))
        graph = graph_of(
            "network lips\ndim T\nmodality wave: [T, 3]\n"
            "each T { superlayer see(wave) { a: linear(6) -> relu; b: linear(6) } }\n"
            "each T { connect see.a -> see.b by add via linear(6) }\n"
            "fusion head(see) { lstm(5, last = true) -> linear(4) }\noutput label = head\n"
        )
        weights = weights_of(graph)
        whole = explained(graph, tmp_path / "d", weights)
        (one,) = whole.heard.carried
        assert one.norms.shape == (90, 5)
        np.testing.assert_array_equal((~np.isnan(one.norms)).sum(1), lengths)
        split = open_data(tmp_path / "d").split("test")
        alone = split.part(np.arange(7, 8))
        (found,) = explain(graph, weights, fed(graph, Recipe(), alone, "test"), alone).heard.carried
        np.testing.assert_allclose(found.norms[0], one.norms[7, : lengths[7]], rtol=1e-5)
        assert "NaN" not in json.dumps(whole.to_json())
        assert "Mean norms, step by step." in page(whole, {})

    def test_numbers_that_overflow(self, data: Path) -> None:
        graph = graph_of(PATHS)
        weights = weights_of(graph)
        weights["path.0.c1.conv1.weight"] *= np.float32(1e38)
        with pytest.raises(DiagnosticError, match="not finite"):
            explained(graph, data, weights)

    def test_a_connection_from_its_own_stream(self, numbers: Path) -> None:
        """Beside zeros, not zeros beside zeros."""
        graph = graph_of(
            "network n\nmodality image: [1, 8, 8]\nsuperlayer p(image) { flatten -> linear(10) }\n"
            "connect image -> p.in by concat\noutput label = p\n"
        )
        weights = weights_of(graph)
        (one,) = explained(graph, numbers, weights).ablations
        kept = dict(weights)
        kept["p.linear1.weight"] = weights["p.linear1.weight"].copy()
        kept["p.linear1.weight"][:, 64:] = 0
        wanted = explained(graph, numbers, kept).heard.metrics["mse"]
        assert one.metrics["mse"] == pytest.approx(wanted, rel=1e-5)

    def test_targets_in_another_order(self, numbers: Path) -> None:
        """What crosses is what goes to another super-layer, wherever it stands."""
        plain = PATHS.replace("route cc path[*].d1", "route cc path[0].d1, path[1].d1")
        turned = PATHS.replace(
            "route cc path[*].d1", "route cc path[0].d1, path[1].d1 -> path[1].d1, path[0].d1"
        )
        graphs = [graph_of(text) for text in (plain, turned)]
        weights = weights_of(graphs[0])
        (at,) = (r.address for r in tapped(graphs[0]).routers if "d1" in r.title)
        swapped = {
            name: value[::-1].copy() if name.startswith(f"{at}.") and ".fc2." in name else value
            for name, value in weights.items()
        }
        off = [
            {one.off: one.metrics["mse"] for one in explained(g, numbers, w, gates=0).ablations
             if "d1" in one.title}
            for g, w in zip(graphs, (weights, swapped), strict=True)
        ]  # fmt: skip
        assert off[0]["nothing crosses"] == pytest.approx(off[1]["nothing crosses"], rel=1e-5)

    def test_streams_that_belong_to_no_other(self, data: Path) -> None:
        text = PATHS.replace("superlayer path[2]", "superlayer path[4]").replace(
            "route cc path[*].d1", "route cc path[0].d1, path[1].d1 -> path[2].d1, path[3].d1"
        )
        graph = graph_of(text)
        off = [
            one.off for one in explained(graph, data, weights_of(graph), gates=0).ablations
            if "d1" in one.title
        ]  # fmt: skip
        assert off == ["gates at their mean"]


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
        assert "gates at their mean" in told
        assert " ± " in told
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

    def test_what_cannot_be_written_is_known_before(self, trained: Path) -> None:
        given = ("explain", "net.xg", "--weights", "run/weights.safetensors", "--data", "digits")
        (trained / "out" / "explain.html").mkdir(parents=True)
        assert "`explain.html` is a folder" in self.run(*given, "-o", "out", code=1)
        assert not (trained / "out" / "explain.json").exists()
        assert "--seed" in self.run(*given, "--seed", "-1", code=2)
