"""Every pass on random networks: a sound network that is its own text, or a diagnostic; the same
each time; and what was given stays as it was.

    pytest tests/passes/test_properties.py --networks 5000
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from random_networks import random_network

from xgraph import driver
from xgraph.build import build_source, unbuild
from xgraph.diagnostics import DiagnosticError, Report
from xgraph.ir.graph import Graph
from xgraph.ir.scope import SuperLayer
from xgraph.ir.text import dump
from xgraph.passes import Pipeline
from xgraph.passes.places import RULES
from xgraph.source import Source

CHUNKS = 10
"""The networks are tested in so many parts, for parallel workers."""

SHARE = 10
"""One in so many of the networks that other tests take, for each has many pipelines."""


def networks(seed: int) -> Iterator[Graph]:
    """A random network, and the same without its connections and routers."""
    text = random_network(seed)
    yield build_source(Source("random.xg", text))
    plain = [line for line in text.splitlines() if not line.startswith(("connect", "route"))]
    bare = build_source(Source("plain.xg", "\n".join(plain) + "\n"), report=(report := Report()))
    if not report.errors:  # layers may have been made for the shapes that connections give
        yield bare


def candidates(graph: Graph, rng: random.Random) -> Iterator[str]:
    """Pipelines with names of this network in them, so that some fit it."""
    nets = sorted({s.address.partition(".")[0] for s in graph.scopes if isinstance(s, SuperLayer)})
    single = [net for net in nets if net in graph.points] or nets
    points = [a for a in graph.points if "." in a and "[" not in a]
    some = [*rng.sample(points, min(2, len(points))), "y.p1", "y.p2"]
    modality, value = rng.choice([*graph.inputs.items()])
    channels = int(next((d for d in value.type.features if isinstance(d, int)), 2))
    parts = f"into=[left, right] sizes=[1, {channels - 1}] informativeness=[0.7, 0.4]"
    attribute, number = rng.choice([("filters", 3), ("units", 3), ("rate", 0.4), ("slope", 0.3)])
    layers = [n.address for n in graph.nodes() if attribute in n.op.attr_by_name and n.address]
    net = rng.choice(single)
    yield f"multipath{{paths={rng.randint(1, 3)} net={net}}}"
    yield f"multipath{{net={net}}},route{{at=labels streams=path}}"
    yield f"multipath{{net={net}}},route{{kind=cp at=residual streams=path}}"
    yield f"multipath{{net={net} merge=concat}},route{{at=combined streams=path entry=false}}"
    for kind in ("cc", "cp", "stitch", "nddr", "sluice"):
        yield f"route{{kind={kind} at={rng.choice(RULES)} streams={rng.choice(nets)} entry=false}}"
    yield f"connect{{between=[{some[0]}, {some[1]}]}}"
    yield f"connect{{source={some[0]} target={rng.choice(single)} residual=true}}"
    yield f'insert{{at={some[0]} layers="relu -> dropout(0.5)"}}'
    yield f'insert{{at={some[1]} layers="bn" where=within}}'
    for layer in layers[:2]:
        yield f"set{{layer={layer} attribute={attribute} value={number}}}"
    yield f"split{{input={modality} {parts}}}"
    yield f"split{{input={modality} {parts}}},xsertion{{net={net} at={rng.choice(RULES)}}}"
    yield f"xsertion{{net={net} at={rng.choice(RULES)} match=false}}"


def check(graph: Graph, pipeline: str) -> bool:
    """What must hold of a pipeline on a network; whether it was taken."""
    before = dump(graph)
    try:
        made = Pipeline.parse(pipeline).run(graph, lambda p, g, _: driver.verify_fully(g, p.name))
    except DiagnosticError:
        assert dump(graph) == before, "the input was changed"
        return False
    assert dump(graph) == before, "the input was changed"
    assert unbuild(Pipeline.parse(pipeline).run(graph)) == unbuild(made), "not deterministic"
    return True


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_passes_on_random_networks(chunk: int, request: pytest.FixtureRequest) -> None:
    count = request.config.getoption("--networks") // SHARE
    taken: Counter[str] = Counter()
    for seed in range(chunk, count, CHUNKS):
        for graph in networks(seed):
            for pipeline in candidates(graph, random.Random(seed)):
                try:
                    taken[pipeline.partition("{")[0]] += check(graph, pipeline)
                except Exception as error:
                    raise AssertionError(f"{seed}: {pipeline}\n{unbuild(graph)}") from error
    assert sum(taken.values()) >= count // CHUNKS, taken
