"""What docs/training.md shows is followed, top to bottom."""

from __future__ import annotations

from pathlib import Path

from pages import ROOT, Reader, blocks

from xgraph.recipe import read_recipe
from xgraph.recipe.transforms import KINDS
from xgraph.source import Source

PAGE = ROOT / "docs" / "training.md"


def test_the_page_holds(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(PAGE):
        if block.language == "yaml":
            read_recipe(source=Source(str(block), block.text))
        else:
            reader.follow(block)
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    for title in ("Curves", "What it knows", "By class", "What was trained"):
        assert f"<h2>{title}</h2>" in page
    assert "epoch,stage,step,lr,train/loss,val/loss" in page
    assert "<script" not in page


def test_all_transforms_are_told() -> None:
    text = PAGE.read_text("utf-8")
    assert [name for name in KINDS if f"| `{name}" not in text] == []
