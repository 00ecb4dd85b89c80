"""What a network is made of: shapes, parameters and multiply-accumulates, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, final

from xgraph.diagnostics import fail
from xgraph.given import kind_of
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Scope
from xgraph.ir.types import BATCH, Dim, Expr, divide, symbol
from xgraph.memory import peaks
from xgraph.passes import lower


@final
@dataclass
class Cost:
    """Of one sample. `macs` is an expression where the network has open axes."""

    params: int = 0
    """Trained numbers."""
    statistics: int = 0
    """Numbers kept but not trained (running means and variances)."""
    macs: Dim = 0
    """Multiply-accumulates."""

    def add(self, other: Cost) -> None:
        self.params += other.params
        self.statistics += other.statistics
        self.macs = self.macs + other.macs


@final
@dataclass
class Part:
    """A line of the report, and what is within it."""

    kind: str
    name: str
    shape: str
    cost: Cost
    parts: list[Part] = field(default_factory=list)
    note: str = ""
    address: str = ""
    """The prefix of what is within it; none of an `each`."""

    @property
    def title(self) -> str:
        """Kind, name and note, as a person reads them."""
        head = self.name if self.kind == "point" else f"{self.kind} {self.name}"
        return f"{head}  ({self.note})" if self.note else head

    @property
    def figures(self) -> tuple[str, str]:
        """Parameters and multiply-accumulates; empty where there are none."""
        return _figures(self.cost)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Part]]:
        yield depth, self
        for part in self.parts:
            yield from part.walk(depth + 1)

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": self.kind,
            "name": self.name,
            "shape": self.shape,
            "parameters": self.cost.params,
            "statistics": self.cost.statistics,
            "macs": _json_dim(self.cost.macs),
        }
        if self.note:
            found["note"] = self.note
        if self.parts:
            found["parts"] = [part.to_json() for part in self.parts]
        return found


def _json_dim(dim: Dim) -> int | str:
    return str(dim) if isinstance(dim, Expr) else int(dim)


def node_cost(node: Node) -> Cost:
    """The cost of a tensor-level node for one sample."""
    cost = Cost()
    for param in node.params:
        size = prod(param.shape)
        if param.kind == "parameter":
            cost.params += size
        elif param.kind == "statistic":
            cost.statistics += size
    types = tuple(value.type for value in node.outputs)
    macs = node.op.macs(node.input_types, types, node.resolved)
    batch = divide(macs, symbol(BATCH))
    cost.macs = macs if batch is None else batch
    return cost


def live_cost(low: Graph) -> Cost:
    """The cost of what the outputs of a tensor-level graph need, for one sample."""
    found = Cost()
    for node in low.live():
        found.add(node_cost(node))
    return found


@final
class Summary:
    """The report of an architecture-level graph."""

    def __init__(self, graph: Graph) -> None:
        if not isinstance(graph, Graph):
            told = f"a graph is wanted here, and this is {kind_of(graph)}"
            raise fail("not-a-network", told, help="`xgraph.parse` makes it")
        self.graph = graph
        self.total = Cost()
        self._costs: dict[Scope, Cost] = {}
        self._by_address: dict[str, Cost] = {}
        low = lower(graph)
        for node in low.nodes():
            self._count(node)
        self.peaks = peaks(low)
        self._children: dict[Scope | None, list[Scope]] = {}
        for scope in graph.scopes:
            self._children.setdefault(scope.parent, []).append(scope)
        self._nodes: dict[Scope, list[Node]] = {}
        for node in graph.nodes():
            if node.scope is not None:
                self._nodes.setdefault(node.scope, []).append(node)
        self._named: dict[Scope, list[Node]] = {}
        for node in graph.nodes():
            if node.scope is not None and node.address in graph.points:
                self._named.setdefault(node.scope, []).append(node)
        self.parts = [part for scope in self._children.get(None, []) for part in self._parts(scope)]

    def _count(self, node: Node) -> None:
        cost = node_cost(node)
        self.total.add(cost)
        for scope in node.scope.chain() if node.scope else ():
            self._costs.setdefault(scope, Cost()).add(cost)
        address = node.address
        while address:
            self._by_address.setdefault(address, Cost()).add(cost)
            address = address.rpartition(".")[0]

    def _parts(self, scope: Scope) -> Iterator[Part]:
        """The lines of a declaration; `each` puts its axis beside what it holds."""
        if isinstance(scope, scopes.Each):
            inner = [p for child in self._children.get(scope, []) for p in self._parts(child)]
            yield Part("each", scope.axis, "", self.cost(scope), inner)
            return
        name, note = self._title(scope)
        inner, shape = self._points(scope), self._shape(scope)
        yield Part(scope.kind, name, shape, self.cost(scope), inner, note, scope.address)

    def cost(self, scope: Scope) -> Cost:
        """Of what a scope holds."""
        return self._costs.get(scope, Cost())

    def cost_at(self, address: str) -> Cost:
        """Of what has this address, or one within it."""
        return self._by_address.get(address, Cost())

    def _title(self, scope: Scope) -> tuple[str, str]:
        match scope:
            case scopes.Connect():
                name = f"{written(scope.source)} -> {', '.join(map(written, scope.targets))}"
                weight = f", weight {scope.meta['weight']}" if "weight" in scope.meta else ""
                return name, f"by {scope.by}{weight}"
            case scopes.Route():
                (node,) = self._nodes[scope]
                left = ", ".join(map(written, scope.sources))
                right = ", ".join(map(written, scope.targets))
                return left if left == right else f"{left} -> {right}", node.op.name
            case scopes.Modality() | scopes.SuperLayer():
                notes = [f"{key} {value}" for key, value in scope.meta.items()]
                return written(scope.address), ", ".join(notes)
            case _:
                return written(scope.address), ""

    def _shape(self, scope: Scope) -> str:
        value: Value | None = self.graph.points.get(scope.address)
        if isinstance(scope, scopes.Output):
            value = self.graph.outputs.get(scope.address)
        if isinstance(scope, scopes.Connect):
            nodes = [n for n in self._nodes.get(scope, []) if n.rebinds]
            value = nodes[0].inputs[1] if nodes else None
        return f"[{', '.join(map(str, value.type.shape))}]" if value is not None else ""

    def _points(self, scope: Scope) -> list[Part]:
        """The labelled places within a super-layer or fusion, in order."""
        if not isinstance(scope, (scopes.SuperLayer, scopes.Fusion, scopes.Call, scopes.Label)):
            return []
        found: list[tuple[int, Part]] = []
        for child in self._children.get(scope, []):
            if isinstance(child, scopes.Label) or (
                isinstance(child, scopes.Call) and child.labelled
            ):
                found.append((self._first(child), self._point(child.address, child)))
        for node in self._named.get(scope, []):
            if not node.rebinds:
                found.append((node.id, self._point(node.address, None)))
        return [part for _, part in sorted(found, key=lambda entry: entry[0])]

    def _first(self, scope: Scope) -> int:
        value = self.graph.points.get(scope.address)
        return value.node.id if value is not None else 0

    def _point(self, address: str, scope: Scope | None) -> Part:
        value = self.graph.points.get(address)
        shape = f"[{', '.join(map(str, value.type.shape))}]" if value is not None else ""
        cost = self.cost_at(address)
        inner = self._points(scope) if scope is not None else []
        name = written(address).rpartition(".")[2]
        return Part("point", name, shape, cost, inner, address=address)

    def to_json(self) -> dict[str, Any]:
        return {
            "network": self.graph.name,
            "parameters": self.total.params,
            "statistics": self.total.statistics,
            "macs": _json_dim(self.total.macs),
            "activations": [{"bytes": _json_dim(p.bytes), "at": p.address} for p in self.peaks],
            "outputs": {k: str(v.type) for k, v in self.graph.outputs.items()},
            "parts": [part.to_json() for part in self.parts],
        }

    def render(self) -> str:
        """The report as text: a tree with columns."""
        rows = [("", "shape", "parameters", "MACs")]
        for depth, part in (line for top in self.parts for line in top.walk()):
            rows.append(("  " * depth + part.title, part.shape, *part.figures))
        rows.append(("total", "", *_figures(self.total)))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [f"network {self.graph.name}"]
        for a, b, c, d in rows:
            lines.append(
                f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
            )
        lines.insert(-1, "-" * (sum(widths) + 6))
        lines.append(f"parameters take {self.total.params * 4 / 1e6:.1f} MB as float32")
        most = [f"{peak.told} a sample (at `{written(peak.address)}`)" for peak in self.peaks]
        lines.append(f"activations take at most {', or '.join(most) or 'nothing'}")
        if self.total.statistics:
            lines.append(f"running statistics, not trained: {self.total.statistics:,}")
        return "\n".join(lines)


def _figures(cost: Cost) -> tuple[str, str]:
    macs = f"{cost.macs:,}" if isinstance(cost.macs, int) else str(cost.macs)
    return f"{cost.params:,}" if cost.params else "", macs if macs != "0" else ""


def written(address: str) -> str:
    """An address as a `.xg` writes it: `path.0.c2` is `path[0].c2`."""
    parts = address.split(".")
    return "".join(f"[{p}]" if p.isdigit() else f".{p}" if i else p for i, p in enumerate(parts))
