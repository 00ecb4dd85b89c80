"""Writing a data set: a folder that appears under its name only once it is whole."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, final

import numpy as np

from xgraph.data.known.record import Array, Column, Content, Ragged
from xgraph.diagnostics import InternalError, fail
from xgraph.files import named, unwritable


def refuse_existing(out: Path) -> None:
    """Refuse to write to `out` where something is; an empty folder is nothing."""
    named(out, "folder")
    try:
        taken = out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir())))
    except (OSError, ValueError) as error:
        raise unwritable(out, error, "folder") from None
    if taken:
        raise fail(
            "would-overwrite",
            "what is written would take the place of what is there",
            origin=str(out),
            help="name another folder with `-o`, or move this one away",
        )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` if all goes well, and else leaves nothing behind."""
    refuse_existing(out)
    target = Path(os.path.abspath(out))
    beside = target.parent / f".{target.name}.{secrets.token_hex(8)}.tmp"
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        beside.mkdir(parents=True)
        yield beside
        refuse_existing(out)
        if target.exists():
            target.rmdir()  # Windows renames to no folder, not even an empty one
        beside.rename(target)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        with suppress(OSError):
            for parent in made:
                parent.rmdir()
        if isinstance(error, OSError):
            raise unwritable(out, error, "folder") from None
        raise


@final
class Appended:
    """A `.npy` that grows: its length is written once all rows are.

    Rows are written, not mapped: a full disk is then an error, where a map ends the process.
    """

    def __init__(self, path: Path, dtype: str, row: tuple[int, ...] = ()) -> None:
        self._dtype, self._row = np.dtype(dtype), row
        self.rows = 0
        self._file = open(path, "xb")  # noqa: SIM115 - closed by __exit__
        self._start = self._write_header()

    def _write_header(self) -> int:
        shape = (self.rows, *self._row)
        head = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, head)
        return self._file.tell()

    def append(self, rows: Array) -> None:
        whole = np.ascontiguousarray(rows, self._dtype)
        if whole.shape[1:] != self._row:
            raise InternalError("data", f"rows of shape {whole.shape[1:]} among {self._row}")
        self._file.write(whole.tobytes())
        self.rows += len(whole)

    def __enter__(self) -> Appended:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with suppress(OSError) if kind else _nothing():
                self._file.close()

    def _finish(self) -> None:
        self._file.seek(0)
        if self._write_header() != self._start:  # numpy leaves room for a longer first axis
            raise InternalError("data", "the head of a `.npy` grew")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def write_content(folder: Path, content: Content) -> dict[str, Any]:
    """Write the splits of `content`; gives what is to be told of them."""
    told = {}
    for split in content.splits:
        (folder / split.name).mkdir()
        counts = {
            name: _write_column(folder / split.name, name, column)
            for name, column in split.columns.items()
        }
        if len(set(counts.values())) != 1:
            raise InternalError("data", f"columns differ in length: {counts}")
        told[split.name] = {"rows": min(counts.values()), "columns": list(counts)}
    return told


def _write_column(folder: Path, name: str, column: Column) -> int:
    path = folder / f"{name}.npy"
    if isinstance(column, Ragged):
        return _write_ragged(path, column)
    with Appended(path, column.dtype.str, column.shape[1:]) as file:
        file.append(column)
    return len(column)


def _write_ragged(path: Path, column: Ragged) -> int:
    ends = [0]
    with Appended(path, column.dtype) as file:
        for row in column.rows:
            file.append(row)
            ends.append(file.rows)
    with Appended(path.with_suffix(".offsets.npy"), "<i8") as file:
        file.append(np.array(ends))
    return len(ends) - 1


def write_about(folder: Path, facts: Mapping[str, Any]) -> None:
    """`about.json` at the root of a set: nothing in it depends on the time or the machine."""
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    with open(folder / "about.json", "xb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
