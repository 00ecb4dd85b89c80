"""Expressions: from the syntax tree to constants, places and values.

A datum is a constant (number, truth, word, size, list), an `Init`, a `Place` or array of places,
a block, or a `Flow`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from xgraph.build import constants
from xgraph.build.model import BlockDef, Broken, Flow, Place, PlaceArray, Point, Source, Stop, Wire
from xgraph.build.state import Context
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.ir.attrs import INITIALISERS, Init, Word
from xgraph.ops import OPS, ROUTERS, layer_names

Datum: TypeAlias = Any


def evaluate(tree: t.Expression, ctx: Context, *, words: bool = False) -> Datum:
    """The datum of an expression; `words` lets unknown names stand for themselves."""
    ctx.state.step(tree.span)
    match tree:
        case t.Number(value=value) | t.Bool(value=value) | t.String(value=value):
            return value
        case t.Name():
            return _name(tree, ctx, words)
        case t.List(items=items):
            return tuple(evaluate(item, ctx, words=words) for item in items)
        case t.Unary(operand=operand):
            value = _constant(evaluate(operand, ctx), operand, ctx)
            return _computed(lambda: constants.unary(tree, value), tree, ctx)
        case t.Binary():
            return _binary(tree, ctx)
        case t.Conditional(yes=yes, no=no):
            return evaluate(yes if truth(tree.condition, ctx) else no, ctx, words=words)
        case t.Member():
            return _member(evaluate(tree.base, ctx), tree, ctx)
        case t.Index():
            return _index(evaluate(tree.base, ctx), tree, ctx)
        case t.Call(function=t.Name(name=name)) if name in INITIALISERS:
            return _initialiser(tree, ctx)
        case t.Call(function=t.Name(name="len")):
            return _length(tree, ctx)
        case t.Chain() | t.Call() | t.Repeat():
            return _unplaced(ctx.flow(tree, ctx))
        case t.Star() | t.Range():
            return ctx.state.stop("bad-index", "an index stands between `[` and `]`", tree.span)


def _unplaced(flow: Flow) -> Datum:
    return flow.sources if len(flow.sources) != 1 else flow


def _name(tree: t.Name, ctx: Context, words: bool) -> Datum:
    found = ctx.env.get(tree.name)
    if isinstance(found, Broken):
        raise Stop
    if found is not None:
        return found
    if words:
        return Word(tree.name)
    return unknown(tree, ctx)


def unknown(tree: t.Name, ctx: Context) -> Any:
    """Report a name that means nothing here."""
    if tree.name in ROUTERS:
        advice: str | None = f"`{tree.name}` is a router: `route {tree.name} points`"
    elif tree.name in OPS and not OPS[tree.name].hidden:
        advice = f"`{tree.name}` is a layer; give it a value: `value -> {tree.name}`"
    else:
        advice = did_you_mean(tree.name, [*ctx.env.names(), *layer_names()])
    return ctx.state.stop(
        "unknown-name", f"nothing here is called `{tree.name}`", tree.span, help=advice
    )


def _constant(value: Datum, tree: t.Expression, ctx: Context) -> Datum:
    if isinstance(value, (Place, PlaceArray, Flow, BlockDef)):
        ctx.state.stop(
            "not-a-constant", f"`{format_tree(tree)}` is a value, not a number", tree.span
        )
    return value


def constant(tree: t.Expression, ctx: Context, *, words: bool = False) -> Datum:
    """An expression that must be known before the network runs."""
    return _constant(evaluate(tree, ctx, words=words), tree, ctx)


def integer(tree: t.Expression, ctx: Context, low: int, high: int, what: str) -> int:
    """An integer within bounds; `what` names it."""
    value = constant(tree, ctx)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        ctx.state.stop("bad-number", f"{what} must be an integer", tree.span)
    if not low <= value <= high:
        id_ = "too-large" if value > high else "bad-number"
        ctx.state.stop(id_, f"{what} must be from {low} to {high}, not {value}", tree.span)
    return int(value)


def truth(tree: t.Expression, ctx: Context) -> bool:
    value = constant(tree, ctx, words=True)
    if not isinstance(value, bool):
        ctx.state.stop("not-a-condition", "a condition must be true or false", tree.span)
    return bool(value)


def _computed(work: Any, tree: t.Expression, ctx: Context) -> Datum:
    try:
        return work()
    except ValueError as error:
        return ctx.state.stop("bad-arithmetic", str(error), tree.span)


def _binary(tree: t.Binary, ctx: Context) -> Datum:
    if tree.operator in ("and", "or"):
        left = truth(tree.left, ctx)
        if left == (tree.operator == "or"):
            return left
        return truth(tree.right, ctx)
    words = tree.operator in ("==", "!=")
    left_value = constant(tree.left, ctx, words=words)
    right_value = constant(tree.right, ctx, words=words)
    return _computed(lambda: constants.binary(tree, left_value, right_value), tree, ctx)


def _initialiser(tree: t.Call, ctx: Context) -> Init:
    assert isinstance(tree.function, t.Name)
    numbers = []
    for argument in tree.arguments:
        value = constant(argument.value, ctx)
        if argument.name or not constants.is_number(value):
            ctx.state.stop("bad-attribute", "an initialiser takes numbers", argument.span)
        numbers.append(float(value))
    return Init(tree.function.name, tuple(numbers))


def _length(tree: t.Call, ctx: Context) -> int:
    if len(tree.arguments) == 1:
        value = evaluate(tree.arguments[0].value, ctx)
        if isinstance(value, tuple):
            return len(value)
        if isinstance(value, PlaceArray):
            return len(value.items)
    return int(ctx.state.stop("bad-arithmetic", "`len` takes one list or array", tree.span))


def _member(base: Datum, tree: t.Member, ctx: Context) -> Datum:
    name = tree.name.name
    if isinstance(base, tuple) and base and all(isinstance(b, Place) for b in base):
        return tuple(_member(b, tree, ctx) for b in base)
    if isinstance(base, PlaceArray):
        ctx.state.stop(
            "unknown-point",
            f"`{base.address}` is an array",
            tree.base.span,
            help=f"write `{base.address}[*].{name}` for all, `{base.address}[0].{name}` for one",
        )
    if not isinstance(base, Place):
        ctx.state.stop("unknown-point", f"`{format_tree(tree.base)}` has no points", tree.span)
    if name in base.members:
        return base.members[name]
    if name == "out":
        return base
    known = [n for n in base.members if n != "in"]
    listed = "its points are " + ", ".join(f"`{n}`" for n in known[:8]) if known else None
    return ctx.state.stop(
        "unknown-point",
        f"`{format_tree(tree.base)}` has no point `{name}`",
        tree.name.span,
        notes=[Label(base.declared, "declared here")] if base.declared else [],
        help=did_you_mean(name, base.members) or listed,
    )


def _index(base: Datum, tree: t.Index, ctx: Context) -> Datum:
    if isinstance(base, Flow):
        base = base.sources
    if isinstance(base, Place) and len(base.values) != 1:
        base = base.values
    items = base.items if isinstance(base, PlaceArray) else base
    if not isinstance(items, (list, tuple)):
        if isinstance(tree.base, t.Name) and isinstance(items, Place):
            text = f"`{tree.base.name}` is not an array"
        else:
            text = "only arrays and lists take an index"
        ctx.state.stop("bad-index", text, tree.span)
    index = tree.index
    if isinstance(index, t.Star):
        return tuple(items)
    if isinstance(index, t.Range):
        low = integer(index.low, ctx, 0, max(0, len(items) - 1), "the first index")
        high = integer(index.high, ctx, low, max(0, len(items) - 1), "the last index")
        return tuple(items[low : high + 1])
    number = constant(index, ctx)
    if not isinstance(number, int) or isinstance(number, bool):
        ctx.state.stop("bad-index", "an index must be an integer", index.span)
    if not 0 <= number < len(items):
        ctx.state.stop(
            "bad-index",
            f"index {number} is outside: there are {len(items)}, counted from 0",
            index.span,
        )
    found = items[number]
    return Flow((found,)) if isinstance(found, (Wire, Point)) else found


def sources(value: Datum) -> tuple[Source, ...] | None:
    """The values that a datum stands for, None if it is a constant."""
    if isinstance(value, Flow):
        return value.sources
    if isinstance(value, Place):
        return value.values
    if isinstance(value, (Wire, Point)):
        return (value,)
    if isinstance(value, tuple) and value:
        parts = [sources(v) for v in value]
        if all(p is not None for p in parts):
            return tuple(s for p in parts if p is not None for s in p)
    return None


def stages(tree: t.Expression, ctx: Context) -> Iterator[t.Expression]:
    """The stages of a chain, nested chains opened and conditions decided."""
    match tree:
        case t.Chain(stages=parts):
            for part in parts:
                yield from stages(part, ctx)
        case t.Conditional(yes=yes, no=no):
            yield from stages(yes if truth(tree.condition, ctx) else no, ctx)
        case _:
            yield tree
