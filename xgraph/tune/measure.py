"""How long cases take here: each is a network, joined and apart, run in turns."""

from __future__ import annotations

from math import prod

from xgraph.build import build_source
from xgraph.ir.verify import verify_or_raise
from xgraph.optimize.costs import Case, Target
from xgraph.passes import lower
from xgraph.source import Source
from xgraph.timing import Run, interleaved
from xgraph.tune.runs import prepared
from xgraph.weights import initialise

_SECONDS = 0.15
"""Of a measurement."""
_MANY = 64
"""Operations by whose number the time of one call is told."""


def time_case(case: Case, target: Target) -> tuple[float, float]:
    """The seconds of a case, joined and apart."""
    runs = {
        "joined": _prepared(joined(case), case.batch, target),
        "apart": _prepared(apart(case), case.batch, target),
    }
    found = interleaved(runs, _SECONDS)
    return found["joined"], found["apart"]


def time_call(target: Target) -> float:
    """The seconds of an operation that has next to nothing to do."""
    runs = {
        "few": _prepared(_text("few", [8], " -> ".join(["tanh", "scale(0.5)"])), 1, target),
        "many": _prepared(
            _text("many", [8], " -> ".join(["tanh", "scale(0.5)"] * _MANY)), 1, target
        ),
    }
    found = interleaved(runs, _SECONDS)
    return max(0.0, found["many"] - found["few"]) / (2 * _MANY - 2)


def time_byte(target: Target) -> float:
    """The seconds of bringing a byte to another place."""
    size = 2**18
    parts = [f"modality m{i}: [{size}]" for i in range(4)]
    names = ", ".join(f"m{i}" for i in range(4))
    text = "\n".join(["network copy", *parts, f"output y = concat({names})"])
    found = interleaved({"copy": _prepared(text, 1, target)}, _SECONDS)
    return found["copy"] / (4 * 4 * size)


def product(size: int, target: Target) -> Run:
    """Of two matrices of that many rows and columns."""
    return _prepared(_text("product", [size], f"linear({size}, bias=false)"), size, target)


def joined(case: Case) -> str:
    """The `.xg` of layers as one: of as many groups, or of a matrix of blocks."""
    return _text("joined", _shape(case, case.count), _layer(case, case.count))


def apart(case: Case) -> str:
    parts = [_part(str(i), _shape(case, 1), _layer(case, 1)) for i in range(case.count)]
    return "\n".join(["network apart", *parts])


def _text(name: str, shape: list[int], body: str) -> str:
    return f"network {name}\n{_part('', shape, body)}"


def _part(index: str, shape: list[int], body: str) -> str:
    return (
        f"modality m{index}: {shape}\nsuperlayer s{index}(m{index}) {{ {body} }}\n"
        f"output y{index} = s{index}"
    )


def _shape(case: Case, count: int) -> list[int]:
    return [count * case.inputs, *case.size]


def _layer(case: Case, count: int) -> str:
    """With what follows in a network, so that what one layer leaves in a layout that the next
    cannot take pays for it."""
    if case.op == "linear":
        return f"linear({count * case.outputs}) -> relu"
    kernel = f"[{', '.join(map(str, case.kernel))}]"
    pool = " -> maxpool(2)" if min(case.size, default=0) > 1 else ""
    return (
        f"conv({count * case.outputs}, {kernel}, groups = {count}) -> relu{pool} -> globalavgpool"
    )


def _prepared(text: str, batch: int, target: Target) -> Run:
    low = lower(build_source(Source("<case>", text)))
    verify_or_raise(low, "lower")
    return prepared(low, initialise(low, 0), batch, target)


def is_small(case: Case) -> bool:
    """Whether what it computes on fits in memory by far."""
    return case.batch * case.count * max(case.inputs, case.outputs) * prod(case.size) < 2**26
