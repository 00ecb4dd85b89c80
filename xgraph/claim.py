"""Folders that a training or a search keeps to itself while it works in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xgraph.diagnostics import fail
from xgraph.files import make_folder, unwritable


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a folder to this process; `DiagnosticError` (`busy`) if another one works in it."""
    from filelock import FileLock, Timeout

    where = folder.resolve()
    make_folder(where.parent)
    path = _lock(where)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0.2)  # longer than `is_claimed` takes to look
    except Timeout:
        raise fail(
            "busy", "another training or search runs in this folder", origin=str(folder),
            help="wait for it, or choose another folder",
        ) from None  # fmt: skip
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        yield
    finally:
        # While it is held, so that who waits for it does not get a file that is gone.
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
        lock.release()
        path.unlink(missing_ok=True)


def is_claimed(folder: Path) -> bool:
    """Whether a process works in a folder. One that was killed left its file, but holds it not."""
    path = _lock(folder.resolve())
    if sys.platform == "win32":  # no file can be looked at so there
        return path.exists()
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _lock(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.lock"
