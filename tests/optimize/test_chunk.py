"""Batches in chunks."""

from __future__ import annotations

from pathlib import Path

import pytest
from agreement import TOLERANCE, distance, random_weights, torch_outputs

from xgraph import lower, parse
from xgraph.backends.torch import to_module, to_source
from xgraph.ir.graph import CHUNK, Graph
from xgraph.ir.text import dump, read
from xgraph.ops import OPS
from xgraph.optimize.costs import Costs, Target
from xgraph.optimize.levels import optimize
from xgraph.optimize.network import Optimized
from xgraph.samples import sample_inputs

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def chunked(low: Graph, target: Target = "torch") -> Optimized:
    costs = Costs(target, chunk=4, workers=2, threads=1)
    return optimize(low, "chunk-batch", costs=costs)


@pytest.mark.parametrize("name", ["basecnn_cc", "xflow", "avmnist_mfas"])
@pytest.mark.parametrize("batch", [1, 4, 11])
def test_outputs_stay(name: str, batch: int) -> None:
    """Of one and of several inputs and outputs, of batches that chunks divide or not."""
    low = lower(parse(EXAMPLES / f"{name}.xg"))
    made, weights = chunked(low), random_weights(low, 1)
    assert made.graph.meta[CHUNK] == "4"
    inputs = sample_inputs(low, batch, 0)
    wanted = torch_outputs(to_module(low, weights).eval(), low, inputs)
    found = torch_outputs(to_module(made.graph, weights).eval(), low, inputs)
    assert distance(wanted, found) < TOLERANCE


def test_threads_are_for_onnx_runtime() -> None:
    low = lower(parse(EXAMPLES / "basecnn_cc.xg"))
    assert chunked(low).graph.meta == {"chunk": "4"}
    assert chunked(low, "onnx").graph.meta == {"chunk": "4", "workers": "2", "threads": "1"}


def test_source_says_so() -> None:
    low = lower(parse(EXAMPLES / "basecnn_cc.xg"))
    source = to_source(chunked(low).graph)
    assert "chunks = [self._run(image) for image in image.split(4)]" in source
    assert "split(" not in to_source(low)


def test_text_keeps_it() -> None:
    text = dump(chunked(lower(parse(EXAMPLES / "basecnn_cc.xg"))).graph)
    assert read(text, OPS).meta[CHUNK] == "4"
    for bad in ('"0"', '"-1"', '"a"', '"1e3"', '"99999999999"'):
        with pytest.raises(Exception, match="`chunk` cannot be"):
            read(text.replace('chunk "4"', f"chunk {bad}"), OPS)
