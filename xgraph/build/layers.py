"""Expressions, chains and bodies: from the syntax tree to values and constants.

A datum is a constant (number, truth, word, size, list), an `Init`, a `Place` or array of places,
a block, or a tuple of sources (the values that flow through a chain).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, final

from xgraph.build import constants
from xgraph.build.model import (
    BROKEN,
    BlockDef,
    Broken,
    Env,
    Place,
    PlaceArray,
    Point,
    Source,
    Stop,
    Wire,
)
from xgraph.build.state import Context
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import tree as t
from xgraph.grammar.format import format_tree
from xgraph.ir import scope as scopes
from xgraph.ir.attrs import INITIALISERS, Attrs, Init, Layer, Word
from xgraph.ir.op import Fault, OpSpec
from xgraph.ops import OPS, ROUTERS
from xgraph.source import Span

Datum: TypeAlias = Any


@final
@dataclass(frozen=True)
class Flow:
    """The values that reach a stage."""

    sources: tuple[Source, ...]


# ------------------------------------------------------------------------------ expressions


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
            return evaluate(yes if _truth(tree.condition, ctx) else no, ctx, words=words)
        case t.Member():
            return _member(evaluate(tree.base, ctx), tree, ctx)
        case t.Index():
            return _index(evaluate(tree.base, ctx), tree, ctx)
        case t.Call(function=t.Name(name=name)) if name in INITIALISERS:
            return _initialiser(tree, ctx)
        case t.Call(function=t.Name(name="len")):
            return _length(tree, ctx)
        case t.Chain() | t.Call() | t.Repeat():
            return _unplaced(chain(tree, ctx, None))
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
        visible = [name for name in OPS if not OPS[name].hidden and name not in ROUTERS]
        advice = did_you_mean(tree.name, [*ctx.env.names(), *visible])
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


def _truth(tree: t.Expression, ctx: Context) -> bool:
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
        left = _truth(tree.left, ctx)
        if left == (tree.operator == "or"):
            return left
        return _truth(tree.right, ctx)
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


# ----------------------------------------------------------------------------------- chains


def stages(tree: t.Expression, ctx: Context) -> Iterator[t.Expression]:
    """The stages of a chain, nested chains opened and conditions decided."""
    match tree:
        case t.Chain(stages=parts):
            for part in parts:
                yield from stages(part, ctx)
        case t.Conditional(yes=yes, no=no):
            yield from stages(yes if _truth(tree.condition, ctx) else no, ctx)
        case _:
            yield tree


def chain(tree: t.Expression, ctx: Context, current: Flow | None, name: str | None = None) -> Flow:
    """The values at the end of a chain that `current` flows into; `name` is its label."""
    parts = list(stages(tree, ctx))
    if name is not None:
        layers = parts[1:] if _is_value(parts[0], ctx) else parts
        if len(layers) > 1:
            address = f"{ctx.prefix}{name}"
            label = scopes.Label(address=address, parent=ctx.scope, span=tree.span)
            ctx = ctx.inside(ctx.state.enter(label))
            name = None
    flow = current
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        try:
            flow = stage(part, ctx, flow, piped=number > 0, name=name if is_last else None)
        except Stop:
            flow = Flow((ctx.state.broken(part.span, ctx.frames),))
    assert flow is not None
    return flow


def _is_value(tree: t.Expression, ctx: Context) -> bool:
    """Whether a first stage is a value rather than a layer."""
    if isinstance(tree, t.Name):
        found = ctx.env.get(tree.name)
        return found is not None and not isinstance(found, BlockDef)
    return isinstance(tree, (t.Member, t.Index))


def stage(
    tree: t.Expression, ctx: Context, current: Flow | None, *, piped: bool, name: str | None
) -> Flow:
    """Apply one stage to `current`. `piped` tells whether `->` stands before it."""
    ctx.state.step(tree.span)
    match tree:
        case t.Name(name=word):
            found = ctx.env.get(word)
            if found is None or isinstance(found, BlockDef):
                return _apply(tree, (), tree, ctx, current, piped, name)
        case t.Call(function=t.Name() as function, arguments=arguments):
            return _apply(function, arguments, tree, ctx, current, piped, name)
        case t.Call():
            ctx.state.stop("unknown-name", "only layers and blocks can be called", tree.span)
        case t.Repeat():
            return _repeat(tree, ctx, current, name)
        case _:
            pass
    if piped:
        ctx.state.stop(
            "not-a-layer",
            f"`{format_tree(tree)}` is not a layer, so nothing can flow into it",
            tree.span,
            help="a value begins a chain; to join it, use a layer: `-> add(...)`",
        )
    found = evaluate(tree, ctx)
    values = sources(found)
    if values is None:
        if isinstance(found, PlaceArray):
            ctx.state.stop(
                "not-a-layer",
                f"`{found.address}` is an array of {len(found.items)}",
                tree.span,
                help=f"`{found.address}[*]` is all of them, `{found.address}[0]` the first",
            )
        ctx.state.stop("not-a-layer", "this is a constant, not a layer or a value", tree.span)
    return Flow(values)


@final
@dataclass(frozen=True)
class _Arguments:
    """The arguments of a call, evaluated."""

    values: list[tuple[Source, t.Argument]]
    constants: list[tuple[Datum, t.Argument]]
    named: dict[str, tuple[Datum, t.Argument]]


def _arguments(trees: Sequence[t.Argument], ctx: Context) -> _Arguments:
    found = _Arguments([], [], {})
    for tree in trees:
        value = evaluate(tree.value, ctx, words=True)
        if tree.name is not None:
            if tree.name.name in found.named:
                ctx.state.stop("duplicate-name", f"`{tree.name.name}` is given twice", tree.span)
            found.named[tree.name.name] = (value, tree)
        elif (given := sources(value)) is not None:
            found.values.extend((source, tree) for source in given)
        elif isinstance(value, (PlaceArray, BlockDef)):
            ctx.state.stop(
                "bad-attribute",
                f"`{format_tree(tree.value)}` cannot be an argument",
                tree.span,
                help="`name[*]` gives all elements of an array"
                if isinstance(value, PlaceArray)
                else None,
            )
        else:
            found.constants.append((value, tree))
    return found


def _apply(
    function: t.Name,
    trees: Sequence[t.Argument],
    tree: t.Expression,
    ctx: Context,
    current: Flow | None,
    piped: bool,
    name: str | None,
) -> Flow:
    """Apply the layer or block `function` names."""
    found = ctx.env.get(function.name)
    if isinstance(found, Broken):
        raise Stop
    op = OPS.get(function.name) if found is None else None
    if op is not None and (op.hidden or op.name in ROUTERS):
        op = None
    if op is None and not isinstance(found, BlockDef):
        _not_callable(function, found, ctx)
    arguments = _arguments(trees, ctx)
    named = found is not None and any(sources(v) is not None for v, _ in arguments.named.values())
    takes = piped or not (arguments.values or named)
    if op is not None and not op.required_ports and not piped:
        takes = False
    if op is not None and op.variadic and current is not None and not takes:
        _check_sole(op, arguments, tree, ctx)
    if isinstance(found, BlockDef):
        return _call(found, arguments, tree, ctx, current if takes else None, name)
    assert op is not None
    return _layer(op, arguments, tree, ctx, current if takes else None, name)


def _check_sole(op: OpSpec, arguments: _Arguments, tree: t.Expression, ctx: Context) -> None:
    """`add(short)` at the start of a statement leaves out what flows; hardly ever meant."""
    if len(arguments.values) == 1:
        argument = arguments.values[0][1]
        if not isinstance(argument.value, (t.Index, t.Member)):
            word = argument.span.text
            ctx.state.stop(
                "left-out",
                f"`{op.name}` of one value leaves out what flows here",
                tree.span,
                help=f"`-> {op.name}({word})` joins it to what flows; `{word} -> {op.name}` is it alone",
            )


def _not_callable(function: t.Name, found: Datum, ctx: Context) -> None:
    if found is not None:
        ctx.state.stop("not-a-layer", f"`{function.name}` is not a layer or a block", function.span)
    if function.name in ROUTERS:
        unknown(function, ctx)
    visible = [name for name in OPS if not OPS[name].hidden and name not in ROUTERS]
    blocks = [name for name in ctx.env.names() if isinstance(ctx.env.get(name), BlockDef)]
    values = [name for name in ctx.env.names() if name not in blocks]
    ctx.state.stop(
        "unknown-op",
        f"no layer or block is called `{function.name}`",
        function.span,
        help=did_you_mean(function.name, [*visible, *blocks])
        or did_you_mean(function.name, values),
    )


def _layer(
    op: OpSpec,
    arguments: _Arguments,
    tree: t.Expression,
    ctx: Context,
    current: Flow | None,
    name: str | None,
) -> Flow:
    spans: dict[str, Any] = {}
    attrs = _attributes(op, arguments, spans, ctx)
    optional = {port.name for port in op.optional_ports}
    extra: dict[str, Source] = {}
    for key, (value, argument) in arguments.named.items():
        if key not in optional:
            continue
        given = sources(value)
        if given is None or len(given) != 1:
            ctx.state.stop("bad-attribute", f"`{key}` must be one value", argument.span)
        extra[key] = given[0]
    flowing = current.sources if current else ()
    inputs = [*flowing, *(source for source, _ in arguments.values)]
    if not inputs and op.required_ports:
        ctx.state.stop(
            "no-value",
            f"nothing flows into `{op.name}` here",
            tree.span,
            help=f"begin with a value: `value -> {op.name}`",
        )
    try:
        ports = op.ports(len(inputs), extra)
        checked = op.check_attrs(attrs)
    except Fault as fault:
        span = spans.get(fault.attr or "", tree.span)
        ctx.state.stop(fault.id, fault.message, span, help=fault.help or _arity_help(op, fault))
    local = name or ctx.names.fresh(op.name)
    made = ctx.state.proto(
        op,
        inputs,
        checked,
        f"{ctx.prefix}{local}",
        ctx.scope,
        tree.span,
        ctx.frames,
    )
    if extra:
        made.inputs += [ctx.state.carried(s, ctx.frames, tree.span) for s in extra.values()]
        made.ports = ports
    value_spans = [argument.span for _, argument in arguments.values]
    made.input_spans = (*(tree.span for _ in flowing), *value_spans)
    made.attr_spans = spans
    return Flow(tuple(Wire(made, i) for i in range(op.arity(checked))))


def _arity_help(op: OpSpec, fault: Fault) -> str | None:
    return f"for example `{op.example}`" if fault.id == "wrong-arity" else None


def _attributes(
    op: OpSpec, arguments: _Arguments, spans: dict[str, Any], ctx: Context
) -> dict[str, Datum]:
    """Attributes by name: the positional ones first, in the order of declaration."""
    attrs: dict[str, Datum] = {}
    slots = list(op.attrs)
    for number, (value, tree) in enumerate(arguments.constants):
        if slots and slots[0].rest:
            attrs.setdefault(slots[0].name, ())
            attrs[slots[0].name] += value if isinstance(value, tuple) else (value,)
            spans.setdefault(slots[0].name, tree.span)
            continue
        if number >= len(slots):
            named = ", ".join(f"`{slot.name}`" for slot in slots)
            ctx.state.stop(
                "too-many-arguments",
                f"`{op.name}` takes {len(slots)} attribute{'' if len(slots) == 1 else 's'}",
                tree.span,
                help=f"they are {named}" if slots else None,
            )
        attrs[slots[number].name] = value
        spans[slots[number].name] = tree.span
    optional = {port.name for port in op.optional_ports}
    for key, (value, tree) in arguments.named.items():
        if key in optional:
            continue
        if key in attrs:
            ctx.state.stop("duplicate-name", f"`{key}` of `{op.name}` is given twice", tree.span)
        if sources(value) is not None or isinstance(value, PlaceArray):
            if key in op.attr_by_name:
                ctx.state.stop(
                    "not-a-constant", f"`{key}` of `{op.name}` must be known", tree.value.span
                )
        attrs[key] = value
        spans[key] = tree.value.span if key in op.attr_by_name else tree.span
    for key, value in attrs.items():
        _check_word(op, key, value, spans[key], ctx)
    return attrs


def _check_word(op: OpSpec, key: str, value: Datum, span: Span, ctx: Context) -> None:
    """An unknown name where no word can stand is more likely a misspelt name."""
    if isinstance(value, Word) and key in op.attr_by_name:
        try:
            op.attr_by_name[key].kind.coerce(value)
        except ValueError as error:
            near = did_you_mean(value, [n for n in ctx.env.names() if ctx.env.get(n) is not None])
            ctx.state.stop(
                "bad-attribute", f"`{key}` of `{op.name}` must be {error}", span, help=near
            )


# ------------------------------------------------------------------------- blocks and bodies


def _call(
    block: BlockDef,
    arguments: _Arguments,
    tree: t.Expression,
    ctx: Context,
    current: Flow | None,
    name: str | None,
) -> Flow:
    if ctx.depth >= ctx.state.limits.depth:
        ctx.state.stop(
            "too-large", f"blocks are nested more than {ctx.state.limits.depth} deep", tree.span
        )
    word = block.tree.name.name
    given, written = _bind(block, arguments, tree, ctx)
    plain = {k: given[k] for k in written if sources(given[k]) is None}
    order = [p.name.name for p in block.tree.parameters]
    local = name or ctx.names.fresh(word)
    scope = scopes.Call(
        address=f"{ctx.prefix}{local}",
        parent=ctx.scope,
        span=tree.span,
        block=word,
        args=plain,
        leading=sum(a == b for a, b in zip(plain, order, strict=False)),
        values=tuple(k for k in order if sources(given[k]) is not None),
        labelled=name is not None,
    )
    env = Env(block.env)
    inner = ctx.inside(ctx.state.enter(scope), env)
    inner = replace(inner, depth=ctx.depth + 1)
    place = Place(scope.address, (), declared=tree.span)
    for key, value in given.items():
        flow = sources(value)
        entry = value if flow is None else _entry(key, place, Flow(flow), tree.span, ctx)
        env.set(key, entry)
    if current is not None:
        place.members["in"] = _entry("in", place, current, tree.span, ctx)
        env.set("in", place.members["in"])
        current = Flow(place.members["in"].values)
    out = body(block.tree.body, inner, current, place)
    register(place, out, tree.span, ctx)
    ctx.env.set(_HIDDEN + local, place)
    return out


def _entry(name: str, place: Place, flow: Flow, span: Span, ctx: Context) -> Place:
    """What flows into a body, as points of it."""
    entry = Place(f"{place.address}.{name}", (), declared=span)
    register(entry, flow, span, ctx)
    return entry


_HIDDEN = "."
"""Prefix under which unlabelled calls are kept in a name space no name can reach."""


def _bind(
    block: BlockDef, arguments: _Arguments, tree: t.Expression, ctx: Context
) -> tuple[dict[str, Datum], list[str]]:
    """The parameters of a block by name, and which of them were given, in their order."""
    parameters = block.tree.parameters
    given: dict[str, Datum] = {}
    in_order = sorted(
        [(a.span.start, Flow((v,)), a) for v, a in arguments.values]
        + [(a.span.start, v, a) for v, a in arguments.constants],
        key=lambda entry: entry[0],
    )
    for number, (_, value, argument) in enumerate(in_order):
        if number >= len(parameters):
            ctx.state.stop(
                "too-many-arguments",
                f"block `{block.tree.name.name}` takes {len(parameters)} arguments",
                argument.span,
                notes=[Label(block.tree.name.span, "declared here")],
            )
        given[parameters[number].name.name] = value
    known = [p.name.name for p in parameters]
    for key, (value, argument) in arguments.named.items():
        if key not in known or key in given:
            ctx.state.stop(
                "unknown-attribute" if key not in known else "duplicate-name",
                f"block `{block.tree.name.name}` has no parameter `{key}`"
                if key not in known
                else f"`{key}` is given twice",
                argument.span,
                notes=[Label(block.tree.name.span, "declared here")],
                help=did_you_mean(key, known),
            )
        given[key] = value
    written = [key for key in known if key in given]
    for parameter in parameters:
        key = parameter.name.name
        if key in given:
            _check_known(given[key], key, tree, ctx)
            continue
        if parameter.default is None:
            ctx.state.stop(
                "missing-attribute",
                f"block `{block.tree.name.name}` needs `{key}`",
                tree.span,
                notes=[Label(parameter.name.span, "declared here")],
            )
        defaults = replace(ctx, env=_with(block.env, given))
        given[key] = evaluate(parameter.default, defaults, words=True)
    return given, written


def _check_known(value: Datum, key: str, tree: t.Expression, ctx: Context) -> None:
    if isinstance(value, Word) and value in OPS:
        return
    if isinstance(value, PlaceArray):
        ctx.state.stop("bad-attribute", f"`{key}` cannot be an array", tree.span)


def _with(env: Env, names: dict[str, Datum]) -> Env:
    new = Env(env)
    for key, value in names.items():
        new.set(key, value)
    return new


def _repeat(tree: t.Repeat, ctx: Context, current: Flow | None, name: str | None) -> Flow:
    count = integer(tree.count, ctx, 0, ctx.state.limits.repeat, "a repeat count")
    if name is None and count > 1 and (label := _first_label(tree.body)):
        ctx.state.stop(
            "duplicate-name",
            f"`{label.name.name}` would be declared {count} times",
            label.span,
            notes=[Label(tree.span, "by this `repeat`")],
            help="label the `repeat` itself: `u: repeat 3 { ... }` gives `u[0]`, `u[1]`, ...",
        )
    items: list[Place] = []
    flow = current
    for number in range(count):
        ctx.state.step(tree.span)
        inner = replace(ctx, env=Env(ctx.env))
        place = Place(f"{ctx.prefix}{name}.{number}", (), declared=tree.span)
        if name is not None:
            label = scopes.Label(address=place.address, parent=ctx.scope, span=tree.span)
            inner = ctx.inside(ctx.state.enter(label))
        if tree.variable is not None:
            inner.env.set(tree.variable.name, number)
        if flow is not None and name is not None:
            place.members["in"] = _entry("in", place, flow, tree.span, ctx)
            flow = Flow(place.members["in"].values)
        if flow is not None:
            inner.env.set("in", Place(place.address, flow.sources, declared=tree.span))
        flow = body(tree.body, inner, flow, place if name is not None else None)
        if name is not None:
            register(place, flow, tree.span, ctx)
            flow = Flow(place.values)
            items.append(place)
    if name is not None:
        ctx.env.set(name, PlaceArray(f"{ctx.prefix}{name}", items, tree.span))
    if flow is None:
        ctx.state.stop("no-value", "nothing flows through this `repeat`", tree.span)
    return flow


def body(tree: t.Body, ctx: Context, current: Flow | None, place: Place | None) -> Flow:
    """The values at the end of a body; its labels become members of `place`."""
    _claim(tree, ctx)
    flow = _statements(tree, ctx, current, place)
    if flow is None:
        ctx.state.stop("no-value", "a body needs at least one layer or value", tree.span)
    return flow


def _statements(
    tree: t.Body, ctx: Context, current: Flow | None, place: Place | None
) -> Flow | None:
    flow = current
    for statement in tree.statements:
        ctx.state.step(statement.span)
        try:
            flow = _statement(statement, ctx, flow, place)
        except Stop:
            flow = Flow((ctx.state.broken(statement.span, ctx.frames),))
            if isinstance(statement, t.Stage) and statement.label:
                define(statement.label.name, BROKEN, ctx)
            elif isinstance(statement, t.Let):
                define(statement.name, BROKEN, ctx)
    return flow


def _statement(
    tree: t.Statement, ctx: Context, flow: Flow | None, place: Place | None
) -> Flow | None:
    match tree:
        case t.Let():
            define(tree.name, evaluate(tree.value, ctx, words=False), ctx)
            return flow
        case t.If():
            branch = tree.yes if _truth(tree.condition, ctx) else tree.no
            return flow if branch is None else _statements(branch, ctx, flow, place)
        case t.Stage(label=None):
            return chain(tree.chain, ctx, flow)
        case t.Stage():
            return _labelled(tree, ctx, flow, place)


def _claim(tree: t.Body, ctx: Context) -> None:
    """Take the labels of a body, so that no layer is numbered into one."""
    for statement in tree.statements:
        match statement:
            case t.Stage(label=t.Label(name=name)):
                ctx.names.take(name.name)
            case t.If(yes=yes, no=no):
                _claim(yes, ctx)
                if no is not None:
                    _claim(no, ctx)
            case _:
                pass


def _first_label(tree: t.Body) -> t.Label | None:
    for statement in tree.statements:
        if isinstance(statement, t.Stage) and statement.label:
            return statement.label
        if isinstance(statement, t.If):
            for branch in (statement.yes, statement.no):
                if branch is not None and (found := _first_label(branch)):
                    return found
    return None


def _labelled(tree: t.Stage, ctx: Context, flow: Flow | None, place: Place | None) -> Flow:
    assert tree.label is not None
    word = tree.label.name.name
    if tree.label.index is None:
        check_free(tree.label.name, ctx)
    local, array = _element(tree.label, ctx)
    parts = list(stages(tree.chain, ctx))
    if len(parts) == 1 and isinstance(parts[0], t.Repeat):
        out = _repeat(parts[0], ctx, flow, local)
        found = ctx.env.here(local)
        if place is not None and isinstance(found, PlaceArray):
            place.members[word] = found
        return out
    out = chain(tree.chain, ctx, flow, local)
    inner = ctx.env.here(_HIDDEN + local)
    made = inner if isinstance(inner, Place) else Place(f"{ctx.prefix}{local}", ())
    made.declared = tree.label.span
    if not made.values or made.values != out.sources:
        register(made, out, tree.label.span, ctx)
    if array is not None:
        array.items.append(made)
    else:
        ctx.env.set(word, made)
    if place is not None:
        place.members[word] = array if array is not None else made
    return Flow(made.values)


def _element(label: t.Label, ctx: Context) -> tuple[str, PlaceArray | None]:
    """The local name of a label, and the array it is an element of."""
    word = label.name.name
    if label.index is None:
        return word, None
    found = ctx.env.here(word)
    if not isinstance(found, PlaceArray):
        check_free(label.name, ctx)
        found = PlaceArray(f"{ctx.prefix}{word}", [], label.span)
        ctx.env.set(word, found)
    size = len(found.items)
    number = integer(label.index, ctx, 0, ctx.state.limits.repeat, "the index of a label")
    if number != size:
        ctx.state.stop(
            "bad-index",
            f"the next element of `{word}` is {size}, not {number}",
            label.span,
            help="elements are labelled in order, from 0",
        )
    return f"{word}.{number}", found


def register(place: Place, flow: Flow, span: Span, ctx: Context, *, mergeable: bool = True) -> None:
    """Make the values of a place points, so that connections and other chains can find them."""
    single = len(flow.sources) == 1
    points = []
    for index, source in enumerate(flow.sources):
        address = place.address if single else f"{place.address}[{index}]"
        point = Point(address, source, source.frames, span, mergeable=mergeable)
        ctx.state.points[address] = point
        points.append(point)
    place.values = tuple(points)


# -------------------------------------------------------------------------------- new names


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


def layer_chain(tree: t.Expression, ctx: Context) -> tuple[Layer, ...]:
    """The `via` of a cross-prediction: layers that are not applied yet."""
    found = []
    for part in stages(tree, ctx):
        function = part.function if isinstance(part, t.Call) else part
        arguments = part.arguments if isinstance(part, t.Call) else ()
        if not isinstance(function, t.Name):
            ctx.state.stop("not-a-layer", "only layers can stand here", part.span)
        op = OPS.get(function.name)
        if op is None or op.hidden or op.name in ROUTERS or len(op.required_ports) != 1:
            ctx.state.stop(
                "not-a-layer",
                f"`{function.name}` is not a layer of one input",
                function.span,
                help="the `via` of a cross-prediction is a chain of layers, without blocks",
            )
        spans: dict[str, Any] = {}
        try:
            attrs: Attrs = op.check_attrs(_attributes(op, _arguments(arguments, ctx), spans, ctx))
        except Fault as fault:
            span = spans.get(fault.attr or "", part.span)
            ctx.state.stop(fault.id, fault.message, span, help=fault.help)
        found.append(Layer(op.name, attrs))
    return tuple(found)
