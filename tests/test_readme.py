"""Everything in the README holds: each of its blocks is followed, top to bottom."""

from __future__ import annotations

from pathlib import Path

from pages import ROOT, Reader, blocks

README = ROOT / "README.md"


def test_readme_holds(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    found = list(blocks(README))
    assert {block.language for block in found} == {"xg", "console", "sh", "python", "text"}
    for block in found:
        reader.follow(block)


def test_network_is_the_example() -> None:
    (text,) = [block.text for block in blocks(README) if block.file == "photo.xg"][:1]
    assert text == (ROOT / "examples" / "photo.xg").read_text("utf-8")
