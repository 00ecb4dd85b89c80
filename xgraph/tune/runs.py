"""A network ready to be timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Target
from xgraph.optimize.sources import Arrays
from xgraph.samples import sample_inputs
from xgraph.timing import Run

if TYPE_CHECKING:
    import torch


AT_BEST = "max-autotune-no-cudagraphs"
"""The mode of `torch.compile` on a CPU that makes the fastest code."""


def prepared(
    low: Graph,
    weights: Arrays,
    batch: int,
    target: Target,
    sizes: Mapping[str, int] | None = None,
) -> Run:
    """A run of a tensor-level network on random inputs, which are checked and in place; `sizes`
    are those of open axes."""
    inputs = sample_inputs(low, batch, 0, sizes)
    if target in ("torch", "inductor"):
        import torch

        from xgraph.backends.torch import to_module

        module = to_module(low, weights).eval()
        tensors = [torch.from_numpy(inputs[name]) for name in low.inputs]
        return in_torch(frozen(module, tensors) if target == "inductor" else module, tensors)
    from xgraph.backends.onnx import in_memory, to_onnx
    from xgraph.runtime import Device, Session

    device: Device = "cuda" if target == "cuda" else "cpu"
    return Session(in_memory(to_onnx(low, weights)), device=device).prepared(inputs)


def in_torch(module: Callable[..., Any], tensors: list[torch.Tensor]) -> Run:
    """A run for inference."""
    import torch

    def run() -> Any:
        with torch.inference_mode():
            return module(*tensors)

    return run


def frozen(
    module: torch.nn.Module, tensors: list[torch.Tensor], mode: str = AT_BEST
) -> Callable[..., Any]:
    """The best that `torch.compile` makes of a module for inputs of these shapes, its weights being
    constants that it may lay out as it likes."""
    import torch
    from torch._inductor import config

    made: Callable[..., Any] = torch.compile(module, dynamic=False, mode=mode)
    with config.patch(freezing=True):
        in_torch(made, tensors)()
    return made
