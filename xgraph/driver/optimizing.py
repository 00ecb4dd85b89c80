"""Networks optimised for what they will run on."""

from __future__ import annotations

from typing import get_args

from xgraph.diagnostics import fail
from xgraph.driver.extras import Device
from xgraph.driver.networks import Network, as_graph, tensor_graph
from xgraph.given import integer, kind_of, one_of
from xgraph.optimize.costs import Target as Machine
from xgraph.optimize.levels import CHOOSING, Observer, names
from xgraph.optimize.levels import optimize as run_passes
from xgraph.optimize.network import Optimized
from xgraph.tune.store import costs, kept


def optimized(
    network: Network,
    told: str = "2",
    engine: Machine = "onnx",
    device: Device = "cpu",
    batch: int = 1,
    observe: Observer | None = None,
) -> Optimized:
    """What `compile` writes, with the way of weights there and back: a network after the passes of
    a level, or of a list of names, that choose by what this machine is fast at when `engine`
    ("onnx", "torch" or, for `torch.compile`, "inductor") runs `batch` samples at once.
    """
    low = tensor_graph(as_graph(network))
    if not isinstance(told, str):
        told_of = f"`optimize` is a text such as '2', not {kind_of(told)}"
        raise fail("bad-option", told_of)
    one_of("engine", engine, get_args(Machine))
    one_of("device", device, get_args(Device))
    target: Machine = "cuda" if device == "cuda" else engine
    size = integer("batch", batch, least=1)
    found = None
    if not CHOOSING.keys().isdisjoint(names(told)):
        found = kept(low, target, size) or costs(target, size)
    return run_passes(low, told, observe, found)
