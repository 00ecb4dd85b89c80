"""Between text and graph: `build_file` and `build_source` one way, `unbuild` the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xgraph.build.declare import Declarer
from xgraph.build.digest import call_digests
from xgraph.build.loader import Loader, a_space, inlined
from xgraph.build.lookup import seem_declared
from xgraph.build.model import MADE, Halt, Limits
from xgraph.build.settings import read_settings
from xgraph.build.state import State
from xgraph.build.unbuild import unbuild
from xgraph.build.wire import Wiring
from xgraph.collector import paused
from xgraph.diagnostics import Report
from xgraph.files import read_network
from xgraph.grammar import parse
from xgraph.grammar import tree as t
from xgraph.grammar.holes import holes
from xgraph.ir.graph import Graph
from xgraph.source import Source

__all__ = [
    "MADE",
    "Limits",
    "build_document",
    "build_file",
    "build_source",
    "inlined",
    "read_settings",
    "unbuild",
]

Settings = Mapping[str, object]


def build_file(
    path: Path | str, settings: Settings | None = None, *, limits: Limits | None = None
) -> Graph:
    """The architecture-level graph of a `.xg` file; `DiagnosticError` lists its mistakes.

    `settings` are values for its `param`s.
    """
    source = read_network(Path(path))
    report = Report()
    graph = build_source(source, settings, report=report, folder=Path(path).parent, limits=limits)
    report.raise_errors()
    return graph


def build_source(
    source: Source,
    settings: Settings | None = None,
    *,
    report: Report | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> Graph:
    """The same of a text. With a `report` mistakes and warnings go there and nothing is raised;
    the graph is then whole only if it holds no error. `use` reads below `folder`."""
    own = report if report is not None else Report()
    with paused():
        graph = _build(source, settings or {}, own, folder, limits)
    if report is None:
        own.raise_errors()
    return graph


def build_document(
    document: t.Document,
    settings: Settings | None = None,
    *,
    report: Report,
    limits: Limits | None = None,
) -> Graph:
    """The same of a syntax tree that leaves nothing open and uses no other file."""
    with paused():
        return _build_document(document, settings or {}, report, None, limits)


def _build(
    source: Source, settings: Settings, own: Report, folder: Path | None, limits: Limits | None
) -> Graph:
    document = parse(source, own)
    found = next(holes(document), None)
    if found is not None:
        own.add(a_space(found))
        return Graph()
    return _build_document(document, settings, own, folder, limits)


def _build_document(
    document: t.Document,
    settings: Settings,
    own: Report,
    folder: Path | None,
    limits: Limits | None,
) -> Graph:
    source = document.span.source
    loader = Loader(source, folder or Path(), own)
    if not document.declarations and not own.errors:
        own.error(
            "empty-file",
            "the file declares nothing",
            source.span(0, 0),
            help="a network begins with `network name` and its modalities",
        )
    declarer = Declarer(State(own, limits or Limits()), settings, loader.load)
    try:
        declarer.keep_names(document.declarations)
        declarer.read_document(document, seem_declared(source.text) if own.errors else ())
        declarer.shared.check_settings()
        graph = Wiring(declarer.state, declarer.reading).run()
    except Halt:
        return Graph(declarer.reading.name)
    graph.source_text, graph.files = source.text, tuple(loader.files)
    if not graph.outputs and not own.errors:
        span = document.declarations[-1].span
        own.error(
            "no-output",
            "the network has no output",
            span,
            help="name what it computes: `output logits = head`",
        )
    if not own.errors:
        graph.digests = call_digests(graph)
    return graph
