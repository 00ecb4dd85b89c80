"""What docs/profile.md shows is followed, top to bottom; times are those of one machine."""

from __future__ import annotations

from pathlib import Path

from pages import ROOT, Reader, blocks


def test_the_page_holds(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    reader = Reader(tmp_path)
    is_printed = False
    for block in blocks(ROOT / "docs" / "profile.md"):
        if block.language != "text" or is_printed:
            reader.follow(block)
        is_printed = block.language == "python"
