"""A float32 model in 8-bit integers: ONNX Runtime's static quantisation, calibrated on rows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, final

import numpy as np

from xgraph.backends.onnx.emitter import Array
from xgraph.diagnostics import fail

if TYPE_CHECKING:
    import onnx


KEPT = ("InstanceNormalization", "LayerNormalization")
"""What stays float32 besides what the library leaves so: it fails on some, and normalised values
need more than 8 bits."""


def quantized(model: onnx.ModelProto, batches: Sequence[Mapping[str, Array]]) -> onnx.ModelProto:
    """The model with its weights (by channel) and the values between operators in 8 bits, as pairs
    of `QuantizeLinear` and `DequantizeLinear`; their ranges are those that `batches` of inputs
    have. Inputs and outputs stay float32, and `model` as it is.

    `DiagnosticError` where the library cannot quantise it. One message must hold the model.
    """
    import onnx
    from onnxruntime.quantization import (
        QuantFormat,
        QuantType,
        quantize_static,
    )

    given = onnx.ModelProto()
    given.CopyFrom(model)  # the library moves its tensors to a file
    _part_softmax(given.graph)
    with TemporaryDirectory() as folder, _silent():
        path = Path(folder, "model.onnx")
        try:
            quantize_static(
                given, path, _Reader(batches), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                nodes_to_exclude=[n.name for n in given.graph.node if n.op_type in KEPT],
            )  # fmt: skip
        except Exception as error:  # what it raises has no common base
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise fail(
                "cannot-quantise", f"ONNX Runtime could not quantise the model: {reason}",
                origin=model.graph.name, help="write it as fp16 or float32",
            ) from None  # fmt: skip
        made = onnx.load(path)
    made.producer_name, made.producer_version = model.producer_name, model.producer_version
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    return made


@final
class _Reader:
    """Batches as the library asks for them."""

    def __init__(self, batches: Iterable[Mapping[str, Array]]) -> None:
        self._left = iter(batches)

    def get_next(self) -> dict[str, Array] | None:
        batch = next(self._left, None)
        return None if batch is None else dict(batch)


def _part_softmax(graph: onnx.GraphProto) -> None:
    """Write each softmax as the exponential of its logarithm, which stays float32. Between
    quantised values, ONNX Runtime makes softmax an operator of its own (`QLinearSoftmax`), where
    a share of 1 becomes 0."""
    import onnx.helper

    nodes = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "Softmax":
            name = node.output[0]
            node.op_type, node.output[0] = "LogSoftmax", f"{name}/log"
            nodes.append(onnx.helper.make_node("Exp", [f"{name}/log"], [name], f"{name}/Exp"))
    del graph.node[:]
    graph.node.extend(nodes)


@contextmanager
def _silent() -> Iterator[None]:
    """The library advises, through the root logger, what was done already; and its numpy warns of
    values without bound, which show in the error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        logging.disable(before)
