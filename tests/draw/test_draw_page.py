"""The page of a network, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xgraph.draw import draw

if TYPE_CHECKING:
    from conftest import Open

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES, SPACES = sorted(FOLDER.glob("*.xg")), sorted(FOLDER.glob("spaces/*.xg"))
LARGE = "network n\nmodality a: [4]\n{}\noutput y = mean(p0, p9)\n".format(
    "\n".join(
        f"superlayer p{i}(a) {{ {' -> '.join(['relu'] * 999 + ['sigmoid'])} }}" for i in range(10)
    )
)
"""Ten thousand layers."""


def boxes(page: Any) -> int:
    return int(page.locator("#picture .box").count())


def width(page: Any) -> float:
    return float(page.locator("#picture svg").get_attribute("width"))


@pytest.mark.parametrize("path", [*EXAMPLES, *SPACES], ids=lambda path: path.stem)
def test_every_example(path: Path, tmp_path: Path, opened: Open) -> None:
    found = opened(draw(path, tmp_path / "net.html").path)
    page = found.page
    first = boxes(page)
    closed = page.locator("#picture .box.closed").first
    if closed.count():
        name = closed.get_attribute("data-id")
        closed.click()
        assert boxes(page) > first
        again = page.locator(f'[data-id="{name}"]')
        assert again.get_attribute("aria-expanded") == "true"
        again.press("Enter")
        assert boxes(page) == first
    ink = "getComputedStyle(document.querySelector('#picture text')).fill"
    light = page.evaluate(ink)
    page.click("#theme")
    assert page.evaluate(ink) != light
    page.keyboard.press("/")
    page.keyboard.type("output:")
    assert page.inner_text("#found").startswith("1 of ")
    assert page.locator("#picture .box.hit").count() == 1
    page.click("#as-table")
    assert page.locator("#table tbody tr").count() >= first
    page.click("#as-table")
    before = width(page)
    page.click("#larger")
    assert width(page) == pytest.approx(1.25 * before)
    assert found.troubles == []
    assert [url for url in found.requests if not url.startswith("data:")] == [
        (tmp_path / "net.html").as_uri()
    ]


def test_keys(opened: Open, tmp_path: Path) -> None:
    page = opened(draw(EXAMPLES[0], tmp_path / "net.html").path).page
    page.locator("#picture").focus()
    names = []
    for _ in range(3):
        page.keyboard.press("ArrowDown")
        names.append(page.evaluate("document.activeElement.dataset.id"))
    assert len(set(names)) == 3
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.id") == names[1]
    before = width(page)
    page.keyboard.press("-")
    assert width(page) == pytest.approx(0.8 * before)


def test_a_large_network(tmp_path: Path, opened: Open) -> None:
    """Most of it is in closed boxes, which a search opens."""
    (tmp_path / "net.xg").write_text(LARGE)
    found = opened(draw(tmp_path / "net.xg", tmp_path / "net.html").path)
    page = found.page
    assert boxes(page) <= 200
    page.fill("#words", "sigmoid")
    assert page.inner_text("#found") == "1 of 10"
    assert page.text_content(".hit .title") == "sigmoid"
    page.keyboard.press("Enter")
    assert page.inner_text("#found") == "2 of 10"
    page.mouse.wheel(0, 600)
    page.click("#open-all")
    assert "too many to draw" in page.inner_text("#told")
    page.click("#close-all")
    assert boxes(page) == 13
    assert found.troubles == []


def test_markup_is_text(tmp_path: Path, opened: Open) -> None:
    """Names are checked by the language; what else a box says is not."""
    (tmp_path / "net.xg").write_text(
        "network n\nmodality a: [3, 4, 5]\n"
        'superlayer p(a) { einsum("abc->cab") -> relu }\noutput y = p\n'
    )
    page = draw(tmp_path / "net.xg", tmp_path / "net.html").path
    odd = r"\u003c/script>\u003cimg src=x>"
    text = page.read_text()
    assert "abc->cab" in text
    page.write_text(text.replace("abc->cab", odd))
    found = opened(page)
    assert found.page.locator("img").count() == 0
    assert "</script><img src=x>" in found.page.locator("#picture").text_content()
    assert found.troubles == []
