"""`xgraph draw`: pictures in files."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from refusals import refused

from xgraph.cli import main
from xgraph.draw import draw
from xgraph.space import Space

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted([*FOLDER.glob("*.xg"), *FOLDER.glob("spaces/own_space.xg")])
NAMES = {path.stem for path in EXAMPLES}
PICTURES = [
    path for path in sorted((Path(__file__).parents[2] / "docs" / "pictures").glob("*.svg"))
    if path.stem in NAMES
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"
NET = """network net
modality image: [3, 8, 8]
modality sound: [40]
superlayer see(image) { b1: conv(4, 3) -> relu
  globalavgpool }
superlayer hear(sound) { linear(4) -> relu }
fusion head(see, hear) { concat -> linear(10) }
output logits = head
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "net.xg").write_text(NET)
    return tmp_path / "net.xg"


def boxes(path: Path) -> dict[str, list[str]]:
    """The texts of each box by its id."""
    root = ElementTree.parse(path).getroot()
    return {
        box.attrib["data-id"]: [text.text or "" for text in box.iter(f"{SVG}text")]
        for box in root.iter(f"{SVG}g")
    }


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["draw", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


def test_a_picture(net: Path, tmp_path: Path) -> None:
    told = run(net, "-o", tmp_path / "net.svg")
    assert (
        told
        == f"wrote {tmp_path / 'net.svg'}\n2 parts are in collapsed boxes, which `--expand` opens\n"
    )
    found = boxes(tmp_path / "net.svg")
    assert found["superlayer:see"] == []
    heads = ElementTree.parse(tmp_path / "net.svg").getroot().findall(f"{SVG}text")
    assert [head.text for head in heads] == ["see", "hear", "head"]  # over the wires
    assert found["label:see.b1"] == ["b1", "4x8x8"]
    assert ["linear(10)", "10"] in found.values()
    assert ["conv(4, 3)", "4x8x8"] not in found.values()


def test_all_that_blocks_hold(net: Path, tmp_path: Path) -> None:
    assert "collapsed" not in run(net, "--expand", "-o", tmp_path / "net.svg")
    assert ["conv(4, 3)", "4x8x8"] in boxes(tmp_path / "net.svg").values()


def test_boxes_are_within_those_around_them(net: Path, tmp_path: Path) -> None:
    run(net, "--expand", "-o", tmp_path / "net.svg")
    root = ElementTree.parse(tmp_path / "net.svg").getroot()
    places = {
        box.attrib["data-id"]: [float(rect.attrib[k]) for k in ("x", "y", "width", "height")]
        for box in root.iter(f"{SVG}g") for rect in box.findall(f"{SVG}rect")
    }  # fmt: skip
    (x, y, width, height), inner = places["superlayer:see"], places["label:see.b1"]
    assert x <= inner[0] <= inner[0] + inner[2] <= x + width
    assert y <= inner[1] <= inner[1] + inner[3] <= y + height


def test_dots(net: Path, tmp_path: Path) -> None:
    run(net, "-o", tmp_path / "net.PNG")
    data = (tmp_path / "net.PNG").read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 200
    assert height > 600


def test_the_same_bytes(net: Path, tmp_path: Path) -> None:
    for kind in ("svg", "png", "html"):
        files = [draw(net, tmp_path / f"{name}.{kind}").path for name in ("one", "two")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example(path: Path, tmp_path: Path) -> None:
    assert draw(path, tmp_path / "net.svg").path.stat().st_size > 2_000
    found = boxes(tmp_path / "net.svg")
    assert len(found) <= 200
    assert any(box.startswith("output:") for box in found)


def test_names_are_text(tmp_path: Path) -> None:
    net = tmp_path / "net.xg"
    net.write_text(NET.replace("conv(4, 3)", 'einsum("cij->cij")'))
    run(net, "--expand", "-o", tmp_path / "net.svg")
    assert ['einsum("cij->cij")', "3x8x8"] in boxes(tmp_path / "net.svg").values()
    run(net, "-o", tmp_path / "net.html")
    data = re.search(r'id="sheet">(.*?)</script>', (tmp_path / "net.html").read_text())
    assert data is not None
    assert "cij-" in data[1]
    assert "<" not in data[1]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_of_the_docs(path: Path, tmp_path: Path) -> None:
    """Made anew by `xgraph draw`, as docs/draw.md says."""
    example = next(example for example in EXAMPLES if example.stem == path.stem)
    assert draw(example, tmp_path / path.name).path.read_text() == path.read_text()


def test_the_cell_of_the_docs(tmp_path: Path) -> None:
    cell = Space.load(FOLDER / "spaces" / "avmnist_randomnet.xg").sample(3).graph()
    drawn = draw(cell, tmp_path / "cell.svg", only="image_net.c1", expand=True).path
    assert {f"label:image_net.c1.n{i}" for i in range(1, 6)} <= boxes(drawn).keys()
    assert drawn.read_text() == (FOLDER.parent / "docs" / "pictures" / "cell.svg").read_text()


def test_only_a_part(net: Path, tmp_path: Path) -> None:
    run(net, "--only", "see.b1", "-o", tmp_path / "part.svg")
    assert list(boxes(tmp_path / "part.svg").values()) == [
        ["conv(4, 3)", "4x8x8"], ["relu", "4x8x8"],
    ]  # fmt: skip
    told = run(net, "--only", "see.b2", "-o", tmp_path / "none.svg", code=1)
    assert "did you mean `see.b1`?" in told
    assert not (tmp_path / "none.svg").exists()


@pytest.mark.parametrize(
    ("out", "text", "told"),
    [("net.pdf", NET, "a picture is an .html, .svg or .png"),
     ("net", NET, "a picture is an .html, .svg or .png"),
     ("net.svg", NET.replace("relu", "rleu"), "rleu")],
)  # fmt: skip
def test_mistakes(out: str, text: str, told: str, net: Path, tmp_path: Path) -> None:
    net.write_text(text)
    assert told in run(net, "-o", tmp_path / out, code=1)
    assert not (tmp_path / out).exists()


def test_the_network_stays(tmp_path: Path) -> None:
    net = tmp_path / "net.svg"
    net.write_text(NET)
    assert refused(draw, net, net).id == "would-overwrite"
    assert net.read_text() == NET


def test_what_is_too_large_says_so(tmp_path: Path) -> None:
    net = tmp_path / "net.xg"
    layers = " -> ".join(["relu"] * 2_000)
    net.write_text(f"network n\nmodality a: [4]\nsuperlayer p(a) {{ {layers} }}\noutput y = p\n")
    assert "are in collapsed boxes" in run(net, "-o", tmp_path / "net.svg")
    assert "too many to draw" in run(net, "--expand", "-o", tmp_path / "all.svg", code=1)
