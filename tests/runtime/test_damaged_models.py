"""Models that are damaged, or say of themselves what is not so: a diagnostic, and no crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import pytest

from xgraph.diagnostics import Diagnostic, DiagnosticError
from xgraph.runtime import Session
from xgraph.runtime.bound import Bound
from xgraph.runtime.errors import reason

F32, I64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
X = {"x": np.ones((2, 3, 4), np.float32)}


def model(output: tuple[Any, ...] = ("N", 3, 4), dtype: int = F32) -> Any:
    """`y = relu(x + w)`, whose output is declared like that."""
    h = onnx.helper
    nodes = [
        h.make_node("Add", ["x", "w"], ["s"], name="both"),
        h.make_node("Relu", ["s"], ["y"], name="positive"),
    ]
    weight = onnx.numpy_helper.from_array(np.ones((3, 4), np.float32), "w")
    inputs = [h.make_tensor_value_info("x", F32, ["N", 3, 4])]
    outputs = [h.make_tensor_value_info("y", dtype, list(output))]
    graph = h.make_graph(nodes, "g", inputs, outputs, [weight])
    return h.make_model(graph, ir_version=9, opset_imports=[h.make_opsetid("", 20)])


def refused(content: Path | bytes) -> Diagnostic:
    with pytest.raises(DiagnosticError) as caught:
        Session(content, threads=1).run(X)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


# ------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("output", "declared"), [((7, 3, 4), "[7, 3, 4]"), (("2*N", 3, 4), "[2*N, 3, 4]")]
)
def test_outputs_of_another_shape(output: tuple[Any, ...], declared: str) -> None:
    diagnostic = refused(model(output).SerializeToString())
    assert (diagnostic.id, diagnostic.origin) == ("bad-model", "<model>")
    assert diagnostic.message == (
        f"the model declares output `y` to have shape {declared}, and it came out with [2, 3, 4]"
    )


def test_outputs_of_another_shape_on_a_device() -> None:
    """Where the room for them is made before the run."""
    written = model((7, 3, 4)).SerializeToString()
    bound = Bound(Session(written)._session, "cpu", X, {"y": ("float32", (7, 3, 4))})
    with pytest.raises(RuntimeError) as caught:
        bound.run(X)
    assert reason(caught.value) == (
        "the model declares output `y` to have shape [7,3,4], and it came out with [2,3,4]"
    )


@pytest.mark.parametrize(
    "output",
    [
        ("N", 3, 5), ("N", 12), ("N", 3, 4, 1), ("N", "N", 4), (), (-3, 3, 4),
        ("M", 3, 4), ("N", 3, None), ("2*M", 3, 4), ("a b", 3, 4), ("N//0", 3, 4),
    ],
    ids=str,
)  # fmt: skip
def test_outputs_that_come_out_right_all_the_same(output: tuple[Any, ...]) -> None:
    """ONNX Runtime knows better, or nothing tells that size."""
    assert Session(model(output).SerializeToString()).run(X)["y"].shape == (2, 3, 4)


def test_an_output_of_another_type() -> None:
    assert refused(model(dtype=I64).SerializeToString()).id == "bad-model"


def test_a_value_of_another_shape() -> None:
    """Which ONNX Runtime works out itself."""
    changed = model()
    changed.graph.value_info.append(onnx.helper.make_tensor_value_info("s", F32, ["N", 9]))
    assert Session(changed.SerializeToString()).run(X)["y"].shape == (2, 3, 4)


@pytest.mark.parametrize("dims", [[1, "K"], [1, 2], [2, 9000], [2, 0]])
def test_values_of_shapes_that_memory_is_shared_by(dims: list[Any]) -> None:
    """A large value would stand where a small one of the same declared shape stood."""
    h = onnx.helper
    nodes = [
        h.make_node("NonZero", ["small"], ["a"], name="a"),
        h.make_node("Abs", ["a"], ["b"], name="b"),
        h.make_node("ReduceSum", ["b"], ["s"], name="s"),
        h.make_node("Add", ["large", "s"], ["t"], name="t"),
        h.make_node("NonZero", ["t"], ["c"], name="c"),
        h.make_node("Neg", ["c"], ["d"], name="d"),
        h.make_node("Abs", ["d"], ["y"], name="y"),
    ]
    value = h.make_tensor_value_info
    graph = h.make_graph(
        nodes, "g", [value("small", I64, ["N"]), value("large", I64, ["M", "L"])],
        [value("y", I64, dims)], value_info=[value(name, I64, dims) for name in "abcd"],
    )  # fmt: skip
    made = h.make_model(graph, ir_version=9, opset_imports=[h.make_opsetid("", 20)])
    inputs = {"small": np.array([0, 1, 1]), "large": np.ones((200, 200), np.int64)}
    with pytest.raises(DiagnosticError) as caught:
        Session(made.SerializeToString(), threads=1).run(inputs)
    assert "the model declares" in str(caught.value)
    assert ".cc" not in str(caught.value)


def test_an_output_that_is_a_list() -> None:
    h = onnx.helper
    graph = h.make_graph(
        [h.make_node("SequenceConstruct", ["x", "x"], ["y"])], "g",
        [h.make_tensor_value_info("x", F32, ["N", 3, 4])],
        [h.make_tensor_sequence_value_info("y", F32, ["N", 3, 4])],
    )  # fmt: skip
    made = h.make_model(graph, ir_version=9, opset_imports=[h.make_opsetid("", 20)])
    assert len(Session(made.SerializeToString()).run(X)["y"]) == 2


# ------------------------------------------------------------------------------------ tensors


def cut(w: Any) -> None:
    w.raw_data = w.raw_data[:-8]


def grown(w: Any) -> None:
    w.raw_data += b"12345678"


def empty(w: Any) -> None:
    w.ClearField("raw_data")


def another_size(w: Any) -> None:
    w.dims[0] = 5


def negative(w: Any) -> None:
    w.dims[0] = -3


def huge(w: Any) -> None:
    w.dims[0] = 2**62


def no_type(w: Any) -> None:
    w.data_type = 99


def another_type(w: Any) -> None:
    w.data_type = I64


@pytest.mark.parametrize(
    "damage", [cut, grown, empty, another_size, negative, huge, no_type, another_type]
)
def test_a_tensor_that_is_not_what_it_says(damage: Callable[[Any], None]) -> None:
    changed = model()
    damage(changed.graph.initializer[0])
    diagnostic = refused(changed.SerializeToString())
    assert diagnostic.id == "bad-model"
    assert "[ONNXRuntimeError]" not in diagnostic.message


@pytest.mark.parametrize(
    "place",
    [
        {"location": "none.bin"},
        {"location": "short.bin"},
        {"location": "w.bin", "offset": "8"},
        {"location": "w.bin", "offset": "-8"},
        {"location": "w.bin", "offset": "word"},
        {"location": "w.bin", "offset": str(2**63)},
        {"location": "w.bin", "length": "20"},
        {"location": "w.bin", "length": str(2**62)},
        {"location": "folder"},
        {"location": ""},
        {"location": "../outside.bin"},
        {"location": "/dev/zero"},
        {"location": "*/_ORT_MEM_ADDR_/*", "offset": "1234567", "length": "48"},
    ],
    ids=str,
)
def test_data_beside_the_model(tmp_path: Path, place: dict[str, str]) -> None:
    """That is cut short, missing, somewhere else or out of reach."""
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    for name, data in (
        ("w.bin", X["x"][0]),
        ("short.bin", X["x"][0, 0]),
        ("../outside.bin", X["x"]),
    ):
        (folder / name).write_bytes(data.tobytes())
    changed = model()
    weight = changed.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        weight.external_data.add(key=key, value=value)
    (folder / "net.onnx").write_bytes(changed.SerializeToString())
    diagnostic = refused(folder / "net.onnx")
    assert (diagnostic.id, diagnostic.origin) == ("bad-model", str(folder / "net.onnx"))


# -------------------------------------------------------------------------------------- bytes


def test_names_that_are_no_text() -> None:
    changed = model()
    changed.metadata_props.add(key="key", value="value")
    written = changed.SerializeToString().replace(b"value", b"val\xffe")
    diagnostic = refused(written)
    assert diagnostic.id == "bad-model"
    assert "not UTF-8" in diagnostic.message


@pytest.mark.parametrize("seed", range(4))
def test_bytes_that_are_changed(seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever becomes of them, it runs or is refused, in silence."""
    random, whole = Random(seed), model().SerializeToString()
    told = []
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(random.choice((1, 1, 2, 3))):
            damaged[random.randrange(len(damaged))] = random.choice((0, 1, 127, 128, 255))
        del damaged[random.choice((len(damaged), len(damaged), random.randrange(len(damaged)))) :]
        try:
            Session(bytes(damaged), threads=1).run(X)
        except DiagnosticError as error:
            told.append(str(error))
    assert all(told)
    assert capfd.readouterr() == ("", "")
