"""Samples of every example space through both backends: equal outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import TOLERANCE, distance, random_weights, torch_outputs

from xgraph.passes import lower
from xgraph.samples import sample_inputs
from xgraph.space import Sample, Space

SPACES = Path(__file__).parent.parent.parent / "examples" / "spaces"
every_space = pytest.mark.parametrize("path", sorted(SPACES.glob("*.xg")), ids=lambda p: p.stem)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def agree(sample: Sample) -> None:
    from xgraph.backends.onnx import check, to_onnx
    from xgraph.backends.torch import to_module
    from xgraph.runtime import Session

    low = lower(sample.graph())
    weights = random_weights(low, seed=3)
    model = to_onnx(low, weights)
    check(model)
    inputs = sample_inputs(low, 2, seed=1)
    found = Session(model.SerializeToString(), threads=1).run(inputs)
    assert all(np.isfinite(value).all() for value in found.values())
    ours = torch_outputs(to_module(low, weights).eval(), low, inputs)
    assert distance(ours, found) < TOLERANCE, sample.encoding


@every_space
def test_pytorch_and_onnx_runtime_agree(path: Path) -> None:
    for sample in Space.load(path).samples(3, seed=4):
        agree(sample)


@pytest.mark.long
@every_space
def test_pytorch_and_onnx_runtime_agree_on_many(path: Path) -> None:
    for sample in Space.load(path).samples(200, seed=5):
        agree(sample)
