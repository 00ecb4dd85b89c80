"""What a whole ONNX model looks like: names, sizes, opsets, and what it must not hold."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from onnx_support import Net, T, U, random_inputs, random_weights, run

import xgraph
from xgraph.backends.onnx import DEFAULT_OPSET, OPSETS, RULES, UNSUPPORTED, check, rule, to_onnx
from xgraph.diagnostics import DiagnosticError, InternalError
from xgraph.ir.types import Axis, Dim
from xgraph.ops import OPS
from xgraph.runtime import Session
from xgraph.source import Source

onnx = pytest.importorskip("onnx")
ROOT = Path(__file__).resolve().parents[2]


def small() -> Net:
    net = Net()
    y = net("conv", net.input("image", 3, 8, 8), at="y.b1.conv1", filters=4, kernel=3)
    y = net("bn", y, at="y.b1.bn1")
    y = net("gelu", y, at="y.b1.gelu1")
    y = net("linear", net("flatten", y, at="head.flatten1"), at="head.linear1", units=5)
    return net.output(y, "logits")


def paths(size: Dim = 8) -> Net:
    """Two paths of convolutions with a data-dependent router between them."""
    net = Net()
    image = net.input("image", 3, size, size)
    streams = [
        net("relu", net("conv", image, at=f"path.{i}.c1", filters=4, kernel=3)) for i in (0, 1)
    ]
    routed = net.graph.add(OPS["cc"], streams, {"outputs": 2}, address="cc_path_c1").outputs
    pooled = [net("globalavgpool", v, at=f"path.{i}.pool") for i, v in enumerate(routed)]
    return net.output(net("mean", *pooled, at="head"), "logits")


# --------------------------------------------------------------------------------------- names


def test_names_are_addresses() -> None:
    graph = small().lowered()
    model = to_onnx(graph, random_weights(graph), opset=18)  # which has no Gelu of its own
    assert [n.name for n in model.graph.node] == [
        "y.b1.conv1", "y.b1.bn1", "y.b1.gelu1/Div", "y.b1.gelu1/Erf", "y.b1.gelu1/Add",
        "y.b1.gelu1/Mul", "y.b1.gelu1", "head.flatten1.reshape1", "head.linear1",
    ]  # fmt: skip
    values = [n.output[0] for n in model.graph.node]
    assert values[0] == "y.b1.conv1"
    assert values[-1] == "logits"


def test_parameters_are_tensors_under_their_addresses() -> None:
    graph = small().lowered()
    weights = random_weights(graph)
    model = to_onnx(graph, weights)
    found = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for name, value in weights.items():
        if name.endswith("num_batches_tracked"):
            assert name not in found
        else:
            np.testing.assert_array_equal(found[name], value)


def test_every_name_is_given_once() -> None:
    graph = paths().lowered()
    model = to_onnx(graph, random_weights(graph))
    values = [
        *(v.name for v in model.graph.input),
        *(t.name for t in model.graph.initializer),
        *(name for n in model.graph.node for name in n.output),
    ]
    for names in (values, [n.name for n in model.graph.node]):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_names_that_users_chose_badly_still_work() -> None:
    """An output called as an input, as a node, as a parameter; one value under two names; an
    input given out; a node called as another's parameter."""
    net = Net()
    x = net.input("x", 4)
    a = net("linear", x, at="a", units=4)
    b = net("relu", net("tanh", a, at="a.weight"), at="b")
    graph = (
        net.output(b, "x").output(a, "b").output(b, "a.weight").output(a, "again")
        .output(x, "copy").output(net("dropout", x, rate=0.5), "alias").lowered()
    )  # fmt: skip
    weights, inputs = random_weights(graph), random_inputs(graph, N=2)
    first = inputs["x"] @ weights["a.weight"].T + weights["a.bias"]
    second = np.maximum(np.tanh(first), 0)
    found = run(graph, weights, inputs)
    wanted = {
        "x": second, "b": first, "a.weight": second, "again": first,
        "copy": inputs["x"], "alias": inputs["x"],
    }  # fmt: skip
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)


def test_operators_tell_their_line() -> None:
    graph = small().lowered()
    source = Source("a.xg", "network a\n\nmodality image: [3, 8, 8]\n")
    graph.source_text = source.text
    graph.nodes()[1].span = source.span(11, 19)
    model = to_onnx(graph, random_weights(graph))
    assert model.graph.node[0].doc_string == "line 3"


# --------------------------------------------------------------------------------------- sizes


def test_open_sizes_are_named() -> None:
    net = Net()
    x = net.input("x", 3, T)
    net.output(net("maxpool", x, kernel=2)).output(x, "same")
    model = to_onnx(net.lowered(), {})
    described = Session(model.SerializeToString())
    assert described.inputs == {"x": ("float32", ("N", 3, "T"))}
    assert described.outputs["y"] == ("float32", ("N", 3, "((T - 2) // 2) + 1"))


def test_a_router_network_reads_no_sizes_and_branches_nowhere() -> None:
    graph = paths().lowered()
    weights = random_weights(graph)
    operators = {n.op_type for n in to_onnx(graph, weights).graph.node}
    assert not operators & {"If", "Loop", "Scan", "Shape", "Size", "NonZero"}
    for batch in (1, 3):
        assert run(graph, weights, random_inputs(graph, N=batch))["logits"].shape == (batch, 4)


def test_each_with_a_known_axis_reads_no_sizes() -> None:
    net = Net()
    folded = net("each_in", net.input("x", 7, Axis("T", 5), 6), axis="T")
    graph = net.output(net("each_out", folded, size="T=5")).lowered()
    assert "Shape" not in {n.op_type for n in to_onnx(graph, {}).graph.node}


def test_only_the_second_open_size_is_read() -> None:
    net = Net()
    x = net.input("x", T, U, 6)
    graph = net.output(net("reshape", x, shape=(6, T, U))).lowered()
    shapes = [n for n in to_onnx(graph, {}).graph.node if n.op_type == "Shape"]
    assert [list(n.input) for n in shapes] == [["x"]]


def test_a_size_that_no_input_tells_is_a_diagnostic() -> None:
    net = Net()
    x = net.input("x", 2 * T, 3 * U)
    graph = net.output(net("reshape", x, shape=(T, U, 6))).lowered()
    with pytest.raises(DiagnosticError, match="cannot tell the size `U`"):
        to_onnx(graph, {})


# --------------------------------------------------------------------------- opsets, metadata


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_is_in_order(opset: int) -> None:
    graph = small().lowered()
    model = to_onnx(graph, random_weights(graph), opset=opset)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]
    onnx.checker.check_model(model, full_check=True)
    check(model)


def test_the_ir_version_is_the_oldest_for_the_opset() -> None:
    graph = small().lowered()
    weights = random_weights(graph)
    assert to_onnx(graph, weights, opset=18).ir_version == 8
    assert to_onnx(graph, weights, opset=26).ir_version == 13


@pytest.mark.parametrize("opset", [16, 27, 0, -1])
def test_other_opsets_are_refused(opset: int) -> None:
    with pytest.raises(DiagnosticError) as caught:
        to_onnx(small().lowered(), {}, opset=opset)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.id == "unsupported-opset"
    assert f"{OPSETS[0]} to {OPSETS[-1]}; {DEFAULT_OPSET}" in (diagnostic.help or "")


def test_the_model_says_where_it_comes_from() -> None:
    graph = small().lowered()
    graph.source_text = "network test\n"
    model = to_onnx(graph, random_weights(graph))
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties == {"xgraph.version": xgraph.__version__, "xgraph.source": "network test\n"}
    assert (model.producer_name, model.producer_version) == ("xgraph", xgraph.__version__)
    assert model.graph.name == "test"


def test_a_model_is_written_the_same_every_time() -> None:
    graph = paths().lowered()
    weights = random_weights(graph)
    first, second = (to_onnx(graph, weights).SerializeToString() for _ in range(2))
    assert first == second


# ---------------------------------------------------------------------------------- mistakes


def test_weights_that_are_missing_or_of_another_shape() -> None:
    graph = small().lowered()
    weights = random_weights(graph)
    weights["y.b1.conv1.weigth"] = weights.pop("y.b1.conv1.weight")
    with pytest.raises(DiagnosticError, match=r"did you mean `y\.b1\.conv1\.weigth`"):
        to_onnx(graph, weights)
    weights["y.b1.conv1.weight"] = np.zeros((4, 3, 1, 1), np.float32)
    with pytest.raises(DiagnosticError, match=r"\[4, 3, 1, 1\].*\[4, 3, 3, 3\]"):
        to_onnx(graph, weights)


def test_an_op_that_cannot_be_written_is_a_diagnostic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, "gelu")
    monkeypatch.setitem(UNSUPPORTED, "gelu", "there is no such operator")
    graph = small().lowered()
    with pytest.raises(DiagnosticError, match="`gelu` cannot be written as ONNX: there is no"):
        to_onnx(graph, random_weights(graph))


def test_a_graph_that_was_not_lowered_is_a_fault_of_xgraph() -> None:
    with pytest.raises(InternalError, match="lowered"):
        to_onnx(paths().graph, {})


def test_a_rule_is_registered_once() -> None:
    with pytest.raises(AssertionError, match="two ONNX rules for conv"):
        rule("conv")(RULES["conv"])


def test_a_model_that_is_not_in_order_is_found() -> None:
    graph = small().lowered()
    model = to_onnx(graph, random_weights(graph))
    model.graph.node[0].op_type = "Convolve"
    with pytest.raises(InternalError, match="not in order"):
        check(model)


def test_a_shape_that_onnx_infers_otherwise_is_found() -> None:
    graph = small().lowered()
    model = to_onnx(graph, random_weights(graph))
    (value,) = (v for v in model.graph.value_info if v.name == "y.b1.conv1")
    value.type.tensor_type.shape.dim[1].dim_value = 5
    with pytest.raises(InternalError, match="ONNX"):
        check(model)


# ----------------------------------------------------------------------------------- imports


@pytest.mark.parametrize("module", ["torch", "onnx", "onnxruntime"])
def test_the_backend_is_there_without_heavy_packages(module: str) -> None:
    code = f"import sys, xgraph.backends.onnx, xgraph.runtime;sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_onnx_is_written_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    graph = paths().lowered()
    weights = random_weights(graph)
    run(graph, weights, random_inputs(graph))


def test_a_missing_onnx_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DiagnosticError, match=r"pip install 'xgraph\[onnx\]'"):
        to_onnx(small().lowered(), {})
