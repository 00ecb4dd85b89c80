"""Search spaces: every hole has its box, where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from refusals import refused

from xgraph.cli import main
from xgraph.draw import draw
from xgraph.draw.holes import sheet
from xgraph.draw.scene import Box, Sheet
from xgraph.space import Space

FILES = sorted((Path(__file__).parents[2] / "examples" / "spaces").glob("*.xg"))
SPACE = """network s
modality a: [3, 8, 8]
param act = choice(relu, gelu)
block unit(f) { choice(conv(f, 3), sepconv(f, choice(3, 5)))
  act }
superlayer p(a) { one: unit(4)
  repeat 2 { maybe(bn) }
  two: choice(maxpool(2), conv(4, 3, stride = 2) -> relu)
  linear(8 .. 16) }
superlayer q(a) { unit(choice(4, 8)) -> globalavgpool }
output y = p
output z = q
"""


def boxes(found: Sheet) -> list[Box]:
    return [box for top in found.scenes[0].boxes for box in top.walk()]


def drawn(text: str) -> Sheet:
    return sheet(Space.load(text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_examples(path: Path, tmp_path: Path) -> None:
    space = Space.load(path)
    found = sheet(space)
    told = "\n".join(f"{box.title}\n{box.text}" for box in boxes(found) if box.kind == "hole")
    for site in space.sites:
        assert f"{site.region.size:,} ways" in told
    assert space.size_text in found.note
    ids = [box.id for box in boxes(found)]
    assert len(set(ids)) == len(ids)
    leaves = {box.id for box in boxes(found) if not box.boxes}
    assert {end for wire in found.scenes[0].wires for end in wire} <= leaves
    for kind in ("svg", "html"):
        assert draw(path, tmp_path / f"space.{kind}").path.stat().st_size > 2_000


def test_a_choice_shows_its_alternatives() -> None:
    found = [box for box in boxes(drawn(SPACE)) if box.kind == "hole"]
    told = [(box.title, box.text.splitlines()[0], [inner.title for inner in box.boxes])
            for box in found]  # fmt: skip
    first = (
        "choice2",
        "conv(f, 3) | sepconv(f, choice(3,",
        ["conv(f, 3)", "sepconv(f, choice(3, 5))"],
    )
    assert told == [
        first, ("maybe1", "nothing | bn", ["nothing", "bn"]),
        ("maybe1", "nothing | bn", ["nothing", "bn"]),
        ("two: choice4", "maxpool(2) | conv(4, 3, stride = 2)",
         ["maxpool(2)", "conv(4, 3, stride = 2) -> relu"]),
        ("linear(8 .. 16)", "range1", []), ("unit1", "choice5", ["choice2", "act"]), first,
        ("act", "relu | gelu", ["relu", "gelu"]),
    ]  # fmt: skip


def test_wires_go_to_all_alternatives() -> None:
    found = drawn(SPACE)
    titles = {box.id: box.title for box in boxes(found)}
    wires = {(titles[start], titles[end]) for start, end in found.scenes[0].wires}
    assert {("a", "conv(f, 3)"), ("a", "sepconv(f, choice(3, 5))"), ("conv(f, 3)", "act"),
            ("act", "nothing"), ("nothing", "bn"), ("bn", "maxpool(2)")} <= wires  # fmt: skip


def test_nothing_that_depends_on_a_choice_is_told() -> None:
    assert not [box for box in boxes(drawn(SPACE)) if box.shape or box.params or box.macs]


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "s.svg").write_text(SPACE)
    for out, code in (("out.svg", 0), ("s.svg", 1)):
        args = ["draw", str(tmp_path / "s.svg"), "-o", str(tmp_path / out)]
        assert CliRunner().invoke(main, args).exit_code == code
    assert (tmp_path / "s.svg").read_text() == SPACE
    assert refused(draw, tmp_path / "s.svg", tmp_path / "s.svg").id == "would-overwrite"


def test_mistakes(tmp_path: Path) -> None:
    text = SPACE.replace("globalavgpool", "globalavgpol")
    assert refused(draw, text, tmp_path / "s.svg").id == "unknown-op"
    assert not (tmp_path / "s.svg").exists()


def test_limits_are_those_that_are_given(tmp_path: Path) -> None:
    path = tmp_path / "space.xg"
    path.write_text("network n\nmodality x: [4]\noutput y = x -> linear(choice(2, 3)) -> relu\n")
    for limit, code in (("1", 1), ("9", 0)):
        command = ["draw", str(path), "-o", str(tmp_path / "n.svg"), "--limit", f"nodes={limit}"]
        assert CliRunner().invoke(main, command).exit_code == code
