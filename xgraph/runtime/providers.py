"""Opens models on the device asked for, and on no other."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.runtime.errors import out_of_memory, reason
from xgraph.runtime.shapes import listed

if TYPE_CHECKING:
    import onnxruntime as ort

Device = Literal["cpu", "cuda"]
Model: TypeAlias = "Path | str | bytes"

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DETAILS, _WARNINGS, SILENT = 1, 2, 4
"""What ONNX Runtime prints: all it does, warnings and errors, or nothing that is no crash."""


@final
@dataclass(frozen=True)
class Opening:
    """How a model is opened: so many `threads`; on CUDA matrix products of less precision
    (`tf32`), and runs that are captured and played again (`capture`)."""

    device: Device = "cpu"
    threads: int | None = None
    tf32: bool = False
    capture: bool = False


def open_model(model: Model, origin: str, how: Opening) -> tuple[ort.InferenceSession, str]:
    """The model, ready to run, and what ONNX Runtime printed of it."""
    if how.device not in PROVIDERS:
        raise fail("unknown-device", f"there is no device `{how.device}`", help=listed(PROVIDERS))
    ort = _onnxruntime()
    if not isinstance(model, bytes) and Path(model).is_dir():
        raise fail("is-a-directory", "this is a directory, not a file", origin=origin)
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise fail("bad-model", "there is no such file", origin=origin)
    if how.device == "cuda":
        return _open_on_gpu(ort, model, origin, how)
    return _open_on_cpu(ort, model, origin, how), ""


def details(model: Model, how: Opening) -> str:
    """What ONNX Runtime prints as it opens a model that opened before, with all it does."""
    ort = _onnxruntime()
    # There may be no memory for a second one, and what was printed until then counts too.
    with _captured(ort) as printed, contextlib.suppress(Exception):
        _create(ort, model, _options(ort, how, _DETAILS), _on_gpu(how))
    return "".join(printed)


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
    ort.set_default_logger_severity(SILENT)
    return ort


def _options(ort: Any, how: Opening, severity: int) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = severity
    if how.threads is not None:
        options.intra_op_num_threads = how.threads
    if how.device != "cpu":
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _create(ort: Any, model: Model, options: Any, providers: list[Any]) -> ort.InferenceSession:
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=providers, enable_fallback=0)


def _open_on_cpu(ort: Any, model: Model, origin: str, how: Opening) -> ort.InferenceSession:
    options = _options(ort, Opening(threads=how.threads), SILENT)
    try:
        return _create(ort, model, options, [PROVIDERS["cpu"]])
    except Exception as error:  # ONNX Runtime's have no common base
        if out_of_memory(error):
            raise _too_large(error, origin) from None
        told = reason(error)
        newer = "opset" in told or "IR version" in told
        raise fail(
            "bad-model",
            f"ONNX Runtime cannot load the model: {told}",
            origin=origin,
            help="update ONNX Runtime, or write the model for an older opset" if newer else None,
        ) from None


def _too_large(error: Exception, origin: str) -> DiagnosticError:
    return fail(
        "out-of-memory", f"the model itself does not fit in memory: {reason(error)}", origin=origin,
        help="use a smaller network, or a machine with more memory",
    )  # fmt: skip


def _on_gpu(how: Opening) -> list[Any]:
    # TF32 rounds to 10 bits; what PyTorch computes could then not be compared.
    options = {"use_tf32": str(int(how.tf32))}
    if how.capture:
        options["enable_cuda_graph"] = "1"
    return [(PROVIDERS["cuda"], options), PROVIDERS["cpu"]]


def _open_on_gpu(
    ort: Any, model: Model, origin: str, how: Opening
) -> tuple[ort.InferenceSession, str]:
    wanted = PROVIDERS["cuda"]
    if wanted not in ort.get_available_providers():
        raise _unavailable(
            "the ONNX Runtime installed was built without CUDA",
            "pip uninstall onnxruntime, then pip install 'xgraph[gpu]'; or use `cpu`",
        )
    with _captured(ort) as printed:
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        try:
            session = _create(ort, model, _options(ort, how, _WARNINGS), _on_gpu(how))
        except Exception as error:  # likewise
            if out_of_memory(error):
                raise _too_large(error, origin) from None
            _open_on_cpu(ort, model, origin, how)  # says so if the model is to blame
            if "graph capture" in str(error):
                raise fail(
                    "unfit-buckets", f"runs of this model cannot be captured: {reason(error)}",
                    origin=origin, help="leave `buckets` out",
                ) from None  # fmt: skip
            raise _unavailable(reason(error), _MAKE_SURE.format("")) from None
    told = "".join(printed)
    if session.get_providers()[0] != wanted:
        raise _unavailable(*_why(told))
    return session, told


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
            ort.set_default_logger_severity(SILENT)
            file.seek(0)
            printed.append(file.read().decode(errors="replace"))
