"""Text cases: what is given and what must come out, many to a file.

    [case unknown_op]
    network a
    ...
    [out]
    error[unknown-op]: ...

A case is parts, each under a line `[kind argument]`; what stands before the first such line is
the part `[text]`. `[out]` is the last one, and the only one that `pytest --update` writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

_HEAD = re.compile(r"\[(\w+)(?: ([^\n]*))?\]\n", re.MULTILINE)
_CASE = re.compile(r"^(?=\[case )", re.MULTILINE)
_PART = re.compile(r"^(?=\[(?:case|run|file|setup|needs|out)\b)", re.MULTILINE)


@final
@dataclass(frozen=True)
class Part:
    kind: str
    argument: str
    text: str


@final
@dataclass(frozen=True)
class Case:
    """A case and where it stands."""

    path: Path
    name: str
    parts: tuple[Part, ...]
    expected: str

    def __str__(self) -> str:
        return f"{self.path.stem}-{self.name}"

    def update(self, out: str) -> None:
        """Write `out` as what is expected, and nothing else."""
        written = _CASE.split(self.path.read_text(encoding="utf-8"))
        for number, text in enumerate(written):
            if text.startswith(f"[case {self.name}]\n"):
                before = text.partition("\n[out]\n")[0].rstrip("\n")
                written[number] = f"{before}\n[out]\n{out.strip()}\n\n"
        self.path.write_text("".join(written).rstrip("\n") + "\n", encoding="utf-8")


def read_cases(folder: Path) -> Iterator[Case]:
    """The cases of every `.xgt` file of a folder."""
    for path in sorted(folder.glob("*.xgt")):
        for text in _CASE.split(path.read_text(encoding="utf-8"))[1:]:
            yield _read(path, text)


def _read(path: Path, text: str) -> Case:
    parts = []
    for piece in _PART.split(text):
        head = _HEAD.match(piece)
        if head is not None:
            parts.append(Part(head[1], head[2] or "", piece[head.end() :]))
    (case, *others) = parts
    assert case.kind == "case", path
    expected = "".join(part.text for part in others if part.kind == "out")
    given = tuple(part for part in others if part.kind != "out")
    return Case(path, case.argument, (Part("text", "", case.text), *given), expected.strip())
