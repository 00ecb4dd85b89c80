"""Runs ONNX models with ONNX Runtime, and checks what is given to any model as input.

ONNX Runtime falls back to the CPU with no more than a printed line when it cannot have the GPU.
A `Session` runs where it was asked to, or says why it cannot.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt

from xgraph.diagnostics import Diagnostic, DiagnosticError, Report, did_you_mean, fail
from xgraph.given import arrays_of
from xgraph.ir.graph import Value
from xgraph.ir.types import Expr, evaluate, parse_dim

if TYPE_CHECKING:
    import onnxruntime as ort  # type: ignore[import-untyped]

Array: TypeAlias = npt.NDArray[Any]
Device = Literal["cpu", "cuda"]
Signature: TypeAlias = Mapping[str, tuple[str, tuple[int | str, ...]]]
"""Values by name: numpy's name of the element type, and sizes; a text is a size known only when
the model runs, the same number wherever it stands."""

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_WARNINGS, _SILENT = 2, 4
"""What ONNX Runtime prints: warnings and errors, or nothing that is no crash."""


@final
class Session:
    """A model ready to run on one device: a file, or the bytes of one."""

    def __init__(
        self, model: Path | str | bytes, *, device: Device = "cpu", threads: int | None = None
    ) -> None:
        self.device = device
        self.origin = "<model>" if isinstance(model, bytes) else str(model)
        self._session = _open(model, self.origin, device, threads)
        renamed = self.metadata = self._session.get_modelmeta().custom_metadata_map
        outputs = {
            renamed.get(f"xgraph.output.{o.name}", o.name): o for o in self._session.get_outputs()
        }
        self._tensors = {name: o.name for name, o in outputs.items()}
        self.inputs: Signature = {v.name: _described(v) for v in self._session.get_inputs()}
        self.outputs: Signature = {name: _described(o) for name, o in outputs.items()}

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """The outputs named, or all of them, for `inputs`; mistakes in those are diagnostics."""
        checked = check_inputs(inputs, self.inputs, self.origin)
        names = list(self.outputs if outputs is None else outputs)
        for name in names:
            if name not in self._tensors:
                raise fail(
                    "unknown-output",
                    f"the model has no output `{name}`",
                    origin=self.origin,
                    help=did_you_mean(name, self._tensors) or _listed(self._tensors),
                )
        tensors = [self._tensors[name] for name in names]
        try:
            found = self._run(tensors, checked)
        except Exception as error:  # ONNX Runtime's have no common base
            raise fail(
                "run-failed", f"the model did not run: {_reason(error)}", origin=self.origin
            ) from None
        return dict(zip(names, found, strict=True))

    def _run(self, tensors: list[str], inputs: Mapping[str, Array]) -> list[Array]:
        if self.device != "cpu":
            return _run_bound(self._session, tensors, inputs, self.device)
        found: list[Array] = self._session.run(tensors, inputs)
        return found


def _run_bound(
    session: ort.InferenceSession, tensors: list[str], inputs: Mapping[str, Array], device: Device
) -> list[Array]:
    """Run with inputs and outputs in the memory of `device`."""
    import onnxruntime as ort

    binding = session.io_binding()
    for name, array in inputs.items():
        value = ort.OrtValue.ortvalue_from_numpy(array, device, 0)
        binding.bind_ortvalue_input(name, value)
    for name in tensors:
        binding.bind_output(name, device, 0)
    session.run_with_iobinding(binding)
    found: list[Array] = binding.copy_outputs_to_cpu()
    return found


# --------------------------------------------------------------------------------- opening


def _open(
    model: Path | str | bytes, origin: str, device: Device, threads: int | None
) -> ort.InferenceSession:
    if device not in _PROVIDERS:
        raise fail("unknown-device", f"there is no device `{device}`", help=_listed(_PROVIDERS))
    ort = _onnxruntime()
    if not isinstance(model, bytes) and Path(model).is_dir():
        raise fail("is-a-directory", "this is a directory, not a file", origin=origin)
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise fail("bad-model", "there is no such file", origin=origin)
    if device == "cuda":
        return _open_on_gpu(ort, model, origin, threads)
    return _open_on_cpu(ort, model, origin, threads)


def _onnxruntime() -> Any:
    try:
        import onnxruntime as ort
    except ImportError:
        raise fail(
            "missing-extra",
            "running ONNX models needs ONNX Runtime, and it is not installed",
            help="pip install 'xgraph[gpu]' (it serves machines without a GPU too)",
        ) from None
    ort.disable_telemetry_events()
    ort.set_default_logger_severity(_SILENT)
    return ort


def _options(ort: Any, threads: int | None, severity: int) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = severity
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _create(
    ort: Any, model: Path | str | bytes, options: Any, providers: list[Any]
) -> ort.InferenceSession:
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=providers, enable_fallback=0)


def _open_on_cpu(
    ort: Any, model: Path | str | bytes, origin: str, threads: int | None
) -> ort.InferenceSession:
    try:
        return _create(ort, model, _options(ort, threads, _SILENT), [_PROVIDERS["cpu"]])
    except Exception as error:  # ONNX Runtime's have no common base
        reason = _reason(error)
        newer = "opset" in reason or "IR version" in reason
        raise fail(
            "bad-model",
            f"ONNX Runtime cannot load the model: {reason}",
            origin=origin,
            help="update ONNX Runtime, or write the model for an older opset" if newer else None,
        ) from None


def _open_on_gpu(
    ort: Any, model: Path | str | bytes, origin: str, threads: int | None
) -> ort.InferenceSession:
    wanted = _PROVIDERS["cuda"]
    if wanted not in ort.get_available_providers():
        raise _unavailable(
            "the ONNX Runtime installed was built without CUDA",
            "pip uninstall onnxruntime, then pip install 'xgraph[gpu]'; or use `cpu`",
        )
    # TF32 rounds to 10 bits; what PyTorch computes could then not be compared.
    providers = [(wanted, {"use_tf32": "0"}), _PROVIDERS["cpu"]]
    with _captured(ort) as printed:
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        try:
            session = _create(ort, model, _options(ort, threads, _WARNINGS), providers)
        except Exception as error:  # likewise
            _open_on_cpu(ort, model, origin, threads)  # says so if the model is to blame
            raise _unavailable(_reason(error), _MAKE_SURE.format("")) from None
    if session.get_providers()[0] != wanted:
        raise _unavailable(*_why("".join(printed)))
    return session


_MAKE_SURE = "make sure of an NVIDIA GPU and driver{}; or use `cpu`"


def _unavailable(reason: str, advice: str) -> DiagnosticError:
    return fail("device-unavailable", f"cannot run on `cuda`: {reason}", help=advice)


def _why(printed: str) -> tuple[str, str]:
    """What ONNX Runtime said of its failure, and what to do."""
    error = re.search(r"with error: (.+)", printed)
    needs = re.search(r"Require (.+?)\. ", printed)
    reason = error[1].strip() if error else "ONNX Runtime could not start it on this machine"
    return reason, _MAKE_SURE.format(f" with {needs[1]}" if needs else "")


@contextlib.contextmanager
def _captured(ort: Any) -> Iterator[list[str]]:
    """Have ONNX Runtime tell its errors, but not to the terminal; they are handed over after.

    Native code prints past `sys.stderr`, so the file descriptor itself is turned.
    """
    printed: list[str] = []
    sys.stderr.flush()
    ort.set_default_logger_severity(_WARNINGS)
    with tempfile.TemporaryFile() as file, contextlib.redirect_stdout(io.StringIO()):
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield printed
        finally:
            os.dup2(before, 2)
            os.close(before)
            ort.set_default_logger_severity(_SILENT)
            file.seek(0)
            printed.append(file.read().decode(errors="replace"))


def _reason(error: Exception) -> str:
    """ONNX Runtime's message without its codes and the places in its own source."""
    text = (str(error).splitlines() or [""])[0]
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^\S+\.(?:cc|h):\d+ .*?\)\s*(?:const )?", "", text)
    text = re.sub(r"^Non-zero status code .*? Name:'(.*?)' Status Message: ", r"at `\1`: ", text)
    return text.rstrip(". ") or type(error).__name__


_ELEMENTS = {"float": "float32", "double": "float64"}


def _described(value: Any) -> tuple[str, tuple[int | str, ...]]:
    element = value.type.removeprefix("tensor(").removesuffix(")")
    dims = tuple("?" if dim is None else dim for dim in value.shape)
    return _ELEMENTS.get(element, element), dims


# --------------------------------------------------------------------------- checking inputs


def signature(values: Mapping[str, Value]) -> Signature:
    """The inputs or outputs of a graph, as `Session` describes those of a model."""
    return {
        name: (
            value.type.dtype.numpy,
            tuple(str(d) if isinstance(d, Expr) else int(d) for d in value.type.shape),
        )
        for name, value in values.items()
    }


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
                advice = did_you_mean(name, wanted) or _listed(wanted)
                self._error("unknown-input", f"the network has no input `{name}`", advice)
        for name, (dtype, dims) in wanted.items():
            if name not in inputs:
                shape = f"{dtype} of shape {_shape(dims)}"
                self._error("missing-input", f"input `{name}` is missing", f"give it {shape}")

    def array(self, name: str, array: Array, dtype: str, dims: tuple[int | str, ...]) -> Array:
        """One input, converted where that loses nothing that counts."""
        if array.ndim != len(dims):
            self._error(
                "input-shape",
                f"input `{name}` has shape {_shape(array.shape)}, and the network takes"
                f" {_shape(dims)}",
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
        try:
            parsed = parse_dim(dim)
        except ValueError:
            parsed = 0
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
        """Check the sizes that others determine, `2*T`, now that those are known."""
        sizes = {name: size for name, (size, _) in self._sizes.items()}
        for dim, size, where in self._open:
            if dim.symbols <= sizes.keys() and evaluate(dim, sizes) != size:
                self._error(
                    "input-shape",
                    f"{where} has size {size}, and `{dim}` is {evaluate(dim, sizes)}",
                )

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


def _shape(dims: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, dims))}]"


def _listed(names: Mapping[str, object]) -> str:
    return "it has " + ", ".join(f"`{name}`" for name in names)
