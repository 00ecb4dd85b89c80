"""Informativeness: what is measured of each modality alone, and how it comes into the text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from strips import BASE, Ends, command

import xgraph
from xgraph.data import open_data
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.scope import Modality, SuperLayer
from xgraph.passes import Xsertion
from xgraph.passes.xsertion import Lanes
from xgraph.recipe import read_recipe
from xgraph.search.xsertion.measure import Measured, Measurement, with_informativeness
from xgraph.source import Source
from xgraph.train.fit import Stopped


def measure(*arguments: str) -> tuple[int, str]:
    return command(
        "measure", "base.xg", "--data", "strips", "-o", "out.xg", "--epochs", "2", *arguments
    )  # fmt: skip


def measurement(*overrides: str, repeat: int = 1) -> Measurement:
    recipe = read_recipe(None, ["epochs=2", *overrides])
    graph = xgraph.parse(Path("base.xg"))
    return Measurement.of(graph, open_data("strips"), recipe, Xsertion(), repeat=repeat)


def informativeness(path: Path | str) -> dict[str, float]:
    scopes = xgraph.parse(Path(path)).scopes
    return {s.address: float(s.meta["informativeness"]) for s in scopes if isinstance(s, Modality)}


def test_what_is_measured_is_written_into_the_text(here: Path) -> None:
    code, text = measure()
    assert code == 0, text
    found = informativeness("out.xg")
    assert [f"{name}: {value:.4f}" for name, value in found.items()] == text.splitlines()[:3]
    for name, value in found.items():
        assert 0 < value <= 1, name
    written = (here / "out.xg").read_text()
    plain = with_informativeness(Source("out.xg", written), dict.fromkeys(found, 0.5))
    assert plain == with_informativeness(Source("base.xg", BASE), dict.fromkeys(found, 0.5))
    assert "[1, 8, 4] with informativeness = 0.5  # the first four columns\n" in plain
    assert sorted(p.name for p in here.iterdir()) == [
        "base.xg", "measured.xg", "out.xg", "strips",
    ]  # fmt: skip
    code, text = command("apply", "xsertion{alpha=1 beta=2}", "out.xg")
    assert code == 0, text
    assert "connect middle_net.p1 -> left_net.p1" in text


def test_a_modality_alone_has_its_share_of_the_parameters(here: Path) -> None:
    """Scaled by the lane scale over the number of modalities, whatever was measured before."""
    made = measurement()
    for name, graph in zip(("left_net", "middle_net", "right_net"), made.graphs, strict=True):
        (scope,) = [s for s in graph.scopes if isinstance(s, SuperLayer)]
        assert scope.address == name
        assert scope.meta["scale"] == pytest.approx(made.lanes.scales[0], rel=1e-5)
    joint = xgraph.parse(Path("measured.xg"))
    shares = Lanes.of(joint, Xsertion()).scales
    assert sum(shares) == pytest.approx(sum(made.lanes.scales))


def test_informativeness_is_the_best_of_all_epochs_and_the_mean_of_the_seeds(here: Path) -> None:
    found = measurement(repeat=2).run(here / "work")
    for measured in found:
        best = []
        for number in (1, 2):
            about = json.loads((here / "work" / f"{measured.modality}-{number}.json").read_text())
            best.append(max(record["val/accuracy"] for record in about["epochs"]))
        assert list(measured.accuracies) == best
        assert measured.informativeness == pytest.approx(sum(best) / 2)


def test_a_measurement_goes_on_where_it_was(here: Path) -> None:
    whole = measurement().run(here / "whole")
    done: list[str] = []

    def told(measured: Measured) -> None:
        done.append(measured.modality)

    for steps in (4, 3, 1):
        with pytest.raises(Stopped):
            measurement().run(here / "cut", watch=Ends(steps), told=told)
    assert measurement().run(here / "cut") == whole
    assert done == ["left", "left"]  # told by the second run and by the third
    files = {p.name for p in (here / "cut").iterdir()}
    assert files == {p.name for p in (here / "whole").iterdir()}
    for path in (here / "cut").glob("*.safetensors"):
        assert path.read_bytes() == (here / "whole" / path.name).read_bytes()


def test_a_work_folder_is_of_one_measurement(here: Path) -> None:
    assert measure("--work", "work")[0] == 0
    assert measure("--work", "work")[0] == 0  # nothing is left to be done
    code, text = measure("--work", "work", "--lr", "0.1", "--repeat", "2")
    assert code == 1
    assert text == (
        "error[changed-search]: here is another measurement: it differs in the recipe, `repeat`"
        " (1 there, 2 here)\n  --> work\nhelp: take it away, or give another folder: `--work`\n\n"
    )
    code, text = measure("--work", "strips")
    assert code == 1
    assert "would-overwrite" in text


def test_results_of_something_else_are_not_taken(here: Path) -> None:
    assert measure("--work", "work")[0] == 0
    path = here / "work" / "left-1.json"
    for damaged in ("{}", "[", path.read_text().replace('"digest": "', '"digest": "0')):
        path.write_text(damaged)
        code, text = measure("--work", "work")
        assert (code, "error[changed-result]" in text) == (1, True), text


MISTAKES = {
    "one input": (
        BASE.replace("concat(left, middle, right)", "left"),
        "error[unfit-network]: `left` is one input, and a modality needs one of its own",
    ),
    "no super-layer": (
        "network n\nmodality left: [1, 8, 4]\nfusion f(left) { flatten -> linear(10) }\n"
        "output logits = f\n",
        "error[unfit-network]: `xsertion` takes one joint super-layer, and there are 0",
    ),
    "no such column": (
        BASE.replace("right", "wrong"),
        "error[missing-column]: the data has no column `wrong`",
    ),
    "elsewhere": (
        'use "parts.xg"\n' + BASE.replace("modality right: [1, 8, 4]\n", ""),
        "error[",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, here: Path) -> None:
    text, expected = MISTAKES[mistake]
    (here / "parts.xg").write_text("modality right: [1, 8, 4]\n")
    (here / "base.xg").write_text(text)
    code, told = measure()
    assert code == 1
    assert told.startswith(expected) or expected in told
    assert not (here / "out.xg").exists()
    assert not (here / "out.measure").exists()


def test_nothing_takes_the_place_of_the_network(here: Path) -> None:
    code, text = measure("-o", "base.xg")
    assert (code, "error[would-overwrite]" in text) == (1, True)
    assert (here / "base.xg").read_text() == BASE
    assert measure("-o", "out.onnx")[0] == 2


def test_an_accuracy_is_needed(here: Path) -> None:
    with pytest.raises(DiagnosticError, match="bad-target"):
        measurement("losses={logits: {kind: mse, target: left}}")
