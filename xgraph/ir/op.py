"""How an op is declared: once, and with everything that anyone asks about it.

An op is a *primitive* (it has a shape rule, parameters and a cost, and every backend a rule for
it) or a *composite* (an expansion into other ops, and nothing else). Nothing here knows a
backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, Protocol, TypeVar, final

from xgraph.diagnostics import did_you_mean
from xgraph.ir.attrs import AttrKind, Attrs, AttrValue, Init
from xgraph.ir.types import Dim, DType, TensorType, product

T = TypeVar("T")


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()
"""The default of an attribute that has none."""


class Fault(Exception):
    """An op cannot take these inputs or attributes.

    `input` is the index of the input to blame, `attr` the name of the attribute; the caller
    knows the places in the text and makes the diagnostic.
    """

    def __init__(
        self,
        message: str,
        *,
        id: str = "shape-mismatch",  # noqa: A002 - the diagnostic's field
        input: int | None = None,  # noqa: A002
        attr: str | None = None,
        help: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(message)
        self.message = message
        self.id = id
        self.input = input
        self.attr = attr
        self.help = help


@final
@dataclass(frozen=True)
class Port:
    """An input of an op. A variadic port takes `least` values or more and is the only required
    one; an optional port is given by name (`lengths = n`)."""

    name: str
    doc: str = ""
    variadic: bool = False
    optional: bool = False
    least: int = 1
    dtype: DType | None = DType.F32
    """The element type it takes; None for any."""


@final
@dataclass(frozen=True)
class Attr:
    """An attribute: its kind, default (`REQUIRED` for none) and meaning."""

    name: str
    kind: AttrKind
    default: AttrValue = REQUIRED
    doc: str = ""
    rest: bool = False
    """Takes every further positional number: `reshape(1, 28, 28)`."""


@final
class Args(tuple[T, ...], Generic[T]):
    """What an op is applied to, in input order; optional ones are found by name."""

    ports: tuple[str, ...]

    def __new__(cls, items: Iterable[T], ports: tuple[str, ...]) -> Args[T]:
        self = super().__new__(cls, items)
        self.ports = ports
        return self

    def get(self, port: str) -> T | None:
        """What was given for an optional port."""
        return self[self.ports.index(port)] if port in self.ports else None


ParamKind = Literal["parameter", "statistic", "counter"]


@final
@dataclass(frozen=True)
class Param:
    """A tensor that an op owns.

    A `parameter` is trained; a `statistic` is not (running means); a `counter` is an integer
    scalar that PyTorch keeps beside statistics, of no meaning to the network's function.
    """

    name: str
    shape: tuple[int, ...]
    init: Init
    kind: ParamKind = "parameter"
    fans: tuple[int, int] | None = None
    """Fan-in and fan-out where they do not follow from a shape `[out, in, *window]`."""


class Expander(Protocol):
    """What an expansion builds with; values are opaque to it but for their types."""

    def __call__(self, op: str, *inputs: Any, label: str | None = None, **attrs: Any) -> Any:
        """Apply an op of one output; `label` names its parameters under the composite's."""

    def many(
        self, op: str, *inputs: Any, label: str | None = None, **attrs: Any
    ) -> tuple[Any, ...]:
        """Apply an op of several outputs."""

    def type(self, value: Any) -> TensorType: ...


Types = Args[TensorType]
Infer = Callable[[Types, Attrs], TensorType | tuple[TensorType, ...]]
Resolve = Callable[[Types, Attrs], Mapping[str, AttrValue]]
Expand = Callable[[Expander, Args[Any], Attrs], Any]


def _same_size(types: Types, outputs: tuple[TensorType, ...], attrs: Attrs) -> Dim:
    return 0


@final
@dataclass(frozen=True, eq=False)
class OpSpec:
    """The declaration of an op.

    `resolve` fills attributes that depend on the input types (`kernel=3` becomes `(3, 3)` over
    maps); it is idempotent, and `infer`, `params`, `macs`, `expand` and the backends' rules see
    attributes that went through it. `macs` counts multiply-accumulates, the batch included.
    """

    name: str
    doc: str
    example: str
    inputs: tuple[Port, ...] = (Port("x"),)
    attrs: tuple[Attr, ...] = ()
    infer: Infer | None = None
    resolve: Resolve | None = None
    params: Callable[[Types, Attrs], Iterable[Param]] | None = None
    macs: Callable[[Types, tuple[TensorType, ...], Attrs], Dim] = _same_size
    expand: Expand | None = None
    arity: Callable[[Attrs], int] = lambda attrs: 1
    """How many values it gives."""
    positional: int = 0
    """How many attributes are usually written without their names, where not all that have no
    default."""
    hidden: bool = False
    """Made by the compiler only, never written in a `.xg`."""
    attr_by_name: Mapping[str, Attr] = field(init=False, repr=False)
    table: OpTable = field(init=False, repr=False)
    """The table it is registered in, where its expansion finds other ops."""

    def __post_init__(self) -> None:
        assert (self.infer is None) != (self.expand is None), self.name
        object.__setattr__(self, "attr_by_name", {a.name: a for a in self.attrs})

    @property
    def is_composite(self) -> bool:
        return self.expand is not None

    @property
    def variadic(self) -> bool:
        return any(port.variadic for port in self.inputs)

    @cached_property
    def required_ports(self) -> tuple[Port, ...]:
        return tuple(port for port in self.inputs if not port.optional)

    @cached_property
    def optional_ports(self) -> tuple[Port, ...]:
        return tuple(port for port in self.inputs if port.optional)

    def ports(self, given: int, named: Iterable[str] = ()) -> tuple[str, ...]:
        """The port of each of `given` values and of the `named` optional ones.

        `Fault` (id `wrong-arity`) where the op does not take that many.
        """
        required = self.required_ports
        if len(required) == 1 and required[0].variadic:
            if given < required[0].least:
                raise Fault(
                    f"`{self.name}` needs at least {_values(required[0].least)}, not {given}",
                    id="wrong-arity",
                )
            names = (required[0].name,) * given
        else:
            if given != len(required):
                raise Fault(
                    f"`{self.name}` takes {_values(len(required))}, not {given}",
                    id="wrong-arity",
                )
            names = tuple(port.name for port in required)
        return (*names, *named)

    def check_attrs(self, given: Mapping[str, object]) -> Attrs:
        """All attributes, coerced, with defaults; `Fault` names the first that is wrong."""
        for name in given:
            if name not in self.attr_by_name:
                raise Fault(
                    f"`{self.name}` has no attribute `{name}`",
                    id="unknown-attribute",
                    attr=name,
                    help=did_you_mean(name, self.attr_by_name) or self._attr_list(),
                )
        out: dict[str, AttrValue] = {}
        for attr in self.attrs:
            if attr.name not in given:
                if attr.default is REQUIRED:
                    raise Fault(
                        f"`{self.name}` needs `{attr.name}`, {attr.kind.wanted}",
                        id="missing-attribute",
                        help=f"for example `{self.example}`",
                    )
                out[attr.name] = attr.default
                continue
            value = given[attr.name]
            if value is None and attr.default is None:
                out[attr.name] = None
                continue
            try:
                out[attr.name] = attr.kind.coerce(value)
            except ValueError as error:
                raise Fault(
                    f"`{attr.name}` of `{self.name}` must be {error}",
                    id="bad-attribute",
                    attr=attr.name,
                ) from None
        return Attrs(out)

    def _attr_list(self) -> str:
        if not self.attrs:
            return f"`{self.name}` takes no attributes"
        return "it has " + ", ".join(f"`{a.name}`" for a in self.attrs)

    def resolved(self, types: Types, attrs: Attrs) -> Attrs:
        """Attributes with everything that depends on the input types filled in."""
        return attrs.but(self.resolve(types, attrs)) if self.resolve else attrs

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _values(n: int) -> str:
    return f"{n} value" + ("" if n == 1 else "s")


@final
class OpTable(Mapping[str, OpSpec]):
    """Ops by name; registering a name twice is an error of the table's author."""

    def __init__(self, *families: Iterable[OpSpec]) -> None:
        self._specs: dict[str, OpSpec] = {}
        for family in families:
            for spec in family:
                assert spec.name not in self._specs, f"op {spec.name} declared twice"
                self._specs[spec.name] = spec
                object.__setattr__(spec, "table", self)

    def __getitem__(self, name: str) -> OpSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


def elements(t: TensorType) -> Dim:
    """How many numbers a value of this type holds, the batch included."""
    return product(t.shape)
