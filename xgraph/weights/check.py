"""Do these weights fit this graph? Every entry that does not is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from xgraph.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from xgraph.ir.graph import Graph
from xgraph.ir.op import Param
from xgraph.weights.initial import Array, Weights

SHOWN = 20
"""How many mistakes are told one by one."""


def check(graph: Graph, weights: Mapping[str, Array], origin: str = "weights") -> Weights:
    """`weights` as a tensor-level graph takes them: floats as float32, counters filled in.

    `DiagnosticError` with one diagnostic for each entry that is missing, unknown, of another
    shape or element type, or not finite. `origin` names where they came from.
    """
    wanted = dict(graph.params())
    ready: Weights = {}
    found = list(_missing(wanted, weights, origin))
    for name, param in wanted.items():
        if name in weights:
            ready[name] = _converted(weights[name], param)
            found += _misfit(param, weights[name], ready[name], f"{origin}: {name}")
        elif param.kind == "counter":
            ready[name] = np.zeros((), np.int64)
    if unknown := [name for name in weights if name not in wanted]:
        found += _unknown(unknown, [n for n in wanted if n not in weights], origin)
    if found:
        raise DiagnosticError(*_capped(found, origin))
    return ready


def _missing(
    wanted: Mapping[str, Param], weights: Mapping[str, Array], origin: str
) -> Iterator[Diagnostic]:
    for name, param in wanted.items():
        if name not in weights and param.kind != "counter":
            yield Diagnostic(
                "missing-weight",
                f"there is no `{name}`, which the network needs in shape {list(param.shape)}",
                origin=f"{origin}: {name}",
            )


def _unknown(unknown: list[str], missing: list[str], origin: str) -> Iterator[Diagnostic]:
    for number, name in enumerate(unknown):
        # Nearness is costly: it is looked for where it is shown, among names that end alike.
        last = name.rpartition(".")[2]
        alike = [other for other in missing if other.rpartition(".")[2] == last][:500]
        yield Diagnostic(
            "unknown-weight",
            f"the network has no `{name}`",
            origin=f"{origin}: {name}",
            help=did_you_mean(name, alike) if number < SHOWN else None,
        )


def _converted(array: Array, param: Param) -> Array:
    """Floats as float32 and a counter as int64, where nothing but the width changes."""
    if param.kind == "counter":
        return array.astype(np.int64, copy=False) if array.dtype.kind in "iu" else array
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def _misfit(param: Param, given: Array, ready: Array, where: str) -> Iterator[Diagnostic]:
    if ready.shape != param.shape:
        told, wanted = list(ready.shape), list(param.shape)
        message = f"its shape is {told}, and the network needs {wanted}"
        yield Diagnostic("misshapen-weight", message, origin=where)
    dtype = np.int64 if param.kind == "counter" else np.float32
    if ready.dtype != dtype:
        message = f"its element type is {given.dtype}, and the network needs {np.dtype(dtype)}"
        yield Diagnostic("bad-weight-dtype", message, origin=where)
    elif not np.isfinite(ready).all():
        yield Diagnostic("not-finite", _infinite(given, ready), origin=where)


def _infinite(given: Array, ready: Array) -> str:
    count = int(np.count_nonzero(~np.isfinite(ready)))
    if np.isfinite(given).all():
        return f"{count} of its {ready.size} numbers are too large for float32"
    return f"{count} of its {ready.size} numbers are infinite or not a number"


def _capped(found: list[Diagnostic], origin: str) -> Iterator[Diagnostic]:
    yield from islice(found, SHOWN)
    if (more := len(found) - SHOWN) > 0:
        message = f"{more} more entr{'y does' if more == 1 else 'ies do'} not fit the network"
        yield Diagnostic("more-misfits", message, origin=origin)
