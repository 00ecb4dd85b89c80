"""Features of a data set, computed once, kept in files and mapped into memory.

A file is named after all that made it: the digest of the rows, and that of the layers, their
weights and the steps before them (`cut`). So what is found there is what would be computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from xgraph.data.check import fingerprint
from xgraph.data.feed import Feed, all_batches
from xgraph.data.split import ArrayColumn, Column, Split
from xgraph.files import make_folder, unwritable
from xgraph.search.cut import Cut, merged
from xgraph.train.evaluate import runner
from xgraph.train.fit import running

Arrays = dict[str, np.ndarray[Any, Any]]
_BATCH = 32
"""Rows that go through the frozen layers at once: more of them leave the cache."""


@final
class Store:
    """The features of some splits, in a folder."""

    def __init__(self, folder: Path, feed: Feed, splits: Sequence[Split]) -> None:
        self._feed = feed
        self._splits = {split.name: split for split in splits}
        self._folders = {split.name: folder / fingerprint(feed, split)[:24] for split in splits}
        self._columns: dict[str, dict[str, Column]] = {
            split.name: {
                target.column: ArrayColumn(split.whole(target.column)) for target in feed.targets
            }
            for split in splits
        }
        self.splits = {
            name: Split.of(name, str(self._folders[name]), columns)
            for name, columns in self._columns.items()
        }
        """With the targets as columns, and all features so far."""

    def make(self, cuts: Iterable[Cut], weights: Arrays) -> None:
        """Have the features of some networks as columns; what is not there is computed in one pass
        over the data."""
        from filelock import FileLock

        cuts = list(cuts)
        for name, split in self._splits.items():
            folder = self._folders[name]
            make_folder(folder)
            with FileLock(folder / ".lock"):
                wanted = [self._missing(cut, folder) for cut in cuts]
                if any(cut.features for cut in wanted):
                    self._compute(split, folder, wanted, weights)
            held = self._columns[name]
            for feature in (f for cut in cuts for f in cut.features if f not in held):
                array = _mapped(folder, feature)
                assert array is not None
                held[feature] = ArrayColumn(array)

    def _missing(self, cut: Cut, folder: Path) -> Cut:
        features = {n: v for n, v in cut.features.items() if _mapped(folder, n) is None}
        return Cut(features, cut.digests, cut.rest)

    def _compute(self, split: Split, folder: Path, cuts: list[Cut], weights: Arrays) -> None:
        graph = merged(cuts)
        run = runner(graph, {a: weights[a] for a, _ in graph.params()}, "onnx")
        ports = tuple(port for port in self._feed.ports if port.name in graph.inputs)
        files: dict[str, Any] = {}
        try:
            row = 0
            for inputs, _ in all_batches(Feed(ports, ()), split, _BATCH):
                with running(f"the frozen layers on `{split.name}`", inputs):
                    found = run(inputs)
                for name, value in found.items():
                    if name not in files:
                        files[name] = np.lib.format.open_memmap(
                            _beside(folder, name), "w+", value.dtype,
                            (len(split), *value.shape[1:]),
                        )  # fmt: skip
                    files[name][row : row + len(value)] = value
                row += len(next(iter(found.values())))
            for name, file in files.items():
                file.flush()
                os.replace(_beside(folder, name), _path(folder, name))
        except OSError as error:
            raise unwritable(folder, error, "folder") from None
        finally:
            for name in files:
                _beside(folder, name).unlink(missing_ok=True)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _mapped(folder: Path, name: str) -> np.ndarray[Any, Any] | None:
    """None where it is not there, or not whole."""
    try:
        array: np.ndarray[Any, Any] = np.load(_path(folder, name), mmap_mode="r")
    except (OSError, EOFError, ValueError):
        return None
    return array


def _beside(folder: Path, name: str) -> Path:
    return folder / f"{name}.{os.getpid()}.part"
