"""What docs/explain.md shows is followed, top to bottom."""

from __future__ import annotations

from pathlib import Path

from pages import ROOT, Reader, blocks


def test_the_page_holds(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(ROOT / "docs" / "explain.md"):
        reader.follow(block)
    assert "What gates look for" in (tmp_path / "explained" / "explain.html").read_text()
