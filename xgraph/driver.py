"""The whole compiler on one screen: text to graph, graph to source, module, model or text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import numpy as np

from xgraph import weights as weight_files
from xgraph.build import Limits, build_file, build_source
from xgraph.diagnostics import Diagnostic, DiagnosticError, InternalError, Report, fail
from xgraph.files import decode, read_text, write_whole
from xgraph.ir.graph import Graph
from xgraph.ir.text import dump
from xgraph.ir.verify import verify_or_raise
from xgraph.passes import lower
from xgraph.samples import sample_inputs
from xgraph.source import Source

if TYPE_CHECKING:
    import torch

    from xgraph.space import Space

Arrays: TypeAlias = "dict[str, np.ndarray[Any, Any]]"
Target = Literal["torch", "onnx", "ir"]
Settings = Mapping[str, object]
Network: TypeAlias = "Graph | Path | str"
Weights: TypeAlias = "Path | str | Mapping[str, Any]"

SUFFIX: dict[Target, str] = {"torch": ".py", "onnx": ".onnx", "ir": ".ir"}
TOLERANCE = 1e-4
"""The largest difference of two backends, relative to the largest output, that is taken for
rounding."""


def check(
    source: Source, settings: Settings | None = None, *, folder: Path, limits: Limits | None = None
) -> tuple[Graph, Report]:
    """The graph of a text and everything to be said of it; nothing is raised."""
    report = Report()
    graph = build_source(source, settings, report=report, folder=folder, limits=limits)
    if not report.errors:
        verify_or_raise(graph, "build")
    return graph, report


def space(source: Source, folder: Path) -> Space:
    """The search space of a text; `DiagnosticError` lists its mistakes."""
    from xgraph.space import Space

    return Space.read(source, folder)


def space_of(source: Source, folder: Path, report: Report) -> Space | None:
    """The search space of a text of which `check` reported that it is one."""
    if any(d.id == "a-space" for d in report):
        return space(source, folder)
    return None


def parse(
    network: Path | str, settings: Settings | None = None, *, limits: Limits | None = None
) -> Graph:
    """The architecture-level graph of a `.xg` file, or of a text (a string of several lines).

    `DiagnosticError` lists every mistake; warnings are not shown.
    """
    if isinstance(network, str) and "\n" in network:
        return build_source(Source("<text>", network), settings, limits=limits)
    return build_file(network, settings, limits=limits)


def as_graph(network: Network, settings: Settings | None = None) -> Graph:
    """The architecture-level graph of a file, or the graph given."""
    if not isinstance(network, Graph):
        return parse(network, settings)
    if settings:
        raise fail("bad-setting", "a graph is built already; settings are for `parse`")
    return network


def tensor_graph(graph: Graph) -> Graph:
    """The verified tensor-level graph of either level."""
    if graph.level == "tensor":
        return graph
    low = lower(graph)
    verify_or_raise(low, "lower")
    return low


def initial_weights(low: Graph, weights: Weights | None = None, seed: int = 0) -> Arrays:
    """Weights for a tensor-level graph: those of a safetensors file or of a mapping (arrays or
    tensors by address, such as a `state_dict`), or fresh ones from `seed`."""
    if weights is None:
        return weight_files.initialise(low, seed)
    if isinstance(weights, Mapping):
        return weight_files.check(low, {k: _array(v) for k, v in weights.items()}, "weights")
    return weight_files.check(low, weight_files.load(Path(weights)), str(weights))


def _array(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def load(
    network: Network,
    weights: Weights | None = None,
    *,
    seed: int = 0,
    settings: Settings | None = None,
) -> torch.nn.Module:
    """The `torch.nn.Module` of a network, made by running its generated source."""
    require("torch")
    from xgraph.backends.torch import to_module

    low = tensor_graph(as_graph(network, settings))
    module: torch.nn.Module = to_module(low, initial_weights(low, weights, seed))
    return module


def require(package: str) -> None:
    """`DiagnosticError` naming the extra to install where `package` is missing."""
    extra = {"torch": "torch", "onnx": "onnx", "onnxruntime": "gpu", "PIL": "images"}[package]
    if find_spec(package) is None:
        raise fail(
            "missing-extra",
            f"this needs the package `{package}`, which is not installed",
            origin=package,
            help=f"pip install 'xgraph[{extra}]'",
        )


@final
@dataclass(frozen=True)
class Compiled:
    """What `compile` wrote, and how far the backends were apart where they were compared."""

    files: tuple[Path, ...]
    difference: float | None = None


def compile(  # noqa: A001 - the command's own name
    network: Network,
    to: Target,
    out: Path | str,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    opset: int | None = None,
    level: Literal["architecture", "tensor"] = "architecture",
    verify: bool = True,
    settings: Settings | None = None,
) -> Compiled:
    """Write a network as PyTorch source (and its weights beside it), ONNX model or IR text.

    `weights` are a safetensors file or a `state_dict`; without, fresh ones are made from `seed`,
    and never take the place of a file of others.
    """
    if to not in SUFFIX:
        raise fail("unknown-target", f"there is no target {to!r}", help="torch, onnx or ir")
    path = Path(out)
    _check_out(path, to)
    graph = as_graph(network, settings)
    if to == "ir":
        write_whole(path, dump(graph if level == "architecture" else tensor_graph(graph)))
        return Compiled((path,))
    low = tensor_graph(graph)
    arrays = initial_weights(low, weights, seed)
    if to == "torch":
        return _write_torch(low, arrays, path, fresh=weights is None)
    return _write_onnx(low, arrays, path, opset, verify)


def _check_out(path: Path, to: Target) -> None:
    """No target takes the place of a file of another kind, least of all of the network itself."""
    if path.suffix == ".xg" or (to != "ir" and path.suffix != SUFFIX[to]):
        raise fail(
            "bad-output",
            f"what `--to {to}` writes belongs into a `{SUFFIX[to]}` file",
            origin=str(path),
            help=f"give `-o {path.stem}{SUFFIX[to]}`",
        )


def _write_torch(low: Graph, arrays: Arrays, path: Path, *, fresh: bool) -> Compiled:
    from xgraph.backends.torch import to_source

    source, beside = to_source(low), path.with_suffix(".safetensors")
    if fresh and beside.exists() and not _holds(beside, arrays):
        raise fail(
            "would-overwrite",
            "fresh weights would take the place of those in this file",
            origin=str(beside),
            help=f"`--weights {beside}` keeps them; or write elsewhere, or remove the file",
        )
    weight_files.save(beside, arrays)
    write_whole(path, source)
    return Compiled((path, beside))


def _holds(path: Path, arrays: Arrays) -> bool:
    """Whether a weights file holds just these arrays."""
    found = weight_files.load(path)
    return found.keys() == arrays.keys() and all(
        np.array_equal(found[name], array) for name, array in arrays.items()
    )


def _write_onnx(
    low: Graph, arrays: Arrays, path: Path, opset: int | None, verify: bool
) -> Compiled:
    require("onnx")
    from xgraph.backends.onnx import check as check_model
    from xgraph.backends.onnx import save, to_onnx

    model = to_onnx(low, arrays, opset=opset)
    check_model(model)
    difference = None
    if verify and find_spec("torch") and find_spec("onnxruntime"):
        # What disagrees must not be left where it could be taken for sound.
        with TemporaryDirectory() as folder:
            save(model, Path(folder, "model.onnx"))
            difference = compare(low, arrays, Path(folder, "model.onnx"))
        if not difference <= TOLERANCE:
            raise InternalError(
                "compile", f"the ONNX model and the PyTorch module differ by {difference:.1e}"
            )
    save(model, path)
    return Compiled((path,), difference)


def compare(low: Graph, arrays: Arrays, model: Path, *, batch: int = 2, seed: int = 0) -> float:
    """The largest difference between the module and the ONNX model on random inputs, relative to
    the largest output (or to 1 where that is less)."""
    from xgraph.backends.runtime import Session

    inputs = sample_inputs(low, batch, seed)
    ours = run_module(low, arrays, inputs)
    theirs = Session(model).run(inputs)
    return max(
        float(np.max(np.abs(ours[name] - theirs[name])) / max(1.0, np.max(np.abs(ours[name]))))
        for name in ours
    )


def run_module(low: Graph, arrays: Arrays, inputs: Arrays, device: str = "cpu") -> Arrays:
    """The outputs of the PyTorch module, by name."""
    require("torch")
    import torch

    from xgraph.backends.torch import to_module

    if device == "cuda" and not torch.cuda.is_available():
        raise fail(
            "device-unavailable",
            "PyTorch finds no CUDA device",
            origin="--device cuda",
            help="run on `--device cpu`, or install a PyTorch built for CUDA",
        )
    module = to_module(low, arrays).eval().to(device)
    given = [torch.from_numpy(inputs[name]).to(device) for name in low.inputs]
    try:
        with torch.inference_mode():
            found = module(*given)
    except (IndexError, RuntimeError) as error:  # an index or a length out of range
        reason = str(error).splitlines()[0]
        raise fail("run-failed", f"the module did not run: {reason}", origin=low.name) from None
    values = found if isinstance(found, tuple) else (found,)
    given_back = (value.detach().cpu().numpy() for value in values)
    return dict(zip(low.outputs, given_back, strict=True))


def run(
    network: Network,
    inputs: Arrays,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    backend: Literal["onnx", "torch"] = "onnx",
    device: Literal["cpu", "cuda"] = "cpu",
    settings: Settings | None = None,
) -> Arrays:
    """The outputs of a network (a `.xg`, a graph, or an `.onnx` model) on named arrays."""
    from xgraph.backends.runtime import Session, check_inputs, signature

    if backend not in ("onnx", "torch"):
        raise fail("unknown-backend", f"there is no backend {backend!r}", help="onnx or torch")
    if not isinstance(network, Graph) and Path(network).suffix == ".onnx":
        if weights is not None or settings or seed or backend != "onnx":
            raise fail(
                "bad-option",
                "an ONNX model has its weights and settings in it, and runs in ONNX Runtime",
                origin=str(network),
                help="give the `.xg` to run it with other weights, settings or in PyTorch",
            )
        session = Session(Path(network), device=device)
        return session.run(check_inputs(inputs, session.inputs, str(network)))
    low = tensor_graph(as_graph(network, settings))
    checked = check_inputs(inputs, signature(low.inputs), low.name)
    arrays = initial_weights(low, weights, seed)
    if backend == "torch":
        return run_module(low, arrays, checked, device)
    require("onnx")
    from xgraph.backends.onnx import to_onnx

    return Session(to_onnx(low, arrays).SerializeToString(), device=device).run(checked)


def read_source(path: str) -> tuple[Source, Path]:
    """A text and the folder its `use`s are read from; `-` is the standard input."""
    if path == "-":
        return Source("<stdin>", decode(sys.stdin.buffer.read(), "<stdin>")), Path()
    return read_text(Path(path)), Path(path).parent


__all__ = [
    "Compiled", "Diagnostic", "DiagnosticError", "as_graph", "check", "compare", "compile",
    "initial_weights", "load", "parse", "read_source", "require", "run", "space",
    "space_of", "tensor_graph",
]  # fmt: skip
