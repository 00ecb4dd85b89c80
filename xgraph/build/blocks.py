"""Calls of blocks: which parameter gets what, and how deep they may go."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from xgraph.build.expressions import Datum, evaluate
from xgraph.build.layers import Arguments
from xgraph.build.lookup import needs_index
from xgraph.build.model import BlockDef, Env, Flow, PlaceArray
from xgraph.build.state import Context
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.ops import WORDS


def too_deep(word: str, tree: t.Expression, ctx: Context) -> NoReturn:
    depth = ctx.state.limits.depth
    if any(block == word for block, _ in ctx.state.calls):
        ctx.state.stop(
            "too-large", f"block `{word}` goes on calling itself, over {depth} deep", tree.span,
            help="end it with an `if`, or write `repeat`",
        )  # fmt: skip
    ctx.state.stop(
        "too-large", f"blocks are nested more than {depth} deep", tree.span,
        help="`--limit depth=N` raises the limit",
    )  # fmt: skip


def bind(
    block: BlockDef, arguments: Arguments, tree: t.Expression, ctx: Context
) -> tuple[dict[str, Datum], list[str]]:
    """The parameters of a block by name, and which of them were given, in their order."""
    given = _by_position(block, arguments, ctx)
    _add_named(block, arguments, given, ctx)
    written = [p.name.name for p in block.tree.parameters if p.name.name in given]
    for value in given.values():
        if isinstance(value, PlaceArray):
            needs_index(value, tree.span, ctx)
    _add_defaults(block, given, tree, ctx)
    return given, written


def _by_position(block: BlockDef, arguments: Arguments, ctx: Context) -> dict[str, Datum]:
    names = [p.name.name for p in block.tree.parameters]
    values = [(a, Flow((value,))) for value, a in arguments.values]
    constants = [(a, value) for value, a in arguments.constants]
    in_order = sorted([*values, *constants], key=lambda entry: entry[0].span.start)
    if len(in_order) > len(names):
        ctx.state.stop(
            "too-many-arguments",
            f"block `{block.tree.name.name}` takes {_counted(len(names), 'argument')}",
            in_order[len(names)][0].span,
            notes=[Label(block.tree.name.span, "declared here")],
            help=_parameters(block),
        )
    return {name: value for name, (_, value) in zip(names, in_order, strict=False)}


def _add_named(
    block: BlockDef, arguments: Arguments, given: dict[str, Datum], ctx: Context
) -> None:
    known = [p.name.name for p in block.tree.parameters]
    for key, (value, argument) in arguments.named.items():
        assert argument.name is not None
        if key in given:
            ctx.state.stop("duplicate-name", f"`{key}` is given twice", argument.name.span)
        if key not in known:
            ctx.state.stop(
                "unknown-attribute",
                f"block `{block.tree.name.name}` has no parameter `{key}`",
                argument.name.span,
                notes=[Label(block.tree.name.span, "declared here")],
                help=did_you_mean(key, known) or _parameters(block),
            )
        given[key] = value


def _add_defaults(
    block: BlockDef, given: dict[str, Datum], tree: t.Expression, ctx: Context
) -> None:
    """What was not given, each default in sight of the parameters before it."""
    for parameter in block.tree.parameters:
        if parameter.name.name in given:
            continue
        if parameter.default is None:
            ctx.state.stop(
                "missing-attribute",
                f"block `{block.tree.name.name}` needs `{parameter.name.name}`",
                tree.span,
                notes=[Label(parameter.name.span, "declared here")],
                help=_parameters(block),
            )
        inside = replace(ctx, env=_with(block.env, given))
        given[parameter.name.name] = evaluate(parameter.default, inside, words=WORDS)


def _parameters(block: BlockDef) -> str:
    named = ", ".join(map(format_tree, block.tree.parameters))
    return f"it is `{block.tree.name.name}({named})`"


def _counted(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _with(env: Env, names: dict[str, Datum]) -> Env:
    new = Env(env)
    for key, value in names.items():
        new.set(key, value)
    return new
