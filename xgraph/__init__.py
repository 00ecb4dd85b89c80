"""xgraph: a graph-IR compiler for cross-modal neural networks.

    graph = xgraph.parse("net.xg")                  # the architecture-level graph
    module = xgraph.load("net.xg")                  # a torch.nn.Module
    xgraph.compile("net.xg", "onnx", "net.onnx")    # a file
    outputs = xgraph.run("net.onnx", {"image": array})

Names are looked up at first use, so that importing xgraph costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING, Any

# In a checkout `grammar/`, `passes/` and `backends/` stand beside this folder; an installed
# package has them inside. Extending the path makes `xgraph.grammar` mean the same in both.
_beside = _Path(__file__).resolve().parent.parent
if (_beside / "pyproject.toml").is_file():
    __path__.append(str(_beside))

__version__ = "0.1.0"

if TYPE_CHECKING:
    from xgraph.build import unbuild
    from xgraph.diagnostics import Diagnostic, DiagnosticError
    from xgraph.driver import Compiled, apply, compile, load, optimized, parse, run  # noqa: A004
    from xgraph.ir.graph import Graph
    from xgraph.ir.op import Fault
    from xgraph.ops import OPS
    from xgraph.passes import lower
    from xgraph.report import Summary
    from xgraph.space import Sample, Space

__all__ = [
    "OPS",
    "Compiled",
    "Diagnostic",
    "DiagnosticError",
    "Fault",
    "Graph",
    "Sample",
    "Space",
    "Summary",
    "apply",
    "compile",
    "load",
    "lower",
    "optimized",
    "parse",
    "run",
    "unbuild",
]

_HOMES = {
    "OPS": "ops",
    "Compiled": "driver",
    "Diagnostic": "diagnostics",
    "DiagnosticError": "diagnostics",
    "Fault": "ir.op",
    "Graph": "ir.graph",
    "Sample": "space",
    "Space": "space",
    "Summary": "report",
    "apply": "driver",
    "compile": "driver",
    "load": "driver",
    "lower": "passes",
    "optimized": "driver",
    "parse": "driver",
    "run": "driver",
    "unbuild": "build",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'xgraph' has no attribute {name!r}")
    value = getattr(import_module(f"xgraph.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "IPython" in sys.modules:
    import_module("xgraph.view").install()
