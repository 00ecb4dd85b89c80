"""Batches that memory does not hold, on the CPU and in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from refusals import refused

import xgraph
from xgraph import driver
from xgraph.runtime import Session, Signature, errors
from xgraph.runtime.errors import does_not_fit, out_of_memory
from xgraph.runtime.shapes import batch_of

TEXT = "network n\nmodality x: [3]\nmodality z: [2]\noutput y = x -> linear(2) -> add(z)\n"


def wide() -> bytes:
    """Gives 4 MiB for each row."""
    value, f32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Expand", ["x", "to"], ["y"], name="grow")], "g",
        [value("x", f32, ["N", 1])], [value("y", f32, ["N", 1 << 20])],
        [onnx.numpy_helper.from_array(np.array([1, 1 << 20]), "to")],
    )  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", 20)]
    written: bytes = onnx.helper.make_model(
        graph, ir_version=9, opset_imports=opsets
    ).SerializeToString()
    return written


def test_onnx_runtime_says_so_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one: of 4 TiB, of which no more is tried than half of what is free."""
    monkeypatch.setattr(errors, "_free", lambda: 32 << 20)
    session = Session(wide(), threads=1)
    diagnostic = refused(lambda: session.run({"x": np.ones((1 << 20, 1), np.float32)}))
    assert diagnostic.id == "out-of-memory"
    assert diagnostic.message == "a batch of 1048576 does not fit in memory; 4 fit"
    timed = session.prepared({"x": np.ones((1 << 20, 1), np.float32)})
    assert refused(timed).message == diagnostic.message
    assert session.run({"x": np.ones((2, 1), np.float32)})["y"].shape == (2, 1 << 20)


@pytest.mark.parametrize(
    "told",
    [
        "bad allocation", "std::bad_alloc", "CUDA failure 2: out of memory",
        "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9",
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes",
        "CUBLAS_STATUS_ALLOC_FAILED when calling", "Unable to allocate 16.0 TiB for an array",
    ],
)  # fmt: skip
def test_what_short_memory_sounds_like(told: str) -> None:
    assert out_of_memory(RuntimeError(told))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("index 9 is out of bounds"))


class Small:
    """A module for which memory is short beyond some rows, like PyTorch's on either device."""

    def __init__(self, holds: int, error: Exception) -> None:
        self.holds, self.error, self.seen = holds, error, [0]

    def eval(self) -> Small:
        return self

    def to(self, device: str) -> Small:
        return self

    def __call__(self, *given: Any) -> Any:
        assert len({len(value) for value in given}) == 1
        self.seen.append(len(given[0]))
        if len(given[0]) > self.holds:
            raise self.error
        return given[0]


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_pytorch_says_so_of_a_batch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error: Exception = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
    if kind == "gpu":
        error = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    module = Small(20, error)
    monkeypatch.setattr("xgraph.backends.torch.to_module", lambda *_: module)
    inputs = {"x": np.ones((100, 3), np.float32), "z": np.ones((100, 2), np.float32)}
    diagnostic = refused(lambda: xgraph.run(TEXT, inputs, backend="torch"))
    assert (diagnostic.id, diagnostic.origin) == ("out-of-memory", "n")
    assert diagnostic.message == "a batch of 100 does not fit in memory; 12 fit"
    assert module.seen == [0, 100, 50, 25, 12]


def test_what_else_fails_in_pytorch_is_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xgraph.backends.torch.to_module", lambda *_: Small(0, IndexError("far")))
    low = driver.tensor_graph(xgraph.parse(TEXT))
    inputs = {"x": np.ones((4, 3), np.float32), "z": np.ones((4, 2), np.float32)}
    assert refused(lambda: driver.run_module(low, {}, inputs)).message == (
        "the module did not run: far"
    )


# ------------------------------------------------------------------------------------ halving


def tried(wanted: Signature, given: dict[str, Any], holds: int, error: str = "") -> list[Any]:
    """What came of it, and the shapes that were tried."""
    seen: list[Any] = []

    def run(fewer: Any) -> None:
        seen.append([value.shape for value in fewer.values()])
        if len(fewer["x"]) > holds:
            raise MemoryError

    told = does_not_fit(error, run, given, wanted, "net").diagnostics[0]
    return [told.message, *seen]


def test_only_inputs_with_the_batch_are_cut() -> None:
    wanted: Signature = {"x": ("float32", ("N", 2)), "table": ("float32", (5, 2))}
    given = {"x": np.ones((5, 2)), "table": np.ones((5, 2))}
    assert tried(wanted, given, 1) == [
        "a batch of 5 does not fit in memory; 1 fits",
        [(2, 2), (5, 2)],
        [(1, 2), (5, 2)],
    ]


@pytest.mark.parametrize("dims", [(5, 2), ("?", 2), ("N", "N"), ()])
def test_inputs_without_a_batch(dims: tuple[int | str, ...]) -> None:
    given = {"x": np.ones((5, 5)[: len(dims)])}
    assert tried({"x": ("float32", dims)}, given, 1) == ["these inputs do not fit in memory"]


def test_a_half_that_fails_otherwise_tells_nothing() -> None:
    def run(fewer: object) -> None:
        raise ValueError

    wanted: Signature = {"x": ("float32", ("N",))}
    error = does_not_fit("", run, {"x": np.ones(4)}, wanted, "net")
    assert error.diagnostics[0].message == "a batch of 4 does not fit in memory"


@pytest.mark.parametrize(
    ("wanted", "batch"),
    [
        ({"x": ("f", ("N", 3)), "y": ("f", ("N", "T"))}, "N"),
        ({"x": ("f", (3,)), "y": ("f", ("B", 4))}, "B"),
        ({"x": ("f", ("N", 3)), "y": ("f", (4, "N"))}, None),
        ({"x": ("f", ("2*N", 3))}, None),
        ({}, None),
    ],
)
def test_which_size_the_batch_is(wanted: Signature, batch: str | None) -> None:
    assert batch_of(wanted) == batch


def test_a_model_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")

    monkeypatch.setattr(ort, "InferenceSession", short)
    diagnostic = refused(lambda: Session(b"model"))
    assert diagnostic.id == "out-of-memory"
    assert diagnostic.message == "the model itself does not fit in memory: std::bad_alloc"
