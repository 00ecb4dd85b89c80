"""What models take and give: types and sizes by name, and which of those the batch is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xgraph.ir.graph import Value
from xgraph.ir.types import Dim, Expr, evaluate, parse_dim

Array: TypeAlias = npt.NDArray[Any]
Dims: TypeAlias = tuple[int | str, ...]
Signature: TypeAlias = Mapping[str, tuple[str, Dims]]
"""Values by name: numpy's name of the element type, and sizes; a text is a size known only when
the model runs, the same number wherever it stands, and `?` one of which nothing is known. An
output of no sizes is a scalar, or one of which not even the rank is known."""

_ELEMENTS = {"float": "float32", "double": "float64"}


def signature(values: Mapping[str, Value]) -> Signature:
    """The inputs or outputs of a graph, as `Session` describes those of a model."""
    return {
        name: (
            value.type.dtype.numpy,
            tuple(str(d) if isinstance(d, Expr) else int(d) for d in value.type.shape),
        )
        for name, value in values.items()
    }


def described(value: Any) -> tuple[str, Dims]:
    """An input or output of ONNX Runtime."""
    element = value.type.removeprefix("tensor(").removesuffix(")")
    dims = tuple("?" if dim is None else dim for dim in value.shape)
    return _ELEMENTS.get(element, element), dims


@lru_cache(maxsize=1024)
def dim_of(text: str) -> Dim | None:
    """The size that a text says; None where it says none that can be worked out."""
    try:
        return parse_dim(text)
    except ValueError:
        return None


def sizes_of(inputs: Mapping[str, Array], wanted: Signature) -> dict[str, int]:
    """The open sizes that these inputs give."""
    return {
        dim: size
        for name, array in inputs.items()
        for size, dim in zip(array.shape, wanted[name][1], strict=True)
        if isinstance(dim, str) and dim.isidentifier()
    }


def size_of(dim: int | str, sizes: Mapping[str, int]) -> int | None:
    """A declared size, once the open ones are known; None where those do not tell it."""
    if isinstance(dim, int):
        return dim
    if dim in sizes:
        return sizes[dim]
    found = dim_of(dim)
    if isinstance(found, Expr) and not found.symbols <= sizes.keys():
        return None
    return None if found is None else evaluate(found, sizes)


def shape_of(dims: Dims, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
    """The declared shape of an output, once the open sizes are known; None where those do not
    tell it."""
    found = [size_of(dim, sizes) for dim in dims]
    return None if not found or None in found else tuple(size for size in found if size is not None)


def misfit(outputs: Mapping[str, Array], declared: Signature, sizes: Mapping[str, int]) -> str:
    """Which output came out in another shape than the model declares, in words; or nothing."""
    for name, array in outputs.items():
        dims = declared[name][1]
        if not dims or not isinstance(array, np.ndarray):
            continue  # a list or a map has no shape
        wanted = [size_of(dim, sizes) for dim in dims]
        fits = array.ndim == len(dims) and all(
            want in (None, size) for want, size in zip(wanted, array.shape, strict=True)
        )
        if not fits:
            return (
                f"the model declares output `{name}` to have shape {shown(dims)}, and it came out"
                f" with {shown(array.shape)}"
            )
    return ""


# --------------------------------------------------------------------------------- the batch


def batch_of(wanted: Signature) -> str | None:
    """The open size that is the batch: the first axis of each input that has it, and never
    another one; None where there is none."""
    firsts = [dims[0] for _, dims in wanted.values() if dims and isinstance(dims[0], str)]
    if not firsts or not firsts[0].isidentifier():
        return None
    others = [str(dim) for _, dims in wanted.values() for dim in dims[1:]]
    return None if firsts[0] in others else firsts[0]


def rows_of(
    inputs: Mapping[str, Array], wanted: Signature, rows: int | slice | Sequence[int]
) -> dict[str, Array]:
    """The inputs with a part of the batch: so many rows from the first, or those."""
    batch = batch_of(wanted)
    part = slice(rows) if isinstance(rows, int) else rows
    return {
        name: np.ascontiguousarray(array[part]) if wanted[name][1][:1] == (batch,) else array
        for name, array in inputs.items()
    }


# ------------------------------------------------------------------------------------- words


def shown(dims: Sequence[int | str]) -> str:
    """A shape as a message shows it."""
    return f"[{', '.join(map(str, dims))}]"


def listed(names: Mapping[str, object]) -> str:
    """What there is, as help."""
    return "it has " + ", ".join(f"`{name}`" for name in names)
