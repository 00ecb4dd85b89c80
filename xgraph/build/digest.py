"""Digests of what a scope holds: equal where two scopes hold the same layers wired alike.

They tell `unbuild` whether a block call still holds what its block says, and which copies of an
array are alike. Connections and routers do not count: a value is taken as its point's own.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def members(graph: Graph) -> dict[Scope, list[Node]]:
    """The nodes in each scope and those within it, oldest first."""
    found: dict[Scope, list[Node]] = {scope: [] for scope in graph.scopes}
    for node in sorted(graph.nodes(), key=lambda n: n.id):
        for scope in node.scope.chain() if node.scope else ():
            found.setdefault(scope, []).append(node)
    return found


@final
class Digester:
    """Digests the scopes of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._members = members(graph)

    def own(self, value: Value) -> Value:
        """The own value behind merges, routers and the ends of `each`."""
        value = plain(value)
        while value.node.rebinds:
            value = plain(self._graph.points[value.node.rebinds[value.index]])
        return value

    def digest(self, scope: Scope, entries: Iterable[str]) -> str:
        """`entries` are the names under which values enter, besides `in`."""
        text: list[str] = []
        names = self._entries(scope, entries)
        nodes = [n for n in self._members.get(scope, []) if not self._outside(n, scope)]
        local = {node: number for number, node in enumerate(nodes)}
        prefix = len(scope.address)
        for node in nodes:
            tokens = [self._token(self.own(v), local, names) for v in node.inputs]
            text.append(
                f"{node.address[prefix:]}|{node.op.name}|{dict(node.attrs)}|{node.ports}|{tokens}"
            )
        text += self._ends(scope, local, names)
        return sha256("\n".join(text).encode()).hexdigest()[:24]

    def _outside(self, node: Node, scope: Scope) -> bool:
        """The layers of a super-layer's arguments stand before its body."""
        return any(isinstance(s, Argument) and s.parent is scope for s in _upto(node, scope))

    def _entries(self, scope: Scope, entries: Iterable[str]) -> dict[Value, str]:
        names: dict[Value, str] = {}
        for name in ("in", *entries):
            for address in (f"{scope.address}.{name}", *self._indexed(scope, name)):
                if address in self._graph.points:
                    names.setdefault(
                        self.own(self._graph.points[address]), address[len(scope.address) :]
                    )
        return names

    def _indexed(self, scope: Scope, name: str) -> list[str]:
        found: list[str] = []
        while (address := f"{scope.address}.{name}[{len(found)}]") in self._graph.points:
            found.append(address)
        return found

    def _token(self, value: Value, local: dict[Node, int], names: dict[Value, str]) -> str:
        if value.node in local:
            return f"{local[value.node]}:{value.index}"
        if value in names:
            return names[value]
        return f"outer {value.node.id}:{value.index}"

    def _ends(self, scope: Scope, local: dict[Node, int], names: dict[Value, str]) -> list[str]:
        """What comes out, and which labels stand where."""
        ends = []
        points = self._graph.points
        if scope.address in points:
            ends.append(self._token(self.own(points[scope.address]), local, names))
        return ends


def _upto(node: Node, scope: Scope) -> Iterable[Scope]:
    for inner in node.scope.chain() if node.scope else ():
        if inner is scope:
            return
        yield inner


def call_digests(graph: Graph) -> dict[str, str]:
    """The digest of every block call, by address."""
    digester = Digester(graph)
    return {
        scope.address: digester.digest(scope, scope.values)
        for scope in graph.scopes
        if isinstance(scope, Call)
    }
