"""`xgraph search` as a person uses it: what it writes, what it says of mistakes, and kills."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sets import digits_folder
from spaces import SPACE, Quiet, same, space

import xgraph
from xgraph.cli import main, searching
from xgraph.recipe import read_recipe
from xgraph.search.folder import resume
from xgraph.search.study import Study, Trial
from xgraph.space.space import Sample
from xgraph.weights import INPUTS, initialise, load, metadata, save

TOLD = (
    "--override", "epochs=2", "--override", "batch=32", "--override", "train=['@fusion']",
    "--override", "validation=0.25", "--init", "init.safetensors",
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `space.xg`, `data` and `init.safetensors`."""
    monkeypatch.chdir(tmp_path)
    Path("space.xg").write_text(SPACE.replace("DROPOUT", ""))
    digits_folder(Path("data"))
    given = space()
    covers = [Sample(given, given.region.cover(i)) for i in range(given.region.breadth)]
    weights = [initialise(xgraph.lower(one.graph()), 0) for one in covers]
    save(Path("init.safetensors"), {n: a for each in weights for n, a in each.items()})
    return tmp_path


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["search", *args])
    assert result.exit_code == code, result.output
    return result.output


def begin(*more: str, code: int = 0) -> str:
    return run("space.xg", "--data", "data", *TOLD, "-o", "run", *more, code=code)


def test_a_search_from_begin_to_end(here: Path) -> None:
    output = begin("--strategy", "mfas", "--option", "samples=4", "--top", "3")
    assert output.startswith(
        "halves: 72 networks\n225 rows to train, 75 to compare by\n"
        "frozen layers ran once; up to 15 networks train as one\n"
    )
    for phase in ("search: 36", "random: 20", "late fusion: 1", "upper alone: 1", "lower alone: 1"):
        assert phase in output
    best = sorted(path.name for path in Path("run/best").iterdir())
    assert best == ["1.onnx", "1.safetensors", "1.xg", "2.safetensors", "2.xg",
                    "3.safetensors", "3.xg"]  # fmt: skip
    assert "<svg" in Path("run/report.html").read_text("utf-8")
    assert Path("run/trials.parquet").stat().st_size > 1000
    for rank in (1, 2, 3):
        graph = xgraph.parse(Path(f"run/best/{rank}.xg"))
        assert space().contains(graph)
        weights = Path(f"run/best/{rank}.safetensors")
        x = np.random.default_rng(0).random((5, 1, 4, 8), np.float32)
        ours = xgraph.run(graph, {"top": x, "bottom": x}, weights=weights, backend="torch")
        onnx = xgraph.run(graph, {"top": x, "bottom": x}, weights=weights, backend="onnx")
        assert np.allclose(ours["logits"], onnx["logits"], atol=1e-4)


def test_every_network_is_one_in_both_backends(here: Path) -> None:
    """With the weights that the search found, compiled to PyTorch and to ONNX."""
    begin("--strategy", "evolution", "--option", "samples=25", "--option", "batch=5")
    opened = resume(Path("run"))
    watch = Quiet()
    search = opened.search(watch)
    search.run(opened.phases(search))
    networks = {trial.encoding: trial for trial in watch.seen}
    assert len(networks) > 25
    rng = np.random.default_rng(0)
    for trial in networks.values():
        graph, weights = search.weights(trial)
        inputs = {name: rng.random((5, 1, 4, 8), np.float32) for name in graph.inputs}
        ours = xgraph.run(graph, inputs, weights=weights, backend="torch")
        onnx = xgraph.run(graph, inputs, weights=weights, backend="onnx")
        assert np.allclose(ours["logits"], onnx["logits"], atol=1e-4)


def test_repeated_with_other_seeds(here: Path) -> None:
    """Each repeat is the search of its seed, and what is told is of all of them."""
    told = begin(
        "--strategy", "mfas", "--option", "samples=3", "--seed", "3", "--repeat", "2", "--top", "2",
        "--final", "mfas", "--final-override", "stages.1.epochs=1",
    )  # fmt: skip
    for seed in (3, 4):
        begin("--strategy", "mfas", "--option", "samples=3", "--seed", f"{seed}", "-o", f"{seed}")
    both = [t for seed in (3, 4) for t in Study(Path(f"{seed}"), space()).trials]
    together = Study(Path("run"), space()).trials
    assert [told_of(t) for t in together] == [told_of(t) for t in both]
    assert {path.stem for path in Path("run/best").glob("*.xg")} == {
        "seed3-1", "seed3-2", "seed4-1", "seed4-2"
    }  # fmt: skip
    assert len(list(Path("run/best").glob("*.onnx"))) == 1
    assert {path.name for path in Path("run/final").iterdir() if path.is_dir()} == {
        "seed3-1", "seed3-2", "seed4-1", "seed4-2"
    }  # fmt: skip
    evaluated = [t for t in together if t.search_seed == 4 and t.phase == "search"]
    count = len([t for t in evaluated if t.same_as is None])
    assert count < len(evaluated)
    assert f"seed 4, random: {count} networks" in told
    assert "search, mean over 2 seeds" in told
    assert re.search(r"The best networks of 2 searches reach \d\d\.\d\d % ± \d", told)
    assert re.search(r"^the first of each of 2 seeds: accuracy 0\.\d{4} ± ", told, re.M)
    page = Path("run/report.html").read_text("utf-8")
    for said in ("seed 3", "seed 4", "mean of best accuracy", "mean of the first of each seed"):
        assert said in page
    journal = Path("run/journal.log").read_text()
    Path("run/best/mine").mkdir()
    Path("run/best/notes.txt").write_text("not the search's")
    run("--resume", "-o", "run", "--top", "1")
    assert Path("run/journal.log").read_text() == journal
    assert {path.stem for path in Path("run/best").iterdir()} == {
        "seed3-1", "seed4-1", "mine", "notes"
    }  # fmt: skip
    assert "mean of the first of each seed" in Path("run/report.html").read_text("utf-8")


def test_final_trainings_hold_out_the_same_rows(here: Path) -> None:
    """Of every seed: else they would be judged on rows that the frozen layers have learnt."""
    begin("--option", "samples=1", "--repeat", "2", "--no-baselines", "--top", "1",
          "--final", "mfas", "--final-override", "stages.1.epochs=1")  # fmt: skip
    assert {
        read_recipe(Path(f"run/final/seed{seed}-1/recipe.yaml")).seed for seed in (0, 1)
    } == {0}  # fmt: skip


def test_a_refused_final_training_changes_nothing(here: Path) -> None:
    begin("--option", "samples=2", "--no-baselines", "--top", "1", "--final", "mfas",
          "--final-override", "stages.1.epochs=1")  # fmt: skip
    page = Path("run/report.html").read_bytes()
    run("--resume", "-o", "run", "--top", "1", "--final", "mfas", code=1)
    assert Path("run/report.html").read_bytes() == page


def told_of(trial: Trial) -> tuple[object, ...]:
    """What a trial is of, and what came of it."""
    return (trial.phase, trial.encoding, trial.key, trial.seed, trial.search_seed, trial.score,
            trial.metrics, trial.notes, trial.same_as is None)  # fmt: skip


def test_lines_of_progress_where_there_is_no_terminal(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_EVERY", 0)
    told = begin("--option", "samples=2", "--option", "batch=1", "--no-baselines")
    assert re.search(r"^search: 1 of 2 networks, best 0\.\d{4} \(\d+ s, \d+ s left\)$", told, re.M)
    assert re.search(r"^search: 2 networks, best 0\.\d{4} \(\d+ s\)$", told, re.M)
    assert "held against late fusion" in told  # random search is what it was


def test_nothing_is_lost_and_nothing_done_twice(here: Path) -> None:
    begin("--option", "samples=20")
    journal = Path("run/journal.log").read_text()
    output = run("--resume", "-o", "run")
    assert Path("run/journal.log").read_text() == journal
    assert "wrote run/report.html" in output


def test_the_best_are_trained_to_the_end(here: Path) -> None:
    output = begin(
        "--option", "samples=5", "--no-baselines", "--top", "2", "--final", "mfas",
        "--final-override", "stages.1.epochs=1", "--final-set", "units=16",
    )  # fmt: skip
    assert "1. trained to the end: accuracy" in output
    assert "<caption>Trained to the end</caption>" in Path("run/report.html").read_text("utf-8")
    assert "2. trained to the end: accuracy" in output
    assert " on the test rows" in output
    final = load(Path("run/final/1/weights.safetensors"))
    assert final["head.linear1.weight"].shape == (10, 16)
    assert Path("run/final/2/model.onnx").exists()
    told = run("--resume", "-o", "run", "--top", "2", "--final", "mfas", code=1)
    assert told.endswith(
        "error[changed-search]: the best were trained by another recipe or with other `param`s\n"
        "  --> run/final\nhelp: move `run/final` away to train them anew\n\n"
    )


def test_resume_takes_no_other_options(here: Path) -> None:
    begin("--option", "samples=2", "--no-baselines")
    told = run("--resume", "-o", "run", "--seed", "3", code=2)
    assert "Error: --seed: --resume goes on with what RUN holds: leave this out" in told


def test_inputs_are_made_as_the_weights_say(here: Path) -> None:
    """Frozen layers were trained on prepared inputs: a recipe that says nothing takes those."""
    fresh = load(Path("init.safetensors"))
    plain = {"transforms": [{"name": "scale", "by": 2.0}]}
    said = {INPUTS: json.dumps({"top": plain, "bottom": plain})}
    save(Path("init.safetensors"), fresh, said)
    begin("--option", "samples=2", "--no-baselines", "--top", "1")
    assert "scale" in Path("run/recipe.yaml").read_text("utf-8")
    assert "scale" in metadata(Path("run/best/1.safetensors"))[INPUTS]


MISTAKES: list[tuple[tuple[str, ...], str, str]] = [
    (("net.xg", "--data", "data", "-o", "run"), "network n\nmodality x: [4]\n"
     "superlayer a(x) { linear(3) }\noutput y = a\n",
     "error[not-a-space]: this file leaves nothing open: it is one network\n --> net.xg\n"),
    (("space.xg", "--data", "nowhere", "-o", "run"), "",
     "error[missing-data]: there is no such data\n"),
    (("space.xg", "--data", "data", *TOLD, "-o", "run", "--max-params", "10"), "",
     "error[no-candidate]: no network of this space is within the limits\n --> halves\n"
     "help: raise `--max-params`, `--max-macs` or `--max-latency`\n"),
    (("space.xg", "--data", "data", *TOLD[:-2], "-o", "run"), "",
     "error[missing-weights]: `upper.c1.conv1.weight` is frozen, and nothing says what it is\n"
     " --> --init\nhelp: `--init FILE` brings the weights of trained networks\n"),
    (("space.xg", "--data", "data", *TOLD, "-o", "run", "--option", "sample=3"), "",
     "error[unknown-key]: there is no key `sample` here\n --> --option sample=3\n"
     "help: did you mean `samples`?\n"),
    (("space.xg", "--data", "data", *TOLD, "-o", "run", "--option", "samples=0"), "",
     "error[bad-value]: `samples` must be at least 1, not 0\n --> --option samples=0\n"),
    (("space.xg", "--data", "data", *TOLD, "-o", "run", "--strategy", "mfas", "--option",
      "temperature=warm"), "",
     "error[bad-value]: `warm` is not one of `steps` or `code`\n"
     " --> --option temperature=warm\n"),
    (("space.xg", "--data", "data", "-o", "run", "--init", "none.safetensors"), "",
     "error[bad-weights]: there is no such file\n --> none.safetensors\n"),
    (("--resume", "-o", "run"), "",
     "error[no-search]: there is no search in this folder\n --> run\n"
     "help: `xgraph search SPACE --data DATA -o FOLDER` begins one\n"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "text", "told"), MISTAKES)
def test_mistakes(here: Path, args: tuple[str, ...], text: str, told: str) -> None:
    Path("net.xg").write_text(text)
    assert told in run(*args, code=1).replace("  -->", " -->")
    assert not Path("run/search.json").exists() or "limits" in told


def test_data_that_lacks_a_modality(here: Path) -> None:
    Path("data/train/top.npy").unlink()
    Path("data/test/top.npy").unlink()
    told = "error[missing-column]: the data has no column `top`, which the modality `top` of"
    assert begin(code=1).startswith(told)
    assert not Path("run").exists()


def test_a_folder_that_holds_a_search(here: Path) -> None:
    begin("--option", "samples=2", "--no-baselines")
    assert begin(code=1).replace("  -->", " -->") == (
        "error[would-overwrite]: this folder is not empty\n --> run\n"
        "help: `xgraph search --resume -o run` goes on with what is there\n\n"
    )


def test_another_space_or_data_set(here: Path) -> None:
    begin("--option", "samples=2", "--no-baselines")
    other = SPACE.replace("DROPOUT", "").replace("1 .. 2", "1 .. 3")
    Path("other.xg").write_text(other)
    told = run("other.xg", "--resume", "-o", "run", code=1)
    assert told.startswith("error[changed-space]: the search in `run` is of another space\n")
    labels = np.load("data/train/label.npy")
    np.save("data/train/label.npy", labels[::-1].copy())
    told = run("--resume", "-o", "run", code=1)
    assert told.startswith("error[changed-data]: the data is not what this search began with\n")


@pytest.mark.parametrize("damage", ["{", "[]", '{"data": 1}'])
def test_a_damaged_description(here: Path, damage: str) -> None:
    begin("--option", "samples=2", "--no-baselines")
    Path("run/search.json").write_text(damage)
    told = run("--resume", "-o", "run", code=1)
    assert told.startswith("error[no-search]: this is no description of a search\n")


def test_a_journal_that_is_none(here: Path) -> None:
    begin("--option", "samples=2", "--no-baselines")
    Path("run/journal.log").write_text("not a journal\n")
    told = run("--resume", "-o", "run", code=1)
    assert told.startswith("error[bad-study]: this is no journal of a search\n")


# -------------------------------------------------------------------------------------- long runs

MFAS = (
    "--strategy",
    "mfas",
    "--option",
    "samples=6",
    "--option",
    "sharing=shape",
    "--no-baselines",
)


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "xgraph.cli", "search", *args]


def results(folder: Path) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Trials without their times, and the weights of the best."""
    trials = sorted(Study(folder, space()).trials, key=lambda t: t.number)
    plain = [{**vars(trial), "seconds": 0} for trial in trials]
    weights = {path.name: load(path) for path in sorted((folder / "best").glob("*.safetensors"))}
    return plain, weights


@pytest.mark.long
def test_killed_at_twenty_moments(here: Path) -> None:
    many = (*MFAS, "--option", "iterations=30", "--option", "surrogate_epochs=5")
    begin(*many)
    rng = random.Random(0)
    journal = Path("cut/journal.log")
    for kill in range(20):
        more = ["--resume"] if kill else ["space.xg", "--data", "data", *TOLD, *many]
        process = subprocess.Popen(
            command(*more, "-o", "cut"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        size = journal.stat().st_size if journal.exists() else 0
        while process.poll() is None and not (journal.exists() and journal.stat().st_size > size):
            time.sleep(0.005)
        time.sleep(rng.random() * 0.2)
        assert process.poll() is None, f"it ended before kill {kill}"
        process.kill()
        process.wait()
    subprocess.run(command("--resume", "-o", "cut"), check=True, stdout=subprocess.DEVNULL)
    whole, cut = results(Path("run")), results(Path("cut"))
    assert whole[0] == cut[0]
    assert whole[1].keys() == cut[1].keys()
    assert all(same(whole[1][name], cut[1][name]) for name in whole[1])


@pytest.mark.long
@pytest.mark.parametrize("told", [("--jobs", "2"), ("--engine", "ray", "--jobs", "2")])
def test_the_same_beside_and_on_a_cluster(here: Path, told: tuple[str, ...]) -> None:
    if "ray" in told:
        pytest.importorskip("ray")
    begin(*MFAS)
    subprocess.run(
        command("space.xg", "--data", "data", *TOLD, *MFAS, *told, "-o", "other"),
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    one, other = results(Path("run")), results(Path("other"))
    assert json.dumps(one[0]) == json.dumps(other[0])
    assert all(same(one[1][name], other[1][name]) for name in one[1])
