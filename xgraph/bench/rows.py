"""The ways to run a network that are compared. Each makes a run for inputs that are in place."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from xgraph.driver import require
from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Target
from xgraph.optimize.levels import optimize
from xgraph.optimize.network import Optimized
from xgraph.optimize.sources import Arrays
from xgraph.samples import sample_inputs
from xgraph.timing import Run
from xgraph.tune.choose import choose
from xgraph.tune.store import costs, kept

if TYPE_CHECKING:
    import torch

    from xgraph.runtime import Device


@final
@dataclass(frozen=True)
class Case:
    """A tensor-level network, its weights, and the batch that it runs on."""

    low: Graph
    weights: Arrays
    batch: int
    device: Device = "cpu"

    @property
    def inputs(self) -> Arrays:
        return sample_inputs(self.low, self.batch, 0)


@final
@dataclass(frozen=True)
class Made:
    """A row, ready to run, and what there is to say of how it does."""

    run: Run
    note: str = ""


Row: TypeAlias = Callable[[Case], Made]


def _eager(case: Case) -> Made:
    return _module(_as_written(case), case)


def _compiled(case: Case) -> Made:
    import torch

    return _warm(_module(torch.compile(_as_written(case), dynamic=False), case))


def _autotuned(case: Case) -> Made:
    """At the best that `torch.compile` can do."""
    import torch
    from torch._inductor import config

    with config.patch(freezing=True):
        made = torch.compile(_as_written(case), dynamic=False, mode="max-autotune-no-cudagraphs")
        return _warm(_module(made, case))


def _exported(case: Case) -> Made:
    """What PyTorch's exporter makes of the module, in ONNX Runtime."""
    import torch

    from xgraph.runtime import Session

    require("onnxscript")
    given = sample_inputs(case.low, 2, 0)
    batch = torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "exported.onnx")
        torch.onnx.export(
            _as_written(case), tuple(torch.from_numpy(given[key]) for key in case.low.inputs), path,
            dynamic_shapes=tuple({0: batch} for _ in case.low.inputs), verbose=False,
            input_names=list(case.low.inputs),
        )  # fmt: skip
        session = Session(path, device=case.device)
    return Made(session.prepared(case.inputs))


def _ours(case: Case) -> Made:
    module, note = _joined(case)
    return _module(module, case, note)


def _ours_compiled(case: Case) -> Made:
    import torch

    module, note = _joined(case)
    return _warm(_module(torch.compile(module, dynamic=False), case, note))


def _ours_onnx(case: Case) -> Made:
    from xgraph.backends.onnx import to_onnx
    from xgraph.runtime import Session

    made, note = _chosen(case, "onnx")
    model = to_onnx(made.graph, made.weights(case.weights)).SerializeToString()
    return Made(Session(model, device=case.device).prepared(case.inputs), note)


EAGER = "PyTorch, as it is written"
ROWS: Mapping[str, Row] = {
    EAGER: _eager,
    "torch.compile": _compiled,
    "torch.compile, max-autotune": _autotuned,
    "torch.onnx.export, ONNX Runtime": _exported,
    "xgraph, PyTorch": _ours,
    "xgraph, torch.compile": _ours_compiled,
    "xgraph, ONNX Runtime": _ours_onnx,
}
SLOW = tuple(label for label in ROWS if "torch.compile" in label)
"""Those that take minutes to make."""


def _as_written(case: Case) -> torch.nn.Module:
    from xgraph.backends.torch import to_module

    module: torch.nn.Module = to_module(case.low, case.weights).eval().to(case.device)
    return module


def _joined(case: Case) -> tuple[torch.nn.Module, str]:
    from xgraph.backends.torch import to_module

    made, note = _chosen(case, "torch")
    module = to_module(made.graph, made.weights(case.weights))
    return module.eval().to(case.device), note


def _chosen(case: Case, backend: Literal["onnx", "torch"]) -> tuple[Optimized, str]:
    """The variant that was kept for the network, or is fastest now, and what it is."""
    target: Target = "cuda" if case.device == "cuda" else backend
    found = kept(case.low, target, case.batch)
    if found is None:
        found = choose(case.low, case.weights, costs(target, case.batch))
    return optimize(case.low, "2", costs=found), found.told


def _module(module: Callable[..., Any], case: Case, note: str = "") -> Made:
    import torch

    inputs = case.inputs
    tensors = [torch.from_numpy(inputs[key]).to(case.device) for key in case.low.inputs]
    done = torch.cuda.synchronize if case.device == "cuda" else _nothing

    def run() -> Any:
        with torch.inference_mode():
            found = module(*tensors)
        done()
        return found

    return Made(run, note)


def _nothing() -> None:
    return None


def _warm(made: Made) -> Made:
    """`torch.compile` compiles at the first call."""
    made.run()
    return made
