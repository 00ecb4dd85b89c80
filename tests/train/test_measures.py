"""What is measured: against scikit-learn's numbers, in folds, at block ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.stats import ttest_rel
from sets import DIGITS, digits, digits_folder, folder
from sklearn.metrics import f1_score, precision_recall_fscore_support

import xgraph
from xgraph.cli import main
from xgraph.data import ArrayColumn, Split, open_data
from xgraph.data.feed import feed_of
from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import read_recipe
from xgraph.train.crossval import cross_validate
from xgraph.train.evaluate import evaluate, interval_of
from xgraph.train.objective import Objective
from xgraph.train.plan import plan
from xgraph.train.probe import probe
from xgraph.weights import initialise, load, save

LINEAR = "network n\nmodality x: [5]\nsuperlayer net(x) { linear(4) }\noutput y = net\n"


def split(name: str = "test", rows: int = 90, classes: int = 3) -> Split:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    labels = rng.integers(0, classes, rows)
    return Split.of(name, "here", {"x": ArrayColumn(x), "label": ArrayColumn(labels)})


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("classes", [3, 4])
def test_metrics_are_scikit_learns(backend: str, classes: int) -> None:
    """Of four classes, the last may be in no row."""
    graph, rows = xgraph.parse(LINEAR), split(classes=classes)
    weights = initialise(xgraph.lower(graph), 5)
    feed = feed_of(graph, read_recipe(), rows)
    found = evaluate(graph, weights, feed, rows, backend=backend, batch=7)  # type: ignore[arg-type]
    logits = rows.whole("x") @ weights["net.linear1.weight"].T + weights["net.linear1.bias"]
    predicted, truth = logits.argmax(1), rows.whole("label")
    assert np.array_equal(found.predictions, predicted)
    assert found.metrics["accuracy"] == pytest.approx((predicted == truth).mean())
    for name, average in (("f1", "macro"), ("f1_weighted", "weighted")):
        expected = f1_score(truth, predicted, average=average)
        assert found.metrics[name] == pytest.approx(expected)
    table = precision_recall_fscore_support(truth, predicted, labels=range(4), zero_division=0)
    for i, row in enumerate(found.classes):
        told = (row["precision"], row["recall"], row["f1"], row["rows"])
        assert told == pytest.approx([column[i] for column in table])
    assert found.confusion is not None
    assert found.confusion.sum() == len(rows) == found.rows


def test_the_interval_is_that_of_a_share() -> None:
    correct = np.repeat([1.0, 0.0], [800, 200])
    low, high = interval_of(correct)
    deviation = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert low == pytest.approx(0.8 - deviation, abs=0.004)
    assert high == pytest.approx(0.8 + deviation, abs=0.004)
    assert interval_of(np.ones(5)) == (1.0, 1.0)


def test_losses_are_torchs() -> None:
    graph, rows = xgraph.parse(LINEAR), split()
    recipe = read_recipe(
        None, ["losses={y: {kind: cross-entropy, class_weight: balanced, weight: 2}}"]
    )
    feed = feed_of(graph, recipe, rows)
    objective = Objective(feed.targets, rows, torch.device("cpu"))
    logits = torch.from_numpy(rows.whole("x")[:, :4].copy())
    labels = torch.from_numpy(rows.whole("label"))
    counts = torch.bincount(labels, minlength=4).clamp(min=1)
    weight = len(labels) / (4 * counts)
    expected = 2 * torch.nn.functional.cross_entropy(logits, labels, weight=weight)
    assert float(objective({"y": logits}, {"y": labels})) == pytest.approx(float(expected))


def test_cross_validation(tmp_path: Path) -> None:
    data = open_data(digits_folder(tmp_path / "digits", rows=240))
    narrow = xgraph.parse(DIGITS.replace("conv(8, 3)", "conv(1, 3)"))
    networks = {"wide": xgraph.parse(DIGITS), "narrow": narrow}
    recipe = read_recipe(None, ["epochs=2", "optimizer.lr=0.01"])
    out = tmp_path / "folds"
    out.mkdir()
    calls: list[str] = []
    found = cross_validate(
        networks, data, recipe, out, count=3, told=lambda name, fold, score: calls.append(name)
    )
    summary = found.summary()
    a, b = found.scores["wide"], found.scores["narrow"]
    assert len(a) == len(b) == 3
    assert summary["paired_t_test"]["p"] == pytest.approx(ttest_rel(a, b).pvalue)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "wide-fold2.json").unlink()
    again = cross_validate(networks, data, recipe, out, count=3)
    assert again.scores == found.scores
    kept = [path for path in before if path.name != "wide-fold2.json"]
    assert all(path.stat().st_mtime_ns == before[path] for path in kept)
    tested = json.loads((out / "wide-fold1.json").read_text())["rows"]
    assert sum(tested.values()) == 140
    with pytest.raises(DiagnosticError, match="of another cross-validation"):
        cross_validate(networks, data, recipe, out, count=2)


def test_groups_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    person = np.repeat(np.arange(3), 20)
    data = folder(tmp_path / "d", train={"x": x, "label": np.arange(60) % 4, "person": person})
    recipe = read_recipe(None, ["epochs=1"])
    (tmp_path / "out").mkdir()
    found = cross_validate(
        {"n": xgraph.parse(LINEAR)}, open_data(data), recipe, tmp_path / "out", group="person"
    )
    assert len(found.scores["n"]) == 3
    assert "paired_t_test" not in found.summary()


def test_a_probe_finds_what_the_input_shows(tmp_path: Path) -> None:
    data = open_data(digits_folder(tmp_path / "digits"))
    graph = xgraph.parse(DIGITS)
    train, test = data.split("train"), data.split("test")
    feed = feed_of(graph, read_recipe(), train)
    weights = initialise(xgraph.lower(graph), 0)
    found = probe(graph, weights, feed, train, test, at=("c1", "c2"), pool="none", epochs=20)
    assert [(p.place, p.features) for p in found] == [("net.c1", 512), ("net.c2", 256)]
    assert found[0].accuracy > 0.7
    pooled = probe(graph, weights, feed, train, test, at="labels", epochs=5)
    assert [p.features for p in pooled] == [8, 16]


def test_commands_that_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digits_folder(tmp_path / "digits", rows=300)
    Path("net.xg").write_text(DIGITS)

    def run(*arguments: str) -> str:
        found = CliRunner().invoke(main, list(arguments))
        assert found.exit_code == 0, found.output
        return found.output

    normalised = ("--override", "inputs.image=[normalise]")
    run("train", "net.xg", "--data", "digits", "--epochs", "2", "-o", "run", *normalised)
    weights = ("--weights", "run/weights.safetensors", "--data", "digits")
    text = run("eval", "net.xg", *weights, "-o", "eval.json")
    through_onnx = run("eval", "net.xg", *weights, "--backend", "onnx")
    assert through_onnx == text.replace("PyTorch", "ONNX Runtime")
    told = json.loads(Path("run/metrics.json").read_text())["test"]
    assert json.loads(Path("eval.json").read_text()) == told
    assert "net.c1  depth  1" in run("probe", "net.xg", *weights, "--at", "labels", "--epochs", "2")
    folds = ("--folds", "2", "-o", "folds", "--override", "epochs=1")
    text = run("crossval", "net.xg", "--against", "net.xg", "--data", "digits", *folds)
    assert "the differences are all the same" in text
    assert "multipath" in run("recipes")


def test_what_says_how_inputs_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digits_folder(tmp_path / "digits", rows=300)
    Path("net.xg").write_text(DIGITS)

    def run(*arguments: str) -> str:
        found = CliRunner().invoke(main, list(arguments))
        assert found.exit_code == 0, found.output
        return found.output

    normalised = ("--override", "inputs.image=[normalise]")
    run("train", "net.xg", "--data", "digits", "--epochs", "1", "-o", "run", *normalised)
    kept = ("--weights", "run/weights.safetensors")
    rows = ("--input", "image=digits/test/image.npy", "-o", "out.npz")
    warning = "trained on inputs that were prepared (image: normalise)"
    assert warning in run("run", "net.xg", *kept, *rows)
    assert warning in run("run", "run/model.onnx", *rows)
    run("compile", "net.xg", "--to", "torch", *kept, "-o", "own.py")
    told = run("eval", "net.xg", *kept, "--data", "digits")
    assert run("eval", "net.xg", "--weights", "own.safetensors", "--data", "digits") == told
    save("bare.safetensors", load("own.safetensors"))
    bare = run("eval", "net.xg", "--weights", "bare.safetensors", "--data", "digits")
    assert "warning[raw-inputs]: nothing says how inputs were made" in bare
    with_recipe = ("--recipe", "run/recipe.yaml", "--data", "digits")
    assert run("eval", "net.xg", "--weights", "bare.safetensors", *with_recipe) == told


def test_the_same_row_twice_is_on_one_side(tmp_path: Path) -> None:
    images, labels = digits(60)
    again = {"image": np.concatenate([images, images[:20]]), "label": [*labels, *labels[:20]]}
    made = plan(xgraph.parse(DIGITS), open_data(folder(tmp_path / "a", train=again)), read_recipe())
    val, train = made.val.whole("image"), made.train.whole("image")
    assert len(val) > 0
    assert not any((row == train).all((1, 2, 3)).any() for row in val)
    alike = {"image": np.concatenate([images] * 9), "label": np.concatenate([labels] * 9)}
    with pytest.raises(DiagnosticError, match="every row of `val` is in `train` too"):
        plan(xgraph.parse(DIGITS), open_data(folder(tmp_path / "b", train=alike)), read_recipe())
