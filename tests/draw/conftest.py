"""Pages in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, final

import pytest


@final
@dataclass
class Opened:
    """A page, what it complained of, and what it asked for from elsewhere."""

    page: Any
    """A `playwright.sync_api.Page`."""
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Open: TypeAlias = Callable[[Path], Opened]


@pytest.fixture
def opened(chromium: Any) -> Iterator[Open]:
    """Opens a file, once what it draws is there."""
    context = chromium.new_context(color_scheme="light")

    def open_(path: Path) -> Opened:
        found = Opened(context.new_page())
        found.page.on("pageerror", lambda error: found.troubles.append(str(error)))
        found.page.on("console", lambda told: found.troubles.append(told.text))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(path.as_uri())
        found.page.wait_for_selector("#picture svg")
        return found

    yield open_
    context.close()
