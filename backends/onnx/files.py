"""ONNX models as files, and whether a model is in order.

A file is written beside its final place and then moved there, so that nobody ever finds half of
one. Protobuf holds no message over 2 GB; tensors of larger models stand in a second file.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xgraph.backends.onnx.model import require_onnx
from xgraph.diagnostics import DiagnosticError, InternalError, fail

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 2**24
"""The most bytes of tensors that may stand in the model's own file; leaves room for the nodes."""

_SMALL = 1024
"""Tensors up to this many bytes stay in the model: shapes and axes, which checkers must see."""

_PAGE = 4096
"""Tensors in a file of their own start at multiples of this, so that they can be mapped."""


def save(model: onnx.ModelProto, path: Path | str, *, external: bool = False) -> None:
    """Write `model`; its tensors to `<name>.data` beside it if `external`, or if they are many.

    A `DiagnosticError` (`cannot-write`) leaves what stood there before.
    """
    require_onnx()
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            raise OSError(errno.EISDIR, "it is not a file")
        _replace(_contents(model, Path(os.path.realpath(target)), external))
    except OSError as error:
        raise _cannot_write(target, error) from None


def _contents(
    model: onnx.ModelProto, path: Path, external: bool
) -> list[tuple[Path, Iterable[bytes]]]:
    """The files to be written, the one that refers to the other last."""
    if not external and size_of(model) <= LARGEST:
        return [(path, [model.SerializeToString()])]
    data = path.with_name(f"{path.name}.data")
    slim = _without_data(model, data.name)
    return [(data, _pages(model)), (path, [slim.SerializeToString()])]


def in_memory(model: onnx.ModelProto) -> bytes:
    """A model as one message; `DiagnosticError` where that cannot hold it."""
    check_size(
        model, "a model of 2 GB or more runs from a file alone",
        help="`xgraph compile --to onnx`, and run what that writes",
    )  # fmt: skip
    written: bytes = model.SerializeToString()
    return written


def check_size(model: onnx.ModelProto, told: str, *, help: str) -> None:  # noqa: A002
    """`DiagnosticError` where one message cannot hold a model."""
    if size_of(model) > LARGEST:
        raise fail("too-large", told, help=help)


def size_of(model: onnx.ModelProto) -> int:
    """The bytes of its tensors."""
    return sum(map(_length, model.graph.initializer))


def _length(tensor: onnx.TensorProto) -> int:
    """The bytes of a tensor; reading `raw_data` would copy them."""
    import onnx.helper

    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return int(prod(tensor.dims) * dtype.itemsize)


def _replace(files: list[tuple[Path, Iterable[bytes]]]) -> None:
    """Write all of `files` beside their places, then move them there."""
    token = secrets.token_hex(4)
    beside = [path.with_name(f".{path.name}.{token}.part") for path, _ in files]
    try:
        for part, (_, chunks) in zip(beside, files, strict=True):
            with part.open("xb") as stream:
                stream.writelines(chunks)
                stream.flush()
                os.fsync(stream.fileno())
        for part, (path, _) in zip(beside, files, strict=True):
            part.replace(path)
    finally:
        for part in beside:
            part.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> DiagnosticError:
    advice = {
        errno.ENOENT: f"make the folder `{path.parent}` first",
        errno.ENOTDIR: f"`{path.parent}` is not a folder; choose another place",
        errno.EISDIR: "choose the name of a file",
        errno.ENOSPC: "free some space, or write to another disk",
        errno.EDQUOT: "free some space, or write to another disk",
    }
    return fail(
        "cannot-write",
        f"cannot write the model: {(error.strerror or str(error)).lower()}",
        origin=str(path),
        help=advice.get(error.errno or 0, "choose a place that you may write to"),
    )


# ---------------------------------------------------------------------------- external data


def _large(model: onnx.ModelProto) -> Iterator[tuple[onnx.TensorProto, int, int]]:
    """The tensors that go to a file of their own, with their place and length there."""
    offset = 0
    for tensor in model.graph.initializer:
        length = _length(tensor)
        if length > _SMALL:
            yield tensor, offset, length
            offset += -(-length // _PAGE) * _PAGE


def _pages(model: onnx.ModelProto) -> Iterator[bytes]:
    for tensor, _, length in _large(model):
        yield tensor.raw_data
        yield bytes(-length % _PAGE)


def _without_data(model: onnx.ModelProto, location: str) -> onnx.ModelProto:
    """A copy whose large tensors refer to a file."""
    import onnx

    places = {tensor.name: (offset, length) for tensor, offset, length in _large(model)}
    slim = _without_tensors(model)
    for tensor in model.graph.initializer:
        if tensor.name not in places:
            slim.graph.initializer.append(tensor)
            continue
        offset, length = places[tensor.name]
        entry = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        entry.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            entry.external_data.add(key=key, value=str(value))
        slim.graph.initializer.append(entry)
    return slim


def _without_tensors(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that never holds the tensors, as they may be larger than memory allows twice."""
    import onnx

    bare = onnx.ModelProto()
    _copy(model, bare, but="graph")
    _copy(model.graph, bare.graph, but="initializer")
    return bare


def _copy(source: Any, target: Any, *, but: str) -> None:
    for field, value in source.ListFields():
        if field.name == but:
            continue
        if hasattr(value, "extend"):
            getattr(target, field.name).extend(value)
        else:
            setattr(target, field.name, value)


# --------------------------------------------------------------------------------- checking


def check(model: onnx.ModelProto) -> None:
    """Raise `InternalError` if ONNX's own checker refuses `model`, or if its shape inference
    comes to other sizes than the graph declared."""
    require_onnx()
    import onnx.checker
    import onnx.shape_inference as shapes

    try:
        slim = _typed_only(model)
        onnx.checker.check_model(slim, full_check=True)
        inferred = shapes.infer_shapes(_undeclared(slim), strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, shapes.InferenceError) as error:
        raise InternalError("the ONNX backend", f"the model is not in order: {error}") from error
    found = {value.name: value for value in _values(inferred)}
    wrong = [v.name for v in _values(model) if not _agree(v, found.get(v.name))]
    if wrong:
        raise InternalError("the ONNX backend", f"ONNX infers another shape of {wrong}")


def _typed_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which large tensors are inputs of their type: all that a checker looks at, and
    of any size."""
    import onnx.helper

    slim = _without_tensors(model)
    for tensor in model.graph.initializer:
        if _length(tensor) <= _SMALL:
            slim.graph.initializer.append(tensor)
        else:
            slim.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return slim


def _undeclared(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that tells nothing of the shapes past its inputs."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    return bare


def _values(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    return [*model.graph.value_info, *model.graph.output]


def _agree(declared: onnx.ValueInfoProto, inferred: onnx.ValueInfoProto | None) -> bool:
    """Whether sizes known to both are the same."""
    if inferred is None or not inferred.type.tensor_type.HasField("shape"):
        return True
    ours, theirs = (v.type.tensor_type.shape.dim for v in (declared, inferred))
    return len(ours) == len(theirs) and all(
        a.dim_value == b.dim_value
        for a, b in zip(ours, theirs, strict=True)
        if a.HasField("dim_value") and b.HasField("dim_value")
    )
