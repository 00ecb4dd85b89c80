"""Options of the tests, and where their support modules are found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stand_in import Machine

# One thread a worker: several that each use all cores wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _own_costs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was measured, here or elsewhere, does not change what tests see."""
    from xgraph.tune.store import keep

    os.environ["XGRAPH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    for target in ("onnx", "torch"):
        keep(target, 3e-6, 1e-10, {})


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing takes next to no time, and tells as much."""
    for name in ("timing.REST", "timing._TURN", "tune.choose._SECONDS", "tune.choose._FINAL"):
        monkeypatch.setattr(f"xgraph.{name}", 1e-4)
    for name in ("tune.choose._ROUNDS", "bench.table._ROUNDS"):
        monkeypatch.setattr(f"xgraph.{name}", 1)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """One that stands in for ONNX Runtime's."""
    from stand_in import Machine

    return Machine().install(monkeypatch)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; skips where there is none."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("xgraph")
    group.addoption(
        "--update",
        action="store_true",
        help="write what the text cases (*.xgt) give now behind their [out]",
    )
    group.addoption(
        "--networks", type=int, default=300, metavar="N", help="how many random networks (300)"
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
