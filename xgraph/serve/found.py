"""What is in a folder, and what of it may be read.

Everything is read by way of a `Place`: names come from addresses that anyone can type, and folders
from anywhere, with links that lead out of them and files that never end.
"""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, final

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.files import read_text

Kind = Literal["training", "search", "network"]

DEPTH = 8
ENTRIES, WIDE = 20_000, 2_000
"""So deep, and so many files and folders in all and in one folder, are looked at."""
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})
_PARTS = frozenset({"tensorboard", "trials", "features", "best"})
"""Folders of a run that hold parts of it."""


@final
@dataclass(frozen=True)
class Item:
    """A training or search (its folder), or a network (its file)."""

    kind: Kind
    path: Path


@final
@dataclass
class Found:
    """What was found, and what is to be said of the search for it."""

    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@final
class Place:
    """The folder that is served."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def at(self, path: Path | str) -> Path:
        """What a path leads to, links followed; `DiagnosticError` where that is not in here."""
        try:
            held = (self.root / path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            held = None
        if held is None or not held.is_relative_to(self.root):
            raise fail("not-here", "there is no such thing in this folder", origin=str(path))
        return held

    def file(self, path: Path | str) -> Path:
        """A file proper: a pipe would have its reader wait for ever."""
        held = self.at(path)
        if not os.path.isfile(held):
            raise fail("not-here", "there is no such file in this folder", origin=str(path))
        return held

    def find(self) -> Found:
        """Trainings and searches, and networks that are not part of one; links are not followed."""
        found, notes = Found(), dict[str, None]()
        folders, seen = deque([(self.root, 0)]), 0
        while folders:
            folder, depth = folders.popleft()
            if depth > DEPTH:
                notes[f"folders more than {DEPTH} deep are not looked at"] = None
                break
            kind = kind_of(folder)
            if kind is not None:
                found.items.append(Item(kind, folder))
            entries = _entries(folder, min(WIDE, ENTRIES - seen))
            seen += len(entries)
            if len(entries) == WIDE:
                notes[f"only {WIDE:,} files of a folder are looked at"] = None
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not _is_skipped(entry.name, kind):
                        folders.append((Path(entry), depth + 1))
                elif kind is None and _is_network(entry):
                    found.items.append(Item("network", Path(entry)))
            if seen == ENTRIES:
                notes[f"only the first {ENTRIES:,} files and folders are looked at"] = None
                break
        found.notes += notes
        return found


def kind_of(folder: Path) -> Literal["training", "search"] | None:
    """What a folder is of, if of anything."""
    if os.path.exists(folder / "search.json"):  # False, too, where nobody may look
        return "search"
    return "training" if os.path.exists(folder / "run.json") else None


def _entries(folder: Path, most: int) -> list[os.DirEntry[str]]:
    """In the order of their names; of a folder that went away or is another's, none."""
    try:
        with os.scandir(folder) as found:
            return sorted(islice(found, most), key=lambda entry: entry.name)
    except OSError:
        return []


def _is_skipped(name: str, kind: Kind | None) -> bool:
    return name.startswith(".") or name in _SKIPPED or (kind is not None and name in _PARTS)


def _is_network(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".xg") and entry.is_file(follow_symlinks=False)


@final
class Reader:
    """The files of one folder; what cannot be read of them is kept to be told."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.problems: list[str] = []

    def has(self, name: str) -> bool:
        return os.path.exists(self.folder / name)

    def text(self, name: str) -> str | None:
        try:
            return read_text(self.place.file(self.folder / name)).text
        except DiagnosticError as error:
            self.problem(name, error.diagnostics[0].message)
            return None

    def json(self, name: str) -> dict[str, Any]:
        """Empty where it is no object of JSON."""
        text = self.text(name)
        if text is None:
            return {}
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.problem(name, "this is no JSON of a run: damaged, or half of it")
            return {}
        return found

    def problem(self, name: str, message: str) -> None:
        self.problems.append(f"{name}: {message}")

    def changed(self, *names: str) -> float:
        """When the last of these files was written, in seconds since 1970."""
        times = []
        for name in names:
            try:
                times.append((self.folder / name).stat().st_mtime)
            except OSError:
                continue
        return max(times, default=0.0)
