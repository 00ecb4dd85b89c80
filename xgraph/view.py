"""How what xgraph gives shows itself in a notebook: drawings, tables and reports, as HTML."""

from __future__ import annotations

import sys
from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from typing import Any

_STYLE = "text-align:left;white-space:pre;font-family:monospace"
_FRAME = "width:100%;height:42em;border:1px solid #8494a3"


def install() -> None:
    """Tell the running IPython, if any, how to show what is ours; nothing is imported for it."""
    shell = sys.modules["IPython"].get_ipython()
    if shell is None:
        return
    html = shell.display_formatter.formatters["text/html"]
    for module, name, shown in _SHOWN:
        html.for_type_by_name(f"xgraph.{module}", name, shown)
    text = shell.display_formatter.formatters["text/plain"]
    text.for_type_by_name("xgraph.ir.graph", "Graph", _graph_text)
    text.for_type_by_name("xgraph.compare", "Difference", _difference_text)


def graph_html(graph: Any) -> str:
    """The drawing and the parts of an architecture-level graph, or the dump of a tensor-level
    one."""
    if graph.level == "tensor":
        from xgraph.ir.text import dump

        return f"<pre>{escape(dump(graph))}</pre>"
    from xgraph.draw.scene import sheet
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
        f"{_drawing(lambda: sheet(graph))}"
        f"<details><summary>its parts</summary><table><tr>{head}</tr>{rows}</table></details>"
    )


def space_html(space: Any) -> str:
    """The drawing of a search space, and what varies."""
    from xgraph.draw.holes import sheet
    from xgraph.space import table

    return f"{_drawing(lambda: sheet(space))}<pre>{escape(table(space))}</pre>"


def difference_html(difference: Any) -> str:
    """Two networks beside each other, and what changed."""
    from xgraph.draw.difference import compared

    return f"{_drawing(lambda: compared(difference))}<pre>{escape(difference.render())}</pre>"


def explanation_html(explanation: Any) -> str:
    """The report, in a frame of its own."""
    from xgraph.explain.report import page

    return f'<iframe style="{_FRAME}" sandbox srcdoc="{escape(page(explanation, {}))}"></iframe>'


_SHOWN: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("ir.graph", "Graph", graph_html),
    ("space.space", "Space", space_html),
    ("compare", "Difference", difference_html),
    ("explain.explain", "Explanation", explanation_html),
)


def _drawing(sheet: Callable[[], Any]) -> str:
    """An SVG, where the packages that draw are there."""
    if find_spec("py_mini_racer") is None:
        return "<p>drawings need <code>pip install 'xgraph[draw]'</code></p>"
    from xgraph.draw.render import Picture

    return f"<div style='overflow:auto'>{Picture.of(sheet(), within='shown').svg}</div>"


def _graph_text(graph: Any, printer: Any, cycle: bool) -> None:
    from xgraph.report import Summary

    printer.text(Summary(graph).render() if graph.level == "architecture" else repr(graph))


def _difference_text(difference: Any, printer: Any, cycle: bool) -> None:
    printer.text(difference.render())
