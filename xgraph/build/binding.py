"""Binding names: which are free, and what may not be hidden."""

from __future__ import annotations

from xgraph.build.expressions import Datum
from xgraph.build.model import BROKEN, BlockDef
from xgraph.build.state import Context
from xgraph.diagnostics import Label
from xgraph.grammar import tree as t
from xgraph.ops import OPS, ROUTERS


def check_free(name: t.Name, ctx: Context) -> None:
    """Report a name that is taken, or that would hide a layer or a block."""
    word = name.name
    if word in OPS and not OPS[word].hidden and word not in ROUTERS:
        ctx.state.stop("name-taken", f"`{word}` is a layer; choose another name", name.span)
    if word in ("in", "len"):
        ctx.state.stop("name-taken", f"`{word}` has a meaning of its own here", name.span)
    if isinstance(ctx.env.get(word), BlockDef):
        ctx.state.stop("name-taken", f"`{word}` is a block; choose another name", name.span)
    found = ctx.env.here(word)
    if found is not None and found is not BROKEN:
        where = getattr(found, "declared", None)
        ctx.state.stop(
            "duplicate-name",
            f"`{word}` is declared twice",
            name.span,
            notes=[Label(where, "first here")] if where else [],
        )


def define(name: t.Name, value: Datum, ctx: Context) -> None:
    """Bind a name that is free."""
    if value is not BROKEN:
        check_free(name, ctx)
        ctx.env.set(name.name, value)
    elif ctx.env.here(name.name) is None:
        ctx.env.set(name.name, BROKEN)
