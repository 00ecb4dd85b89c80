"""Random networks hold what every network must: through the language, the IR and both backends.

`pytest --networks 5000` tests more of them. A failure prints the network and its seed.
"""

from __future__ import annotations

from collections import Counter

import pytest
from agreement import TOLERANCE, differences, distance, random_weights, torch_outputs
from random_networks import random_network

from xgraph import lower, parse, unbuild
from xgraph.diagnostics import Report
from xgraph.grammar import format_document
from xgraph.grammar import parse as parse_text
from xgraph.ir.verify import verify
from xgraph.ops import OPS
from xgraph.samples import sample_inputs
from xgraph.source import Source

CHUNKS = 20
"""The networks are tested in so many parts, for parallel workers."""


def check_network(seed: int, used: Counter[str]) -> None:
    """Everything that must hold of the network of one seed."""
    from xgraph.backends.onnx import check, to_onnx
    from xgraph.backends.runtime import Session
    from xgraph.backends.torch import to_module

    text = random_network(seed)
    graph = parse(text)
    used.update(node.op.name for node in graph.nodes())
    assert not verify(graph)
    assert not differences(graph, parse(unbuild(graph)))
    report = Report()
    once = format_document(parse_text(Source("once", text), report))
    assert format_document(parse_text(Source("twice", once), report)) == once
    assert not report.errors
    low = lower(graph)
    assert not verify(low)
    weights = random_weights(low, seed)
    module = to_module(low, weights).eval()
    assert set(module.state_dict()) == {name for name, _ in low.params()}
    model = to_onnx(low, weights)
    check(model)
    session = Session(model.SerializeToString(), threads=1)
    for batch in (1, 3):
        inputs = sample_inputs(low, batch, seed, {"T": 5 if batch == 1 else 8})
        found = session.run(inputs)
        assert distance(torch_outputs(module, low, inputs), found) < TOLERANCE


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_networks(chunk: int, request: pytest.FixtureRequest) -> None:
    import torch

    torch.set_num_threads(1)
    used: Counter[str] = Counter()
    for seed in range(chunk, request.config.getoption("--networks"), CHUNKS):
        try:
            check_network(seed, used)
        except Exception as error:
            text = random_network(seed)
            raise AssertionError(f"the network of seed {seed} fails: {error}\n\n{text}") from error


def test_every_op_occurs() -> None:
    used: Counter[str] = Counter()
    for seed in range(500):
        used.update(node.op.name for node in parse(random_network(seed)).nodes())
    assert not [name for name, op in OPS.items() if not op.hidden and not used[name]]
