"""Downloading: whole files only, checked by their hash, and going on where a try broke off.

pooch keeps the files and checks them. Its own downloaders begin anew each time, so it is given one
that asks for the rest of what lies in `NAME.part`.
"""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from xgraph.data.known.record import File, Known
from xgraph.diagnostics import fail
from xgraph.files import unwritable

CACHE = "XGRAPH_CACHE"
"""The environment variable that says where downloads are kept."""
TRIES = 3
TIMEOUT = 30.0
_BLOCK = 2**14
"""What is lost at most where a connection breaks off."""


def require(package: str) -> None:
    """Refuse to go on without a package of the extra `data`."""
    if find_spec(package) is None:
        raise fail(
            "missing-extra",
            f"this needs the package `{package}`, which is not installed",
            origin=package,
            help="pip install 'xgraph[data]'",
        )


def download(known: Known, cache: Path | None, progress: bool) -> dict[str, Path]:
    """The files of a set by their names, downloaded unless they are there."""
    require("pooch")
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    kept = cache or Path(os.environ.get(CACHE) or pooch.os_cache("xgraph"))
    return {file.name: _download(file, kept / known.name, progress) for file in known.files}


def _download(file: File, folder: Path, progress: bool) -> Path:
    import pooch
    from requests import RequestException

    resumed = Resumed(file, folder / f"{file.name}.part", progress)
    try:
        return Path(pooch.retrieve(file.url, file.hash, file.name, folder, downloader=resumed))
    except RequestException as error:
        raise fail(
            "download-failed",
            f"`{file.name}` cannot be downloaded: {_reason(error)}",
            origin=file.url,
            help="run the same command again: it goes on where it stopped; or get the file in "
            "another way and give its folder with `--from`",
        ) from None
    except ValueError:
        raise fail(
            "hash-mismatch",
            f"what was downloaded as `{file.name}` is not the file that is known ({file.hash})",
            origin=file.url,
            help="try again later, or get the file elsewhere and name its folder with `--from`",
        ) from None
    except OSError as error:
        raise unwritable(folder, error, "folder") from None


def _reason(error: Exception) -> str:
    """What a person can use of an error of the network, without Python's names of objects."""
    from requests import exceptions as known

    if isinstance(error, known.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, known.Timeout):
        return "the server does not answer in time"
    if isinstance(error, known.ConnectionError) and "resolve" in str(error).lower():
        return "there is no such server, or no network"
    if isinstance(error, known.ConnectionError) and "refused" in str(error).lower():
        return "the server takes no connections"
    return "the connection broke off"


@final
@dataclass(frozen=True)
class Resumed:
    """A downloader for pooch that keeps what it got in `part` when it is interrupted."""

    file: File
    part: Path
    progress: bool = False

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Get `url`; try again at once where a connection broke off."""
        from requests import exceptions as known

        for left in reversed(range(TRIES)):
            try:
                self._go_on(url)
                break
            except known.RequestException as error:
                if not left or isinstance(error, known.HTTPError | known.Timeout):
                    raise
        os.replace(self.part, output_file)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _go_on(self, url: str) -> None:
        import requests

        have = self._have()
        head = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=head, stream=True, timeout=TIMEOUT) as answer:
            if have and answer.status_code == requests.codes.range_not_satisfiable:
                self.part.unlink()  # another file than the one that was begun
                return self._go_on(url)
            answer.raise_for_status()
            rest = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            begun = have if rest and answer.status_code == requests.codes.partial_content else 0
            self._write(answer, begun)
        return None

    def _write(self, answer: Any, begun: int) -> None:
        """Take what comes, to behind the `begun` bytes that are there."""
        import requests

        length = answer.headers.get("Content-Length", "")
        total = begun + int(length) if length.isdigit() else None
        with open(self.part, "ab" if begun else "wb") as file, self._bar(total, begun) as bar:
            for block in answer.iter_content(_BLOCK):
                file.write(block)
                if bar is not None:
                    bar.update(len(block))
                if file.tell() > 2 * self.file.size + _BLOCK:
                    break
            got = file.tell()
        if got > 2 * self.file.size + _BLOCK:
            self.part.unlink()
            raise ValueError("far more than the file has")
        if total is not None and got != total:
            raise requests.ConnectionError("the connection broke off")

    def _bar(self, total: int | None, begun: int) -> Any:
        if not self.progress or find_spec("tqdm") is None:
            return nullcontext()
        from tqdm import tqdm

        return tqdm(total=total, initial=begun, unit="B", unit_scale=True, desc=self.file.name)
