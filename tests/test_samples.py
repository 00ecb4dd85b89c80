"""Samples: sizes at which a network runs, and inputs of them."""

from __future__ import annotations

import numpy as np
import pytest

from xgraph import lower, parse
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.samples import fitting_sizes, sample_inputs


def made(*lines: str) -> Graph:
    return lower(parse("\n".join(["network n", *lines])))


def test_the_first_size_is_taken_where_all_fit() -> None:
    net = made("dim S", "dim T", "modality x: [T, S]", "output y = x")
    assert fitting_sizes(net) == {"S": 12, "T": 12}
    assert sample_inputs(net)["x"].shape == (2, 12, 12)
    assert sample_inputs(net, 3, sizes={"T": 5, "S": 1})["x"].shape == (3, 5, 1)


def test_no_open_axis_needs_no_size() -> None:
    assert fitting_sizes(made("modality x: [3]", "output y = x")) == {}


@pytest.mark.parametrize(
    ("shape", "flow", "size"),
    [
        ("[T - 20, 3]", "z", 32),  # 12 - 20 is less than 1
        ("[10 - T, 3]", "z", 6),  # nor is 10 - 12
        ("[3, T]", "z -> conv(4, 30, pad = valid)", 32),  # a window of 30 fits into 32
        ("[T, 3]", "z -> slice(0, 100, axis = T)", 128),
        ("[T, 3]", "z -> slice(-33, -1, axis = T)", 64),
    ],
)
def test_sizes_are_chosen_that_fit(shape: str, flow: str, size: int) -> None:
    net = made("dim T", f"modality z: {shape}", f"output y = {flow}")
    assert fitting_sizes(net) == {"T": size}
    assert all(np.size(array) for array in sample_inputs(net).values())


def test_two_axes_may_have_two_sizes() -> None:
    net = made("dim S", "dim T", "modality x: [T - S]", "modality w: [S]", "output y = x")
    assert fitting_sizes(net) == {"S": 12, "T": 32}


@pytest.mark.parametrize("size", ["T - 5000", "T * 1000000000000"])
def test_what_never_fits_is_said(size: str) -> None:
    net = made("dim T", f"modality z: [{size}]", "output y = z")
    assert fitting_sizes(net) is None
    with pytest.raises(DiagnosticError, match="no sizes were found at which `n` runs"):
        sample_inputs(net)
