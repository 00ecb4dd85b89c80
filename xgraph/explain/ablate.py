"""Which parts carry information: what is measured with each of them switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.data.feed import Feed
from xgraph.explain.hear import Heard, Routed
from xgraph.explain.taps import gates, joins, plain_routers, title_of
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ops import OPS
from xgraph.passes import lower
from xgraph.train.evaluate import evaluate

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True)
class Ablation:
    """What was measured without something."""

    address: str
    title: str
    off: str
    """In what way it was switched off."""
    metrics: Mapping[str, float]
    margin: float | None
    """Of the change in accuracy: 1.96 standard errors over the rows, each with and without it."""


def ablations(
    graph: Graph,
    weights: Mapping[str, Array],
    feed: Feed,
    heard: Heard,
    predict: list[str],
    observe: Callable[[str], None],
) -> Iterator[Ablation]:
    """Of an architecture-level graph, of each connection and router by itself, on the rows that
    were heard."""
    for address, title, off, low, changed in _switched(graph, heard):
        observe(title)
        used = {name: changed.get(name, weights[name]) for name, _ in low.params()}
        found = evaluate(low, used, feed, heard.split, predict=predict)
        margin = _margin(heard, found.predictions) if feed.targets[0] is feed.main else None
        yield Ablation(address, title, off, found.metrics, margin)


def _margin(heard: Heard, predictions: Array) -> float | None:
    if heard.labels is None:
        return None
    whole, part = (_right(each, heard.labels) for each in (heard.predictions, predictions))
    return float(1.96 * (whole - part).std() / np.sqrt(len(whole)))


def _right(predictions: Array, labels: Array) -> Array:
    """The share of each row that is predicted right."""
    right = predictions == labels
    return np.asarray(right.reshape(len(right), -1).mean(1))


def _switched(
    graph: Graph, heard: Heard
) -> Iterator[tuple[str, str, str, Graph, Mapping[str, Array]]]:
    """The graphs to be measured, with the weights that are others there."""
    for join in joins(graph):
        yield join.address, title_of(join), "brings nothing", _without(graph, join), {}
    whole = lower(graph)
    for routed in heard.routed:
        at, title = routed.router.address, routed.router.title
        yield at, title, "gates at their mean", whole, _constant(routed)
        if routed.router.is_between:
            low = lower(graph)
            for i, node in enumerate(gates(low)[at]):
                for share, _ in low.users(node.output):
                    if routed.router.crosses(i, int(share.attrs["start"])):
                        _scale(low, share.output, low.users(share.output))
            yield at, title, "nothing crosses", low, {}
    for router in plain_routers(graph):
        if [v.type for v in router.inputs] == [v.type for v in router.outputs]:
            copied = graph.copy()
            node = copied.node(router.id)
            for value, made in zip(node.inputs, node.outputs, strict=True):
                copied.replace_uses(made, value)
            yield router.address, title_of(router), "left out", lower(copied), {}


def _constant(routed: Routed) -> dict[str, Array]:
    """Weights by which gates are at their means over the rows, whatever the input."""
    found = {}
    for i, mean in enumerate(routed.gates.mean(0)):
        last = f"{routed.router.address}.gate.{i}.fc2"
        hidden = routed.router.hidden
        found[f"{last}.weight"] = np.zeros((len(mean), hidden), np.float32)
        found[f"{last}.bias"] = np.log(np.maximum(mean, 1e-30)).astype(np.float32)
    return found


def _without(graph: Graph, join: Node) -> Graph:
    """A graph in which a connection leaves the stream as it is; where it makes the stream wider,
    it brings zeros."""
    copied = graph.copy()
    node = copied.node(join.id)
    stream, brought = node.inputs
    if stream.type == node.output.type:
        copied.replace_uses(node.output, stream)
    else:
        _scale(copied, brought, [(node, 1)])
    return lower(copied)


def _scale(graph: Graph, value: Value, readers: list[tuple[Node, int]]) -> None:
    """Let these inputs of nodes read zeros."""
    zeros = graph.add(OPS["scale"], [value], {"factor": 0.0}, scope=value.node.scope).output
    for node, index in readers:
        graph.replace_input(node, index, zeros)
