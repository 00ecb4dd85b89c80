"""Reading archives: members go to memory, within limits, and never to a path that they name.

A limit is asked of every member before it is read, so that a small file cannot fill memory.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import struct
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import final

import numpy as np

from xgraph.data.known.record import Array, damaged
from xgraph.diagnostics import fail

MAX_UNPACKED = 4 * 2**30
"""The most bytes that all members of an archive may have together."""
MAX_CLIP = 16 * 2**20
"""The most bytes that one recording may have."""

_BROKEN = (
    EOFError, ValueError, KeyError, IndexError, RuntimeError, struct.error, csv.Error, wave.Error,
    zlib.error, zipfile.BadZipFile, tarfile.TarError, NotImplementedError,
)  # fmt: skip


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every way in which the file at `path` can fail to be read into a diagnostic."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a broken gzip
            raise damaged(path, _reason(error)) from None
        told = f"this file cannot be read: {_reason(error)}"
        raise fail("unreadable", told, origin=str(path)) from None
    except _BROKEN as error:
        raise damaged(path, _reason(error)) from None


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or "it ends too early").lower()


def read_idx(path: Path, axes: int, most: int) -> Array:
    """The bytes of a gzipped IDX file with so many axes, `most` of them at most."""
    with reading(path), gzip.open(path) as file:
        head = file.read(4 + 4 * axes)
        if head[:4] != bytes((0, 0, 8, axes)) or len(head) < 4 + 4 * axes:
            raise damaged(path, f"it is no IDX file of bytes with {axes} axes")
        shape = struct.unpack(f">{axes}I", head[4:])
        size = math.prod(shape)
        if size > most:
            raise damaged(path, f"it says that it holds {size:,} bytes, more than {most:,}")
        data = file.read(size + 1)  # one more, so that the check sum at the end is read
    if len(data) != size:
        raise damaged(path, f"it does not hold the {size:,} bytes that it says")
    return np.frombuffer(data, np.uint8).reshape(shape)


def read_tar(path: Path, wanted: Mapping[str, int]) -> dict[str, bytes]:
    """The members of a gzipped tar whose last name is wanted, of so many bytes at most."""
    found: dict[str, bytes] = {}
    total = 0
    with reading(path), gzip.open(path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        for member in archive:
            total += member.size
            name = PurePosixPath(member.name).name
            if total > MAX_UNPACKED or (name in wanted and member.size > wanted[name]):
                raise damaged(path, f"its member `{member.name}` is too large")
            content = archive.extractfile(member) if name in wanted else None
            if content is not None:
                found[name] = content.read()
                if len(found[name]) != member.size:
                    raise damaged(path, f"its member `{member.name}` breaks off")
        while rest := file.read(2**20):  # to the check sum at the end
            total += len(rest)
            if total > MAX_UNPACKED:
                raise damaged(path, "what it holds is too large")
    missing = [name for name in wanted if name not in found]
    if missing:
        raise damaged(path, f"it has no member `{missing[0]}`")
    return found


@final
class Zip:
    """A zip archive whose members are read by their path without the archive's top folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._file = zipfile.ZipFile(path)
            members = [m for m in self._file.infolist() if not m.is_dir()]
        if sum(member.file_size for member in members) > MAX_UNPACKED:
            raise damaged(path, "what it holds is too large")
        self._members = {m.filename.partition("/")[2]: m for m in members}

    def names(self, folder: str) -> list[str]:
        """The last names of the members right in `folder`."""
        paths = map(PurePosixPath, self._members)
        return sorted(path.name for path in paths if str(path.parent) == folder)

    def read(self, name: str, most: int = MAX_CLIP) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise damaged(self.path, f"it has no member `{name}`")
        if member.file_size > most:
            raise damaged(self.path, f"its member `{name}` is too large")
        with reading(self.path):
            return self._file.read(member)

    def close(self) -> None:
        self._file.close()


def read_wave(path: Path, name: str, data: bytes, rate: int) -> Array:
    """The samples of a WAV: one channel of 16 bits at `rate`. `path` is the archive it is in."""
    with reading(path), wave.open(io.BytesIO(data)) as file:
        kind = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        count = file.getnframes()
        frames = file.readframes(count)
    if kind != (1, 2, rate):
        raise damaged(path, f"`{name}` is no recording of one channel of 16 bits at {rate} Hz")
    if len(frames) != 2 * count or not count:
        raise damaged(path, f"`{name}` breaks off")
    return np.frombuffer(frames, "<i2")


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz`; objects, which would have to be unpickled, are refused."""
    with reading(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED:
                raise damaged(path, "what it holds is too large")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: np.atleast_1d(arrays[name]) for name in arrays.files}


def hash_of(path: Path, algorithm: str) -> str:
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def hashes_of(paths: Mapping[str, Path]) -> dict[str, str]:
    """What is told of files that have no known hash."""
    return {name: f"sha256:{hash_of(path, 'sha256')}" for name, path in paths.items()}
