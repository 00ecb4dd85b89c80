"""Connections and routers: what hooks on at points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xgraph.build.expressions import constant, evaluate
from xgraph.build.flow import chain
from xgraph.build.layers import FROM_ELSEWHERE, check_attributes, layer_chain
from xgraph.build.lookup import needs_index
from xgraph.build.meta import read_meta
from xgraph.build.model import Flow, Place, PlaceArray, Point, Proto, Source, Wire
from xgraph.build.names import connect_name, route_name, written
from xgraph.build.state import Context
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.ir import scope as scopes
from xgraph.ir.op import OpSpec
from xgraph.ops import OPS, ROUTERS, WORDS
from xgraph.source import Span

MERGES = ("concat", "add", "mul", "max")
"""How a connection may join its target's stream (`by`)."""


def _points(tree: t.Expression, ctx: Context) -> list[Place]:
    found = evaluate(tree, ctx)
    places = list(found) if isinstance(found, tuple) else [found]
    for place in places:
        if isinstance(place, PlaceArray):
            needs_index(place, tree.span, ctx)
        if not isinstance(place, Place) or place.point is None:
            many = len(place.values) if isinstance(place, Place) else 0
            stands = f": it stands for {many} values" if many > 1 else ""
            ctx.state.stop(
                "not-a-point", f"`{format_tree(tree)}` is not a point{stands}", tree.span,
                help="a point is a label inside a super-layer, or a super-layer itself",
            )  # fmt: skip
    return places


def _targets(trees: tuple[t.Expression, ...], ctx: Context) -> list[tuple[Point, Span]]:
    targets: list[tuple[Point, Span]] = []
    seen: set[int] = set()
    for tree in trees:
        for place in _points(tree, ctx):
            point = place.point
            assert point is not None
            if not point.mergeable:
                ctx.state.stop(
                    "not-a-target",
                    f"nothing can be merged into `{written(point.address)}`",
                    tree.span,
                    notes=[Label(point.span, "it is not inside a super-layer or fusion")],
                    help="merge where a super-layer begins: `name.in`",
                )
            if id(point) in seen:
                ctx.state.stop("duplicate-name", f"`{format_tree(tree)}` is named twice", tree.span)
            seen.add(id(point))
            targets.append((point, tree.span))
    return targets


def connect(tree: t.Connect, ctx: Context) -> None:
    places = _points(tree.source, ctx)
    if len(places) != 1:
        ctx.state.stop(
            "wrong-arity", "a connection has one source", tree.source.span,
            help="write one `connect` for each, or a `route` that mixes them",
        )  # fmt: skip
    source = places[0].point
    assert source is not None
    targets = _targets(tree.targets, ctx)
    for point, span in targets:
        if point is source:
            ctx.state.stop(
                "self-connection", f"`{written(point.address)}` is connected to itself", span,
                help="connect two different points",
            )  # fmt: skip
    by = tree.by.name if tree.by else "concat"
    if tree.by and by not in MERGES:
        listed = ", ".join(f"`{m}`" for m in MERGES)
        ctx.state.stop(
            "unknown-merge",
            f"values cannot be merged by `{by}`",
            tree.by.span,
            help=did_you_mean(by, MERGES) or f"they merge by {listed}",
        )
    frames = _common_frames(targets, ctx)
    address = ctx.state.addresses.unique(
        connect_name(source.address, [p.address for p, _ in targets])
    )
    scope = scopes.Connect(
        address=address,
        parent=ctx.scope,
        span=tree.span,
        source=source.address,
        targets=tuple(p.address for p, _ in targets),
        by=by,
        meta=read_meta(tree.meta, "connect", ctx),
    )
    ctx.state.enter(scope)
    inner = replace(ctx.inside(scope), frames=frames)
    flow = Flow((source.own,))
    if tree.via is not None:
        before = len(ctx.state.protos)
        flow = chain(tree.via, inner, flow)
        _check_read(source, flow, tree, inner, ctx.state.protos[before:])
        if len(flow.sources) != 1:
            told = f"`via` must end in one value, not {len(flow.sources)}"
            ctx.state.stop("wrong-arity", told, tree.via.span)
    for point, span in targets:
        _merge(by, point, flow.sources[0], inner, tree, span)


def _check_read(
    source: Point, flow: Flow, tree: t.Connect, ctx: Context, made: list[Proto]
) -> None:
    """A chain that begins with a value of its own would leave the source out."""
    origins = source.own, ctx.state.carried(source.own, ctx.frames, tree.source.span)
    read = [*flow.sources, *(value for proto in made for value in proto.inputs)]
    if tree.via is None or any(p.op is None for p in made):
        return
    if any(_comes_from(value, origin) for value in read for origin in origins):
        return
    ctx.state.stop(
        "left-out",
        f"this leaves out `{written(source.address)}`, which the connection reads",
        tree.via.span,
        notes=[Label(tree.source.span, "read here")],
        help="behind `via` stand the layers that its value flows through",
    )


def _comes_from(value: Source, origin: Source) -> bool:
    """Whether a value is another, or what flows into blocks from it."""
    while value is not origin and value != origin and isinstance(value, Point):
        value = value.own
    return value == origin


def _merge(by: str, point: Point, value: Source, ctx: Context, tree: t.Connect, span: Span) -> None:
    made = ctx.state.proto(
        OPS[by],
        (point.stream, value),
        OPS[by].check_attrs({}),
        f"{ctx.prefix}{ctx.names.fresh(by)}",
        ctx.scope,
        span,
        ctx.frames,
    )
    made.rebinds = (point.address,)
    made.input_spans = (point.span, tree.via.span if tree.via else tree.source.span)
    point.stream = Wire(made)


def _common_frames(targets: list[tuple[Point, Span]], ctx: Context) -> tuple[str, ...]:
    frames = targets[0][0].frames
    for point, span in targets[1:]:
        if point.frames != frames:
            ctx.state.stop(
                "misplaced", "all targets must stand within the same `each`, or outside of any",
                span, notes=[Label(targets[0][1], "this target stands elsewhere")],
            )  # fmt: skip
    return frames


def route(tree: t.Route, ctx: Context) -> None:
    router = tree.router.name
    chosen = ctx.env.get(router)
    if isinstance(chosen, str):
        router = str(chosen)
    if router not in ROUTERS:
        listed = ", ".join(f"`{r}`" for r in ROUTERS)
        ctx.state.stop(
            "unknown-router",
            f"no router is called `{router}`",
            tree.router.span,
            help=did_you_mean(router, ROUTERS) or f"there are {listed}",
        )
    op = OPS[router]
    read = [(place, part.span) for part in tree.sources for place in _points(part, ctx)]
    targets = _targets(tree.targets or tree.sources, ctx)
    frames = _common_frames(targets, ctx)
    names = [place.address for place, _ in read], [p.address for p, _ in targets]
    address = ctx.state.addresses.unique(route_name(router, *names))
    scope = scopes.Route(
        address=address,
        parent=ctx.scope,
        span=tree.span,
        sources=tuple(names[0]),
        targets=tuple(names[1]),
    )
    ctx.state.enter(scope)
    spans: dict[str, Span] = {}
    attrs = _route_attrs(op, tree, len(targets), spans, ctx)
    checked = check_attributes(op, attrs, spans, tree.span, ctx)
    streams = [place.point.stream for place, _ in read if place.point]
    made = ctx.state.proto(op, streams, checked, address, scope, tree.span, frames)
    made.input_spans = tuple(span for _, span in read)
    made.attr_spans = spans
    made.rebinds = tuple(names[1])
    for index, (point, _) in enumerate(targets):
        point.stream = Wire(made, index)


def _route_attrs(
    op: OpSpec, tree: t.Route, outputs: int, spans: dict[str, Span], ctx: Context
) -> dict[str, Any]:
    attrs: dict[str, Any] = {"outputs": outputs}
    for entry in tree.meta:
        key = entry.key.name
        if key in spans:
            ctx.state.stop("duplicate-name", f"`{key}` is given twice", entry.key.span)
        if key in FROM_ELSEWHERE:
            ctx.state.stop(
                "unknown-attribute", f"`{key}` cannot be set here", entry.key.span,
                help=FROM_ELSEWHERE[key],
            )  # fmt: skip
        attrs[key] = constant(entry.value, ctx, words=WORDS)
        spans[key] = entry.value.span if key in op.attr_by_name else entry.key.span
    takes = "layers" in op.attr_by_name
    if takes != (tree.via is not None):
        span = tree.via.span if tree.via else tree.router.span
        told = f"`{op.name}` {'needs layers behind' if takes else 'takes no'} `via`"
        advice = f"for example `{op.example}`" if takes else "of the routers only `cp` takes layers"
        ctx.state.stop("missing-via" if takes else "misplaced-via", told, span, help=advice)
    if tree.via is not None:
        attrs["layers"] = layer_chain(tree.via, ctx)
        spans["layers"] = tree.via.span
    return attrs
