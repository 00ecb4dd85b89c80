"""Random networks: the source must compute what the graph says, whatever is named how."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_support import Net, check, weights_of

from xgraph.backends.torch import to_module
from xgraph.ir.graph import Graph, Node, Value

NAMES = ["y", "u", "path", "x", "b1", "self", "0", "1", "2", "gate", "lambda", "train", "F", "fc"]


def _address(rng: random.Random, index: int) -> str:
    prefix = [rng.choice(NAMES) for _ in range(rng.randrange(4))]
    return ".".join([*prefix, f"n{index}"])


def random_net(seed: int, steps: int) -> Net:
    """Vectors of 6 features through random ops under random addresses."""
    rng = random.Random(seed)
    net = Net("random")
    values = [net.input(name, 6) for name in ("x", "torch", "y")[: rng.randint(1, 3)]]
    for index in range(steps):
        values.append(_step(net, rng, values, _address(rng, index)))
    for index in range(rng.randint(1, 3)):
        net.output(f"out{index}", rng.choice(values[-5:]))
    return net


def _step(net: Net, rng: random.Random, values: list[Value], address: str) -> Value:
    recent = values[-rng.choice((1, 2, 8)) :]
    some = [rng.choice(recent) for _ in range(rng.randint(2, 9))]
    match rng.randrange(9):
        case 0 | 1 | 2:
            return net.add("linear", some[0], address=address, units=6)
        case 3:
            return net.add("tanh", some[0], address=address)
        case 4:
            return net.add("add", *some, address=address)
        case 5:
            return net.add("max", *some, address=address)
        case 6:
            parts = [net.add("slice", v, address=f"{address}s{i}", start=2 * i, stop=2 * i + 2)
                     for i, v in enumerate(some[:2])]  # fmt: skip
            wide = net.add("slice", some[-1], address=f"{address}w", start=-2)
            return (
                net.add("concat", *parts, wide, address=f"{address}c") if len(parts) == 2 else wide
            )
        case 7:
            share = net.add("parameter", address=address, shape=(6,))
            return net.add("mul", some[0], share, address=f"{address}m")
        case _:
            return net.add("scale", some[0], address=address, factor=0.5, offset=-1.0)


def evaluate(graph: Graph, inputs: dict[str, Tensor], weights: dict[str, Tensor]) -> list[Tensor]:
    """The outputs of a graph of the ops above, node by node."""
    found: dict[Value, Tensor] = {}
    for node in graph.nodes():
        if node.op.name == "input":
            found[node.output] = inputs[node.address]
        else:
            found[node.output] = _value(node, [found[v] for v in node.inputs], weights)
    return [found[value] for value in graph.outputs.values()]


def _value(node: Node, xs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
    a = node.resolved
    match node.op.name:
        case "linear":
            return xs[0] @ weights[f"{node.address}.weight"].T + weights[f"{node.address}.bias"]
        case "tanh":
            return xs[0].tanh()
        case "add":
            return sum(xs[1:], start=xs[0])
        case "max":
            return torch.stack(xs).amax(0)
        case "mul":
            return xs[0] * xs[1]
        case "slice":
            return xs[0][:, a.start : a.stop]
        case "concat":
            return torch.cat(xs, 1)
        case "parameter":
            return weights[f"{node.address}.weight"][None]
    return xs[0] * a.factor + a.offset


@pytest.mark.parametrize("seed", range(60))
def test_random_network(seed: int) -> None:
    net = random_net(seed, 6 + seed % 40)
    graph = net.lowered()
    weights = weights_of(graph, seed)
    inputs = {name: torch.randn(3, 6) for name in graph.inputs}
    module = to_module(graph, weights).eval()
    wanted = evaluate(graph, inputs, {k: torch.tensor(v) for k, v in weights.items()})
    given = module(*inputs.values())
    for got, want in zip([given] if len(wanted) == 1 else given, wanted, strict=True):
        np.testing.assert_allclose(got.detach(), want, rtol=1e-4, atol=1e-5)
    check(graph)
