"""Spaces on which names once stood for two decisions, or a search had no end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import ROOT

from xgraph import Space
from xgraph.diagnostics import DiagnosticError
from xgraph.source import Source

CELLS = "cells: 1; layers: 2; width: 8; ops: conv(3), maxpool(3); activations: relu, tanh"


@pytest.mark.parametrize(
    "text",
    [
        # A super-layer that is called like a hole.
        f"superlayer choice1(x) = randomnet {{ {CELLS} }}\n"
        "output y = choice1 -> choice(relu, tanh)",
        # A second space of one name, and a super-layer that has the name it would get.
        f"param big = true\nif big {{\nsuperlayer a(x) = randomnet {{ {CELLS} }}\n}} else {{\n"
        f"superlayer a(x) = randomnet {{ {CELLS.replace('conv(3)', 'conv(5)')} }}\n}}\n"
        f"superlayer a_2(x) = randomnet {{ {CELLS.replace('conv(3)', 'conv(7)')} }}\n"
        "output y = add(a, a_2)",
    ],
)
def test_every_decision_has_a_name_of_its_own(text: str) -> None:
    space = Space.load(f"network t\nmodality x: [3, 16, 16]\n{text}\n")
    for sample in space.samples(20, seed=3):
        assert space.decode(sample.encoding).text == sample.text
        assert space.contains(sample.graph())


def test_a_feature_that_is_called_like_a_layer_of_the_fusion() -> None:
    text = """network t
modality x: [3, 16, 16]
superlayer a(x) { f1: conv(4, 3); f2: conv(4, 3) }
let h1 = a.f1 -> relu
fusion head(a, h1) = mfas { features: [h1, a.f2]; layers: 2; units: 5; activations: relu }
output y = head
"""
    with pytest.raises(DiagnosticError) as raised:
        Space.load(text)
    assert raised.value.diagnostics[0].id == "name-taken"


def test_no_more_networks_than_there_are_in_a_weighted_space() -> None:
    space = Space.load(
        f"network w\nmodality x: [3, 8, 8]\nsuperlayer a(x) = randomnet {{ {CELLS}; skip: 0 }}\n"
        "output y = a\n"
    )
    with pytest.raises(DiagnosticError) as raised:
        list(space.samples(100, unique=True))
    assert raised.value.diagnostics[0].id == "too-few-networks"


HOLES = (
    "network n\nmodality x: [3]\nsuperlayer a(x) { linear(choice(4, 8)) -> linear(2) }\noutput a\n"
)


@pytest.mark.parametrize("given", [3, {"choice1": "one"}, {"choice1": 1.5}, {"choice1": None}, [1]])
def test_what_is_no_encoding(given: Any) -> None:
    with pytest.raises(DiagnosticError, match="no encoding"):
        Space.read(Source("s.xg", HOLES), Path()).decode(given)


def test_rows_as_lists_and_arrays() -> None:
    space = Space.load(ROOT / "examples" / "spaces" / "avmnist_mfas.xg")
    sample = space.sample(3)
    as_lists = {name: [list(row) for row in rows] for name, rows in sample.rows.items()}
    as_arrays = {name: np.array(rows) for name, rows in sample.rows.items()}
    for given in (sample.encoding, as_lists, as_arrays):
        assert space.decode(given).encoding == sample.encoding


def test_samples_of_another_space() -> None:
    space = Space.read(Source("s.xg", HOLES), Path())
    other = Space.load(ROOT / "examples" / "spaces" / "avmnist_mfas.xg").sample()
    for use in (space.encode, space.vector, space.neighbours, lambda s: space.crossover(s, s)):
        with pytest.raises(DiagnosticError, match=r"sample of .* is wanted"):
            use(other)


def test_a_negative_seed() -> None:
    with pytest.raises(DiagnosticError, match="`seed`"):
        Space.read(Source("s.xg", HOLES), Path()).sample(-1)
