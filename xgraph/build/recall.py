"""Arguments with which a block holds what a call of it came to hold.

A pass that scales widths changes layers within calls: `pair(64)` holds what `pair(26)` would. The
block is built again, alone, with the arguments that the changed numbers suggest; only if that holds
just what the call holds are they written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, final

from xgraph.build.declare import Declarer
from xgraph.build.digest import Digester, in_argument, members, values_at
from xgraph.build.model import Halt, Limits
from xgraph.build.state import State
from xgraph.build.wire import Wiring
from xgraph.build.write import size_text, value_text
from xgraph.diagnostics import Report
from xgraph.grammar import parse
from xgraph.ir.graph import Graph, Node
from xgraph.ir.scope import Call, Scope
from xgraph.ir.types import TensorType
from xgraph.source import Source

Arguments: TypeAlias = Mapping[str, object]

_CALL = "probe.call"


@final
class Recall:
    """Looks for the arguments of the block calls of one graph."""

    def __init__(self, graph: Graph, held: Mapping[Scope, list[Node]]) -> None:
        self._graph = graph
        self._held = held
        self._found: dict[tuple[object, ...], Arguments | None] = {}
        self._probes: dict[tuple[object, ...], _Probe | None] = {}

    def arguments(self, call: Call, digest: str) -> Arguments | None:
        """The arguments under which the block of `call` has this digest, if there are any."""
        if call.values or not call.args:
            return None
        inputs = values_at(self._graph, f"{call.address}.in")
        types = tuple(value.type for value in inputs)
        key = (call.block, tuple(call.args.items()), digest, types)
        if key not in self._found:
            self._found[key] = self._guess(call, digest, types)
        return self._found[key]

    def _guess(self, call: Call, digest: str, types: tuple[TensorType, ...]) -> Arguments | None:
        before = self._probe(call.block, call.args, types)
        changes = self._changes(call, before) if before else None
        if changes is None:
            return None
        args = {name: changes.get(value, value) for name, value in call.args.items()}
        after = self._probe(call.block, args, types)
        return args if after and after.digest == digest else None

    def _changes(self, call: Call, before: _Probe) -> dict[object, object] | None:
        """The numbers that layers of the call have in place of those of the block; None if they
        are other layers, or one number became several."""
        cut = len(call.address)
        changes: dict[object, object] = {}
        nodes = [n for n in self._held.get(call, []) if not in_argument(n, call) and not n.rebinds]
        if len(nodes) != len(before.layers):
            return None
        for node in nodes:
            old = before.layers.get(node.address[cut:])
            if old is None or old.op is not node.op:
                return None
            for name, value in old.attrs.items():
                new = node.attrs[name]
                if new != value and changes.setdefault(value, new) != new:
                    return None
        return changes

    def _probe(self, block: str, args: Arguments, types: tuple[TensorType, ...]) -> _Probe | None:
        key = (block, tuple(args.items()), types)
        if key not in self._probes:
            self._probes[key] = self._built(_probe_text(self._graph, block, args, types))
        return self._probes[key]

    def _built(self, text: str) -> _Probe | None:
        report = Report()
        declarer = Declarer(State(report, Limits()), {}, lambda tree: None)
        document = parse(Source("<probe>", text), report)
        try:
            declarer.read_document(document, ())
            graph = Wiring(declarer.state, declarer.reading).run()
        except Halt:
            return None
        scopes = [s for s in graph.scopes if s.address == _CALL and isinstance(s, Call)]
        return None if report.errors or not scopes else _Probe(graph, scopes[0])


@final
class _Probe:
    """A block built alone: its digest, and its layers by their place in it."""

    def __init__(self, graph: Graph, call: Call) -> None:
        held = members(graph)
        self.digest = Digester(graph, held).digest(call, call.values)
        self.layers = {node.address[len(call.address) :]: node for node in held[call]}


def _probe_text(graph: Graph, block: str, args: Arguments, types: tuple[TensorType, ...]) -> str:
    """A network of nothing but one call of a block, on inputs of these types."""
    given = ", ".join(f"{name} = {value_text(value)}" for name, value in args.items())
    inputs = [f"input{i}" for i in range(len(types))]
    modalities = (
        f"modality {name}: {_type_text(type_)}" for name, type_ in zip(inputs, types, strict=True)
    )
    head, _, inner = _CALL.partition(".")
    return "\n".join(
        [
            "network probe",
            *graph.prelude,
            *modalities,
            f"superlayer {head}({', '.join(inputs)}) {{ {inner}: {block}({given}) }}",
            f"output out = {inputs[0]}" if inputs else "",
        ]
    )


def _type_text(given: Any) -> str:
    dtype = "" if given.dtype.value == "f32" else f"{given.dtype.value} "
    return f"{dtype}[{', '.join(map(size_text, given.features))}]"
