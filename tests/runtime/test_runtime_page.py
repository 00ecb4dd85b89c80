"""docs/runtime.md holds; what it does on a GPU is done with the stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pages import ROOT, Block, Reader, blocks
from stand_in import Machine

from xgraph.diagnostics import DiagnosticError, render
from xgraph.runtime import Placement, Session

PAGE = ROOT / "docs" / "runtime.md"


def test_page_holds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpu: Machine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    reader, printed, shown = Reader(tmp_path), "", list[Block]()
    for block in blocks(PAGE):
        if block.language == "":
            shown.append(block)
        elif 'device="cuda"' in block.text:
            exec(block.text, {})
            printed = capsys.readouterr().out
        elif block.language == "text" and printed:
            assert printed.strip() == block.text.strip(), str(block)
            printed = ""
        else:
            reader.follow(block)
    cpu = "CPUExecutionProvider"
    placed = Placement((("head.odd", "NonZero", cpu),), (("head.linear1", "to host"),))
    warning = placed.warning("net.onnx")
    assert warning
    assert [block.text.strip() for block in shown] == [render(warning), short_of_memory(gpu)]


def short_of_memory(gpu: Machine) -> str:
    gpu.holds = 600
    inputs = {"image": np.zeros([4096, 3, 8, 8], "f"), "sound": np.zeros([4096, 40], "f")}
    with pytest.raises(DiagnosticError) as caught:
        Session("net.onnx", device="cuda").run(inputs)
    return str(caught.value)
