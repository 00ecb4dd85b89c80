"""What was measured decides what is joined."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import TOLERANCE, distance, random_weights, torch_outputs
from random_chains import SIZES
from random_networks import random_network

from xgraph import lower
from xgraph.backends.torch import to_module
from xgraph.build import build_source
from xgraph.ir.graph import Graph
from xgraph.ir.types import BATCH
from xgraph.optimize.costs import Case, Costs
from xgraph.optimize.levels import optimize
from xgraph.samples import sample_inputs
from xgraph.source import Source
from xgraph.tune.cases import cases_of

TWO = """network two
modality a: [3, 8, 8]
modality b: [3, 8, 8]
superlayer p(a) { conv(4, 3) -> relu -> conv(4, 3) }
superlayer q(b) { conv(4, 3) -> relu -> conv(4, 3) }
output y = add(p, q)
"""
FIRST = Case("conv", 2, 3, 4, (3, 3), (8, 8), 8)
SECOND = Case("conv", 2, 4, 4, (3, 3), (8, 8), 8)
FAST, SLOW = 1e-4, 1e-3


def network(text: str = TWO) -> Graph:
    return lower(build_source(Source("<test>", text)))


def convs(costs: Costs) -> list[int]:
    """The groups of each convolution."""
    made = optimize(network(), "join-paths", costs=costs).graph
    return [node.resolved.groups for node in made.nodes() if node.op.name == "conv"]


def test_what_is_asked() -> None:
    assert cases_of(network(), [8]) == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("first", "second", "groups"),
    [
        ((FAST, SLOW), (FAST, SLOW), [2, 2]),
        ((SLOW, FAST), (SLOW, FAST), [1, 1, 1, 1]),
        ((SLOW, FAST), (FAST, SLOW), [1, 1, 2]),
        ((FAST, SLOW), (SLOW, FAST), [2, 1, 1]),
    ],
)
def test_the_faster_is_taken(
    first: tuple[float, float], second: tuple[float, float], groups: list[int]
) -> None:
    assert convs(Costs(batch=8, cases={FIRST: first, SECOND: second})) == groups


def test_copies_count() -> None:
    """What joining saves may be less than bringing values side by side takes."""
    cases = {FIRST: (FAST, FAST + 1e-6), SECOND: (FAST, FAST + 1e-6)}
    assert convs(Costs(batch=8, cases=cases)) == [1, 1, 1, 1]
    assert convs(Costs(batch=8, call=1e-7, byte=0, cases=cases)) == [2, 2]


def test_the_nearest_case_decides() -> None:
    far = Case("conv", 4, 64, 64, (3, 3), (8, 8), 8)
    assert convs(Costs(batch=8, cases={FIRST: (FAST, SLOW), far: (SLOW, FAST)})) == [2, 2]
    assert convs(Costs(batch=8, cases={FIRST: (SLOW, FAST), far: (FAST, SLOW)})) == [1, 1, 1, 1]


def test_times_grow_with_the_work() -> None:
    small, large = (Case("conv", 2, 4, 4, (3, 3), (8, 8), batch) for batch in (1, 64))
    costs = Costs(batch=64, cases={small: (FAST, SLOW)})
    low = network()
    layers = [node for node in low.nodes() if node.op.name == "conv"][:2]
    assert small.distance(large) == 6
    assert np.isclose(costs.saved(layers), 64 * 3 / 4 * (SLOW - FAST))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_decided_computes_the_same(seed: int) -> None:
    low = lower(build_source(Source(f"seed {seed}", random_network(seed))))
    rng = np.random.default_rng(seed)
    cases = {case: tuple(rng.choice([FAST, SLOW], 2)) for case in cases_of(low, [2])}
    costs = Costs(batch=2, byte=10.0 ** rng.integers(-14, -8), cases=cases)
    made = optimize(low, "2", costs=costs)
    weights = random_weights(low, seed)
    inputs = sample_inputs(low, SIZES[1][BATCH], seed, {"T": SIZES[1]["T"]})
    wanted = torch_outputs(to_module(low, weights).eval(), low, inputs)
    own = made.weights(weights)
    found = torch_outputs(to_module(made.graph, own).eval(), made.graph, inputs)
    assert distance(wanted, found) < TOLERANCE
