"""What the tests of known data sets look at: refusals, listings, and whether a set is whole."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sets import COUNTS, Made

from xgraph.data.known import avmnist

REAL = Path(__file__).parents[2] / ".." / "shared" / "data"
real = [
    pytest.mark.data,
    pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data, which is not there"),
]
NAMES = list(COUNTS)


def listing(folder: Path) -> list[str]:
    """The files in a folder, and its empty folders."""
    paths = [p for p in folder.rglob("*") if p.is_file() or not any(p.iterdir())]
    return sorted(str(path.relative_to(folder)) for path in paths)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in listing(folder)}


def check(out: Path, one: Made) -> None:
    """What was written is what was made."""
    about = json.loads((out / "about.json").read_text("utf-8"))
    assert about["name"] == one.known.name
    assert about["from"].keys() == one.files.keys()
    for split, columns in one.truth.items():
        assert about["splits"][split]["rows"] == len(columns["label"])
        assert sorted(about["splits"][split]["columns"]) == sorted(columns)
        for name, truth in columns.items():
            column = np.load(out / split / f"{name}.npy", mmap_mode="r")
            if name == "wave":
                ends = np.load(out / split / "wave.offsets.npy")
                assert (column.dtype, ends.dtype) == (np.int16, np.int64)
                rows = [column[a:b] for a, b in pairwise(ends)]
                assert all(map(np.array_equal, rows, truth))
                assert len(rows) == len(truth)
            else:
                assert column.dtype == (np.uint8 if name == "image" else np.int64)
                assert np.array_equal(column, truth)


def splits_of(out: Path, name: str) -> dict[str, Any]:
    return {s: np.load(out / s / f"{name}.npy", mmap_mode="r") for s in ("train", "val", "test")}


def nothing_is_shared(out: Path, take: Any, source: Any) -> None:
    sources = splits_of(out, "source")
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        a, b = sources[one], sources[other]
        assert not set(a[:, 1]) & set(b[:, 1])
        assert not set(a[:, 2]) & set(b[:, 2])
        assert not set(source[a[:, 2]]) & set(source[b[:, 2]])
    assert not set(sources["train"][:, 0]) & set(sources["val"][:, 0])
    for split, (low, high) in avmnist.TAKES.items():
        assert set(take[sources[split][:, 1]]) <= set(range(low, high))
