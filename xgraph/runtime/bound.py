"""Runs with inputs and outputs in the memory of a device, which is taken once for runs alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from xgraph.diagnostics import Report
from xgraph.runtime.buckets import Buckets
from xgraph.runtime.providers import SILENT, Device
from xgraph.runtime.shapes import Array, Signature, shape_of, sizes_of

if TYPE_CHECKING:
    import onnxruntime as ort

Outputs: TypeAlias = Mapping[str, tuple[str, tuple[int, ...] | None]]
"""The model's own names of outputs, with their types and, where those are known, shapes."""

GRAPH = "gpu_graph_id"
NO_GRAPH = -1


@final
class OnDevice:
    """A session's runs on a device: with the buffers of the last one where that was alike, or with
    those of a bucket. They share buffers, so that there is one at a time."""

    def __init__(
        self,
        session: ort.InferenceSession,
        device: Device,
        tensors: Mapping[str, str],
        taken: Signature,
        given: Signature,
        buckets: Buckets,
        notes: Report,
    ) -> None:
        self._session, self._device = session, device
        self._tensors, self._taken, self._given = tensors, taken, given
        self._buckets, self._notes = buckets, notes
        self._graphs = count(1)
        self._captured: dict[int, Bound] = {}
        self._last: tuple[object, Bound] | None = None
        self._lock = Lock()

    def run(self, inputs: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """The outputs named."""
        with self._lock:
            if not self._buckets.sizes:
                return self._alike(inputs, names, None)
            rows = len(next(iter(inputs.values())))
            bucket = self._buckets.fitting(rows)
            if bucket is None:
                self._notes.add(self._buckets.outside())
                return self._alike(inputs, names, NO_GRAPH)
            self._buckets.check(lambda full: self._full(full, bucket), inputs, bucket)
            found = self._full(self._buckets.filled(inputs, bucket), bucket)
            return {name: found[name][:rows] for name in names}

    def prepared(self, inputs: Mapping[str, Array], names: Sequence[str]) -> Callable[[], None]:
        """A run in buffers of its own, into which these inputs are brought once, and in which the
        outputs stay. It is captured where it fills a bucket."""
        graph = None
        if self._buckets.sizes:
            rows = len(next(iter(inputs.values())))
            graph = next(self._graphs) if rows in self._buckets.sizes else NO_GRAPH
        bound = self._bound(inputs, names, graph)
        bound.run(inputs)
        return bound.play

    def _alike(
        self, inputs: Mapping[str, Array], names: Sequence[str], graph: int | None
    ) -> dict[str, Array]:
        """A run with the buffers of the last one, or with new ones."""
        key = ({name: array.shape for name, array in inputs.items()}, tuple(names))
        if self._last is None or self._last[0] != key:
            self._last = None  # gives its memory back
            self._last = (key, self._bound(inputs, names, graph))
        return dict(zip(names, self._last[1].run(inputs), strict=True))

    def _full(self, inputs: Mapping[str, Array], bucket: int) -> dict[str, Array]:
        """All outputs of a full bucket. Its buffers stay where they are as long as the session:
        the captured run has their addresses in it."""
        bound = self._captured.get(bucket)
        if bound is None:
            bound = self._bound(inputs, list(self._given), next(self._graphs))
        found = dict(zip(self._given, bound.run(inputs), strict=True))
        self._captured[bucket] = bound
        return found

    def _bound(self, inputs: Mapping[str, Array], names: Sequence[str], graph: int | None) -> Bound:
        sizes = sizes_of(inputs, self._taken)
        outputs = {
            self._tensors[name]: (self._given[name][0], shape_of(self._given[name][1], sizes))
            for name in names
        }
        return Bound(self._session, self._device, inputs, outputs, graph)


@final
class Bound:
    """The buffers of runs of one shape.

    `graph` is the number under which the run is captured the first time and played again after;
    `NO_GRAPH` keeps a run out of that in a session that captures.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        device: Device,
        inputs: Mapping[str, Array],
        outputs: Outputs,
        graph: int | None = None,
    ) -> None:
        import onnxruntime as ort

        def buffer(dtype: str, shape: tuple[int, ...]) -> Any:
            element = np.dtype(dtype).type
            return ort.OrtValue.ortvalue_from_shape_and_type(shape, element, device, 0)

        self._session, self._device = session, device
        self._options = ort.RunOptions()
        self._options.log_severity_level = SILENT
        if graph is not None:
            self._options.add_run_config_entry(GRAPH, str(graph))
        self._binding = session.io_binding()
        self._inputs = {name: buffer(a.dtype.name, a.shape) for name, a in inputs.items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._free = []
        for name, (dtype, shape) in outputs.items():
            if shape is None or not _is_number(dtype):
                self._free.append(name)
                self._binding.bind_output(name, device, 0)
            else:
                self._binding.bind_ortvalue_output(name, buffer(dtype, shape))

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs for inputs of these shapes, on the host."""
        for name, array in inputs.items():
            self._inputs[name].update_inplace(array)
        self.play()
        found: list[Array] = self._binding.copy_outputs_to_cpu()
        return found

    def play(self) -> None:
        """The run alone, on the inputs of the last one."""
        for name in self._free:  # else ONNX Runtime would take the last run's for room to write in
            self._binding.bind_output(name, self._device, 0)
        self._session.run_with_iobinding(self._binding, self._options)


def _is_number(dtype: str) -> bool:
    """Whether numpy has numbers of this kind."""
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False
