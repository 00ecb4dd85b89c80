"""The syntax tree of a `.xg` file, top to bottom.

    Document = header? declaration*
    declaration = Network | Param | Dim | Use | Modality | Let | Block | SuperLayer | Fusion
                | Connect | Route | Each | Output | IfDecl | RepeatDecl
    Body     = statement*, or for a super-layer and a fusion a Space = setting*
    statement = Stage | Let | If | Repeat
    Stage    = label? chain
    chain    = expression -> expression -> ...

Plain frozen data with a span each; nothing here knows what a name means. `span` takes no part in
equality, so two trees are equal when they say the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, final

from xgraph.source import Source, Span

# The span of a tree that was not read from a text.
SYNTHETIC = Span(Source("<built>", ""), 0, 0)


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The base of all kinds."""

    span: Span = field(compare=False, repr=False)


# ------------------------------------------------------------------------------ expressions


@final
@dataclass(frozen=True, kw_only=True)
class Number(Tree):
    """`3`, `0.25`, `1e-3`; `text` is as written."""

    value: int | float
    text: str = field(compare=False, default="")


@final
@dataclass(frozen=True, kw_only=True)
class Bool(Tree):
    value: bool


@final
@dataclass(frozen=True, kw_only=True)
class String(Tree):
    value: str


@final
@dataclass(frozen=True, kw_only=True)
class Name(Tree):
    name: str


@final
@dataclass(frozen=True, kw_only=True)
class Star(Tree):
    """The index `*`: every element."""


@final
@dataclass(frozen=True, kw_only=True)
class Range(Tree):
    """`low .. high`, both included: elements in an index, elsewhere a hole for one integer."""

    low: Expression
    high: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Member(Tree):
    """`base.name`"""

    base: Expression
    name: Name


@final
@dataclass(frozen=True, kw_only=True)
class Members(Tree):
    """`base.[a, b]`: the list `[base.a, base.b]`"""

    base: Expression
    names: tuple[Name, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Index(Tree):
    """`base[index]`"""

    base: Expression
    index: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Argument(Tree):
    """`value` or `name = value` in a call."""

    name: Name | None
    value: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Call(Tree):
    function: Expression
    arguments: tuple[Argument, ...]


@final
@dataclass(frozen=True, kw_only=True)
class List(Tree):
    items: tuple[Expression, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Unary(Tree):
    """`operator` is `-` or `not`."""

    operator: str
    operand: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Binary(Tree):
    """`operator` is one of `+ - * / // % ** == != < <= > >= and or`."""

    operator: str
    left: Expression
    right: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Conditional(Tree):
    """`if condition then yes else no`"""

    condition: Expression
    yes: Expression
    no: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Chain(Tree):
    """`stages[0] -> stages[1] -> ...`, two or more."""

    stages: tuple[Expression, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Repeat(Tree):
    """`repeat count as variable { body }`, as a stage of a chain."""

    count: Expression
    variable: Name | None
    body: Body


Expression: TypeAlias = (
    Number | Bool | String | Name | Star | Range | Member | Members | Index | Call | List | Unary
    | Binary | Conditional | Chain | Repeat
)  # fmt: skip


# ------------------------------------------------------------------------------- statements


@final
@dataclass(frozen=True, kw_only=True)
class Label(Tree):
    """`name:` or, for an element of an array of labels, `name[index]:`"""

    name: Name
    index: Expression | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Stage(Tree):
    """`label: chain` or `chain`"""

    label: Label | None
    chain: Expression


@final
@dataclass(frozen=True, kw_only=True)
class If(Tree):
    """`if condition { yes } else { no }`; `no` is None without an `else`, and a body of one `If`
    for `else if`."""

    condition: Expression
    yes: Body
    no: Body | None


@final
@dataclass(frozen=True, kw_only=True)
class Let(Tree):
    """`let name = value`, in a body or at the top."""

    name: Name
    value: Expression


Statement: TypeAlias = Stage | If | Let


@final
@dataclass(frozen=True, kw_only=True)
class Body(Tree):
    """`{ ... }`"""

    statements: tuple[Statement, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Setting(Tree):
    """`key: value, value` in a space"""

    key: Name
    values: tuple[Expression, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Space(Tree):
    """`= kind { settings }` in the place of a body: the bodies to choose from"""

    kind: Name
    settings: tuple[Setting, ...]


# ----------------------------------------------------------------------------- declarations


@final
@dataclass(frozen=True, kw_only=True)
class Entry(Tree):
    """`key = value` behind `with`"""

    key: Name
    value: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Network(Tree):
    name: Name
    meta: tuple[Entry, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Param(Tree):
    """`param name = default`"""

    name: Name
    default: Expression


@final
@dataclass(frozen=True, kw_only=True)
class Dim(Tree):
    """`dim T` (free) or `dim T = 39` (known)"""

    name: Name
    size: Expression | None


@final
@dataclass(frozen=True, kw_only=True)
class Use(Tree):
    path: String


@final
@dataclass(frozen=True, kw_only=True)
class Modality(Tree):
    """`modality name: dtype [shape] with ...`; dtype is `f32` unless written"""

    name: Name
    dtype: Name | None
    shape: List
    meta: tuple[Entry, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Parameter(Tree):
    """A parameter of a block, with its default if it has one."""

    name: Name
    default: Expression | None


@final
@dataclass(frozen=True, kw_only=True)
class Block(Tree):
    name: Name
    parameters: tuple[Parameter, ...]
    body: Body


@final
@dataclass(frozen=True, kw_only=True)
class SuperLayer(Tree):
    """`superlayer name[count](arguments) with ... { body }`; `count` is a number of copies, or a
    `Range` of the elements declared here."""

    name: Name
    count: Expression | None
    arguments: tuple[Expression, ...]
    body: Body | Space
    meta: tuple[Entry, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Fusion(Tree):
    name: Name
    arguments: tuple[Expression, ...]
    body: Body | Space
    meta: tuple[Entry, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Connect(Tree):
    """`connect source -> targets by how with ... via chain`; points are `Name`, `Member` or
    `Index` expressions"""

    source: Expression
    targets: tuple[Expression, ...]
    by: Name | None = None
    via: Expression | None = None
    meta: tuple[Entry, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Route(Tree):
    """`route router sources -> targets with ... via chain`; no targets: they are the sources"""

    router: Name
    sources: tuple[Expression, ...]
    targets: tuple[Expression, ...] = ()
    via: Expression | None = None
    meta: tuple[Entry, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Each(Tree):
    """`each axis { declarations }`"""

    axis: Name
    declarations: tuple[Declaration, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Output(Tree):
    """`output name = value`, or `output name` for the value of that name"""

    name: Name
    value: Expression | None


@final
@dataclass(frozen=True, kw_only=True)
class IfDecl(Tree):
    """`if` around declarations; `no` holds a single `IfDecl` for `else if`."""

    condition: Expression
    yes: tuple[Declaration, ...]
    no: tuple[Declaration, ...]


@final
@dataclass(frozen=True, kw_only=True)
class RepeatDecl(Tree):
    """`repeat count as variable { declarations }`"""

    count: Expression
    variable: Name | None
    declarations: tuple[Declaration, ...]


Declaration: TypeAlias = (
    Network | Param | Dim | Use | Modality | Let | Block | SuperLayer | Fusion | Connect | Route
    | Each | Output | IfDecl | RepeatDecl
)  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class Comment(Tree):
    """`# text` to the end of the line; `own_line` where nothing stands before it."""

    text: str
    own_line: bool


@final
@dataclass(frozen=True, kw_only=True)
class Document(Tree):
    """A file. `version` is that of the header `xgraph 1`, if it has one."""

    version: int | None
    declarations: tuple[Declaration, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False)
