"""What docs/refine.md shows is followed, top to bottom; its numbers are those of one machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pages import ROOT, Reader, blocks

PAGE = ROOT / "docs" / "refine.md"


@pytest.mark.long
def test_the_page_holds(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(PAGE):
        if block.language != "text":
            reader.follow(block)
    assert json.loads((tmp_path / "run" / "refine.json").read_text("utf-8"))["finished"]
