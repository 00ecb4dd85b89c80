"""What is given to a model as input, checked: every mistake is found before one is raised."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import final

import numpy as np

from xgraph.diagnostics import Diagnostic, Report, did_you_mean
from xgraph.given import arrays_of
from xgraph.ir.types import Expr, constant, divide, evaluate, symbol
from xgraph.runtime.shapes import Array, Signature, dim_of, listed, shown

_WIDENED = {
    "float32": ("float64", "float16"),
    "int64": ("int8", "int16", "int32", "uint8", "uint16", "uint32"),
}
"""Element types that are taken where another is wanted."""


def check_inputs(
    inputs: Mapping[str, Array], wanted: Signature, origin: str | None = None
) -> dict[str, Array]:
    """`inputs` as the model takes them, in its order.

    Every mistake is found before a `DiagnosticError` is raised: names unknown or missing, ranks,
    sizes and element types that do not fit, sizes that should be one and are not, numbers that
    are not finite.
    """
    plain = arrays_of(inputs, "inputs", "bad-input")
    report = Report()
    check = _InputCheck(report, origin)
    check.names(plain, wanted)
    given = {name: plain[name] for name in wanted if name in plain}
    found = {name: check.array(name, array, *wanted[name]) for name, array in given.items()}
    check.computed()
    report.raise_errors()
    return found


@final
class _InputCheck:
    """The sizes seen so far, and the mistakes."""

    def __init__(self, report: Report, origin: str | None) -> None:
        self._report = report
        self._origin = origin
        self._sizes: dict[str, tuple[int, str]] = {}
        self._open: list[tuple[Expr, int, str]] = []

    def _error(self, id: str, message: str, help: str | None = None) -> None:  # noqa: A002
        self._report.add(Diagnostic(id, message, help=help, origin=self._origin))

    def names(self, inputs: Mapping[str, Array], wanted: Signature) -> None:
        for name in inputs:
            if name not in wanted:
                advice = did_you_mean(name, wanted) or listed(wanted)
                self._error("unknown-input", f"the network has no input `{name}`", advice)
        for name, (dtype, dims) in wanted.items():
            if name not in inputs:
                shape = f"{dtype} of shape {shown(dims)}"
                self._error("missing-input", f"input `{name}` is missing", f"give it {shape}")

    def array(self, name: str, array: Array, dtype: str, dims: tuple[int | str, ...]) -> Array:
        """One input, converted where that loses nothing that counts."""
        if array.ndim != len(dims):
            self._error(
                "input-shape",
                f"input `{name}` has shape {shown(array.shape)}, and the network takes"
                f" {shown(dims)}",
                "the first axis is the batch" if array.ndim == len(dims) - 1 else None,
            )
        else:
            for axis, (size, dim) in enumerate(zip(array.shape, dims, strict=True)):
                self._size(f"axis {axis} of input `{name}`", size, dim)
        if array.dtype.name != dtype and array.dtype.name not in _WIDENED.get(dtype, ()):
            self._error(
                "input-dtype",
                f"input `{name}` is {array.dtype.name}, and the network takes {dtype}",
                f"convert it: `{name}.astype({dtype!r})`",
            )
            return array
        with np.errstate(over="ignore"):
            converted = np.ascontiguousarray(array, dtype).reshape(array.shape)
        self._finite(name, converted)
        return converted

    def _size(self, where: str, size: int, dim: int | str) -> None:
        if size == 0:
            self._error("input-shape", f"{where} is empty")
        elif isinstance(dim, int):
            if size != dim:
                self._error("input-shape", f"{where} has size {size}, and the network takes {dim}")
        elif dim != "?":
            self._symbol(where, size, dim)

    def _symbol(self, where: str, size: int, dim: str) -> None:
        parsed = dim_of(dim)
        if isinstance(parsed, Expr) and not dim.isidentifier():
            self._open.append((parsed, size, where))
            return
        seen, first = self._sizes.setdefault(dim, (size, where))
        if seen != size:
            self._error(
                "input-shape",
                f"{where} has size {size}, and {first} has {seen}; both are `{dim}`",
            )

    def computed(self) -> None:
        """Check the sizes that others determine, `2*T`, now that those are known. Where T stands
        nowhere by itself, the first of such sizes tells it."""
        sizes = {name: size for name, (size, _) in self._sizes.items()}
        for dim, size, where in self._open:
            if not dim.symbols <= sizes.keys():
                sizes |= self._solved(dim, size, where)
            elif evaluate(dim, sizes) != size:
                self._error(
                    "input-shape",
                    f"{where} has size {size}, and `{dim}` is {evaluate(dim, sizes)}",
                )

    def _solved(self, dim: Expr, size: int, where: str) -> dict[str, int]:
        """What T is where `2*T + 1` has this size."""
        more = constant(dim)
        times = divide(dim - more, symbol(min(dim.symbols)))
        if len(dim.symbols) != 1 or not isinstance(times, int):
            return {}
        (name,) = dim.symbols
        found, rest = divmod(size - more, times)
        if rest or found < 1:
            self._error("input-shape", f"{where} has size {size}, which no `{name}` makes `{dim}`")
            return {}
        return {name: found}

    def _finite(self, name: str, array: Array) -> None:
        if array.dtype.kind != "f" or (good := np.isfinite(array)).all():
            return
        index = np.unravel_index(int(np.argmin(good)), array.shape)
        place = "".join(f"[{i}]" for i in index)
        count = good.size - int(np.count_nonzero(good))
        self._error(
            "not-finite",
            f"input `{name}` holds {count} number{'s' * (count > 1)} that are not finite, the"
            f" first {_named(float(array[index]))} at {place}",
            "replace them before the network sees them; float64 beyond 3.4e38 counts too",
        )


def _named(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinity" if value > 0 else "-infinity"
