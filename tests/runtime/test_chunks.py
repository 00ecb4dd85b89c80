"""Batches in parts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from xgraph import lower, parse
from xgraph.backends.onnx import to_onnx
from xgraph.build import build_source
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Costs
from xgraph.optimize.levels import optimize
from xgraph.runtime import Plan, Session
from xgraph.runtime.chunks import told_plan
from xgraph.samples import sample_inputs
from xgraph.source import Source
from xgraph.weights import initialise

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def low() -> Graph:
    return lower(parse(EXAMPLES / "avmnist_mfas.xg"))


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize(
    "plan", [{"chunk": 2}, {"workers": 2}, {"workers": 3, "chunk": 2}, {"chunk": 100}]
)
def test_outputs_stay_in_order(low: Graph, plan: dict[str, int], batch: int) -> None:
    model = to_onnx(low, initialise(low, 0)).SerializeToString()
    inputs = sample_inputs(low, batch, 0)
    wanted = Session(model, threads=1).run(inputs)
    found = Session(model, threads=1, **plan).run(inputs)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert np.allclose(found[name], value, atol=1e-6), name


def test_a_model_says_how(low: Graph) -> None:
    made = optimize(low, "chunk-batch", costs=Costs(chunk=4))
    session = Session(to_onnx(made.graph, initialise(low, 0)).SerializeToString())
    assert session.plan == Plan(chunk=4)
    model = to_onnx(made.graph, initialise(low, 0)).SerializeToString()
    assert Session(model, threads=1).plan == Plan(1)
    assert Session(model, workers=1).plan == Plan()


@pytest.mark.parametrize("told", ["0", "-1", "x", "", "9" * 30])
def test_a_model_that_says_nonsense(low: Graph, told: str) -> None:
    model = to_onnx(low, initialise(low, 0))
    model.metadata_props.add(key="xgraph.chunk", value=told)
    assert Session(model.SerializeToString()).plan == Plan()


def test_a_batch_that_is_not_first() -> None:
    low = lower(build_source(Source("<test>", "network n\nmodality x: [4]\noutput y = x")))
    model = to_onnx(low, initialise(low, 0))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "M"
    with pytest.raises(DiagnosticError, match="cannot run a batch in parts"):
        Session(model.SerializeToString(), threads=1, chunk=2)


@pytest.mark.parametrize(
    ("plan", "told"),
    [({"chunk": 0}, "1 or more"), ({"workers": 0}, "1 or more"), ({"threads": 0}, "1 or more"),
     ({"chunk": 1.5}, "is an integer"), ({"workers": "2"}, "is an integer"),
     ({"threads": 2**31}, "256 or less"), ({"workers": 1000}, "256 or less")],
)  # fmt: skip
def test_mistakes(low: Graph, plan: dict[str, Any], told: str) -> None:
    with pytest.raises(DiagnosticError, match=told):
        Session(to_onnx(low, initialise(low, 0)).SerializeToString(), **plan)


def test_shares() -> None:
    assert [Plan(workers=2).size(n) for n in (1, 2, 7)] == [1, 1, 4]
    assert [Plan(workers=2, chunk=3).size(n) for n in (1, 4, 100)] == [1, 2, 3]


def test_a_model_without_inputs() -> None:
    low = lower(build_source(Source("<test>", "network n\nlet p = parameter([4])\noutput p\n")))
    model = to_onnx(low, initialise(low, 0)).SerializeToString()
    assert list(Session(model).run({})) == ["p"]


def test_no_outputs_at_all(low: Graph) -> None:
    session = Session(to_onnx(low, initialise(low, 0)).SerializeToString(), chunk=2)
    assert session.run(sample_inputs(low, 3), []) == {}


def test_a_model_of_a_larger_machine() -> None:
    here = os.cpu_count() or 1
    told = told_plan({"xgraph.threads": "3000", "xgraph.workers": "1000000", "xgraph.chunk": "8"})
    assert told == Plan(here, here, 8)


def test_outputs_of_all_rows_against_all() -> None:
    """Of parts they would be blocks on the diagonal."""
    size = onnx.TensorProto.FLOAT, ["N", 3]
    value = onnx.helper.make_tensor_value_info("x", *size)
    for dims in (["N", "N"], ["N", None]):
        made = onnx.helper.make_model(
            onnx.helper.make_graph(
                [onnx.helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
                 onnx.helper.make_node("MatMul", ["x", "t"], ["y"])],
                "alike", [value],
                [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, dims)],
            ), ir_version=9, opset_imports=[onnx.helper.make_opsetid("", 20)],
        )  # fmt: skip
        with pytest.raises(DiagnosticError, match="cannot run a batch in parts"):
            Session(made.SerializeToString(), chunk=2)
        found = Session(made.SerializeToString()).run({"x": np.ones((5, 3), "f4")}, ["y", "y"])
        assert found["y"].shape == (5, 5)
