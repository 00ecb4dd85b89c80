"""ONNX straight from the tensor-level graph: no exporter between, and no PyTorch."""

from xgraph.backends.onnx import layers, sequence, shaping, values
from xgraph.backends.onnx.files import check, check_size, in_memory, save
from xgraph.backends.onnx.model import DEFAULT_OPSET, OPSETS, to_onnx
from xgraph.backends.onnx.registry import RULES, UNSUPPORTED, rule

__all__ = [
    "DEFAULT_OPSET",
    "OPSETS",
    "RULES",
    "UNSUPPORTED",
    "check",
    "check_size",
    "in_memory",
    "layers",
    "rule",
    "save",
    "sequence",
    "shaping",
    "to_onnx",
    "values",
]
