"""The fenced blocks of Markdown pages, and running them as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import xgraph

ROOT = Path(__file__).parent.parent

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w.]+\.\w+)`")
_SMALL_NUMBER = re.compile(r"\b\d\.\d+e-\d\d\b")


@final
@dataclass(frozen=True)
class Block:
    """`before` is the text between this block and the one above it."""

    page: str
    line: int
    language: str
    text: str
    before: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that it is the content of: the last one named before it."""
        named = _FILE.findall(self.before)
        return named[-1] if named else None


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in order."""
    text = page.read_text("utf-8")
    end = 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page.name, line, match[1], match[2], text[end : match.start()])
        end = match.end()


TOOLS = """
xgraph() { "$PYTHON" -m xgraph.cli "$@"; }
python() { "$PYTHON" "$@"; }
pip() { (cd "$ROOT" && "$PYTHON" -m pip "$@" --dry-run --no-deps --no-build-isolation --quiet); }
make() { command make --dry-run -C "$ROOT" "$@" > /dev/null; }
"""
"""The commands of a page: those of this checkout. What would change the environment runs dry."""


@final
class Reader:
    """Someone who works through a page in `folder`, and compares what is printed.

    `xg` blocks are saved, `sh` blocks run, and `console` blocks too, command by command; `python`
    blocks run, and a `text` block behind one is what it prints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        beside = str(Path(xgraph.__file__).parent.parent)
        here = {"PYTHON": sys.executable, "ROOT": str(ROOT), "PYTHONPATH": beside}
        self._environment = {**os.environ, **here}
        self._printed = ""

    def follow(self, block: Block) -> None:
        """Do what the block says; `AssertionError` where it does not hold."""
        match block.language:
            case "xg":
                assert block.file, f"{block}: of which file is this?"
                (self.folder / block.file).write_text(block.text, "utf-8")
            case "sh":
                status, printed = self._run("bash", "-ec", TOOLS + block.text)
                assert status == 0, f"{block}: {printed}"
            case "console":
                for command, expected in _commands(block.text):
                    _, printed = self._run("bash", "-c", TOOLS + command)
                    assert _plain(printed) == _plain(expected), f"{block}: {command}"
            case "python":
                status, self._printed = self._run(sys.executable, "-c", block.text)
                assert status == 0, f"{block}: {self._printed}"
            case "text":
                assert _plain(self._printed) == _plain(block.text), str(block)
            case other:
                raise AssertionError(f"{block}: nobody can follow a block of `{other}`")

    def _run(self, *command: str) -> tuple[int, str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console session, each with what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def _plain(text: str) -> str:
    """`text` without what differs from machine to machine: how large rounding errors are."""
    lines = [line.rstrip() for line in _SMALL_NUMBER.sub("tiny", text).strip().splitlines()]
    return "\n".join(lines)
