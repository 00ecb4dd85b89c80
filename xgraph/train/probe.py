"""How much of the classes a linear classifier finds at each block end: the check behind where
Xsertion puts connections (Karazija et al., 2018; their probe is normalisation, dropout 0.2 and a
softmax layer on frozen activations)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from xgraph.data.feed import Feed, Order, chunks
from xgraph.data.split import Split
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.ir.graph import Graph, Value
from xgraph.ir.types import DType
from xgraph.passes import lower
from xgraph.passes.places import RULES, Place, Places, superlayers

Array = np.ndarray[Any, Any]
Pool = Literal["mean", "none"]


@final
@dataclass(frozen=True)
class Probe:
    """The test accuracy of a linear classifier at a place."""

    place: str
    depth: int
    features: int
    accuracy: float

    def to_json(self) -> dict[str, Any]:
        return vars(self)


def probe(
    graph: Graph,
    weights: Mapping[str, Array],
    feed: Feed,
    train: Split,
    test: Split,
    *,
    at: str | tuple[str, ...] = "combined",
    pool: Pool = "mean",
    epochs: int = 80,
    seed: int = 0,
) -> list[Probe]:
    """Train a linear classifier on the activations at every place of every super-layer.

    Maps are averaged (`pool="mean"`) or taken as they are; `DiagnosticError` where no output tells
    a class, or there is no place.
    """
    from xgraph.train.evaluate import runner

    main = feed.main
    if main is None:
        raise fail("bad-target", "a probe needs an output that tells a class", origin=graph.name)
    places = _places(graph, at)
    low, names = _outputs_at(graph, places)
    used = {address for address, _ in low.params()}
    run = runner(low, {k: v for k, v in weights.items() if k in used}, "torch")
    last = {n for n, p in zip(names, places, strict=True) if _has_features_last(p.value)}
    activations = [_activations(run, feed, s, names, pool, last) for s in (train, test)]
    labels = [split.whole(main.column) for split in (train, test)]
    return [
        Probe(
            f"{place.superlayer}.{place.name}", place.depth, activations[0][name].shape[1],
            _fitted(activations[0][name], labels[0], activations[1][name], labels[1],
                    main.classes or 0, epochs, seed),
        )
        for place, name in zip(places, names, strict=True)
    ]  # fmt: skip


def _places(graph: Graph, at: str | tuple[str, ...]) -> list[Place]:
    """The places that a rule or names take, in those super-layers that have any."""
    known, found, first = Places(graph), [], None
    for net in superlayers(graph):
        names = at
        if at not in RULES:
            given = (at,) if isinstance(at, str) else at
            names = tuple(n for n in given if _is_of(net, n, graph))
            if not names:
                continue
        try:
            found += [place for place in known.of(net, names) if place.taken]
        except DiagnosticError as error:
            first = first or error
    if not found:
        told = f"no super-layer has a place `{at if isinstance(at, str) else ', '.join(at)}`"
        raise first or fail("no-block-end", told, origin=graph.name)
    return found


def _is_of(net: str, name: str, graph: Graph) -> bool:
    """Whether a name, `p1` or `net.p1`, is one of a super-layer."""
    head, _, rest = name.rpartition(".")
    return f"{net}.{name}" in graph.points or (head == net and f"{net}.{rest}" in graph.points)


def _outputs_at(graph: Graph, places: list[Place]) -> tuple[Graph, list[str]]:
    """The graph with the places as its outputs, lowered."""
    told = graph.copy()
    names = [f"place{i}" for i in range(len(places))]
    told.outputs = {
        name: _twin(told, place.value) for name, place in zip(names, places, strict=True)
    }
    return lower(told), names


def _twin(copied: Graph, value: Value) -> Value:
    return copied.node(value.node.id).outputs[value.index]


def _has_features_last(value: Value) -> bool:
    """Whether a value is [steps, features] rather than [channels, ...]: by the layer it is from."""
    node = value.node
    while node.inputs and node.op.name not in (*_STEPS, *_MAPS):
        node = node.inputs[0].node
    return node.op.name in _STEPS


_STEPS = ("linear", "lstm", "gru", "embedding", "layernorm")
_MAPS = ("conv", "deconv", "depthwise", "sepconv", "maxout")


def _activations(
    run: Any, feed: Feed, split: Split, names: list[str], pool: Pool, last: set[str]
) -> dict[str, Array]:
    found: dict[str, list[Array]] = {name: [] for name in names}
    for rows in chunks(split, feed.ports[0].column):
        for start in range(0, len(rows), 256):
            inputs = {p.name: p.take(split, rows[start : start + 256]) for p in feed.ports}
            for name, value in run(inputs).items():
                axes = range(1, value.ndim - 1) if name in last else range(2, value.ndim)
                mean = value.mean(tuple(axes)) if pool == "mean" else value
                found[name].append(mean.reshape(len(value), -1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _fitted(
    x: Array, y: Array, test_x: Array, test_y: Array, classes: int, epochs: int, seed: int
) -> float:
    """Normalisation, dropout 0.2 and a softmax layer, by Adam."""
    import torch
    from torch import nn

    assert x.dtype == np.dtype(DType.F32.numpy)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.BatchNorm1d(x.shape[1]), nn.Dropout(0.2), nn.Linear(x.shape[1], classes))
    optimizer = torch.optim.Adam(net.parameters())
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
    for epoch in range(epochs):
        net.train()
        for rows in Order(len(x), 128, seed, epoch).rows():
            part = torch.from_numpy(rows)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(inputs[part]), labels[part])
            torch.autograd.backward([loss])
            optimizer.step()
    net.eval()
    with torch.inference_mode():
        right = net(torch.from_numpy(test_x)).argmax(1).numpy() == test_y
    return float(right.mean())
