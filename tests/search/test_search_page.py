"""What docs/search.md shows is followed, top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ROOT, Reader, blocks

from xgraph.search.strategies.known import STRATEGIES

PAGE = ROOT / "docs" / "search.md"


@pytest.mark.long
def test_the_page_holds(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(PAGE):
        reader.follow(block)
    for name in ("best/1.onnx", "report.html", "trials.parquet", "journal.log", "search.json"):
        assert (tmp_path / "run" / name).exists()


def test_all_strategies_are_told() -> None:
    text = PAGE.read_text("utf-8")
    assert [name for name in STRATEGIES if f"**`{name}`**" not in text] == []
