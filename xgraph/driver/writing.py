"""Networks as files, none of which takes the place of another by chance."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final, get_args

import numpy as np

from xgraph import weights as weight_files
from xgraph.diagnostics import fail
from xgraph.driver.comparing import unverified, verified
from xgraph.driver.extras import Device, require
from xgraph.driver.networks import Network, Settings, as_graph, tensor_graph
from xgraph.driver.optimizing import optimized
from xgraph.driver.weights import Arrays, Weights, initial_weights
from xgraph.files import keep, named, same_file, write_whole
from xgraph.given import integer, one_of
from xgraph.ir.graph import Graph, Level
from xgraph.ir.text import dump
from xgraph.optimize.costs import Target as Machine
from xgraph.optimize.levels import Observer, names
from xgraph.optimize.network import Optimized
from xgraph.precision import Precision, Reduced, check_options, reduced

Target = Literal["torch", "onnx", "ir"]

SUFFIX: dict[Target, str] = {"torch": ".py", "onnx": ".onnx", "ir": ".ir"}
_GENERATED = re.compile(rb"# Network `.*`, written by xgraph ")


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
    model, difference, why = _onnx(low, arrays, made, opset, verify, _said_of(weights))
    less = None
    if precision != "fp32":
        require("onnxruntime")
        less = reduced(low, model, precision, max_error=max_error, calibration=calibration)
    from xgraph.backends.onnx import save

    save(model if less is None else less.model, path)
    return Compiled((path,), difference, why, less)


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
    why = unverified(low) if verify else None
    difference = verified(low, arrays, model) if verify and not why else None
    return model, difference, why
