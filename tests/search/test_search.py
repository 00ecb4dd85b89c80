"""A search ends the same, whatever ends it on the way and wherever it is evaluated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spaces import Quiet, job, same, search, space

import xgraph
from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import read_recipe
from xgraph.search.baselines import baselines
from xgraph.search.candidate import Candidate
from xgraph.search.evaluate import Evaluator
from xgraph.search.search import Limits, Phase, Search, Stopped, ranked
from xgraph.search.strategies.contract import Ask
from xgraph.search.strategies.mfas import Mfas
from xgraph.search.strategies.random import RandomSearch
from xgraph.search.study import NAME, Trial
from xgraph.search.workers import Processes
from xgraph.space.space import Sample
from xgraph.weights import initialise

SMALL = Mfas(iterations=2, samples=6, sharing="shape")


def phases(made: Search, strategy: Any = SMALL) -> list[Phase]:
    beside = [made.baseline(one) for one in baselines(space().sample(0))]
    return [made.strategy("search", strategy), *beside]


def told(trials: list[Trial]) -> list[Any]:
    """Trials, without how long they took."""
    return [replace(trial, seconds=0.0) for trial in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, list[Trial]]:
    made = search(tmp_path_factory.mktemp("whole"))
    return made, made.run(phases(made))


def test_all_is_kept(whole: tuple[Search, list[Trial]]) -> None:
    made, trials = whole
    assert [trial.number for trial in trials] == list(range(len(trials)))
    beside = [trial for trial in trials if trial.phase != "search"]
    assert [t.phase for t in beside] == ["late fusion", "upper alone", "lower alone"]
    assert len(trials) - 3 == SMALL.trials(space())
    best = ranked(trials)
    assert best[0].score == max(t.score or 0 for t in trials if t.phase == "search")
    for trial in trials:
        graph, weights = made.weights(trial)
        assert set(weights) == {address for address, _ in xgraph.lower(graph).params()}
        params = sum(p.size for a, p in weights.items() if not _is_statistic(a))
        assert trial.params == params
        assert trial.error is None
        assert trial.together > 1 or trial in beside


def _is_statistic(address: str) -> bool:
    return address.endswith(("running_mean", "running_var", "num_batches_tracked"))


def test_what_is_found_is_what_was_measured(whole: tuple[Search, list[Trial]]) -> None:
    """The whole network with its weights has the accuracy of the trial."""
    made, trials = whole
    val = made.evaluator.plan.val
    inputs = {p.name: p.take(val, np.arange(len(val))) for p in made.evaluator.plan.feed.ports}
    labels = val.take("label", np.arange(len(val)))
    for trial in ranked(trials)[:3]:
        graph, weights = made.weights(trial)
        logits = xgraph.driver.run_module(xgraph.lower(graph), weights, inputs)["logits"]
        assert (logits.argmax(1) == labels).mean() == pytest.approx(trial.score, abs=1e-6)


@pytest.mark.parametrize("after", [1, 9, 17, 25])
def test_one_that_stopped_goes_on(
    after: int, whole: tuple[Search, list[Trial]], tmp_path: Path
) -> None:
    broken = search(tmp_path, Quiet(after))
    with pytest.raises(Stopped):
        broken.run(phases(broken))
    again = search(tmp_path)
    assert 0 < len(again.study.trials) < len(whole[1])
    trials = again.run(phases(again))
    assert told(trials) == told(whole[1])
    for one, other in zip(trials, whole[1], strict=True):
        assert same(again.trained(one), whole[0].trained(other))


def test_a_line_that_broke_off_is_done_again(
    whole: tuple[Search, list[Trial]], tmp_path: Path
) -> None:
    made = search(tmp_path)
    made.run(phases(made))
    journal = tmp_path / NAME
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) * 2 // 3])
    again = search(tmp_path)
    assert told(again.run(phases(again))) == told(whole[1])


def test_workers_change_nothing(whole: tuple[Search, list[Trial]], tmp_path: Path) -> None:
    pool = Processes(job(tmp_path), 2)
    try:
        made = search(tmp_path, workers=pool)
        made.together = whole[0].together
        trials = made.run(phases(made))
    finally:
        pool.close()
    assert told(trials) == told(whole[1])
    for one, other in zip(trials, whole[1], strict=True):
        assert same(made.trained(one), whole[0].trained(other))


def test_what_workers_are_at_is_kept_when_it_stops(tmp_path: Path) -> None:
    """And nothing more is begun."""
    texts = [space().sample(number).text for number in range(16)]
    pool = Processes(job(tmp_path), 2)
    found = []
    try:
        for number, (outcome,) in pool.run([[Candidate(t, 0, {})] for t in texts], lambda: True):
            found.append(number)
            assert outcome.error is None
    finally:
        pool.close()
    assert 1 <= len(found) < len(texts)
    assert len(set(found)) == len(found)


def test_the_yardstick_has_as_many_networks_as_were_evaluated(tmp_path: Path) -> None:
    """Of a search that asks for some twice."""
    made = search(tmp_path)
    first = made.strategy("search", Mfas(iterations=2, samples=6))
    beside = made.strategy("random", RandomSearch(samples=first.trials), beside="search")
    trials = made.run([first, beside])
    evaluated = [t for t in trials if t.phase == "search" and t.same_as is None]
    assert len([t for t in trials if t.phase == "random"]) == len(evaluated) < first.trials


TWINS = """network n
modality image: [4]
superlayer a(image) { linear(3) }
superlayer b(image) { linear(3) }
fusion f(%s) { linear(2) }
output y = f
"""


def test_networks_that_take_other_weights_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (xgraph.parse(TWINS % name) for name in "ab")
    evaluator = search(tmp_path).evaluator
    assert evaluator.key(a) == evaluator.key(b)
    given = initialise(xgraph.lower(xgraph.parse(TWINS % "concat(a, b)")), 0)
    digests = {name: str(array) for name, array in given.items()}
    monkeypatch.setattr(evaluator, "given", given)
    monkeypatch.setattr(evaluator, "_digests", digests)
    assert evaluator.key(a) != evaluator.key(b)


def test_one_network_is_evaluated_once(tmp_path: Path) -> None:
    """In one round where weights are shared; else at all."""
    made = search(tmp_path)
    plain = made.run([made.strategy("search", Mfas(iterations=2, samples=6))])
    repeated = [trial for trial in plain if trial.same_as is not None]
    assert len(repeated) >= 8  # the first level of the second iteration
    for trial in repeated:
        first = plain[trial.same_as or 0]
        assert (trial.score, trial.key) == (first.score, first.key)
        assert trial.seconds == 0
    assert len({trial.key for trial in plain}) == len(plain) - len(repeated)


def test_weights_are_shared(tmp_path: Path) -> None:
    """By shape: a network begins with what another learnt at its addresses."""
    given = space()
    first, second = (given.decode(f"head: ({n}, 1, 1)") for n in (1, 1))
    other = given.decode("head: (1, 1, 2)")
    seen: list[Candidate] = []
    made = search(tmp_path)
    run = made.evaluator.run

    def watched(candidates: Any) -> Any:
        seen.extend(candidates)
        return run(candidates)

    made.evaluator.run = watched  # type: ignore[method-assign]
    for sharing, inherits in (("shape", True), ("activation", False), ("none", False)):
        seen.clear()

        def asks() -> Any:
            yield [Ask(first, round=0)]
            yield [Ask(other, round=1)]

        made.run([Phase(f"{sharing} phase", asks, 2, sharing)])  # type: ignore[arg-type]
        if sharing == "none":
            assert all(not candidate.inherited for candidate in seen)
            continue
        assert not seen[0].inherited
        assert ("head.h1.linear1.weight" in seen[1].inherited) == inherits
        assert "head.linear1.weight" in seen[1].inherited  # the classifier is one layer in both
    assert second.encoding == first.encoding


def test_a_candidate_that_fails_is_told_and_the_search_goes_on(tmp_path: Path) -> None:
    made = search(tmp_path)
    run = made.evaluator.run

    def failing(candidates: Any) -> Any:
        found = run(candidates)
        return [replace(found[0], score=None, error="diverged: made up", weights={}), *found[1:]]

    made.evaluator.run = failing  # type: ignore[method-assign]
    trials = made.run([made.strategy("search", RandomSearch(samples=20, batch=10))])
    assert [trial.number for trial in trials if trial.error] == [0, 10]
    assert len(ranked(trials)) == 18
    assert {t.number for t in search(tmp_path).study.trials if t.error} == {0, 10}


def test_too_many_failures_end_a_search(tmp_path: Path) -> None:
    made = search(tmp_path)
    made.evaluator.run = lambda candidates: [  # type: ignore[method-assign]
        _failed() for _ in candidates
    ]
    with pytest.raises(DiagnosticError) as caught:
        made.run([made.strategy("search", RandomSearch(samples=30))])
    (found,) = caught.value.diagnostics
    assert found.id == "failing-search"
    assert found.message == "10 candidates in a row failed, the last with diverged: made up"


def _failed() -> Any:
    from xgraph.search.candidate import Outcome

    return Outcome(None, {}, 0, 0, 0.0, 1, error="diverged: made up")


def test_limits_and_budgets(tmp_path: Path) -> None:
    made = search(tmp_path, limits=Limits(params=900, trials=7))
    trials = made.run([made.strategy("search", RandomSearch(samples=50))])
    assert len(trials) == 7
    assert all(trial.params <= 900 for trial in trials)
    timed = search(tmp_path / "timed", limits=Limits(seconds=1e-6))
    strategy = RandomSearch(samples=50, batch=5)
    assert len(timed.run([timed.strategy("search", strategy)])) == 5
    none = search(tmp_path / "none", limits=Limits(params=1))
    with pytest.raises(DiagnosticError, match="no network of this space is within the limits"):
        none.run([none.strategy("search", RandomSearch(samples=5))])


def test_latency_is_measured_once(tmp_path: Path) -> None:
    made = search(tmp_path, limits=Limits(latency=10.0))
    trials = made.run([made.strategy("search", RandomSearch(samples=3))])
    assert all(trial.latency is not None and 0 < trial.latency < 10 for trial in trials)
    held = (tmp_path / "latency.json").read_text("utf-8")
    again = search(tmp_path, limits=Limits(latency=10.0))
    again.run([again.strategy("search", RandomSearch(samples=3))])
    assert (tmp_path / "latency.json").read_text("utf-8") == held
    none = search(tmp_path / "none", limits=Limits(latency=1e-9))
    with pytest.raises(DiagnosticError, match="no network of this space is within the limits"):
        none.run([none.strategy("search", RandomSearch(samples=3))])


def test_a_candidate_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    """Here, an alternative whose shape does not fit what is behind it."""
    text = """network n
param units = 8
modality top: [1, 4, 8]
modality bottom: [1, 4, 8]
superlayer a(concat(top, bottom)) {
  choice(flatten -> linear(8), conv(3, 3)) -> reshape([8])
  linear(10)
}
output logits = a
"""
    given = xgraph.Space.load(text)
    told = job(tmp_path, examples=(Sample(given, given.region.unrank(0)).text,), weights=None,
               recipe=read_recipe(None, ["epochs=1", "validation=0.25"]))  # fmt: skip
    made = Search(tmp_path, given, Evaluator(told), 0, Limits(), Quiet())
    trials = made.run([made.strategy("search", RandomSearch(samples=2))])
    assert sorted(trial.error is None for trial in trials) == [False, True]
    (failed,) = [trial for trial in trials if trial.error]
    assert failed.error is not None
    assert failed.error.startswith("shape-mismatch")


def test_networks_that_are_trained_whole(tmp_path: Path) -> None:
    """Where nothing is frozen, candidates are trained as `xgraph train` does."""
    given = job(tmp_path, recipe=read_recipe(None, ["epochs=1", "batch=32", "validation=0.25"]))
    evaluator = Evaluator(given)
    assert not evaluator.runs_together
    made = search(tmp_path, evaluator=evaluator)
    trials = made.run([made.strategy("search", RandomSearch(samples=3))])
    assert [trial.together for trial in trials] == [1, 1, 1]
    assert all(trial.error is None for trial in trials)
    assert "upper.c1.conv1.weight" in made.trained(trials[0])


def test_features_of_other_data_are_other_files(tmp_path: Path) -> None:
    Evaluator(job(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "features").rglob("*.npy")}
    Evaluator(job(tmp_path))
    assert before == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "features").rglob("*.npy")
    }
    image = tmp_path / "data" / "train" / "top.npy"
    array = np.load(image)
    array[0, 0, 0, 0] += 1
    np.save(image, array)
    Evaluator(job(tmp_path))
    assert len(list((tmp_path / "features").rglob("*.npy"))) > len(before)


def test_a_space_without_one_fusion_has_no_baselines() -> None:
    text = "network n\nmodality x: [4]\nsuperlayer a(x) { linear(choice(4, 8)) }\noutput y = a\n"
    given = xgraph.Space.load(text)
    assert list(baselines(Sample(given, given.region.unrank(0)))) == []
