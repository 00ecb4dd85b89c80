"""Expressions: from the syntax tree to constants, places and values.

A datum is a constant (number, truth, word, size, list), an `Init`, a `Place` or array of places,
a block, or a `Flow`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, TypeAlias, final

from xgraph.build import constants
from xgraph.build.constants import spelt
from xgraph.build.lookup import check_told, needs_index, unknown_value
from xgraph.build.model import (
    BlockDef,
    Broken,
    Flow,
    Place,
    PlaceArray,
    Point,
    Source,
    Stop,
    Wire,
    settled,
)
from xgraph.build.names import written
from xgraph.build.state import Context
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.ir.attrs import INITIALISERS, Init, Word
from xgraph.source import Span

Datum: TypeAlias = Any


@final
class _Every(Container[str]):
    def __contains__(self, word: object) -> bool:
        return True


EVERY_WORD = _Every()
"""Where any name may stand for itself: a `param mode = fast`, `if mode == fast`."""


def evaluate(tree: t.Expression, ctx: Context, *, words: Container[str] = ()) -> Datum:
    """The datum of an expression; a name that is bound to nothing stands for itself if it is one
    of `words`."""
    ctx.state.step(tree.span)
    match tree:
        case t.Number(value=value) | t.Bool(value=value) | t.String(value=value):
            return value
        case t.Name():
            return _name(tree, ctx, words)
        case t.List(items=items):
            return _list(tree, [evaluate(item, ctx, words=words) for item in items], ctx)
        case t.Unary(operand=operand):
            value = _constant(evaluate(operand, ctx), operand, ctx)
            return _computed(lambda: constants.unary(tree, value), tree, ctx)
        case t.Binary():
            return _binary(tree, ctx)
        case t.Conditional(yes=yes, no=no):
            return evaluate(yes if truth(tree.condition, ctx) else no, ctx, words=words)
        case t.Member():
            return _member(evaluate(tree.base, ctx), tree, ctx)
        case t.Members(base=base, names=names):
            owner = evaluate(base, ctx)
            parts = (t.Member(base=base, name=name, span=name.span) for name in names)
            return _list(tree, [_member(owner, part, ctx) for part in parts], ctx)
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


@final
class Items(tuple[Datum, ...]):
    """A list with what is asked of it often: how many entries it holds in all (lists of lists
    grow fast), and the values it stands for, None if it is a constant."""

    weight: int
    sources: tuple[Source, ...] | None


def _list(tree: t.Expression, values: list[Datum], ctx: Context) -> Items:
    items = Items(values)
    items.weight = sum(v.weight if isinstance(v, Items) else 1 for v in values)
    items.sources = _joined(values)
    if items.weight > ctx.state.limits.repeat:
        ctx.state.stop(
            "too-large", f"a list may hold {ctx.state.limits.repeat} entries, and this has more",
            tree.span,
        )  # fmt: skip
    return items


def _unplaced(flow: Flow) -> Datum:
    return flow.sources if len(flow.sources) != 1 else flow


def _name(tree: t.Name, ctx: Context, words: Container[str]) -> Datum:
    found = ctx.env.get(tree.name)
    if isinstance(found, Broken):
        raise Stop
    if found is not None:
        return found
    if tree.name in words:
        return Word(tree.name)
    return unknown_value(tree, ctx)


def _constant(value: Datum, tree: t.Expression, ctx: Context) -> Datum:
    if isinstance(value, (PlaceArray, BlockDef)) or sources(value) is not None:
        if is_broken(value):
            raise Stop
        ctx.state.stop(
            "not-a-constant", f"`{format_tree(tree)}` is a value, not a number", tree.span
        )
    return value


def constant(tree: t.Expression, ctx: Context, *, words: Container[str] = ()) -> Datum:
    """An expression that must be known before the network runs."""
    return _constant(evaluate(tree, ctx, words=words), tree, ctx)


def integer(tree: t.Expression, ctx: Context, low: int, high: int, what: str) -> int:
    """An integer within bounds; `what` names it."""
    value = constant(tree, ctx)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        told = f"{what} must be an integer, not {spelt(value)}"
        ctx.state.stop("bad-number", told, tree.span)
    if not low <= value <= high:
        ctx.state.stop(
            "too-large" if value > high else "bad-number",
            f"{what} must be from {low} to {high}, not {spelt(value)}",
            tree.span,
            help="`--limit repeat=N` raises the limit" if _is_limit(value, high, ctx) else None,
        )
    return int(value)


def _is_limit(value: int, high: int, ctx: Context) -> bool:
    return value > high == ctx.state.limits.repeat


def truth(tree: t.Expression, ctx: Context) -> bool:
    value = constant(tree, ctx)
    if not isinstance(value, bool):
        ctx.state.stop(
            "not-a-condition", f"a condition must be true or false, not {spelt(value)}", tree.span,
            help="compare it, for example with `> 0`" if constants.is_number(value) else None,
        )  # fmt: skip
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
    words = EVERY_WORD if tree.operator in ("==", "!=") else ()
    left_value = _operand(tree.left, ctx, words)
    right_value = _operand(tree.right, ctx, words)
    return _computed(lambda: constants.binary(tree, left_value, right_value), tree, ctx)


def _operand(tree: t.Expression, ctx: Context, words: Container[str]) -> Datum:
    value = evaluate(tree, ctx, words=words)
    if sources(value) is not None:
        ctx.state.stop(
            "not-a-constant", f"`{format_tree(tree)}` is a value, not a number", tree.span,
            help="layers work on values: `add(a, b)`, `a -> scale(0.5)`",
        )  # fmt: skip
    return _constant(value, tree, ctx)


def _initialiser(tree: t.Call, ctx: Context) -> Init:
    assert isinstance(tree.function, t.Name)
    numbers = []
    for argument in tree.arguments:
        value = constant(argument.value, ctx)
        if argument.name or not constants.is_number(value):
            ctx.state.stop("bad-attribute", "an initialiser takes numbers", argument.span)
        numbers.append(float(value))
    init = Init(tree.function.name, tuple(numbers))
    check_numbers(init, tree.span, ctx)
    return init


def check_numbers(init: Init, span: Span, ctx: Context) -> None:
    """Report an initialiser that has too few numbers, or too many."""
    takes = INITIALISERS[init.name]
    if len(init.args) != takes:
        many = f"{takes} number" + ("" if takes == 1 else "s")
        form = f"{init.name}({', '.join('ab'[:takes])})" if takes else init.name
        ctx.state.stop(
            "bad-attribute", f"`{init.name}` takes {many if takes else 'no numbers'}", span,
            help=f"write `{form}`" + (" with numbers" if takes else ""),
        )  # fmt: skip


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
        needs_index(base, tree.base.span, ctx, f".{name}")
    if not isinstance(base, Place):
        ctx.state.stop("unknown-point", f"`{format_tree(tree.base)}` has no points", tree.span)
    if name in base.members:
        return base.members[name]
    if name == "out":
        return base
    check_told(tree.name.span.text, ctx)
    return ctx.state.stop(
        "unknown-point",
        f"`{format_tree(tree.base)}` has no point `{name}`",
        tree.name.span,
        notes=[Label(base.declared, "declared here")] if base.declared else [],
        help=did_you_mean(name, base.members) or _listed_points(base),
    )


def _listed_points(place: Place) -> str:
    known = [f"`{name}`" for name in place.members if name != "in"]
    if known:
        more = " and more" if len(known) > 8 else ""
        return f"its points are {', '.join(known[:8])}{more}"
    name = written(place.address)
    if "in" not in place.members:
        return f"it is one value, `{name}`"
    return f"label a layer in it (`name: conv(8, 3)`), or use `{name}.in` or `.out`"


def _index(base: Datum, tree: t.Index, ctx: Context) -> Datum:
    if isinstance(base, Flow):
        base = base.sources
    if isinstance(base, Place) and len(base.values) != 1:
        base = base.values
    items = base.items if isinstance(base, PlaceArray) else base
    if not isinstance(items, (list, tuple)):
        if is_broken(items):
            raise Stop
        ctx.state.stop(
            "bad-index", f"`{format_tree(tree.base)}` is no array or list", tree.base.span,
            help="take the index away",
        )  # fmt: skip
    index = tree.index
    ctx.state.step(tree.span, len(items))
    if isinstance(index, t.Star):
        return tuple(items)
    if isinstance(index, t.Range):
        low = integer(index.low, ctx, 0, max(0, len(items) - 1), "the first index")
        high = integer(index.high, ctx, low, max(0, len(items) - 1), "the last index")
        return tuple(items[low : high + 1])
    number = constant(index, ctx)
    if not isinstance(number, int) or isinstance(number, bool):
        told = f"an index must be an integer, not {spelt(number)}"
        ctx.state.stop("bad-index", told, index.span)
    if not 0 <= number < len(items):
        declared = base.declared if isinstance(base, PlaceArray) else None
        ctx.state.stop(
            "bad-index",
            f"`{format_tree(tree.base)}` has no element {spelt(number)}",
            index.span,
            notes=[Label(declared, "declared here")] if declared else [],
            help=f"its elements are 0 to {len(items) - 1}" if items else "it has none",
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
    if isinstance(value, Items):
        return value.sources
    return _joined(value) if isinstance(value, tuple) else None


def is_broken(value: Datum) -> bool:
    """Whether a datum stands for a value, or for what follows from one, in which a mistake was
    reported."""
    waiting = [settled(source).proto for source in sources(value) or ()]
    seen = set(map(id, waiting))
    while waiting:
        proto = waiting.pop()
        if proto.op is None:
            return True
        read = [settled(source).proto for source in proto.inputs]
        waiting += [p for p in read if id(p) not in seen]
        seen |= set(map(id, read))
    return False


def _joined(values: Sequence[Datum]) -> tuple[Source, ...] | None:
    """The values that data stand for together, None if one is a constant."""
    found: list[Source] = []
    for value in values:
        part = sources(value)
        if part is None:
            return None
        found += part
    return tuple(found) if values else None


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
