"""Where costs are kept: one file a machine, in the user's cache; a table that comes with xgraph
serves where nothing was measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import Any, TypeAlias, get_args

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.files import make_folder, read_text, write_whole
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Case, Costs, Joins, Target

Table: TypeAlias = Mapping[Case, tuple[float, float]]

VARIABLE = "XGRAPH_CACHE"
"""The folder, where it is not that of the system."""


_MISTAKES = (AttributeError, KeyError, IndexError, OverflowError, TypeError, ValueError)
"""What reading something else than was written here ends in."""


def _count(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**31:
        raise ValueError(number)
    return number


def _maybe(number: Any) -> int | None:
    return None if number is None else _count(number)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


_CHOSEN: Mapping[str, Callable[[Any], Any]] = {
    "joins": {joins: joins for joins in get_args(Joins)}.__getitem__, "channels_last": _flag,
    "chunk": _maybe, "workers": _count, "threads": _maybe,
}  # fmt: skip
"""What is kept of a choice, and how it is read."""


def folder() -> Path:
    if told := os.environ.get(VARIABLE):
        return Path(told)
    from platformdirs import user_cache_path

    return user_cache_path("xgraph")


def path_of(target: Target) -> Path:
    """Of what was measured on a machine like this."""
    return folder() / f"costs-{target}-{_machine()}.json"


@cache
def _machine() -> str:
    """The processor, as the system names it, and how much of it there is."""
    name = platform.processor() or platform.machine()
    with_model = Path("/proc/cpuinfo")
    if with_model.is_file():
        lines = with_model.read_text(errors="replace").splitlines()
        told = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        name = " ".join(told.get(key, "") for key in ("model name", "cpu family", "model"))
    plain = "".join(c if c.isalnum() else "-" for c in name).strip("-").lower()
    return f"{plain}-{cores()}"


def costs(target: Target, batch: int) -> Costs:
    """For networks that run on so many samples at once. On a GPU of which nothing is known, each
    operation costs most where it is small, so all are joined."""
    found = _read(target)
    joins: Joins = "always" if target == "cuda" and not found["cases"] else "measured"
    return Costs(target, batch, channels_last=target == "inductor", joins=joins, **found)


def kept(low: Graph, target: Target, batch: int) -> Costs | None:
    """What was found to be fastest for this very network, on so many samples at once."""
    path = _choices(target)
    if not path.is_file():
        return None
    try:
        told = _json(read_text(path).text, str(path)).get(_digest(low), {}).get(str(batch))
        found = told and {key: read(told[key]) for key, read in _CHOSEN.items()}
    except _MISTAKES:
        raise _unreadable(str(path)) from None
    return replace(costs(target, batch), **found) if found else None


def keep_choice(low: Graph, chosen: Costs) -> Path:
    """Keep what was found for a network."""
    path = _choices(chosen.target)
    told = _json(read_text(path).text, str(path)) if path.is_file() else {}
    found = {key: getattr(chosen, key) for key in _CHOSEN}
    own = told.setdefault(_digest(low), {})
    if not isinstance(own, dict):
        raise _unreadable(str(path))
    own[str(chosen.batch)] = found
    make_folder(path.parent)
    write_whole(path, json.dumps(told, indent=1, sort_keys=True) + "\n")
    return path


def _choices(target: Target) -> Path:
    return folder() / f"networks-{target}-{_machine()}.json"


def _digest(low: Graph) -> str:
    return sha256(repr(canonical(low)).encode()).hexdigest()


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def known(target: Target) -> Table:
    """The cases measured on this machine."""
    path = path_of(target)
    return _parsed(read_text(path).text, str(path))["cases"] if path.is_file() else {}


def _read(target: Target) -> dict[str, Any]:
    if target == "inductor":  # no case is measured under a compiler: each would take seconds
        target = "torch"
    path = path_of(target)
    if path.is_file():
        return _parsed(read_text(path).text, str(path))
    return _parsed((files("xgraph.tune") / f"{target}.json").read_text(), target)


def _parsed(text: str, origin: str) -> dict[str, Any]:
    told = _json(text, origin)
    try:
        table = {_case(entry): (_time(entry[-2]), _time(entry[-1])) for entry in told["cases"]}
        return {"call": _time(told["call"]), "byte": _time(told["byte"]), "cases": table}
    except _MISTAKES:
        raise _unreadable(origin) from None


def _json(text: str, origin: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable(origin) from None
    if not isinstance(told, dict):
        raise _unreadable(origin)
    return told


def _unreadable(origin: str) -> DiagnosticError:
    return fail(
        "bad-costs", "this file of what was measured cannot be read", origin=origin,
        help="remove it; `xgraph tune` makes another",
    )  # fmt: skip


def _case(entry: list[Any]) -> Case:
    op, count, inputs, outputs, kernel, size, batch = entry[:-2]
    if not isinstance(op, str):
        raise ValueError(op)
    return Case(
        op, _count(count), _count(inputs), _count(outputs), tuple(map(_count, kernel)),
        tuple(map(_count, size)), _count(batch),
    )  # fmt: skip


def _time(seconds: Any) -> float:
    if not 0 <= float(seconds) < inf:
        raise ValueError(seconds)
    return float(seconds)


def keep(target: Target, call: float, byte: float, cases: Table) -> Path:
    """Write what was measured, in place of what was."""
    path = path_of(target)
    make_folder(path.parent)
    lines = ",\n".join(f"  {json.dumps(_entry(case, times))}" for case, times in _sorted(cases))
    write_whole(
        path,
        f'{{"call": {call:.3g}, "byte": {byte:.3g}, "cases": [\n{lines}\n]}}\n',
    )
    return path


def _sorted(cases: Table) -> Iterable[tuple[Case, tuple[float, float]]]:
    return sorted(cases.items())


def _entry(case: Case, times: tuple[float, float]) -> list[Any]:
    shape = [case.op, case.count, case.inputs, case.outputs, case.kernel, case.size, case.batch]
    return [*shape, *(float(f"{seconds:.3g}") for seconds in times)]
