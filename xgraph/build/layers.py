"""Layers: an op applied to what flows, with the attributes that were written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, final

from xgraph.build.constants import spelt
from xgraph.build.expressions import Datum, check_numbers, evaluate, sources, stages
from xgraph.build.lookup import needs_index, unknown_layer, unknown_value
from xgraph.build.model import BlockDef, Flow, PlaceArray, Source, Stop, Wire
from xgraph.build.state import Context
from xgraph.diagnostics import did_you_mean
from xgraph.grammar import tree as t
from xgraph.ir.attrs import INITIALISERS, MAX_SIZE, Attrs, Init, Initialiser, Layer
from xgraph.ir.op import Attr, Fault, OpSpec
from xgraph.ops import OPS, ROUTERS, WORDS
from xgraph.source import Span

FROM_ELSEWHERE = {
    "outputs": "a router gives as many streams as it has targets",
    "layers": "they stand behind `via`: `route cp a.x -> b.y via conv(64, 3)`",
}
"""Attributes of routers that are never written by name, and what gives them."""


@final
@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, evaluated."""

    values: list[tuple[Source, t.Argument]]
    constants: list[tuple[Datum, t.Argument]]
    named: dict[str, tuple[Datum, t.Argument]]


def read_arguments(
    trees: Sequence[t.Argument], ctx: Context, op: OpSpec | None = None
) -> Arguments:
    """The arguments of a call of `op`, or of a block."""
    found = Arguments([], [], {})
    for tree in trees:
        _check_word(tree, _slot(op, tree, len(found.constants)), op, ctx)
        value = evaluate(tree.value, ctx, words=WORDS)
        if tree.name is not None:
            if tree.name.name in found.named:
                told = f"`{tree.name.name}` is given twice"
                ctx.state.stop("duplicate-name", told, tree.name.span)
            found.named[tree.name.name] = (value, tree)
        elif (given := sources(value)) is not None:
            found.values.extend((source, tree) for source in given)
        elif isinstance(value, PlaceArray):
            needs_index(value, tree.span, ctx)
        elif isinstance(value, BlockDef):
            ctx.state.stop(
                "bad-attribute", f"block `{value.tree.name.name}` cannot be an argument", tree.span
            )
        else:
            found.constants.append((value, tree))
    return found


def _slot(op: OpSpec | None, tree: t.Argument, position: int) -> Attr | None:
    """The attribute that an argument is for."""
    if op is None or (tree.name is None and op.variadic):
        return None
    if tree.name is not None:
        return op.attr_by_name.get(tree.name.name)
    return op.attrs[position] if position < len(op.attrs) else None


def _check_word(tree: t.Argument, slot: Attr | None, op: OpSpec | None, ctx: Context) -> None:
    """Report a bare name that is bound to nothing and no attribute takes."""
    word = tree.value
    if not isinstance(word, t.Name) or word.name in WORDS or ctx.env.get(word.name) is not None:
        return
    if slot is None or op is None:
        unknown_value(word, ctx)
    near = did_you_mean(word.name, _words(slot))
    unknown_value(word, ctx, near or f"`{slot.name}` of `{op.name}` is {slot.kind.wanted}")


def _words(slot: Attr) -> Sequence[str]:
    if isinstance(slot.kind, Initialiser):
        return list(INITIALISERS)
    words: Sequence[str] = getattr(slot.kind, "words", ())
    return words


def not_callable(function: t.Name, found: Datum, ctx: Context) -> None:
    """Report a name that is called and cannot be; `found` is what it stands for."""
    if found is None:
        unknown_layer(function, ctx)
    many = isinstance(found, (PlaceArray, tuple))
    kind = "a list" if many else "a constant" if sources(found) is None else "a value"
    ctx.state.stop(
        "not-a-layer",
        f"`{function.name}` is {kind}, not a layer or block",
        function.span,
        help=f"an element is written with brackets: `{function.name}[0]`" if many else None,
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
    attrs = check_attributes(op, _attributes(op, arguments, spans, ctx), spans, tree.span, ctx)
    extra = _optional_values(op, arguments, ctx)
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
    except Fault as fault:
        told = _arity_help(op, len(inputs))
        ctx.state.stop(fault.id, fault.message, tree.span, help=told)
    address = f"{ctx.prefix}{name or ctx.names.fresh(op.name)}"
    made = ctx.state.proto(op, inputs, attrs, address, ctx.scope, tree.span, ctx.frames)
    made.inputs += [ctx.state.carried(s, ctx.frames, tree.span) for s in extra.values()]
    made.ports = ports
    made.input_spans = (
        *(tree.span for _ in flowing),
        *(argument.span for _, argument in arguments.values),
        *(arguments.named[key][1].value.span for key in extra),
    )
    made.attr_spans = spans
    return Flow(tuple(Wire(made, i) for i in range(op.arity(attrs))))


def _optional_values(op: OpSpec, arguments: Arguments, ctx: Context) -> dict[str, Source]:
    """The values given by name: `lengths = n`."""
    optional = {port.name for port in op.optional_ports}
    found: dict[str, Source] = {}
    for key, (value, argument) in arguments.named.items():
        if key not in optional:
            continue
        given = sources(value)
        if given is None or len(given) != 1:
            told = f"`{key}` of `{op.name}` must be one value, not {spelt(value)}"
            ctx.state.stop("bad-attribute", told, argument.value.span)
        found[key] = given[0]
    return found


def _arity_help(op: OpSpec, given: int) -> str:
    if given > 1 == len(op.required_ports):
        return f"bring them together first: `concat(...) -> {op.name}`"
    return f"for example `{op.example}`"


def _attributes(
    op: OpSpec, arguments: Arguments, spans: dict[str, Span], ctx: Context
) -> dict[str, Datum]:
    """Attributes by name: the positional ones first, in the order of declaration."""
    attrs = _positional(op, arguments, spans, ctx)
    optional = {port.name for port in op.optional_ports}
    for key, (value, tree) in arguments.named.items():
        if key in optional:
            continue
        assert tree.name is not None
        known = key in op.attr_by_name
        if key in attrs:
            told = f"`{key}` of `{op.name}` is given twice"
            ctx.state.stop("duplicate-name", told, tree.name.span)
        if known and (sources(value) is not None or isinstance(value, PlaceArray)):
            told = f"`{key}` of `{op.name}` must be a constant, not a value of the network"
            ctx.state.stop("not-a-constant", told, tree.value.span)
        attrs[key] = value
        spans[key] = tree.value.span if known else tree.name.span
    return attrs


def _positional(
    op: OpSpec, arguments: Arguments, spans: dict[str, Span], ctx: Context
) -> dict[str, Datum]:
    attrs: dict[str, Datum] = {}
    slots = op.attrs
    for number, (value, tree) in enumerate(arguments.constants):
        if slots and slots[0].rest:
            attrs.setdefault(slots[0].name, ())
            attrs[slots[0].name] += value if isinstance(value, tuple) else (value,)
            spans[slots[0].name] = spans.get(slots[0].name, tree.span).to(tree.span)
            continue
        if number >= len(slots):
            _too_many(op, value, tree, ctx)
        attrs[slots[number].name] = value
        spans[slots[number].name] = tree.span
    return attrs


def _too_many(op: OpSpec, value: Datum, tree: t.Argument, ctx: Context) -> NoReturn:
    if not op.attrs:
        ctx.state.stop(
            "too-many-arguments", f"`{op.name}` takes no numbers or words, and this is"
            f" {spelt(value)}", tree.span,
            help=f"for example `{op.example}`",
        )  # fmt: skip
    named = ", ".join(f"`{slot.name}`" for slot in op.attrs)
    ctx.state.stop(
        "too-many-arguments",
        f"`{op.name}` takes {len(op.attrs)} attribute{'' if len(op.attrs) == 1 else 's'}",
        tree.span,
        help=f"they are {named}" if len(op.attrs) > 1 else f"it is {named}",
    )


def check_attributes(
    op: OpSpec, given: dict[str, Datum], spans: dict[str, Span], span: Span, ctx: Context
) -> Attrs:
    """The attributes with their defaults; every one that is wrong is reported."""
    wrong = [
        key
        for key, value in given.items()
        if not _is_sound(op, key, value, spans.get(key, span), ctx)
    ]
    if wrong:
        raise Stop
    try:
        return op.check_attrs(given)
    except Fault as fault:  # one is missing
        ctx.state.stop(fault.id, fault.message, span, help=fault.help)


def _is_sound(op: OpSpec, key: str, value: Datum, span: Span, ctx: Context) -> bool:
    """Whether an attribute may have this value; reported if not."""
    slot = op.attr_by_name.get(key)
    if slot is None:
        told = f"`{op.name}` has no attribute `{key}`"
        ctx.state.tell("unknown-attribute", told, span, help=_attribute_help(op, key))
        return False
    if isinstance(slot.kind, Initialiser) and value in INITIALISERS:
        check_numbers(Init(value), span, ctx)
    try:
        slot.kind.coerce(value)
    except ValueError as error:
        told = f"`{key}` of `{op.name}` must be {error}, not {spelt(value)}"
        if isinstance(value, int) and value > MAX_SIZE:
            told = f"`{key}` of `{op.name}` may be {MAX_SIZE} at most, not {spelt(value)}"
        ctx.state.tell("bad-attribute", told, span, help=FROM_ELSEWHERE.get(key))
        return False
    return True


def _attribute_help(op: OpSpec, key: str) -> str:
    if key in ("activation", "act", "nonlinearity"):
        return f"an activation is a layer of its own: `{op.example} -> relu`"
    known = [name for name in op.attr_by_name if name not in FROM_ELSEWHERE]
    listed = "it has " + ", ".join(f"`{name}`" for name in known) if known else "it has none"
    return did_you_mean(key, known) or listed


def layer_chain(tree: t.Expression, ctx: Context) -> tuple[Layer, ...]:
    """The `via` of a cross-prediction: layers that are not applied yet."""
    found = []
    for part in stages(tree, ctx):
        function = part.function if isinstance(part, t.Call) else part
        arguments = part.arguments if isinstance(part, t.Call) else ()
        if not isinstance(function, t.Name):
            ctx.state.stop("not-a-layer", "only layers can stand here", part.span)
        op = OPS.get(function.name)
        if op is None and ctx.env.get(function.name) is None:
            unknown_layer(function, ctx)
        if op is None or op.hidden or op.name in ROUTERS or len(op.required_ports) != 1:
            ctx.state.stop(
                "not-a-layer",
                f"`{function.name}` is not a layer of one input",
                function.span,
                help="the `via` of a cross-prediction is a chain of layers, without blocks",
            )
        spans: dict[str, Span] = {}
        given = _attributes(op, read_arguments(arguments, ctx, op), spans, ctx)
        found.append(Layer(op.name, check_attributes(op, given, spans, part.span, ctx)))
    return tuple(found)
