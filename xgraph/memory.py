"""How long values live while a network runs, and how much room they take at most.

A value is written by its node and lives until the last node that reads it has run. Values share a
buffer where nothing need be moved: a reshape reads what is there as another shape, and an
element-wise op writes over an input that nothing reads later. Inputs belong to the caller: they
stay, and are not written over. Parameters, and what a kernel needs for itself, are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import final

from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.types import BATCH, Dim, DType, Expr, Monomial, divide, evaluate, product, symbol
from xgraph.ops.common import ELEMENTWISE, axis_index

VIEWS = frozenset({"reshape", "identity", "dropout", "each_out"})
"""Ops that move nothing when a network is used."""
IN_PLACE = ELEMENTWISE | {"prelu", "bn", "mask"}
"""Ops whose outputs depend, number by number, on the numbers at the same place."""
_BYTES = {DType.F32: 4, DType.I64: 8, DType.BOOL: 1}


@final
@dataclass
class Buffer:
    """Room for a value and for those that take it over, from the step at which the first is written
    to the one after which none is read. Steps count the nodes of `Graph.live`; what is there when
    all have run is read by one more."""

    values: list[Value]
    first: int
    last: int

    @property
    def bytes(self) -> Dim:
        """Of one sample; nothing for a parameter."""
        return bytes_of(self.values[0])


@final
@dataclass(frozen=True)
class Peak:
    """What activations take at some time, for one sample."""

    bytes: Dim
    address: str
    """The node that runs then."""
    buffers: tuple[Buffer, ...] = field(repr=False)
    """What lives then."""

    @property
    def told(self) -> str:
        """The bytes, as a person reads them."""
        return f"{self.bytes} bytes" if isinstance(self.bytes, Expr) else _spelt(self.bytes)


def _spelt(count: int) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def bytes_of(value: Value) -> Dim:
    """What a value takes for one sample; nothing where it is a parameter."""
    if value.node.op.name == "parameter":
        return 0
    batch, *features = value.type.shape
    per_sample = divide(batch, symbol(BATCH))
    dims = [batch if per_sample is None else per_sample, *features]
    return product(map(_plain, dims)) * _BYTES[value.type.dtype]


def _plain(dim: Dim) -> Dim:
    return dim if isinstance(dim, Expr) else int(dim)


def buffers(graph: Graph) -> list[Buffer]:
    """The buffers of a tensor-level graph, in the order in which they are first written."""
    order = graph.live()
    last = _last_reads(graph, order)
    found: list[Buffer] = []
    of: dict[Value, Buffer] = {}
    for step, node in enumerate(order):
        for value in node.outputs:
            shared = _shared(node, value, step, of)
            if shared is not None:
                shared.values.append(value)
                shared.last = max(shared.last, last[value])
                of[value] = shared
                continue
            given = node.op.name in ("input", "parameter")
            stays = len(order) if given else last[value]
            of[value] = Buffer([value], 0 if given else step, stays)
            found.append(of[value])
    return sorted(found, key=lambda buffer: buffer.first)


def _last_reads(graph: Graph, order: list[Node]) -> dict[Value, int]:
    """The step of the last reader of each value: its own where none reads it, and one after all for
    outputs."""
    last: dict[Value, int] = {}
    for step, node in enumerate(order):
        last.update(dict.fromkeys((*node.outputs, *node.inputs), step))
    return last | dict.fromkeys(graph.outputs.values(), len(order))


def _shared(node: Node, value: Value, step: int, of: Mapping[Value, Buffer]) -> Buffer | None:
    """The buffer of an input that an output takes over."""
    if _is_view(node):
        return of[node.inputs[0]]
    if node.op.name not in IN_PLACE:
        return None
    for read in node.inputs:
        buffer = of[read]
        same = read.type.shape == value.type.shape and read.type.dtype == value.type.dtype
        if buffer.last <= step and same:
            return buffer
    return None


def _is_view(node: Node) -> bool:
    """Whether a node gives its input in another shape; an axis folded into the batch moves nothing
    where it is the first."""
    if node.op.name == "each_in":
        return axis_index("each", node.resolved.axis, node.inputs[0].type) == 0
    return node.op.name in VIEWS


def peaks(graph: Graph, sizes: Mapping[str, int] | None = None) -> list[Peak]:
    """The most that the activations of a tensor-level graph take at one time.

    One, where all sizes are known or `sizes` tells them (`KeyError` where it lacks one). Else as
    many as may be the largest, by how long open axes are; none takes more at any size.
    """
    order, made = graph.live(), buffers(graph)
    dims = [buffer.bytes for buffer in made]
    if sizes is not None:
        dims = [evaluate(dim, sizes) for dim in dims]
    changes: list[Dim] = [0] * (len(order) + 2)
    written = set()
    for buffer, dim in zip(made, dims, strict=True):
        changes[buffer.first] = changes[buffer.first] + dim
        changes[buffer.last + 1] = changes[buffer.last + 1] - dim
        written.add(buffer.first)
    front: list[tuple[int, Dim]] = []
    for step, live in enumerate(accumulate(changes[: len(order)])):
        if step in written and not any(_covers(most, live) for _, most in front):
            front = [(at, most) for at, most in front if not _covers(live, most)]
            front.append((step, live))
    return [
        Peak(most, order[at].name, tuple(b for b in made if b.first <= at <= b.last))
        for at, most in _largest(front)
    ]


def _largest(front: list[tuple[int, Dim]]) -> list[tuple[int, Dim]]:
    """Those that are the largest at some size, where all are of the form `a*T + b`."""
    symbols = {name for _, most in front if isinstance(most, Expr) for name in most.symbols}
    lines: list[dict[Monomial, int]] = [
        dict(most.terms) if isinstance(most, Expr) else {(): most} for _, most in front
    ]
    slope, start = tuple(symbols), ()
    if len(symbols) != 1 or any(line.keys() - {slope, start} for line in lines):
        return front
    pairs = [(line.get(slope, 0), line.get(start, 0)) for line in lines]
    sizes = {1}  # and where one begins to be larger than another
    sizes |= {(d - b) // (a - c) + 1 for a, b in pairs for c, d in pairs if a > c and d >= b}
    best = {max(range(len(pairs)), key=lambda i: pairs[i][0] * t + pairs[i][1]) for t in sizes}
    return [front[i] for i in sorted(best)]


def _covers(a: Dim, b: Dim) -> bool:
    """Whether `a` is at least `b` whatever the symbols are, which stand for 1 or more. Where that
    is not plain, it is taken not to be."""
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return a >= b
    rest = a - b
    if not isinstance(rest, Expr):
        return rest >= 0
    below = [monomial for monomial, factor in rest.terms if factor < 0]
    plain = all(isinstance(atom, str) for monomial, _ in rest.terms for atom in monomial)
    return not below or (below == [()] and plain and sum(c for _, c in rest.terms) >= 0)
