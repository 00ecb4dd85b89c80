"""Data sets that are known by name: where they are, how they are checked, read and written."""

from __future__ import annotations

from xgraph.data.known.avmnist import make_avmnist
from xgraph.data.known.get import get
from xgraph.data.known.record import Known
from xgraph.data.known.sets import KNOWN

__all__ = ["KNOWN", "Known", "get", "make_avmnist"]
