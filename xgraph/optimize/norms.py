"""`fold-norms`: a batch normalisation behind a convolution or linear layer becomes part of it."""

from __future__ import annotations

from xgraph.ir.graph import Node, Value
from xgraph.optimize.network import Maker, Optimized
from xgraph.optimize.sources import Held, Norm, NormedBias, NormedWeight


def fold_norms(network: Optimized) -> Optimized:
    """Where nothing else reads the layer."""
    maker = Maker(network)
    graph = network.graph
    read = set(graph.outputs.values())
    folded: dict[Node, Node] = {}
    for node in graph.live():
        layer = node.inputs[0].node if node.op.name == "bn" else None
        if (
            layer is not None
            and layer.op.name in ("conv", "linear")
            and layer.output not in read
            and len(graph.users(layer.output)) == 1
            and _is_of_outputs(node, layer)
        ):
            folded[layer] = node
    for node in graph.live():
        if node in folded:
            maker.values[folded[node].output] = _folded(maker, node, folded[node])
        elif node.op.name != "bn" or node.inputs[0].node not in folded:
            maker.copy(node)
    return maker.done()


def _is_of_outputs(norm: Node, layer: Node) -> bool:
    """Whether it normalises what the layer's weight has first: channels, or features."""
    axis = norm.resolved.axis
    return bool(axis == 0 if layer.op.name == "conv" else axis == layer.output.type.rank - 1)


def _folded(maker: Maker, layer: Node, norm: Node) -> Value:
    own = norm.address
    affine = norm.resolved.affine
    told = Norm(
        Held(f"{own}.running_mean"), Held(f"{own}.running_var"),
        Held(f"{own}.weight") if affine else None, Held(f"{own}.bias") if affine else None,
        norm.resolved.eps,
    )  # fmt: skip
    bias = Held(f"{layer.address}.bias") if layer.resolved.bias else None
    return maker.add(
        layer.op, [maker.values[v] for v in layer.inputs], {**layer.attrs, "bias": True}, layer,
        {"weight": NormedWeight(Held(f"{layer.address}.weight"), told),
         "bias": NormedBias(bias, told)},
        address=layer.address,
    )  # fmt: skip
