"""What one reading of a document keeps: diagnostics, protos, scopes, and budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar, final

from xgraph.build.model import (
    Env,
    Flow,
    Frames,
    Halt,
    Limits,
    Point,
    Proto,
    Source,
    Stop,
    Wire,
)
from xgraph.build.names import Names
from xgraph.diagnostics import Label, Report
from xgraph.grammar import tree as t
from xgraph.ir import scope as scopes
from xgraph.ir.attrs import Attrs
from xgraph.ir.op import OpSpec
from xgraph.ir.scope import Each, Scope
from xgraph.ir.types import Dim
from xgraph.ops import ENTER, LEAVE, ROUTERS
from xgraph.source import Span

S = TypeVar("S", bound=Scope)

_OF_A_CALL = (
    "bad-arithmetic", "bad-attribute", "bad-index", "bad-number", "no-value", "not-a-condition",
    "not-a-layer", "too-large", "wrong-arity",
)  # fmt: skip
"""Mistakes in a block that one call of it may have and another not."""

_MOST = 100
"""How many mistakes are told."""


def effort(op: OpSpec, inputs: int, attrs: Attrs) -> int:
    """How many steps an op of several inputs or outputs counts as: a router mixes each with
    each."""
    outputs = op.arity(attrs)
    if op.name not in ROUTERS:
        return inputs + outputs
    parts = int(attrs.get("subspaces", 1))
    return 4 * inputs * outputs * parts * parts * (1 + len(attrs.get("layers", ())))


def call_notes(calls: Sequence[tuple[str, Span]]) -> list[Label]:
    """Where blocks are called: the outermost call, and the innermost."""
    ends = dict.fromkeys([calls[0], calls[-1]]) if calls else {}
    return [Label(span, f"in this `{block}`") for block, span in ends]


@final
class State:
    """Shared by every context of one reading."""

    def __init__(self, report: Report, limits: Limits) -> None:
        self.report = report
        self.limits = limits
        self.protos: list[Proto] = []
        self.scopes: list[Scope] = []
        self.points: dict[str, Point] = {}
        self.dims: dict[str, Dim] = {}
        self.addresses = Names()
        """Names at the top of the address space."""
        self.declared: dict[str, Span] = {}
        """Every name that the document declares, also below."""
        self.told: set[str] = set()
        """Unknown names that were reported."""
        self.lost: frozenset[str] = frozenset()
        """Names that stand in a text with mistakes of syntax as if they were declared."""
        self.blind = False
        """Whether a file that is used could not be read, so that blocks may be missing."""
        self.calls: list[tuple[str, Span]] = []
        """The calls of blocks that are being read, outermost first."""
        self._steps = 0
        self._labels = 0
        self._crossings: dict[tuple[int, int, str], Wire] = {}
        self._each: dict[Frames, Each] = {}

    def stop(
        self,
        id: str,  # noqa: A002
        message: str,
        span: Span,
        text: str = "",
        *,
        notes: Iterable[Label] = (),
        help: str | None = None,  # noqa: A002
    ) -> NoReturn:
        """Report a mistake and give up the statement at hand."""
        self.tell(id, message, span, text, notes=notes, help=help)
        raise Stop

    def tell(
        self,
        id: str,  # noqa: A002
        message: str,
        span: Span,
        text: str = "",
        *,
        notes: Iterable[Label] = (),
        help: str | None = None,  # noqa: A002
    ) -> None:
        """Report a mistake; within a block, with the calls that lead to it."""
        given = [*notes]
        if id in _OF_A_CALL:
            given += [note for note in call_notes(self.calls) if note.span != span]
        self.report.error(id, message, span, text, notes=given, help=help)
        if len(self.report) > _MOST:
            self.report.error(
                "too-many-mistakes", f"after {_MOST} mistakes nothing more is looked at", None,
                origin=span.source.name,
            )  # fmt: skip
            raise Halt

    def halt(self, message: str, span: Span, advice: str) -> NoReturn:
        """Report a limit that was passed, and give up."""
        self.tell("too-large", message, span, help=advice)
        raise Halt

    def step(self, span: Span, count: int = 1) -> None:
        """Count work, so that no file can make the compiler run for ever."""
        self._steps += count
        if self._steps > self.limits.steps:
            self.halt(
                f"the network takes more than {self.limits.steps} steps to write out",
                span,
                "a `repeat`, a block within blocks or a router of many streams grows too far;"
                " `--limit steps=N` allows more",
            )

    def proto(
        self,
        op: OpSpec | None,
        inputs: Sequence[Source],
        attrs: Attrs,
        address: str,
        scope: Scope | None,
        span: Span,
        frames: Frames,
    ) -> Proto:
        """Note an op that will be applied."""
        self._check_room(len(self.protos) + 1, "layers", span)
        if op is not None:
            self.step(span, effort(op, len(inputs), attrs))
        values = [self.carried(source, frames, span) for source in inputs]
        ports = op.ports(len(values)) if op else ()
        made = Proto(op, values, ports, attrs, address, scope, span, frames)
        made.order = len(self.protos)
        self.protos.append(made)
        return made

    def broken(self, span: Span, frames: Frames) -> Wire:
        """A value where a mistake was reported."""
        made = Proto(None, [], (), Attrs(), "", None, span, frames)
        made.order = len(self.protos)
        self.protos.append(made)
        return Wire(made)

    def enter(self, scope: S) -> S:
        """Note a scope."""
        if isinstance(scope, (scopes.Call, scopes.Label)) and scope.span is not None:
            self._labels += 1
            self._check_room(self._labels, "labels and calls of blocks", scope.span)
        self.scopes.append(scope)
        return scope

    def _check_room(self, count: int, what: str, span: Span) -> None:
        if count > self.limits.nodes:
            self.halt(
                f"the network has more than {self.limits.nodes} {what}",
                span,
                "`--limit nodes=N` raises the limit",
            )

    def each(self, frames: Frames, scope: Each) -> None:
        self._each[frames] = scope

    # ------------------------------------------------------------------ crossing `each`

    def carried(self, source: Source, frames: Frames, span: Span) -> Source:
        """`source` as it is seen inside `frames`: stepped into them, or gathered out of its own."""
        have = source.frames
        common = 0
        while common < min(len(have), len(frames)) and have[common] == frames[common]:
            common += 1
        for depth in range(len(have), common, -1):
            source = self._leave(source, have[:depth], span)
        for depth in range(common, len(frames)):
            source = self._enter(source, frames[: depth + 1], span)
        return source

    def _leave(self, source: Source, frames: Frames, span: Span) -> Source:
        axis = frames[-1]
        attrs = Attrs(size=str(self.dims[axis]))
        return self._cross(LEAVE, source, f"over_{axis}", attrs, frames[:-1], frames, span)

    def _enter(self, source: Source, frames: Frames, span: Span) -> Source:
        axis = frames[-1]
        return self._cross(ENTER, source, f"per_{axis}", Attrs(axis=axis), frames, frames, span)

    def _cross(
        self,
        op: OpSpec,
        source: Source,
        suffix: str,
        attrs: Attrs,
        frames: Frames,
        each: Frames,
        span: Span,
    ) -> Wire:
        index = source.index if isinstance(source, Wire) else 0
        key = (id(source.proto if isinstance(source, Wire) else source), index, suffix)
        if key not in self._crossings:
            base = source.address if isinstance(source, Point) else source.proto.address
            address = self.addresses.unique(f"{base.replace('.', '_')}_{suffix}")
            made = Proto(op, [source], ("x",), attrs, address, self._each[each], span, frames)
            made.input_spans = (span,)
            made.order = len(self.protos)
            self.protos.append(made)
            self._crossings[key] = Wire(made)
        return self._crossings[key]


@final
@dataclass(frozen=True)
class Context:
    """Where a statement stands: the names it sees, and where what it makes belongs."""

    state: State
    env: Env
    prefix: str
    scope: Scope | None
    names: Names
    frames: Frames
    flow: Callable[[t.Expression, Context], Flow]
    """How a chain within an expression is read (`flow.chain_alone`); given, because a chain holds
    expressions in turn."""
    depth: int = 0

    def inside(self, scope: Scope, env: Env | None = None) -> Context:
        """Within `scope`, which has a name of its own."""
        return replace(
            self,
            scope=scope,
            prefix=f"{scope.address}.",
            names=Names(),
            env=env or Env(self.env),
        )

    def under(self, scope: Scope) -> Context:
        """Within `scope`, which adds no name."""
        return replace(self, scope=scope)
