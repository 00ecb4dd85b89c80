"""The pages of a folder in a browser, while a training runs in it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sets import DIGITS, digits_folder

if TYPE_CHECKING:
    from conftest import Server

POINTS = "() => Number(document.querySelector('figure').dataset.points)"


@pytest.fixture
def training(place: Path, server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """One with more epochs than anyone waits for."""
    digits_folder(place / "digits", rows=300, test=100)
    (place / "net.xg").write_text(DIGITS)
    (place / "<i>wrong.xg").write_text("network\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "xgraph.cli", "train", "net.xg", "--data", "digits",
         "--epochs", "100000", "-o", "run"],
        cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page that must not complain."""
    context = chromium.new_context(color_scheme="dark")
    found, troubles = context.new_page(), list[str]()
    found.on("pageerror", lambda error: troubles.append(str(error)))
    found.on("console", lambda told: troubles.append(told.text))
    yield found
    context.close()
    assert troubles == []


def test_a_training_is_watched(
    training: subprocess.Popen[bytes], server: Server, page: Any
) -> None:
    page.goto(server.address)
    page.wait_for_selector("section[data-part='Networks'] a")
    assert page.locator("section[data-part='Networks'] a").all_inner_texts() == [
        "<i>wrong.xg", "net.xg",
    ]  # fmt: skip
    going = page.locator("section[data-part='In progress'] tbody tr")
    latest = going.locator("td:nth-child(4)")
    latest.filter(has_text="epoch").wait_for(timeout=60_000)
    link = going.get_by_role("link", name="run")
    link.focus()
    page.evaluate("window.held = document.activeElement")
    before = latest.inner_text()
    page.wait_for_function("told => document.querySelector("
                           "\"[data-part='In progress'] td:nth-child(4)\").innerText !== told",
                           arg=before)  # fmt: skip
    assert page.evaluate("document.activeElement === window.held && window.held.isConnected")

    page.keyboard.press("Enter")
    page.wait_for_selector("figure canvas")
    first = page.evaluate(POINTS)
    page.wait_for_function(f"() => ({POINTS})() > {first}")
    assert page.locator("figcaption").all_inner_texts()[0] == "loss"
    assert "running" in page.inner_text("#about")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != colour
    training.send_signal(signal.SIGINT)
    page.locator("#about").filter(has_text="interrupted").wait_for()

    page.get_by_role("link", name="net.xg").click()
    page.wait_for_selector("#picture svg .box")
    assert page.inner_text("h1") == "digits"
