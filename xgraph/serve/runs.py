"""What is told of trainings, searches and networks: plain data, of folders in any condition.

A run says itself whether it is finished; one that is not runs as long as a process has claimed it,
or what it is a part of.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, Final, final
from urllib.parse import quote

from xgraph.claim import is_claimed
from xgraph.diagnostics import DiagnosticError, fail, printable
from xgraph.files import MAX_TEXT
from xgraph.pages.page import told as spelt
from xgraph.search.study import NAME as JOURNAL
from xgraph.search.study import Trial
from xgraph.serve.found import Item, Place, Reader, kind_of

SHOWN: Final = 500
"""The most trials in a table."""
BEST: Final = 10
_LONG: Final = 300
Facts = list[tuple[str, str]]


@final
class Runs:
    """What there is to tell of a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._journals: dict[Path, _Journal] = {}
        self._lock = Lock()

    def overview(self) -> dict[str, Any]:
        """A line for each thing in the folder."""
        found = self.place.find()
        return {
            "folder": printable(self.place.root.name),
            "items": [self._line(item) for item in found.items],
            "notes": found.notes,
        }

    def _line(self, item: Item) -> dict[str, Any]:
        line = {"kind": item.kind, "name": self._name(item.path), "href": self._link(item)}
        if item.kind == "network":
            return line
        run = self.run(item.path)
        return line | {name: run[name] for name in ("state", "latest", "changed")}

    def run(self, path: Path | str) -> dict[str, Any]:
        """All that is told of a training or a search; `DiagnosticError` where there is none."""
        folder = self.place.at(path)
        reader = Reader(self.place, folder)
        kind = kind_of(folder)
        if kind is None:
            raise fail("no-run", "there is no training or search here", origin=str(path))
        told = self._training(reader) if kind == "training" else self._search(reader)
        return {"kind": kind, "name": self._name(folder), "problems": reader.problems} | told

    def _training(self, reader: Reader) -> dict[str, Any]:
        about = reader.json("run.json")
        columns = _columns(reader) if reader.has("metrics.csv") else {}
        done, of = len(columns.get("epoch", [])), about.get("epochs")
        finished = about.get("finished") is True
        latest = [f"epoch {done}{f' of {of}' if isinstance(of, int) else ''}"] if done else []
        test = _tested(reader.json("metrics.json")) if finished else []
        latest += [f"test {name} {value}" for name, value in test[:1]] or [
            f"{name} {values[-1]:.4f}"
            for name, values in columns.items()
            if _is_short(name) and values[-1] is not None
        ]
        return {
            "state": "finished" if finished else self._goes_on(reader.folder, bool(about)),
            "latest": latest,
            "changed": reader.changed("run.json", "metrics.csv"),
            "facts": _facts(about, "data", "rows", "epochs", "seed", "fraction", "init", "xgraph",
                            "machine", "libraries"),
            "columns": columns,
            "test": test,
            "report": self._report(reader),
            "networks": self._networks([("net.xg", reader.folder / "net.xg")]),
            "recipe": reader.text("recipe.yaml"),
        }  # fmt: skip

    def _search(self, reader: Reader) -> dict[str, Any]:
        about = reader.json("search.json")
        trials = self._trials(reader)
        best = _ranked(trials)[:BEST]
        finished = reader.has("report.html")
        state = self._goes_on(reader.folder, bool(about))
        latest = [f"{len(trials):,} trials"] if trials else []
        latest += [f"best score {trial.score:.4f}" for trial in best[:1]]
        return {
            "state": "finished" if finished and state == "interrupted" else state,
            "latest": latest,
            "changed": reader.changed("search.json", JOURNAL, "report.html"),
            "facts": _facts(about, "data", "strategy", "limits", "settings", "seed", "repeats",
                            "fraction", "xgraph"),
            "count": len(trials),
            "trials": [_row(trial) for trial in trials[: -SHOWN - 1 : -1]],
            "curves": _curves(trials),
            "best": [
                {"row": _row(trial), **network}
                for trial in best
                for network in self._networks([(trial.stem, reader.folder / _file(trial))])
            ],
            "networks": self._networks([("space.xg", reader.folder / "space.xg")]),
            "report": self._report(reader),
            "recipe": reader.text("recipe.yaml"),
        }  # fmt: skip

    def _report(self, reader: Reader) -> str | None:
        return self._href("report", reader.folder) if reader.has("report.html") else None

    def _goes_on(self, folder: Path, is_whole: bool) -> str:
        """What is to be said of a run that does not say that it is finished."""
        around = (folder, *folder.parents)
        if any(is_claimed(each) for each in around if each.is_relative_to(self.place.root)):
            return "running"
        return "interrupted" if is_whole else "damaged"

    def _trials(self, reader: Reader) -> list[Trial]:
        if not reader.has(JOURNAL):
            return []
        try:
            path = self.place.file(reader.folder / JOURNAL)
            with self._lock:
                journal = self._journals.get(path)
                if journal is None or not journal.is_of(path):
                    journal = self._journals[path] = _Journal(path)
                journal.read()
                if journal.damaged:
                    reader.problem(JOURNAL, f"{journal.damaged:,} lines of it are no trials")
                return list(journal.trials)
        except OSError as error:
            reader.problem(JOURNAL, f"this file cannot be read: {error.strerror}")
        except DiagnosticError as error:
            reader.problem(JOURNAL, error.diagnostics[0].message)
        return []

    # ------------------------------------------------------------------------------------- links

    def _networks(self, files: Iterable[tuple[str, Path]]) -> list[dict[str, str]]:
        return [
            {"name": name, "href": self._href("network", path)}
            for name, path in files
            if os.path.isfile(path)
        ]

    def _link(self, item: Item) -> str:
        return self._href("network" if item.kind == "network" else "run", item.path)

    def _href(self, page: str, path: Path) -> str:
        """The address of a page; names are bytes, which need not be UTF-8."""
        return f"/{page}/{quote(os.fsencode(self._relative(path)))}"

    def _name(self, path: Path) -> str:
        return printable(self._relative(path))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.place.root).as_posix()


@final
class _Journal:
    """The trials of a search, read as they come: of a file that grew, only what is new."""

    def __init__(self, path: Path) -> None:
        self.path, self._file, self._at = path, path.stat().st_ino, 0
        self.trials: list[Trial] = []
        self.damaged = 0

    def is_of(self, path: Path) -> bool:
        """Whether the file is still the one that was read, and not another in its place."""
        held = path.stat()
        return held.st_ino == self._file and held.st_size >= self._at

    def read(self) -> None:
        with open(self.path, "rb") as file:
            file.seek(self._at)
            new = file.read(MAX_TEXT)
        whole = new[: new.rfind(b"\n") + 1]  # the last line may be half written
        self._at += len(whole)
        for line in whole.splitlines():
            try:
                told = json.loads(line)
                if "user_attrs" in told:
                    self.trials.append(_sound(Trial(**told["user_attrs"])))
            except (ValueError, TypeError, RecursionError):
                self.damaged += 1


def _sound(trial: Trial) -> Trial:
    """A trial that was read, its score a finite number or none; `TypeError` where it is none."""
    numbers = (trial.number, trial.params, trial.search_seed, trial.same_as or 0)
    texts = (trial.phase, trial.key, trial.error or "")
    if not all(isinstance(value, int) for value in numbers) or not all(
        isinstance(value, str) for value in texts
    ):
        raise TypeError
    return replace(trial, score=_number(trial.score))


def _file(trial: Trial) -> str:
    return f"trials/{trial.stem}.xg"


def _row(trial: Trial) -> dict[str, Any]:
    state = "done"
    if trial.error is not None:
        state = f"failed: {trial.error}"
    elif trial.same_as is not None:
        state = f"as {trial.same_as}"
    return {
        "number": trial.number,
        "phase": printable(trial.phase),
        "score": trial.score,
        "params": trial.params,
        "state": _cut(state),
    }


def _ranked(trials: Iterable[Trial]) -> list[Trial]:
    """The best first, each network once."""
    scored = [(-trial.score, trial) for trial in trials if trial.score is not None]
    best: dict[str, Trial] = {}
    for _, trial in sorted(scored, key=lambda each: (each[0], each[1].number)):
        best.setdefault(trial.key.partition(" ")[0], trial)
    return list(best.values())


def _curves(trials: Sequence[Trial]) -> dict[str, list[float | None]]:
    """The best score so far in each phase of more than one trial, seed by seed."""
    several = len({trial.search_seed for trial in trials}) > 1
    found: dict[str, list[float | None]] = {}
    for trial in trials:
        name = printable(f"seed {trial.search_seed}, {trial.phase}" if several else trial.phase)
        curve = found.setdefault(name, [])
        reached = [score for score in (*curve[-1:], trial.score) if score is not None]
        curve.append(max(reached, default=None))
    return {name: curve for name, curve in found.items() if len(curve) > 1}


def _columns(reader: Reader) -> dict[str, list[float | None]]:
    """The figures of the epochs, name by name."""
    try:
        rows = list(csv.DictReader((reader.text("metrics.csv") or "").splitlines()))
    except csv.Error:
        rows = []
    if not rows or "epoch" not in rows[0]:
        reader.problem("metrics.csv", "this is no table of epochs")
        return {}
    return {printable(name): [_number(row[name]) for row in rows] for name in rows[0] if name}


def _is_short(name: str) -> bool:
    """Whether it is a loss or a metric of the prediction, not of another output."""
    return name == "train/loss" or (name.startswith("val/") and name.count("/") == 1)


def _tested(metrics: Mapping[str, Any]) -> Facts:
    test = metrics.get("test")
    found = test.get("metrics") if isinstance(test, dict) else None
    return _facts(found, *found) if isinstance(found, dict) else []


def _facts(about: Mapping[str, Any], *names: str) -> Facts:
    """What is told by these names, where something is."""
    return [
        (printable(name), _cut(spelt(about[name])))
        for name in names
        if about.get(name) not in (None, {}, [], "")
    ]


def _cut(text: str) -> str:
    return printable(text if len(text) <= _LONG else f"{text[:_LONG]} ...")


def _number(value: object) -> float | None:
    """A finite number, where it is one; others cannot be told in JSON."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
