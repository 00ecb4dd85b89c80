"""Data and folders on which training once measured something else than it said, or broke."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sets import DIGITS, HALVES, digits_folder, folder

import xgraph
from xgraph.claim import claimed, is_claimed
from xgraph.cli import main
from xgraph.data import open_data
from xgraph.data.feed import feed_of
from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import read_recipe, write_recipe
from xgraph.source import Source
from xgraph.train.crossval import cross_validate
from xgraph.train.evaluate import evaluate
from xgraph.train.fit import fit
from xgraph.train.plan import plan
from xgraph.weights import initialise

RNG = np.random.default_rng(0)
FLAT = "network n\nmodality x: [4]\nsuperlayer net(x) { linear(2) }\noutput y = net\n"
SEQUENCE = """network n
dim T
modality s: [T, 3]
superlayer net(s) { lstm(4, last = true) -> linear(2) }
output y = net
"""


def rows(count: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(count, 4)).astype("f4"), "label": np.arange(count) % 2}


def xgraph_(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, list(arguments))
    assert found.exception is None or isinstance(found.exception, SystemExit)
    return found.exit_code, found.output


def test_a_backup_is_no_split(tmp_path: Path) -> None:
    folder(tmp_path, **{"train": rows(10), "train.old": rows(7), "test": rows(3)})
    assert len(open_data(tmp_path).training) == 10
    np.savez(tmp_path / "train.npz", **rows(4))
    with pytest.raises(DiagnosticError, match="both the split `train`"):
        open_data(tmp_path)


def test_columns_that_begin_like_splits(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **rows(4), test_score=np.arange(4), train_time=np.arange(4))
    data = open_data(tmp_path / "d.npz")
    assert set(data.splits) == {"all"}
    assert {"x", "test_score"} <= data.training.columns.keys()


def test_tags_by_logits_between_0_and_1(tmp_path: Path) -> None:
    tags = (RNG.random((20, 2)) < 0.4).astype(np.int64)
    data = open_data(folder(tmp_path, test={"x": rows(20)["x"], "y": tags}))
    graph = xgraph.parse(FLAT)
    weights = {k: np.zeros_like(v) for k, v in initialise(xgraph.lower(graph)).items()}
    weights["net.linear1.bias"] += 0.4  # a probability of 0.6
    split = data.split("test")
    found = evaluate(graph, weights, feed_of(graph, read_recipe(), split), split)
    assert found.metrics["accuracy"] == pytest.approx(tags.mean())


def test_the_best_error_is_the_least(tmp_path: Path) -> None:
    x = rows(60)["x"]
    data = open_data(folder(tmp_path / "d", train={"x": x, "y": x[:, :2]}))
    recipe = read_recipe(None, ["epochs=3", "optimizer.lr=0.05"])
    cross_validate({"n": xgraph.parse(FLAT)}, data, recipe, tmp_path / "out", count=2)
    fold = json.loads((tmp_path / "out" / "n-fold1.json").read_text())
    errors = [record["val/mse"] for record in fold["history"]]
    assert fold["best"] == min(errors) < errors[0]


def test_folds_of_other_data(tmp_path: Path) -> None:
    folder(tmp_path / "d", train=rows(20))
    network, recipe = {"n": xgraph.parse(FLAT)}, read_recipe(None, ["epochs=1"])
    cross_validate(network, open_data(tmp_path / "d"), recipe, tmp_path / "out", count=2)
    folder(tmp_path / "d", train=rows(20, seed=1))
    with pytest.raises(DiagnosticError, match="of another cross-validation"):
        cross_validate(network, open_data(tmp_path / "d"), recipe, tmp_path / "out", count=2)


def test_what_fills_sequences_up_counts_for_nothing(tmp_path: Path) -> None:
    lengths = RNG.integers(1, 8, 50)
    flat = RNG.normal(5, 1, (lengths.sum(), 3)).astype("f4")
    columns = {"s": flat, "s.offsets": np.cumsum([0, *lengths]), "label": np.arange(50) % 2}
    split = open_data(folder(tmp_path, train=columns)).training
    feed = feed_of(xgraph.parse(SEQUENCE), read_recipe(None, ["inputs.s=[normalise]"]), split)
    fitted = feed.fitted(split)
    (step,) = fitted.ports[0].steps
    assert np.allclose(step.mean, flat.mean(0), atol=1e-4)  # type: ignore[attr-defined]
    assert np.allclose(step.std, flat.std(0), atol=1e-4)  # type: ignore[attr-defined]
    batch = fitted.ports[0].take(split, np.arange(50))
    assert not batch[np.arange(batch.shape[1]) >= lengths[:, None]].any()


@pytest.mark.parametrize(
    ("steps", "shape"),
    [("[{pad: 8}, {reshape: [24]}, normalise]", (24,)),
     ("[{pad: 8}, {reshape: [1, 8, 3]}, {scale: {by: 2, plus: 1}}]", (1, 8, 3)),
     ("[{pad: 8}, {scale: {by: 1, plus: 1}}, {reshape: [4, 6]}]", (4, 6))],
)  # fmt: skip
def test_what_fills_sequences_up_stays_so_in_another_shape(
    steps: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    lengths = np.array([3, 8, 1, 5] * 5)
    flat = np.full((lengths.sum(), 3), 2, "f4") + RNG.random((lengths.sum(), 3), "f4")
    columns = {"s": flat, "s.offsets": np.cumsum([0, *lengths]), "label": np.arange(20) % 2}
    split = open_data(folder(tmp_path, train=columns)).training
    text = f"network n\nmodality s: {[*shape]}\nsuperlayer a(s) {{ flatten -> linear(2) }}\n"
    recipe = read_recipe(None, [f"inputs.s={steps}"])
    fed = feed_of(xgraph.parse(f"{text}output y = a\n"), recipe, split).fitted(split)
    batch = fed.ports[0].take(split, np.arange(20))
    assert batch.shape == (20, *shape)
    inside = np.arange(24) < 3 * lengths[:, None]
    assert np.array_equal(batch.reshape(20, 24) != 0, inside)


def test_a_tag_alone(tmp_path: Path) -> None:
    columns = {"x": rows(40)["x"], "y": (np.arange(40) % 2)[:, None]}
    data = open_data(folder(tmp_path, train=columns))
    graph = xgraph.parse(FLAT.replace("linear(2)", "linear(1)"))
    made = plan(graph, data, read_recipe(None, ["epochs=1"]))
    assert [target.loss.kind for target in made.feed.targets] == ["bce"]
    assert fit(made, initialise(xgraph.lower(graph))).history[-1]["val/f1"] >= 0


def test_the_best_weights_are_kept_though_they_are_little_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`delta` tells when to stop, and not what is best."""
    scores = iter([0.9, 0.905, 0.902, 0.906])
    monkeypatch.setattr(
        "xgraph.train.fit.measure", lambda *_: {"loss": 1, "accuracy": next(scores)}
    )
    recipe = read_recipe(None, ["epochs=9", "stop={after: 3, delta: 0.01}"])
    made = plan(xgraph.parse(FLAT), open_data(folder(tmp_path, train=rows(40))), recipe)
    found = fit(made, initialise(xgraph.lower(made.graph)))
    assert len(found.history) == 4
    assert found.best_epoch == 4


@pytest.mark.parametrize(
    "overrides",
    [["train=[a]", "losses={other: cross-entropy}"],
     ["losses={'*': cross-entropy}", "stages=[{epochs: 1, train: [a], outputs: [other]}]"]],
)  # fmt: skip
def test_nothing_that_is_trained_is_needed(overrides: list[str], tmp_path: Path) -> None:
    text = """network n
modality x: [4]
superlayer a(x) { linear(2) }
superlayer b(x) { linear(2) }
output label = a
output other = b
"""
    x = rows(20)["x"]
    label = np.arange(20) % 2
    data = open_data(folder(tmp_path, train={"x": x[:, :4], "label": label, "other": label}))
    with pytest.raises(DiagnosticError, match="changes no weight that `other` depends on"):
        plan(xgraph.parse(text), data, read_recipe(None, overrides))


def test_rows_that_differ_only_in_which_column_holds_what(tmp_path: Path) -> None:
    zeros, numbers = np.zeros((20, 1), "f4"), np.arange(1, 21, dtype="f4")[:, None]
    label = np.arange(20) % 2
    text = """network n
modality a: [1]
modality b: [1]
fusion head(a, b) { concat -> linear(2) }
output y = head
"""
    data = folder(
        tmp_path,
        train={"a": numbers, "b": zeros, "label": label},
        test={"a": zeros, "b": numbers, "label": label},
    )
    plan(xgraph.parse(text), open_data(data), read_recipe())


def test_a_test_split_of_one_class_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = {**rows(5), "label": np.ones(5, int)}
    folder(tmp_path / "d", train=rows(40, seed=3), test=one)
    Path("n.xg").write_text(FLAT)
    assert xgraph_("train", "n.xg", "--data", "d", "--epochs", "1", "-o", "run")[0] == 0
    weights = ("--weights", "run/weights.safetensors")
    code, text = xgraph_("eval", "n.xg", *weights, "--data", "d")
    assert code == 0, text
    # What is read is not written to.
    for out in ("d/test/label.npy", "run/weights.safetensors", "n.xg"):
        code, text = xgraph_("eval", "n.xg", *weights, "--data", "d", "-o", out)
        assert code == 1
        assert "would-overwrite" in text
    code, text = xgraph_("train", "n.xg", "--data", "d", "-o", "d/val")
    assert "a training does not go into the folder of its data" in text


def test_what_predicts_is_held_against_its_own_column(tmp_path: Path) -> None:
    digits_folder(tmp_path / "d")
    for name in ("train", "test"):
        labels = np.load(tmp_path / "d" / name / "label.npy")
        np.save(tmp_path / "d" / name / "other.npy", labels % 3)
    losses = (
        "losses={top_logits: cross-entropy, bottom_logits: {kind: cross-entropy, target: other}}"
    )
    made = plan(
        xgraph.parse(HALVES), open_data(tmp_path / "d"),
        read_recipe(None, [losses, "predict=[bottom_logits]", "epochs=1"]),
    )  # fmt: skip
    record = fit(made, initialise(xgraph.lower(made.graph))).history[0]
    assert record["val/accuracy"] == record["val/bottom_logits/accuracy"]


def test_outputs_that_have_no_sum(tmp_path: Path) -> None:
    data = folder(tmp_path, train={"x": rows(20)["x"], "label": np.arange(20) % 2})
    text = FLAT.replace("output y = net", "output y = net\nfusion h(x) { linear(3) }\noutput z = h")
    with pytest.raises(DiagnosticError, match="have no sum"):
        plan(xgraph.parse(text), open_data(data), read_recipe(None, ["predict=[y, z]"]))


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_byte_order_changes_nothing(dtype: str, tmp_path: Path) -> None:
    x = np.array([[0, 65535, 32768, 1]] * 4).astype(dtype)
    split = open_data(folder(tmp_path, train={"x": x, "label": np.arange(4) % 2})).training
    taken = feed_of(xgraph.parse(FLAT), read_recipe(), split).ports[0].take(split, np.arange(1))
    assert np.allclose(taken, [[0, 1, 32768 / 65535, 1 / 65535]])


def test_weights_of_classes_that_are_not_there(tmp_path: Path) -> None:
    data = open_data(folder(tmp_path, train=rows(20)))
    recipe = read_recipe(None, ["losses={y: {kind: cross-entropy, class_weight: [1, 2, 3]}}"])
    with pytest.raises(DiagnosticError, match="has not 3 weights"):
        plan(xgraph.parse(FLAT), data, recipe)


def test_tokens_out_of_range(tmp_path: Path) -> None:
    text = """network n
modality x: i64 [4]
superlayer net(x) { embedding(10, 3) -> flatten -> linear(2) }
output y = net
"""
    tokens = np.random.default_rng(0).integers(0, 10, (20, 4))
    tokens[7, 2] = 10
    data = folder(tmp_path, train={"x": tokens, "label": np.arange(20) % 2})
    made = plan(xgraph.parse(text), open_data(data), read_recipe(None, ["validation=0.2"]))
    with pytest.raises(DiagnosticError, match=r"run-failed.*index out of range"):
        fit(made, initialise(xgraph.lower(made.graph)))


def test_a_recipe_that_changed_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "d", train=rows(20))
    Path("n.xg").write_text(FLAT)
    assert xgraph_("train", "n.xg", "--data", "d", "--epochs", "1", "-o", "run")[0] == 0
    about = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**about, "finished": False}))
    with Path("run/recipe.yaml").open("a") as file:
        file.write("freeze: [net.linear1.bias]\n")
    code, text = xgraph_("train", "--resume", "-o", "run")
    assert code == 1
    assert "`net.xg` or `recipe.yaml` is not what this training began with" in text
    Path("run/run.json").write_text(json.dumps({**about, "fraction": "x"}))
    assert "this is no description of a training" in xgraph_("train", "--resume", "-o", "run")[1]


@pytest.mark.parametrize("name", ["1e3", "true", "none", "12", "nan"])
def test_columns_that_look_like_numbers(name: str) -> None:
    recipe = read_recipe(source=Source("r", f"inputs: {{x: {{column: '{name}'}}}}"))
    assert read_recipe(source=Source("r", write_recipe(recipe))) == recipe


def _claim(path: Path, answers: Any) -> None:
    try:
        with claimed(path):
            answers.put("claimed")
    except DiagnosticError as error:
        answers.put(error.diagnostics[0].id)


def test_one_training_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with claimed(tmp_path / "run"):
        process = context.Process(target=_claim, args=(tmp_path / "run", answers))
        process.start()
        assert answers.get(timeout=60) == "busy"
        process.join()
        assert is_claimed(tmp_path / "run")
    assert not list(tmp_path.iterdir())
    (tmp_path / ".run.lock").touch()  # of one that was killed
    assert not is_claimed(tmp_path / "run")


def test_a_huge_batch_draws_for_its_rows(tmp_path: Path) -> None:
    data = open_data(digits_folder(tmp_path / "d", rows=60, test=10))
    told = ["epochs=1", "batch=1000000000", "inputs.image=[{shift: 1}]"]
    made = plan(xgraph.parse(DIGITS), data, read_recipe(None, told))
    assert fit(made, initialise(xgraph.lower(made.graph))).history[0]["step"] == 1


def test_the_rate_is_that_of_the_epoch(tmp_path: Path) -> None:
    data = open_data(folder(tmp_path, train=rows(20)))
    told = ["epochs=2", "schedule={name: step, at: [1]}"]
    made = plan(xgraph.parse(FLAT), data, read_recipe(None, told))
    history = fit(made, initialise(xgraph.lower(made.graph))).history
    assert [record["lr"] for record in history] == pytest.approx([1e-3, 1e-4])


def test_results_of_another_cross_validation(tmp_path: Path) -> None:
    folder(tmp_path / "d", train=rows(20))
    for name in ("a", "b"):
        (tmp_path / f"{name}.xg").write_text(FLAT)
    given = ("--data", str(tmp_path / "d"), "--folds", "2", "--override", "epochs=1")
    out = tmp_path / "out"
    assert xgraph_("crossval", str(tmp_path / "a.xg"), *given, "-o", str(out))[0] == 0
    before = (out / "results.json").read_bytes()
    assert xgraph_("crossval", str(tmp_path / "a.xg"), *given, "-o", str(out))[0] == 0
    code, text = xgraph_("crossval", str(tmp_path / "b.xg"), *given, "-o", str(out))
    assert (code, "error[would-overwrite]" in text) == (1, True)
    assert (out / "results.json").read_bytes() == before
    with claimed(out):
        assert (
            "error[busy]" in xgraph_("crossval", str(tmp_path / "a.xg"), *given, "-o", str(out))[1]
        )


def test_a_name_that_nothing_is_written_to_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "d", train=rows(40), test=rows(8, seed=1))
    Path("n.xg").write_text(FLAT)
    assert xgraph_("train", "n.xg", "--data", "d", "--epochs", "1", "-o", "run")[0] == 0
    monkeypatch.setattr("xgraph.train.evaluate.evaluate", lambda *_, **__: 1 / 0)
    code, text = xgraph_(
        "eval", "n.xg", "--weights", "run/weights.safetensors", "--data", "d", "-o", "scores.txt"
    )
    assert (code, "error[unknown-target]" in text) == (1, True)


def test_a_training_that_another_finished_in_the_meantime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "d", train=rows(40))
    Path("n.xg").write_text(FLAT)
    assert xgraph_("train", "n.xg", "--data", "d", "--epochs", "1", "-o", "run")[0] == 0
    about = json.loads(Path("run/run.json").read_text())
    before = Path("run/metrics.csv").read_bytes()

    def slow(text: str) -> Any:
        Path("run/run.json").write_text(json.dumps({**about, "finished": True}))
        return open_data(text)

    Path("run/run.json").write_text(json.dumps({**about, "finished": False}))
    monkeypatch.setattr("xgraph.train.run.open_data", slow)
    code, text = xgraph_("train", "--resume", "-o", "run")
    assert (code, "error[finished]" in text) == (1, True)
    assert Path("run/metrics.csv").read_bytes() == before


@pytest.mark.parametrize("steps", ["[normalise]", "[{pad: 9}, normalise]"])
@pytest.mark.parametrize("width", [(), (3,)])
def test_fills_are_not_measured(steps: str, width: tuple[int, ...], tmp_path: Path) -> None:
    lengths = RNG.integers(1, 8, 40)
    flat = RNG.normal(5, 1, (lengths.sum(), *width)).astype("f4")
    columns = {"s": flat, "s.offsets": np.cumsum([0, *lengths]), "label": np.arange(40) % 2}
    split = open_data(folder(tmp_path, train=columns)).training
    size = "9" if "pad" in steps else "T"
    text = f"network n\ndim T\nmodality s: {[size, *map(str, width)]}\n".replace("'", "")
    rest = "" if width else "reshape(-1, 1) -> "
    text += f"superlayer net(s) {{ {rest}lstm(4, last = true) -> linear(2) }}\noutput y = net\n"
    feed = feed_of(xgraph.parse(text), read_recipe(None, [f"inputs.s={steps}"]), split)
    step = feed.fitted(split).ports[0].steps[-1]
    assert np.allclose(step.mean, flat.mean(0), atol=1e-4)  # type: ignore[attr-defined]
    assert np.allclose(step.std, flat.std(0), atol=1e-4)  # type: ignore[attr-defined]


def test_shift_of_vectors(tmp_path: Path) -> None:
    data = open_data(folder(tmp_path, train=rows(20)))
    with pytest.raises(DiagnosticError, match="`shift` takes maps"):
        plan(xgraph.parse(FLAT), data, read_recipe(None, ["inputs.x=[{shift: 1}]"]))


def test_a_stage_that_ends_early_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which begins to count anew."""
    scores = iter([0.9, 0.8, 0.7, 0.6, 0.65, 0.64, 0.63])
    monkeypatch.setattr(
        "xgraph.train.fit.measure", lambda *_: {"loss": 1, "accuracy": next(scores)}
    )
    recipe = read_recipe(None, ["stages=[{epochs: 9}, {epochs: 9}]", "stop={after: 2}"])
    made = plan(xgraph.parse(FLAT), open_data(folder(tmp_path, train=rows(40))), recipe)
    found = fit(made, initialise(xgraph.lower(made.graph)))
    assert [record["stage"] for record in found.history] == [1, 1, 1, 2, 2, 2, 2]
    assert found.best_epoch == 1
