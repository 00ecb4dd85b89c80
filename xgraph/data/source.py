"""Where data comes from: folders of `.npy`, `.npz`, Hugging Face folders, Parquet, functions."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import numpy as np

from xgraph.data.split import (
    Array,
    ArrayColumn,
    CallColumn,
    Column,
    RaggedColumn,
    Rows,
    Split,
    stacked,
)
from xgraph.diagnostics import Diagnostic, DiagnosticError, did_you_mean, fail

NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "dev": "val",
         "validation": "val", "test": "test", "testing": "test", "all": "all"}  # fmt: skip
"""What splits are called, and what they are called here."""
_HEAD = re.compile(rf"({'|'.join(sorted(NAMES, key=len, reverse=True))})(?![A-Za-z.])")
"""What the name of a file of a split begins with."""
_PARTS = re.compile(r"train|test|val", re.IGNORECASE)
"""What names of files hold that are meant to be parted."""
OFFSETS = ".offsets"
"""`wave.npy` holds rows of different lengths end to end where there is `wave.offsets.npy`."""
_FORMS = (
    "a folder with `train/`, `test/` of `.npy` files, `.npz` or Parquet files, a Hugging Face"
    " `datasets` folder, or `package.module:function`"
)


@final
@dataclass(frozen=True)
class Data:
    """The splits of a data set."""

    origin: str
    splits: Mapping[str, Split]

    def split(self, name: str) -> Split:
        """A split by its name; `DiagnosticError` (`missing-split`) if there is none."""
        if name in self.splits:
            return self.splits[name]
        listed = ", ".join(f"`{known}`" for known in self.splits)
        raise fail(
            "missing-split", f"the data has no split `{name}`", origin=self.origin,
            help=f"it has {listed}",
        )  # fmt: skip

    @property
    def training(self) -> Split:
        """What is trained on: `train`, or all there is where it is not split."""
        return self.splits["all"] if self.splits.keys() == {"all"} else self.split("train")


def open_data(where: str | Path) -> Data:
    """The data set of a folder, a file, or a function (`package.module:function`, called with
    `train`, `val` and `test`, giving a torch `Dataset` of dicts, or None).

    `DiagnosticError` says what is wrong with it: nothing there, no split, an empty one, columns
    of different lengths.
    """
    text = str(where)
    path = Path(text)
    if not path.exists():
        return _whole(text, dict(_called(text)))
    if path.is_file():
        return _whole(text, dict(_file(path)))
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return _whole(text, dict(_hugging_face(path)))
    return _whole(text, dict(_folder(path)))


def _whole(origin: str, found: dict[str, Split]) -> Data:
    if not found:
        raise fail("bad-data", "no data was found here", origin=origin, help=f"give {_FORMS}")
    mistakes = [d for split in found.values() for d in _misfits(split)]
    if mistakes:
        raise DiagnosticError(*mistakes)
    return Data(origin, found)


def _misfits(split: Split) -> Iterator[Diagnostic]:
    lengths = {name: len(column) for name, column in split.columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"`{name}` has {n:,}" for name, n in lengths.items())
        yield Diagnostic(
            "uneven-columns", f"the columns of `{split.name}` differ in their rows: {told}",
            origin=split.origin, help="each row of a split is one example",
        )  # fmt: skip
    elif not any(lengths.values()):
        yield Diagnostic("empty-split", f"`{split.name}` has no rows", origin=split.origin)


# --------------------------------------------------------------------------------- folders


def _folder(path: Path) -> Iterator[tuple[str, Split]]:
    """Subfolders and files that are called like splits; else the files of one split alone."""
    entries = sorted(path.iterdir())
    parquet = [entry for entry in entries if entry.suffix == ".parquet"]
    if parquet:
        yield from _parquet(path, parquet)
        return
    parts = [e for e in entries if (e.name if e.is_dir() else e.stem) in NAMES]
    parts = [e for e in parts if e.is_dir() or e.suffix == ".npz"]
    seen: dict[str, Path] = {}
    for entry in parts:
        name = NAMES[entry.name if entry.is_dir() else entry.stem]
        if name in seen:
            told = f"`{seen[name].name}` and `{entry.name}` are both the split `{name}`"
            raise fail("duplicate-name", told, origin=str(path), help="take one of them away")
        seen[name] = entry
        if entry.is_dir():
            yield name, _split(name, str(entry), _arrays(entry))
        else:
            yield name, _split(name, str(entry), dict(_archive(entry)))
    if not parts and any(entry.suffix == ".npy" for entry in entries):
        yield "all", _split("all", str(path), _arrays(path))


def _file(path: Path) -> Iterator[tuple[str, Split]]:
    if path.suffix == ".parquet":
        yield from _parquet(path, [path])
        return
    if path.suffix != ".npz":
        told = f"a data set is wanted, and a `{path.suffix}` file is none"
        raise fail("bad-data", told, origin=str(path), help=f"give {_FORMS}")
    arrays = dict(_archive(path))
    groups: dict[str, dict[str, Column]] = {"all": arrays}
    for mark in ("/", "_"):
        parted = [(*key.partition(mark)[::2], column) for key, column in arrays.items()]
        if parted and all(head in NAMES and rest for head, rest, _ in parted):
            groups = {}
            for head, rest, column in parted:
                groups.setdefault(NAMES[head], {})[rest] = column
            break
    for name, columns in groups.items():
        yield name, _split(name, str(path), columns)


def _split(name: str, origin: str, columns: dict[str, Column]) -> Split:
    if not columns:
        raise fail(
            "empty-split", f"`{name}` has no columns", origin=origin,
            help="put one array a column here, such as `image.npy` and `label.npy`",
        )  # fmt: skip
    ragged: dict[str, Column] = {}
    for key, column in columns.items():
        if key.endswith(OFFSETS) and key.removesuffix(OFFSETS) in columns:
            continue
        ends = columns.get(key + OFFSETS)
        ragged[key] = _ragged(column, ends, f"{origin}/{key}") if ends else column
    return Split.of(name, origin, ragged)


def _ragged(column: Column, ends: Column, origin: str) -> Column:
    assert isinstance(column, ArrayColumn)
    assert isinstance(ends, ArrayColumn)
    offsets = np.asarray(ends.array)
    sound = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 0
    if not sound or offsets[0] != 0 or offsets[-1] != len(column) or (np.diff(offsets) < 0).any():
        raise fail(
            "bad-data", "its offsets are not whole numbers that rise from 0 to its length",
            origin=origin, help="row i is what lies from offsets[i] to offsets[i + 1]",
        )  # fmt: skip
    return RaggedColumn(column.array, offsets.astype(np.int64))


def _arrays(folder: Path) -> dict[str, Column]:
    return {path.stem: ArrayColumn(_mapped(path)) for path in sorted(folder.glob("*.npy"))}


def _mapped(path: Path) -> Array:
    try:
        return _rows(np.load(path, mmap_mode="r", allow_pickle=False), str(path))
    except (OSError, ValueError, EOFError) as error:
        raise _unread(path, error) from None


def _archive(path: Path) -> Iterator[tuple[str, Column]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("it holds one array without a name")
            for name in archive.files:
                yield name, ArrayColumn(_rows(archive[name], f"{path}: {name}"))
    except (OSError, ValueError, EOFError, BadZipFile, KeyError) as error:
        raise _unread(path, error) from None


def _rows(array: Array, origin: str) -> Array:
    if array.ndim == 0:
        raise fail("bad-data", "a single number has no rows", origin=origin)
    if array.dtype.kind not in "fiub":
        told = f"its elements are {array.dtype}, and numbers are wanted"
        raise fail("bad-data", told, origin=origin)
    return array


def _unread(path: Path, error: Exception) -> DiagnosticError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "pickle" not in reason.lower() and "Python objects" not in reason:
        advice = "the file may be cut off; make it anew"
        return fail("bad-data", f"it cannot be read: {reason}", origin=str(path), help=advice)
    with path.open("rb") as file:  # numpy takes whatever it does not know for a pickle
        known = file.read(6) in (b"\x93NUMPY", b"PK\x03\x04\x14\x00") or path.suffix == ".npz"
    told = "it holds Python objects, which are not read" if known else "this is no array of numpy"
    return fail("bad-data", told, origin=str(path), help="save plain arrays of numbers")


# ------------------------------------------------------------------------- tables of libraries


def _needs(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise fail(
            "missing-extra", f"this needs the package `{package}`, which is not installed",
            origin=package, help=f"pip install 'xgraph[{extra}]'",
        )  # fmt: skip


def _hugging_face(path: Path) -> Iterator[tuple[str, Split]]:
    _needs("datasets", "tables")
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # the library's errors have no common base
        raise _unread(path, error) from None
    tables = loaded if isinstance(loaded, datasets.DatasetDict) else {"all": loaded}
    for name, table in tables.items():
        if str(name) in NAMES:
            yield NAMES[str(name)], _table(NAMES[str(name)], str(path), table)


def _parquet(where: Path, files: list[Path]) -> Iterator[tuple[str, Split]]:
    """Files of one split begin with its name: `train-00000-of-00002.parquet`, `train0.parquet`; one
    whose name tells none is all rows."""
    _needs("datasets", "tables")
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    groups: dict[str, list[str]] = {}
    for file in files:
        head = _HEAD.match(file.stem)
        groups.setdefault(NAMES[head[1]] if head else "all", []).append(str(file))
    strange = [
        name for name in groups.get("all", []) if len(groups) > 1 or _PARTS.search(Path(name).name)
    ]
    if strange and len(files) > 1:
        told = f"`{Path(strange[0]).name}` does not say which split it is of"
        advice = "name it after one, such as `train-0.parquet`, or take it away"
        raise fail("missing-split", told, origin=str(where), help=advice)
    for name, names in groups.items():
        try:
            table = Dataset.from_parquet([escape(name) for name in names])  # they may be patterns
        except Exception as error:
            raise _unread(where, error) from None
        yield name, _table(name, str(where), table)


def _table(name: str, origin: str, table: Any) -> Split:
    if not len(table):
        raise fail("empty-split", f"`{name}` has no rows", origin=origin)
    columns: dict[str, Column] = {}
    for key in table.column_names:
        is_picture = type(table.features[key]).__name__ == "Image"
        fetch = partial(_cells, table.select_columns([key]).with_format("numpy"), key, is_picture)
        try:
            sample = stacked(fetch(np.arange(1)))
        except ValueError:  # text, or lists of no one shape: not for a network
            continue
        shape = _table_shape(table.features[key], sample.shape[1:])
        columns[key] = CallColumn(fetch, len(table), shape, sample.dtype, f"{origin}: {key}")
    if not columns:
        raise fail("empty-split", f"`{name}` has no column of numbers", origin=origin)
    return Split.of(name, origin, columns)


def _table_shape(feature: Any, sample: tuple[int, ...]) -> tuple[int | None, ...]:
    """The first axis of a list may differ from row to row, unless the table says its length."""
    is_list = type(feature).__name__ in ("List", "LargeList", "Sequence")
    return (
        (None, *sample[1:]) if is_list and getattr(feature, "length", -1) in (-1, None) else sample
    )


def _cells(table: Any, key: str, is_picture: bool, rows: Rows) -> Array | list[Array]:
    values = table[rows.tolist()][key]
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return _channels_first(values) if is_picture else values
    rows_apart = [np.asarray(value) for value in values]
    return _channels_first(stacked(rows_apart)) if is_picture else rows_apart


def _channels_first(array: Array) -> Array:
    """Pictures as libraries decode them, [rows, height, width(, channels)]."""
    return array[:, None] if array.ndim == 3 else np.moveaxis(array, -1, 1)


# --------------------------------------------------------------------------------- functions


def _called(text: str) -> Iterator[tuple[str, Split]]:
    """The splits that a function gives: a torch `Dataset` of dicts each."""
    module, colon, name = text.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), name)):
        near = _neighbour(Path(text))
        raise fail("missing-data", "there is no such data", origin=text, help=near)
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise _own_fault(text, error) from None
    for split in ("train", "val", "test"):
        try:
            given = function(split)
        except Exception as error:
            raise _own_fault(f"{text}({split!r})", error) from None
        if given is not None:
            yield split, _dataset(split, f"{text}({split!r})", given)


def _neighbour(path: Path) -> str:
    try:
        near = did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        near = None
    return near or f"give {_FORMS}"


def _own_fault(origin: str, error: Exception) -> DiagnosticError:
    told = f"it failed: {type(error).__name__}: {error}"
    return fail("bad-data", told, origin=origin, help="it is your own function; mend it there")


def _dataset(name: str, origin: str, dataset: Any) -> Split:
    try:
        length = len(dataset)
        first = dataset[0] if length else {}
    except Exception as error:
        raise _own_fault(origin, error) from None
    if not isinstance(first, Mapping) or (length and not first):
        told = f"its items are {type(first).__name__}, and dicts are wanted: one value a modality"
        raise fail("bad-data", told, origin=origin)
    if not length:
        raise fail("empty-split", f"`{name}` has no rows", origin=origin)
    columns: dict[str, Column] = {}
    for key, value in first.items():
        try:
            sample = np.asarray(value)
        except Exception as error:
            raise _own_fault(f"{origin}: {key}", error) from None
        if sample.dtype.kind not in "fiub":
            continue
        last = np.asarray(dataset[length - 1][key])
        varies = sample.ndim > 0 and sample.shape[:1] != last.shape[:1]
        shape = (None, *sample.shape[1:]) if varies else sample.shape
        fetch: Callable[[Rows], list[Array]] = partial(
            _items, dataset, str(key), f"{origin}: {key}"
        )
        columns[str(key)] = CallColumn(fetch, length, shape, sample.dtype, f"{origin}: {key}")
    return Split.of(name, origin, columns)


def _items(dataset: Any, key: str, origin: str, rows: Rows) -> list[Array]:
    try:
        return [np.asarray(dataset[int(row)][key]) for row in rows]
    except Exception as error:
        raise _own_fault(origin, error) from None
