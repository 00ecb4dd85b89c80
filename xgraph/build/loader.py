"""Other files: the blocks and constants that `use` brings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import final

from xgraph.diagnostics import Diagnostic, DiagnosticError, Label, Report
from xgraph.files import read_network
from xgraph.grammar import parse
from xgraph.grammar import tree as t
from xgraph.grammar.holes import holes
from xgraph.source import Source


def a_space(hole: t.Tree) -> Diagnostic:
    """What is said where one network is wanted and a text leaves something open."""
    return Diagnostic(
        "a-space",
        "this file describes many networks, and one is wanted",
        Label(hole.span, "this is left open"),
        help="`xgraph sample` writes networks of this space; name one of those",
    )


def is_shareable(tree: t.Declaration) -> bool:
    """Whether a file that others use may hold it."""
    if isinstance(tree, t.Let):
        return not isinstance(tree.value, t.Chain)
    return isinstance(tree, (t.Block, t.Use, t.Network))


def inlined(document: t.Document, folder: Path, report: Report) -> t.Document:
    """`document` with what it uses in the place of each `use`."""
    loader = Loader(document.span.source, folder, report)
    declarations = tuple(_inlined(document.declarations, loader))
    return replace(document, declarations=declarations)


def _inlined(trees: Iterable[t.Declaration], loader: Loader) -> Iterator[t.Declaration]:
    for tree in trees:
        match tree:
            case t.Use():
                yield from _used(tree, loader)
            case t.Each(declarations=inner) | t.RepeatDecl(declarations=inner):
                yield replace(tree, declarations=tuple(_inlined(inner, loader)))
            case t.IfDecl(yes=yes, no=no):
                first, other = (tuple(_inlined(branch, loader)) for branch in (yes, no))
                yield replace(tree, yes=first, no=other)
            case _:
                yield tree


def _used(tree: t.Use, loader: Loader) -> Iterator[t.Declaration]:
    document = loader.load(tree)
    if document is not None:
        kept = (d for d in document.declarations if not isinstance(d, t.Network))
        yield from _inlined(filter(is_shareable, kept), loader)


@final
class Loader:
    """Reads the files that `use` names; paths stay inside the folder of the first."""

    def __init__(self, source: Source, folder: Path, report: Report) -> None:
        self._root = folder.resolve()
        self._report = report
        self._folders: dict[Source, Path] = {source: self._root}
        self._loaded: set[Path] = set()
        self.files = [source.name]
        """Every file that was read, by the name that leads to it."""
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
            source = Source(str(name), read_network(path).text)
        except DiagnosticError as error:
            (first, *_) = error.diagnostics
            self._report.error(first.id, first.message, tree.path.span, help=first.help)
            return None
        self._folders[source] = path.parent
        self.files.append(source.name)
        document = parse(source, self._report)
        hole = next(holes(document), None)
        if hole is not None:
            self._report.add(a_space(hole))
            return None
        return document
