"""A batch in chunks on a CPU: what layers hand on stays in the cache, and several chunks can run at
once, each on a thread of its own that waits for no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from xgraph.diagnostics import fail
from xgraph.given import integer
from xgraph.runtime.providers import Device
from xgraph.runtime.shapes import Array, Signature, batch_of

MOST = 256
"""Threads, and chunks at once: with thousands, a session waits for minutes."""
Run: TypeAlias = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@final
@dataclass(frozen=True)
class Plan:
    """How a batch is run on a CPU: `threads` for each operation (None: as many as there are
    cores), `workers` chunks at once, and chunks of so many samples (None: shares of the batch, one
    for each worker)."""

    threads: int | None = None
    workers: int = 1
    chunk: int | None = None

    @property
    def parts(self) -> bool:
        """Whether it parts the batch."""
        return self.workers > 1 or self.chunk is not None

    def size(self, batch: int) -> int:
        """Of a chunk of this batch."""
        share = -(-batch // self.workers)
        return share if self.chunk is None else min(self.chunk, share)


def plan_of(
    device: Device, threads: int | None, workers: int | None, chunk: int | None
) -> Plan | None:
    """The plan that options make, if there are any."""
    asked = {"threads": threads, "workers": workers, "chunk": chunk}
    given = {
        name: integer(name, value, least=1) for name, value in asked.items() if value is not None
    }
    for name in given.keys() - {"chunk"}:
        if given[name] > MOST:
            raise fail("bad-option", f"`{name}` is {MOST} or less, not {given[name]}")
    plan = Plan(**given)
    if device != "cpu" and plan.parts:
        told = "a batch runs in parts on `cpu`"
        raise fail("bad-option", told, help=f"leave `workers` and `chunk` out on `{device}`")
    return plan if given else None


@final
class Chunks:
    """Runs batches by a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pool = ThreadPoolExecutor(plan.workers) if plan.workers > 1 else None

    def run(self, one: Run, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of all chunks, one behind the other. Every input has the batch first."""
        if not self._plan.parts:
            return dict(one(inputs))
        batch = len(next(iter(inputs.values())))
        size = self._plan.size(batch)
        if size >= batch:
            return dict(one(inputs))
        parts = list(_parts(inputs, batch, size))
        found = list(self._pool.map(one, parts)) if self._pool else [one(part) for part in parts]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _parts(inputs: Mapping[str, Array], batch: int, size: int) -> Iterator[dict[str, Array]]:
    for first in range(0, batch, size):
        yield {name: array[first : first + size] for name, array in inputs.items()}


def can_chunk(inputs: Signature, outputs: Signature) -> bool:
    """Whether the batch is the first axis of all, and no other axis of an output."""
    batch = batch_of(inputs)
    return batch is not None and all(
        dims[:1] == (batch,) and not {batch, "?"} & {*dims[1:]}
        for _, dims in (*inputs.values(), *outputs.values())
    )


def told_plan(metadata: Mapping[str, str]) -> Plan:
    """How a model says that it is best run; nonsense is nothing."""
    found = {}
    for key in ("threads", "workers", "chunk"):
        told = metadata.get(f"xgraph.{key}", "")
        if told.isdecimal() and len(told) < 10 and int(told):
            found[key] = int(told)
    threads, workers, chunk = found.get("threads"), found.get("workers", 1), found.get("chunk")
    here = os.cpu_count() or 1  # the model may come from a larger machine
    return Plan(None if threads is None else min(threads, here), min(workers, here), chunk)
