"""Every op, by family. The reference, the did-you-mean lists and the completeness tests come
from this table."""

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
