"""What is declared of a known data set, and what reading it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from xgraph.diagnostics import DiagnosticError, fail

Array: TypeAlias = NDArray[Any]


@final
@dataclass(frozen=True)
class Ragged:
    """A column whose rows differ in length; they are read one by one, as they are written."""

    rows: Iterable[Array]
    dtype: str = "<i2"


Column: TypeAlias = Array | Ragged


@final
@dataclass(frozen=True)
class Split:
    """Rows that belong together, as columns of equal length."""

    name: str
    columns: Mapping[str, Column]


@final
@dataclass(frozen=True)
class Content:
    """What the files of a set hold: splits, and facts for `about.json`."""

    splits: tuple[Split, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class File:
    """A file to download. Without a `hash` (`md5:...`), its content is checked by its reader."""

    name: str
    url: str
    hash: str | None
    size: int


Reader: TypeAlias = Callable[["Known", Mapping[str, Path]], Content]
"""Content of files, given by their names."""


@final
@dataclass(frozen=True)
class Parts:
    """Other files that hold a set, or a part of it: `.npz` of numpy."""

    names: tuple[str, ...]
    read: Reader
    needs_all: bool = True


@final
@dataclass(frozen=True)
class Known:
    """A data set that can be had by its name."""

    name: str
    title: str
    home: str
    licence: str
    files: tuple[File, ...]
    read: Reader
    counts: Mapping[str, int]
    parts: Parts | None = None
    classes: tuple[str, ...] = ()
    class_count: int = 0
    """How many classes there are, where their names are read from the files."""
    manifest: str | None = None
    """A digest of what the archive holds, in the way of its reader."""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def damaged(path: Path, why: str) -> DiagnosticError:
    """What is told of a file that does not hold what it should."""
    return fail(
        "damaged-file",
        f"this file is damaged: {why}",
        origin=str(path),
        help="get it again: delete it, and run the same command once more",
    )


def check_labels(path: Path, labels: Array, classes: int) -> Array:
    """`labels` as int64, refused where one is of no class."""
    fits = labels.ndim == 1 and labels.dtype.kind in "iu"
    if not fits or (len(labels) and not 0 <= labels.min() <= labels.max() < classes):
        raise damaged(path, f"its labels are not numbers from 0 to {classes - 1}")
    return labels.astype(np.int64)


def check_count(known: Known, path: Path, split: str, count: int) -> None:
    """Refuse a whole set that has another number of rows than is known of it."""
    if count != known.counts[split]:
        raise damaged(path, f"it holds {count:,} rows of `{split}`, not {known.counts[split]:,}")
