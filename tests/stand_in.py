"""A stand-in for ONNX Runtime with a GPU: it computes on the CPU, keeps to the GPU's rules, and
remembers what was asked of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, final

import numpy as np
import onnxruntime as ort
import pytest

Array = np.ndarray[Any, Any]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_Session = ort.InferenceSession


@final
@dataclass
class Machine:
    """What the GPU is like, and what it was told to do."""

    elsewhere: Sequence[tuple[str, str]] = ()
    """Nodes (name, operator) that it leaves to the CPU."""
    copies: Sequence[str] = ()
    """What ONNX Runtime says of copies as it adds them."""
    holds: int = 1 << 30
    """The rows that fit in its memory."""
    refuses: str = ""
    """Why it does not open sessions."""
    buffers: list[tuple[tuple[int, ...], str]] = field(default_factory=list)
    runs: list[tuple[int, str | None]] = field(default_factory=list)
    """Rows and graph number of each run."""
    opened: list[Session] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Machine:
        machine = self

        class Value(_Value):
            pass

        def opened(source: Any, options: Any, *, providers: list[Any], **more: Any) -> Any:
            if providers[0] == CPU:
                return _Session(source, options, providers=providers)
            return Session(machine, source, options, providers=providers, **more)

        Value.machine = machine
        monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
        monkeypatch.setattr(ort, "OrtValue", Value)
        monkeypatch.setattr(ort, "InferenceSession", opened)
        return self


class _Value:
    """A tensor in the GPU's memory."""

    machine: Machine

    def __init__(self, array: Array) -> None:
        self.array = array

    @classmethod
    def ortvalue_from_shape_and_type(
        cls, shape: tuple[int, ...], element: Any, device: str, index: int
    ) -> _Value:
        assert (device, index) == ("cuda", 0)
        cls.machine.buffers.append((tuple(shape), np.dtype(element).name))
        return cls(np.full(shape, 77, element))

    def update_inplace(self, array: Array) -> None:
        assert (self.array.shape, self.array.dtype) == (array.shape, array.dtype)
        self.array[...] = array


@final
class Binding:
    def __init__(self) -> None:
        self.inputs: dict[str, _Value] = {}
        self.outputs: dict[str, _Value | None] = {}

    def bind_ortvalue_input(self, name: str, value: _Value) -> None:
        self.inputs[name] = value

    def bind_ortvalue_output(self, name: str, value: _Value) -> None:
        self.outputs[name] = value

    def bind_output(self, name: str, device: str, index: int) -> None:
        assert (device, index) == ("cuda", 0)
        self.outputs[name] = None

    def copy_outputs_to_cpu(self) -> list[Array]:
        found = [value.array.copy() for value in self.outputs.values() if value is not None]
        assert len(found) == len(self.outputs)
        return found


@final
class Session:
    def __init__(
        self, machine: Machine, source: Any, options: Any, *, providers: list[Any],
        enable_fallback: int,
    ) -> None:  # fmt: skip
        assert not enable_fallback
        self.machine, self.providers, self.options = machine, providers, options
        self.real = _Session(source, options, providers=[CPU])
        self.graphs: dict[str, list[int]] = {}
        if machine.refuses:
            raise RuntimeError(machine.refuses)
        machine.opened.append(self)
        if machine.copies:
            os.write(2, f"[W] {len(machine.copies)} Memcpy nodes are added to the graph\n".encode())
        if options.log_severity_level <= 1:
            os.write(2, "".join(f"[I] {line}\n" for line in machine.copies).encode())

    def __getattr__(self, name: str) -> Any:
        if name in ("get_inputs", "get_outputs", "get_modelmeta"):
            return getattr(self.real, name)
        raise AttributeError(name)

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def io_binding(self) -> Binding:
        return Binding()

    def get_provider_graph_assignment_info(self) -> list[Any]:
        key = "session.record_ep_graph_assignment_info"
        assert self.options.get_session_config_entry(key) == "1"

        def part(provider: str, nodes: Sequence[tuple[str, str]]) -> Any:
            made = [SimpleNamespace(name=name, op_type=op) for name, op in nodes]
            return SimpleNamespace(ep_name=provider, get_nodes=lambda: made)

        return [part(CUDA, [("first", "MatMul")]), part(CPU, self.machine.elsewhere)]

    def run_with_iobinding(self, binding: Binding, options: Any) -> None:
        assert options.log_severity_level == 4
        try:
            graph = options.get_run_config_entry("gpu_graph_id")
        except RuntimeError:
            graph = None
        inputs = {name: value.array for name, value in binding.inputs.items()}
        rows = len(next(iter(inputs.values())))
        self.machine.runs.append((rows, graph))
        if rows > self.machine.holds:
            raise RuntimeError(
                "Error in execution: bfc_arena.cc:360 Failed to allocate memory for requested"
                " buffer of size 1024"
            )
        self._replay(graph, binding)
        for name, found in zip(
            binding.outputs, self.real.run(list(binding.outputs), inputs), strict=True
        ):
            value = binding.outputs[name]
            if value is None:  # what was made for one run is what the next is to write in
                binding.outputs[name] = _Value(found)
            else:
                value.update_inplace(found)

    def _replay(self, graph: str | None, binding: Binding) -> None:
        """A graph that is played again reads and writes where it did when it was captured."""
        if self.providers[0][1].get("enable_cuda_graph") != "1":
            assert graph is None
        elif graph != "-1":
            assert graph is not None
            values = [*binding.inputs.values(), *binding.outputs.values()]
            assert None not in values
            places = [id(value) for value in values]
            assert self.graphs.setdefault(graph, places) == places
