"""Models in half precision: what they are, how far off they may be, and what is refused."""

from __future__ import annotations

import json
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx_support import Net, random_weights
from random_networks import random_network
from refusals import refused

import xgraph
from xgraph import driver
from xgraph.backends.onnx import check, to_onnx
from xgraph.backends.onnx.precision import halved, rounding
from xgraph.cli import main
from xgraph.precision import BOUNDS, error_of, reduced
from xgraph.runtime import Session
from xgraph.samples import fitting_sizes, sample_inputs

EXAMPLES = Path(__file__).parents[2] / "examples"
FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16

NET = """network net
modality image: [3, 8, 8]
superlayer a(image) { c: conv(8, 3) -> bn -> relu; globalavgpool -> linear(4) -> softmax }
output y = a
"""
LARGE = """network large
modality x: [4]
superlayer a(x) { scale(factor = 1000000.0) -> scale(factor = 0.000001) }
output y = a
"""


def command(*arguments: str | Path) -> tuple[int, str]:
    found = CliRunner().invoke(main, [str(a) for a in arguments])
    assert found.exit_code != 3, found.output
    return found.exit_code, found.output


def elements(model: Any) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("basecnn_cc", "fp16"),
        ("xflow_lstm", "fp16"),
        ("picture_question", "fp16"),
        ("basecnn_cc", "bf16"),
        ("photo", "bf16"),
    ],
)
def test_examples_are_within_bounds(name: str, precision: Any, tmp_path: Path) -> None:
    compiled = xgraph.compile(
        EXAMPLES / f"{name}.xg", "onnx", tmp_path / "n.onnx", precision=precision, verify=False
    )
    assert compiled.reduced is not None
    assert len(compiled.reduced.errors) == len(xgraph.parse(EXAMPLES / f"{name}.xg").outputs)
    assert all(0 < e.relative <= BOUNDS[precision] for e in compiled.reduced.errors)


def test_a_large_example_is_within_bounds(tmp_path: Path) -> None:
    out = tmp_path / "n.onnx"
    xgraph.compile(EXAMPLES / "xflow.xg", "onnx", out, precision="fp16", verify=False)
    exact = xgraph.compile(EXAMPLES / "xflow.xg", "onnx", tmp_path / "e.onnx", verify=False)
    assert out.stat().st_size < 0.52 * exact.files[0].stat().st_size


@pytest.mark.parametrize("first", [0, 4])
def test_random_networks_are_in_order(first: int) -> None:
    """Every operator, values with several readers, outputs that are inputs."""
    for seed in range(first, first + 4):
        low = driver.tensor_graph(driver.parse(random_network(seed)))
        if fitting_sizes(low, 4) is None:
            continue
        model = to_onnx(low, driver.initial_weights(low))
        for precision in ("fp16", "bf16"):
            found = reduced(low, model, precision, max_error=inf)
            assert len(found.errors) == len(low.outputs)


@pytest.mark.parametrize(("precision", "element"), [("fp16", FLOAT16), ("bf16", BFLOAT16)])
def test_weights_are_half_and_delicate_ones_are_not(precision: Any, element: int) -> None:
    low = driver.tensor_graph(driver.parse(NET))
    model = to_onnx(low, driver.initial_weights(low))
    before = model.SerializeToString()
    made = halved(model, precision)
    check(made)
    assert model.SerializeToString() == before
    found = elements(made)
    assert found["a.c.conv1.weight"] == found["a.linear1.weight"] == element
    assert found["a.c.bn1.running_var"] == FLOAT
    ends = [*made.graph.input, *made.graph.output]
    assert [v.type.tensor_type.elem_type for v in ends] == [FLOAT, FLOAT]


def test_a_tensor_read_in_both_types_is_there_in_both() -> None:
    net = Net()
    x = net.input("x", 2, 4, 4)
    net.output(net("upsample", x, factor=(2, 2)))
    made = halved(to_onnx(net.lowered(), {}), "fp16")
    check(made)
    assert [*elements(made).values()].count(FLOAT) == 1  # the scales of `Resize`
    assert Session(made.SerializeToString()).run({"x": np.ones([1, 2, 4, 4], "f4")})


def test_one_cast_serves_all_readers() -> None:
    net = Net()
    h = net("relu", net.input("x", 4))
    net.output(net("softmax", h)).output(net("logsoftmax", h), "z")
    made = halved(to_onnx(net.lowered(), {}), "fp16")
    check(made)
    names = [name for node in made.graph.node for name in node.output]
    assert len(set(names)) == len(names)
    assert sum(node.op_type == "Cast" for node in made.graph.node) == 2


def test_an_output_that_others_read_stays_float32() -> None:
    net = Net()
    h = net("relu", net.input("x", 4))
    net.output(h).output(net("tanh", h), "z")
    low = net.lowered()
    found = reduced(low, to_onnx(low, {}), "fp16")
    outputs = Session(found.model.SerializeToString()).run(sample_inputs(low))
    assert {name: str(v.dtype) for name, v in outputs.items()} == {"y": "float32", "z": "float32"}


def test_rounding_is_what_the_model_computes() -> None:
    """Held against numpy: a product whose factors and result are rounded."""
    net = Net()
    net.output(net("mul", net.input("a", 64), net.input("b", 64)))
    low = net.lowered()
    x = sample_inputs(low)
    made = rounding(halved(to_onnx(low, {}), "fp16"), "fp16")
    a, b = (x[name].astype(np.float16) for name in "ab")
    wanted = (a.astype(np.float32) * b.astype(np.float32)).astype(np.float16)
    assert np.array_equal(Session(made.SerializeToString()).run(x)["y"], wanted.astype(np.float32))


def test_weights_are_rounded_once_to_bfloat16() -> None:
    net = Net()
    net.output(net("linear", net.input("x", 3), units=2, bias=False, at="l"))
    low = net.lowered()
    weights = random_weights(low)
    weights["l.weight"][0, 0] = 1e30  # beyond float16
    made = halved(to_onnx(low, weights), "bf16")
    (tensor,) = [t for t in made.graph.initializer if t.name == "l.weight"]
    found = onnx.numpy_helper.to_array(tensor).astype(np.float32)
    assert np.abs(found / weights["l.weight"] - 1).max() <= 2**-8


class TestError:
    @pytest.mark.parametrize(
        ("wanted", "found", "absolute", "relative", "of_deviation"),
        [
            ([1.0, -4.0], [1.0, -3.0], 1.0, 0.25, 0.4),
            ([2.0, 2.0], [2.0, 2.0], 0.0, 0.0, 0.0),
            ([0.0, 0.0], [0.0, 1.0], 1.0, inf, inf),
            ([1.0, nan, inf], [1.0, nan, inf], 0.0, 0.0, 0.0),
            ([1.0, 2.0], [1.0, nan], inf, inf, inf),
            ([1.0, inf], [1.0, -inf], inf, inf, inf),
            ([nan], [nan], 0.0, 0.0, 0.0),
        ],
    )
    def test_figures(
        self, wanted: Any, found: Any, absolute: float, relative: float, of_deviation: float
    ) -> None:
        error = error_of("y", np.float32(wanted), np.float32(found))
        told = (error.absolute, error.relative, error.of_deviation)
        assert told == pytest.approx((absolute, relative, of_deviation))

    def test_json_has_no_infinity(self) -> None:
        error = error_of("y", np.float32([0]), np.float32([1]))
        assert json.loads(json.dumps(error.to_json()))["relative"] is None


class TestBound:
    def test_a_larger_error_is_refused_and_nothing_written(self, tmp_path: Path) -> None:
        out = tmp_path / "n.onnx"
        out.write_bytes(b"before")
        found = refused(xgraph.compile, NET, "onnx", out, precision="bf16", max_error=1e-6)
        assert found.id == "imprecise"
        assert "`y` is off by" in found.message
        assert "--max-error" in str(found.help)
        assert out.read_bytes() == b"before"

    def test_the_bound_advised_is_enough(self, tmp_path: Path) -> None:
        out = tmp_path / "n.onnx"
        found = refused(xgraph.compile, NET, "onnx", out, precision="fp16", max_error=1e-7)
        advised = float(str(found.help).split()[-1].strip("`"))
        xgraph.compile(NET, "onnx", out, precision="fp16", max_error=advised)
        assert out.exists()

    def test_overflow_is_refused_unless_anything_is_allowed(self, tmp_path: Path) -> None:
        out = tmp_path / "n.onnx"
        found = refused(xgraph.compile, LARGE, "onnx", out, precision="fp16")
        assert "not finite where float32 is" in found.message
        xgraph.compile(LARGE, "onnx", out, precision="bf16")
        compiled = xgraph.compile(LARGE, "onnx", out, precision="fp16", max_error=inf)
        assert compiled.reduced is not None
        assert compiled.reduced.errors[0].relative == inf

    def test_what_cannot_be_measured_is_refused(self, tmp_path: Path) -> None:
        text = "network n\ndim T\nmodality z: [T - 5000, 3]\noutput y = z\n"
        out = tmp_path / "n.onnx"
        found = refused(xgraph.compile, text, "onnx", out, precision="fp16")
        assert "cannot be measured" in found.message
        compiled = xgraph.compile(text, "onnx", out, precision="fp16", max_error=inf)
        assert compiled.reduced is not None
        assert "not measured" in compiled.reduced.render()


@pytest.mark.parametrize(
    ("to", "more", "told"),
    [
        ("torch", {"precision": "bf16"}, "module.to(torch.bfloat16)"),
        ("torch", {"precision": "fp16"}, "module.to(torch.float16)"),
        ("torch", {"precision": "int8"}, "--to onnx"),
        ("ir", {"precision": "fp16"}, "--to onnx"),
        ("onnx", {"precision": "fp8"}, "'fp16'"),
        ("onnx", {"max_error": 0.1}, "--precision"),
        ("onnx", {"precision": "fp16", "max_error": 0}, "above 0"),
        ("onnx", {"precision": "fp16", "max_error": nan}, "above 0"),
        ("onnx", {"precision": "fp16", "max_error": "much"}, "above 0"),
        ("onnx", {"precision": "bf16", "opset": 21}, "from 22"),
        ("onnx", {"precision": "fp16", "calibration": []}, "int8 alone"),
    ],
)
def test_options_that_make_no_sense(to: Any, more: Any, told: str, tmp_path: Path) -> None:
    out = tmp_path / f"n{driver.SUFFIX[to]}"
    found = refused(xgraph.compile, NET, to, out, **more)
    assert told in f"{found.message} {found.help}"
    assert not out.exists()


@pytest.mark.parametrize("opset", [17, 18, 22])
def test_older_operator_sets(opset: int, tmp_path: Path) -> None:
    xgraph.compile(NET, "onnx", tmp_path / "n.onnx", precision="fp16", opset=opset)


def test_the_command_tells_the_error_and_its_model_runs(tmp_path: Path) -> None:
    (tmp_path / "net.xg").write_text(NET)
    out = tmp_path / "n.onnx"
    arguments = ("compile", tmp_path / "net.xg", "--to", "onnx", "-o", out, "--precision", "fp16")
    code, told = command(*arguments)
    assert code == 0, told
    assert "fp16 against float32, on 16 random inputs" in told
    assert "allowed is 0.01" in told
    first = out.read_bytes()
    code, told = command(*arguments, "--json")
    assert json.loads(told)["reduced"]["errors"][0]["output"] == "y"
    assert out.read_bytes() == first
    np.save(tmp_path / "x.npy", np.ones([2, 3, 8, 8], "f4"))
    code, told = command("run", out, "--input", f"image={tmp_path / 'x.npy'}")
    assert code == 0, told
    assert "float32[2, 4]" in told


def test_bf16_says_how_it_was_measured(tmp_path: Path) -> None:
    (tmp_path / "net.xg").write_text(NET)
    code, told = command("compile", tmp_path / "net.xg", "--to", "onnx", "-o", tmp_path / "n.onnx",
                         "--precision", "bf16")  # fmt: skip
    assert code == 0, told
    assert "each result rounded to bf16" in told
