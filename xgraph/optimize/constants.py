"""`fold-constants`: what is computed of parameters alone is a parameter.

On the way back a parameter gets all its numbers from what was made of it. So operations that lose
some (softmax, sums) are folded where nothing else is made of their parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from math import prod
from typing import Any, final

from xgraph.ir.graph import Node
from xgraph.optimize.network import Optimized
from xgraph.optimize.rewrite import Expression, New, Rewriter, Rules, rewrite
from xgraph.optimize.sources import Held, Joined, Source
from xgraph.optimize.views import (
    FUNCTIONS,
    Mapped,
    Reshaped,
    Sliced,
    Softmax,
    Sum,
    Transposed,
    affine,
    is_moderate,
)

LARGEST = 2**18
"""A parameter of more numbers than these is made only where it is no larger than what it is of."""


def fold_constants(network: Optimized) -> Optimized:
    """Compute at compile time what no input changes."""
    return rewrite(network, _Folder(network).rules())


@final
class _Folder:
    def __init__(self, network: Optimized) -> None:
        self._held = network.sources
        self._uses = Counter(a for s in network.sources.values() for a in _addresses(s))
        """How often a parameter of the network as it was written is made use of."""

    def rules(self) -> Rules:
        return dict.fromkeys((*_KEEPING, *_LOSING), (self._folded,))

    def _folded(self, rewriter: Rewriter, node: Node) -> Expression | None:
        name, inputs = node.op.name, node.inputs
        if any(v.node.op.name != "parameter" for v in inputs):
            return None
        shapes = [value.type.sizes for value in (*inputs, node.output)]
        if prod(shapes[-1]) > max(LARGEST, sum(map(prod, shapes[:-1]))):
            return None
        sources = [rewriter.sources(v.node)["weight"] for v in inputs]
        if name in _KEEPING and not (name == "scale" and node.resolved.offset):
            made = _KEEPING[name](node, sources, shapes)
        elif all(map(rewriter.is_sole, inputs)) and all(map(self._is_sole, sources)):
            made = (_KEEPING | _LOSING)[name](node, sources, shapes)
        else:
            made = None
        if made is None:
            return None
        return New("parameter", (), {"shape": shapes[-1]}, {"weight": made})

    def _is_sole(self, source: Source) -> bool:
        """Whether it is a parameter of the network as it was written, used once and as a whole."""
        while isinstance(source, Reshaped | Transposed):
            source = source.source
        if not isinstance(source, Held):
            return False
        was = self._held[source.address]
        return isinstance(was, Held) and self._uses[was.address] == 1


def _addresses(part: Any) -> Iterator[str]:
    """The parameters that something is made of."""
    if isinstance(part, Held):
        yield part.address
    elif isinstance(part, tuple):
        for each in part:
            yield from _addresses(each)
    elif is_dataclass(part):
        for each in fields(part):
            yield from _addresses(getattr(part, each.name))


# ------------------------------------------------------------------------------------- op by op

_Shapes = list[tuple[int, ...]]
_Made = Callable[[Node, list[Source], _Shapes], Source | None]


def _slice(node: Node, sources: list[Source], shapes: _Shapes) -> Source:
    attrs = node.resolved
    start, stop, _ = slice(attrs.start, attrs.stop).indices(shapes[0][attrs.axis])
    return Sliced(sources[0], attrs.axis, start, stop)


def _concat(node: Node, sources: list[Source], shapes: _Shapes) -> Source:
    axis = node.resolved.axis
    return Joined(tuple(sources), tuple(shape[axis] for shape in shapes[:-1]), axis)


def _scale(node: Node, sources: list[Source], shapes: _Shapes) -> Source | None:
    attrs = node.resolved
    scaled = affine(sources[0], attrs.factor, attrs.offset)
    return scaled if is_moderate(scaled) else None


def _add(node: Node, sources: list[Source], shapes: _Shapes) -> Source | None:
    return Sum(tuple(sources)) if len(set(shapes)) == 1 else None


_KEEPING: dict[str, _Made] = {
    "reshape": lambda node, sources, shapes: Reshaped(sources[0], *shapes),
    "transpose": lambda node, sources, shapes: Transposed(sources[0], tuple(node.resolved.order)),
    "slice": _slice,
    "concat": _concat,
    "scale": _scale,
}
"""What each number can be told from again."""

_LOSING: dict[str, _Made] = {
    **{name: lambda node, sources, shapes: Mapped(sources[0], node.op.name) for name in FUNCTIONS},
    "softmax": lambda node, sources, shapes: Softmax(sources[0], node.resolved.axis),
    "add": _add,
}
"""Where there are some numbers that give what was made."""
