"""Where ONNX Runtime put the parts of a model, as it tells itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from xgraph.diagnostics import Diagnostic, fail

_ANNOUNCED = "Memcpy nodes are added"
_COPY = re.compile(r"Add Memcpy(To|From)Host (?:after|before) (.+) for \w+ExecutionProvider")
_UNNAMED = (("?", "to or from host"),)
_SHOWN = 8
"""How many nodes a warning names."""


@final
@dataclass(frozen=True)
class Placement:
    """What does not run where it was asked to: `nodes` are name, operator and provider of each on
    another one; `copies` are the values that cross the bus on the way, `to host` or `from host`, or
    one called `?` where ONNX Runtime tells only that there are some.

    Inputs on their way in and outputs on their way out are no copies.
    """

    nodes: tuple[tuple[str, str, str], ...] = ()
    copies: tuple[tuple[str, str], ...] = ()

    def warning(self, origin: str) -> Diagnostic | None:
        """What there is to say of it, if there is something."""
        if not self.nodes and not self.copies:
            return None
        by: dict[str, list[str]] = {}
        for name, op, provider in self.nodes:
            by.setdefault(provider, []).append(f"`{name}` ({op})")
        told = [f"{len(found)} on {provider}, {_few(found)}" for provider, found in by.items()]
        copied = [f"`{value}` {way}" for value, way in self.copies]
        parts = [f"not all nodes run on the device asked for: {'; '.join(told)}"] if told else []
        if copied:
            parts.append(f"copied across the bus: {_few(copied)}")
        return Diagnostic("fallback", "; ".join(parts), severity="warning", origin=origin)


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def placed(session: Any, wanted: str, printed: str, details: Callable[[], str]) -> Placement:
    """The placement of a session that was to run on the provider `wanted` and was opened with what
    is `printed`; where that announces copies, `details` of an opening name them."""
    try:
        parts = session.get_provider_graph_assignment_info()
    except AttributeError:
        raise fail(
            "old-runtime", "this ONNX Runtime does not tell where nodes run",
            help="pip install --upgrade onnxruntime-gpu",
        ) from None  # fmt: skip
    nodes = tuple(
        (node.name, node.op_type, part.ep_name)
        for part in parts
        if part.ep_name != wanted
        for node in part.get_nodes()
    )
    if _ANNOUNCED not in printed:
        return Placement(nodes)
    copies = [(value, f"{way.lower()} host") for way, value in _COPY.findall(details())]
    return Placement(nodes, tuple(copies) or _UNNAMED)
