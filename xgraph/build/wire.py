"""From protos to a typed graph: order, shape inference, and the mistakes only these show."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import final

from xgraph.build.declare import Reading
from xgraph.build.model import Proto, Wire, settled
from xgraph.build.state import State
from xgraph.diagnostics import Label
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.op import Fault
from xgraph.ir.scope import Connect, Fusion, Modality, Route, Scope, SuperLayer
from xgraph.ops.common import shape

_SILENT = ("input", "each_in", "each_out")


@final
class Wiring:
    """Adds protos to a graph in topological order, the older first."""

    def __init__(self, state: State, reading: Reading) -> None:
        self.state = state
        self.reading = reading
        self.graph = Graph(reading.name)
        self._values: dict[tuple[int, int], Value] = {}
        self._inputs = [tuple(map(settled, proto.inputs)) for proto in state.protos]

    def run(self) -> Graph:
        """The graph; it is whole only if nothing was reported."""
        graph, state = self.graph, self.state
        graph.scopes = list(state.scopes)
        graph.prelude = tuple(self.reading.prelude)
        for proto in self._order():
            self._add(proto)
        for name, (source, _) in self.reading.outputs.items():
            value = self._value(settled(source))
            if value is not None:
                graph.outputs[name] = value
        for address, point in state.points.items():
            value = self._value(settled(point.own))
            if value is not None:
                graph.points[address] = value
        if not state.report.errors:
            self._warn_unused()
        return graph

    def _order(self) -> Iterable[Proto]:
        protos = self.state.protos
        readers: list[list[int]] = [[] for _ in protos]
        waiting = [0] * len(protos)
        for number, inputs in enumerate(self._inputs):
            for wire in inputs:
                readers[wire.proto.order].append(number)
                waiting[number] += 1
        ready = [number for number, count in enumerate(waiting) if not count]
        done = 0
        while ready:
            number = heapq.heappop(ready)
            done += 1
            yield protos[number]
            for reader in readers[number]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    heapq.heappush(ready, reader)
        if done < len(protos):
            self._report_cycle({n for n, count in enumerate(waiting) if count})

    def _report_cycle(self, left: set[int]) -> None:
        number, trail = min(left), []
        while number not in trail:
            trail.append(number)
            number = next(w.proto.order for w in self._inputs[number] if w.proto.order in left)
        circle = trail[trail.index(number) :]
        links = [
            scope
            for scope in (self.state.protos[n].scope for n in sorted(circle))
            if isinstance(scope, (Connect, Route)) and scope.span is not None
        ]
        spans = list(dict.fromkeys(scope.span for scope in links if scope.span))
        self.state.report.error(
            "cycle",
            "connections run in a circle: a value would depend on itself",
            spans[0] if spans else self.state.protos[circle[0]].span,
            "this feeds its own source",
            notes=[Label(span, "through this") for span in spans[1:]],
            help="connect from an earlier point to a later one",
        )

    def _value(self, wire: Wire) -> Value | None:
        return self._values.get((wire.proto.order, wire.index))

    def _add(self, proto: Proto) -> None:
        inputs = [self._value(wire) for wire in self._inputs[proto.order]]
        values = [value for value in inputs if value is not None]
        if proto.op is None or len(values) < len(inputs):
            return
        try:
            node = self.graph.add(
                proto.op,
                values,
                proto.attrs,
                ports=proto.ports,
                address=proto.address,
                scope=proto.scope,
                span=proto.span,
                rebinds=proto.rebinds,
            )
        except Fault as fault:
            self._report(proto, fault, values)
            return
        for value in node.outputs:
            self._values[proto.order, value.index] = value

    def _report(self, proto: Proto, fault: Fault, values: list[Value]) -> None:
        span, text = proto.span, ""
        if fault.attr in proto.attr_spans:
            span = proto.attr_spans[fault.attr]
        elif fault.input is not None and fault.input < len(proto.input_spans):
            span = proto.input_spans[fault.input]
            if proto.rebinds:
                span = proto.span
        if fault.input is not None and fault.input < len(values):
            text = f"this has shape {shape(values[fault.input].type)}"
        notes = []
        for value in dict.fromkeys(values):
            where = value.node.span
            if where is not None and where != span:
                notes.append(Label(where, f"shape {shape(value.type)} comes from here"))
        if span not in (proto.span, *(n.span for n in notes)) and fault.attr is None:
            notes.append(Label(proto.span))
        self.state.report.error(fault.id, fault.message, span, text, notes=notes, help=fault.help)

    def _warn_unused(self) -> None:
        owned, used = _holders(self.graph.nodes()), _holders(self._reached())
        for scope in self.graph.scopes:
            if isinstance(scope, (Modality, SuperLayer, Fusion)) and scope in owned - used:
                self.state.report.warn(
                    "unused",
                    f"{scope.kind} `{scope.address}` is not used by any output",
                    scope.span,
                    help="connect it, or take it out",
                )

        self._warn_dead(used)

    def _warn_dead(self, used: set[Scope]) -> None:
        """Layers whose result goes nowhere, unless a router stands in for them."""
        graph = self.graph
        reached = set(self._reached())
        replaced = {graph.points[a] for n in graph.nodes() for a in n.rebinds if a in graph.points}
        read = {value for node in graph.nodes() for value in node.inputs}
        for node in graph.nodes():
            ends = not any(v in read or v in replaced for v in node.outputs)
            holder = (
                next((s for s in node.scope.chain() if s in used), None) if node.scope else None
            )
            if node not in reached and ends and holder and node.op.name not in _SILENT:
                self.state.report.warn(
                    "unused",
                    f"nothing reads the result of `{node.op.name}`",
                    node.span,
                    help="to go on from it, begin the next line with `->`, or label it",
                )

    def _reached(self) -> list[Node]:
        """The nodes that some output needs."""
        live = self.graph.live()
        read = {value.node for node in live for value in node.inputs}
        read |= {value.node for value in self.graph.outputs.values()}
        return [node for node in live if node in read]


def _holders(nodes: Iterable[Node]) -> set[Scope]:
    """The scopes around nodes."""
    found: set[Scope] = set()
    for node in nodes:
        scope = node.scope
        while scope is not None and scope not in found:
            found.add(scope)
            scope = scope.parent
    return found
