"""Measured numbers that live in the text: `with informativeness = 0.785`."""

from __future__ import annotations

from xgraph.build.expressions import constant
from xgraph.build.state import Context
from xgraph.diagnostics import did_you_mean
from xgraph.grammar import tree as t
from xgraph.ir.attrs import MAX_SIZE

META: dict[str, dict[str, tuple[float, float]]] = {
    "modality": {"informativeness": (0.0, 1.0)},
    "superlayer": {"informativeness": (0.0, 1.0), "scale": (0.0, float(MAX_SIZE))},
    "fusion": {},
    "connect": {"weight": (0.0, float(MAX_SIZE))},
}
"""Measured numbers that may stand behind `with`, and their bounds."""


def read_meta(entries: tuple[t.Entry, ...], kind: str, ctx: Context) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    known = META[kind]
    for entry in entries:
        key = entry.key.name
        if key not in known:
            listed = ", ".join(f"`{k}`" for k in known) or "nothing"
            ctx.state.stop(
                "unknown-key",
                f"`with` of a {kind} knows no `{key}`",
                entry.key.span,
                help=did_you_mean(key, known) or f"it may hold {listed}",
            )
        if key in found:
            ctx.state.stop("duplicate-name", f"`{key}` is given twice", entry.span)
        value = constant(entry.value, ctx)
        low, high = known[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            ctx.state.stop("bad-number", f"`{key}` must be a number", entry.value.span)
        if not low <= value <= high:
            bound = f"from {low:g} to {high:g}" if high < MAX_SIZE else f"at least {low:g}"
            ctx.state.stop("bad-number", f"`{key}` must be {bound}", entry.value.span)
        found[key] = value
    return found
