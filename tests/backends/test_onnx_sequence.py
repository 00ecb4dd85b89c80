"""Recurrent layers, masks, `each` and embeddings: what depends on steps and lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_support import Array, Net, T, U, random_inputs, random_weights, run

from xgraph.backends.onnx import DEFAULT_OPSET, to_onnx
from xgraph.ir.graph import Graph
from xgraph.ir.types import Axis, Dim

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

EVERY_OPSET = pytest.mark.parametrize("opset", [17, 18, DEFAULT_OPSET])


def recurrent(op: str, *, steps: Dim = T, lengths: bool = False, **attrs: Any) -> Graph:
    net = Net()
    x = net.input("x", steps, 3)
    named = {"lengths": net.input("n", dtype="i64")} if lengths else {}
    return net.output(net(op, x, at="net.rnn", units=4, **attrs, **named)).lowered()


def by_torch(graph: Graph, weights: dict[str, Array], x: Array, lengths: Any) -> Array:
    """Each sample by itself through PyTorch's layer, cut to its length."""
    (node,) = (node for node in graph.nodes() if node.op.name in ("lstm", "gru"))
    a = node.attrs
    kind = torch.nn.LSTM if node.op.name == "lstm" else torch.nn.GRU
    layer = kind(x.shape[2], a.units, batch_first=True, bidirectional=a.bidirectional)
    with torch.no_grad():
        for name, value in layer.named_parameters():
            value.copy_(torch.from_numpy(_own(weights, name.replace("_l0", ""))))
        rows = [_one(layer, a, x[i : i + 1], n) for i, n in enumerate(lengths)]
    return np.stack(rows)


def _own(weights: dict[str, Array], name: str) -> Array:
    """Our tensor for one of PyTorch's; an LSTM's only bias here is its first there."""
    if f"net.rnn.{name}" in weights:
        return weights[f"net.rnn.{name}"]
    only = weights[f"net.rnn.{name.replace('_ih', '').replace('_hh', '')}"]
    return only if "_ih" in name else np.zeros_like(only)


def _one(layer: Any, a: Any, x: Array, length: int) -> Array:
    width = a.units * (2 if a.bidirectional else 1)
    out = np.zeros((x.shape[1], width), np.float32)
    if length == 0:
        return out[0] if a.last else out
    y, state = layer(torch.from_numpy(x[:, :length]))
    if a.last:
        final = state[0] if isinstance(state, tuple) else state
        return np.asarray(final[:, 0].reshape(-1))
    out[:length] = y[0].numpy()
    return out


@EVERY_OPSET
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("op", ["lstm", "gru"])
def test_recurrent(op: str, bidirectional: bool, last: bool, opset: int) -> None:
    graph = recurrent(op, bidirectional=bidirectional, last=last)
    weights = random_weights(graph)
    for batch in (1, 3):
        inputs = random_inputs(graph, N=batch, T=6)
        found = run(graph, weights, inputs, opset)["y"]
        wanted = by_torch(graph, weights, inputs["x"], [6] * batch)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [T, 6])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("op", ["lstm", "gru"])
def test_recurrent_with_lengths(op: str, bidirectional: bool, last: bool, steps: Dim) -> None:
    graph = recurrent(op, bidirectional=bidirectional, last=last, lengths=True, steps=steps)
    weights = random_weights(graph)
    for lengths in ([6, 0, 3, 1], [0], [2, 2], [0, 0]):
        inputs = random_inputs(graph, N=len(lengths), T=6) | {"n": np.array(lengths)}
        found = run(graph, weights, inputs)["y"]
        wanted = by_torch(graph, weights, inputs["x"], lengths)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_recurrent_tensors_stand_under_the_address() -> None:
    graph = recurrent("gru", bidirectional=True)
    model = to_onnx(graph, random_weights(graph))
    shapes = {t.name: list(t.dims) for t in model.graph.initializer if t.name.startswith("net.")}
    assert shapes == {
        "net.rnn.W": [2, 12, 3], "net.rnn.R": [2, 12, 4], "net.rnn.B": [2, 24],
    }  # fmt: skip


@EVERY_OPSET
@pytest.mark.parametrize(
    ("shape", "axis"), [((6, 3), 0), ((3, T, 2), 1), ((3, T), -1), ((T, U), 0)]
)
def test_mask(shape: tuple[Dim, ...], axis: int, opset: int) -> None:
    net = Net()
    x, lengths = net.input("x", *shape), net.input("n", dtype="i64")
    graph = net.output(net("mask", x, lengths, axis=axis, value=-7.0)).lowered()
    inputs = random_inputs(graph, N=4, T=6, U=5) | {"n": np.array([0, 2, 6, 9])}
    wanted = inputs["x"].copy()
    moved = np.moveaxis(wanted, axis % len(shape) + 1, 1)
    for row, length in zip(moved, inputs["n"], strict=True):
        row[length:] = -7
    np.testing.assert_array_equal(run(graph, {}, inputs, opset)["y"], wanted)


@pytest.mark.parametrize("shape", [(), (5,), (T, 2)])
def test_embedding(shape: tuple[Dim, ...]) -> None:
    net = Net()
    ids = net.input("ids", *shape, dtype="i64")
    graph = net.output(net("embedding", ids, at="net.e", count=5, units=3)).lowered()
    weights, inputs = random_weights(graph), random_inputs(graph, N=2, T=4)
    table = weights["net.e.weight"]
    np.testing.assert_array_equal(run(graph, weights, inputs)["y"], table[inputs["ids"]])


def test_parameter_meets_every_sample() -> None:
    net = Net()
    x = net.input("x", 3, 4)
    graph = net.output(net("add", x, net("parameter", at="net.p", shape=[3, 4]))).lowered()
    weights, inputs = random_weights(graph), random_inputs(graph, N=3)
    wanted = inputs["x"] + weights["net.p.weight"]
    np.testing.assert_array_equal(run(graph, weights, inputs)["y"], wanted)


@pytest.mark.parametrize("steps", [T, Axis("T", 5)])
def test_each_there_and_back(steps: Dim) -> None:
    net = Net()
    x = net.input("x", steps, 6, 4)
    folded = net("conv", net("each_in", x, axis="T"), at="net.c", filters=3, kernel=3)
    graph = net.output(net("each_out", folded, size=str(steps))).lowered()
    weights = random_weights(graph)
    for batch in (1, 3):
        inputs = random_inputs(graph, N=batch, T=5)
        frames = torch.from_numpy(inputs["x"]).flatten(0, 1)
        own = (torch.from_numpy(weights[f"net.c.{name}"]) for name in ("weight", "bias"))
        wanted = torch.nn.functional.conv1d(frames, *own, padding=1).unflatten(0, (batch, 5))
        found = run(graph, weights, inputs)["y"]
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-5)


def test_a_size_that_strides_made_is_read_where_it_stands() -> None:
    net = Net()
    x, lengths = net.input("x", 3, T), net.input("n", dtype="i64")
    pooled = net("maxpool", x, at="net.pool", kernel=2)
    graph = net.output(net("mask", pooled, lengths, axis=1)).lowered()
    (shape,) = (n for n in to_onnx(graph, {}).graph.node if n.op_type == "Shape")
    assert list(shape.input) == ["net.pool"]
    inputs = random_inputs(graph, N=2, T=7) | {"n": np.array([1, 3])}
    wanted = inputs["x"][:, :, :6].reshape(2, 3, 3, 2).max(-1)
    wanted[0, :, 1:] = 0
    np.testing.assert_array_equal(run(graph, {}, inputs)["y"], wanted)
