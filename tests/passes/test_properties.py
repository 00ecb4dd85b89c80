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
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.ir.scope import SuperLayer
from xgraph.ir.text import dump
from xgraph.passes import Pipeline
from xgraph.source import Source

CHUNKS = 10
"""The networks are tested in so many parts, for parallel workers."""


def candidates(graph: Graph, rng: random.Random) -> Iterator[str]:
    """Pipelines with names of this network in them, most of which fit it."""
    nets = [s.address.replace(".", "[", 1) + "]" * ("." in s.address) for s in graph.scopes
            if isinstance(s, SuperLayer)]  # fmt: skip
    points = [a for a in graph.points if "." in a and "[" not in a]
    some = [*rng.sample(points, min(2, len(points))), "y.p1", "y.p2"]
    layer = rng.choice([n.address for n in graph.nodes() if n.address] or ["y"])
    channels = rng.choice([[1, 1], [1, 2], [2, 3]])
    yield f"multipath{{paths={rng.randint(1, 3)} net={rng.choice(nets or ['y'])}}}"
    yield "multipath,route{kind=cc at=labels}"
    yield f"route{{kind={rng.choice(['cc', 'stitch', 'nddr', 'sluice'])} at=labels entry=false}}"
    yield f"route{{kind=cp at={rng.choice(['labels', 'stages', 'residual'])}}}"
    yield f"connect{{between=[{some[0]}, {some[1]}]}}"
    yield f"connect{{source={some[0]} target={rng.choice(nets or ['y'])} residual=true}}"
    yield f'insert{{at={some[0]} layers="relu -> dropout(0.5)"}}'
    yield f'insert{{at={some[1]} layers="bn" where=within}}'
    yield f"set{{layer={layer} attribute={rng.choice(['filters', 'units', 'rate'])} value=3}}"
    yield f"split{{into=[left, right] sizes={channels} informativeness=[0.7, 0.4]}}"
    yield f"split{{into=[left, right] sizes={channels} informativeness=[0.7, 0.4]}},xsertion"
    yield f"xsertion{{at={rng.choice(['combined', 'labels', 'residual'])} match=false}}"


def check(graph: Graph, pipeline: str) -> str:
    """What must hold of a pipeline on a network; says whether it was taken."""
    before = dump(graph)
    try:
        made = Pipeline.parse(pipeline).run(graph, lambda p, g, _: driver.verify_fully(g, p.name))
    except DiagnosticError as error:
        assert dump(graph) == before, "the input was changed"
        assert all(d.message for d in error.diagnostics)
        return "refused"
    assert dump(graph) == before, "the input was changed"
    assert unbuild(Pipeline.parse(pipeline).run(graph)) == unbuild(made), "not deterministic"
    return "taken"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_passes_on_random_networks(chunk: int, request: pytest.FixtureRequest) -> None:
    count = request.config.getoption("--networks") // 5
    for seed in range(chunk, count, CHUNKS):
        graph = build_source(Source("random.xg", random_network(seed)))
        for pipeline in candidates(graph, random.Random(seed)):
            try:
                check(graph, pipeline)
            except Exception as error:
                raise AssertionError(f"seed {seed}, {pipeline}:\n{unbuild(graph)}") from error


def test_most_are_taken() -> None:
    """Each kind of pass is taken by some networks, or the test above would say nothing."""
    taken: Counter[str] = Counter()
    for seed in range(30):
        graph = build_source(Source("random.xg", random_network(seed)))
        for number, pipeline in enumerate(candidates(graph, random.Random(seed))):
            taken[f"{number} {pipeline.partition('{')[0]}"] += check(graph, pipeline) == "taken"
    print(dict(taken))
    assert sum(n > 0 for n in taken.values()) >= 10, taken
