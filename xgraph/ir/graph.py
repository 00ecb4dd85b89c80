"""The graph IR: nodes that apply ops to values, over a networkx multigraph.

A node's `inputs` tuple is the truth; the edges of the `networkx.MultiDiGraph` (keyed by input
index, so that `add(x, x)` has two) follow it through the mutators of `Graph`, the only way to
change anything. The same class holds both levels: an *architecture* graph has composite ops,
scopes and points; a *tensor* graph has primitives only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, final

import networkx as nx

from xgraph.ir.attrs import Attrs
from xgraph.ir.infer import infer_types
from xgraph.ir.op import Args, OpSpec, Param
from xgraph.ir.scope import Scope
from xgraph.ir.types import TensorType
from xgraph.source import Span

Level = Literal["architecture", "tensor"]


@final
class Value:
    """Output `index` of a node."""

    __slots__ = ("index", "node", "type")

    def __init__(self, node: Node, index: int, type: TensorType) -> None:  # noqa: A002
        self.node = node
        self.index = index
        self.type = type
        """Set by the graph alone, when types are inferred."""

    def __repr__(self) -> str:
        return f"<value {self.node.name}.{self.index}: {self.type}>"


@final
class Node:
    """One application of an op. Change it through its graph."""

    __slots__ = (
        "_attrs", "_inputs", "_params", "_resolved", "address", "id", "op", "outputs", "ports",
        "rebinds", "scope", "span",
    )  # fmt: skip

    outputs: tuple[Value, ...]

    def __init__(
        self,
        id: int,  # noqa: A002
        op: OpSpec,
        inputs: tuple[Value, ...],
        ports: tuple[str, ...],
        attrs: Attrs,
        address: str,
        scope: Scope | None,
        span: Span | None,
        rebinds: tuple[str, ...],
    ) -> None:
        self.id = id
        self.op = op
        self.ports = ports
        self.address = address
        """Prefix of its parameters' names; unique in the graph."""
        self.scope = scope
        self.span = span
        self.rebinds = rebinds
        """The points whose streams its outputs replace, one per output: a connection's merge has
        one, a router as many as it has outputs, every other node none."""
        self._inputs = inputs
        self._attrs = attrs
        self._forget()

    def _forget(self) -> None:
        """Its inputs or attributes are others now: what follows from them is found anew."""
        self._resolved: Attrs | None = None
        self._params: tuple[Param, ...] | None = None

    @property
    def inputs(self) -> tuple[Value, ...]:
        return self._inputs

    @inputs.setter
    def inputs(self, value: object) -> None:
        raise AttributeError(
            "node.inputs is read-only; use Graph.replace_input, Graph.replace_uses or Graph.erase"
        )

    @property
    def attrs(self) -> Attrs:
        """Every attribute, as written or defaulted. Change with `Graph.set_attrs`."""
        return self._attrs

    @property
    def input_types(self) -> Args[TensorType]:
        return Args((v.type for v in self._inputs), self.ports)

    @property
    def resolved(self) -> Attrs:
        """Attributes with what depends on the input types filled in."""
        if self._resolved is None:
            self._resolved = self.op.resolved(self.input_types, self._attrs)
        return self._resolved

    @property
    def params(self) -> tuple[Param, ...]:
        """The tensors it owns (a primitive's; composites own theirs once lowered)."""
        if self._params is None:
            made = self.op.params
            self._params = tuple(made(self.input_types, self.resolved)) if made else ()
        return self._params

    @property
    def output(self) -> Value:
        """The output of a node that has one."""
        (value,) = self.outputs
        return value

    @property
    def name(self) -> str:
        return self.address or f"{self.op.name}#{self.id}"

    def __repr__(self) -> str:
        return f"<node {self.name} = {self.op.name}>"


CHUNK, WORKERS, THREADS = "chunk", "workers", "threads"
CHANNELS_LAST, IN_PLACE = "channels_last", "in_place"
META = {
    "encoding": re.compile(".*", re.DOTALL),
    **dict.fromkeys((CHUNK, WORKERS, THREADS), re.compile("[1-9][0-9]{0,8}")),
    **dict.fromkeys((CHANNELS_LAST, IN_PLACE), re.compile("true")),
}
"""What `Graph.meta` may hold, and how it is spelt."""


@final
class Graph:
    """A network. See the module's docstring for what may be relied on."""

    def __init__(self, name: str = "network", level: Level = "architecture") -> None:
        self.name = name
        self.level: Level = level
        self.inputs: dict[str, Value] = {}
        """Modalities by name, in the order of declaration."""
        self.outputs: dict[str, Value] = {}
        self.scopes: list[Scope] = []
        """Every scope in the order of declaration, parents before children."""
        self.points: dict[str, Value] = {}
        """The own value of every labelled place (`image.b1`), before anything merged there."""
        self.prelude: tuple[str, ...] = ()
        """Declarations that hold no layers (`dim`, `block`), as text, for printing."""
        self.digests: dict[str, str] = {}
        """What each block call held when it was built, by address; see `build.unbuild`."""
        self.meta: dict[str, str] = {}
        """What is known of the network as a whole: its `encoding` in the space it is from, and how
        it is best run (`META`)."""
        self.source_text: str = ""
        self.files: tuple[str, ...] = ()
        """The files it was read from: of the network, and of what that uses."""
        self._dag: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        self._nodes: dict[int, Node] = {}
        self._next = 0
        self._order: list[Node] | None = None
        """The nodes in order, until something changes."""

    # ---------------------------------------------------------------------------- reading

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node: Node) -> bool:
        return self._nodes.get(node.id) is node

    @property
    def view(self) -> nx.MultiDiGraph[int]:
        """A read-only networkx graph: node ids (with the node as `node`), edges keyed by input
        index."""
        view: nx.MultiDiGraph[int] = nx.freeze(self._dag.copy(as_view=True))
        return view

    def node(self, id: int) -> Node:  # noqa: A002
        return self._nodes[id]

    def nodes(self) -> list[Node]:
        """All nodes in topological order; among free ones the older first, so it is stable."""
        if self._order is None:
            try:
                order = list(nx.lexicographical_topological_sort(self._dag))
            except nx.NetworkXUnfeasible:
                raise ValueError(
                    f"values of {self!r} depend on themselves: {self._circle()}"
                ) from None
            self._order = [self._nodes[i] for i in order]
        return list(self._order)

    def _circle(self) -> str:
        names = [self._nodes[start].name for start, *_ in nx.find_cycle(self._dag)]
        return " -> ".join([*names, names[0]])

    def users(self, value: Value) -> list[tuple[Node, int]]:
        """Who reads `value`: nodes and the index of the input."""
        return [
            (self._nodes[user], key)
            for _, user, key in self._dag.out_edges(value.node.id, keys=True)
            if self._nodes[user]._inputs[key] is value
        ]

    def live(self) -> list[Node]:
        """The nodes that some output needs, and every input, in topological order."""
        seen: set[int] = set()
        stack = [v.node for v in (*self.outputs.values(), *self.inputs.values())]
        while stack:
            node = stack.pop()
            if node.id not in seen:
                seen.add(node.id)
                stack += [v.node for v in node._inputs]
        return [node for node in self.nodes() if node.id in seen]

    def own(self, value: Value) -> Value:
        """The value that a point had before connections and routers replaced its stream."""
        while value.node.rebinds:
            value = self.points[value.node.rebinds[value.index]]
        return value

    def params(self) -> Iterator[tuple[str, Param]]:
        """Every parameter of a tensor-level graph with its full address."""
        for node in self.nodes():
            for param in node.params:
                yield f"{node.address}.{param.name}", param

    # --------------------------------------------------------------------------- changing

    def add(
        self,
        op: OpSpec,
        inputs: Iterable[Value] = (),
        attrs: Attrs | Mapping[str, Any] | None = None,
        *,
        ports: tuple[str, ...] | None = None,
        address: str = "",
        scope: Scope | None = None,
        span: Span | None = None,
        rebinds: tuple[str, ...] = (),
        id: int | None = None,  # noqa: A002
    ) -> Node:
        """Apply `op`; types are inferred here, and `Fault` says why it cannot be. `id` tells its
        age, where it is not the youngest."""
        values = tuple(inputs)
        if ports is None:
            ports = op.ports(len(values))
        if not isinstance(attrs, Attrs):
            attrs = op.check_attrs(attrs or {})
        types = infer_types(op, Args((v.type for v in values), ports), attrs)
        number = self._next if id is None else id
        assert number not in self._nodes, f"there is a node {number}"
        node = Node(number, op, values, ports, attrs, address, scope, span, rebinds)
        node.outputs = tuple(Value(node, i, t) for i, t in enumerate(types))
        self._nodes[node.id] = node
        self._next = max(self._next, number + 1)
        self._order = None
        self._dag.add_node(node.id, node=node)
        for index, value in enumerate(values):
            self._dag.add_edge(value.node.id, node.id, index)
        if op.name == "input":
            self.inputs[address] = node.outputs[0]
        return node

    def replace_input(self, node: Node, index: int, value: Value) -> None:
        """Make input `index` of `node` read `value`. Call `infer` once all is in place."""
        if not 0 <= index < len(node._inputs):
            raise ValueError(f"{node!r} has no input {index}: it has {len(node._inputs)}")
        for part in (node, value.node):
            if part not in self:
                raise ValueError(f"{part!r} is not in {self!r}")
        self._order = None
        self._dag.remove_edge(node._inputs[index].node.id, node.id, index)
        self._dag.add_edge(value.node.id, node.id, index)
        node._inputs = (*node._inputs[:index], value, *node._inputs[index + 1 :])
        node._forget()

    def replace_uses(self, old: Value, new: Value, *, but: Iterable[Node] = ()) -> None:
        """Make every reader of `old` (nodes and outputs) read `new`, save those in `but`."""
        kept = {node.id for node in but}
        for node, index in self.users(old):
            if node.id not in kept:
                self.replace_input(node, index, new)
        for name, value in self.outputs.items():
            if value is old:
                self.outputs[name] = new

    def set_attrs(self, node: Node, **changes: Any) -> None:
        """Change attributes of `node`; `Fault` says which cannot be. Call `infer` once all is in
        place."""
        node._attrs = node.op.check_attrs({**node._attrs, **changes})
        node._forget()

    def erase(self, node: Node) -> None:
        """Remove a node that nothing reads."""
        if self._dag.out_degree(node.id) or any(v.node is node for v in self.outputs.values()):
            raise ValueError(f"{node!r} is still read; replace its uses first")
        self._order = None
        self._dag.remove_node(node.id)
        del self._nodes[node.id]
        self.inputs = {k: v for k, v in self.inputs.items() if v.node is not node}
        self.points = {k: v for k, v in self.points.items() if v.node is not node}

    def prune(self) -> None:
        """Remove the nodes, and points at them, that no output needs; inputs stay."""
        live = {node.id for node in self.live()}
        dead = [number for number in self._nodes if number not in live]
        self._order = None
        self._dag.remove_nodes_from(dead)
        for number in dead:
            del self._nodes[number]
        self.points = {k: v for k, v in self.points.items() if v.node.id in live}

    def infer(self) -> None:
        """Infer all types anew, after inputs or attributes were changed; `Fault` as in `add`."""
        for node in self.nodes():
            node._forget()
            types = infer_types(node.op, node.input_types, node._attrs)
            if len(types) != len(node.outputs):
                node.outputs = tuple(Value(node, i, t) for i, t in enumerate(types))
            for value, t in zip(node.outputs, types, strict=True):
                value.type = t

    def copy(self) -> Graph:
        """A graph that shares no mutable part with this one."""
        new = Graph(self.name, self.level)
        map_: dict[int, Node] = {}
        for node in self.nodes():
            inputs = tuple(map_[v.node.id].outputs[v.index] for v in node._inputs)
            twin = Node(
                node.id, node.op, inputs, node.ports, node._attrs,
                node.address, node.scope, node.span, node.rebinds,
            )  # fmt: skip
            twin.outputs = tuple(Value(twin, v.index, v.type) for v in node.outputs)
            map_[node.id] = new._nodes[node.id] = twin
            new._dag.add_node(node.id, node=twin)
            for index, value in enumerate(inputs):
                new._dag.add_edge(value.node.id, node.id, index)

        def moved(value: Value) -> Value:
            return map_[value.node.id].outputs[value.index]

        new._next = self._next
        new.inputs = {k: moved(v) for k, v in self.inputs.items()}
        new.outputs = {k: moved(v) for k, v in self.outputs.items()}
        new.points = {k: moved(v) for k, v in self.points.items()}
        new.scopes = list(self.scopes)
        new.prelude, new.digests = self.prelude, dict(self.digests)
        new.meta, new.source_text, new.files = dict(self.meta), self.source_text, self.files
        return new

    def __repr__(self) -> str:
        return f"<{self.level} graph {self.name}: {len(self)} nodes>"
