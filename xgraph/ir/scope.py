"""What a person declared, as a tree over the nodes: the document that the graph was written as.

Every node of an architecture-level graph belongs to one scope. Scopes carry no computation;
they are how a graph prints as the `.xg` it came from, how reports are grouped, and how passes
find super-layers and connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias, final

from xgraph.source import Span

Meta: TypeAlias = Mapping[str, "int | float | bool | str"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Scope:
    """The base of all kinds. `address` is the prefix of what is inside, unique among the scopes
    that have names of their own."""

    kind: ClassVar[str]
    address: str
    parent: Scope | None = None
    span: Span | None = field(default=None, repr=False)

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Modality(Scope):
    kind = "modality"
    meta: Meta = field(default_factory=dict)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Let(Scope):
    kind = "let"


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SuperLayer(Scope):
    """`index` is its place in an array, else None."""

    kind = "superlayer"
    index: int | None = None
    meta: Meta = field(default_factory=dict)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Fusion(Scope):
    kind = "fusion"
    meta: Meta = field(default_factory=dict)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Argument(Scope):
    """The layers written in argument `index` of a super-layer or fusion; adds no name."""

    kind = "argument"
    index: int


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Label(Scope):
    """Layers under one label (`b1: conv(32, 3) -> relu`)."""

    kind = "label"


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Call(Scope):
    """A use of a block. `args` are the constants given, by parameter; `labelled` tells whether
    its name was written or made."""

    kind = "call"
    block: str
    args: Mapping[str, object] = field(default_factory=dict)
    leading: int = 0
    """How many of `args` are the block's first parameters, in order."""
    values: tuple[str, ...] = ()
    """The parameters that values were given for; each is a point, as is `in`."""
    labelled: bool = False


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Connect(Scope):
    """A connection: the point it reads, the points it merges into, and how."""

    kind = "connect"
    source: str
    targets: tuple[str, ...]
    by: str
    meta: Meta = field(default_factory=dict)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Route(Scope):
    """A router: the points it reads and those whose streams it replaces."""

    kind = "route"
    sources: tuple[str, ...]
    targets: tuple[str, ...]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Each(Scope):
    """What runs once per step of axis `axis`, with one set of weights; adds no name."""

    kind = "each"
    axis: str


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Output(Scope):
    kind = "output"


SCOPES: tuple[type[Scope], ...] = (
    Modality, Let, SuperLayer, Fusion, Argument, Label, Call, Connect, Route, Each, Output,
)  # fmt: skip
