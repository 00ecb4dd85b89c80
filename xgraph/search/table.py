"""The trials of a search as a table, one row a trial: trials.parquet."""

from __future__ import annotations

from collections.abc import Sequence

from xgraph.files import FilePath, write_whole
from xgraph.search.study import Trial

NOTES = {
    "iteration": "int64",
    "level": "int64",
    "step": "int64",
    "temperature": "float64",
    "guess": "float64",
}
"""What a strategy knew when it asked, and its type; there is a column where any trial has it."""
_FIELDS = {
    "number": "int64",
    "phase": "string",
    "encoding": "string",
    "seed": "int64",
    "search_seed": "int64",
    "score": "float64",
    "params": "int64",
    "macs": "int64",
    "seconds": "float64",
    "together": "int64",
    "same_as": "int64",
    "latency": "float64",
    "error": "string",
}


def write_table(trials: Sequence[Trial], path: FilePath) -> None:
    """A Parquet file: what a trial is, `val/METRIC` for all that was measured, and its notes."""
    import pyarrow as pa
    from pyarrow import parquet

    metrics = dict.fromkeys(name for trial in trials for name in trial.metrics)
    columns = {
        name: pa.array([getattr(trial, name) for trial in trials], kind)
        for name, kind in _FIELDS.items()
    }
    columns |= {
        f"val/{name}": pa.array([trial.metrics.get(name) for trial in trials], "float64")
        for name in metrics
    }
    columns |= {
        name: pa.array([trial.notes.get(name) for trial in trials], kind)
        for name, kind in NOTES.items()
        if any(name in trial.notes for trial in trials)
    }
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink)
    write_whole(path, sink.getvalue().to_pybytes())
