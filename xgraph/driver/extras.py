"""What is installed, and what there is to run on."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from xgraph.diagnostics import fail

Device = Literal["cpu", "cuda"]

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
