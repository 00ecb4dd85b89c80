"""Every op, by family. The reference, the did-you-mean lists and the completeness tests come
from this table."""

from xgraph.ir.attrs import INITIALISERS
from xgraph.ir.op import OpTable
from xgraph.ops import (
    activation,
    arithmetic,
    boundary,
    convolution,
    dense,
    fusion,
    normalisation,
    pooling,
    routing,
    sequence,
    shaping,
)

FAMILIES = {
    "convolution": convolution.OPS,
    "linear layers": dense.OPS,
    "normalisation": normalisation.OPS,
    "activations": activation.OPS,
    "pooling": pooling.OPS,
    "sequences": sequence.OPS,
    "arithmetic": arithmetic.OPS,
    "shape": shaping.OPS,
    "fusion": fusion.OPS,
    "routers": routing.OPS,
    "boundary": boundary.OPS,
}

OPS = OpTable(*FAMILIES.values())

ROUTERS = tuple(spec.name for spec in routing.OPS)
"""What may stand behind `route`."""

INPUT, ENTER, LEAVE = boundary.OPS

WORDS = frozenset(OPS) | frozenset(INITIALISERS) | frozenset(
    word for op in OPS.values() for attr in op.attrs for word in getattr(attr.kind, "words", ())
)  # fmt: skip
"""Every bare name that an attribute may take."""


def layer_names() -> list[str]:
    """The ops that a chain may hold."""
    return [name for name, op in OPS.items() if not op.hidden and name not in ROUTERS]
