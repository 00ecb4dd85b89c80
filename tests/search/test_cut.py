"""What does not change is computed once: features and rest are the whole network."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from spaces import space

import xgraph
from xgraph.ir.graph import Graph
from xgraph.search.cut import Cut, cut, merged
from xgraph.space.space import Sample
from xgraph.weights import initialise

INPUTS = {"top": "t", "bottom": "b"}


def digests(weights: dict[str, Any]) -> dict[str, str]:
    return {name: sha256(array.tobytes()).hexdigest() for name, array in weights.items()}


def made(
    sample: Sample, seed: int = 0, trained: Callable[[str], bool] = lambda a: a.startswith("head")
) -> tuple[Graph, dict[str, Any], Cut]:
    low = xgraph.lower(sample.graph())
    weights = initialise(low, seed)
    found = cut(low, ["logits"], trained, INPUTS, digests(weights))
    assert found is not None
    return low, weights, found


def ran(graph: Graph, weights: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    own = {address: weights[address] for address, _ in graph.params()}
    return xgraph.driver.run_module(graph, own, inputs)


@pytest.mark.parametrize("number", [0, 7, 8, 40, 71])
def test_features_and_rest_are_the_whole(number: int) -> None:
    given = space()
    low, weights, found = made(Sample(given, given.region.unrank(number)))
    rng = np.random.default_rng(0)
    inputs = {n: rng.normal(size=(3, 1, 4, 8)).astype(np.float32) for n in INPUTS}
    features = ran(merged([found]), weights, inputs)
    assert set(features) == set(found.rest.inputs) == set(found.features)
    assert all(value.shape in ((3, 4), (3, 8)) for value in features.values())  # pooled
    whole = ran(low, weights, inputs)["logits"]
    assert np.allclose(ran(found.rest, weights, features)["logits"], whole, atol=1e-6)
    assert {a for a, _ in found.rest.params()} == {a for a in weights if a.startswith("head")}


def test_candidates_share_features() -> None:
    given = space()
    cuts = [made(sample)[2] for sample in given.enumerate()]
    assert len(cuts) == 72
    assert len({name for each in cuts for name in each.features}) == 4
    whole = merged(cuts)
    assert len(whole.outputs) == 4
    convolutions = [node for node in whole.nodes() if node.op.name == "conv"]
    assert len(convolutions) == 4  # each once


def test_names_tell_weights_inputs_and_layers() -> None:
    given = space()
    sample = next(given.enumerate())
    low, weights, found = made(sample)
    assert set(made(sample)[2].features) == set(found.features)
    assert not set(made(sample, seed=1)[2].features) & set(found.features)
    other = cut(
        low, ["logits"], lambda a: a.startswith("head"), {**INPUTS, "top": "x"}, digests(weights)
    )
    assert other is not None
    assert len(set(other.features) & set(found.features)) == 1  # that of the bottom


def test_dropout_rests_where_nothing_learns() -> None:
    """In a part that is frozen it does nothing, as in a training of the whole network; in one of
    which a weight is trained it draws, so nothing behind it is a feature."""
    given = space()
    sample = Sample(given, given.region.unrank(3))
    learning = made(sample, trained=lambda a: a.startswith(("head", "lower")))[2]
    names = {node.op.name for node in learning.rest.nodes()}
    assert {"dropout", "conv", "bn"} <= names
    assert "dropout" not in {node.op.name for node in made(sample)[2].rest.nodes()}


def test_a_frozen_part_that_reads_what_is_trained() -> None:
    """Its dropout rests, which the rest alone could not know: such a network is not cut."""
    given = space()
    low = xgraph.lower(Sample(given, given.region.unrank(3)).graph())
    assert (
        cut(
            low, ["logits"], lambda a: a.startswith(("head", "lower.c1")), INPUTS,
            digests(initialise(low, 0)),
        )
        is None
    )  # fmt: skip


def test_nothing_to_train() -> None:
    given = space()
    low = xgraph.lower(next(given.enumerate()).graph())
    assert cut(low, ["logits"], lambda a: False, INPUTS, digests(initialise(low, 0))) is None
