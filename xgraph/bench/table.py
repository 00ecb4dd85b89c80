"""Rows run in turns, and the table of their times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

from xgraph.bench.rows import EAGER, ROWS, Case, Made
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.ir.types import evaluate
from xgraph.optimize.sources import Arrays
from xgraph.report import live_cost
from xgraph.runtime.errors import measuring
from xgraph.samples import sizes_at
from xgraph.timing import Run, interleaved
from xgraph.tune.measure import product
from xgraph.tune.store import cores

if TYPE_CHECKING:
    from xgraph.runtime import Device

_ROUNDS = 3
"""So many times is each row made and timed: where its memory comes to lie moves it by some
hundredths for as long as it lives."""
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
    spread: float | None
    """How far apart the medians of the rounds are, as a share of `seconds`."""
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
    sizes: Mapping[str, int] | None = None,
    observe: Callable[[int, str], None] | None = None,
) -> Iterator[list[Figure]]:
    """Of a tensor-level network, batch by batch; each row is timed for about so many seconds.
    `sizes` are those of open axes. `observe` is told of the batch and the row that is made ready.
    `DiagnosticError` where a batch does not fit in memory."""
    chosen = dict.fromkeys((EAGER, *rows))
    macs = live_cost(low).macs
    for batch in batches:
        known = sizes_at(low, batch, sizes)
        work = 2 * evaluate(macs, known) * batch
        case = Case(low, weights, batch, device, known)
        rounds: dict[str, list[float]] = {label: [] for label in chosen}
        made: dict[str, Made | str] = {}
        for _ in range(_ROUNDS):
            made = {label: one for label, one in made.items() if _lasts(label, one)}
            for label in chosen:
                if label not in made:
                    if observe is not None:
                        observe(batch, label)
                    made[label] = _made(label, case)
            runs = {label: one.run for label, one in made.items() if isinstance(one, Made)}
            with measuring(batch, low.name):
                took = interleaved(runs, seconds / _ROUNDS * len(runs))
            for label, each in took.items():
                rounds[label].append(each)
        eager = statistics.median(rounds[EAGER])
        yield [_figure(batch, label, made[label], rounds[label], eager, work) for label in chosen]


def _lasts(label: str, made: Made | str) -> bool:
    """Whether a row is not made anew for the next round."""
    return isinstance(made, str) or ROWS[label].is_slow


def _figure(
    batch: int, label: str, made: Made | str, times: list[float], eager: float, work: int | None
) -> Figure:
    if isinstance(made, str):
        return Figure(batch, label, None, None, None, made, None)
    seconds = statistics.median(times)
    spread = (max(times) - min(times)) / seconds
    return Figure(
        batch, label, seconds, spread, eager / seconds, made.note, work and work / seconds
    )


def _made(label: str, case: Case) -> Made | str:
    """A row, or why it cannot run here."""
    row = ROWS[label]
    try:
        with measuring(case.batch, case.low.name):
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


def threads() -> dict[str, int]:
    """Of one operation on a CPU, by what runs it."""
    import torch

    return {"PyTorch": torch.get_num_threads(), "ONNX Runtime": cores()}


def peak(device: Device = "cpu") -> float:
    """Floating-point operations a second of a large product of float32 matrices, without TF32, the
    best of several: of PyTorch and, on a CPU, of ONNX Runtime, which has other kernels."""
    import torch

    size = _PRODUCT[device]
    a = torch.rand(size, size, device=device)

    def multiply() -> None:
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()

    runs: list[Run] = [multiply]
    if device == "cpu":
        runs.append(product(size, "onnx"))
    best = float("inf")
    for run in runs:
        for _ in range(24):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def table(found: Iterable[Figure], peak: float) -> str:
    """As Markdown."""
    lines = ["| batch | run by | ms | spread | speed | of peak |", "|---:|---|---:|---:|---:|---:|"]
    for one in found:
        told = f"{one.row} ({one.note})" if one.note else one.row
        if one.seconds is None or one.speed is None:
            lines.append(f"| {one.batch} | {one.row}: {one.note} | - | - | - | - |")
            continue
        share = "" if one.rate is None else f"{one.rate / peak:.0%}"
        lines.append(
            f"| {one.batch} | {told} | {one.seconds * 1e3:.2f} | {one.spread:.0%} |"
            f" {one.speed:.2f} | {share} |"
        )
    return "\n".join(lines)
