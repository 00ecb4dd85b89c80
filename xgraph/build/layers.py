"""Layers: an op applied to what flows, with the attributes that were written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from xgraph.build.expressions import Datum, evaluate, sources, stages, unknown
from xgraph.build.model import BlockDef, Flow, PlaceArray, Source, Wire
from xgraph.build.state import Context
from xgraph.diagnostics import did_you_mean
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.ir.attrs import Layer, Word
from xgraph.ir.op import Fault, OpSpec
from xgraph.ops import OPS, ROUTERS, layer_names
from xgraph.source import Span


@final
@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, evaluated."""

    values: list[tuple[Source, t.Argument]]
    constants: list[tuple[Datum, t.Argument]]
    named: dict[str, tuple[Datum, t.Argument]]


def read_arguments(trees: Sequence[t.Argument], ctx: Context) -> Arguments:
    found = Arguments([], [], {})
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


def not_callable(function: t.Name, found: Datum, ctx: Context) -> None:
    if found is not None:
        ctx.state.stop("not-a-layer", f"`{function.name}` is not a layer or a block", function.span)
    if function.name in ROUTERS:
        unknown(function, ctx)
    blocks = [name for name in ctx.env.names() if isinstance(ctx.env.get(name), BlockDef)]
    values = [name for name in ctx.env.names() if name not in blocks]
    ctx.state.stop(
        "unknown-op",
        f"no layer or block is called `{function.name}`",
        function.span,
        help=did_you_mean(function.name, [*layer_names(), *blocks])
        or did_you_mean(function.name, values),
    )


def check_sole(op: OpSpec, arguments: Arguments, tree: t.Expression, ctx: Context) -> None:
    """`add(short)` at the start of a statement leaves out what flows; hardly ever meant."""
    if len(arguments.values) == 1:
        argument = arguments.values[0][1]
        if not isinstance(argument.value, (t.Index, t.Member)):
            word = argument.span.text
            ctx.state.stop(
                "left-out",
                f"`{op.name}` of one value leaves out what flows here",
                tree.span,
                help=f"`-> {op.name}({word})` joins it to what flows",
            )


def apply_layer(
    op: OpSpec,
    arguments: Arguments,
    tree: t.Expression,
    ctx: Context,
    current: Flow | None,
    name: str | None,
) -> Flow:
    spans: dict[str, Span] = {}
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
    op: OpSpec, arguments: Arguments, spans: dict[str, Span], ctx: Context
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
        is_value = sources(value) is not None or isinstance(value, PlaceArray)
        if is_value and key in op.attr_by_name:
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
        spans: dict[str, Span] = {}
        try:
            attrs = op.check_attrs(_attributes(op, read_arguments(arguments, ctx), spans, ctx))
        except Fault as fault:
            span = spans.get(fault.attr or "", part.span)
            ctx.state.stop(fault.id, fault.message, span, help=fault.help)
        found.append(Layer(op.name, attrs))
    return tuple(found)
