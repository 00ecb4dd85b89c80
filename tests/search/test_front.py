"""The Pareto front is what comparing all with all gives."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from made_trials import trial

from xgraph.search.front import front, known
from xgraph.search.study import OBJECTIVES, Trial

FEW = st.integers(0, 4)


@st.composite
def trials(draw: st.DrawFn) -> list[Trial]:
    """Few values, so that many are equal; some failed, some were not timed."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        score = draw(st.one_of(st.none(), FEW))
        found.append(
            trial(
                number, None if score is None else score / 4, params=draw(FEW), macs=draw(FEW),
                latency=draw(st.one_of(st.none(), FEW.map(float))),
            )
        )  # fmt: skip
    return draw(st.permutations(found))


def costs(made: Trial, names: list[str]) -> list[float] | None:
    if made.score is None or ("macs" in names and made.macs == 0):
        return None
    values = [getattr(made, name) for name in names]
    if None in values:
        return None
    return [-v if name == "score" else v for name, v in zip(names, values, strict=True)]


def brute(made: list[Trial], names: list[str]) -> set[int]:
    """Numbers of those that nothing beats: better in one and as good in all, or equal in all and
    before it."""
    able = [(t.number, c) for t in made if (c := costs(t, names)) is not None]

    def beats(a: tuple[int, list[float]], b: tuple[int, list[float]]) -> bool:
        as_good = all(x <= y for x, y in zip(a[1], b[1], strict=True))
        return as_good and (a[1] != b[1] or a[0] < b[0])

    return {one[0] for one in able if not any(beats(other, one) for other in able)}


@given(trials(), st.lists(st.sampled_from(OBJECTIVES), min_size=1, unique=True))
def test_it_is_what_brute_force_finds(made: list[Trial], names: list[str]) -> None:
    assert {t.number for t in front(made, names)} == brute(made, names)


@given(trials())
def test_no_larger_network_of_it_is_worse(made: list[Trial]) -> None:
    """The best score is first; from there on scores and sizes fall."""
    found = front(made)
    assert [t.score for t in found] == sorted({t.score or 0 for t in found}, reverse=True)
    assert [t.params for t in found] == sorted({t.params for t in found}, reverse=True)


def test_what_failed_is_not_on_it() -> None:
    made = [trial(0, None, params=1), trial(1, math.nan, params=1), trial(2, 0.5)]
    assert [t.number for t in front(made)] == [2]
    assert front([]) == front(made[:2]) == []


def test_objectives_are_known_where_all_have_them() -> None:
    assert known([trial(0, 0.5), trial(1, None)]) == ["score", "params", "macs"]
    assert known([trial(0, 0.5, latency=0.1)]) == list(OBJECTIVES)
    assert known([trial(0, 0.5, latency=0.1), trial(1, 0.5)]) == ["score", "params", "macs"]
    assert known([trial(0, 0.5, macs=0)]) == ["score", "params"]
    assert known([trial(0, None)]) == []
