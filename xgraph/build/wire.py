"""From protos to a typed graph: order, shape inference, and the mistakes only these show."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from math import prod
from typing import final

from xgraph.build.advice import advice
from xgraph.build.model import Proto, Wire, settled
from xgraph.build.names import written
from xgraph.build.shared import Reading
from xgraph.build.state import State, call_notes
from xgraph.diagnostics import Label
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.op import Fault
from xgraph.ir.order import find_circle
from xgraph.ir.scope import Call, Connect, Fusion, Modality, Route, Scope, SuperLayer
from xgraph.ops.common import shape
from xgraph.source import Span

_SILENT = ("input", "each_in", "each_out")
_CYCLES = 20
"""How many circles of connections are told."""


@final
class Wiring:
    """Adds protos to a graph in topological order, the older first."""

    def __init__(self, state: State, reading: Reading) -> None:
        self.state = state
        self.reading = reading
        self.graph = Graph(reading.name)
        self._values: dict[tuple[int, int], Value] = {}
        self._told: set[tuple[str, Span]] = set()
        self._weights = 0
        self._inputs = [tuple(map(settled, proto.inputs)) for proto in state.protos]

    def run(self) -> Graph:
        """The graph; it is whole only if nothing was reported."""
        graph, state = self.graph, self.state
        graph.scopes = list(state.scopes)
        graph.meta = self.reading.meta
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
        if not state.report.errors and graph.outputs:
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
            self._report_cycles({n for n, count in enumerate(waiting) if count})

    def _report_cycles(self, left: set[int]) -> None:
        """Report the circles among the protos that are `left`, one for each set of connections."""
        for _ in range(_CYCLES):
            circle = find_circle(
                (number, wire.proto.order)
                for number in sorted(left)
                for wire in self._inputs[number]
                if wire.proto.order in left
            )
            if not circle:
                return
            links = self._links(circle)
            self._report_cycle(circle, links)
            linked = {number for number in left if self.state.protos[number].scope in links}
            left -= linked or set(circle)

    def _links(self, circle: list[int]) -> list[Connect | Route]:
        scopes = dict.fromkeys(self.state.protos[n].scope for n in sorted(circle))
        return [scope for scope in scopes if isinstance(scope, (Connect, Route))]

    def _report_cycle(self, circle: list[int], links: list[Connect | Route]) -> None:
        spans = list(dict.fromkeys(scope.span for scope in links if scope.span))
        self.state.report.error(
            "cycle",
            "connections run in a circle: a value would depend on itself",
            spans[0] if spans else self.state.protos[circle[0]].span,
            "this leads back to where it begins",
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
                id=proto.order,  # as old as its text, though it may have to wait for others
            )
        except Fault as fault:
            self._report(proto, fault, values)
            return
        for value in node.outputs:
            self._values[proto.order, value.index] = value
        self._weigh(node)

    def _weigh(self, node: Node) -> None:
        """Count the numbers that layers own; those inside composites show once they are lowered."""
        before, most = self._weights, self.state.limits.weights
        self._weights += sum(prod(param.shape) for param in node.params)
        if before <= most < self._weights:
            self.state.report.error(
                "too-large",
                f"with this the parameters come to {self._weights} numbers, over {most}",
                node.span,
                notes=call_notes(_calls(node.scope)),
                help="`--limit weights=N` allows more",
            )

    def _report(self, proto: Proto, fault: Fault, values: list[Value]) -> None:
        number = fault.input = _to_blame(proto, fault, values)
        label = _blamed(proto, fault, values)
        if (fault.id, label.span) in self._told:  # in a block that is called often
            return
        self._told.add((fault.id, label.span))
        concerned = dict.fromkeys(values if number is None else (values[0], values[number]))
        notes = [
            Label(span, f"shape {shape(value.type)} comes from here")
            for value in concerned
            if (span := _origin(value, proto.scope)) is not None and span != label.span
        ]
        notes += [note for note in call_notes(_calls(proto.scope)) if note.span != label.span]
        told = fault.message
        if proto.op is not None and proto.op.is_composite and f"`{proto.op.name}`" not in told:
            told = f"within `{proto.op.name}`, {told}"
        self.state.report.error(
            fault.id, told, label.span, label.text, notes=notes, help=_advice(proto, fault, values)
        )

    def _warn_unused(self) -> None:
        owned, used = _holders(self.graph.nodes()), _holders(self._reached())
        unused = owned - used
        idle: dict[Span | None, list[Scope]] = {}
        for scope in self.graph.scopes:
            if isinstance(scope, (Modality, SuperLayer, Fusion)) and scope in unused:
                point = self.state.points.get(scope.address)
                idle.setdefault(point.span if point else scope.span, []).append(scope)
        for span, scopes in idle.items():
            kind = "super-layer" if isinstance(scopes[0], SuperLayer) else scopes[0].kind
            others = f" and {len(scopes) - 1} more of it" if len(scopes) > 1 else ""
            self.state.report.warn(
                "unused",
                f"{kind} `{written(scopes[0].address)}`{others} is not used by any output",
                span,
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


def _to_blame(proto: Proto, fault: Fault, values: list[Value]) -> int | None:
    """The input that a fault is about. A composite's comes from an op within it, which counts
    inputs of its own: there the message knows better."""
    number = fault.input
    if number is not None and number >= len(values):
        number = None
    if number is None or proto.op is None or not proto.op.is_composite:
        return number
    told = [i for i, value in enumerate(values) if shape(value.type) in fault.message]
    return number if number in told or not told else told[-1]


def _blamed(proto: Proto, fault: Fault, values: list[Value]) -> Label:
    """Where a fault is, and what is to be said of the value there."""
    if fault.attr in proto.attr_spans:
        return Label(proto.attr_spans[fault.attr])
    number = fault.input
    if number is None or number >= len(proto.input_spans):
        return Label(proto.span)
    span, given = proto.input_spans[number], values[number].type
    if fault.id == "bad-dtype":
        return Label(span, f"this is {given}")
    if span == proto.span and not proto.rebinds:
        return Label(span, f"what flows in has shape {shape(given)}")
    if proto.input_spans.count(span) > 1:
        return Label(span, f"number {number + 1} of these has shape {shape(given)}")
    return Label(span, f"this has shape {shape(given)}")


def _advice(proto: Proto, fault: Fault, values: list[Value]) -> str | None:
    assert proto.op is not None
    via = None
    if proto.rebinds and isinstance(proto.scope, Connect):
        via = settled(proto.inputs[1]).proto.scope is proto.scope
    return advice(proto.op, fault, [value.type for value in values], via)


def _origin(value: Value, reader: Scope | None) -> Span | None:
    """Where a value comes from, as its reader sees it: a block by its call."""
    around = set(reader.chain()) if reader else set()
    span = value.node.span
    for scope in value.node.scope.chain() if value.node.scope else ():
        if isinstance(scope, Call) and scope not in around:
            span = scope.span
    return span


def _calls(scope: Scope | None) -> list[tuple[str, Span]]:
    """The calls of blocks around a place, outermost first."""
    chain = scope.chain() if scope else ()
    found = [(s.block, s.span) for s in chain if isinstance(s, Call) and s.span is not None]
    return found[::-1]


def _holders(nodes: Iterable[Node]) -> set[Scope]:
    """The scopes around nodes."""
    found: set[Scope] = set()
    for node in nodes:
        scope = node.scope
        while scope is not None and scope not in found:
            found.add(scope)
            scope = scope.parent
    return found
