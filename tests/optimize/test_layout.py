"""Values that stay in blocks of channels."""

from __future__ import annotations

from pathlib import Path

import pytest

from xgraph import lower, parse
from xgraph.backends.onnx import to_onnx
from xgraph.build import build_source
from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Costs, Target
from xgraph.optimize.levels import optimize
from xgraph.runtime import Session
from xgraph.samples import sample_inputs
from xgraph.source import Source
from xgraph.weights import initialise

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
RESIDUAL = """network n
block residual(filters, groups = 1) {
  let short = in
  conv(filters, 3) -> relu -> conv(filters, 3, groups = groups) -> add(short) -> relu
}
block sum() { let short = in
  relu -> add(short)
}
modality x: [CHANNELS, 8, 8]
superlayer p(x) { BODY }
output y = p
"""


def pools(low: Graph, target: Target = "onnx") -> int:
    """How many are new."""
    made = optimize(low, "keep-blocks", costs=Costs(target)).graph
    return sum(node.op.name == "maxpool" for node in made.nodes())


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("residual(16)", 1),
        ("residual(16) -> residual(16)", 1),
        ("conv(16, 3) -> relu -> residual(16)", 0),
        ("conv(16, 3) -> softmax(axis = 0) -> residual(16)", 1),
        ("sum", 0),
        ("residual(16, groups = 4)", 0),
        ("conv(12, 3) -> residual(12)", 0),
    ],
)
def test_sums_of_blocks_and_others(body: str, count: int) -> None:
    text = RESIDUAL.replace("BODY", body).replace("CHANNELS", "16")
    low = lower(build_source(Source("<test>", text)))
    assert pools(low) == count
    assert pools(low, "torch") == pools(low, "cuda") == 0


def test_models_give_the_same() -> None:
    low = lower(parse(EXAMPLES / "resnet_cifar_cc.xg"))
    weights, inputs = initialise(low, 0), sample_inputs(low, 3, 0)
    made = optimize(low, "tidy,fold-norms,join-paths,keep-blocks")
    assert sum(node.op.name == "maxpool" for node in made.graph.nodes()) == 1
    ours = Session(to_onnx(made.graph, made.weights(weights)).SerializeToString()).run(inputs)
    wanted = Session(to_onnx(low, weights).SerializeToString()).run(inputs)
    assert abs(ours["logits"] - wanted["logits"]).max() < 1e-4
