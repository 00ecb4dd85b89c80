"""Options of the tests, and where their support modules are found."""

from __future__ import annotations

import os

import pytest

# One thread a worker: several that each use all cores wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("xgraph")
    group.addoption(
        "--update",
        action="store_true",
        help="write what the text cases (*.xgt) give now behind their [out]",
    )
    group.addoption(
        "--networks", type=int, default=500, metavar="N", help="how many random networks (500)"
    )
    group.addoption(
        "--first-network", type=int, default=0, metavar="N", help="the seed of the first (0)"
    )
    group.addoption(
        "--mutations", type=int, metavar="N", help="how many damaged variants are checked"
    )
    group.addoption(
        "--mutation-seed", type=int, default=1, metavar="N", help="which ones (1 by default)"
    )
