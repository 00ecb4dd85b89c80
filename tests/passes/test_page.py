"""docs/passes.md holds: its commands print what it says, and the pipelines that it gives for the
networks of the papers make just those."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, Reader, blocks

import xgraph
from xgraph.build import read_settings
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph

PAGE = ROOT / "docs" / "passes.md"
_PAIR = re.compile(r"^# (\S+\.xg.*)\n(xgraph apply '[^']*' .*)$", re.MULTILINE)


def test_page_holds(tmp_path: Path) -> None:
    for example in (ROOT / "examples").glob("*.xg"):
        shutil.copy(example, tmp_path)
    shutil.copytree(ROOT / "examples" / "blocks", tmp_path / "blocks")
    reader = Reader(tmp_path)
    for block in blocks(PAGE):
        if block.language != "sh":
            reader.follow(block)


def reproductions() -> Iterator[tuple[str, str]]:
    """What is to come out, and the command for it."""
    for block in blocks(PAGE):
        if block.language == "sh":
            yield from _PAIR.findall(block.text)


def network(text: str) -> Graph:
    """The graph of `net.xg --set a=1 --set b=2`."""
    file, *flags = shlex.split(text)
    settings = read_settings(tuple(flag for flag in flags if flag != "--set"))
    return xgraph.parse(ROOT / "examples" / file, settings)


@pytest.mark.parametrize(("wanted", "command"), [*reproductions()])
def test_pipeline_makes_the_network_of_the_paper(wanted: str, command: str) -> None:
    _, _, pipeline, *given = shlex.split(command)
    made = xgraph.apply(network(" ".join(given)), pipeline)
    assert canonical(made) == canonical(network(wanted))


def test_there_are_pipelines_for_all() -> None:
    made = {wanted.split()[0] for wanted, _ in reproductions()}
    assert made == {
        "basecnn_cc.xg", "basecnn_cp.xg", "basecnn_static.xg", "resnet_cifar_cc.xg",
        "resnet_cifar_cp.xg", "vgg13_cc.xg", "xflow.xg", "xflow_lstm.xg",
    }  # fmt: skip
