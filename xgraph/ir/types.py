"""Tensor types: an element type and a shape whose sizes are integers or expressions in symbols.

A size is an `int`, an `Axis` (an integer that remembers the name it was declared with, `dim T =
39`) or an `Expr` (a polynomial in symbols such as `N` and `T`, with floor division where
strides need it). Axis 0 of every value is the batch.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import prod
from typing import TypeAlias, final

BATCH = "N"
"""The symbol of the batch axis; reserved in the language."""

MAX_TERMS = 10_000
"""The most terms that a product of sizes may have before like ones are joined."""


@final
class Axis(int):
    """A known size with the name of the axis it was declared for; equal to the plain integer."""

    name: str

    def __new__(cls, name: str, size: int) -> Axis:
        self = super().__new__(cls, size)
        self.name = name
        return self

    def __repr__(self) -> str:
        return f"{self.name}={int(self)}"

    __str__ = __repr__


@final
@dataclass(frozen=True)
class Floor:
    """`numerator // divisor`, an atom of `Expr`."""

    numerator: Expr
    divisor: int

    def __str__(self) -> str:
        return f"(({self.numerator}) // {self.divisor})"


Atom: TypeAlias = str | Floor
Monomial: TypeAlias = tuple[Atom, ...]


@final
@dataclass(frozen=True)
class Expr:
    """A sum of integer multiples of products of atoms, in a canonical order."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def of(terms: Mapping[Monomial, int]) -> Dim:
        kept = {m: c for m, c in terms.items() if c}
        if not kept:
            return 0
        if set(kept) == {()}:
            return kept[()]
        return Expr(tuple(sorted(kept.items(), key=lambda t: (-len(t[0]), _key(t[0])))))

    @cached_property
    def symbols(self) -> frozenset[str]:
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= {atom} if isinstance(atom, str) else atom.numerator.symbols
        return frozenset(found)

    def __add__(self, other: Dim) -> Dim:
        out = dict(self.terms)
        for monomial, c in _terms(other).items():
            out[monomial] = out.get(monomial, 0) + c
        return Expr.of(out)

    def __mul__(self, other: Dim) -> Dim:
        if len(self.terms) * len(_terms(other)) > MAX_TERMS:
            raise OverflowError(f"a size would have more than {MAX_TERMS} terms")
        out: dict[Monomial, int] = {}
        for a, x in self.terms:
            for b, y in _terms(other).items():
                monomial = tuple(sorted((*a, *b), key=lambda atom: _key((atom,))))
                out[monomial] = out.get(monomial, 0) + x * y
        return Expr.of(out)

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + other * -1

    def __rsub__(self, other: int) -> Dim:
        return self * -1 + other

    def __floordiv__(self, divisor: int) -> Dim:
        if divisor == 1:
            return self
        exact = divide(self, divisor)
        return exact if exact is not None else Expr((((Floor(self, divisor),), 1),))

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        parts = []
        for monomial, c in self.terms:
            names = "*".join(str(atom) for atom in monomial)
            parts.append(str(c) if not names else names if c == 1 else f"{c}*{names}")
        return " + ".join(parts).replace("+ -", "- ")

    __repr__ = __str__


Dim: TypeAlias = int | Expr


def _key(monomial: Monomial) -> tuple[str, ...]:
    return tuple(str(atom) for atom in monomial)


def _terms(dim: Dim) -> Mapping[Monomial, int]:
    return dict(dim.terms) if isinstance(dim, Expr) else {(): int(dim)}


def symbol(name: str) -> Expr:
    """The size of an axis that is known only when the network runs."""
    return Expr((((name,), 1),))


def constant(dim: Dim) -> int:
    """What is left of a size where all symbols are 0."""
    return _terms(dim).get((), 0)


def divide(dim: Dim, divisor: Dim) -> Dim | None:
    """`dim / divisor` where that is exact for every value of the symbols, else None."""
    if isinstance(divisor, Expr):
        if len(divisor.terms) != 1:
            return 1 if dim == divisor else None
        ((atoms, factor),) = divisor.terms
    else:
        atoms, factor = (), int(divisor)
    if factor == 0:
        return None
    if dim == 0:
        return 0
    out: dict[Monomial, int] = {}
    for monomial, c in _terms(dim).items():
        left = list(monomial)
        for atom in atoms:
            if atom not in left:
                return None
            left.remove(atom)
        if c % factor:
            return None
        out[tuple(left)] = c // factor
    return Expr.of(out)


def product(dims: Iterable[Dim]) -> Dim:
    """The product of sizes."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The value of `dim` under `sizes`; `KeyError` names a symbol that has none."""
    if not isinstance(dim, Expr):
        return int(dim)

    def atom_value(atom: Atom) -> int:
        if isinstance(atom, str):
            return sizes[atom]
        return evaluate(atom.numerator, sizes) // atom.divisor

    return sum(c * prod(map(atom_value, monomial)) for monomial, c in dim.terms)


def is_empty(dim: Dim) -> bool:
    """Whether an axis of this size is empty whatever the symbols are, which stand for 1 or more."""
    if not isinstance(dim, Expr):
        return dim < 1
    return all(
        factor < 0 and all(isinstance(atom, str) for atom in monomial)
        for monomial, factor in dim.terms
    )


def axis_name(dim: Dim) -> str | None:
    """The declared name of an axis of this size, if it has one."""
    if isinstance(dim, Axis):
        return dim.name
    if isinstance(dim, Expr) and len(dim.terms) == 1 and dim.terms[0][1] == 1:
        (monomial, _) = dim.terms[0]
        if len(monomial) == 1 and isinstance(monomial[0], str):
            return monomial[0]
    return None


def parse_dim(text: str) -> Dim:
    """Read what `str` of a size wrote; `ValueError` if it is not a size."""

    def walk(node: ast.expr) -> Dim:
        match node:
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return value
            case ast.Name(id=name):
                return symbol(name[1:])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return walk(operand) * -1
            case ast.BinOp(left=a, op=ast.Add(), right=b):
                return walk(a) + walk(b)
            case ast.BinOp(left=a, op=ast.Sub(), right=b):
                return walk(a) + walk(b) * -1
            case ast.BinOp(left=a, op=ast.Mult(), right=b):
                return times(walk(a), walk(b))
            case ast.BinOp(left=a, op=ast.FloorDiv(), right=ast.Constant(value=int(d))) if d > 0:
                return walk(a) // d
        raise ValueError(f"not a size: {text!r}")

    def times(a: Dim, b: Dim) -> Dim:
        if max(len(_terms(a)), len(_terms(b))) > 1:  # sums of sums could grow without bound
            raise ValueError(f"not a size: {text!r}")
        return a * b

    name, named, size = text.partition("=")
    try:
        if named:
            return Axis(name.strip(), int(size))
        # The underscore keeps words of Python (`in`, `class`) readable as names.
        return walk(ast.parse(re.sub(r"[^\W\d]\w*", r"_\g<0>", text.strip()), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"not a size: {text!r}") from None


@final
class DType(Enum):
    """Element types. The value is the name in the language and in dumps."""

    F32 = "f32"
    I64 = "i64"
    BOOL = "bool"

    @property
    def numpy(self) -> str:
        return {"f32": "float32", "i64": "int64", "bool": "bool"}[self.value]


@final
@dataclass(frozen=True)
class TensorType:
    """Element type and shape; `shape[0]` is the batch."""

    shape: tuple[Dim, ...]
    dtype: DType = DType.F32

    @property
    def rank(self) -> int:
        """Number of axes, the batch not counted."""
        return len(self.shape) - 1

    @property
    def batch(self) -> Dim:
        return self.shape[0]

    @property
    def features(self) -> tuple[Dim, ...]:
        """The shape of one sample."""
        return self.shape[1:]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of one sample, none of it open; `ValueError` where some is."""
        found = tuple(int(size) for size in self.features if isinstance(size, int))
        if len(found) < self.rank:
            raise ValueError(f"{self} has open axes")
        return found

    @property
    def channels(self) -> Dim:
        """The size of axis 1."""
        return self.shape[1]

    def with_shape(self, *shape: Dim) -> TensorType:
        return TensorType(tuple(shape), self.dtype)

    def with_features(self, *features: Dim) -> TensorType:
        return TensorType((self.shape[0], *features), self.dtype)

    def __str__(self) -> str:
        return f"{self.dtype.value}[{', '.join(map(str, self.shape))}]"


def parse_type(text: str) -> TensorType:
    """Read what `str` of a type wrote."""
    name, bracket, rest = text.strip().partition("[")
    if not bracket or not rest.endswith("]"):
        raise ValueError(f"not a tensor type: {text!r}")
    return TensorType(tuple(parse_dim(part) for part in rest[:-1].split(",")), DType(name))
