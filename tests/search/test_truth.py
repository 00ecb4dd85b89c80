"""What strategies find is held against all there is, on a space that is evaluated as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from spaces import job, search, space

import xgraph
from xgraph.data import open_data
from xgraph.recipe import read_recipe
from xgraph.search.evaluate import Evaluator
from xgraph.search.search import Phase
from xgraph.search.strategies.contract import Ask
from xgraph.search.strategies.evolution import Evolution
from xgraph.search.strategies.mfas import Mfas
from xgraph.search.strategies.random import RandomSearch
from xgraph.search.study import Trial
from xgraph.train.fit import fit
from xgraph.train.plan import plan
from xgraph.weights import initialise, load, save

STRATEGIES = {
    "random": RandomSearch(samples=36, batch=6),
    "evolution": Evolution(samples=36, population=8, tournament=4, batch=4),
    "mfas": Mfas(iterations=2, samples=9),
}
HEADED = """network heads
modality top: [1, 4, 8]
modality bottom: [1, 4, 8]
superlayer upper(top) {
  c1: conv(4, 3) -> bn -> relu
  c2: conv(8, 3) -> relu
  flatten -> linear(10)
}
superlayer lower(bottom) {
  c1: conv(4, 3) -> bn -> relu
  c2: dropout(0.5) -> conv(8, 3) -> relu
  flatten -> linear(10)
}
output a = upper
output b = lower
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Trial]]:
    """The trials of all networks, over trained extractors, and of each strategy."""
    folder = tmp_path_factory.mktemp("truth")
    options = ["epochs=6", "batch=32", "train=['@fusion']", "optimizer.lr=0.01", "validation=0.25"]
    given = job(folder, recipe=read_recipe(None, options))
    heads = xgraph.parse(HEADED)
    told = read_recipe(None, ["epochs=10", "batch=32"])
    weights = initialise(xgraph.lower(heads), 0)
    trained = fit(plan(heads, open_data(given.data), told), weights).weights
    kept = {n: trained.get(n, w) for n, w in load(folder / "init.safetensors").items()}
    save(folder / "init.safetensors", kept)
    evaluator = Evaluator(given)

    def everything() -> Any:
        yield [Ask(sample) for sample in space().enumerate()]

    made = search(folder, evaluator=evaluator)
    trials = {"all": made.run([Phase("all", everything, 72)])}
    for name, strategy in STRATEGIES.items():
        other = search(folder / name, evaluator=evaluator)
        trials[name] = other.run([other.strategy("search", strategy)])
    return trials


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_find_what_is_there(name: str, found: dict[str, list[Trial]]) -> None:
    """The same networks have the same scores, and the best found is among the best tenth."""
    truth = {trial.encoding: trial.score for trial in found["all"]}
    assert len(truth) == 72
    for trial in found[name]:
        assert trial.score == pytest.approx(truth[trial.encoding], abs=0.02)
    scores = sorted((score or 0.0 for score in truth.values()), reverse=True)
    best = max(trial.score or 0.0 for trial in found[name])
    assert best >= scores[7]
    assert best > scores[36] + 0.05  # and not because all are alike
