"""Binding names: which are free, and what may not be hidden."""

from __future__ import annotations

from typing import NoReturn

from xgraph.build.expressions import Datum
from xgraph.build.model import BROKEN, BlockDef
from xgraph.build.state import Context
from xgraph.diagnostics import Label
from xgraph.grammar import tree as t
from xgraph.grammar.holes import CHOICE, MAYBE
from xgraph.ops import OPS, ROUTERS
from xgraph.source import Span


def check_free(name: t.Name, ctx: Context) -> None:
    """Report a name that is taken, or that would hide a layer or a block."""
    word = name.name
    if word in OPS and not OPS[word].hidden and word not in ROUTERS:
        ctx.state.stop("name-taken", f"`{word}` is a layer; choose another name", name.span)
    if word in ("in", "len", CHOICE, MAYBE):
        ctx.state.stop("name-taken", f"`{word}` has a meaning of its own here", name.span)
    block = ctx.env.get(word)
    if isinstance(block, BlockDef):
        ctx.state.stop(
            "name-taken",
            f"`{word}` is a block; choose another name",
            name.span,
            notes=[Label(block.tree.name.span, "declared here")],
        )
    found = ctx.env.here(word)
    if found is not None and found is not BROKEN:
        declared_twice(name, getattr(found, "declared", None) or ctx.env.span(word), ctx)


def declared_twice(name: t.Name, first: Span | None, ctx: Context) -> NoReturn:
    notes = [Label(first, "first here")] if first else []
    told = f"`{name.name}` is declared twice"
    ctx.state.stop("duplicate-name", told, name.span, notes=notes)


def define(name: t.Name, value: Datum, ctx: Context) -> None:
    """Bind a name that is free."""
    if value is not BROKEN:
        check_free(name, ctx)
        ctx.env.set(name.name, value, name.span)
    elif ctx.env.here(name.name) is None:
        ctx.env.set(name.name, BROKEN)
