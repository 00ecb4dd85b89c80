"""Reading texts and writing results: every way a file can fail is a diagnostic that names it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from xgraph.diagnostics import DiagnosticError, did_you_mean, fail
from xgraph.source import Source

FilePath: TypeAlias = str | os.PathLike[str]

MAX_TEXT = 16 * 2**20
"""The most bytes a text may have."""
_MADE = frozenset({".py", ".onnx", ".safetensors", ".npz", ".npy", ".ir", ".pt", ".pth"})
"""What xgraph and its like write: never a network to read."""


def named(path: FilePath, what: str = "file") -> Path:
    """`path`, whose name must not be empty; `what` is said of it."""
    if not isinstance(path, (str, os.PathLike)):
        told = f"the name of the {what} is a text or a path, not {type(path).__name__}"
        raise fail("bad-name", told)
    if not os.fspath(path):
        raise fail("bad-name", f"the name of the {what} is empty", help="give one")
    return Path(path)


def keep(out: FilePath, read: Iterable[FilePath]) -> None:
    """Refuse to write to `out` where that is one of the files `read`, by whatever name or link."""
    for path in read:
        if os.path.isfile(out) and same_file(out, path):
            raise fail(
                "would-overwrite",
                f"what is written would take the place of `{os.fspath(path)}`, which is read",
                origin=os.fspath(out),
                help="write to another file",
            )


def same_file(a: FilePath, b: FilePath) -> bool:
    """Whether two names lead to one file that is there."""
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):  # one is not there, or no file can have its name
        return False


def read_network(path: FilePath) -> Source:
    """The text of a network at `path`; a file that is none by its name is refused."""
    named(path)
    if Path(path).suffix.lower() in _MADE:
        raise fail(
            "not-a-network",
            f"a network is wanted here, and a `{Path(path).suffix}` file is none",
            origin=os.fspath(path),
            help="give the `.xg` file that describes it",
        )
    return read_text(path)


def read_text(path: FilePath) -> Source:
    """The text at `path`, which must be UTF-8; a byte order mark before it is left out."""
    named(path)
    data = _read(path)
    if len(data) > MAX_TEXT:
        raise fail(
            "file-too-large",
            f"a text may have {MAX_TEXT // 2**20} MiB, and this file has more",
            origin=os.fspath(path),
        )
    return Source(os.fspath(path), decode(data, path))


def _read(path: FilePath) -> bytes:
    """At most one byte more than a text may have, so that no device or huge file fills memory."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise fail(
            "missing-file", "there is no such file", origin=os.fspath(path), help=_near(path)
        ) from None
    except IsADirectoryError:
        raise fail(
            "is-a-directory", "this is a directory, not a file", origin=os.fspath(path)
        ) from None
    except (OSError, ValueError) as error:
        raise fail(
            "unreadable", f"this file cannot be read: {_reason(error)}", origin=os.fspath(path)
        ) from None


def _near(path: FilePath) -> str | None:
    """A file beside the missing one whose name is close to it."""
    where = Path(path)
    try:
        return did_you_mean(where.name, sorted(os.listdir(where.parent))[:1000])
    except (OSError, ValueError):
        return f"there is no folder `{where.parent}` either"


def make_folder(path: FilePath) -> None:
    """Make a folder, and those it lies in, where they are not there yet."""
    try:
        os.makedirs(path, exist_ok=True)
    except (OSError, ValueError) as error:
        raise fail(
            "cannot-write",
            f"this folder cannot be made: {_reason(error)}",
            origin=os.fspath(path),
        ) from None


def decode(data: bytes, path: FilePath) -> str:
    """The text that `data` is in UTF-8; `path` is where it came from."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _not_text(path, "this file is UTF-16, and only UTF-8 is read")
    if (place := data.find(b"\0")) >= 0:
        raise _not_text(path, f"this is not a text: byte {place} is zero")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise _not_text(path, f"byte 0x{byte:02x} on line {line} is not UTF-8") from None


def _not_text(path: FilePath, message: str) -> DiagnosticError:
    return fail("not-text", message, origin=os.fspath(path), help="save it as UTF-8")


def write_whole(path: FilePath, data: bytes | str) -> None:
    """Write `data` to `path` so that a reader finds the old content or the new, never a part.

    The data goes to a file beside it, to the disk, and then takes the name; what fails leaves
    nothing behind. A device or a pipe (`/dev/stdout`) is written to as it stands.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        target = os.path.realpath(path)  # a link keeps pointing where it does
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        if mode is None or stat.S_ISREG(mode):
            _replace(target, content, mode)
        else:
            Path(path).write_bytes(content)
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None


def unwritable(path: FilePath, error: OSError | ValueError, what: str = "file") -> DiagnosticError:
    """What is told when `path` cannot be written because of `error`."""
    return fail(
        "cannot-write",
        f"this {what} cannot be written: {_reason(error)}",
        origin=os.fspath(path),
        help=_advice(error, Path(path)),
    )


def _mode(target: FilePath) -> int | None:
    try:
        return os.stat(target).st_mode
    except FileNotFoundError:
        return None


def _replace(target: str, content: bytes, mode: int | None) -> None:
    folder = os.path.dirname(target)
    beside = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, stat.S_IMODE(mode))
        os.replace(beside, target)
    except BaseException:
        _quietly(os.unlink, beside)
        raise
    _quietly(_sync_folder, folder)


def _quietly(act: Callable[[str], None], path: str) -> None:
    """`act`, where its failure is no loss: the file was never made, folders do not sync."""
    with suppress(OSError):
        act(path)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError | ValueError) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or type(error).__name__).lower()


def _advice(error: OSError | ValueError, path: Path) -> str | None:
    match getattr(error, "errno", None):
        case errno.ENOENT:
            return f"make its folder first: `mkdir -p {path.parent}`"
        case errno.ENOTDIR:
            return f"`{path.parent}` is not a folder"
        case errno.EISDIR:
            return f"name a file in it, such as `{path / 'model'}`"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"you may not write to `{path.parent}`; choose another place"
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full: free some space, or choose another place"
    return None
