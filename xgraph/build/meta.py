"""What is known of a part lives in the text: `with informativeness = 0.785`."""

from __future__ import annotations

from xgraph.build.constants import is_number, spelt
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

WORDED = {"superlayer": "super-layer", "connect": "connection", "modality": "modality",
          "fusion": "fusion"}  # fmt: skip


def read_meta(entries: tuple[t.Entry, ...], kind: str, ctx: Context) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    known = META[kind]
    for entry in entries:
        key = entry.key.name
        if key not in known:
            listed = ", ".join(f"`{k}`" for k in known)
            ctx.state.tell(
                "unknown-key",
                f"`with` of a {WORDED[kind]} knows no `{key}`",
                entry.key.span,
                help=did_you_mean(key, known)
                or (f"it may hold {listed}" if listed else "it takes no `with`"),
            )
            continue
        if key in found:
            ctx.state.tell("duplicate-name", f"`{key}` is given twice", entry.key.span)
        value = constant(entry.value, ctx)
        low, high = known[key]
        bound = f"from {low:g}" + (f" to {high:g}" if high < MAX_SIZE else "")
        if not is_number(value) or not low <= value <= high:
            told = f"`{key}` must be a number {bound}, not {spelt(value)}"
            ctx.state.tell("bad-number", told, entry.value.span)
        found[key] = value
    return found


def read_network_meta(entries: tuple[t.Entry, ...], ctx: Context) -> dict[str, str]:
    """Where a network came from: its `encoding` in the space it was sampled from."""
    found: dict[str, str] = {}
    for entry in entries:
        key = entry.key.name
        if key != "encoding":
            ctx.state.tell(
                "unknown-key", f"`with` of a network knows no `{key}`", entry.key.span,
                help=did_you_mean(key, ["encoding"]) or "it may hold `encoding`",
            )  # fmt: skip
        elif key in found:
            ctx.state.tell("duplicate-name", f"`{key}` is given twice", entry.key.span)
        elif not isinstance(entry.value, t.String):
            told = f"`{key}` must be a text in quotes"
            ctx.state.tell("bad-attribute", told, entry.value.span)
        else:
            found[key] = entry.value.value
    return found
