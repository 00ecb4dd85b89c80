"""Training: to above a linear model, in both backends alike, and the same after a break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from sets import DIGITS, HALVES, digits_folder, folder
from sklearn.linear_model import LogisticRegression

import xgraph
from xgraph.data import open_data
from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import read_recipe
from xgraph.train import fit as fit_module
from xgraph.train.checkpoint import Checkpoint
from xgraph.train.evaluate import collected, evaluate, runner
from xgraph.train.fit import Silent, Stopped, fit
from xgraph.train.plan import Plan, plan
from xgraph.train.run import resume_run, start_run
from xgraph.weights import initialise, load


def planned(text: str, data: Path, *overrides: str, recipe: str | None = None) -> Plan:
    return plan(xgraph.parse(text), open_data(data), read_recipe(recipe, overrides))


def fresh(made: Plan, seed: int = 0) -> dict[str, Any]:
    return initialise(xgraph.lower(made.graph), seed)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"))


def test_better_than_a_linear_model_and_alike_in_both_backends(tmp_path: Path) -> None:
    data = digits_folder(tmp_path / "digits", rows=1797, test=360)
    made = planned(DIGITS, data, "epochs=12", "optimizer.lr=0.003", "batch=32")
    weights = fit(made, fresh(made)).weights
    train, test = open_data(data).split("train"), open_data(data).split("test")
    linear = LogisticRegression(max_iter=2000).fit(
        train.whole("image").reshape(len(train), -1), train.whole("label")
    )
    expected = linear.score(test.whole("image").reshape(len(test), -1), test.whole("label"))
    ours = evaluate(made.graph, weights, made.feed, test)
    theirs = evaluate(made.graph, weights, made.feed, test, backend="onnx")
    assert ours.metrics["accuracy"] > expected
    assert ours.metrics == theirs.metrics
    logits = [
        collected(runner(made.graph, weights, backend), made.feed, test, 256)[0]["logits"]
        for backend in ("torch", "onnx")
    ]
    assert np.abs(logits[0] - logits[1]).max() < 1e-4


class Once(Silent):
    """Asks for an end after a step."""

    def __init__(self, step: int) -> None:
        self.last = step

    def step(self, progress: Any, loss: float | None) -> None:
        self.stop = progress.step == self.last


RECIPES = [
    ("epochs=2", "inputs.image=[normalise, {shift: 1}, flip]", "schedule=cosine"),
    ("epochs=2", "optimizer=nadam", "clip=0.5"),
    ("optimizer=sgd", "stages=[{epochs: 1, train: [net.c1]}, {epochs: 1, optimizer: adamw}]"),
    ("epochs=3", "optimizer=adam", "schedule={name: warm-restarts, first: 1}", "keep=last"),
    ("epochs=3", "schedule={name: step, at: [1, 2]}", "stop={after: 1, delta: 1}"),
]


@pytest.mark.parametrize("overrides", RECIPES, ids=lambda overrides: overrides[1][:12])
def test_a_training_that_is_broken_off_ends_the_same(
    overrides: tuple[str, ...], digits: Path, tmp_path: Path
) -> None:
    made = planned(DIGITS, digits, "batch=64", *overrides)
    whole = fit(made, fresh(made))
    path = tmp_path / "checkpoint.safetensors"
    for stop in (1, 4, 5, 9):
        torch.rand(7)  # what another program draws in between
        with pytest.raises(Stopped):
            fit(made, fresh(made), watch=Once(stop), checkpoint=path)
        assert Checkpoint.read(path).progress.step == stop
    resumed = fit(made, fresh(made), checkpoint=path)
    assert same(whole.weights, resumed.weights)
    assert whole.history == resumed.history
    assert whole.best_epoch == resumed.best_epoch


def test_losses_that_are_looked_at_now_and_then(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an accelerator, where each look waits for the device."""
    made = planned(DIGITS, digits, "epochs=2", "batch=64")
    whole = fit(made, fresh(made))
    init = fit_module._Fit.__init__

    def patient(self: Any, *arguments: Any) -> None:
        init(self, *arguments)
        self._look = 3

    monkeypatch.setattr(fit_module._Fit, "__init__", patient)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        fit(made, fresh(made), watch=Once(3), checkpoint=path)
    assert fit(made, fresh(made), checkpoint=path).history == whole.history
    diverging = planned(DIGITS, digits, "optimizer={name: sgd, lr: 1e30}", "batch=32")
    with pytest.raises(DiagnosticError, match="at step 2:"):
        fit(diverging, fresh(diverging))


@pytest.mark.long
def test_a_training_that_is_killed_ends_the_same(tmp_path: Path) -> None:
    digits_folder(tmp_path / "digits", rows=900)
    (tmp_path / "net.xg").write_text(DIGITS)
    command = [sys.executable, "-m", "xgraph.cli", "train"]
    begin = [
        *command, "net.xg", "--data", "digits", "--epochs", "6", "--batch", "32",
        "--override", "inputs.image=[normalise, {shift: 1}]", "--override", "schedule=cosine",
    ]  # fmt: skip
    options: Any = {"cwd": tmp_path, "stdout": subprocess.DEVNULL}
    subprocess.run([*begin, "-o", "whole"], check=True, **options)
    steps = sorted(Random(0).sample(range(1, 6 * 22), 10))
    checkpoint = tmp_path / "cut" / "checkpoint.safetensors"
    for step in steps:
        cut = [*begin, "-o", "cut"] if step == steps[0] else [*command, "--resume", "-o", "cut"]
        process = subprocess.Popen([*cut, "--save-every", "0"], **options)
        while not checkpoint.exists() or Checkpoint.read(checkpoint).progress.step < step:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, "--resume", "-o", "cut"], check=True, **options)
    for name in ("weights.safetensors", "model.onnx", "metrics.json", "metrics.csv", "recipe.yaml"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


class Reads(Silent):
    """Keeps what the table holds as each epoch ends, and stops in the one after `last`."""

    def __init__(self, folder: Path, last: int) -> None:
        self.path, self.last, self.found = folder / "metrics.csv", last, list[list[str]]()

    def epoch_ends(self, history: list[dict[str, Any]]) -> None:
        rows = self.path.read_text().splitlines()[1:]
        assert [row.partition(",")[0] for row in rows] == [f"{r['epoch']}" for r in history]
        self.found.append(rows)
        self.stop = len(history) == self.last


def test_an_epoch_is_in_the_table_as_soon_as_it_is_done(digits: Path, tmp_path: Path) -> None:
    data, recipe = open_data(digits), read_recipe(None, ["epochs=4"])
    begun = start_run(tmp_path / "run", xgraph.parse(DIGITS), data, recipe)
    first, second = Reads(begun.folder, 2), Reads(begun.folder, 0)
    with pytest.raises(Stopped):
        begun.train(watch=first)
    resume_run(begun.folder).train(watch=second)
    assert [len(rows) for rows in first.found + second.found] == [1, 2, 3, 4]
    assert second.found[0][:2] == first.found[1]


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(tmp_path: Path) -> None:
    digits_folder(tmp_path / "digits", rows=900)
    (tmp_path / "net.xg").write_text(DIGITS)
    command = [sys.executable, "-u", "-m", "xgraph.cli", "train"]
    begin = [*command, "net.xg", "--data", "digits", "--epochs", "500", "-o", "run"]
    process = subprocess.Popen(
        begin, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finishing this step, to save it" in err
    assert "go on with: xgraph train --resume -o run" in out
    assert Checkpoint.read(tmp_path / "run" / "checkpoint.safetensors").progress.step > 20
    assert not list((tmp_path / "run").glob(".*.tmp"))


@pytest.mark.long
def test_several_processes(tmp_path: Path) -> None:
    digits_folder(tmp_path / "digits", rows=900)
    (tmp_path / "net.xg").write_text(DIGITS)
    command = [
        sys.executable, "-m", "xgraph.cli", "train", "net.xg", "--data", "digits", "-o", "run",
        "--epochs", "6", "--accelerator", "cpu", "--devices", "2", "--strategy", "ddp",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 6/6") == 1
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["rows"] == 100


# ----------------------------------------------------------------------------- what a recipe means


def test_frozen_weights_and_their_statistics_stay(digits: Path) -> None:
    made = planned(DIGITS, digits, "epochs=1", "freeze=[net.c1]")
    before = fresh(made)
    after = fit(made, dict(before)).weights
    stays = [name for name in before if np.array_equal(before[name], after[name])]
    assert sorted(stays) == sorted(name for name in before if name.startswith("net.c1."))


def test_fusion_layers_alone(digits: Path) -> None:
    made = planned(
        HALVES, digits, "losses={'*': cross-entropy}", "stages=[{epochs: 1, train: ['@fusion']}]"
    )
    before = fresh(made)
    after = fit(made, dict(before)).weights
    moved = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"head"}


def test_rates_of_groups(digits: Path) -> None:
    made = planned(
        DIGITS, digits, "epochs=1", "optimizer=sgd", "groups=[{match: net.c1, lr: 1e-30}]"
    )
    before = fresh(made)
    after = fit(made, dict(before)).weights
    assert np.array_equal(before["net.c1.conv1.weight"], after["net.c1.conv1.weight"])
    assert not np.array_equal(before["net.c2.conv1.weight"], after["net.c2.conv1.weight"])


def test_several_outputs_and_their_sum(digits: Path) -> None:
    predict = "predict=[logits, top_logits, bottom_logits]"
    made = planned(HALVES, digits, "epochs=3", "optimizer.lr=0.01", predict)
    record = fit(made, fresh(made)).history[-1]
    assert {f"val/{n}/accuracy" for n in ("logits", "top_logits", "bottom_logits")} <= record.keys()
    assert record["val/accuracy"] > 0.5


def test_losses_of_every_kind(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    tags = (x[:, :3] > 0.5).astype(np.int64)
    sums = x.sum(1, keepdims=True).astype(np.float32)
    data = folder(tmp_path, train={"x": x, "tags": tags, "total": sums})
    text = """network n
modality x: [4]
superlayer net(x) { linear(16) -> relu }
fusion a(net) { linear(3) }
fusion b(net) { linear(1) }
output tags = a
output total = b
"""
    losses = "losses={tags: {kind: bce, positive_weight: balanced}, total: mse}"
    made = planned(text, data, "epochs=30", "optimizer.lr=0.01", losses)
    record = fit(made, fresh(made)).history[-1]
    assert record["val/tags/f1"] > 0.8
    assert record["val/total/mse"] < 0.3
    inferred = planned(text, data, "epochs=1")
    assert [t.loss.kind for t in inferred.feed.targets] == ["bce", "mse"]


def test_sequences_are_padded_and_masked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, 120)
    labels = np.arange(120) % 2
    rows = [rng.normal(size=(n, 3)) + label for n, label in zip(lengths, labels, strict=True)]
    columns = {
        "x": np.concatenate(rows).astype(np.float32),
        "x.offsets": np.cumsum([0, *lengths]),
        "length": lengths,
        "label": labels,
    }
    data = folder(tmp_path, train=columns)
    text = """network n
modality x: [6, 3]
superlayer net(x) { lstm(8, last = true) -> linear(2) }
output logits = net
"""
    made = planned(
        text, data, "epochs=8", "optimizer.lr=0.02",
        "inputs.x=[{pad: 6}, {mask: length}]",
    )  # fmt: skip
    assert made.feed.ports[0].take(made.train, np.arange(3)).shape == (3, 6, 3)
    assert fit(made, fresh(made)).history[-1]["val/accuracy"] > 0.8


def test_the_same_seed_gives_the_same_bytes(digits: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run = start_run(
            tmp_path / name,
            xgraph.parse(DIGITS),
            open_data(digits),
            read_recipe(None, ["epochs=1"]),
        )
        run.train()
    files = {p.name for p in (tmp_path / "a").iterdir()} - {"tensorboard"}
    assert files == {
        "net.xg", "recipe.yaml", "run.json", "metrics.json", "metrics.csv", "report.html",
        "weights.safetensors", "model.onnx",
    }  # fmt: skip
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["test"]["rows"] == 100
    session = xgraph.run(
        str(tmp_path / "a" / "model.onnx"), {"image": np.zeros((1, 1, 8, 8), np.float32)}
    )
    assert session["logits"].shape == (1, 10)


def test_weights_of_another_network_are_inherited(digits: Path, tmp_path: Path) -> None:
    graph, data = xgraph.parse(DIGITS), open_data(digits)
    first = start_run(tmp_path / "a", graph, data, read_recipe(None, ["epochs=1"]))
    first.train()
    wider = xgraph.parse(DIGITS.replace("conv(16, 3)", "conv(24, 3)"))
    weights = tmp_path / "a" / "weights.safetensors"
    second = start_run(tmp_path / "b", wider, data, read_recipe(None, ["epochs=1"]), init=weights)
    assert second.inherited is not None
    assert "net.c1.conv1.weight" in second.inherited.matched
    assert "net.c2.conv1.weight" in second.inherited.misshapen
    assert same(resume_run(tmp_path / "b").weights, second.weights)
    old = load(weights)
    assert np.array_equal(second.weights["net.c1.conv1.weight"], old["net.c1.conv1.weight"])


def test_a_module_is_anyones(digits: Path) -> None:
    """What xgraph trains is a plain module for a loop of one's own."""
    module = xgraph.load(DIGITS)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    images = torch.from_numpy(np.load(digits / "train" / "image.npy")[:8])
    module(images).sum().backward()
    optimizer.step()


# ------------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("optimizer={name: sgd, lr: 1e30}",), r"step \d+: the weights `net\.c1\."),
        (("optimizer={name: sgd, lr: 1e18}",), r"step \d+: .*(weights|layer)"),
    ],
)
def test_a_loss_that_grows_without_bound(
    overrides: tuple[str, ...], told: str, digits: Path
) -> None:
    made = planned(DIGITS, digits, *overrides, "batch=32")
    with pytest.raises(DiagnosticError, match=told):
        fit(made, fresh(made))


def test_the_layer_that_first_gives_no_number(tmp_path: Path) -> None:
    x = np.linspace(1, 2, 20, dtype=np.float32)[:, None] * 1e20
    data = folder(tmp_path, train={"x": x, "y": x})
    text = """network n
modality x: [1]
superlayer net(x) { a: linear(1); b: mul(a, a); c: linear(1) }
output y = net
"""
    made = planned(text, data, "batch=4")
    with pytest.raises(DiagnosticError, match=r"`net\.b.*` was the first layer"):
        fit(made, fresh(made))


def test_what_nothing_is_trained_on_stays(digits: Path) -> None:
    made = planned(HALVES, digits, "epochs=1", "losses={top_logits: cross-entropy}")
    before = fresh(made)
    after = fit(made, dict(before)).weights
    assert after.keys() == before.keys()
    moved = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"upper"}


def test_outputs_that_count_in_a_stage(digits: Path) -> None:
    made = planned(HALVES, digits, "stages=[{epochs: 1, outputs: [bottom_logits]}]")
    before = fresh(made)
    after = fit(made, dict(before)).weights
    moved = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"lower"}
