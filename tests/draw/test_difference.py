"""Two networks beside each other: what changed is signed in both, and told in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from refusals import refused

import xgraph
from xgraph.cli import main
from xgraph.compare import Difference
from xgraph.draw import draw_diff
from xgraph.draw.difference import compared
from xgraph.draw.scene import Sheet

if TYPE_CHECKING:
    from conftest import Open

ROOT = Path(__file__).parents[2]
BASE = """network n
modality x: [3, 8, 8]
superlayer a(x) { p: conv(4, 3) -> relu
  maxpool(2) }
superlayer b(x) { p: conv(4, 3) -> relu
  maxpool(2) }
connect a.p -> b.p by add via conv(4, 1)
output y = add(a, b)
"""
MORE = (
    BASE.replace("p: conv(4, 3) -> relu", "p: conv(4, 5) -> relu", 1)
    .replace("by add", "by max")
    .replace("output y = add(a, b)", "superlayer c(x) { q: maxpool(2) -> conv(4, 3)\n relu }\n"
             "route cc a, c\noutput y = add(a, c)")
)  # fmt: skip


@pytest.fixture
def nets(tmp_path: Path) -> tuple[Path, Path]:
    for name, text in (("a", BASE), ("b", MORE)):
        (tmp_path / f"{name}.xg").write_text(text)
    return tmp_path / "a.xg", tmp_path / "b.xg"


def sheet(before: str, after: str) -> Sheet:
    return compared(Difference(xgraph.parse(before), xgraph.parse(after)))


def signs(found: Sheet, index: int) -> dict[str, str]:
    boxes = (box for top in found.scenes[index].boxes for box in top.walk())
    return {f"{box.kind} {box.title}": box.sign for box in boxes if box.sign}


def test_boxes_are_signed() -> None:
    found = sheet(BASE, MORE)
    assert signs(found, 0) == {
        "layer conv(4, 3)": "~", "connect add to b.p": "~", "layer add": "~", "output y": "~",
    }  # fmt: skip
    assert signs(found, 1) == {
        "layer conv(4, 5)": "~", "connect max to b.p": "~", "layer add": "~", "output y": "~",
        "superlayer c": "+", "label q": "+", "layer maxpool(2)": "+", "layer conv(4, 3)": "+",
        "layer relu": "+", "route cc": "+",
    }  # fmt: skip


def test_every_change_has_its_boxes() -> None:
    found = sheet(BASE, MORE)
    told = Difference(xgraph.parse(BASE), xgraph.parse(MORE))
    assert [each.text for each in found.changes] == [str(change) for change in told.changes]
    for change, said in zip(told.changes, found.changes, strict=True):
        before, after = said.boxes
        assert bool(before) == (change.sign != "+")
        assert bool(after) == (change.sign != "-")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("basecnn", "basecnn_cc"),
        ("xflow_baseline", "xflow"),
        ("xkerasnet", "xfitnet"),
        ("avmnist_late", "avmnist_mfas"),
    ],
)
def test_examples(a: str, b: str) -> None:  # fmt: skip
    before, after = (xgraph.parse(ROOT / "examples" / f"{name}.xg") for name in (a, b))
    found = compared(Difference(before, after))
    for said in found.changes:
        assert any(said.boxes)
        for drawn, ids in zip(found.scenes, said.boxes, strict=True):
            assert set(ids) <= drawn.ids


def test_alike() -> None:
    found = sheet(BASE, BASE)
    assert found.note.startswith("alike, ")
    assert signs(found, 0) == signs(found, 1) == {}


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, args)])


@pytest.mark.parametrize("kind", ["svg", "png", "html"])
def test_the_command(kind: str, nets: tuple[Path, Path], tmp_path: Path) -> None:
    bare, drawn = run(*nets), run(*nets, "-o", tmp_path / f"d.{kind}")
    assert drawn.exit_code == bare.exit_code == 1
    assert drawn.stdout == bare.stdout
    assert drawn.stderr == f"{bare.stderr}wrote {tmp_path / f'd.{kind}'}\n"
    data = json.loads(run(*nets, "--json", "-o", tmp_path / f"d.{kind}").stdout)
    assert data["changes"][0]["kind"] == "superlayer"
    assert (tmp_path / f"d.{kind}").stat().st_size > 2_000


def test_a_picture_of_both(nets: tuple[Path, Path], tmp_path: Path) -> None:
    root = ElementTree.parse(draw_diff(*nets, tmp_path / "d.svg").path).getroot()
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"before: n", "after: n", "+", "~"} <= set(texts)
    kinds = [each.attrib["class"] for each in root.iter("{http://www.w3.org/2000/svg}g")]
    assert kinds.count("box modality leaf") == 2
    assert "box superlayer open added" in kinds
    assert "box label closed changed" in kinds  # of what is within it


def test_the_picture_of_the_docs(tmp_path: Path) -> None:
    names = (ROOT / "examples" / f"{name}.xg" for name in ("basecnn", "basecnn_cc"))
    drawn = draw_diff(*names, tmp_path / "d.svg").path.read_text()
    assert drawn == (ROOT / "docs" / "pictures" / "changed.svg").read_text()


def test_mistakes(nets: tuple[Path, Path], tmp_path: Path) -> None:
    found = run(*nets, "-o", tmp_path / "d.pdf")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "a picture is an .html, .svg or .png" in found.stderr
    assert not (tmp_path / "d.pdf").exists()


@pytest.mark.parametrize("index", [0, 1])
def test_the_networks_stay(index: int, nets: tuple[Path, Path], tmp_path: Path) -> None:
    named = [net.rename(net.with_suffix(".svg")) for net in nets]
    text = named[index].read_text()
    assert refused(draw_diff, *named, named[index]).id == "would-overwrite"
    assert named[index].read_text() == text


def test_the_page(nets: tuple[Path, Path], tmp_path: Path, opened: Open) -> None:
    found = opened(draw_diff(*nets, tmp_path / "d.html").path)
    page = found.page
    assert page.locator(".pane svg").count() == 2
    assert page.locator("h2:visible").all_inner_texts()[:2] == ["before: n", "after: n"]
    changes = page.locator("#changes button").all_inner_texts()
    assert changes == run(*nets).stdout.splitlines()[:-2]
    both = page.locator('[data-id="label:a.p"]')
    assert both.evaluate_all("all => all.map((box) => box.ariaExpanded)") == ["false", "false"]
    page.locator("#changes button", has_text="~ layer a.p.conv1").click()
    assert both.evaluate_all("all => all.map((box) => box.ariaExpanded)") == ["true", "true"]
    assert page.locator(".hit .title").all_text_contents() == ["conv(4, 3)", "conv(4, 5)"]
    both.last.press("Enter")
    assert both.evaluate_all("all => all.map((box) => box.ariaExpanded)") == ["false", "false"]
    page.fill("#words", "sigmoid")
    assert page.inner_text("#found") == "nothing"
    page.fill("#words", "superlayer:c")
    assert page.inner_text("#found") == "1 of 1"
    page.click("#as-table")
    assert page.locator("table").count() == 2
    assert "+ c" in page.locator("table").last.locator("td:first-child").all_inner_texts()
    assert found.troubles == []
    assert [url for url in found.requests if not url.startswith("data:")] == [
        (tmp_path / "d.html").as_uri()
    ]


def test_a_page_of_what_is_alike(nets: tuple[Path, Path], tmp_path: Path, opened: Open) -> None:
    found = opened(draw_diff(nets[0], nets[0], tmp_path / "d.html").path)
    assert "alike" in found.page.inner_text("#told")
    assert found.page.locator("#changes").count() == 0
    assert found.troubles == []


def test_names_are_text(tmp_path: Path, opened: Open) -> None:
    odd = 'einsum("cij->cij")'
    texts = (BASE, BASE.replace("-> relu\n", f"-> {odd}\n", 1))
    for name, text in zip("ab", texts, strict=True):
        (tmp_path / f"{name}.xg").write_text(text)
    found = opened(draw_diff(tmp_path / "a.xg", tmp_path / "b.xg", tmp_path / "d.html").path)
    assert any(odd in told for told in found.page.locator("#changes button").all_inner_texts())
    assert found.troubles == []
