"""Subsets, validation sets, folds and groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xgraph.data import ArrayColumn, Split, chosen, folds, held_out, one_group_out
from xgraph.diagnostics import DiagnosticError

LABELS = np.repeat(np.arange(4), [40, 20, 10, 30])


def split(labels: Any = LABELS) -> Split:
    return Split.of("train", "here", {"label": ArrayColumn(labels)})


@given(st.floats(0.05, 1.0), st.integers(0, 5))
def test_every_class_keeps_its_share(fraction: float, seed: int) -> None:
    part = chosen(split(), fraction, LABELS, seed)
    counts = np.bincount(part.whole("label"), minlength=4)
    assert counts.tolist() == [max(1, round(fraction * n)) for n in (40, 20, 10, 30)]
    assert np.array_equal(part.rows, chosen(split(), fraction, LABELS, seed).rows)


def test_what_is_held_out() -> None:
    train, val = held_out(split(), 0.2, LABELS)
    assert np.bincount(val.whole("label")).tolist() == [8, 4, 2, 6]
    assert sorted([*train.rows, *val.rows]) == list(range(100))


def test_every_row_is_tested_once() -> None:
    tested = []
    for train, test in folds(split(), 5, LABELS):
        assert not set(train.rows) & set(test.rows)
        assert np.bincount(test.whole("label")).tolist() == [8, 4, 2, 6]
        tested += test.rows.tolist()
    assert sorted(tested) == list(range(100))


def test_one_group_out() -> None:
    for value, train, test in one_group_out(split(), "label"):
        assert set(test.whole("label")) == {value}
        assert value not in train.whole("label")


def test_what_cannot_be() -> None:
    with pytest.raises(DiagnosticError, match="11 folds cannot be made of 10 rows of the rarest"):
        list(folds(split(), 11, LABELS))
    with pytest.raises(DiagnosticError, match="no column `person`"):
        list(one_group_out(split(), "person"))
    with pytest.raises(DiagnosticError, match="one group alone"):
        list(one_group_out(split(np.zeros(5, int)), "label"))
    with pytest.raises(DiagnosticError, match="too few rows"):
        held_out(split(np.arange(5)), 0.5, np.arange(5))
    with pytest.raises(DiagnosticError, match="fraction"):
        chosen(split(), 0.0, LABELS)
