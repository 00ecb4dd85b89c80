"""`channels-last`: PyTorch keeps channels as the innermost axis, as its convolutions and pools on a
CPU often like them best."""

from __future__ import annotations

from dataclasses import replace

from xgraph.ir.graph import CHANNELS_LAST
from xgraph.optimize.costs import Costs
from xgraph.optimize.network import Optimized

_VOLUMES = 5
"""Axes of the weights of convolutions in three dimensions."""


def channels_last(network: Optimized, costs: Costs) -> Optimized:
    """Note it where that was found to be faster."""
    nodes = network.graph.nodes()
    if not costs.channels_last or not any(node.op.name == "conv" for node in nodes):
        return network
    if any(len(param.shape) == _VOLUMES for node in nodes for param in node.params):
        return network  # which PyTorch takes for weights of volumes, and refuses
    graph = network.graph.copy()
    graph.meta[CHANNELS_LAST] = "true"
    return replace(network, graph=graph)
