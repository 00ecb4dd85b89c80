"""The table of trials, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_trials import FAILED, loss, searched, trial
from pyarrow import parquet

from xgraph.diagnostics import DiagnosticError
from xgraph.search.study import Trial
from xgraph.search.table import write_table

FIELDS = ["number", "phase", "encoding", "seed", "search_seed", "score", "params", "macs",
          "seconds", "together", "same_as", "latency", "error"]  # fmt: skip
NOTES = ["iteration", "level", "step", "temperature", "guess"]


def back(trials: list[Trial], path: Path) -> Any:
    write_table(trials, path / "trials.parquet")
    return parquet.read_table(path / "trials.parquet")


def test_rows_are_trials(tmp_path: Path) -> None:
    made = searched()
    table = back(made, tmp_path)
    assert table.column_names == [*FIELDS, "val/loss", "val/accuracy", *NOTES]
    rows = table.to_pylist()
    assert len(rows) == len(made)
    for row, one in zip(rows, made, strict=True):
        assert [row[name] for name in FIELDS] == [getattr(one, name) for name in FIELDS]
        assert row["val/accuracy"] == one.metrics.get("accuracy")
        assert [row[name] for name in NOTES] == [one.notes.get(name) for name in NOTES]
    assert rows[4]["score"] is None
    assert rows[4]["error"] == FAILED
    assert rows[7]["same_as"] == 6


def test_columns_are_of_what_there_is(tmp_path: Path) -> None:
    made = [trial(0, 0.5), loss(trial(1, 0.5), 2.0)]
    assert back(made, tmp_path).column_names == [*FIELDS, "val/loss", "val/accuracy"]
    assert back([trial(0, None)], tmp_path).column_names == FIELDS
    assert back([], tmp_path).num_rows == 0


def test_types_do_not_depend_on_the_trials(tmp_path: Path) -> None:
    some, none = back(searched(), tmp_path).schema, back([], tmp_path).schema
    assert all(some.field(name).type == none.field(name).type for name in FIELDS)


def test_the_same_trials_give_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "trials.parquet"
    back(searched(), tmp_path)
    first = path.read_bytes()
    back(searched(), tmp_path)
    assert path.read_bytes() == first


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError, match="cannot be written"):
        write_table(searched(), tmp_path / "none" / "trials.parquet")
