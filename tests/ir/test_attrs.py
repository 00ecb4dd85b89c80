"""Attributes: what each kind accepts, how it is stored, and what it says it wants."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xgraph.ir.attrs import (
    MAX_REAL,
    Attrs,
    Axes,
    AxisRef,
    Boolean,
    Choice,
    Init,
    Initialiser,
    Integer,
    Integers,
    Layer,
    Layers,
    Real,
    Shape,
    Sizes,
    Text,
    Word,
)
from xgraph.ir.types import Axis, symbol

N = symbol("N")

ACCEPTED: list[tuple[Any, Any, Any]] = [
    (Integer(), 3, 3),
    (Integer(), 3.0, 3),
    (Integer(), Axis("T", 3), 3),
    (Integer(words=("same",)), Word("same"), "same"),
    (Integer(0, 5), 0, 0),
    (Real(), 1, 1.0),
    (Real(0.0, 1.0), 1, 1.0),
    (Boolean(), True, True),
    (Choice(("a", "b")), Word("b"), "b"),
    (Sizes(), 3, 3),
    (Sizes(), [3, 5], (3, 5)),
    (Sizes(0, pairs=True), [[1, 2], [0, 0]], ((1, 2), (0, 0))),
    (Sizes(0, pairs=True), [1, [0, 2]], (1, (0, 2))),
    (Sizes(0, ("same",)), "same", "same"),
    (Integers(0), [2, 0], (2, 0)),
    (Shape(), [N, 3, -1], (N, 3, -1)),
    (Shape(), 5, (5,)),
    (AxisRef(), -1, -1),
    (AxisRef(), symbol("T"), "T"),
    (AxisRef(), Axis("T", 39), "T"),
    (AxisRef(), "T", "T"),
    (Axes(), [1, "T"], (1, "T")),
    (Axes(), 1, 1),
    (Text(), "ij->i", "ij->i"),
    (Initialiser(), "zeros", Init("zeros")),
    (Initialiser(), Init("uniform", (-1.0, 1.0)), Init("uniform", (-1.0, 1.0))),
    (Layers(), (Layer("relu", Attrs()),), (Layer("relu", Attrs()),)),
]

REFUSED: list[tuple[Any, Any]] = [
    (Integer(), 0),
    (Integer(), True),
    (Integer(), 2.5),
    (Integer(), 2**31),
    (Integer(), "same"),
    (Integer(), None),
    (Real(), True),
    (Real(), float("inf")),
    (Real(), float("nan")),
    (Real(), 10**400),
    (Real(0.0, 1.0, below=True), 1.0),
    (Real(0.0), -0.1),
    (Boolean(), 1),
    (Choice(("a", "b")), "c"),
    (Sizes(), [1, 2, 3, 4]),
    (Sizes(), []),
    (Sizes(), [[1, 2, 3]]),
    (Sizes(), [[1, 1], [1, 1]]),
    (Sizes(), "valid"),
    (Integers(), 3),
    (Integers(1), [0]),
    (Shape(), [-1, -1]),
    (Shape(), [0]),
    (Shape(), [2.0]),
    (AxisRef(), 8),
    (AxisRef(), N * 2),
    (AxisRef(), True),
    (Axes(), []),
    (Text(), 3),
    (Initialiser(), "he"),
    (Initialiser(), "constant"),
    (Initialiser(), Init("zeros", (1.0,))),
    (Initialiser(), Init("constant", (float("inf"),))),
    (Layers(), ()),
    (Layers(), "relu"),
]


@pytest.mark.parametrize(("kind", "value", "stored"), ACCEPTED)
def test_accepted(kind: Any, value: Any, stored: Any) -> None:
    got = kind.coerce(value)
    assert got == stored
    assert type(got) is type(stored)
    assert kind.coerce(got) == got, "storing twice changes nothing"


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]") as caught:
        kind.coerce(value)
    assert "literal" not in str(caught.value), "the message is ours, not Python's"


@given(st.one_of(st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.none()))
def test_nothing_but_value_error(value: Any) -> None:
    for kind in {type(kind): kind for kind, *_ in ACCEPTED}.values():
        try:
            kind.coerce(value)
        except ValueError:
            continue


class TestAttrs:
    def test_reads_as_names_and_items(self) -> None:
        attrs = Attrs({"a": 1}, b="x")
        assert (attrs.a, attrs["b"], list(attrs), len(attrs)) == (1, "x", ["a", "b"], 2)
        with pytest.raises(AttributeError, match="c"):
            _ = attrs.c

    def test_never_changes(self) -> None:
        attrs = Attrs(a=1)
        with pytest.raises(AttributeError, match=r"Attrs\.but"):
            attrs.a = 2
        assert attrs.but({"b": 3}, a=2) == Attrs(a=2, b=3)
        assert attrs == {"a": 1}

    def test_equal_ones_have_equal_hashes(self) -> None:
        assert hash(Attrs(a=1, b=(2, 3))) == hash(Attrs(b=(2, 3), a=1))

    def test_copies(self) -> None:
        attrs = Attrs(a=(1, N))
        assert copy.deepcopy(attrs) == attrs
        assert pickle.loads(pickle.dumps(attrs)) == attrs


def test_initialisers_print_as_they_are_written() -> None:
    assert str(Init("he_normal")) == "he_normal"
    assert str(Init("uniform", (-0.5, 1.0))) == "uniform(-0.5, 1)"


@pytest.mark.parametrize("value", [1e39, -1e39, 10**400, MAX_REAL * (1 + 1e-15)])
def test_numbers_that_float32_does_not_hold(value: float) -> None:
    with pytest.raises(ValueError, match="that float32 holds"):
        Real().coerce(value)
    with pytest.raises(ValueError, match="that float32 holds"):
        Initialiser().coerce(Init("constant", (value,)))


def test_the_largest_number_is_that_of_float32() -> None:
    largest = float(np.finfo(np.float32).max)
    assert largest == MAX_REAL
    assert Real().coerce(-largest) == -largest
