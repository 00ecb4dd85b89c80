"""Sessions: where they run, what they refuse, and how inputs are checked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from onnx_support import Array, Net, T, random_weights
from refusals import refused

from xgraph.backends.onnx import save, to_onnx
from xgraph.diagnostics import DiagnosticError
from xgraph.runtime import Session, check_inputs, signature
from xgraph.runtime.bound import Bound

ort = pytest.importorskip("onnxruntime")


def model() -> bytes:
    net = Net()
    x, ids = net.input("x", T, 3), net.input("ids", T, dtype="i64")
    both = net("add", x, net("embedding", ids, at="e", count=5, units=3))
    graph = net.output(both, "sum").output(net("relu", both), "positive").lowered()
    written: bytes = to_onnx(graph, random_weights(graph)).SerializeToString()
    return written


def inputs(batch: int = 2, steps: int = 4) -> dict[str, Array]:
    return {
        "x": np.ones((batch, steps, 3), np.float32),
        "ids": np.zeros((batch, steps), np.int64),
    }


# ------------------------------------------------------------------------------------ running


def test_a_session_describes_the_model() -> None:
    session = Session(model())
    assert session.inputs == {"x": ("float32", ("N", "T", 3)), "ids": ("int64", ("N", "T"))}
    assert session.outputs == {
        "sum": ("float32", ("N", "T", 3)), "positive": ("float32", ("N", "T", 3)),
    }  # fmt: skip


def test_a_graph_and_its_model_are_described_alike() -> None:
    net = Net()
    x = net.input("x", 3, T)
    graph = net.output(net("maxpool", x, kernel=2)).lowered()
    session = Session(to_onnx(graph, {}).SerializeToString())
    assert signature(graph.inputs) == session.inputs
    assert signature(graph.outputs) == session.outputs


def test_all_outputs_or_those_named() -> None:
    session = Session(model(), threads=1)
    found = session.run(inputs())
    assert list(found) == ["sum", "positive"]
    np.testing.assert_array_equal(np.maximum(found["sum"], 0), found["positive"])
    assert list(session.run(inputs(), ["positive"])) == ["positive"]
    diagnostic = refused(lambda: session.run(inputs(), ["positiv"]))
    assert (diagnostic.id, diagnostic.help) == ("unknown-output", "did you mean `positive`?")


def test_what_only_the_run_can_find_is_a_diagnostic() -> None:
    diagnostic = refused(lambda: Session(model()).run(inputs() | {"ids": np.full((2, 4), 9)}))
    assert diagnostic.id == "run-failed"
    assert "at `e`: " in diagnostic.message
    assert "idx=9" in diagnostic.message


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    session = Session(model())
    session.run(inputs())
    with pytest.raises(DiagnosticError):
        session.run(inputs() | {"ids": np.full((2, 4), 9)})
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------------- models, devices


@pytest.mark.parametrize("content", [b"", b"no model", model()[:-30]])
def test_a_broken_file_is_one_diagnostic(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    diagnostic = refused(lambda: Session(path))
    assert (diagnostic.id, diagnostic.origin) == ("bad-model", str(path))
    assert "[ONNXRuntimeError]" not in diagnostic.message


@pytest.mark.parametrize(("name", "id"), [("missing.onnx", "bad-model"), (".", "is-a-directory")])
def test_a_missing_file_is_one_diagnostic(tmp_path: Path, name: str, id: str) -> None:  # noqa: A002
    assert refused(lambda: Session(tmp_path / name)).id == id


def test_a_model_without_its_data_is_one_diagnostic(tmp_path: Path) -> None:
    net = Net()
    graph = net.output(net("linear", net.input("x", 64), at="a", units=32)).lowered()
    save(to_onnx(graph, random_weights(graph)), tmp_path / "net.onnx", external=True)
    (tmp_path / "net.onnx.data").unlink()
    assert refused(lambda: Session(tmp_path / "net.onnx")).id == "bad-model"


def test_a_model_that_is_too_new_says_so() -> None:
    onnx = pytest.importorskip("onnx")
    newer = onnx.ModelProto.FromString(model())
    newer.opset_import[0].version = 99
    diagnostic = refused(lambda: Session(newer.SerializeToString()))
    assert diagnostic.id == "bad-model"
    assert "older opset" in diagnostic.help


def test_no_onnxruntime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    diagnostic = refused(lambda: Session(model()))
    assert diagnostic.id == "missing-extra"
    assert "pip install 'xgraph[gpu]'" in diagnostic.help


def test_an_unknown_device() -> None:
    assert refused(lambda: Session(model(), device="tpu")).id == "unknown-device"  # type: ignore[arg-type]


def test_a_build_without_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    diagnostic = refused(lambda: Session(model(), device="cuda"))
    assert diagnostic.id == "device-unavailable"
    assert "built without CUDA" in diagnostic.message
    assert "xgraph[gpu]" in diagnostic.help


@final
class FallenBack:
    """A session that was asked for CUDA, and has printed its excuse and taken the CPU."""

    excuse = (
        b"[E:onnxruntime] Failed to load library libcuda_part.so with error: libcudnn.so.9:"
        b" cannot open shared object file\n[W] Require cuDNN 9.* and CUDA 13.*. Please install"
    )

    def __init__(self, *_: object, providers: list[Any], **__: object) -> None:
        assert [providers[0][0], providers[1]] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
        os.write(2, self.excuse)
        print("EP Error")

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


def test_a_session_that_fell_back_is_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The list of available providers proves nothing; the active one does."""
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: both)
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("no luck"), raising=False)
    monkeypatch.setattr(ort, "InferenceSession", FallenBack)
    diagnostic = refused(lambda: Session(model(), device="cuda"))
    assert diagnostic.id == "device-unavailable"
    assert "libcudnn.so.9: cannot open shared object file" in diagnostic.message
    assert "cuDNN 9.* and CUDA 13.*" in diagnostic.help
    assert capfd.readouterr() == ("", "")


def test_a_broken_model_is_no_fault_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    assert refused(lambda: Session(b"no model", device="cuda")).id == "bad-model"


@final
class OutOfOrder:
    """Like a machine with CUDA's libraries and no GPU: CUDA raises, the CPU works."""

    def __init__(self, *_: object, providers: list[Any], **__: object) -> None:
        if "CPUExecutionProvider" not in providers[:1]:
            raise RuntimeError("/src/cuda_call.cc:129 bool CudaCall(int) CUDA failure 100: no GPU")


def test_a_device_out_of_order_is_no_fault_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", OutOfOrder)
    diagnostic = refused(lambda: Session(model(), device="cuda"))
    assert diagnostic.id == "device-unavailable"
    assert diagnostic.message == "cannot run on `cuda`: CUDA failure 100: no GPU"


def test_values_are_bound_to_the_device() -> None:
    """The path taken on a GPU, in the CPU's memory."""
    session = Session(model(), threads=1)
    wanted = session.run(inputs())
    outputs = {"sum": ("float32", None), "positive": ("float32", (2, 4, 3))}
    bound = Bound(session._session, "cpu", inputs(), outputs)
    for _ in range(2):
        for name, found in zip(outputs, bound.run(inputs()), strict=True):
            np.testing.assert_array_equal(found, wanted[name])


# ----------------------------------------------------------------------------- checking inputs

WANTED = {
    "image": ("float32", ("N", 3, "T")),
    "ids": ("int64", ("N", "T")),
    "twice": ("float32", ("N", "2*T")),
}


def fitting(**changes: Any) -> dict[str, Any]:
    fit: dict[str, Any] = {
        "image": np.zeros((2, 3, 4), np.float32),
        "ids": np.zeros((2, 4), np.int64),
        "twice": np.zeros((2, 8), np.float32),
    }
    return {name: value for name, value in (fit | changes).items() if value is not None}


def mistakes(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(DiagnosticError) as caught:
        check_inputs(fitting(**changes), WANTED, "batch.npz")
    assert {d.origin for d in caught.value.diagnostics} == {"batch.npz"}
    return [(d.id, d.message) for d in caught.value.diagnostics]


def test_inputs_that_fit_come_back_in_order() -> None:
    given = dict(reversed(fitting().items()))
    found = check_inputs(given, WANTED)
    assert list(found) == list(WANTED)
    assert all(np.shares_memory(found[name], given[name]) for name in found)


def test_missing_and_unknown_names_are_told_together() -> None:
    assert mistakes(image=None, imgae=np.zeros(1)) == [
        ("unknown-input", "the network has no input `imgae`"),
        ("missing-input", "input `image` is missing"),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((3, 4), "f")},
         "input `image` has shape [3, 4], and the network takes [N, 3, T]"),
        ({"image": np.zeros((2, 1, 4), "f")},
         "axis 1 of input `image` has size 1, and the network takes 3"),
        ({"image": np.zeros((2, 3, 0), "f"), "twice": np.zeros((2, 8), "f")},
         "axis 2 of input `image` is empty"),
        ({"ids": np.zeros((3, 4), int)},
         "axis 0 of input `ids` has size 3, and axis 0 of input `image` has 2; both are `N`"),
        ({"ids": np.zeros((2, 5), int)},
         "axis 1 of input `ids` has size 5, and axis 2 of input `image` has 4; both are `T`"),
        ({"twice": np.zeros((2, 9), "f")},
         "axis 1 of input `twice` has size 9, and `2*T` is 8"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    assert mistakes(**changes) == [("input-shape", message)]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("image", np.float64), ("image", np.float16), ("ids", np.int32), ("ids", np.uint8)],
)
def test_numbers_are_widened_where_nothing_is_lost(name: str, dtype: Any) -> None:
    found = check_inputs(fitting(**{name: fitting()[name].astype(dtype)}), WANTED)
    assert found[name].dtype == fitting()[name].dtype


@pytest.mark.parametrize(
    ("name", "dtype", "wanted"),
    [
        ("image", "uint8", "float32"),
        ("image", "int64", "float32"),
        ("ids", "float32", "int64"),
        ("ids", "uint64", "int64"),
        ("ids", "bool", "int64"),
    ],
)
def test_other_numbers_are_refused(name: str, dtype: str, wanted: str) -> None:
    message = f"input `{name}` is {dtype}, and the network takes {wanted}"
    given = {name: fitting()[name].astype(dtype)}
    assert mistakes(**given) == [("input-dtype", message)]


def test_byte_order_and_layout_do_not_matter() -> None:
    image = np.arange(24, dtype=">f4").reshape(4, 3, 2).T
    found = check_inputs(fitting(image=image), WANTED)["image"]
    assert found.dtype == np.dtype(np.float32)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (np.nan, np.float32, "NaN"), (np.inf, np.float32, "infinity"),
        (-np.inf, np.float16, "-infinity"), (1e300, np.float64, "infinity"),
    ],
)  # fmt: skip
def test_numbers_that_are_not_finite(value: float, dtype: Any, text: str) -> None:
    image = np.zeros((2, 3, 4), dtype)
    image[1, 2, 1] = image[1, 2, 3] = value
    assert mistakes(image=image) == [
        ("not-finite",
         f"input `image` holds 2 numbers that are not finite, the first {text} at [1][2][1]"),
    ]  # fmt: skip


def test_scalars_and_lists_are_arrays_too() -> None:
    wanted = {"n": ("int64", ("N",)), "x": ("float32", ())}
    found = check_inputs({"n": [1, 2], "x": 0.5}, wanted)  # type: ignore[dict-item]
    assert [v.shape for v in found.values()] == [(2,), ()]


def test_sizes_nobody_named_are_free() -> None:
    wanted = {"a": ("float32", ("?",)), "b": ("float32", ("?",))}
    check_inputs({"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}, wanted)
