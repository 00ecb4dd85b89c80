"""Weights in safetensors files, and nothing else: what a pickle holds is code.

A file is written here, not by the library, because the library orders metadata anew in every
run: the same weights give the same bytes. Reading is the library's, which checks every offset.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from xgraph.diagnostics import Diagnostic, DiagnosticError, fail
from xgraph.files import FilePath, named, write_whole
from xgraph.weights.initial import Array, Weights

INPUTS = "xgraph.inputs"
"""The metadata of weights and models that says how the inputs were made they were trained on."""

RECIPE = "xgraph.recipe"
"""The metadata that says which losses and which prediction they were trained for."""
OPTIMIZED = "xgraph.optimized"
"""The metadata that says by which passes the network was optimised that they are of."""

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}


# --------------------------------------------------------------------------------- writing


def save(
    path: FilePath, weights: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write `weights` to `path` as safetensors: whole or not at all, equal ones to equal bytes."""
    write_whole(path, _bytes(weights, metadata or {}))


def _bytes(weights: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    # Wider types first, so that every tensor stands at a multiple of its element's size.
    order = sorted(weights, key=lambda name: (-weights[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    parts = []
    end = 0
    for name in order:
        array = weights[name]
        dtype = array.dtype.newbyteorder("<")
        parts.append(array.astype(dtype, copy=False).tobytes())
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


# --------------------------------------------------------------------------------- reading


def load(path: FilePath) -> Weights:
    """The arrays in a safetensors file, by name; bfloat16, which numpy has not, as float32.

    `DiagnosticError` (`bad-weights`) for anything else than a whole safetensors file.
    """
    data = _read(path)
    if kind := _foreign(path, data):
        raise _bad(path, *kind)
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing: ")
        raise _bad(path, f"this is no whole safetensors file: {reason}") from None
    return _arrays(path, sorted((str(name), dict(entry)) for name, entry in entries))


def _bad(path: FilePath, message: str, help: str | None = None) -> DiagnosticError:  # noqa: A002
    return fail("bad-weights", message, origin=os.fspath(path), help=help)


def _read(path: FilePath) -> bytes:
    where = named(path, "weights file")
    try:
        return where.read_bytes()
    except FileNotFoundError:
        raise _bad(path, "there is no such file") from None
    except IsADirectoryError:
        raise _bad(path, "this is a directory, not a file") from None
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "not enough memory"
        raise _bad(path, f"this file cannot be read: {reason.lower()}") from None


_TORCH = (
    "convert it once, where you trust it:"
    " `safetensors.torch.save_file(torch.load({path!r}, weights_only=True), {new!r})`"
)
_NUMPY = (
    "convert it once: `safetensors.numpy.save_file(dict(numpy.load({path!r})), {new!r})`"
)  # fmt: skip
_FOREIGN = {
    ".pt": ("a PyTorch pickle", _TORCH),
    ".pth": ("a PyTorch pickle", _TORCH),
    ".bin": ("a PyTorch pickle", _TORCH),
    ".ckpt": ("a PyTorch pickle", _TORCH),
    ".pkl": ("a pickle", None),
    ".npz": ("a numpy archive", _NUMPY),
    ".npy": ("a numpy array", None),
    ".h5": ("an HDF5 file", None),
    ".onnx": ("an ONNX model", None),
}


def _foreign(path: FilePath, data: bytes) -> tuple[str, str | None] | None:
    """What to say of a file of another format, by its first bytes and its name."""
    if data[4:9] == b"\0\0\0\0{":  # the length of a safetensors header, which may be 0x280
        return None
    pickled = data.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"))
    if not pickled and not data.startswith((b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF")):
        return None
    where = Path(path)
    kind, advice = _FOREIGN.get(where.suffix.lower(), ("a pickle or an archive", _TORCH))
    new = str(where.with_suffix(".safetensors"))
    return (
        f"this is {kind}, and weights are read from safetensors only",
        advice.format(path=str(where), new=new) if advice else None,
    )


def _arrays(path: FilePath, entries: list[tuple[str, dict[str, Any]]]) -> Weights:
    found: Weights = {}
    unread: list[Diagnostic] = []
    for name, entry in entries:
        dtype = entry["dtype"]
        if dtype == "BF16":
            found[name] = _from_bfloat16(entry["data"]).reshape(entry["shape"])
        elif dtype in _DTYPES:
            flat = np.frombuffer(entry["data"], _DTYPES[dtype])
            found[name] = flat.astype(flat.dtype.newbyteorder("=")).reshape(entry["shape"])
        else:
            message = f"its element type {dtype} is not read; convert it to F32"
            unread.append(Diagnostic("bad-weight-dtype", message, origin=f"{path}: {name}"))
    if unread:
        raise DiagnosticError(*unread)
    return found


def _from_bfloat16(data: bytes) -> Array:
    """A bfloat16 is the upper half of a float32."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def metadata(path: FilePath) -> dict[str, str]:
    """The texts that stand beside the arrays of a whole safetensors file."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    found: dict[str, str] = header.get("__metadata__", {})
    return found
