"""The ways to run a network that are compared. Each makes a run for inputs that are in place."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, final

from xgraph.driver import require
from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Costs, Target
from xgraph.optimize.levels import optimize
from xgraph.optimize.network import Optimized
from xgraph.optimize.sources import Arrays
from xgraph.samples import sample_inputs
from xgraph.timing import Run
from xgraph.tune.choose import choose
from xgraph.tune.runs import AT_BEST, frozen, in_torch
from xgraph.tune.store import costs, keep_choice, kept

if TYPE_CHECKING:
    import torch

    from xgraph.runtime import Device

Half = Literal["fp16", "bf16"]


@final
@dataclass(frozen=True)
class Case:
    """A tensor-level network, its weights, and the batch that it runs on."""

    low: Graph
    weights: Arrays
    batch: int
    device: Device = "cpu"
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Those of open axes."""
    choices: dict[Target, Costs] = field(default_factory=dict)
    """What was found to be fastest, by what runs the network."""

    @property
    def inputs(self) -> Arrays:
        return sample_inputs(self.low, self.batch, 0, self.sizes)


@final
@dataclass(frozen=True)
class Made:
    """A row, ready to run, and what there is to say of how it does."""

    run: Run
    note: str = ""


@final
@dataclass(frozen=True)
class Row:
    """A way to run a network."""

    make: Callable[[Case], Made]
    device: Device | None = None
    """The only one that it is for."""
    is_slow: bool = False
    """Whether it takes minutes to make."""
    is_foreign: bool = False
    """Whether a tool makes it that may fail in ways of its own."""


# ---------------------------------------------------------------------------- by PyTorch's means


def _eager(case: Case, *, tf32: bool = False, half: Half | None = None) -> Made:
    module, tensors = _module(_as_written(case), case), _tensors(case)
    if half is not None:
        kind = _dtype(half)
        module, tensors = module.to(kind), [_cast(tensor, kind) for tensor in tensors]
    return Made(_on(case, in_torch(module, tensors), tf32))


def _compiled(case: Case) -> Made:
    import torch

    module = torch.compile(_module(_as_written(case), case), dynamic=False)
    return _warm(Made(_on(case, in_torch(module, _tensors(case)))))


def _autotuned(case: Case) -> Made:
    return Made(_at_best(case, _as_written(case)))


def _exported(case: Case, *, tf32: bool = False) -> Made:
    """What PyTorch's exporter makes of the module, in ONNX Runtime."""
    import torch

    from xgraph.backends.torch import to_module
    from xgraph.runtime import Session

    require("onnxscript")
    given = sample_inputs(case.low, 2, 0, case.sizes)
    batch = torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "exported.onnx")
        torch.onnx.export(
            to_module(case.low, case.weights).eval(),
            tuple(torch.from_numpy(given[key]) for key in case.low.inputs), path,
            dynamic_shapes=tuple({0: batch} for _ in case.low.inputs), verbose=False,
            input_names=list(case.low.inputs),
        )  # fmt: skip
        session = Session(path, device=case.device, tf32=tf32)
    return Made(session.prepared(case.inputs))


# --------------------------------------------------------------------------------- as xgraph does


def _ours(case: Case) -> Made:
    made, note = _chosen(case, "torch")
    return Made(_on(case, in_torch(_module(made, case), _tensors(case))), note)


def _ours_compiled(case: Case) -> Made:
    import torch

    made, note = _chosen(case, "inductor")
    module = torch.compile(_module(made, case), dynamic=False)
    return _warm(Made(_on(case, in_torch(module, _tensors(case))), note))


def _ours_autotuned(case: Case) -> Made:
    made, note = _chosen(case, "inductor")
    return Made(_at_best(case, made), note)


def _ours_onnx(
    case: Case, *, captured: bool = False, tf32: bool = False, half: Half | None = None
) -> Made:
    """`captured`: as a CUDA graph."""
    from xgraph.backends.onnx import in_memory, to_onnx
    from xgraph.precision import reduced
    from xgraph.runtime import Session

    made, note = _chosen(case, "onnx")
    model = to_onnx(made.graph, made.weights(case.weights))
    if half is not None:
        less = reduced(case.low, model, half)
        worst = max((error.relative for error in less.errors), default=None)
        model, note = less.model, "" if worst is None else f"off by {worst:.0e}"
    session = Session(
        in_memory(model), device=case.device, tf32=tf32,
        buckets=[case.batch] if captured else [],
    )  # fmt: skip
    return Made(session.prepared(case.inputs), note)


EAGER = "PyTorch, as it is written"
ROWS: Mapping[str, Row] = {
    EAGER: Row(_eager),
    "PyTorch, TF32": Row(lambda case: _eager(case, tf32=True), "cuda"),
    "PyTorch, fp16": Row(lambda case: _eager(case, half="fp16"), "cuda"),
    "PyTorch, bf16": Row(lambda case: _eager(case, half="bf16"), "cuda"),
    "torch.compile": Row(_compiled, is_slow=True, is_foreign=True),
    "torch.compile, max-autotune": Row(_autotuned, is_slow=True, is_foreign=True),
    "torch.onnx.export, ONNX Runtime": Row(_exported, is_foreign=True),
    "torch.onnx.export, ONNX Runtime, TF32": Row(
        lambda case: _exported(case, tf32=True), "cuda", is_foreign=True
    ),
    "xgraph, PyTorch": Row(_ours),
    "xgraph, torch.compile": Row(_ours_compiled, is_slow=True, is_foreign=True),
    "xgraph, torch.compile, max-autotune": Row(_ours_autotuned, is_slow=True, is_foreign=True),
    "xgraph, ONNX Runtime": Row(_ours_onnx),
    "xgraph, CUDA graph": Row(lambda case: _ours_onnx(case, captured=True), "cuda"),
    "xgraph, CUDA graph, TF32": Row(
        lambda case: _ours_onnx(case, captured=True, tf32=True), "cuda"
    ),
    "xgraph, CUDA graph, fp16": Row(
        lambda case: _ours_onnx(case, captured=True, half="fp16"), "cuda"
    ),
    "xgraph, CUDA graph, bf16": Row(
        lambda case: _ours_onnx(case, captured=True, half="bf16"), "cuda"
    ),
}


def rows_of(device: Device, *, slow: bool) -> list[str]:
    """Those for a device, with the slow ones or without."""
    return [
        label for label, row in ROWS.items()
        if row.device in (None, device) and (slow or not row.is_slow)
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------ parts


def _as_written(case: Case) -> Optimized:
    return Optimized.of(case.low)


def _chosen(case: Case, backend: Target) -> tuple[Optimized, str]:
    """The variant that was kept for the network, or is fastest now, and what it is."""
    target: Target = "cuda" if case.device == "cuda" else backend
    if target not in case.choices:
        found = kept(case.low, target, case.batch)
        if found is None:
            found = choose(case.low, case.weights, costs(target, case.batch), case.sizes)
            keep_choice(case.low, found)
        case.choices[target] = found
    found = case.choices[target]
    return optimize(case.low, "2", costs=found), found.told


def _module(made: Optimized, case: Case) -> torch.nn.Module:
    from xgraph.backends.torch import to_module

    module: torch.nn.Module = to_module(made.graph, made.weights(case.weights))
    return module.eval().to(case.device)


def _tensors(case: Case) -> list[torch.Tensor]:
    import torch

    inputs = case.inputs
    return [torch.from_numpy(inputs[key]).to(case.device) for key in case.low.inputs]


def _at_best(case: Case, made: Optimized) -> Run:
    """The best that `torch.compile` can do with a module; on a GPU it captures CUDA graphs."""
    mode = "max-autotune" if case.device == "cuda" else AT_BEST
    tensors = _tensors(case)
    return _on(case, in_torch(frozen(_module(made, case), tensors, mode), tensors))


def _on(case: Case, run: Run, tf32: bool = False) -> Run:
    """A run in PyTorch that is over when it returns, in float32 to the last bit unless `tf32`."""
    if case.device == "cpu":
        return run
    import torch

    def whole() -> Any:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        found = run()
        torch.cuda.synchronize()
        return found

    return whole


def _dtype(half: Half) -> torch.dtype:
    import torch

    return {"fp16": torch.float16, "bf16": torch.bfloat16}[half]


def _cast(tensor: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    return tensor.to(kind) if tensor.is_floating_point() else tensor


def _warm(made: Made) -> Made:
    """`torch.compile` compiles at the first call."""
    made.run()
    return made
