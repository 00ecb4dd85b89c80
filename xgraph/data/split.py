"""A split of a data set: columns that have the same rows. What is behind a column need not be in
memory; rows are taken as a batch needs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

import numpy as np

from xgraph.diagnostics import fail

Array: TypeAlias = "np.ndarray[Any, Any]"
Rows: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


class Column(ABC):
    """Rows of one kind."""

    shape: tuple[int | None, ...]
    """Of one row; None where the first axis differs from row to row."""
    dtype: np.dtype[Any]

    @abstractmethod
    def __len__(self) -> int: ...

    def lengths(self, rows: Rows) -> Array | None:
        """How long each of these rows is, where that differs and is known."""
        return None

    @abstractmethod
    def take(self, rows: Rows) -> Array:
        """These rows, [rows, *shape]. Rows of different lengths are filled up with zeros to the
        longest among them."""


@final
class ArrayColumn(Column):
    """The rows of an array, which may be mapped from a file."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.shape = array.shape[1:]
        self.dtype = array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def take(self, rows: Rows) -> Array:
        return np.asarray(self.array[rows])


@final
class RaggedColumn(Column):
    """Rows of different lengths, end to end: row i is `flat[offsets[i]:offsets[i + 1]]`."""

    def __init__(self, flat: Array, offsets: Array) -> None:
        self.flat = flat
        self.offsets = offsets
        self.shape = (None, *flat.shape[1:])
        self.dtype = flat.dtype

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self, rows: Rows) -> Array:
        return np.asarray(self.offsets[rows + 1] - self.offsets[rows])

    def take(self, rows: Rows) -> Array:
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        longest = int((ends - starts).max(initial=0))
        taken = np.zeros((len(rows), longest, *self.flat.shape[1:]), self.dtype)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            taken[i, : end - start] = self.flat[start:end]
        return taken


@final
class CallColumn(Column):
    """Rows that a function gives: of a library's table, or of a person's own data set."""

    def __init__(
        self,
        fetch: Callable[[Rows], Array],
        length: int,
        shape: Sequence[int | None],
        dtype: Any,
        origin: str,
    ) -> None:
        self.origin = origin
        self.fetch = fetch
        self.length = length
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)

    def __len__(self) -> int:
        return self.length

    def take(self, rows: Rows) -> Array:
        try:
            found = self.fetch(rows)
        except ValueError as error:
            told = f"rows {rows[0]} to {rows[-1]} are no one array: {error}"
            raise fail("bad-data", told, origin=self.origin) from None
        if found.dtype.kind != self.dtype.kind:
            told = f"rows {rows[0]} to {rows[-1]} are {found.dtype}, and the first row {self.dtype}"
            advice = "a value may be missing: fill it in, or leave its row out"
            raise fail("bad-data", told, origin=self.origin, help=advice)
        sizes = zip(found.shape[1:], self.shape, strict=False)
        if found.ndim != len(self.shape) + 1 or any(b not in (None, a) for a, b in sizes):
            told = f"among rows {rows[0]} to {rows[-1]} some have another shape than the first"
            raise fail("bad-data", told, origin=self.origin)
        return found


@final
@dataclass(frozen=True)
class Split:
    """Columns by name, and which of their rows are meant."""

    name: str
    origin: str
    """Where it is from, for diagnostics: a folder, a file, a function."""
    columns: Mapping[str, Column] = field(repr=False)
    rows: Rows = field(repr=False)

    @staticmethod
    def of(name: str, origin: str, columns: Mapping[str, Column]) -> Split:
        """All rows of columns, which are equally long."""
        return Split(name, origin, columns, np.arange(len(next(iter(columns.values())))))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, column: str, rows: Rows) -> Array:
        """Rows of a column, counted within this split."""
        return self.columns[column].take(self.rows[rows])

    def lengths(self, column: str, rows: Rows) -> Array | None:
        return self.columns[column].lengths(self.rows[rows])

    def whole(self, column: str) -> Array:
        """A column of small rows, such as labels, as one array."""
        return self.columns[column].take(self.rows)

    def part(self, rows: Rows, name: str | None = None) -> Split:
        """Some rows of this split, in the order given."""
        return Split(name or self.name, self.origin, self.columns, self.rows[rows])
