"""Chains, blocks and bodies: how values flow from stage to stage, and what labels name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xgraph.build.binding import check_free, define
from xgraph.build.blocks import bind, too_deep
from xgraph.build.constants import spelt
from xgraph.build.expressions import evaluate, integer, sources, stages, truth
from xgraph.build.layers import Arguments, apply_layer, check_sole, not_callable, read_arguments
from xgraph.build.lookup import needs_index, unknown_value
from xgraph.build.model import (
    BROKEN,
    BlockDef,
    Broken,
    Env,
    Flow,
    Place,
    PlaceArray,
    Point,
    Stop,
)  # fmt: skip
from xgraph.build.state import Context
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import format_tree, parts
from xgraph.grammar import tree as t
from xgraph.ir import scope as scopes
from xgraph.ir.attrs import Word
from xgraph.ops import OPS, ROUTERS, layer_names
from xgraph.source import Span

_HIDDEN = "."
"""Prefix under which unlabelled calls are kept in a name space no name can reach."""


def chain(tree: t.Expression, ctx: Context, current: Flow | None, name: str | None = None) -> Flow:
    """The values at the end of a chain that `current` flows into; `name` is its label."""
    row = list(stages(tree, ctx))
    if name is not None:
        layers = row[1:] if _is_value(row[0], ctx) else row
        # At the top nothing else would tell the layers within arguments from those of other `let`s.
        if len(layers) > 1 or (not ctx.prefix and any(_takes_layers(s, ctx) for s in layers)):
            address = f"{ctx.prefix}{name}"
            label = scopes.Label(address=address, parent=ctx.scope, span=tree.span)
            ctx = ctx.inside(ctx.state.enter(label))
            name = None
    flow = current
    for number, part in enumerate(row):
        is_last = number == len(row) - 1
        try:
            flow = stage(part, ctx, flow, piped=number > 0, name=name if is_last else None)
        except Stop:
            flow = Flow((ctx.state.broken(part.span, ctx.frames),))
    assert flow is not None
    return flow


def _takes_layers(tree: t.Expression, ctx: Context) -> bool:
    """Whether a stage has layers among its arguments."""
    inner = tree.arguments if isinstance(tree, t.Call) else ()
    return any(holds_layers(argument.value, ctx) for argument in inner)


def holds_layers(tree: t.Tree, ctx: Context) -> bool:
    """Whether an expression makes layers: a chain, a layer or block that is called."""
    return any(_makes_layers(part, ctx) for part in parts(tree))


def _makes_layers(tree: t.Tree, ctx: Context) -> bool:
    if isinstance(tree, t.Call) and isinstance(tree.function, t.Name):
        word = tree.function.name
        found = ctx.env.get(word)
        if isinstance(found, Word):  # that stands for a layer or block
            word, found = str(found), ctx.env.get(found)
        return word in OPS or isinstance(found, BlockDef)
    return isinstance(tree, (t.Chain, t.Repeat))


def chain_alone(tree: t.Expression, ctx: Context) -> Flow:
    """A chain that nothing flows into: it begins with a value."""
    return chain(tree, ctx, None)


def _is_value(tree: t.Expression, ctx: Context) -> bool:
    """Whether a first stage is a value rather than a layer."""
    if isinstance(tree, t.Name):
        found = ctx.env.get(tree.name)
        return found is not None and not isinstance(found, (BlockDef, Word))
    return isinstance(tree, (t.Member, t.Members, t.Index))


def stage(
    tree: t.Expression, ctx: Context, current: Flow | None, *, piped: bool, name: str | None
) -> Flow:
    """Apply one stage to `current`. `piped` tells whether `->` stands before it."""
    ctx.state.step(tree.span)
    match tree:
        case t.Name(name=word):
            found = ctx.env.get(word)
            if isinstance(found, Broken):
                raise Stop
            if found is None and current is None and word not in layer_names():
                unknown_value(tree, ctx)
            if found is None or isinstance(found, (BlockDef, Word)):
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
            needs_index(found, tree.span, ctx)
        told = f"`{spelt(found)}` is a constant, not a layer or a value"
        ctx.state.stop("not-a-value", told, tree.span)
    return Flow(values)


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
    if isinstance(found, Word):  # a parameter that names a layer: `block unit(f, act)`
        function = _named(function, found, ctx)
        found = ctx.env.get(function.name)
    op = OPS.get(function.name) if found is None else None
    if op is not None and (op.hidden or op.name in ROUTERS):
        op = None
    if op is None and not isinstance(found, BlockDef):
        not_callable(function, found, ctx)
    arguments = read_arguments(trees, ctx, op)
    named = found is not None and any(sources(v) is not None for v, _ in arguments.named.values())
    takes = piped or not (arguments.values or named)
    if op is not None and not op.required_ports and not piped:
        takes = False
    if op is not None and op.variadic and current is not None and not takes:
        check_sole(op, arguments, tree, ctx)
    if isinstance(found, BlockDef):
        return _call(found, arguments, tree, ctx, current if takes else None, name)
    assert op is not None
    return apply_layer(op, arguments, tree, ctx, current if takes else None, name)


def _named(function: t.Name, word: Word, ctx: Context) -> t.Name:
    """The layer or block that a constant names."""
    if ctx.env.get(word) is None and word not in layer_names():
        told = f"`{function.name}` is `{word}`, and no layer or block is called so"
        near = did_you_mean(word, layer_names())
        ctx.state.stop("unknown-op", told, function.span, help=near)
    return replace(function, name=str(word))


def _call(
    block: BlockDef,
    arguments: Arguments,
    tree: t.Expression,
    ctx: Context,
    current: Flow | None,
    name: str | None,
) -> Flow:
    word = block.tree.name.name
    if ctx.depth >= ctx.state.limits.depth:
        too_deep(word, tree, ctx)
    given, written = bind(block, arguments, tree, ctx)
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
        entrance = _entry("in", place, current, tree.span, ctx)
        place.members["in"] = entrance
        env.set("in", entrance)
        current = Flow(entrance.values)
    ctx.state.calls.append((word, tree.span))
    try:
        out = body(block.tree.body, inner, current, place)
    finally:
        ctx.state.calls.pop()
    register(place, out, tree.span, ctx)
    ctx.env.set(_HIDDEN + local, place)
    return out


def _entry(name: str, place: Place, flow: Flow, span: Span, ctx: Context) -> Place:
    """What flows into a body, as points of it."""
    entry = Place(f"{place.address}.{name}", (), declared=span)
    register(entry, flow, span, ctx)
    return entry


def _repeat(tree: t.Repeat, ctx: Context, current: Flow | None, name: str | None) -> Flow:
    count = integer(tree.count, ctx, 0, ctx.state.limits.repeat, "a repeat count")
    if name is None and count > 1 and (repeated := _first_label(tree.body)):
        ctx.state.stop(
            "duplicate-name",
            f"`{repeated.name.name}` would be declared {count} times",
            repeated.span,
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
            entrance = _entry("in", place, flow, tree.span, ctx)
            place.members["in"] = entrance
            flow = Flow(entrance.values)
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
    claim(tree, ctx)
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
            define(tree.name, evaluate(tree.value, ctx), ctx)
            return flow
        case t.If():
            branch = tree.yes if truth(tree.condition, ctx) else tree.no
            return flow if branch is None else _statements(branch, ctx, flow, place)
        case t.Stage(label=None):
            return chain(tree.chain, ctx, flow)
        case t.Stage():
            return _labelled(tree, ctx, flow, place)


def claim(tree: t.Body, ctx: Context) -> None:
    """Take the labels of a body, so that no layer is numbered into one."""
    for statement in tree.statements:
        match statement:
            case t.Stage(label=t.Label(name=name)):
                ctx.names.take(name.name)
            case t.Stage(chain=t.Repeat() as repeated):  # once, or its labels are refused
                claim(repeated.body, ctx)
            case t.Stage(chain=t.Chain(stages=parts)):
                for part in parts:
                    if isinstance(part, t.Repeat):
                        claim(part.body, ctx)
            case t.If(yes=yes, no=no):
                claim(yes, ctx)
                if no is not None:
                    claim(no, ctx)
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
