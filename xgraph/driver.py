"""The whole compiler on one screen: text to graph, graph to source, module, model or text."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final, get_args

import numpy as np

from xgraph import weights as weight_files
from xgraph.build import MADE, Limits, build_file, build_source, unbuild
from xgraph.diagnostics import Diagnostic, DiagnosticError, InternalError, Report, fail
from xgraph.files import decode, keep, named, read_network, same_file, write_whole
from xgraph.given import arrays_of, integer, kind_of, one_of, plain_settings
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph, Level
from xgraph.ir.text import dump
from xgraph.ir.verify import verify_or_raise
from xgraph.optimize.costs import Target as Machine
from xgraph.optimize.levels import CHOOSING, Observer, names
from xgraph.optimize.levels import optimize as run_passes
from xgraph.optimize.network import Optimized
from xgraph.passes import PassLike, Pipeline, lower
from xgraph.precision import Precision, Reduced, check_options, reduced
from xgraph.samples import fitting_sizes, open_axes, sample_inputs
from xgraph.source import Source
from xgraph.tune.store import costs, kept

if TYPE_CHECKING:
    import torch

    from xgraph.runtime import Session
    from xgraph.space import Space

Arrays: TypeAlias = "dict[str, np.ndarray[Any, Any]]"
Target = Literal["torch", "onnx", "ir"]
Backend = Literal["onnx", "torch"]
Device = Literal["cpu", "cuda"]
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
    if not isinstance(network, (str, os.PathLike)):
        raise fail(
            "not-a-network",
            f"a network is wanted here, and this is {kind_of(network)}",
            help="give the name of a `.xg` file or its text, or a graph where one is taken",
        )
    if not isinstance(limits, Limits | None):
        raise fail("bad-option", f"`limits` is an `xgraph.build.Limits`, not {kind_of(limits)}")
    given = plain_settings(settings)
    if isinstance(network, str) and "\n" in network:
        return build_source(Source("<text>", network), given, limits=limits)
    return build_file(named(network), given, limits=limits)


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
        return weight_files.initialise(low, integer("seed", seed))
    if isinstance(weights, (str, os.PathLike)):
        arrays = weight_files.load(weights)
        if weight_files.OPTIMIZED in weight_files.metadata(weights):
            raise _of_another(str(weights))
        return weight_files.check(low, arrays, str(weights))
    return weight_files.check(low, arrays_of(weights, "weights", "bad-weights"), "weights")


def _of_another(origin: str) -> DiagnosticError:
    return fail(
        "optimized-weights", "these are weights of an optimised network", origin=origin,
        help="give those that it was compiled with, of the network as it was written; from Python,"
        " `xgraph.optimized(network, ...).undone` tells them",
    )  # fmt: skip


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


def optimized(
    network: Network,
    told: str = "2",
    engine: Machine = "onnx",
    device: Device = "cpu",
    batch: int = 1,
    observe: Observer | None = None,
) -> Optimized:
    """What `compile` writes, with the way of weights there and back: a network after the passes of
    a level, or of a list of names, that choose by what this machine is fast at when `engine`
    ("onnx", "torch" or, for `torch.compile`, "inductor") runs `batch` samples at once.
    """
    low = tensor_graph(as_graph(network))
    if not isinstance(told, str):
        told_of = f"`optimize` is a text such as '2', not {kind_of(told)}"
        raise fail("bad-option", told_of)
    one_of("engine", engine, get_args(Machine))
    one_of("device", device, get_args(Device))
    target: Machine = "cuda" if device == "cuda" else engine
    size = integer("batch", batch, least=1)
    found = None
    if not CHOOSING.keys().isdisjoint(names(told)):
        found = kept(low, target, size) or costs(target, size)
    return run_passes(low, told, observe, found)


_GENERATED = re.compile(rb"# Network `.*`, written by xgraph ")
_EXTRAS = {
    "torch": "torch", "onnx": "onnx", "onnxruntime": "gpu", "onnxscript": "bench", "PIL": "images",
    "py_mini_racer": "draw", "resvg_py": "draw", "jinja2": "draw", "matplotlib": "draw",
    "starlette": "serve", "uvicorn": "serve",
}  # fmt: skip


def require(package: str) -> None:
    """`DiagnosticError` naming the extra to install where `package` is missing."""
    extra = _EXTRAS[package]
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
    """What `compile` wrote, how far the backends were apart where they were compared, why they were
    not where that was asked for, and what a reduced precision cost."""

    files: tuple[Path, ...]
    difference: float | None = None
    unverified: str | None = None
    reduced: Reduced | None = None


def compile(  # noqa: A001 - the command's own name
    network: Network,
    to: Target,
    out: Path | str,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    opset: int | None = None,
    level: Level = "architecture",
    verify: bool = True,
    settings: Settings | None = None,
    optimize: str = "0",
    batch: int = 1,
    device: Device = "cpu",
    inductor: bool = False,
    observe: Observer | None = None,
    precision: Precision = "fp32",
    max_error: float | None = None,
    calibration: Sequence[Mapping[str, Any]] | None = None,
) -> Compiled:
    """Write a network as PyTorch source (and its weights beside it), ONNX model or IR text.

    `optimize` is a level or a list of passes (`xgraph.optimize.levels`), of which `observe` is
    told; what they make is for inference. Where a pass chooses, it has `batch` samples at once in
    mind, on `device`, in PyTorch under `torch.compile` if `inductor`, and what this machine is fast
    at (`xgraph tune`).

    `weights` are a safetensors file or a `state_dict`; without, fresh ones are made from `seed`,
    and never take the place of a file of others.

    An ONNX model may have another `precision` (`xgraph.precision`), whose error against float32
    is measured, and not above `max_error`; int8 takes batches of inputs, [rows, ...] by name, as
    its `calibration`, and has its normalisations folded (`-O1`) at least.
    """
    if to not in tuple(SUFFIX):
        raise fail("unknown-target", f"there is no target {to!r}", help="torch, onnx or ir")
    one_of("level", level, get_args(Level))
    check_options(to, precision, max_error, calibration)
    if inductor and to != "torch":
        raise fail("bad-option", "this is for PyTorch source", origin="inductor",
                   help="write that, with `torch` as the target")  # fmt: skip
    if precision == "int8" and not names(optimize):
        optimize = "1"
    opset = None if opset is None else integer("opset", opset)
    path = named(out, "output")
    _check_out(path, to)
    graph = as_graph(network, settings)
    given = [weights] if isinstance(weights, (str, os.PathLike)) else []
    keep(path, [*graph.files, *given])
    if to == "ir" and level == "architecture":
        if names(optimize):
            raise fail(
                "bad-option", "optimisation is of the tensor level", origin=f"-O {optimize}",
                help="`--level tensor` prints that",
            )  # fmt: skip
        write_whole(path, dump(graph))
        return Compiled((path,))
    low = tensor_graph(graph)
    engine: Machine = "inductor" if inductor else "torch" if to == "torch" else "onnx"
    made = optimized(low, optimize, engine, device, batch, observe)
    if to == "ir":
        write_whole(path, dump(made.graph))
        return Compiled((path,))
    arrays = initial_weights(low, weights, seed)
    if to == "torch":
        keep(path.with_suffix(".safetensors"), graph.files)
        passes = "" if made.is_plain else ",".join(names(optimize))
        return _write_torch(made.graph, made.weights(arrays), path, weights, passes)
    model, difference, unverified = _onnx(low, arrays, made, opset, verify, _said_of(weights))
    less = None
    if precision != "fp32":
        require("onnxruntime")
        less = reduced(low, model, precision, max_error=max_error, calibration=calibration)
    from xgraph.backends.onnx import save

    save(model if less is None else less.model, path)
    return Compiled((path,), difference, unverified, less)


def _check_out(path: Path, to: Target) -> None:
    """No target takes the place of a file of another kind, least of all of the network itself."""
    suffix = SUFFIX[to]
    if path.suffix == suffix or (to == "ir" and _is_device(path)):
        return
    if path.is_dir():
        better = path / f"net{suffix}"
    else:
        better = path.with_name(f"net{suffix}" if path.name == suffix else path.stem + suffix)
    raise fail(
        "bad-output",
        f"what `--to {to}` writes belongs into a `{suffix}` file",
        origin=str(path),
        help=f"give `-o {better}`",
    )


def _is_device(path: Path) -> bool:
    """Whether it is a place like `/dev/stdout`, wherever that leads, or a pipe."""
    return path.parent == Path("/dev") or (
        path.exists() and not path.is_file() and not path.is_dir()
    )


def _said_of(weights: Weights | None) -> dict[str, str]:
    """What a weights file says of the inputs it was trained on, to be handed on."""
    if not isinstance(weights, (str, os.PathLike)):
        return {}
    said = weight_files.metadata(weights)
    return {key: said[key] for key in (weight_files.INPUTS, weight_files.RECIPE) if key in said}


def _write_torch(
    low: Graph, arrays: Arrays, path: Path, weights: Weights | None, passes: str
) -> Compiled:
    from xgraph.backends.torch import to_source

    source, beside = to_source(low), path.with_suffix(".safetensors")
    stays = beside.exists() and _stays(beside, arrays, weights, passes)
    if not stays:
        optimized = {weight_files.OPTIMIZED: passes} if passes else {}
        weight_files.save(beside, arrays, _said_of(weights) | optimized)
    write_whole(path, source)
    return Compiled((path,) if stays else (path, beside))


def check_generated(path: Path) -> None:
    """`DiagnosticError` for a Python file that a person wrote."""
    if not path.is_file() or _GENERATED.match(path.read_bytes()[:4096]):
        return
    raise fail(
        "would-overwrite", "this file was not written by xgraph", origin=str(path),
        help="`-o FILE` writes to another one, or says that it is to be this one",
    )  # fmt: skip


def _stays(beside: Path, arrays: Arrays, weights: Weights | None, passes: str) -> bool:
    """Whether a weights file need not be written anew; fresh weights never take the place of
    others, nor those that were read the place of their own file."""
    read = isinstance(weights, (str, os.PathLike)) and same_file(beside, weights)
    if not read and weights is not None:
        return False
    if _holds(beside, arrays):
        return True
    others = "fresh weights"
    if read:
        others = "those of the optimised network" if passes else "what a network takes of these"
    elsewhere = f"write to another file, `-o {beside.with_name('other.py')}`"
    keeps = f"`--weights {beside}` {'takes' if passes else 'keeps'} them"
    raise fail(
        "would-overwrite", f"{others} would take the place of those in this file",
        origin=str(beside),
        help=elsewhere if read else f"{keeps}; {'and' if passes else 'or'} {elsewhere}",
    )  # fmt: skip


def _holds(path: Path, arrays: Arrays) -> bool:
    """Whether a weights file holds just these arrays."""
    found = weight_files.load(path)
    return found.keys() == arrays.keys() and all(
        np.array_equal(found[name], array) for name, array in arrays.items()
    )


def _onnx(
    low: Graph,
    arrays: Arrays,
    made: Optimized,
    opset: int | None,
    verify: bool,
    said: dict[str, str],
) -> tuple[Any, float | None, str | None]:
    """The float32 model, how far it is from PyTorch, and why that is not known."""
    require("onnx")
    from xgraph.backends.onnx import check as check_model
    from xgraph.backends.onnx import to_onnx

    model = to_onnx(made.graph, made.weights(arrays), opset=opset)
    for key, value in said.items():
        model.metadata_props.add(key=key, value=value)
    check_model(model)
    unverified = _unverified(low) if verify else None
    difference = _verified(low, arrays, model) if verify and not unverified else None
    return model, difference, unverified


def _unverified(low: Graph) -> str | None:
    """Why the backends cannot be compared, if they cannot."""
    for package in ("torch", "onnxruntime"):
        if find_spec(package) is None:
            return f"the package `{package}` is not installed"
    if fitting_sizes(low) is not None:
        return None
    axes = ", ".join(f"`{axis}`" for axis in open_axes(low))
    if not axes:
        return "its values are too large"
    return f"at every size of {axes} that was tried, some value is empty or too large"


def _verified(low: Graph, arrays: Arrays, model: Any) -> float:
    """How far the backends are apart; an error where that is more than rounding."""
    from xgraph.backends.onnx import save

    # What disagrees must not be left where it could be taken for sound.
    with TemporaryDirectory() as folder:
        save(model, Path(folder, "model.onnx"))
        difference = compare(low, arrays, Path(folder, "model.onnx"))
    if not difference <= TOLERANCE:
        raise InternalError(
            "compile", f"the ONNX model and the PyTorch module differ by {difference:.1e}"
        )
    return difference


def compare(low: Graph, arrays: Arrays, model: Path, *, batch: int = 2, seed: int = 0) -> float:
    """The largest difference between the module and the ONNX model on random inputs, relative to
    the largest output (or to 1 where that is less); infinite where the model alone gives numbers
    that are not finite.

    Where the module gives such, `DiagnosticError` says so unless the model gives the same.
    """
    from xgraph.runtime import Session

    inputs = sample_inputs(low, batch, seed)
    ours = run_module(low, arrays, inputs)
    theirs = Session(model).run(inputs)
    for name, value in ours.items():
        if not np.isfinite(value).all() and not _same_kinds(value, theirs[name]):
            raise fail(
                "not-finite",
                f"on random inputs output `{name}` is not finite, and PyTorch and ONNX Runtime"
                " differ in where",
                origin=low.name,
                help="look for a division by zero or a number that grows without bound;"
                " `--no-verify` writes the model as it is",
            )
    return max(_difference(ours[name], theirs[name]) for name in ours)


def _same_kinds(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> bool:
    """Whether NaN, infinity and minus infinity stand in the same places."""
    a, b = (np.where(np.isfinite(value), 0, value) for value in (ours, theirs))
    return np.array_equal(a, b, equal_nan=True)


def _difference(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    """How far two outputs are apart where they are finite."""
    if not _same_kinds(ours, theirs):
        return np.inf
    finite = np.isfinite(ours)
    a, b = (value[finite].astype(np.float64) for value in (ours, theirs))
    return float(np.max(np.abs(a - b), initial=0.0) / np.max(np.abs(a), initial=1.0))


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


def require_device(device: str) -> None:
    """`DiagnosticError` where PyTorch cannot run there."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise fail(
            "device-unavailable",
            "PyTorch finds no CUDA device",
            origin="--device cuda",
            help="run on `--device cpu`, or install a PyTorch built for CUDA",
        )


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


def apply(network: Network, *passes: PassLike | str, settings: Settings | None = None) -> Graph:
    """The architecture-level graph that passes make of a network, one after the other.

    Passes are pipeline texts (`"xsertion{alpha=1 beta=2}"`), passes, or functions that make a
    graph from a graph. The network stays as it is.
    """
    return Pipeline.of(*passes).run(as_graph(network, settings))


def verify_fully(graph: Graph, step: str) -> None:
    """`InternalError` unless a graph is sound, lowers to one that is, and is its own text, with
    the same names of parameters."""
    verify_or_raise(graph, step)
    low = lower(graph)
    verify_or_raise(low, f"lower after {step}")
    text = unbuild(graph)
    again = build_source(Source(f"{graph.name} after {step}", text), limits=MADE)
    if canonical(again) != canonical(graph):
        raise InternalError(step, "its text is another network", text)
    if moved := {a for a, _ in low.params()} ^ {a for a, _ in lower(again).params()}:
        raise InternalError(step, f"its text names `{min(moved)}` otherwise", text)


def read_source(path: str) -> tuple[Source, Path]:
    """A text and the folder its `use`s are read from; `-` is the standard input."""
    if path == "-":
        return Source("<stdin>", decode(sys.stdin.buffer.read(), "<stdin>")), Path()
    return read_network(path), Path(path).parent


__all__ = [
    "Compiled", "Diagnostic", "DiagnosticError", "apply", "as_graph", "check", "compare", "compile",
    "initial_weights", "load", "parse", "read_source", "require", "run", "space", "space_of",
    "tensor_graph",
]  # fmt: skip
