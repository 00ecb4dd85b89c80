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

_AT_ONCE = 256
"""Rows that are read at once where their lengths alone are asked for."""


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
        fetch: Callable[[Rows], Array | list[Array]],
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
        self._lengths = np.full(length, -1) if self.shape[:1] == (None,) else None

    def __len__(self) -> int:
        return self.length

    def lengths(self, rows: Rows) -> Array | None:
        if self._lengths is None:
            return None
        unknown = np.unique(rows[self._lengths[rows] < 0])
        for first in range(0, len(unknown), _AT_ONCE):
            self.take(unknown[first : first + _AT_ONCE])
        return self._lengths[rows]

    def take(self, rows: Rows) -> Array:
        try:
            fetched = self.fetch(rows)
            if self._lengths is None and len({row.shape for row in fetched}) > 1:
                raise ValueError("some have another shape than others")
            found = stacked(fetched)
            if self._lengths is not None:
                self._lengths[rows] = [len(row) for row in fetched]
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


def stacked(values: Array | list[Array]) -> Array:
    """Rows as one array; where their lengths differ, filled up with zeros. `ValueError` where they
    cannot be."""
    if isinstance(values, np.ndarray):
        return values
    if any(value.dtype.kind not in "fiub" for value in values):
        raise ValueError("these are no numbers")
    if len({value.shape for value in values}) == 1:
        return np.stack(values)
    if len({value.shape[1:] for value in values}) > 1 or not all(v.ndim for v in values):
        raise ValueError("their shapes differ in more than the length")
    longest = max(len(value) for value in values)
    padded = np.zeros((len(values), longest, *values[0].shape[1:]), values[0].dtype)
    for i, value in enumerate(values):
        padded[i, : len(value)] = value
    return padded


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
