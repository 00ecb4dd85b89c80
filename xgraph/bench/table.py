"""Rows run in turns, and the table of their times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

from xgraph.bench.rows import EAGER, ROWS, Case, Made
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.ir.types import Expr
from xgraph.optimize.sources import Arrays
from xgraph.report import live_cost
from xgraph.timing import interleaved

if TYPE_CHECKING:
    from xgraph.runtime import Device

_PRODUCT = {"cpu": 1536, "cuda": 8192}
"""Rows and columns of the matrices by whose product the machine's rate is told."""
_LONGEST = 120
"""Characters of what another tool says for itself."""


@final
@dataclass(frozen=True)
class Figure:
    """One row at one batch."""

    batch: int
    row: str
    seconds: float | None
    """The median; None where it cannot run."""
    speed: float | None
    """As a multiple of PyTorch's, as the network is written."""
    note: str
    """How it runs, or why it does not."""
    rate: float | None
    """Floating-point operations a second, of those that the network as written takes; None where
    open axes leave them unknown."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def figures(
    low: Graph,
    weights: Arrays,
    batches: Iterable[int],
    rows: Iterable[str],
    seconds: float,
    device: Device = "cpu",
    observe: Callable[[int, str], None] | None = None,
) -> Iterator[list[Figure]]:
    """Of a tensor-level network, batch by batch; each row is timed for about so many seconds.
    `observe` is told of the batch and the row that is made ready."""
    chosen = dict.fromkeys((EAGER, *rows))
    macs = live_cost(low).macs
    for batch in batches:
        case = Case(low, weights, batch, device)
        made = {}
        for label in chosen:
            if observe is not None:
                observe(batch, label)
            made[label] = _made(label, case)
        runs = {label: one.run for label, one in made.items() if isinstance(one, Made)}
        times = interleaved(runs, seconds * len(runs))
        work = None if isinstance(macs, Expr) else 2 * macs * batch
        found: list[Figure] = []
        for label, one in made.items():
            if isinstance(one, str):
                found.append(Figure(batch, label, None, None, one, None))
                continue
            each = times[label]
            rate = work and work / each
            found.append(Figure(batch, label, each, times[EAGER] / each, one.note, rate))
        yield found


def _made(label: str, case: Case) -> Made | str:
    """A row, or why it cannot run here."""
    row = ROWS[label]
    try:
        made = row.make(case)
        made.run()
        return made
    except DiagnosticError as error:
        if label == EAGER:
            raise
        return error.diagnostics[0].message
    except Exception as error:  # of any kind: the tool's own
        if not row.is_foreign:
            raise
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."


def peak(device: Device = "cpu") -> float:
    """Floating-point operations a second of a large product of float32 matrices in PyTorch, without
    TF32, the best of several."""
    import torch

    size = _PRODUCT[device]
    a = torch.rand(size, size, device=device)
    best = float("inf")
    for _ in range(24):
        start = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def table(found: Iterable[Figure], peak: float) -> str:
    """As Markdown."""
    lines = ["| batch | run by | ms | speed | of peak |", "|---:|---|---:|---:|---:|"]
    for one in found:
        told = f"{one.row} ({one.note})" if one.note else one.row
        if one.seconds is None or one.speed is None:
            lines.append(f"| {one.batch} | {one.row}: {one.note} | - | - | - |")
            continue
        share = "" if one.rate is None else f"{one.rate / peak:.0%}"
        lines.append(
            f"| {one.batch} | {told} | {one.seconds * 1e3:.2f} | {one.speed:.2f} | {share} |"
        )
    return "\n".join(lines)
