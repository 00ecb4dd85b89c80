"""The words of `xgraph` in Python: what they compare, and what they say of what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from refusals import refused

import xgraph
from xgraph import driver
from xgraph.cli import main
from xgraph.diagnostics import DiagnosticError, InternalError
from xgraph.driver.comparing import _difference

TEXT = """network n
param width = 4
param rate = 0.5
param mode = fast
param on = true
param sizes = [1, 2]
modality x: [3]
superlayer a(x) { l: linear(width) -> relu }
output y = a
"""


class TestDifference:
    """How far two outputs are apart."""

    @pytest.mark.parametrize(
        ("ours", "theirs", "apart"),
        [
            ([1.0, 0.5], [1.0, 0.25], 0.25),
            ([100.0, 0.0], [100.0, 1.0], 0.01),  # relative to the largest
            ([np.inf, -np.inf, np.nan, 1.0], [np.inf, -np.inf, np.nan, 1.0], 0.0),
            ([np.nan, np.inf], [np.nan, np.inf], 0.0),  # nothing is finite
            ([np.inf, 1.0], [-np.inf, 1.0], np.inf),
            ([np.nan, 1.0], [np.inf, 1.0], np.inf),
            ([1.0, 1.0], [1.0, np.nan], np.inf),
            ([3e38], [-3e38], 2.0),  # float32 cannot hold the difference
        ],
    )
    def test_finite_numbers_count(
        self, ours: list[float], theirs: list[float], apart: float
    ) -> None:
        found = _difference(np.float32(ours), np.float32(theirs))
        assert found == pytest.approx(apart)


def test_a_model_that_alone_gives_no_numbers_is_our_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")

    def broken(*args: Any) -> dict[str, Any]:
        return {"y": np.full((2, 4), np.nan, np.float32)}

    monkeypatch.setattr("xgraph.runtime.Session.run", broken)
    with pytest.raises(InternalError, match="differ by inf"):
        xgraph.compile(TEXT, "onnx", tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_compared_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr("xgraph.driver.comparing.fitting_sizes", lambda low: None)
    compiled = xgraph.compile(TEXT, "onnx", tmp_path / "n.onnx")
    assert (compiled.difference, compiled.unverified) == (None, "its values are too large")
    assert xgraph.compile(TEXT, "onnx", tmp_path / "n.onnx", verify=False).unverified is None


class TestGiven:
    """What is given from Python is refused in plain words, or taken."""

    @pytest.mark.parametrize(
        "settings",
        [
            {"width": np.int64(5), "rate": np.float32(0.25), "on": np.bool_(False)},
            {"width": 5, "rate": 0.25, "on": False, "sizes": [1, 2], "mode": "slow"},
            {"width": np.int8(5), "sizes": np.array([1, 2])},
        ],
    )
    def test_settings_of_numpy_are_numbers(self, settings: dict[str, object]) -> None:
        assert xgraph.parse(TEXT, settings).outputs["y"].type.shape[1] == 5

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"width": None}, "or a list, not None"),
            ({"width": {}}, "or a list, not dict {}"),
            ({"width": "4"}, "the text '4' is neither a word nor a number"),
            ({"mode": ""}, "the text '' is neither a word nor a number"),
            ({"rate": float("nan")}, "nan is not finite"),
            ({"rate": np.float32("inf")}, "inf is not finite"),
            ({"sizes": [1, None]}, "or a list, not None"),
            ({3: 4}, "a param has a name, and int 3 is none"),
            ([("width", 4)], "settings are values by name"),
            ("width=4", "settings are values by name, and this is str 'width=4'"),
        ],
    )
    def test_settings_of_no_such_kind(self, settings: Any, message: str) -> None:
        found = refused(xgraph.parse, TEXT, settings)
        assert found.id == "bad-setting"
        assert message in found.message

    def test_a_network_of_no_name(self) -> None:
        assert refused(xgraph.parse, "").id == "bad-name"

    def test_limits_of_no_such_kind(self) -> None:
        limits: Any = 3
        assert refused(xgraph.parse, TEXT, limits=limits).id == "bad-option"

    def test_a_list_that_holds_itself(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        assert refused(xgraph.parse, TEXT, {"sizes": circle}).id == "bad-setting"

    def test_settings_that_are_wrong_are_told_together(self) -> None:
        with pytest.raises(DiagnosticError) as caught:
            xgraph.parse(TEXT, {"width": None, "rate": {}})
        told = [d.origin for d in caught.value.diagnostics]
        assert told == ["setting 'width'", "setting 'rate'"]

    @pytest.mark.parametrize("network", [b"x.xg", None, 3, object, ["net.xg"]])
    @pytest.mark.parametrize("act", ["parse", "load", "run", "compile"])
    def test_what_is_no_network(self, act: str, network: Any, tmp_path: Path) -> None:
        more: dict[str, tuple[Any, ...]] = {"run": ({},), "compile": ("ir", tmp_path / "n.ir")}
        found = refused(getattr(xgraph, act), network, *more.get(act, ()))
        assert found.id == "not-a-network"

    def test_a_module_is_no_network(self) -> None:
        torch = pytest.importorskip("torch")
        found = refused(xgraph.load, torch.nn.Linear(2, 3))
        assert found.message.startswith("a network is wanted here, and this is Linear")
        assert refused(xgraph.Summary, "net.xg").id == "not-a-network"

    def test_an_attribute_that_cannot_be_is_a_fault(self) -> None:
        graph = xgraph.parse(TEXT)
        node = next(node for node in graph.nodes() if node.op.name == "linear")
        with pytest.raises(xgraph.Fault, match="`units` of `linear` must be an integer from 1"):
            graph.set_attrs(node, units=0)

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("opset", "17", "`opset` is an integer, not str '17'"),
            ("opset", 17.0, "`opset` is an integer, not float 17.0"),
            ("level", "zzz", "`level` cannot be str 'zzz'"),
            ("level", ["tensor"], "`level` cannot be list ['tensor']"),
            ("seed", 1.5, "`seed` is an integer, not float 1.5"),
            ("seed", None, "`seed` is an integer, not None"),
        ],
    )
    def test_options_of_no_such_kind(
        self, tmp_path: Path, option: str, value: object, message: str
    ) -> None:
        more: Any = {option: value}
        found = refused(xgraph.compile, TEXT, "onnx", tmp_path / "n.onnx", **more)
        assert (found.id, found.message) == ("bad-option", message)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("target", ["zzz", None, ["onnx"]])
    def test_targets_of_no_such_kind(self, target: Any) -> None:
        assert refused(xgraph.compile, TEXT, target, "n.ir").id == "unknown-target"

    @pytest.mark.parametrize("out", ["", None, b"n.ir", 3])
    def test_names_of_no_file(self, out: Any) -> None:
        assert refused(xgraph.compile, TEXT, "ir", out).id == "bad-name"

    @pytest.mark.parametrize("backend", ["onnx", "torch"])
    def test_a_device_that_is_none(self, backend: Any) -> None:
        device: Any = "zzz"
        inputs = {"x": np.zeros((1, 3), np.float32)}
        found = refused(xgraph.run, TEXT, inputs, backend=backend, device=device)
        assert found.id == "unknown-device"

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({"x": [[1, 2], [3]]}, "its rows are not of one length"),
            ({1: np.zeros((1, 3))}, "int 1 is no name"),
            ([1, 2], "inputs are arrays by name, and this is list [1, 2]"),
        ],
    )
    def test_inputs_of_no_such_kind(self, inputs: Any, message: str) -> None:
        found = refused(xgraph.run, TEXT, inputs)
        assert (found.id, message in found.message) == ("bad-input", True), found.message

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ({1: np.zeros(3)}, "int 1 is no name"),
            ({"a": [[1], [2, 3]]}, "its rows are not of one length"),
            (3, "weights are arrays by name, and this is int 3"),
        ],
    )
    def test_weights_of_no_such_kind(self, weights: Any, message: str) -> None:
        found = refused(xgraph.compile, TEXT, "onnx", "n.onnx", weights=weights)
        assert (found.id, message in found.message) == ("bad-weights", True), found.message


class TestTensors:
    """Tensors of PyTorch as weights and as inputs."""

    def test_bfloat16_is_widened(self) -> None:
        torch = pytest.importorskip("torch")
        weights = {
            "a.l.linear1.weight": torch.full((4, 3), 0.5, dtype=torch.bfloat16),
            "a.l.linear1.bias": torch.nn.Parameter(torch.ones(4)),
        }
        found = xgraph.run(TEXT, {"x": torch.ones(2, 3)}, weights=weights, backend="torch")
        assert np.array_equal(found["y"], np.full((2, 4), 2.5, np.float32))

    @pytest.mark.parametrize("kind", ["sparse", "meta", "float8"])
    def test_what_has_no_array_is_named(self, kind: str) -> None:
        torch = pytest.importorskip("torch")
        weight = {
            "sparse": lambda: torch.ones(4, 3).to_sparse(),
            "meta": lambda: torch.ones(4, 3, device="meta"),
            "float8": lambda: torch.ones(4, 3).to(torch.float8_e4m3fn),
        }[kind]()
        weights = {"a.l.linear1.weight": weight, "a.l.linear1.bias": torch.ones(4)}
        found = refused(xgraph.load, TEXT, weights)
        assert (found.id, found.origin) == ("bad-weights", "weights: a.l.linear1.weight")

    def test_a_module_is_not_its_weights(self) -> None:
        torch = pytest.importorskip("torch")
        assert refused(xgraph.load, TEXT, torch.nn.Linear(3, 4)).help == "give its `state_dict()`"


def test_source_that_a_person_wrote_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is named."""
    monkeypatch.chdir(tmp_path)
    Path("net.xg").write_text("network net\nmodality x: [4]\noutput y = x -> linear(2)\n")
    Path("net.py").write_text("print('mine')\n")
    command = ["compile", "net.xg", "--to", "torch"]
    told = CliRunner().invoke(main, command)
    assert (told.exit_code, "was not written by xgraph" in told.output) == (1, True)
    assert Path("net.py").read_text() == "print('mine')\n"
    for more in (["-o", "net.py"], []):
        assert CliRunner().invoke(main, [*command, *more]).exit_code == 0
    assert "class Net" in Path("net.py").read_text()


SCALED = """network scaled
modality a: [8]
modality b: [8]
fusion head(a, b) { mean -> linear(10) }
output y = head
"""


def test_weights_of_an_optimised_network_that_has_the_same_layers(tmp_path: Path) -> None:
    """Half as large, as the mean is a sum there."""
    driver.compile(xgraph.parse(SCALED), "torch", tmp_path / "fast.py", optimize="1")
    told = refused(
        driver.initial_weights, driver.tensor_graph(xgraph.parse(SCALED)),
        tmp_path / "fast.safetensors",
    )  # fmt: skip
    assert told.id == "optimized-weights"
    plain = SCALED.replace("mean ->", "concat ->")
    driver.compile(xgraph.parse(plain), "torch", tmp_path / "same.py", optimize="1")
    low = driver.tensor_graph(xgraph.parse(plain))
    assert (
        driver.initial_weights(low, tmp_path / "same.safetensors").keys()
        == dict(low.params()).keys()
    )


def test_a_network_without_inputs_in_fewer_bits(tmp_path: Path) -> None:
    graph = xgraph.parse("network n\nlet p = parameter([4])\noutput p\n")
    found = driver.compile(graph, "onnx", tmp_path / "n.onnx", precision="fp16")
    assert found.reduced is not None


TWICE = """network n
dim T
modality a: [2 * T, 8]
modality b: [2 * T, 8]
fusion f(a, b) { add }
output y = f
"""


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [(1, 6, "which no `T` makes `2*T`"), (4, 6, "has size 6, and `2*T` is 4"), (6, 6, None)],
)
def test_sizes_that_tell_of_one_axis(a: int, b: int, told: str | None) -> None:
    arrays = {"a": np.zeros((1, a, 8), "f4"), "b": np.zeros((1, b, 8), "f4")}
    if told is None:
        assert xgraph.run(xgraph.parse(TWICE), arrays)["y"].shape == (1, 6, 8)
    else:
        assert told in refused(xgraph.run, xgraph.parse(TWICE), arrays).message
