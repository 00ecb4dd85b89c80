"""Data sets: columns of rows by split, from any of the usual places, checked against a network."""

from xgraph.data.choose import chosen, folds, held_out, one_group_out
from xgraph.data.source import Data, open_data
from xgraph.data.split import ArrayColumn, Column, RaggedColumn, Split

__all__ = [
    "ArrayColumn", "Column", "Data", "RaggedColumn", "Split", "chosen", "folds", "held_out",
    "one_group_out", "open_data",
]  # fmt: skip
