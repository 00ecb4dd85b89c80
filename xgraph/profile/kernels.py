"""What ONNX Runtime measured: kernels by the names of nodes, of the model and of its own."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, final

from xgraph.backends.onnx import save, to_onnx
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.ir.graph import Graph
from xgraph.profile.runs import Array, Measured, Run, clocked
from xgraph.runtime import Session

if TYPE_CHECKING:
    import onnx

_LAYOUT = ("Reorder", "Memcpy")
_SUFFIX = "_kernel_time"


def measure_kernels(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    repeats: int,
    place: Callable[[str], str | None],
) -> Measured:
    """Runs of a tensor-level graph on the CPU; `place` tells the part of a name."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        save(to_onnx(graph, weights), path)
        whole = _plain(path, inputs, repeats, graph.name)
        session = _profiled(path)
        try:
            for _ in range(repeats):
                session.run(None, dict(inputs))
        finally:
            told = Path(session.end_profiling())
        events = json.loads(told.read_text("utf-8"))
        owners = _Owners(Path(folder, "optimized.onnx"), place)
    return Measured(_runs(events, owners), whole)


def _plain(path: Path, inputs: Mapping[str, Array], repeats: int, name: str) -> list[float]:
    """Times of runs that are not measured part by part; `DiagnosticError` where it does not run."""
    try:
        session = Session(path, workers=1)  # the whole batch at once, as the kernels are measured
        return clocked(lambda: session.run(inputs), repeats)
    except DiagnosticError as error:  # the file is none of the user's
        raise DiagnosticError(*(replace(d, origin=name) for d in error.diagnostics)) from None


def _profiled(path: Path) -> Any:
    """A session that keeps times, and leaves beside the model the one that it made of it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.enable_profiling = True
    options.profile_file_prefix = str(path.with_name("profile"))
    options.optimized_model_filepath = str(path.with_name("optimized.onnx"))
    options.add_session_config_entry(
        "session.optimized_model_external_initializers_file_name", "optimized.data"
    )
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@final
class _Owners:
    """The parts that the nodes of an optimised model belong to.

    Nodes that ONNX Runtime adds have names of its own: what they give, who reads that, and what
    they read tell where they belong.
    """

    def __init__(self, path: Path, place: Callable[[str], str | None]) -> None:
        import onnx

        self._place = place
        graph = onnx.load(str(path), load_external_data=False).graph
        self._nodes = {node.name: node for node in graph.node}
        self._maker = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._readers[name].append(node)

    def of(self, name: str) -> str | None:
        found = self._place(name)
        if found is not None or name not in self._nodes:
            return found
        return next(filter(None, map(self._place, self._near(self._nodes[name]))), None)

    def _near(self, node: onnx.NodeProto) -> list[str]:
        """Names that may tell more than the node's own, the best first."""
        readers = [reader.name for name in node.output for reader in self._readers[name]]
        makers = [self._maker[name].name for name in node.input if name in self._maker]
        return [*node.output, *readers, *makers]


def _runs(events: list[dict[str, Any]], owners: _Owners) -> list[Run]:
    """The kernels of each run that ONNX Runtime kept whole: it keeps a million events. What a run
    took besides is between them."""
    whole = sorted((e["ts"], e["dur"]) for e in events if e["name"] == "model_run")
    starts = [start for start, _ in whole]
    runs = [Run(total=took / 1e6) for _, took in whole]
    parts: dict[str, str | None] = {}
    for event in events:
        name = event["name"]
        index = bisect_right(starts, event["ts"]) - 1
        is_within = index >= 0 and event["ts"] <= sum(whole[index])
        if event.get("cat") != "Node" or not name.endswith(_SUFFIX) or not is_within:
            continue
        name = name.removesuffix(_SUFFIX)
        if name not in parts:
            parts[name] = owners.of(name)
        run = runs[index]
        run.add(parts[name], event["dur"] / 1e6)
        if event["args"].get("op_name", "").startswith(_LAYOUT):
            run.layout += event["dur"] / 1e6
    if not runs:
        raise fail(
            "run-failed", "ONNX Runtime kept no times: the network has too many nodes",
            help="`--backend torch` has no such limit",
        )  # fmt: skip
    return runs
