"""Networks run: as modules, and as models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from xgraph.diagnostics import Report, fail
from xgraph.driver.extras import Device, require, require_device
from xgraph.driver.networks import Network, Settings, as_graph, tensor_graph
from xgraph.driver.optimizing import optimized
from xgraph.driver.weights import Arrays, Weights, initial_weights
from xgraph.ir.graph import Graph

if TYPE_CHECKING:
    import torch

    from xgraph.runtime import Session

Backend = Literal["onnx", "torch"]


def load(
    network: Network,
    weights: Weights | None = None,
    *,
    seed: int = 0,
    settings: Settings | None = None,
    optimize: str = "0",
    batch: int = 1,
    inductor: bool = False,
) -> torch.nn.Module:
    """The `torch.nn.Module` of a network, made by running its generated source; for inference
    alone where it is optimised (`xgraph.optimize.levels`), with `batch` samples at once in mind,
    and, if `inductor`, `torch.compile`."""
    require("torch")
    from xgraph.backends.torch import to_module

    low = tensor_graph(as_graph(network, settings))
    made = optimized(low, optimize, "inductor" if inductor else "torch", batch=batch)
    module: torch.nn.Module = to_module(
        made.graph, made.weights(initial_weights(low, weights, seed))
    )
    return module


def run(
    network: Network,
    inputs: Arrays,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    backend: Backend = "onnx",
    device: Device = "cpu",
    settings: Settings | None = None,
    report: Report | None = None,
) -> Arrays:
    """The outputs of a network (a `.xg`, a graph, or an `.onnx` model) on named arrays; what runs
    elsewhere than on the device asked for is added to `report`."""
    from xgraph.runtime import Session, check_inputs, signature

    if backend not in ("onnx", "torch"):
        raise fail("unknown-backend", f"there is no backend {backend!r}", help="onnx or torch")
    if device not in get_args(Device):
        raise fail("unknown-device", f"there is no device {device!r}", help="cpu or cuda")
    if isinstance(network, (str, os.PathLike)) and Path(network).suffix == ".onnx":
        if weights is not None or settings or seed or backend != "onnx":
            raise fail(
                "bad-option",
                "an ONNX model has its weights and settings in it, and runs in ONNX Runtime",
                origin=str(network),
                help="give the `.xg` to run it with other weights, settings or in PyTorch",
            )
        return _run_session(Session(Path(network), device=device), inputs, report)
    low = tensor_graph(as_graph(network, settings))
    checked = check_inputs(inputs, signature(low.inputs), low.name)
    arrays = initial_weights(low, weights, seed)
    if backend == "torch":
        return run_module(low, arrays, checked, device)
    require("onnx")
    from xgraph.backends.onnx import in_memory, to_onnx

    session = Session(in_memory(to_onnx(low, arrays)), device=device)
    return _run_session(session, checked, report)


def _run_session(session: Session, inputs: Arrays, report: Report | None) -> Arrays:
    found = session.run(inputs)
    if report is not None:
        for warning in session.warnings():
            report.add(warning)
    return found


def run_module(low: Graph, arrays: Arrays, inputs: Arrays, device: str = "cpu") -> Arrays:
    """The outputs of the PyTorch module, by name."""
    require("torch")
    import torch

    from xgraph.backends.torch import to_module
    from xgraph.runtime import signature
    from xgraph.runtime.errors import does_not_fit, out_of_memory

    require_device(device)
    module = to_module(low, arrays).eval()

    def outputs(given: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
        placed = module.to(device)
        with torch.inference_mode():
            found = placed(*(torch.from_numpy(given[name]).to(device) for name in low.inputs))
        values = found if isinstance(found, tuple) else (found,)
        given_back = (value.detach().cpu().numpy() for value in values)
        return dict(zip(low.outputs, given_back, strict=True))

    try:
        return outputs(inputs)
    except (IndexError, RuntimeError, MemoryError) as error:  # an index or a length out of range
        if not out_of_memory(error):
            reason = str(error).splitlines()[0]
            told = f"the module did not run: {reason}"
            raise fail("run-failed", told, origin=low.name) from None
        short = str(error)
    raise does_not_fit(short, outputs, inputs, signature(low.inputs), low.name)
