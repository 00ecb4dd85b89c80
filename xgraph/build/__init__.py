"""Between text and graph: `build_file` and `build_source` one way, `unbuild` the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import final

from xgraph.build.declare import Declarer
from xgraph.build.digest import call_digests
from xgraph.build.lookup import seem_declared
from xgraph.build.model import Halt, Limits
from xgraph.build.settings import read_settings
from xgraph.build.state import State
from xgraph.build.unbuild import unbuild
from xgraph.build.wire import Wiring
from xgraph.collector import paused
from xgraph.diagnostics import DiagnosticError, Report
from xgraph.files import read_text
from xgraph.grammar import parse
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph
from xgraph.source import Source

__all__ = ["Limits", "build_file", "build_source", "read_settings", "unbuild"]

Settings = Mapping[str, object]


def build_file(
    path: Path | str, settings: Settings | None = None, *, limits: Limits | None = None
) -> Graph:
    """The architecture-level graph of a `.xg` file; `DiagnosticError` lists its mistakes.

    `settings` are values for its `param`s.
    """
    source = read_text(Path(path))
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


def _build(
    source: Source, settings: Settings, own: Report, folder: Path | None, limits: Limits | None
) -> Graph:
    loader = _Loader(source, folder or Path(), own)
    document = parse(source, own)
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
    graph.source_text = source.text
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


@final
class _Loader:
    """Reads the files that `use` names; paths stay inside the folder of the first."""

    def __init__(self, source: Source, folder: Path, report: Report) -> None:
        self._root = folder.resolve()
        self._report = report
        self._folders: dict[Source, Path] = {source: self._root}
        self._loaded: set[Path] = set()
        self._first = self._root / Path(source.name).name

    def load(self, tree: t.Use) -> t.Document | None:
        """The document that `tree` names, None if it was read before or cannot be."""
        written = tree.path.value
        folder = self._folders.get(tree.span.source, self._root)
        path = (folder / written.replace("\0", "?")).resolve()
        if Path(written).is_absolute() or not path.is_relative_to(self._root):
            self._report.error(
                "use-outside-folder",
                "`use` reads files inside the folder of the network only",
                tree.path.span,
                help="move the blocks beside the network",
            )
            return None
        if path == self._first:
            self._report.error(
                "use-of-itself", "a network cannot use its own file", tree.path.span,
                help="take the line out: what this file declares is known here",
            )  # fmt: skip
            return None
        if path in self._loaded:
            return None
        self._loaded.add(path)
        try:
            name = Path(tree.span.source.name).parent / written
            source = Source(str(name), read_text(path).text)
        except DiagnosticError as error:
            (first, *_) = error.diagnostics
            self._report.error(first.id, first.message, tree.path.span, help=first.help)
            return None
        self._folders[source] = path.parent
        return parse(source, self._report)
