"""Runs ONNX models with ONNX Runtime, and checks what is given to any model as input.

ONNX Runtime falls back to the CPU with no more than a printed line when it cannot have the GPU.
A `Session` runs where it was asked to, or says why it cannot.
"""

from xgraph.runtime.chunks import Plan
from xgraph.runtime.inputs import check_inputs
from xgraph.runtime.placement import Placement
from xgraph.runtime.providers import Device
from xgraph.runtime.session import Session
from xgraph.runtime.shapes import Array, Signature, signature

__all__ = [
    "Array",
    "Device",
    "Placement",
    "Plan",
    "Session",
    "Signature",
    "check_inputs",
    "signature",
]
