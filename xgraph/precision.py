"""Models of reduced precision: made, held against float32, and refused where too far off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal, TypeAlias, final

import numpy as np

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.given import kind_of, one_of
from xgraph.ir.graph import Graph
from xgraph.samples import fitting_sizes, sample_inputs

Array: TypeAlias = "np.ndarray[Any, Any]"
Batch: TypeAlias = Mapping[str, Array]
Precision = Literal["fp32", "fp16", "bf16", "int8"]

BOUNDS: dict[Precision, float] = {"fp16": 1e-2, "bf16": 1e-1, "int8": 2e-1}
"""The relative error that is allowed where nothing else is said."""
_IN_TORCH: dict[Precision, str] = {
    "fp16": "convert the module, `module.to(torch.float16)`, or run it under `torch.autocast`",
    "bf16": "convert the module, `module.to(torch.bfloat16)`, or run it under `torch.autocast`",
    "int8": "quantise the ONNX model: `--to onnx`",
}
BATCHES, ROWS = 4, 4
"""Random inputs on which an error is measured: how many batches, and rows of each."""


@final
@dataclass(frozen=True)
class OutputError:
    """How far an output is from its float32 one, at its worst value; infinite where one of the two
    is not finite and the other is, or is another such value."""

    output: str
    absolute: float
    relative: float
    """To the largest value of the output."""
    of_deviation: float
    """Relative to the output's standard deviation over all that was measured."""

    def to_json(self) -> dict[str, Any]:
        figures = {"absolute": self.absolute, "relative": self.relative,
                   "of_deviation": self.of_deviation}  # fmt: skip
        return {"output": self.output} | {k: v if isfinite(v) else None for k, v in figures.items()}


@final
@dataclass(frozen=True)
class Reduced:
    """A model of reduced precision and how far it is from float32."""

    precision: Precision
    model: Any
    """An `onnx.ModelProto`."""
    bound: float
    errors: tuple[OutputError, ...]
    """By output; empty where nothing could be measured, and `bound` allows anything."""
    measured: str
    """On what, and how."""

    def to_json(self) -> dict[str, Any]:
        return {
            "precision": self.precision,
            "errors": [error.to_json() for error in self.errors],
            "bound": self.bound if isfinite(self.bound) else None,
            "measured": self.measured,
        }

    def render(self) -> str:
        """A table of the errors, and what bounds them."""
        if not self.errors:
            return f"{self.precision}: its error was not measured: {self.measured}"
        width = max(len("output"), *(len(e.output) for e in self.errors))
        rows = [
            f"  {e.output:<{width}}  {e.absolute:9.1e}  {e.relative:9.1e}  {e.of_deviation:9.1e}"
            for e in self.errors
        ]
        return "\n".join(
            [
                f"{self.precision} against float32, {self.measured}:",
                f"  {'output':<{width}}  {'max error':>9}  {'to max':>9}  {'to std':>9}",
                *rows,
                f"allowed is {self.bound:g} to max; `--max-error` sets another bound, `inf` none",
            ]
        )


def check_options(
    to: str, precision: Precision, max_error: float | None, calibration: object
) -> None:
    """`DiagnosticError` where these do not go together, or make no sense."""
    one_of("precision", precision, ("fp32", *BOUNDS))
    if precision == "fp32" and max_error is not None:
        raise fail("bad-option", "float32 has no error to bound", origin="--max-error",
                   help="leave it out, or give `--precision`")  # fmt: skip
    if max_error is not None and not (_is_number(max_error) and max_error > 0):
        told = f"the largest error is a number above 0, not {_told(max_error)}"
        raise fail("bad-option", told, origin="--max-error", help="`inf` allows any")
    if precision != "int8" and calibration is not None:
        raise fail("bad-option", "rows of data are for int8 alone, to calibrate it",
                   origin="--data", help="leave it out, or give `--precision int8`")  # fmt: skip
    if precision != "fp32" and to == "torch":
        raise fail("bad-option", "PyTorch source is float32", origin=f"--precision {precision}",
                   help=_IN_TORCH[precision])  # fmt: skip
    if precision != "fp32" and to != "onnx":
        raise fail("bad-option", "only ONNX models have a precision",
                   origin=f"--precision {precision}", help="give `--to onnx`")  # fmt: skip
    if precision == "int8" and calibration is None:
        raise fail(
            "missing-data", "int8 needs rows of data, which tell the ranges of its values",
            origin="--precision int8",
            help="give `--data FOLDER`; in Python, batches of inputs as `calibration`",
        )  # fmt: skip


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _told(value: object) -> str:
    return str(value) if _is_number(value) else kind_of(value)


def reduced(
    low: Graph,
    model: Any,
    precision: Precision,
    *,
    max_error: float | None = None,
    calibration: Sequence[Batch] | None = None,
) -> Reduced:
    """The float32 `model` of a tensor-level graph in another precision.

    int8 is calibrated and measured on the batches of `calibration`, others on random inputs.
    `DiagnosticError` (`imprecise`) where an output is further off than `max_error`, relative to
    its largest value, allows; and where that cannot be measured, unless anything is allowed.
    """
    from xgraph.backends.onnx import check_size, in_memory
    from xgraph.runtime import Session

    check_size(
        model, "only models of less than 2 GB can be brought to another precision",
        help="write it as float32",
    )  # fmt: skip
    bound = BOUNDS[precision] if max_error is None else float(max_error)
    batches = list(_checked(low, calibration) if calibration is not None else _random(low))
    wanted = _outputs(Session(in_memory(model)), batches)
    made, runs, how = _made(model, precision, batches)
    made.metadata_props.add(key="xgraph.precision", value=precision)
    if not batches:
        why = "no size of its open axes was found at which it runs"
        if isfinite(bound):
            raise fail("imprecise", f"the error of {precision} cannot be measured: {why}",
                       origin=low.name, help="`--max-error inf` writes it unmeasured")  # fmt: skip
        return Reduced(precision, made, bound, (), why)
    found = [_errors(wanted, _outputs(run, batches)) for run in runs]
    worst = tuple(max(of_one, key=lambda e: e.relative) for of_one in zip(*found, strict=True))
    _bounded(worst, bound, precision, low.name)
    rows = sum(next(map(len, batch.values()), 1) for batch in batches)
    kind = "rows of the data" if calibration is not None else "random inputs"
    return Reduced(precision, made, bound, worst, f"on {rows} {kind}{how}")


def _random(low: Graph) -> Iterator[Batch]:
    if fitting_sizes(low, ROWS) is not None:
        yield from (sample_inputs(low, ROWS, seed) for seed in range(BATCHES))


def _checked(low: Graph, calibration: Sequence[Batch]) -> list[Batch]:
    from xgraph.runtime import check_inputs, signature

    wanted = signature(low.inputs)
    batches: list[Batch] = [check_inputs(batch, wanted, "calibration") for batch in calibration]
    if not batches:
        raise fail("missing-data", "there are no rows to calibrate int8 on", origin=low.name)
    return batches


def _made(model: Any, precision: Precision, batches: Sequence[Batch]) -> tuple[Any, list[Any], str]:
    """The model, the sessions that tell what it computes, and how those do."""
    from xgraph.backends.onnx import check, in_memory
    from xgraph.backends.onnx.precision import halved, rounding
    from xgraph.backends.onnx.quantize import quantized
    from xgraph.runtime import Session

    if precision == "int8":
        made = quantized(model, batches)
        check(made)
        return made, [Session(in_memory(made))], ""
    assert precision != "fp32"
    made = halved(model, precision)
    check(made)
    runs = [Session(in_memory(rounding(made, precision)))]
    try:
        runs.append(Session(in_memory(made)))
    except DiagnosticError:
        how = f", each result rounded to {precision}: ONNX Runtime has no such operators here"
        return made, runs, how
    return made, runs, ""


def _outputs(session: Any, batches: Sequence[Batch]) -> dict[str, list[Array]]:
    found: dict[str, list[Array]] = {}
    for batch in batches:
        for name, value in session.run(batch).items():
            found.setdefault(name, []).append(value.ravel())
    return found


def _errors(
    wanted: Mapping[str, list[Array]], found: Mapping[str, list[Array]]
) -> list[OutputError]:
    return [
        error_of(name, np.concatenate(values), np.concatenate(found[name]))
        for name, values in wanted.items()
    ]


def error_of(name: str, wanted: Array, found: Array) -> OutputError:
    """The error of an output, of two arrays of one shape. Values that are not finite are left out
    where both are the same."""
    a, b = wanted.astype(np.float64), found.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(np.where(finite, 0, a), np.where(np.isfinite(b), 0, b), equal_nan=True):
        return OutputError(name, inf, inf, inf)
    a, b = a[finite], b[finite]
    absolute = float(np.max(np.abs(a - b), initial=0.0))
    largest, deviation = float(np.max(np.abs(a), initial=0.0)), float(a.std()) if a.size else 0.0
    return OutputError(name, absolute, _ratio(absolute, largest), _ratio(absolute, deviation))


def _ratio(error: float, size: float) -> float:
    return error / size if size else inf if error else 0.0


def _bounded(
    errors: Sequence[OutputError], bound: float, precision: Precision, origin: str
) -> None:
    worst = max(errors, key=lambda error: error.relative)
    if worst.relative <= bound:
        return
    told = (
        f"in {precision} the output `{worst.output}` is off by {worst.relative:.1e} of its largest"
        f" value ({worst.absolute:.1e}; {worst.of_deviation:.1e} of its standard deviation), and"
        f" {bound:g} is allowed"
        if isfinite(worst.relative)
        else f"in {precision} the output `{worst.output}` is not finite where float32 is"
    )
    more = f"{worst.relative * 1.1:.2g}" if isfinite(worst.relative) else "inf"
    raise fail("imprecise", told, origin=origin,
               help=f"keep float32, or allow it: `--max-error {more}`")  # fmt: skip
