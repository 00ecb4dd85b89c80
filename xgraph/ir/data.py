"""A graph as plain data (dicts, lists, texts, numbers) and as JSON, and back.

    {"format": "xgraph-graph", "version": 1, "name": "basecnn", "level": "architecture",
     "nodes": [{"op": "input", "attrs": {...}, "address": "image", "types": ["f32[N, 3, 32, 32]"]},
               {"op": "conv", "inputs": [[0, 0]], "attrs": {"filters": 32}, "scope": 1, ...}],
     "scopes": [{"kind": "modality", "address": "image"}, ...],
     "points": {"y.b1": [4, 0]}, "outputs": {"logits": [9, 0]}, "prelude": ["dim T"]}

Nodes are numbered in topological order, so equal graphs give equal data. A value is `[node,
output]`, with the port as a third where that is optional. Attributes and fields equal to their
defaults are left out, and so is what is empty. A scope that nodes refer to and the graph does
not list (`lower` keeps those) has `"loose": true`. Spans are not kept.

Reading trusts nothing: what comes back is a graph that `verify` has no complaint about, or a
diagnostic. `xgraph.ir.text` is the same data for people to read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.op import REQUIRED, OpTable
from xgraph.ir.plain import Malformed, Plain, encode, encode_map
from xgraph.ir.restore import FORMAT, VERSION, Data, field_default, own_fields, restore
from xgraph.ir.scope import Scope

MAX_JSON = 64 * 2**20
"""The most characters of a JSON text."""


def to_data(graph: Graph) -> Data:
    """The graph as plain data. An unsound graph is written too, as far as that is possible."""
    nodes = _in_order(graph)
    scopes = _every_scope(graph, nodes)
    numbers = {node: i for i, node in enumerate(nodes)}
    listed = set(graph.scopes)

    def ref(value: Value) -> list[Plain]:
        return [numbers.get(value.node, f"?{value.node.name}"), value.index]

    return {"format": FORMAT, "version": VERSION, "name": graph.name, "level": graph.level} | _full(
        prelude=list(graph.prelude),
        nodes=[_node_data(node, [ref(v) for v in node.inputs], scopes) for node in nodes],
        scopes=[_scope_data(scope, scopes, scope not in listed) for scope in scopes],
        points={name: ref(value) for name, value in graph.points.items()},
        outputs={name: ref(value) for name, value in graph.outputs.items()},
        digests=dict(graph.digests),
        meta=dict(graph.meta),
        source_text=graph.source_text,
    )


def _full(**items: Plain) -> Data:
    """Without what is empty."""
    return {name: value for name, value in items.items() if value not in (None, "", [], {})}


def _in_order(graph: Graph) -> list[Node]:
    try:
        return graph.nodes()
    except ValueError:  # they read each other in a circle
        return [graph.node(number) for number in graph.view]


def _every_scope(graph: Graph, nodes: list[Node]) -> dict[Scope, int]:
    """The scopes that the graph lists, then others that nodes are in; parents first."""
    found = dict.fromkeys(graph.scopes)
    for node in nodes:
        if node.scope is not None and node.scope not in found:
            found |= dict.fromkeys(reversed(list(node.scope.chain())))
    return {scope: i for i, scope in enumerate(found)}


def _node_data(node: Node, inputs: list[Plain], scopes: Mapping[Scope, int]) -> Data:
    optional = {port.name for port in node.op.optional_ports}
    for ref, port in zip(inputs, node.ports, strict=False):
        if port in optional:
            ref.append(port)
    return {"op": node.op.name} | _full(
        inputs=inputs,
        attrs=_written(node.attrs, {attr.name: attr.default for attr in node.op.attrs}),
        address=node.address,
        scope=scopes[node.scope] if node.scope else None,
        rebinds=list(node.rebinds),
        types=[str(value.type) for value in node.outputs],
    )


def _written(values: Mapping[str, object], defaults: Mapping[str, object]) -> Data:
    """What differs from its default."""
    out = {}
    for name, value in values.items():
        default = defaults[name]
        plain = _plain(value)
        if default is REQUIRED or plain != _plain(default):
            out[name] = plain
    return out


def _plain(value: object) -> Plain:
    return encode_map(value) if isinstance(value, Mapping) else encode(value)


def _scope_data(scope: Scope, scopes: Mapping[Scope, int], loose: bool) -> Data:
    head = {"kind": scope.kind, "address": scope.address}
    defaults = {field.name: field_default(field) for field in own_fields(type(scope))}
    own = _written({name: getattr(scope, name) for name in defaults}, defaults)
    parent = None if scope.parent is None else scopes.get(scope.parent, f"?{scope.parent.address}")
    return head | _full(parent=parent, loose=loose or None) | own


def from_data(data: Plain, ops: OpTable, origin: str = "graph data") -> Graph:
    """The graph that `data` describes; `DiagnosticError` (`malformed-graph`) if it is none."""
    try:
        return restore(data, ops)
    except Malformed as error:
        where = f"{origin}: {error.place[0]}[{error.place[1]}]" if error.place else origin
        raise fail("malformed-graph", error.message, origin=where, help=error.help) from None


def to_json(graph: Graph) -> str:
    """The graph as JSON, the same for equal graphs."""
    return json.dumps(to_data(graph), ensure_ascii=False, indent=1) + "\n"


def from_json(text: str, ops: OpTable, origin: str = "graph data") -> Graph:
    """The graph that `to_json` wrote; `DiagnosticError` (`malformed-graph`) for anything else."""
    if len(text) > MAX_JSON:
        raise fail(
            "malformed-graph", f"a graph may have {MAX_JSON} characters of JSON", origin=origin
        )
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise fail("malformed-graph", f"this is not JSON: {error}", origin=origin) from None
    return from_data(data, ops, origin)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
