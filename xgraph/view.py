"""How graphs show themselves in a notebook: a table of parts, as HTML."""

from __future__ import annotations

import sys
from html import escape
from typing import Any

_STYLE = "text-align:left;white-space:pre;font-family:monospace"


def install() -> None:
    """Tell the running IPython, if any, how to show graphs; they are not imported for it."""
    shell = sys.modules["IPython"].get_ipython()
    if shell is not None:
        html = shell.display_formatter.formatters["text/html"]
        html.for_type_by_name("xgraph.ir.graph", "Graph", graph_html)
        text = shell.display_formatter.formatters["text/plain"]
        text.for_type_by_name("xgraph.ir.graph", "Graph", _graph_text)


def graph_html(graph: Any) -> str:
    """The parts of an architecture-level graph, or the dump of a tensor-level one."""
    if graph.level == "tensor":
        from xgraph.ir.text import dump

        return f"<pre>{escape(dump(graph))}</pre>"
    from xgraph.report import Summary

    summary = Summary(graph)
    rows = "".join(
        f"<tr><td style='{_STYLE};padding-left:{depth * 1.5 + 0.5}em'>{escape(part.title)}</td>"
        f"<td style='{_STYLE}'>{escape(part.shape)}</td>"
        f"<td style='text-align:right'>{part.figures[0]}</td>"
        f"<td style='text-align:right'>{escape(part.figures[1])}</td></tr>"
        for top in summary.parts
        for depth, part in top.walk()
    )
    head = "".join(f"<th>{title}</th>" for title in ("", "shape", "parameters", "MACs"))
    return (
        f"<b>network {escape(graph.name)}</b>, {summary.total.params:,} parameters"
        f"<table><tr>{head}</tr>{rows}</table>"
    )


def _graph_text(graph: Any, printer: Any, cycle: bool) -> None:
    from xgraph.report import Summary

    printer.text(Summary(graph).render() if graph.level == "architecture" else repr(graph))
