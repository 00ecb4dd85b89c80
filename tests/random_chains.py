"""Bodies of a `.xg` as random networks write them: their text, and the types they give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias, final

from xgraph.ir import attrs as kinds
from xgraph.ir.attrs import Attrs
from xgraph.ir.infer import infer_types
from xgraph.ir.op import Args, Fault, OpSpec
from xgraph.ir.types import BATCH, Axis, TensorType, evaluate
from xgraph.ops import OPS

Types: TypeAlias = tuple[TensorType, ...]

SIZES = ({BATCH: 1, "T": 5}, {BATCH: 3, "T": 8})
"""What a network runs with: every value must have numbers, and not too many, under each."""

LARGEST = 1500
"""The most numbers in one sample of a value."""

FLOW, NOTHING = "", "(nothing)"
"""How a chain begins, if not with a name: with what flows there, or with its first stage."""

# ------------------------------------------------------------------------------ what is written


@final
@dataclass(frozen=True)
class Var:
    """A constant by its name: `k`, `2 * k + 1`."""

    name: str
    times: int = 1
    plus: int = 0

    def __str__(self) -> str:
        text = self.name if self.times == 1 else f"{self.times} * {self.name}"
        return f"{text} + {self.plus}" if self.plus else text

    def value(self, constants: Mapping[str, Any]) -> Any:
        value = constants[self.name]
        return value if (self.times, self.plus) == (1, 0) else self.times * value + self.plus


@final
@dataclass(frozen=True)
class Stage:
    """A layer, or the call of a block. Attributes without a name are the first, in order."""

    name: str
    attrs: tuple[tuple[str, Any], ...] = ()
    values: tuple[Chain, ...] = ()
    named: tuple[tuple[str, Chain], ...] = ()

    def __str__(self) -> str:
        parts = [str(chain) for chain in self.values]
        parts += [f"{key} = {text(v)}" if key else text(v) for key, v in self.attrs]
        parts += [f"{key} = {chain}" for key, chain in self.named]
        return f"{self.name}({', '.join(parts)})" if parts else self.name


@final
@dataclass(frozen=True)
class Chain:
    start: str
    stages: tuple[Stage, ...] = ()

    def __str__(self) -> str:
        written = [str(stage) for stage in self.stages]
        if self.start == FLOW and self.stages[0].values:
            return "-> " + " -> ".join(written)
        return " -> ".join([self.start, *written] if self.start not in (FLOW, NOTHING) else written)


@final
@dataclass(frozen=True)
class Line:
    """A statement: a chain, perhaps labelled, or a `let` (`keyword`)."""

    chain: Chain
    label: str = ""
    keyword: bool = False

    def __str__(self) -> str:
        if self.keyword:
            return f"let {self.label} = {self.chain}"
        return f"{self.label}: {self.chain}" if self.label else str(self.chain)


@final
@dataclass(frozen=True)
class Loop:
    """`u: repeat 2 { ... }`, or without the label."""

    count: int
    body: tuple[Statement, ...]
    label: str = ""

    def __str__(self) -> str:
        text = f"repeat {self.count} {braced(self.body)}"
        return f"{self.label}: {text}" if self.label else text


@final
@dataclass(frozen=True)
class Branch:
    """A choice that a constant makes while the network is built."""

    flag: str
    yes: tuple[Statement, ...]
    no: tuple[Statement, ...]

    def __str__(self) -> str:
        return f"if {self.flag} {braced(self.yes)} else {braced(self.no)}"


Statement: TypeAlias = Line | Loop | Branch


@final
@dataclass(frozen=True)
class Block:
    """A block: its constants with their defaults (None for none), and its value parameters."""

    name: str
    constants: tuple[tuple[str, int | None], ...]
    values: tuple[str, ...]
    body: tuple[Statement, ...]

    def __str__(self) -> str:
        heads = [*self.values]
        heads += [name if v is None else f"{name} = {v}" for name, v in self.constants]
        return f"block {self.name}({', '.join(heads)}) {braced(self.body)}"


def braced(body: Iterable[Statement]) -> str:
    lines = [f"  {line}" for statement in body for line in str(statement).splitlines()]
    return "\n".join(["{", *lines, "}"])


def text(value: Any) -> str:
    """A constant as an author writes it."""
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(text, value))}]"
        case Axis():
            return value.name
        case kinds.Word() | Var() | kinds.Init():
            return str(value)
        case str():
            return f'"{value}"'
    return str(value)


# ------------------------------------------------------------------------------ what types it has


@final
@dataclass
class Scene:
    """What is in sight: values and constants by name, and blocks."""

    values: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)

    def inner(self, **values: TensorType) -> Scene:
        """For a body within: names declared there stay there, and an `in` of its own hides all
        of the one around."""
        seen = {k: t for k, t in self.values.items() if "in" not in values or k[:3] != "in["}
        return Scene(seen | values, dict(self.constants), self.blocks)

    def chain(self, chain: Chain, flow: Types = ()) -> Types:
        """The types at the end of `chain`; `Fault` where some stage does not fit."""
        if chain.start != FLOW:
            flow = () if chain.start == NOTHING else (self.values[chain.start],)
        for stage in chain.stages:
            flow = self.stage(stage, flow)
        return flow

    def stage(self, stage: Stage, flow: Types) -> Types:
        given = (*flow, *(t for chain in stage.values for t in self.chain(chain)))
        attrs = [(k, v.value(self.constants) if isinstance(v, Var) else v) for k, v in stage.attrs]
        if stage.name in self.blocks:
            return self._call(self.blocks[stage.name], flow, given[len(flow) :], attrs)
        op = OPS[stage.name]
        named = {port: self.chain(chain)[0] for port, chain in stage.named}
        ports = op.ports(len(given), named)
        inputs, checked = (
            Args((*given, *named.values()), ports),
            op.check_attrs(_by_name(op, attrs)),
        )
        outputs = infer_types(op, inputs, checked)
        if op.name == "slice":
            _check_slice(op.resolved(inputs, checked), given[0])
        for t in outputs:
            _check_fits(t)
        return outputs

    def _call(
        self, block: Block, flow: Types, given: Types, attrs: Sequence[tuple[str, Any]]
    ) -> Types:
        constants = {**self.constants, **{k: v for k, v in block.constants if v is not None}}
        order = [name for name, _ in block.constants]
        constants |= {key or order[i]: value for i, (key, value) in enumerate(attrs)}
        values = dict(zip(block.values, given, strict=True))
        inside = Scene(values | {"in": flow[0]}, constants, self.blocks)
        return inside.body(block.body, flow)

    def body(self, statements: Iterable[Statement], flow: Types) -> Types:
        """The types at the end of a body, whose labels come into sight."""
        for statement in statements:
            flow = self.statement(statement, flow)
        return flow

    def statement(self, statement: Statement, flow: Types) -> Types:
        match statement:
            case Branch(flag=flag, yes=yes, no=no):
                return self.body(yes if self.constants[flag] else no, flow)
            case Loop():
                for number in range(statement.count):
                    flow = self.inner(**{"in": flow[0]}).body(statement.body, flow)
                    if statement.label:
                        self.values[f"{statement.label}[{number}]"] = flow[0]
                return flow
        found = self.chain(statement.chain, flow)
        if statement.label and len(found) == 1:
            self.values[statement.label] = found[0]
        elif statement.label:
            self.values |= {f"{statement.label}[{i}]": t for i, t in enumerate(found)}
        return flow if statement.keyword else found


def _by_name(op: OpSpec, attrs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, (name, value) in enumerate(attrs):
        if not name and op.attrs[0].rest:
            found[op.attrs[0].name] = (*found.get(op.attrs[0].name, ()), value)
        else:
            found[name or op.attrs[number].name] = value
    return found


def _check_slice(attrs: Attrs, t: TensorType) -> None:
    """A part of an open axis must lie within it, whatever the network runs with."""
    for sizes in SIZES:
        size = evaluate(t.features[attrs.axis], sizes)
        if max(abs(attrs.start), abs(attrs.stop or 0)) > size:
            raise Fault("it may be longer than the axis")


def _check_fits(t: TensorType) -> None:
    for sizes in SIZES:
        try:
            shape = [evaluate(dim, sizes) for dim in t.shape]
        except KeyError:
            raise Fault("it has an axis that has no size") from None
        if min(shape) < 1 or prod(shape) > LARGEST * sizes[BATCH] or len(shape) > 6:
            raise Fault("too few numbers, or too many")
