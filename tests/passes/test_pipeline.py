"""Pipelines as text and back, options and their mistakes, passes of one's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xgraph
from xgraph.diagnostics import DiagnosticError, InternalError
from xgraph.ir.graph import Graph
from xgraph.passes import (
    Insert,
    Multipath,
    Pass,
    Pipeline,
    RouteStreams,
    Split,
    Xsertion,
    contract,
    known_passes,
    load_passes,
    option,
    options,
    written,
)

TEXT = "network n\nmodality x: [3]\nsuperlayer y(x) { a: linear(4) -> relu; linear(2) }\noutput y\n"


def test_text_and_back() -> None:
    text = 'xsertion{alpha=2 at=[p1, p2]},route{kind=cp via="conv(4, 3) -> relu"},multipath'
    found = Pipeline.parse(text)
    assert found.passes == (
        Xsertion(alpha=2, at=("p1", "p2")),
        RouteStreams(kind="cp", via="conv(4, 3) -> relu"),
        Multipath(),
    )
    assert str(found) == text
    assert Pipeline.parse(str(found)) == found


words = st.text(st.characters(codec="ascii", exclude_characters='"\x00'), min_size=1)


@given(words, words, st.tuples(words, words), st.floats(0, 100))
def test_any_text_comes_back(at: str, layers: str, names: tuple[str, str], number: float) -> None:
    plain = tuple(f"a{ord(name[0])}_{i}" for i, name in enumerate(names))
    made = Pipeline((Insert(at, layers), Split(plain), Xsertion(alpha=number)))
    assert Pipeline.parse(str(made)) == made


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("", "empty-pipeline"),
        ("xsertoin", "unknown-pass"),
        ("xsertion{alfa=1}", "unknown-option"),
        ("xsertion{alpha=-1}", "bad-option"),
        ("xsertion{alpha=nan}", "bad-option"),
        ("xsertion{alpha=one}", "bad-option"),
        ("xsertion{alpha=1 alpha=2}", "duplicate-name"),
        ("xsertion{alpha}", "bad-pipeline"),
        ("xsertion{alpha=", "bad-pipeline"),
        ("xsertion{alpha=1", "bad-pipeline"),
        ("xsertion xsertion", "bad-pipeline"),
        ("xsertion,", "bad-pipeline"),
        ('xsertion{at="p}', "bad-pipeline"),
        ("multipath{paths=2.5}", "bad-option"),
        ("multipath{paths=99999999999999999999999}", "bad-option"),
        ("insert{at=net.a}", "missing-option"),
        ("split{into=[a]}", "bad-option"),
        ("split{into=[a, b] sizes=[1]}", "bad-option"),
        ("route{kind=cc per=stream}", "bad-option"),
        ("route{kind=cc replace=true}", "bad-option"),
        ("connect{source=a.b}", "bad-option"),
        ("connect{between=[a]}", "bad-option"),
    ],
)
def test_mistakes_have_a_place(text: str, id: str) -> None:  # noqa: A002
    with pytest.raises(DiagnosticError) as raised:
        Pipeline.parse(text)
    first = raised.value.diagnostics[0]
    assert first.id == id
    assert first.label is not None


def test_every_mistake_of_a_pipeline_is_told() -> None:
    with pytest.raises(DiagnosticError) as raised:
        Pipeline.parse("xsertoin,xsertion{alfa=1 beta=no},multipath{paths=x}")
    assert [d.id for d in raised.value.diagnostics] == [
        "unknown-pass",
        "unknown-option",
        "bad-option",
        "bad-option",
    ]


@given(st.text(alphabet='abx{}[],="0 .', max_size=30))
def test_any_text_is_a_pipeline_or_a_mistake(text: str) -> None:
    with contextlib.suppress(DiagnosticError):
        assert Pipeline.parse(text).passes


def test_every_pass_tells_of_itself() -> None:
    for name, kind in known_passes().items():
        assert kind.name == name
        assert kind.__doc__
        assert Pipeline.parse(kind.example).passes[0].name == name
        assert all(known.doc for known in options(kind))
        assert f"{name}" in written(Pipeline.parse(kind.example).passes[0])


# ----------------------------------------------------------------------- passes of one's own


def test_a_function_is_a_pass_and_gets_a_copy() -> None:
    base = xgraph.parse(TEXT)

    def wider(graph: Graph) -> Graph:
        for node in graph.nodes():
            if node.op.name == "linear" and node.attrs["units"] == 4:
                graph.set_attrs(node, units=8)
        graph.infer()
        return graph

    made = xgraph.apply(base, wider, "multipath")
    assert "linear(8)" in xgraph.unbuild(made)
    assert "linear(4)" in xgraph.unbuild(base)


def test_a_function_that_gives_no_graph() -> None:
    with pytest.raises(DiagnosticError, match="a graph is wanted"):
        xgraph.apply(TEXT, lambda graph: None)  # type: ignore[arg-type, return-value]


@final
@dataclass(frozen=True)
class Spoil(Pass):
    """Break the graph."""

    name = "spoil"
    example = "spoil"
    deep: int = option(1, "how", low=0)

    def apply(self, graph: Graph) -> Graph:
        new = graph.copy()
        new.outputs["z"] = graph.outputs["y"]
        return new


def test_what_a_pass_makes_is_verified() -> None:
    with pytest.raises(InternalError, match="spoil"):
        xgraph.apply(TEXT, Spoil())


def test_options_are_checked_in_python_too() -> None:
    with pytest.raises(DiagnosticError, match="from 0"):
        Spoil(deep=-1)
    with pytest.raises(DiagnosticError, match="an integer"):
        Spoil(deep="x")  # type: ignore[arg-type]


# ------------------------------------------------------------------------- installed packages

MODULE = '''
from dataclasses import dataclass
from xgraph.passes import Pass, option


@dataclass(frozen=True)
class Calm(Pass):
    """Take every dropout down."""

    name = "calm"
    example = "calm{rate=0.1}"
    rate: float = option(0.1, "the rate", low=0, high=1)

    def apply(self, graph):
        return graph
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has a package with an entry point in the group of passes on the path."""

    def install(entry: str) -> None:
        (tmp_path / "calming.py").write_text(MODULE)
        info = tmp_path / "calming-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: calming\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[xgraph.passes]\ncalm = {entry}\n")
        monkeypatch.syspath_prepend(tmp_path)
        contract._installed.cache_clear()

    yield install
    contract._installed.cache_clear()


def test_a_package_brings_passes(installed: Callable[[str], None]) -> None:
    installed("calming:Calm")
    assert "calm" in known_passes()
    assert str(Pipeline.parse("calm{rate=0.3}")) == "calm{rate=0.3}"


@pytest.mark.parametrize("entry", ["calming:Clam", "calmness:Calm", "calming:option"])
def test_a_package_whose_pass_does_not_load(installed: Callable[[str], None], entry: str) -> None:
    installed(entry)
    assert Pipeline.parse("multipath").passes  # the others stand
    with pytest.raises(DiagnosticError) as raised:
        Pipeline.parse("calm")
    assert raised.value.diagnostics[0].id == "bad-pass"


# ------------------------------------------------------------------------------ files of one's own


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Forgets what a test registers."""
    known = dict(contract._KNOWN)
    yield
    contract._KNOWN.clear()
    contract._KNOWN.update(known)


REGISTERED = MODULE.replace("import Pass", "import register, Pass").replace(
    "@dataclass(frozen", "@register\n@dataclass(frozen"
)


@pytest.mark.usefixtures("forgotten")
def test_a_file_brings_passes(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(REGISTERED)
    load_passes(path)
    load_passes(path)  # the same once more
    assert str(Pipeline.parse("calm{rate=0.3}")) == "calm{rate=0.3}"


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = (", "mine.py:1"),
        ("\nimport nothing_at_all", "mine.py:2"),
        (MODULE, "registers no pass"),
        (REGISTERED.replace("calm", "multipath"), "called `multipath` already"),
    ],
)
def test_a_file_that_brings_none(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(DiagnosticError, match=told):
        load_passes(path)
