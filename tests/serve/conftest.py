"""A server of a folder, as a user starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import TypeAlias, final

import pytest


@final
class Server:
    """One that listens."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "xgraph.cli", "serve", str(folder), "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[0]
        self.port = int(self.address.rpartition(":")[2])

    def ask(
        self, path: str, method: str = "GET", hosts: tuple[str, ...] | None = None, **headers: str
    ) -> tuple[HTTPResponse, str]:
        """An answer and its text; the path goes out as it is."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host=True)
        for host in (f"127.0.0.1:{self.port}",) if hosts is None else hosts:
            connection.putheader("Host", host)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text

    def end(self) -> tuple[int, str]:
        """The exit code after Ctrl-C, and what it complained of."""
        self.process.send_signal(signal.SIGINT)
        _, told = self.process.communicate(timeout=20)
        return self.process.returncode, told


@contextmanager
def _serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


Serving: TypeAlias = Callable[[Path], AbstractContextManager[Server]]


@pytest.fixture
def serving() -> Serving:
    """Starts a server of a folder."""
    return _serving


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is served, for all tests of a module."""
    return tmp_path_factory.mktemp("outside") / "place"


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    place.mkdir()
    with _serving(place) as found:
        yield found
