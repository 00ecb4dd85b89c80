"""What the attributes of an op may be: their kinds, checks and plain-data form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard, final

from xgraph.ir.types import Axis, Dim, Expr, axis_name

MAX_SIZE = 2**31 - 1
"""The largest size of an axis, kernel or count."""
MAX_REAL = (2 - 2**-23) * 2.0**127
"""The largest number that float32 holds."""


@final
class Word(str):
    """A bare name given as an attribute (`valid`, `he_normal`, `T`)."""

    __slots__ = ()


@final
@dataclass(frozen=True)
class Init:
    """An initialiser and its arguments: `he_normal`, `constant(0.1)`."""

    name: str
    args: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{a:g}' for a in self.args)})" if self.args else self.name


@final
@dataclass(frozen=True)
class Layer:
    """An op and its attributes, not yet applied: what a cross-prediction computes per pair."""

    op: str
    attrs: Attrs


AttrValue: TypeAlias = (
    "None | bool | int | float | str | Expr | Init | Layer | tuple[AttrValue, ...]"
)


@final
class Attrs(Mapping[str, Any]):
    """Attributes by name: immutable, hashable, read as `attrs.stride`."""

    __slots__ = ("_items",)
    _items: dict[str, AttrValue]

    def __init__(self, items: Mapping[str, AttrValue] | None = None, **more: AttrValue) -> None:
        object.__setattr__(self, "_items", {**(items or {}), **more})

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self._items[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("attributes are immutable; use Graph.set_attrs or Attrs.but")

    def __reduce__(self) -> tuple[type[Attrs], tuple[dict[str, AttrValue]]]:
        return Attrs, (self._items,)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"Attrs({self._items})"

    def but(self, changes: Mapping[str, AttrValue] | None = None, **more: AttrValue) -> Attrs:
        """A copy with some values changed or added."""
        return Attrs({**self._items, **(changes or {}), **more})


class AttrKind(ABC):
    """A kind of attribute: what it accepts and how the reference names it."""

    @abstractmethod
    def coerce(self, value: object) -> AttrValue:
        """`value` in its stored form; `ValueError` says what is wanted."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What it accepts, in words: `an integer from 1`."""


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: float) -> bool:
    return abs(value) <= MAX_REAL  # `isfinite` raises for an integer of 400 digits


_HELD = f" that float32 holds, {MAX_REAL:.3g} at most"


def _is_too_large(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) > MAX_REAL


@final
@dataclass(frozen=True)
class Integer(AttrKind):
    low: int = 1
    high: int = MAX_SIZE
    words: tuple[str, ...] = ()

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if _is_int(value) and self.low <= value <= self.high:
            return int(value)
        if isinstance(value, str) and value in self.words:
            return str(value)
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        text = f"an integer from {self.low}" if self.low > -MAX_SIZE else "an integer"
        text += f" to {self.high}" if self.high < MAX_SIZE else ""
        return " or ".join([text, *(f"`{word}`" for word in self.words)])


@final
@dataclass(frozen=True)
class Real(AttrKind):
    low: float | None = None
    high: float | None = None
    below: bool = False
    """Whether `high` itself is excluded."""

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value):
            low_ok = self.low is None or value >= self.low
            high_ok = (
                self.high is None or value < self.high or (value == self.high and not self.below)
            )
            if low_ok and high_ok:
                return float(value) + 0.0  # -0.0 and 0.0 are one value, and print alike
        raise ValueError(self.wanted + (_HELD if _is_too_large(value) else ""))

    @property
    def wanted(self) -> str:
        if self.low is not None and self.high is not None:
            return f"a number from {self.low:g} {'to below' if self.below else 'to'} {self.high:g}"
        return "a number" if self.low is None else f"a number from {self.low:g}"


@final
@dataclass(frozen=True)
class Boolean(AttrKind):
    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, bool):
            return value
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "true or false"


@final
@dataclass(frozen=True)
class Choice(AttrKind):
    words: tuple[str, ...]

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, str) and value in self.words:
            return str(value)
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "one of " + ", ".join(f"`{word}`" for word in self.words)


@final
@dataclass(frozen=True)
class Sizes(AttrKind):
    """One integer for every spatial axis, or a list of one per axis; some words besides, and
    where `pairs` is set a list of [before, after] per axis."""

    low: int = 1
    words: tuple[str, ...] = ()
    pairs: bool = False

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, str) and value in self.words:
            return str(value)
        try:
            if isinstance(value, (list, tuple)) and 1 <= len(value) <= 3:
                return tuple(self._entry(v) for v in value)
            return Integer(self.low).coerce(value)
        except ValueError:
            raise ValueError(self.wanted) from None

    def _entry(self, value: object) -> AttrValue:
        one = Integer(self.low)
        if self.pairs and isinstance(value, (list, tuple)) and len(value) == 2:
            return (one.coerce(value[0]), one.coerce(value[1]))
        return one.coerce(value)

    @property
    def wanted(self) -> str:
        text = f"an integer from {self.low}, or a list of one"
        text += " or one [before, after]" if self.pairs else ""
        return ", or ".join([f"{text} per axis", *(f"`{word}`" for word in self.words)])


MAX_PARTS = 256
"""The most values that one op gives."""


@final
@dataclass(frozen=True)
class Parts(AttrKind):
    """How many equal parts, or a list of their sizes."""

    def coerce(self, value: object) -> AttrValue:
        try:
            if isinstance(value, (list, tuple)) and 1 <= len(value) <= MAX_PARTS:
                return tuple(Integer().coerce(v) for v in value)
            return Integer(1, MAX_PARTS).coerce(value)
        except ValueError:
            raise ValueError(self.wanted) from None

    @property
    def wanted(self) -> str:
        return f"an integer from 1 to {MAX_PARTS}, or a list of sizes"


@final
@dataclass(frozen=True)
class Integers(AttrKind):
    """A list of integers."""

    low: int = -MAX_SIZE

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, (list, tuple)):
            try:
                return tuple(Integer(self.low).coerce(v) for v in value)
            except ValueError:
                raise ValueError(self.wanted) from None
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "a list of integers" + (f" from {self.low}" if self.low > -MAX_SIZE else "")


@final
@dataclass(frozen=True)
class Shape(AttrKind):
    """The sizes of a sample: integers, declared `dim`s, and at most one -1 for what is left."""

    def coerce(self, value: object) -> AttrValue:
        sizes = value if isinstance(value, (list, tuple)) else (value,)
        fit = all(isinstance(v, Expr) or (_is_int(v) and _fits(v)) for v in sizes)
        if fit and sum(v == -1 for v in sizes) <= 1:
            return tuple(sizes)
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "sizes from 1, of which one may be -1 (what is left)"


def _fits(value: Dim) -> bool:
    return isinstance(value, int) and (value == -1 or 1 <= value <= MAX_SIZE)


@final
@dataclass(frozen=True)
class AxisRef(AttrKind):
    """An axis: its index (the batch is not counted, -1 is the last) or the name of its `dim`."""

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, (Axis, Expr)) and axis_name(value):
            return axis_name(value)
        if isinstance(value, str):
            return str(value)
        if _is_int(value) and -8 <= value < 8:
            return int(value)
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "the index of an axis (0 is the first after the batch) or the name of a `dim`"


@final
@dataclass(frozen=True)
class Axes(AttrKind):
    """An axis or a list of axes."""

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, (list, tuple)) and value:
            return tuple(AxisRef().coerce(v) for v in value)
        return AxisRef().coerce(value)

    @property
    def wanted(self) -> str:
        return f"{AxisRef().wanted}, or a list of such"


@final
@dataclass(frozen=True)
class Text(AttrKind):
    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, str):
            return str(value)
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "a text"


INITIALISERS: dict[str, int] = {
    "zeros": 0,
    "ones": 0,
    "constant": 1,
    "uniform": 2,
    "normal": 1,
    "glorot_uniform": 0,
    "glorot_normal": 0,
    "he_uniform": 0,
    "he_normal": 0,
    "lecun_uniform": 0,
    "lecun_normal": 0,
    "orthogonal": 0,
    "diagonal": 2,
    "forget_gate": 0,
}
"""Initialisers and how many numbers each takes. `diagonal(a, b)` is `a` on the diagonal and `b`
elsewhere; `forget_gate` is 1 in the second quarter (an LSTM's forget gate) and 0 elsewhere."""


@final
@dataclass(frozen=True)
class Initialiser(AttrKind):
    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, str):
            value = Init(str(value))
        known = isinstance(value, Init) and INITIALISERS.get(value.name) == len(value.args)
        if isinstance(value, Init) and known and all(map(_is_finite, value.args)):
            return value
        if isinstance(value, Init) and known and any(map(_is_too_large, value.args)):
            raise ValueError(f"of numbers{_HELD}")
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "an initialiser: " + ", ".join(
            f"`{n}`" if not k else f"`{n}({', '.join('ab'[:k])})`" for n, k in INITIALISERS.items()
        )


@final
@dataclass(frozen=True)
class Layers(AttrKind):
    """A chain of ops with one input each."""

    def coerce(self, value: object) -> AttrValue:
        if isinstance(value, tuple) and value and all(isinstance(v, Layer) for v in value):
            return value
        raise ValueError(self.wanted)

    @property
    def wanted(self) -> str:
        return "a chain of layers"
