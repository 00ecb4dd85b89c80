"""The whole compiler: text to graph (`networks`), graph to module (`running`), to source, model or
text (`writing`), and the backends held against each other (`comparing`)."""

from xgraph.driver.comparing import compare
from xgraph.driver.extras import require, require_device
from xgraph.driver.networks import (
    Network,
    Settings,
    apply,
    as_graph,
    check,
    parse,
    read_source,
    space,
    space_of,
    tensor_graph,
    verify_fully,
)
from xgraph.driver.optimizing import optimized
from xgraph.driver.running import Backend, load, run, run_module
from xgraph.driver.weights import Weights, initial_weights
from xgraph.driver.writing import SUFFIX, Compiled, Target, check_generated, compile  # noqa: A004

__all__ = [
    "SUFFIX",
    "Backend",
    "Compiled",
    "Network",
    "Settings",
    "Target",
    "Weights",
    "apply",
    "as_graph",
    "check",
    "check_generated",
    "compare",
    "compile",
    "initial_weights",
    "load",
    "optimized",
    "parse",
    "read_source",
    "require",
    "require_device",
    "run",
    "run_module",
    "space",
    "space_of",
    "tensor_graph",
    "verify_fully",
]
