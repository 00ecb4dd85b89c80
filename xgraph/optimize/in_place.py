"""`in-place`: PyTorch writes activations over what they are of, which spares it new memory."""

from __future__ import annotations

from dataclasses import replace

from xgraph.ir.graph import IN_PLACE
from xgraph.optimize.costs import Costs
from xgraph.optimize.network import Optimized

ACTIVATIONS = frozenset(("relu", "leakyrelu", "elu", "silu"))


def in_place(network: Optimized, costs: Costs) -> Optimized:
    """Note it where PyTorch runs the network as it is written; a compiler sees to it by itself."""
    has_any = any(node.op.name in ACTIVATIONS for node in network.graph.live())
    if costs.target != "torch" or not has_any:
        return network
    graph = network.graph.copy()
    graph.meta[IN_PLACE] = "true"
    return replace(network, graph=graph)
