"""Batches brought to a few sizes, so that the runs of each are captured once and played again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, final

import numpy as np

from xgraph.diagnostics import Diagnostic, DiagnosticError, fail
from xgraph.given import integer, kind_of
from xgraph.runtime.shapes import Array, Signature, batch_of, rows_of, shown

Run: TypeAlias = Callable[[Mapping[str, Array]], Mapping[str, Array]]

_CLOSE = 1e-3
"""How far rows may move when others do, relative to the largest: kernels add in any order."""


def sizes_in(buckets: object) -> tuple[int, ...]:
    """The sizes asked for, from the smallest."""
    if isinstance(buckets, str) or not isinstance(buckets, Sequence | set):
        raise fail("bad-option", f"`buckets` are sizes of batches, not {kind_of(buckets)}")
    sizes = sorted({integer("buckets", size) for size in buckets})
    if sizes and sizes[0] < 1:
        raise fail("bad-option", f"a bucket holds 1 row or more, not {sizes[0]}")
    return tuple(sizes)


def check_buckets(inputs: Signature, outputs: Signature, origin: str) -> None:
    """Refuse buckets where the batch is not the first axis of all and the only open one."""
    batch = batch_of(inputs)
    for kind, values in (("input", inputs), ("output", outputs)):
        for name, (_, dims) in values.items():
            told = f"{kind} `{name}` has shape {shown(dims)}"
            if batch is None or dims[:1] != (batch,):
                raise _unfit(f"{told}, and its first axis is not the batch of all", origin)
            if odd := [dim for dim in dims[1:] if isinstance(dim, str)]:
                raise _unfit(f"{told}, where `{odd[0]}` is open besides the batch", origin)


def _unfit(reason: str, origin: str) -> DiagnosticError:
    return fail(
        "unfit-buckets", f"this model cannot run in buckets: {reason}", origin=origin,
        help="leave `buckets` out",
    )  # fmt: skip


@final
class Buckets:
    """Which sizes there are, how a batch is brought to one, and whether that is right.

    A model whose rows know nothing of each other gives the same for them whatever they are filled
    up with. That is looked at once a bucket.
    """

    def __init__(self, sizes: tuple[int, ...], wanted: Signature, origin: str) -> None:
        self.sizes = sizes
        self._wanted, self._origin = wanted, origin
        self._sound: set[int] = set()

    def fitting(self, rows: int) -> int | None:
        """The smallest bucket that holds so many rows."""
        return next((size for size in self.sizes if size >= rows), None)

    def outside(self) -> Diagnostic:
        """What there is to say of a batch that none holds."""
        largest = f"{self.sizes[-1]}, the largest bucket"
        told = f"batches of more than {largest}, run without a captured run"
        return Diagnostic(
            "outside-buckets", told, severity="warning", origin=self._origin,
            help="add a bucket that holds them",
        )  # fmt: skip

    def filled(self, inputs: Mapping[str, Array], bucket: int) -> dict[str, Array]:
        """The inputs with their last row as often as it takes; real rows are always valid."""
        rows = _rows(inputs)
        return rows_of(inputs, self._wanted, [*range(rows), *[rows - 1] * (bucket - rows)])

    def check(self, run: Run, inputs: Mapping[str, Array], bucket: int) -> None:
        """Refuse a model whose rows depend on those they are filled up with; `run` gives the
        outputs of a full bucket."""
        rows = _rows(inputs)
        if rows == bucket or bucket in self._sound:
            return
        first = self.filled(inputs, bucket)
        other = {name: _otherwise(array, rows) for name, array in first.items()}
        if all(np.array_equal(first[name], other[name]) for name in first):
            return  # nothing to tell them by; another batch will
        theirs = run(other)
        for name, ours in run(first).items():
            if not _alike(ours[:rows], theirs[name][:rows]):
                raise _unfit(
                    f"a row of output `{name}` depends on the rows beside it", self._origin
                )
        self._sound.add(bucket)


def _rows(inputs: Mapping[str, Array]) -> int:
    return len(next(iter(inputs.values())))


def _otherwise(array: Array, rows: int) -> Array:
    """The array filled up with something else: halves of the numbers, or its first row."""
    other = array.copy()
    other[rows:] = array[rows:] / 2 + 1 if array.dtype.kind == "f" else array[0]
    return other


def _alike(a: Array, b: Array) -> bool:
    if a.dtype.kind not in "biuf":
        return np.array_equal(a, b)
    ours, theirs = a.astype(np.float64), b.astype(np.float64)
    scale = float(np.max(np.abs(ours), initial=0.0, where=np.isfinite(ours)))
    return np.allclose(ours, theirs, rtol=0, atol=_CLOSE * scale, equal_nan=True)
