"""A network ready to be timed."""

from __future__ import annotations

from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Target
from xgraph.optimize.sources import Arrays
from xgraph.samples import sample_inputs
from xgraph.timing import Run


def prepared(low: Graph, weights: Arrays, batch: int, target: Target) -> Run:
    """A run of a tensor-level network on random inputs, which are checked and in place."""
    inputs = sample_inputs(low, batch, 0)
    if target == "torch":
        import torch

        from xgraph.backends.torch import to_module

        module = to_module(low, weights).eval()
        tensors = [torch.from_numpy(inputs[name]) for name in low.inputs]

        def run() -> None:
            with torch.inference_mode():
                module(*tensors)

        return run
    from xgraph.backends.onnx import to_onnx
    from xgraph.runtime import Device, Session

    device: Device = "cuda" if target == "cuda" else "cpu"
    return Session(to_onnx(low, weights).SerializeToString(), device=device).prepared(inputs)
