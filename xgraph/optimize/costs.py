"""What joining saves: how long layers of parallel paths take joined and apart, as measured.

What wins differs by machine, backend, shape and batch, and by factors of ten either way: in ONNX
Runtime on a CPU, a convolution of groups of three channels takes ten times as long as its groups
apart; in PyTorch, one call for four small ones takes a third of the time. So no rule is written
here: of cases measured (`xgraph tune`), the nearest decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, log2, prod
from typing import Literal, TypeAlias, final

from xgraph.ir.graph import Node

Target: TypeAlias = Literal["onnx", "torch", "inductor", "cuda"]
"""What runs the network: ONNX Runtime, PyTorch, or PyTorch under `torch.compile` on a CPU, or one
of them on a GPU."""

Joins: TypeAlias = Literal["measured", "always", "never"]
"""Whether layers of parallel paths become one: where cases say that it pays, or whatever they say.
"""

_ALIGNED = 16
"""Channels of a group that fill the vectors of a processor."""
_FAR = 8.0
"""How far apart two cases are of which one is aligned: a factor of this many doublings."""


@final
@dataclass(frozen=True, order=True)
class Case:
    """Layers of one shape, each on a value of its own, that could be one layer."""

    op: str
    count: int
    inputs: int
    """Channels, or features, that each reads."""
    outputs: int
    kernel: tuple[int, ...]
    """Empty for linear layers, as is `size`."""
    size: tuple[int, ...]
    """Of an output, without channels."""
    batch: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        each = self.inputs * self.outputs * prod(self.kernel) * prod(self.size)
        return each * self.count * self.batch

    def distance(self, other: Case) -> float:
        """In doublings."""
        pairs = (
            (self.count, other.count), (self.inputs, other.inputs), (self.outputs, other.outputs),
            (prod(self.kernel), prod(other.kernel)), (prod(self.size), prod(other.size)),
            (self.batch, other.batch),
        )  # fmt: skip
        return _FAR * (self._is_aligned != other._is_aligned) + sum(
            abs(log2(a / b)) for a, b in pairs
        )

    @property
    def _is_aligned(self) -> bool:
        return self.inputs % _ALIGNED == 0 and self.outputs % _ALIGNED == 0


def case_of(nodes: Iterable[Node], batch: int) -> Case:
    """Convolutions, or linear layers on vectors, of known sizes."""
    first, *others = nodes
    if first.op.name == "conv":
        kernel: tuple[int, ...] = tuple(first.params[0].shape[2:])
        size = first.output.type.sizes[1:]
    else:
        kernel = size = ()
    outputs, inputs = first.params[0].shape[:2]
    return Case(first.op.name, 1 + len(others), inputs, outputs, kernel, size, batch)


@final
@dataclass(frozen=True)
class Costs:
    """Of one machine, for one target and one batch; times are in seconds."""

    target: Target = "onnx"
    batch: int = 1
    call: float = 3e-6
    """Of one operation, beside its work."""
    byte: float = 1e-10
    """Of bringing a byte to another place."""
    chunk: int | None = None
    """The samples that run at a time; None for all."""
    workers: int = 1
    """The chunks that run at once in ONNX Runtime on a CPU."""
    threads: int | None = None
    """The threads of one operation there; None for all cores."""
    channels_last: bool = False
    """Whether PyTorch is to have channels last, as `torch.compile` would choose for itself."""
    joins: Joins = "measured"
    cases: Mapping[Case, tuple[float, float]] = field(default_factory=dict, hash=False)
    """The times of each, joined and apart."""
    observe: Callable[[Case], None] | None = None
    """Told of each case that is to be decided."""
    _known: dict[Case, float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def told(self) -> str:
        """What was chosen, in words."""
        parts = {"always": "all joined", "never": "none joined", "measured": ""}[self.joins]
        found = [
            parts, "channels last" if self.channels_last else "",
            f"{self.workers} at once" if self.workers > 1 else "",
            f"chunks of {self.chunk}" if self.chunk else "",
            f"{self.threads} thread{'s' * (self.threads > 1)}" if self.threads else "",
        ]  # fmt: skip
        return ", ".join(part for part in found if part)

    def copy(self, numbers: int) -> float:
        """Of a copy of so many numbers of each sample."""
        return self.call + 4 * numbers * self.batch * self.byte

    def saved(self, nodes: Iterable[Node]) -> float:
        """By making one of these layers, if nothing need be copied for it; less than 0 where that
        takes longer."""
        case = case_of(nodes, self.batch)
        if self.observe is not None:
            self.observe(case)
        if self.joins == "always":
            return inf
        if case not in self._known:
            self._known[case] = self._saved(case)
        return self._known[case]

    def _saved(self, case: Case) -> float:
        alike = [other for other in self.cases if other.op == case.op]
        if not alike:
            return (case.count - 1) * self.call
        nearest = min(alike, key=lambda other: (case.distance(other), other))
        joined, apart = self.cases[nearest]
        return (apart - joined) * case.macs / nearest.macs
