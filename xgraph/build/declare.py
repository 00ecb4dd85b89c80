"""Declarations: from the syntax tree of a document to protos, points and scopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, final

from xgraph.build.binding import check_free
from xgraph.build.connections import connect, route
from xgraph.build.expressions import constant, evaluate, integer, sources, truth
from xgraph.build.flow import body, chain, chain_alone, claim, holds_layers, register
from xgraph.build.loader import is_shareable
from xgraph.build.lookup import needs_index, seem_declared
from xgraph.build.meta import read_meta
from xgraph.build.model import (
    BROKEN,
    BlockDef,
    Flow,
    Place,
    PlaceArray,
    Point,
    Source,
    Stop,
    Wire,
)
from xgraph.build.shared import Settings, Shared, constant_text
from xgraph.build.state import Context, State
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import tree as t
from xgraph.ir import scope as scopes
from xgraph.ir.attrs import MAX_SIZE, Attrs
from xgraph.ir.infer import MAX_ELEMENTS
from xgraph.ir.types import BATCH, Axis, DType, Expr, product, symbol
from xgraph.ops import INPUT
from xgraph.source import Span


@final
class Declarer:
    """Reads declarations in order. `load` brings the document of another file's blocks."""

    def __init__(
        self, state: State, settings: Settings, load: Callable[[t.Use], t.Document | None]
    ) -> None:
        self.state = state
        self.shared = Shared(state, settings, chain_alone)
        self.reading = self.shared.reading
        self._load = load
        self._using = 0
        """How many files are being read, each used by the one before."""

    def read_document(self, document: t.Document, lost: Iterable[str]) -> None:
        """Read all of a file; `lost` are names that it seems to declare where it has mistakes."""
        self.state.lost |= frozenset(lost)
        for name in _declared(document.declarations):
            self.state.declared.setdefault(name.name, name.span)
        self.read(document.declarations)

    def keep_names(self, declarations: Iterable[t.Declaration]) -> None:
        """Keep what super-layers and the like are called from connections further up."""
        for tree in declarations:
            match tree:
                case t.Modality() | t.Let() | t.SuperLayer() | t.Fusion():
                    self.state.addresses.keep(tree.name.name)
                case t.Each() | t.RepeatDecl():
                    self.keep_names(tree.declarations)
                case t.IfDecl():
                    self.keep_names((*tree.yes, *tree.no))
                case _:
                    pass

    def read(self, declarations: Iterable[t.Declaration], ctx: Context | None = None) -> None:
        """Read declarations; a mistake in one does not keep the next from being read."""
        for tree in declarations:
            try:
                self.state.step(tree.span)
                self._declare(tree, ctx or self.shared.top)
            except Stop:
                self._mark_broken(tree)

    def _mark_broken(self, tree: t.Declaration) -> None:
        for name in _declared([tree]):
            found = self.shared.top.env.get(name.name)
            if found is None or (isinstance(found, BlockDef) and not isinstance(tree, t.Block)):
                self.shared.top.env.set(name.name, BROKEN)

    def _declare(self, tree: t.Declaration, ctx: Context) -> None:
        match tree:
            case t.Network():
                self.shared.network(tree)
            case t.Param():
                self.shared.param(tree)
            case t.Dim():
                self.shared.dim(tree)
            case t.Use():
                self._use(tree)
            case t.Modality():
                self._modality(tree, ctx)
            case t.Let():
                self._let(tree, ctx)
            case t.Block():
                self.shared.block(tree)
            case t.SuperLayer():
                self._superlayer(tree, ctx)
            case t.Fusion():
                self._fusion(tree, ctx)
            case t.Connect():
                connect(tree, ctx)
            case t.Route():
                route(tree, ctx)
            case t.Each():
                self._each(tree, ctx)
            case t.Output():
                self._output(tree, ctx)
            case t.IfDecl():
                self._if(tree, ctx)
            case t.RepeatDecl():
                self._repeat(tree, ctx)

    def _use(self, tree: t.Use) -> None:
        if self._using >= self.state.limits.depth:
            self.state.blind = True
            self.state.stop(
                "too-large",
                f"files use files more than {self._using} deep",
                tree.span,
                help="`--limit depth=N` raises the limit",
            )
        before = len(self.state.report)
        document = self._load(tree)
        mistaken = len(self.state.report) > before
        if document is None:
            self.state.blind |= mistaken
            return
        if mistaken:
            self.state.lost |= seem_declared(document.span.source.text)
        strange = next((d for d in document.declarations if not is_shareable(d)), None)
        if strange is not None:
            self.state.tell(
                "not-a-block",
                "a file that is used may hold blocks and constants only",
                tree.path.span,
                notes=[Label(strange.span, "this is neither")],
            )
        self._using += 1
        kept = (d for d in document.declarations if not isinstance(d, t.Network))
        self.read(filter(is_shareable, kept))
        self._using -= 1

    def _modality(self, tree: t.Modality, ctx: Context) -> None:
        self.shared.check_new(tree.name)
        if ctx.frames:
            self.state.stop(
                "misplaced", "a modality is declared outside `each`", tree.span,
                help="give it the axis: `modality video: [T, 3, 32, 32]`",
            )  # fmt: skip
        name = tree.name.name
        dims = tuple(self._size(item, ctx) for item in tree.shape.items)
        total = product(dim for dim in dims if isinstance(dim, int))
        if isinstance(total, int) and total > MAX_ELEMENTS:
            told = f"`{name}` would hold {total} numbers a sample, over {MAX_ELEMENTS}"
            self.state.stop("too-large", told, tree.shape.span)
        dtype = tree.dtype.name if tree.dtype else "f32"
        if dtype not in (DType.F32.value, DType.I64.value):
            near = next((d for d in ("f32", "i64") if d[0] == dtype[0].lower()), "f32")
            self.state.stop(
                "bad-dtype",
                f"a modality is f32 or i64, not `{dtype}`",
                tree.dtype.span if tree.dtype else tree.span,
                help=f"write `{near}`",
            )
        scope = scopes.Modality(
            address=name,
            parent=ctx.scope,
            span=tree.span,
            meta=read_meta(tree.meta, "modality", ctx),
        )
        self.state.enter(scope)
        self.state.addresses.take(name)
        attrs = Attrs(shape=(symbol(BATCH), *dims), dtype=dtype)
        made = self.state.proto(INPUT, (), attrs, name, scope, tree.name.span, ())
        point = Point(name, Wire(made), (), tree.name.span, mergeable=False)
        self.state.points[name] = point
        self.reading.modalities[name] = point
        ctx.env.set(name, Place(name, (point,), declared=tree.name.span))

    def _size(self, tree: t.Expression, ctx: Context) -> int | Expr:
        value = constant(tree, ctx)
        if isinstance(value, Expr):
            return value
        if isinstance(value, Axis):
            return value
        return integer(tree, ctx, 1, MAX_SIZE, "a size")

    def _let(self, tree: t.Let, ctx: Context) -> None:
        self.shared.check_new(tree.name)
        name = tree.name.name
        if not holds_layers(tree.value, ctx):
            value = evaluate(tree.value, ctx)
            if sources(value) is None and not isinstance(value, PlaceArray):
                self.shared.share(tree.name, value)
                self.reading.prelude.append(f"let {name} = {constant_text(value)}")
                return
        scope = self.state.enter(scopes.Let(address=name, parent=ctx.scope, span=tree.span))
        self.state.addresses.take(name)
        out = chain(tree.value, ctx.under(scope), None, name)
        self._end(name, out, tree.name.span, ctx, mergeable=False)

    def _end(self, name: str, out: Flow, span: Span, ctx: Context, *, mergeable: bool) -> Place:
        """Bind `name` to values; one of them alone is a point."""
        place = Place(name, (), declared=span)
        register(place, out, span, ctx, mergeable=mergeable)
        ctx.env.set(name, place)
        return place

    def _superlayer(self, tree: t.SuperLayer, ctx: Context) -> None:
        name = tree.name.name
        meta = read_meta(tree.meta, "superlayer", ctx)
        if tree.count is None:
            self.shared.check_new(tree.name)
            self.state.addresses.take(name)
            ctx.env.set(name, self._one(tree, name, None, meta, ctx))
            return
        array, first, count = self._array(tree, ctx)
        for index in range(first, first + count):
            array.items.append(self._one(tree, f"{name}.{index}", index, meta, ctx))
        ctx.env.set(name, array)

    def _array(self, tree: t.SuperLayer, ctx: Context) -> tuple[PlaceArray, int, int]:
        """The array that `tree` begins or goes on with, its first index here, and how many."""
        assert tree.count is not None
        name, limit = tree.name.name, self.state.limits.repeat
        found = ctx.env.here(name)
        if not isinstance(tree.count, t.Range):
            self.shared.check_new(tree.name)
            self.state.addresses.take(name)
            count = integer(tree.count, ctx, 1, limit, "the number of copies")
            return PlaceArray(name, [], tree.name.span), 0, count
        if not isinstance(found, PlaceArray):
            self.shared.check_new(tree.name)
            self.state.addresses.take(name)
            found = PlaceArray(name, [], tree.name.span)
        first = integer(tree.count.low, ctx, 0, limit, "the first index")
        last = integer(tree.count.high, ctx, first, limit, "the last index")
        if first != len(found.items):
            self.state.stop(
                "bad-index",
                f"the next element of `{name}` is {len(found.items)}, not {first}",
                tree.count.span,
                help="the pieces of an array are declared in order, from 0",
            )
        return found, first, last - first + 1

    def _one(
        self,
        tree: t.SuperLayer,
        address: str,
        index: int | None,
        meta: dict[str, Any],
        ctx: Context,
    ) -> Place:
        scope = scopes.SuperLayer(
            address=address, parent=ctx.scope, span=tree.span, index=index, meta=meta
        )
        inner = ctx.inside(self.state.enter(scope))
        if index is not None:
            inner.env.set("index", index)
        return self._bodied(tree, address, inner, ctx)

    def _fusion(self, tree: t.Fusion, ctx: Context) -> None:
        self.shared.check_new(tree.name)
        name = tree.name.name
        meta = read_meta(tree.meta, "fusion", ctx)
        scope = scopes.Fusion(address=name, parent=ctx.scope, span=tree.span, meta=meta)
        self.state.addresses.take(name)
        inner = ctx.inside(self.state.enter(scope))
        ctx.env.set(name, self._bodied(tree, name, inner, ctx))

    def _bodied(
        self, tree: t.SuperLayer | t.Fusion, address: str, inner: Context, ctx: Context
    ) -> Place:
        """The arguments and body of a super-layer or fusion; its points become members."""
        place = Place(address, (), declared=tree.name.span)
        assert isinstance(tree.body, t.Body), "a space has no one body"
        claim(tree.body, inner)  # no layer of an argument is numbered into a label
        start = Flow(tuple(self._argument_values(tree, address, inner, ctx)))
        entry = Place(f"{address}.in", (), declared=tree.name.span)
        register(entry, start, tree.name.span, inner)
        inner.env.set("in", entry)
        place.members["in"] = entry
        flow = Flow(entry.values) if entry.values else None
        out = body(tree.body, inner, flow, place)
        register(place, out, tree.name.span, inner)
        return place

    def _argument_values(
        self, tree: t.SuperLayer | t.Fusion, address: str, inner: Context, ctx: Context
    ) -> Iterable[Source]:
        for index, argument in enumerate(tree.arguments):
            scope = scopes.Argument(
                address=address, parent=inner.scope, span=argument.span, index=index
            )
            self.state.enter(scope)
            where = replace(inner.under(scope), env=ctx.env)
            try:
                out = chain(argument, where, None)
            except Stop:
                out = Flow((self.state.broken(argument.span, inner.frames),))
            for source in out.sources:
                yield self.state.carried(source, inner.frames, argument.span)

    # ----------------------------------------------------------------- around and outwards

    def _each(self, tree: t.Each, ctx: Context) -> None:
        axis = tree.axis.name
        if axis not in self.state.dims:
            self.state.stop(
                "unknown-axis",
                f"no `dim` is called `{axis}`",
                tree.axis.span,
                help=did_you_mean(axis, self.state.dims) or f"declare it first: `dim {axis}`",
            )
        if axis in ctx.frames:
            self.state.stop("misplaced", f"`each {axis}` stands within itself", tree.axis.span)
        scope = scopes.Each(
            address=ctx.prefix.rstrip("."), parent=ctx.scope, span=tree.span, axis=axis
        )
        self.state.enter(scope)
        frames = (*ctx.frames, axis)
        self.state.each(frames, scope)
        self.read(tree.declarations, replace(ctx, scope=scope, frames=frames))

    def _output(self, tree: t.Output, ctx: Context) -> None:
        name = tree.name.name
        if name in self.reading.outputs:
            self.state.stop(
                "duplicate-name",
                f"output `{name}` is declared twice",
                tree.name.span,
                notes=[Label(self.reading.outputs[name][1], "first here")],
            )
        top = replace(ctx, frames=())
        if tree.value is None:
            flow = self._named_value(tree.name, top)
        else:
            scope = self.state.enter(scopes.Output(address=name, parent=ctx.scope, span=tree.span))
            local = self.state.addresses.unique(name)
            flow = chain(tree.value, top.under(scope), None, local)
        if len(flow.sources) != 1:
            self.state.stop(
                "wrong-arity",
                f"output `{name}` must be one value, not {len(flow.sources)}",
                (tree.value or tree.name).span,
                help="bring them together: `concat(...)`, `mean(...)`",
            )
        source = self.state.carried(flow.sources[0], (), tree.span)
        self.reading.outputs[name] = (source, tree.name.span)

    def _named_value(self, name: t.Name, ctx: Context) -> Flow:
        found = evaluate(name, ctx)
        if isinstance(found, PlaceArray):
            needs_index(found, name.span, ctx)
        values = sources(found)
        if values is None:
            told = f"`{name.name}` is a constant, not a value of the network"
            self.state.stop("not-a-value", told, name.span)
        return Flow(values)

    def _if(self, tree: t.IfDecl, ctx: Context) -> None:
        self.read(tree.yes if truth(tree.condition, ctx) else tree.no, ctx)

    def _repeat(self, tree: t.RepeatDecl, ctx: Context) -> None:
        limit = self.state.limits.repeat
        if tree.variable is not None:
            check_free(tree.variable, ctx)
        for number in range(integer(tree.count, ctx, 0, limit, "a repeat count")):
            self.state.step(tree.span)
            if tree.variable is not None:
                ctx.env.set(tree.variable.name, number)
            self.read(tree.declarations, ctx)
            if tree.variable is not None:
                ctx.env.drop(tree.variable.name)


def _declared(declarations: Iterable[t.Declaration]) -> Iterator[t.Name]:
    """The names that declarations bring."""
    for tree in declarations:
        match tree:
            case t.IfDecl(yes=yes, no=no):
                yield from _declared((*yes, *no))
            case t.Each(declarations=inner) | t.RepeatDecl(declarations=inner):
                yield from _declared(inner)
            case t.Network() | t.Output() | t.Connect() | t.Route() | t.Use():
                pass
            case _:
                yield tree.name
