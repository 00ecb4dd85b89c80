"""Damaged examples: `check` answers every one of them, with a graph or with diagnostics, soon.

    pytest tests/test_mutation.py --mutations 100000 --mutation-seed 7

A variant that fails is made again by its number: `variant(texts(), seed, number)`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest
from damage import variant

from xgraph import driver
from xgraph.diagnostics import DiagnosticError, render
from xgraph.source import Source

EXAMPLES = Path(__file__).parent.parent / "examples"
SECONDS = 2.0
"""Of processor time, for one variant."""
USUAL, LONG, PART = 4_000, 20_000, 500
"""How many variants there are by default and among the long tests, and how many to a test."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each part of the variants: the usual ones, and the rest as long tests."""
    if "part" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--mutations")
        total = LONG if asked is None else asked
        parts = [range(first, min(first + PART, total)) for first in range(0, total, PART)]
        usual = USUAL if asked is None else total
        marked = [
            pytest.param(part, id=str(part.start), marks=pytest.mark.long)
            if part.start >= usual
            else pytest.param(part, id=str(part.start))
            for part in parts
        ]
        metafunc.parametrize("part", marked)


def texts() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.rglob("*.xg"))]


def test_every_variant_is_answered(part: range, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--mutation-seed")
    originals = texts()
    for number in part:
        text = variant(originals, seed, number)
        started = time.process_time()
        try:
            answer(text)
        except Exception as error:
            raise AssertionError(f"variant {number} of seed {seed}:\n{text}") from error
        took = time.process_time() - started
        assert took < SECONDS, f"variant {number} of seed {seed} took {took:.1f} s:\n{text}"


def answer(text: str) -> None:
    """What `xgraph check` does with a text."""
    graph, report = driver.check(Source("variant.xg", text), folder=EXAMPLES)
    for diagnostic in report:
        assert render(diagnostic).startswith(f"{diagnostic.severity}[{diagnostic.id}]: ")
    assert report.errors or graph.outputs
    if any(diagnostic.id == "a-space" for diagnostic in report):
        with suppress(DiagnosticError):
            space = driver.space(Source("variant.xg", text), EXAMPLES)
            space.check()
            assert space.sample().text


def test_variants_are_the_same_in_every_run() -> None:
    originals = ["network a\nmodality x: [8]\noutput out = x -> linear(3)\n"]
    some = [variant(originals, 1, number) for number in (0, 1, 2, 1)]
    assert some[1] == some[3]
    assert len(set(some)) == 3
