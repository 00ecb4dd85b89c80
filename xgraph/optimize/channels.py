"""`channels-last`: PyTorch keeps channels as the innermost axis, as its convolutions and pools on a
CPU often like them best."""

from __future__ import annotations

from dataclasses import replace

from xgraph.ir.graph import CHANNELS_LAST
from xgraph.optimize.costs import Costs
from xgraph.optimize.network import Optimized


def channels_last(network: Optimized, costs: Costs) -> Optimized:
    """Note it where that was found to be faster."""
    if not costs.channels_last or not any(n.op.name == "conv" for n in network.graph.nodes()):
        return network
    graph = network.graph.copy()
    graph.meta[CHANNELS_LAST] = "true"
    return replace(network, graph=graph)
