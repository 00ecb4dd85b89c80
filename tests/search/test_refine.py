"""Refinements: what is trained and inherited, the same bytes after a break, and every mistake."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strips import MEASURED, Ends, command

import xgraph
from xgraph.data import open_data
from xgraph.ir.scope import Connect
from xgraph.recipe import read_recipe
from xgraph.search.xsertion.refine import (
    Options,
    Refinement,
    mean_of,
    mean_onto,
    resume_refinement,
    start_refinement,
)
from xgraph.train.fit import Stopped
from xgraph.weights import initialise, load

PAIRS = ["left+middle", "left+right", "middle+right"]
STILL = ("optimizer={name: sgd, lr: 1e-30}",)
"""Of a recipe by which no weight moves."""
RESULTS = ["net.xg", "weights.safetensors", "model.onnx", "generations.csv"]


def started(folder: Path, *overrides: str, text: str = MEASURED, **options: Any) -> Refinement:
    recipe = read_recipe(None, ["epochs=2", "batch=32", *overrides])
    asked = Options(**{"iterations": 2, "repeat": 2, **options})
    return start_refinement(folder, xgraph.parse(text), open_data("strips"), recipe, asked)


def refine(*arguments: str) -> tuple[int, str]:
    return command(
        "refine", "measured.xg", "--data", "strips", "-o", "run", "--epochs", "1", "--repeat", "1",
        "--iterations", "1", *arguments,
    )  # fmt: skip


def told_of(folder: Path) -> dict[str, Any]:
    """`refine.json` without how long it took."""
    told: dict[str, Any] = json.loads((folder / "refine.json").read_text())
    for past in told["generations"].values():
        for generation in past:
            del generation["seconds"]
    return told


def same_results(a: Path, b: Path) -> bool:
    files = (*RESULTS, *(f"generations/{p.name}" for p in (a / "generations").glob("*.safe*")))
    return told_of(a) == told_of(b) and all(
        (a / name).read_bytes() == (b / name).read_bytes() for name in files
    )


def test_a_refinement_and_its_results(here: Path) -> None:
    code, text = refine()
    assert code == 0, text
    run = here / "run"
    told = told_of(run)
    assert list(told["generations"]) == PAIRS
    for pair in PAIRS:
        first, second = told["generations"][pair][:2]
        assert first["weights"] == [0.5, 0.5]
        assert sum(second["weights"]) == pytest.approx(1)
    rows = list(csv.DictReader((run / "generations.csv").open()))
    assert [(row["generation"], row["pair"]) for row in rows] == [
        (str(number), pair) for number in range(3) for pair in PAIRS
    ]
    graph = xgraph.parse(run / "net.xg")
    weights = {
        (s.source.split("_")[0], s.targets[0].split("_")[0]): s.meta["weight"]
        for s in graph.scopes
        if isinstance(s, Connect)
    }
    for pair, number in told["best"].items():
        there, back = told["generations"][pair][number]["weights"]
        a, b = pair.split("+")
        assert weights[a, b] == pytest.approx(there, rel=1e-5)
        assert weights[b, a] == pytest.approx(back, rel=1e-5)
    evaluated = command(
        "eval", "run/net.xg", "--weights", "run/weights.safetensors", "--data", "strips",
        "--backend", "onnx", "--json",
    )  # fmt: skip
    assert evaluated[0] == 0
    found = json.loads(evaluated[1])["metrics"]["accuracy"]
    assert found == told["test"]["metrics"]["accuracy"]


def test_the_same_after_breaks(here: Path) -> None:
    started(here / "whole").run()
    started(here / "again").run()
    assert same_results(here / "whole", here / "again")
    refinement = started(here / "cut")
    for steps in (3, 20, 40, 41):
        with pytest.raises(Stopped):
            refinement.run(watch=Ends(steps))
        refinement = resume_refinement(here / "cut")
    told: list[str] = []

    def broken(what: str) -> None:
        told.append(what)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refinement.run(begins=broken)
    resume_refinement(here / "cut").run()
    assert same_results(here / "whole", here / "cut")
    assert not list((here / "cut" / "generations").glob("*.checkpoint"))


def test_another_seed_is_another_refinement(here: Path) -> None:
    a = started(here / "a", iterations=0, repeat=1).run()
    b = started(here / "b", "seed=1", iterations=0, repeat=1).run()
    assert a.generations != b.generations


def test_as_published_differs(here: Path) -> None:
    alike = MEASURED.replace("0.6", "0.5").replace("0.3", "0.5")  # Eq. 2 gives halves, too
    corrected = started(here / "a", text=alike, repeat=1).run()
    published = started(here / "b", text=alike, repeat=1, as_published=True).run()
    for pair in PAIRS:
        assert {g.weights for g in published.generations[pair]} == {(0.5, 0.5)}
        assert [g.same_as for g in published.generations[pair]] == [None, 0, 0, 0]
        assert len({g.weights for g in corrected.generations[pair]}) == 3


def test_pair_models_inherit_from_the_generation_before(here: Path) -> None:
    """A network that does not learn ends with what it began with."""
    result = started(here / "run", *STILL, iterations=0, pretrain="none").run()
    past = result.generations["left+right"]
    assert past[1].same_as is None
    models = [
        load(here / "run" / "generations" / f"left+right-{number:02}-1.safetensors")
        for number in (0, 1)
    ]
    shared = [a for a in models[0] if models[1][a].shape == models[0][a].shape]
    assert shared
    for address in shared:
        assert np.allclose(models[0][address], models[1][address], atol=1e-20)


@pytest.mark.parametrize("pretrain", ["plain", "connected"])
def test_what_the_first_models_inherit(pretrain: str, here: Path) -> None:
    started(here / "run", iterations=0, repeat=1, pretrain=pretrain).run()
    held = load(here / "run" / "generations" / "pretrained.safetensors")
    connected = any("_to_" in address for address in held)
    assert connected == (pretrain == "connected")


def test_means_of_models() -> None:
    one, two = ({"a": np.full(2, x, np.float32), "n": np.array(x)} for x in (1, 4))
    assert mean_of([one, two])["a"].tolist() == [2.5, 2.5]
    assert mean_of([one, two])["n"].dtype == one["n"].dtype
    fresh = {"a": np.zeros(2, np.float32), "b": np.ones(3, np.float32)}
    other = {"a": np.zeros(3, np.float32), "b": np.full(3, 7, np.float32)}
    found = mean_onto(fresh, [one, two, other])
    assert found["a"].tolist() == [2.5, 2.5]
    assert found["b"].tolist() == [7, 7, 7]


def test_the_network_of_all_begins_with_the_mean_of_the_best_models(here: Path) -> None:
    started(here / "run", *STILL, iterations=0, repeat=1, pretrain="none").run()
    graph = xgraph.parse(here / "run" / "net.xg")
    fresh, final = initialise(xgraph.lower(graph), 0), load(here / "run" / "weights.safetensors")
    for address in ("left_net.conv1.weight", "right_net.conv1.weight"):
        assert np.allclose(final[address], fresh[address])  # of one seed, so the mean is the same
    assert final.keys() == fresh.keys()


# -------------------------------------------------------------------------------- mistakes


def test_informativeness_is_wanted(here: Path) -> None:
    code, text = command("refine", "base.xg", "--data", "strips", "-o", "run")
    assert code == 1
    assert text == (
        "error[no-informativeness]: the informativeness of `left` is not known\n"
        " --> base.xg:4:1\n"
        "  |\n"
        "4 | modality left: [1, 8, 4]  # the first four columns\n"
        "  | ^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "help: `xgraph measure` finds it; or write it, over 0: `with informativeness = 0.61`\n\n"
    )
    assert not (here / "run").exists()


MISTAKES = {
    "one input": (["one.xg"], "error[unfit-network]: `left` is one input, and a modality needs"),
    "a missing column": (["--data", "part"], "error[missing-column]: the data has no column"),
    "options of the pass": (["--xsertion", "at=nowhere"], "error[unknown-place]"),
    "another pass": (["--xsertion", "},split{into=[a, b]"], "error["),
    "stages": (["--override", "stages=[{epochs: 1}]", "--override", "epochs=null"], "error["),
    "the folder of the data": (["-o", "strips/run"], "error[bad-output]"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, here: Path) -> None:
    given, expected = MISTAKES[mistake]
    (here / "one.xg").write_text(MEASURED.replace("concat(left, middle, right)", "left"))
    (here / "part" / "train").mkdir(parents=True)
    for name in ("left", "label"):
        held = np.load(here / "strips" / "train" / f"{name}.npy")
        np.save(here / "part" / "train" / f"{name}.npy", held)
    arguments = ["--data", "strips", "-o", "run", *given]
    if not given[0].endswith(".xg"):
        arguments.insert(0, "measured.xg")
    code, text = command("refine", *arguments)
    errors = text[text.index("error[") :]  # behind warnings of what is not used
    assert (code, errors[: len(expected)]) == (1, expected)
    assert not (here / "run").exists()
    assert not (here / "strips" / "run").exists()


def test_a_folder_is_of_one_refinement(here: Path) -> None:
    with pytest.raises(Stopped):
        started(here / "run").run(watch=Ends(9))
    code, text = refine("--alpha", "2")
    assert code == 1
    assert text == (
        "error[would-overwrite]: this folder holds another refinement: it differs in the recipe,"
        " `xsertion` (xsertion{alpha=1 beta=2} there, xsertion{alpha=2 beta=2} here),"
        " `iterations` (2 there, 1 here), `repeat` (2 there, 1 here)\n"
        "  --> run\nhelp: choose another folder\n\n"
    )
    code, text = command("refine", "--resume", "-o", "run", "--alpha", "2")
    assert (code, "leave its options out" in text) == (2, True)
    (here / "other.xg").write_text(MEASURED.replace("12", "10"))
    code, text = command("refine", "other.xg", "--resume", "-o", "run")
    assert (code, "error[changed-network]" in text) == (1, True)
    np.save("strips/train/left.npy", np.load("strips/train/left.npy") / 2)
    code, text = command("refine", "--resume", "-o", "run")
    assert (code, "error[changed-data]" in text) == (1, True)
    (here / "run" / "base.xg").write_text(MEASURED)
    code, text = command("refine", "--resume", "-o", "run")
    assert (code, "error[changed-network]" in text) == (1, True)


def test_nothing_to_go_on_with(here: Path) -> None:
    code, text = command("refine", "--resume", "-o", "run")
    assert (code, "error[no-run]" in text) == (1, True)
    assert not (here / "run").exists()
    assert refine()[0] == 0
    for arguments in (["--resume"], []):
        given = [] if arguments else ["measured.xg", "--data", "strips", "--epochs", "1"]
        code, text = command("refine", *given, *arguments, "-o", "run")
        assert code == 1
        assert "run/net.xg" in text or "differs in" in text


# ---------------------------------------------------------------------------------- breaks


def begun(here: Path, folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-u", "-m", "xgraph.cli", "refine", "measured.xg", "--data", "strips",
            "--epochs", "3", "--batch", "16", "--repeat", "1", "--iterations", "4", "-o", folder,
        ],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(here: Path) -> None:
    process = begun(here, "run")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "finishing this step, to save it" in err
    assert "go on with: xgraph refine --resume -o run" in out
    assert command("refine", "--resume", "-o", "run")[0] == 0


@pytest.mark.long
def test_a_refinement_that_is_killed_ends_the_same(here: Path) -> None:
    begun(here, "whole").communicate()
    process = begun(here, "cut")
    for count in (2, 5, 9):
        while len(list((here / "cut" / "generations").glob("*.json"))) < count:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        process = subprocess.Popen(
            [sys.executable, "-m", "xgraph.cli", "refine", "--resume", "-o", "cut"],
            cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    process.communicate()
    assert same_results(here / "whole", here / "cut")
