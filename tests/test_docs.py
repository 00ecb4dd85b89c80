"""What the pages under docs/ say holds: networks build, commands run, tables are up to date."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, Block, Reader, blocks

import xgraph
from xgraph.build import Limits, build_source
from xgraph.build.constants import LIMIT
from xgraph.diagnostics import Report
from xgraph.grammar import KEYWORDS, format_document, parse
from xgraph.grammar.lines import MAX_DEPTH
from xgraph.grammar.parser import MAX_CHARACTERS
from xgraph.ir.attrs import INITIALISERS, MAX_SIZE
from xgraph.ir.infer import MAX_ELEMENTS
from xgraph.ir.op import OpSpec
from xgraph.ops import OPS
from xgraph.passes import lower
from xgraph.reference import example_graph, rewritten
from xgraph.source import Source
from xgraph.space import Space

LANGUAGE = ROOT / "docs" / "language.md"
NETWORKS = [block for block in blocks(LANGUAGE) if block.language == "xg"]
LAYERS = [op for op in OPS.values() if not op.hidden]


@pytest.mark.parametrize("block", NETWORKS, ids=str)
def test_network_builds(block: Block, tmp_path: Path) -> None:
    """A block that begins with `network` is whole; any other lacks outputs at most."""
    report = Report()
    source = Source(str(block), block.text)
    build_source(source, report=report, folder=tmp_path)
    if any(d.id == "a-space" for d in report):
        _, report = Space.read(source, tmp_path).check()
    is_whole = block.text.startswith("network ")
    missing = set() if is_whole else {"no-output", "unused"}
    assert not [str(d) for d in report if d.id not in missing]


@pytest.mark.parametrize("block", NETWORKS, ids=str)
def test_network_is_not_misformatted(block: Block) -> None:
    """Each comment and statement survives formatting, though the pages may line things up."""
    report = Report()
    formatted = format_document(parse(Source(str(block), block.text), report))
    again = format_document(parse(Source(str(block), formatted), report))
    assert formatted == again
    assert not report.errors


def test_names_of_parameters() -> None:
    """The comments of the network `names` say what is trained there."""
    (block,) = [block for block in NETWORKS if block.text.startswith("network names\n")]
    said = re.findall(r"[\w.]+\.weight", block.text)
    made = {name for name, _ in lower(xgraph.parse(block.text)).params()}
    assert said
    assert [name for name in said if name not in made] == []


def test_words_are_all_listed() -> None:
    text = LANGUAGE.read_text("utf-8")
    words = text.partition("These words belong")[2].partition(". Besides")[0]
    assert set(re.findall(r"`(\w+)`", words)) == KEYWORDS
    starts = text.partition("## Initialisers")[2].partition("\n## ")[0]
    assert INITIALISERS.keys() <= set(re.findall(r"`(\w+)", starts))


def test_limits_are_those_of_the_compiler() -> None:
    text = LANGUAGE.read_text("utf-8").partition("## Limits")[2].partition("\n## ")[0]
    named = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+)", text, re.MULTILINE))
    assert named == {name: f"{value:,}" for name, value in vars(Limits()).items()}
    others = {int(n.replace(",", "")) for n in re.findall(r"^\| \| ([\d,]+)", text, re.MULTILINE)}
    assert others == {MAX_DEPTH, MAX_CHARACTERS, MAX_SIZE, MAX_ELEMENTS, LIMIT}


def test_op_tables_are_up_to_date() -> None:
    text = LANGUAGE.read_text("utf-8")
    assert rewritten(text) == text, "run `make docs`"


@pytest.mark.parametrize("op", LAYERS, ids=lambda op: op.name)
def test_example_of_op_builds(op: OpSpec) -> None:
    graph = example_graph(op)
    assert any(node.op is op for node in graph.nodes())


def test_python_page_runs(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(ROOT / "docs" / "python.md"):
        reader.follow(block)


def test_page_of_spaces_runs(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for block in blocks(ROOT / "docs" / "spaces.md"):
        reader.follow(block)


# ------------------------------------------------------------------------------ diagnostics

_MAKERS = {"stop", "error", "warn", "fail", "Fault", "Diagnostic", "_error"}
_ID = re.compile(r"[a-z]+(-[a-z]+)*")


def ids_of(path: Path) -> Iterator[str]:
    """The ids of the diagnostics that a file makes."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[:1] if name in _MAKERS else []
            for part in [*first, *(k.value for k in node.keywords if k.arg == "id")]:
                if isinstance(part, ast.Constant) and _ID.fullmatch(str(part.value)):
                    yield str(part.value)


def test_ids_are_all_listed() -> None:
    text = LANGUAGE.read_text("utf-8").partition("## Diagnostics")[2].partition("\n## ")[0]
    cells = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    listed = {name for cell in cells for name in re.findall(r"`([a-z-]+)`", cell)}
    files = [
        p for folder in ("xgraph", "passes", "backends") for p in (ROOT / folder).rglob("*.py")
    ]
    made = {found for path in files for found in ids_of(path)}
    assert made <= listed
    everything = "".join(path.read_text("utf-8") for path in files)
    assert not [name for name in listed if f'"{name}"' not in everything]
