"""Digests of what a scope holds: equal where two scopes hold the same layers wired alike.

They tell `unbuild` whether a block call still holds what its block says, and which copies of an
array are alike. Connections and routers do not count: a value is taken as its point's own. Nor
does the order in which layers were added: each is known by its address within the scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import final

from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Argument, Call, Scope
from xgraph.ops import ENTER, LEAVE


def plain(value: Value) -> Value:
    """The value itself where it was only stepped into an `each` or gathered out of one."""
    while value.node.op in (ENTER, LEAVE):
        value = value.node.inputs[0]
    return value


def own_value(graph: Graph, value: Value) -> Value:
    """The own value behind merges, routers and the ends of `each`."""
    value = plain(value)
    while value.node.rebinds:
        value = plain(graph.points[value.node.rebinds[value.index]])
    return value


def members(graph: Graph) -> dict[Scope, list[Node]]:
    """The nodes in each scope and those within it, oldest first."""
    found: dict[Scope, list[Node]] = {scope: [] for scope in graph.scopes}
    for node in sorted(graph.nodes(), key=lambda n: n.id):
        for scope in node.scope.chain() if node.scope else ():
            found.setdefault(scope, []).append(node)
    return found


def values_at(graph: Graph, address: str) -> list[Value]:
    """The own values of a place: of its point or, where it has several values, of each."""
    points = graph.points
    if address in points:
        return [plain(points[address])]
    found: list[Value] = []
    while (indexed := f"{address}[{len(found)}]") in points:
        found.append(plain(points[indexed]))
    return found


def streams(graph: Graph) -> dict[str, Value]:
    """The value of each point after all connections and routers, in the order of the text."""
    found = {address: plain(value) for address, value in graph.points.items()}
    order = {scope: i for i, scope in enumerate(graph.scopes)}

    def place(node: Node) -> tuple[int, int]:
        return (order.get(node.scope, 0) if node.scope else 0), node.id

    for node in sorted((n for n in graph.nodes() if n.rebinds), key=place):
        found |= zip(node.rebinds, node.outputs, strict=True)
    return found


def in_argument(node: Node, scope: Scope) -> bool:
    """Whether a layer stands in an argument of a super-layer or fusion, before its body."""
    inner = node.scope
    while inner is not None and inner is not scope:
        if isinstance(inner, Argument) and inner.parent is scope:
            return True
        inner = inner.parent
    return False


@final
class Digester:
    """Digests the scopes of one graph."""

    def __init__(self, graph: Graph, held: dict[Scope, list[Node]] | None = None) -> None:
        self._graph = graph
        self._members = held if held is not None else members(graph)
        self.final = streams(graph)

    def digest(self, scope: Scope, entries: Iterable[str] = ()) -> str:
        """Of the body of `scope`; `entries` are the names under which values enter, besides
        `in`."""
        inside = [n for n in self._members.get(scope, []) if not in_argument(n, scope)]
        names = self._entries(scope, entries)
        return self._hash(scope, inside, names, values_at(self._graph, scope.address))

    def arguments(self, scope: Scope) -> str:
        """Of what flows into a super-layer or fusion."""
        before = [n for n in self._members.get(scope, []) if in_argument(n, scope)]
        return self._hash(scope, before, {}, values_at(self._graph, f"{scope.address}.in"))

    def _hash(
        self, scope: Scope, nodes: list[Node], names: dict[Value, str], ends: list[Value]
    ) -> str:
        cut = len(scope.address)
        local = {node: node.address[cut:] or str(node.id) for node in nodes}
        forms: dict[Value, set[Value]] = {}
        for value in {plain(value) for node in nodes for value in node.inputs}:
            forms.setdefault(own_value(self._graph, value), set()).add(value)

        def token(value: Value) -> str:
            value = plain(value)
            if value in names:
                return names[value]
            own = own_value(self._graph, value)
            place = f"{local[own.node]}" if own.node in local else f"outer {own.node.name}"
            # Where some layers read a value merged and others do not, the copy in which nothing
            # merges does not tell by which name each reads it.
            merged = value.node.rebinds[value.index][cut:] if value != own else ""
            return f"{place}:{own.index}" + (f" at {merged}" if len(forms.get(own, ())) > 1 else "")

        def lines() -> Iterator[str]:
            for node, name in local.items():
                tokens = [token(value) for value in node.inputs]
                yield f"{name}|{node.op.name}|{dict(node.attrs)}|{node.ports}|{tokens}"

        text = [*sorted(lines()), *map(token, ends)]
        return sha256("\n".join(text).encode()).hexdigest()[:24]

    def _entries(self, scope: Scope, entries: Iterable[str]) -> dict[Value, str]:
        """What flows in, as it is after all that merges there, by its name. What is read past
        that is another value, though it may be the same where nothing merges."""
        names: dict[Value, str] = {}
        for name in ("in", *entries):
            address = f"{scope.address}.{name}"
            for index, value in enumerate(values_at(self._graph, address)):
                names.setdefault(self.final.get(address, value), f".{name}[{index}]")
        return names


def call_digests(graph: Graph) -> dict[str, str]:
    """The digest of every block call, by address."""
    digester = Digester(graph)
    return {
        scope.address: digester.digest(scope, scope.values)
        for scope in graph.scopes
        if isinstance(scope, Call)
    }
