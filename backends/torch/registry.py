"""How a primitive becomes PyTorch: the table of rules and what a rule gives.

A rule writes the expression that computes a node. A primitive with parameters has a `layer`
besides: the constructor of the module that holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

from xgraph.backends.torch.code import Code, call
from xgraph.ir.attrs import Attrs
from xgraph.ir.graph import Node
from xgraph.ir.types import Dim, TensorType

NEW = dict.fromkeys(("conv", "deconv", "linear", "bn"), 1) | dict.fromkeys(
    ("add", "sub", "mul", "div", "max", "matmul"), 2
)
"""Ops whose output is new memory, and no view, where they have so many inputs: the sum of one value
is that value."""
Scalar: TypeAlias = bool | int | float | str | tuple[int, ...]


@final
@dataclass(frozen=True)
class Arg:
    """An argument of a constructor: the parameter it is for, and whether that is written."""

    role: str
    value: Scalar
    keyword: bool = False

    @property
    def is_number(self) -> bool:
        """Whether two uses of one class may differ in it."""
        return not isinstance(self.value, (bool, str))


@final
@dataclass(frozen=True)
class Ctor:
    """The construction of a module: `nn.Conv2d(3, 32, 3, padding=1)`.

    `callee` is a name or, for the classes that the source defines, an object that comes to have
    one. A container holds `items`, with `keys` where they have names.
    """

    callee: object
    args: tuple[Arg, ...] = ()
    items: tuple[Ctor, ...] = ()
    keys: tuple[str, ...] = ()

    def numbers(self) -> Iterator[Arg]:
        """The arguments in which uses of one class may differ, in the order they are written."""
        yield from (arg for arg in self.args if arg.is_number)
        for item in self.items:
            yield from item.numbers()

    def pattern(self) -> tuple[object, ...]:
        """The construction without those numbers."""
        args = tuple(
            (arg.role, arg.keyword, type(arg.value).__name__ if arg.is_number else arg.value)
            for arg in self.args
        )
        return self.callee, args, tuple(item.pattern() for item in self.items), self.keys


def build(callee: str, given: Mapping[str, Scalar], **options: tuple[Scalar, Scalar]) -> Ctor:
    """A constructor of `given` arguments and those `options` (value, default) that differ."""
    positional = [Arg(role, value) for role, value in given.items()]
    named = [Arg(k, value, True) for k, (value, default) in options.items() if value != default]
    return Ctor(callee, (*positional, *named))


@final
@dataclass(frozen=True)
class Site:
    """Where a node is computed: its operands, and the path of its module."""

    node: Node
    xs: tuple[Code, ...]
    module: str
    size: Callable[[Dim], str]
    """How the value of a size is written here."""
    helper: Callable[[str], str]
    """The name of a helper, noting that it is used."""
    in_place: bool = False
    """Whether the network is to write over values that nothing else reads."""

    @property
    def x(self) -> Code:
        return self.xs[0]

    @property
    def attrs(self) -> Attrs:
        return self.node.resolved

    @property
    def type(self) -> TensorType:
        """The type of the first input."""
        return self.node.inputs[0].type

    @property
    def over(self) -> dict[str, bool]:
        """The argument with which an activation writes over what it reads, where that is new memory
        and stands in the same expression, so that nothing else can read it."""
        read = self.node.inputs[0].node
        is_new = read.op.name in NEW and len(read.inputs) >= NEW[read.op.name]
        is_new = is_new and not self.x.is_name
        return {"inplace": True} if self.in_place and is_new else {}

    def layer(self, *operands: Code) -> Code:
        """A call of the node's module."""
        return call(self.module, *operands)


@final
@dataclass(frozen=True)
class Rule:
    """What is known of a primitive here."""

    write: Callable[[Site], Code]
    layer: Callable[[Node], Ctor] | None
    heavy: bool
    """Whether it is a step of a network that people name: at most one stands in an expression."""
    folds: bool
    """Whether it takes any number of values, two at a time."""


RULES: dict[str, Rule] = {}

UNSUPPORTED: dict[str, str] = {}
"""Primitives that cannot be written, and why."""


def rule(
    op: str,
    *,
    layer: Callable[[Node], Ctor] | None = None,
    heavy: bool = False,
    folds: bool = False,
) -> Callable[[Callable[[Site], Code]], Callable[[Site], Code]]:
    """Register the decorated function as the rule for `op`."""

    def register(write: Callable[[Site], Code]) -> Callable[[Site], Code]:
        assert op not in RULES, f"two rules for {op}"
        RULES[op] = Rule(write, layer, heavy, folds)
        return write

    return register
