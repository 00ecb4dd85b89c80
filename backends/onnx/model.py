"""From a tensor-level graph and its weights to an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import xgraph
from xgraph.backends.onnx.emitter import Array, Emitter, described, fill
from xgraph.backends.onnx.registry import RULES, UNSUPPORTED
from xgraph.backends.onnx.site import Site
from xgraph.diagnostics import InternalError, fail
from xgraph.ir.graph import CHUNK, THREADS, WORKERS, Graph, Node, Value

if TYPE_CHECKING:
    import onnx

OPSETS = range(17, 27)
"""What can be written. 17 brought layer normalisation; 26 is what the oldest `onnx` that xgraph
installs knows, and the newest that ONNX Runtime took when this was written."""

DEFAULT_OPSET = OPSETS[-1]
"""The current one. For CUDA under ONNX Runtime 18 can be the better choice: of later operators
(`Pad` in 19, `MaxPool` and `LSTM` in 22) many versions have kernels for the CPU alone."""


def require_onnx() -> None:
    """A diagnostic, should the package be missing."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise fail(
            "missing-extra",
            "ONNX models need the package `onnx`, and it is not installed",
            help="pip install 'xgraph[onnx]'",
        ) from None


def to_onnx(
    graph: Graph, weights: Mapping[str, Array], *, opset: int | None = None
) -> onnx.ModelProto:
    """The model that computes the outputs of a tensor-level `graph`.

    Every parameter is a tensor of the model under its address, save those of recurrent layers
    (see `sequence`) and counters.
    """
    require_onnx()
    if graph.level != "tensor":
        raise InternalError("the ONNX backend", f"{graph!r} was not lowered")
    emitter = Emitter(_known(opset), weights)
    _reserve(emitter, graph)
    outputs = {name: emitter.names.fresh(name) for name in graph.outputs}
    names = {value: outputs[name] for name, value in reversed(graph.outputs.items())}
    for node in (*(value.node for value in graph.inputs.values()), *graph.live()):
        if node.output not in emitter.values:
            _apply(emitter, graph, node, names)
    for name, value in graph.outputs.items():
        if emitter.values[value] != outputs[name]:
            copy = emitter.operator("Identity", [emitter.values[value]], name)
            emitter.rename(copy, name, outputs[name])
    return _model(graph, emitter, outputs)


def _known(opset: int | None) -> int:
    if opset is None:
        return DEFAULT_OPSET
    if opset not in OPSETS:
        raise fail(
            "unsupported-opset",
            f"opset {opset} cannot be written",
            help=f"give one from {OPSETS[0]} to {OPSETS[-1]}; {DEFAULT_OPSET} where none is given",
        )
    return opset


def _reserve(emitter: Emitter, graph: Graph) -> None:
    """Inputs and parameters keep their names whatever else the graph holds."""
    for name in (*graph.inputs, *(name for name, _ in graph.params())):
        emitter.names.fresh(name)


def _apply(emitter: Emitter, graph: Graph, node: Node, names: Mapping[Value, str]) -> None:
    """Write one node by its rule."""
    site = Site(emitter, node)
    result = _rule_result(site)
    last = site.written.get(result)
    if last is not None:
        result = names.get(node.output) or emitter.names.fresh(node.name)
        emitter.rename(last, node.name, result)
        if node.span and node.span.source.text == graph.source_text:
            last.doc_string = f"line {node.span.line}"
    emitter.define(node.output, result)


def _rule_result(site: Site) -> str:
    op = site.node.op.name
    if op in RULES:
        return RULES[op](site)
    if op in UNSUPPORTED:
        raise fail(
            "unsupported-op",
            f"`{op}` cannot be written as ONNX: {UNSUPPORTED[op]}",
            span=site.node.span,
        )
    raise InternalError("the ONNX backend", f"there is no rule for `{op}`")


def _model(graph: Graph, emitter: Emitter, outputs: Mapping[str, str]) -> onnx.ModelProto:
    import onnx.helper as h

    ends = {value.name for value in emitter.inputs} | set(outputs.values())
    body = h.make_graph(
        emitter.nodes,
        graph.name,
        emitter.inputs,
        [described(outputs[name], value.type) for name, value in graph.outputs.items()],
        value_info=[described(n, t) for n, t in emitter.types.items() if n not in ends],
    )
    opsets = [h.make_opsetid("", emitter.opset)]
    model = h.make_model(
        body,
        opset_imports=opsets,
        ir_version=h.find_min_ir_version_for(opsets),
        producer_name="xgraph",
        producer_version=xgraph.__version__,
    )
    h.set_model_props(model, _properties(graph, outputs))
    for name, array in emitter.tensors.items():  # straight into their place: they may be large
        fill(model.graph.initializer.add(), name, array)
    return model


def _properties(graph: Graph, outputs: Mapping[str, str]) -> dict[str, str]:
    """What the model says of itself, and the outputs that could not keep their names."""
    renamed = {f"xgraph.output.{tensor}": n for n, tensor in outputs.items() if n != tensor}
    source = {"xgraph.source": graph.source_text} if graph.source_text else {}
    keys = (CHUNK, WORKERS, THREADS)
    plan = {f"xgraph.{key}": graph.meta[key] for key in keys if key in graph.meta}
    return {"xgraph.version": xgraph.__version__, **source, **plan, **renamed}
