"""Texts to graphs of either level."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from xgraph.build import MADE, Limits, build_file, build_source, unbuild
from xgraph.diagnostics import InternalError, Report, fail
from xgraph.files import decode, named, read_network
from xgraph.given import kind_of, plain_settings
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.ir.verify import verify_or_raise
from xgraph.passes import PassLike, Pipeline, lower
from xgraph.source import Source

if TYPE_CHECKING:
    from xgraph.space import Space

Settings = Mapping[str, object]
Network: TypeAlias = "Graph | Path | str"


def check(
    source: Source, settings: Settings | None = None, *, folder: Path, limits: Limits | None = None
) -> tuple[Graph, Report]:
    """The graph of a text and everything to be said of it; nothing is raised."""
    report = Report()
    graph = build_source(source, settings, report=report, folder=folder, limits=limits)
    if not report.errors:
        verify_or_raise(graph, "build")
    return graph, report


def space(source: Source, folder: Path) -> Space:
    """The search space of a text; `DiagnosticError` lists its mistakes."""
    from xgraph.space import Space

    return Space.read(source, folder)


def space_of(source: Source, folder: Path, report: Report) -> Space | None:
    """The search space of a text of which `check` reported that it is one."""
    if any(d.id == "a-space" for d in report):
        return space(source, folder)
    return None


def parse(
    network: Path | str, settings: Settings | None = None, *, limits: Limits | None = None
) -> Graph:
    """The architecture-level graph of a `.xg` file, or of a text (a string of several lines).

    `DiagnosticError` lists every mistake; warnings are not shown.
    """
    if not isinstance(network, (str, os.PathLike)):
        raise fail(
            "not-a-network",
            f"a network is wanted here, and this is {kind_of(network)}",
            help="give the name of a `.xg` file or its text, or a graph where one is taken",
        )
    if not isinstance(limits, Limits | None):
        raise fail("bad-option", f"`limits` is an `xgraph.build.Limits`, not {kind_of(limits)}")
    given = plain_settings(settings)
    if isinstance(network, str) and "\n" in network:
        return build_source(Source("<text>", network), given, limits=limits)
    return build_file(named(network), given, limits=limits)


def as_graph(network: Network, settings: Settings | None = None) -> Graph:
    """The architecture-level graph of a file, or the graph given."""
    if not isinstance(network, Graph):
        return parse(network, settings)
    if settings:
        raise fail("bad-setting", "a graph is built already; settings are for `parse`")
    return network


def tensor_graph(graph: Graph) -> Graph:
    """The verified tensor-level graph of either level."""
    if graph.level == "tensor":
        return graph
    low = lower(graph)
    verify_or_raise(low, "lower")
    return low


def apply(network: Network, *passes: PassLike | str, settings: Settings | None = None) -> Graph:
    """The architecture-level graph that passes make of a network, one after the other.

    Passes are pipeline texts (`"xsertion{alpha=1 beta=2}"`), passes, or functions that make a
    graph from a graph. The network stays as it is.
    """
    return Pipeline.of(*passes).run(as_graph(network, settings))


def verify_fully(graph: Graph, step: str) -> None:
    """`InternalError` unless a graph is sound, lowers to one that is, and is its own text, with
    the same names of parameters."""
    verify_or_raise(graph, step)
    low = lower(graph)
    verify_or_raise(low, f"lower after {step}")
    text = unbuild(graph)
    again = build_source(Source(f"{graph.name} after {step}", text), limits=MADE)
    if canonical(again) != canonical(graph):
        raise InternalError(step, "its text is another network", text)
    if moved := {a for a, _ in low.params()} ^ {a for a, _ in lower(again).params()}:
        raise InternalError(step, f"its text names `{min(moved)}` otherwise", text)


def read_source(path: str) -> tuple[Source, Path]:
    """A text and the folder its `use`s are read from; `-` is the standard input."""
    if path == "-":
        return Source("<stdin>", decode(sys.stdin.buffer.read(), "<stdin>")), Path()
    return read_network(path), Path(path).parent
