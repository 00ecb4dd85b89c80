"""What stands between the syntax tree and the graph: values that have no types yet.

Declarations are read in order, but a connection written later changes what an earlier reader
gets. So reading yields `Proto`s whose inputs may be `Point`s; when all is read, every point is
known to its last merge, and the protos become nodes (`wire`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, final

from xgraph.grammar.tree import Block
from xgraph.ir.attrs import Attrs
from xgraph.ir.op import OpSpec
from xgraph.ir.scope import Scope
from xgraph.source import Span

Frames: TypeAlias = tuple[str, ...]
"""The `each` axes around a place, outermost first."""


@final
@dataclass(eq=False, repr=False, slots=True)
class Proto:
    """An op that will be applied. `op` is None where a mistake was reported: what depends on it
    is not looked at."""

    op: OpSpec | None
    inputs: list[Source]
    ports: tuple[str, ...]
    attrs: Attrs
    address: str
    scope: Scope | None
    span: Span
    frames: Frames
    input_spans: tuple[Span, ...] = ()
    attr_spans: dict[str, Span] = field(default_factory=dict)
    rebinds: tuple[str, ...] = ()
    order: int = 0


@final
@dataclass(frozen=True, slots=True)
class Wire:
    """Output `index` of a proto."""

    proto: Proto
    index: int = 0

    @property
    def frames(self) -> Frames:
        return self.proto.frames


@final
@dataclass(eq=False, repr=False, slots=True)
class Point:
    """A named place: its own value, and its stream after the merges and routers so far."""

    address: str
    own: Source
    frames: Frames
    span: Span
    stream: Source = field(init=False)
    mergeable: bool = True

    def __post_init__(self) -> None:
        self.stream = self.own


Source: TypeAlias = Wire | Point


@final
@dataclass(frozen=True)
class Flow:
    """The values that reach a stage."""

    sources: tuple[Source, ...]


def settled(source: Source) -> Wire:
    """The wire that a reader of `source` gets once all declarations are read.

    Streams are shortened on the way: empty blocks within blocks make long rows of points.
    """
    trail: list[Point] = []
    while isinstance(source, Point):
        trail.append(source)
        source = source.stream
    for point in trail:
        point.stream = source
    return source


@final
@dataclass(eq=False, repr=False, slots=True)
class Place:
    """What a label, super-layer, modality or `let` stands for: values, and the labels inside."""

    address: str
    values: tuple[Source, ...]
    members: dict[str, Place | PlaceArray] = field(default_factory=dict)
    declared: Span | None = None

    @property
    def point(self) -> Point | None:
        if len(self.values) == 1 and isinstance(self.values[0], Point):
            return self.values[0]
        return None


@final
@dataclass(eq=False, repr=False, slots=True)
class PlaceArray:
    """An array of super-layers or labels."""

    address: str
    items: list[Place]
    declared: Span | None = None


@final
@dataclass(frozen=True, eq=False, slots=True)
class BlockDef:
    """A block and the names it sees."""

    tree: Block
    env: Env


@final
class Broken:
    """What a name stands for whose declaration had a mistake; using it is silent."""


BROKEN = Broken()


@final
class Env:
    """Names in sight, the nearest first."""

    __slots__ = ("_names", "_parent", "_spans")

    def __init__(self, parent: Env | None = None) -> None:
        self._names: dict[str, object] = {}
        self._spans: dict[str, Span] = {}
        self._parent = parent

    def get(self, name: str) -> object | None:
        env: Env | None = self
        while env is not None:
            if name in env._names:
                return env._names[name]
            env = env._parent
        return None

    def set(self, name: str, value: object, span: Span | None = None) -> None:
        """Bind a name, declared at `span`."""
        self._names[name] = value
        if span is not None:
            self._spans[name] = span

    def drop(self, name: str) -> None:
        """Forget a name that is bound here."""
        del self._names[name]

    def here(self, name: str) -> object | None:
        return self._names.get(name)

    def span(self, name: str) -> Span | None:
        """Where a name bound here was declared."""
        return self._spans.get(name)

    def names(self) -> list[str]:
        """Every name in sight whose declaration was sound."""
        inherited = self._parent.names() if self._parent else []
        return [
            *(n for n, value in self._names.items() if n.isidentifier() and value is not BROKEN),
            *inherited,
        ]


class Stop(Exception):
    """A mistake was reported; give up the statement at hand."""


class Halt(Exception):
    """A mistake was reported after which nothing more is read: a limit was passed."""


@final
@dataclass(frozen=True)
class Limits:
    """Bounds on what a file may ask for, far above real use."""

    nodes: int = 20_000
    """Layers, before composites are expanded."""
    steps: int = 200_000
    """Stages, statements and iterations read, whether or not they make a layer."""
    repeat: int = 10_000
    """Iterations of one `repeat`, copies of one super-layer."""
    depth: int = 32
    """Blocks within blocks."""
    weights: int = 2**33
    """Numbers in the parameters of layers."""


MADE = Limits(nodes=10**7, steps=10**8, repeat=10**6)
"""Of a text that is made of a graph, which had limits of its own when it was read."""
