"""What was found wrong with searches, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sets import digits
from spaces import SPACE, job, search, space

import xgraph
from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import read_recipe
from xgraph.search.baselines import baselines
from xgraph.search.candidate import Candidate, Outcome
from xgraph.search.evaluate import Evaluator
from xgraph.search.search import Limits
from xgraph.search.strategies.random import RandomSearch
from xgraph.space import Space
from xgraph.train.fit import fit
from xgraph.train.plan import prepared
from xgraph.weights import inherit, initialise, load, save

BASE = ("epochs=2", "batch=32", "train=['@fusion']", "optimizer.lr=0.01", "validation=0.25")


def outcome(folder: Path, *told: str, text: str | None = None, **more: Any) -> Outcome:
    """Of the first network of the small space, by a recipe."""
    given = job(folder, recipe=read_recipe(None, [*BASE, *told]), **more)
    (found,) = Evaluator(given).run([Candidate(text or given.examples[0], 0)])
    return found


@pytest.mark.parametrize(
    "told",
    [
        "groups=[{match: '@fusion', lr: 0.1}]",
        "stages=[{epochs: 2, train: ['@fusion'], groups: [{match: head.h1, lr: 0.2}]}]",
    ],
)
def test_groups_hold_where_layers_are_frozen(tmp_path: Path, told: str) -> None:
    base = [option for option in BASE if not (told.startswith("stages") and "=2" in option)]
    recipe = read_recipe(None, [*base, told, "seed=0"])
    given = job(tmp_path, recipe=recipe)
    evaluator = Evaluator(given)
    graph = evaluator.graph(given.examples[0])
    plan = evaluator.plan
    weights = inherit(evaluator.given, initialise(xgraph.lower(graph), 0)).weights
    alone = fit(prepared(graph, evaluator.recipe, plan.feed, plan.train, plan.val), weights)
    (found,) = evaluator.run([Candidate(given.examples[0], 0)])
    assert found.error is None
    for name, array in found.weights.items():
        assert np.allclose(array, alone.weights[name], atol=1e-4), name


@pytest.mark.parametrize("told", [("keep=last", "optimizer.lr=0.3", "epochs=6"), ()])
def test_the_score_is_that_of_the_weights(tmp_path: Path, told: tuple[str, ...]) -> None:
    given = job(tmp_path, recipe=read_recipe(None, [*BASE, *told]))
    made = search(tmp_path, evaluator=Evaluator(given))
    val = made.evaluator.plan.val
    inputs = {p.name: p.take(val, np.arange(len(val))) for p in made.evaluator.plan.feed.ports}
    labels = val.take("label", np.arange(len(val)))
    for trial in made.run([made.strategy("search", RandomSearch(samples=4))]):
        graph, weights = made.weights(trial)
        logits = xgraph.driver.run_module(xgraph.lower(graph), weights, inputs)["logits"]
        assert (logits.argmax(1) == labels).mean() == pytest.approx(trial.score, abs=1e-6)


SIDE = "output side = upper -> globalavgpool -> linear(10)\n"
HEADED = SPACE.replace("DROPOUT", "").replace("output logits", f"{SIDE}output logits")


def test_outputs_that_do_not_change_count(tmp_path: Path) -> None:
    """In the loss, in the metrics, and where outputs predict together."""
    given = Space.load(HEADED)
    text = next(given.enumerate()).text
    weights = initialise(xgraph.lower(xgraph.parse(text)), 0)
    job(tmp_path)
    save(tmp_path / "side.safetensors", weights)
    found = outcome(
        tmp_path, "losses={'*': cross-entropy}", "predict=[logits, side]", text=text,
        weights=tmp_path / "side.safetensors", examples=(text,),
    )  # fmt: skip
    assert found.error is None
    assert {"accuracy", "logits/accuracy", "side/accuracy"} <= found.metrics.keys()


def test_sequences_of_other_lengths_are_not_cut(tmp_path: Path) -> None:
    text = """network s
dim T
modality word: [T, 4]
superlayer words(word) { lstm(6) }
superlayer top(words) { lstm(choice(4, 5), last = true) -> linear(10) }
output logits = top
"""
    given = Space.load(text)
    samples = list(given.enumerate())
    rng = np.random.default_rng(0)
    data = tmp_path / "data" / "train"
    data.mkdir(parents=True)
    lengths = rng.integers(3, 9, 80)
    np.save(data / "word.npy", rng.normal(size=(lengths.sum(), 4)).astype(np.float32))
    np.save(data / "word.offsets.npy", np.concatenate([[0], np.cumsum(lengths)]))
    np.save(data / "label.npy", np.arange(80) % 10)
    weights = initialise(xgraph.lower(samples[0].graph()), 0)
    save(tmp_path / "w.safetensors", weights)
    recipe = read_recipe(None, ["epochs=1", "batch=16", "freeze=[words]", "validation=0.25"])
    evaluator = Evaluator(
        job(tmp_path, recipe=recipe, weights=tmp_path / "w.safetensors",
            examples=(samples[0].text,))
    )  # fmt: skip
    assert evaluator.store is None
    (found,) = evaluator.run([Candidate(samples[1].text, 0)])
    assert found.error is None


def test_what_is_not_finite_failed(tmp_path: Path) -> None:
    found = outcome(tmp_path, "epochs=1", "batch=300", "optimizer.lr=1e38", "monitor=loss")
    assert found.score is None
    assert found.error == "diverged: the validation or a weight is not finite"


def test_one_row_a_step_is_told(tmp_path: Path) -> None:
    """Batch normalisation cannot take it; where candidates train together, each says so."""
    text = space("normed: true").decode("head: (1, 1, 1)").text
    given = job(tmp_path, recipe=read_recipe(None, [*BASE, "batch=1", "epochs=1"]),
                examples=(text,))  # fmt: skip
    for found in Evaluator(given).run([Candidate(text, 0), Candidate(text, 1)]):
        assert found.error is not None
        assert found.error.startswith("run-failed")


def test_weights_without_their_statistics(tmp_path: Path) -> None:
    given = job(tmp_path)
    weights = load(tmp_path / "init.safetensors")
    save(tmp_path / "less.safetensors", {n: a for n, a in weights.items() if "running" not in n})
    with pytest.raises(DiagnosticError) as caught:
        Evaluator(job(tmp_path, weights=tmp_path / "less.safetensors"))
    assert caught.value.diagnostics[0].id == "missing-weights"
    assert given.weights is not None


def test_damaged_features_are_made_anew(tmp_path: Path) -> None:
    given = job(tmp_path)
    before = Evaluator(given).run([Candidate(given.examples[0], 0)])[0].score
    for number, path in enumerate(sorted((tmp_path / "features").rglob("*.npy"))):
        path.write_bytes(path.read_bytes()[: 0 if number % 2 else 300])
    assert Evaluator(given).run([Candidate(given.examples[0], 0)])[0].score == before


def test_macs_of_open_axes_are_told() -> None:
    from xgraph.ir.types import symbol
    from xgraph.report import Cost

    with pytest.raises(DiagnosticError, match="depends on an open axis"):
        Limits(macs=5).holds(Cost(1, 0, symbol("T")))


def test_a_stream_alone_reads_no_other() -> None:
    joined = SPACE.replace("DROPOUT", "").replace(
        "fusion head", "connect lower.c1 -> upper.c1 by add\n\nfusion head"
    )
    found = {one.name: one.text for one in baselines(Space.load(joined).sample(0))}
    assert "connect" in found["late fusion"]
    assert "connect" not in found["upper alone"]


def test_a_network_is_ranked_once(tmp_path: Path) -> None:
    """Whatever it is encoded as."""
    from spaces import Quiet

    from xgraph.search.search import Search, ranked

    images, labels = digits(100)
    data = tmp_path / "data" / "train"
    data.mkdir(parents=True)
    np.save(data / "x.npy", images)
    np.save(data / "label.npy", labels)
    given = Space.load(
        "network n\nmodality x: [1, 8, 8]\nsuperlayer a(x) { flatten -> linear(choice(8, 8, 9))"
        " -> relu -> linear(10) }\noutput y = a\n"
    )
    recipe = read_recipe(None, ["epochs=1", "validation=0.25"])
    told = job(tmp_path, recipe=recipe, weights=None, examples=(given.sample(0).text,))
    made = Search(tmp_path, given, Evaluator(told), 0, Limits(), Quiet())
    trials = made.run([made.strategy("search", RandomSearch(samples=3))])
    assert len(trials) == 3
    assert len(ranked(trials)) == 2
