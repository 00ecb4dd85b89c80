"""Picks, their numbers and their text: bijections, exact sizes, uniform draws."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xgraph.space import encoding
from xgraph.space.algebra import Leaf, Options, Pick, Product, Region, Repeated

Strategy = st.SearchStrategy[Any]

_leaves = st.builds(Leaf, st.integers(1, 5), st.integers(-2, 3))
_rows = st.lists(_leaves, min_size=1, max_size=3).map(lambda parts: Product(tuple(parts)))


def _several(inner: Strategy) -> Strategy:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    least = st.integers(1, 2)
    repeated = least.flatmap(lambda low: st.builds(Repeated, inner, st.just(low), st.just(low + 1)))
    return st.one_of(st.builds(Options, parts), st.builds(Product, parts), repeated)


regions = st.recursive(_leaves, _several, max_leaves=6)


@given(regions, st.integers(0))
def test_rank_and_unrank_are_inverse(region: Region, number: int) -> None:
    pick = region.unrank(number % region.size)
    assert region.rank(pick) == number % region.size
    assert len(region.vector(pick)) == region.width


@given(regions)
def test_every_pick_is_another(region: Region) -> None:
    if region.size <= 500:
        assert len({region.unrank(number) for number in range(region.size)}) == region.size


@given(regions, st.integers(0), st.integers(0), st.integers(0, 9))
def test_picks_near_and_between_are_picks(region: Region, a: int, b: int, seed: int) -> None:
    one, other = (region.unrank(number % region.size) for number in (a, b))
    child = region.cross(one, other, Random(seed))
    assert region.unrank(region.rank(child)) == child
    assert region.cross(one, one, Random(seed)) == one
    for near, _ in zip(region.neighbours(one), range(50), strict=False):
        assert near != one
        assert region.unrank(region.rank(near)) == near


@given(regions)
def test_a_cover_takes_every_option(region: Region) -> None:
    """So each integer that some pick has in some place of its vector, one of the cover has."""
    picks = [region.cover(number) for number in range(region.breadth)]
    assert all(region.unrank(region.rank(pick)) == pick for pick in picks)
    if region.size <= 300:
        everything = [region.vector(region.unrank(number)) for number in range(region.size)]
        covered = [region.vector(pick) for pick in picks]
        for place in range(region.width):
            wanted = {vector[place] for vector in everything} - {0}
            assert wanted <= {vector[place] for vector in covered}


def _named(parts: list[Region]) -> Product:
    return Product(tuple(parts), tuple(f"d{i}" for i in range(len(parts))))


_decisions = st.one_of(_leaves, st.builds(Repeated, _rows, st.just(1), st.integers(1, 3)))
_groups = st.lists(_decisions, max_size=3).map(_named)


def _choices(groups: Strategy) -> Strategy:
    """Options whose decisions have names of their own."""

    def renamed(parts: list[Product]) -> Product:
        options = tuple(
            Product(part.parts, tuple(f"o{i}{name}" for name in part.names))
            for i, part in enumerate(parts)
        )
        return Product((Options(options),), ("pick",))

    return st.lists(groups, min_size=1, max_size=3).map(renamed)


@given(st.one_of(_groups, _choices(_groups)), st.integers(0))
def test_encodings_are_read_back(space: Product, number: int) -> None:
    pick = space.unrank(number % space.size)
    text = encoding.write(encoding.encoded(space, pick))
    assert encoding.decoded(space, encoding.read(text)) == pick


@given(st.text("abc:;(),- 0123456789", max_size=40))
def test_what_is_no_encoding_is_strange(text: str) -> None:
    space = Product((Leaf(3), Repeated(Product((Leaf(2), Leaf(2))), 1, 2)), ("a", "b"))
    try:
        pick = encoding.decoded(space, encoding.read(text))
    except encoding.Strange:
        return
    assert space.unrank(space.rank(pick)) == pick


SPACE = Options(
    (Product((Leaf(2), Leaf(3))), Repeated(Leaf(2), 1, 3), Product((Leaf(1),)), Leaf(4, first=0)),
)


def _draws(region: Region, count: int) -> Counter[Pick]:
    rng = Random(5)
    return Counter(region.draw(rng) for _ in range(count))


def test_draws_are_uniform() -> None:
    """Chi-squared of 25 cells: over 43 once in a hundred seeds (24 degrees of freedom)."""
    assert SPACE.size == 6 + 14 + 1 + 4
    found = _draws(SPACE, 25_000)
    assert sum((found[SPACE.unrank(n)] - 1000) ** 2 / 1000 for n in range(SPACE.size)) < 43


def test_chances_are_kept() -> None:
    """Three bits of 0.2, and a leaf beside them that stays uniform."""
    bit = Leaf(2, 0, (0.8, 0.2))
    space = Product((Repeated(Product((bit, Leaf(2))), 1, 2), bit))
    draws = _draws(space, 20_000)
    last = sum(count for (_, bit), count in draws.items() if bit)
    long = sum(count for (rows, _), count in draws.items() if len(rows) == 2)
    fair = sum(count for (rows, _), count in draws.items() if rows[0][1])
    assert last == pytest.approx(4_000, rel=0.05)
    assert long == pytest.approx(16_000, rel=0.05)
    assert fair == pytest.approx(10_000, rel=0.05)


def test_sizes_are_exact_however_large() -> None:
    space = Repeated(Product((Leaf(30),)), 1, 64)
    assert space.size == sum(30**k for k in range(1, 65))
    assert space.rank(space.unrank(space.size - 1)) == space.size - 1
