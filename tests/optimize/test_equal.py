"""Optimised networks compute what they did, in both backends, and weights go both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from agreement import TOLERANCE, Arrays, distance, random_weights, torch_outputs
from foldable import foldable_network
from random_chains import SIZES
from random_networks import random_network

from xgraph import lower, parse
from xgraph.backends.onnx import to_onnx
from xgraph.backends.torch import to_module
from xgraph.build import build_source
from xgraph.ir.graph import Graph
from xgraph.ir.types import BATCH
from xgraph.optimize.costs import Costs
from xgraph.optimize.levels import LEVELS, PASSES, optimize
from xgraph.optimize.network import Optimized
from xgraph.runtime import Session
from xgraph.samples import sample_inputs
from xgraph.source import Source

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.xg"))
MANY = [("basecnn_cc", {"paths": 4}), ("basecnn_cp", {"paths": 3}),
        ("basecnn_static", {"router": "nddr"}), ("basecnn_static", {"router": "sluice"}),
        ("resnet_cifar_cc", {"paths": 4}), ("xflow", {"digits": True})]  # fmt: skip
COSTS = (Costs("onnx"), Costs("torch"), Costs("onnx"), Costs("inductor", channels_last=True))
CHUNKS, EACH = 10, 8


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def outputs(low: Graph, weights: Arrays, inputs: Arrays) -> Arrays:
    return torch_outputs(to_module(low, weights).eval(), low, inputs)


def check(low: Graph, told: str, seed: int, *, onnx: bool = True) -> Optimized:
    """One network, after some passes for one target or another, with random weights."""
    weights = random_weights(low, seed)
    made = optimize(low, told, costs=COSTS[seed % len(COSTS)])
    own = made.weights(weights)
    assert own.keys() == {name for name, _ in made.graph.params()}
    back = made.undone(own)
    assert {n: a.shape for n, a in back.items()} == {n: a.shape for n, a in weights.items()}
    inputs = sample_inputs(low, SIZES[1][BATCH], seed, {"T": SIZES[1]["T"]})
    wanted = outputs(low, weights, inputs)
    assert distance(wanted, outputs(made.graph, own, inputs)) < TOLERANCE
    assert distance(wanted, outputs(low, back, inputs)) < TOLERANCE
    if onnx:
        session = Session(to_onnx(made.graph, own).SerializeToString(), threads=1)
        assert distance(wanted, session.run(inputs)) < TOLERANCE
    return made


@pytest.fixture(params=[random_network, foldable_network], ids=["any", "foldable"])
def author(request: pytest.FixtureRequest) -> Callable[[int], str]:
    """Who writes networks by their seeds."""
    found: Callable[[int], str] = request.param
    return found


def checked(author: Callable[[int], str], seeds: range) -> None:
    """One of the passes by itself, in turn, and all of them."""
    for seed in seeds:
        low = lower(build_source(Source(f"seed {seed}", author(seed))))
        alone = PASSES[seed // 2 % len(PASSES)]
        for told in (alone, "1", "2"):
            check(low, told, seed, onnx=told == "2")


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_networks(author: Callable[[int], str], chunk: int) -> None:
    checked(author, range(chunk * EACH, (chunk + 1) * EACH))


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(40))
def test_many_random_networks(author: Callable[[int], str], chunk: int) -> None:
    checked(author, range(1000 + 50 * chunk, 1050 + 50 * chunk))


@pytest.mark.parametrize(("name", "settings"), [*((name, {}) for name in NAMES), *MANY])
def test_examples(name: str, settings: dict[str, object]) -> None:
    low = lower(parse(EXAMPLES / f"{name}.xg", settings))
    check(low, "1", 0, onnx=False)
    made = check(low, "2", 0)
    assert len(made.graph) <= len(low) + 3


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_bytes(level: str) -> None:
    """Nothing depends on the order of sets."""
    low = lower(parse(EXAMPLES / "basecnn_cc.xg", {"paths": 3}))
    weights = random_weights(low, 0)
    one, two = (optimize(low, level) for _ in range(2))
    assert list(one.sources) == list(two.sources)
    models = [to_onnx(o.graph, o.weights(weights)).SerializeToString() for o in (one, two)]
    assert models[0] == models[1]


def test_the_network_stays_as_it_is() -> None:
    low = lower(parse(EXAMPLES / "basecnn_cc.xg"))
    before = [(node, node.inputs, node.attrs) for node in low.nodes()]
    optimize(low, "2")
    assert [(node, node.inputs, node.attrs) for node in low.nodes()] == before


def test_undone_weights_are_those_that_were_where_nothing_is_folded() -> None:
    low = lower(parse(EXAMPLES / "basecnn_cc.xg", {"paths": 4}))
    weights = random_weights(low, 0)
    made = optimize(low, "tidy,join-paths")
    back = made.undone(made.weights(weights))
    for name, param in low.params():
        if param.kind != "counter":
            assert np.array_equal(back[name], weights[name]), name
