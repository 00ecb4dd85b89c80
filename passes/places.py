"""Where a cross-modal connection may go: the places of a super-layer, and why each was taken or
refused.

A rule looks at the layers of a super-layer up to its tail (its last `flatten` and what follows, or
its last `linear` where the network flattens nothing):

- `after-pooling`: poolings behind which at least two layers follow in a row, as the reference
  implementation of Xsertion has it (Karazija et al., 2018);
- `resnet`: what flows into a sum of exactly two, unless it is a sum itself; the reference's rule
  for residual networks. `residual` is the same for sums of any number;
- `combined`: what the paper describes, the end of every block: behind layers that make maps
  smaller and behind merges (with the activation that follows), wherever everything flows through
  one value;
- `stages`: the last such value of every resolution;
- `labels`: the labels of the super-layer, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias, final

from xgraph.build.names import written
from xgraph.diagnostics import DiagnosticError, did_you_mean, fail
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Argument, Call, Scope, SuperLayer
from xgraph.ir.types import Expr

RULES = ("combined", "after-pooling", "resnet", "residual", "stages", "labels")

At: TypeAlias = "str | tuple[str, ...]"
"""A rule, or places by their names within the super-layer."""

_ACTIVATIONS = ("relu", "leakyrelu", "prelu", "elu", "gelu", "silu", "sigmoid", "tanh")
_NORMS = ("bn", "layernorm", "groupnorm")
SUMS = ("add", "sub", "mul", "div", "max", "mean")
"""What takes values of one width."""
_MERGES = ("add", "sub", "mul", "max", "mean", "concat")


@final
@dataclass(frozen=True)
class Place:
    """A value inside a super-layer. `depth` counts those taken, from 1; 0 is a place refused."""

    superlayer: str
    value: Value
    name: str
    """Within the super-layer: its label, or the name its layer has."""
    reason: str
    depth: int = 0

    @property
    def address(self) -> str:
        return f"{self.superlayer}.{self.name}"

    @property
    def taken(self) -> bool:
        return self.depth > 0

    def __str__(self) -> str:
        at = f"depth {self.depth}" if self.taken else "refused"
        return f"{written(self.address)}: {at}, {self.reason}"

    def to_json(self) -> dict[str, Any]:
        return {
            "superlayer": self.superlayer,
            "name": written(self.name),
            "depth": self.depth or None,
            "reason": self.reason,
            "shape": str(self.value.type),
        }


def block_ends(graph: Graph, superlayer: str, at: At = "combined") -> list[Place]:
    """The places of a super-layer, taken and refused, in the order in which values flow.

    `DiagnosticError` if a name is not that of a place, or a rule takes none.
    """
    return Places(graph).of(superlayer, at)


def aligned(graph: Graph, superlayers: Sequence[str], at: At) -> list[list[Place]]:
    """The places taken in several super-layers, those of one depth together.

    `DiagnosticError` if one has more of them than another.
    """
    places = Places(graph)
    rows = [[p for p in places.of(name, at) if p.taken] for name in superlayers]
    counts = {len(row) for row in rows}
    if len(counts) > 1:
        listed = ", ".join(
            f"`{written(n)}` has {len(row)}" for n, row in zip(superlayers, rows, strict=True)
        )
        raise fail(
            "uneven-places", f"the super-layers do not have equally many places: {listed}",
            span=places.scopes[superlayers[0]].span,
            help="name places that all have: `at=[p1, p2]`",
        )  # fmt: skip
    return [list(row) for row in zip(*rows, strict=True)]


def superlayers(graph: Graph, name: str | None = None) -> list[str]:
    """The addresses of all super-layers, or of those of an array."""
    found = [s.address for s in graph.scopes if isinstance(s, SuperLayer)]
    if name is None:
        return found
    name = name.replace("[", ".").replace("]", "")
    chosen = [a for a in found if name in (a, a.rpartition(".")[0])]
    if not chosen:
        known = dict.fromkeys(re.sub(r"\.\d+$", "", a) for a in found)
        listed = ", ".join(f"`{a}`" for a in known) or "none"
        raise fail(
            "unknown-name", f"no super-layer is called `{name}`", origin=graph.name,
            help=did_you_mean(name, known) or f"the network has {listed}",
        )  # fmt: skip
    return chosen


@final
class Places:
    """The places of a graph, found with one scan of it for all super-layers."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scopes = {s.address: s for s in graph.scopes if isinstance(s, SuperLayer)}
        self.order = {node: i for i, node in enumerate(graph.nodes())}
        self.made = {node.address: node for node in self.order if len(node.outputs) == 1}
        self.flattens = any(node.op.name == "flatten" for node in self.order)
        self.inside: dict[str, list[Node]] = {address: [] for address in self.scopes}
        for node in self.order:
            if not node.rebinds and (holder := _holder(node)) is not None:
                self.inside[holder.address].append(node)
        self.names: dict[str, dict[Value, str]] = {address: {} for address in self.scopes}
        self.labels: dict[str, dict[Value, str]] = {address: {} for address in self.scopes}
        self._name_all()

    def _name_all(self) -> None:
        """The simplest name of each value within its super-layer, and the simplest label."""
        unlabelled = {
            s.address for s in self.graph.scopes if isinstance(s, Call) and not s.labelled
        }
        for address, own in self.graph.points.items():
            owner = self._owner(address)
            rest = address[len(owner) + 1 :]
            if not owner or not rest or rest.rpartition(".")[2] == "in" or "[" in rest:
                continue
            value = self.graph.own(own)
            _keep_simplest(self.names[owner], value, rest)
            if address not in unlabelled:
                _keep_simplest(self.labels[owner], value, rest)

    def _owner(self, address: str) -> str:
        """The super-layer that an address is in: `path.0` of `path.0.c2`."""
        first, _, rest = address.partition(".")
        indexed = f"{first}.{rest.partition('.')[0]}"
        return next((a for a in (first, indexed) if a in self.scopes), "")

    def of(self, superlayer: str, at: At) -> list[Place]:
        """See `block_ends`."""
        if superlayer not in self.scopes:
            superlayers(self.graph, superlayer)  # says what there is
        found = list(_Finder(self, superlayer).places(at))
        taken = 0
        for index, place in enumerate(found):
            if place.depth:
                taken += 1
                found[index] = replace(place, depth=taken)
        if not taken:
            raise _none_taken(self.scopes[superlayer], at, found)
        return found

    def main(self, superlayer: str) -> list[Node]:
        """The layers of a super-layer before its tail, in topological order."""
        inside = self.inside[superlayer]
        starts = [n for n in inside if n.op.name == "flatten"]
        if not starts and not self.flattens:
            starts = [n for n in inside if n.op.name in ("linear", "maxout") and _is_dense(n)]
        if not starts:
            return inside
        tail = {starts[-1]}
        for node in inside:
            if any(value.node in tail for value in node.inputs):
                tail.add(node)
        return [node for node in inside if node not in tail]

    def name(self, superlayer: str, value: Value) -> str:
        """The address by which a value can be named: its point, else that of its layer."""
        value = self.graph.own(value)
        entry = f"{superlayer}.in"
        if value in self.names[superlayer]:
            return f"{superlayer}.{self.names[superlayer][value]}"
        enters = entry in self.graph.points and self.graph.own(self.graph.points[entry]) is value
        return entry if enters else value.node.address


def _keep_simplest(names: dict[Value, str], value: Value, name: str) -> None:
    if value not in names or name.count(".") < names[value].count("."):
        names[value] = name


def _holder(node: Node) -> SuperLayer | None:
    """The super-layer whose body holds a layer; an argument stands before the body."""
    inner: Scope | None = None
    for scope in node.scope.chain() if node.scope else ():
        if isinstance(scope, SuperLayer):
            return None if isinstance(inner, Argument) else scope
        inner = scope
    return None


def _none_taken(scope: Scope, at: At, found: list[Place]) -> DiagnosticError:
    told = f"`{written(scope.address)}` has no place that `{at}` takes"
    refused = "; ".join(f"`{p.name}` {p.reason}" for p in found[:3])
    return fail(
        "no-block-end", told, span=scope.span,
        help=(f"refused were {refused}; " if refused else "")
        + "label a place and name it: `at=[p1]`",
    )  # fmt: skip


@final
class _Finder:
    """Looks for the places of one super-layer."""

    def __init__(self, places: Places, superlayer: str) -> None:
        self._places = places
        self._graph = places.graph
        self._scope = places.scopes[superlayer]
        self._main = places.main(superlayer)
        self._held = set(self._main)
        self._labels = places.labels[superlayer]

    def places(self, at: At) -> Iterator[Place]:
        if isinstance(at, str) and at in RULES:
            yield from {
                "combined": self._combined, "after-pooling": self._after_pooling,
                "resnet": lambda: self._sums(exactly=2), "residual": lambda: self._sums(None),
                "stages": self._stages, "labels": self._labelled,
            }[at]()  # fmt: skip
        else:
            names = (at,) if isinstance(at, str) else at
            if len(set(names)) < len(names):
                told = f"a place is named twice: {', '.join(f'`{n}`' for n in names)}"
                raise fail("bad-option", told, span=self._scope.span)
            yield from map(self._named, names)

    # ------------------------------------------------------------------------------- rules

    def _after_pooling(self) -> Iterator[Place]:
        for node in self._main:
            if "pool" in node.op.name:
                yield self._unless_last(node.output, f"behind `{node.op.name}`")

    def _sums(self, exactly: int | None) -> Iterator[Place]:
        seen: dict[Value, Place] = {}
        for node in self._main:
            if node.op.name != "add":
                continue
            fits = exactly is None or len(node.inputs) == exactly
            for value in map(self._graph.own, node.inputs):
                if value in seen and (seen[value].taken or not fits):
                    continue
                if not fits:
                    seen[value] = self._place(value, f"goes into a sum of {len(node.inputs)}", 0)
                elif value.node.op.name == "add":
                    seen[value] = self._place(value, "is a sum itself", 0)
                elif value.node in self._held:
                    seen[value] = self._place(value, "goes into a sum", 1)
        yield from sorted(seen.values(), key=lambda place: self._places.order[place.value.node])

    def _combined(self) -> Iterator[Place]:
        cuts = self._cuts()
        for node in self._main:
            what = self._ends(node)
            if what is None:
                continue
            value = node.output if "pool" in node.op.name else self._settled(node.output)
            if value in cuts:
                yield self._unless_last(value, what)
            else:
                yield self._place(value, f"{what}, but other values run beside it", 0)

    def _stages(self) -> Iterator[Place]:
        cuts = self._cuts()
        for value in (v for node in self._main for v in node.outputs):
            sizes = {_size(out) for user in self._readers(value) for out in user.outputs}
            if value in cuts and _size(value) and sizes != {_size(value)}:
                yield self._place(value, "ends its resolution", 1)

    def _labelled(self) -> Iterator[Place]:
        order = self._places.order
        for value, rest in sorted(self._labels.items(), key=lambda pair: order[pair[0].node]):
            if "." not in rest:
                yield Place(self._scope.address, value, rest, "has a label", 1)

    def _named(self, name: str) -> Place:
        bare = re.sub(r"\[(\d+)\]", r".\1", name)
        bare = bare.removeprefix(f"{self._scope.address}.")
        address = f"{self._scope.address}.{bare}"
        made = self._places.made.get(address)
        own = self._graph.points.get(address) or (made.output if made else None)
        if own is not None:
            return Place(self._scope.address, self._graph.own(own), bare, "was named", 1)
        head = f"{self._scope.address}."
        known = [a.removeprefix(head) for a in self._graph.points if a.startswith(head)]
        short = ", ".join(f"`{written(a)}`" for a in known if "." not in a and a != "in")
        raise fail(
            "unknown-place", f"`{written(self._scope.address)}` has no place `{name}`",
            span=self._scope.span,
            help=did_you_mean(bare, known) or (f"it has {short}" if short else "label one"),
        )  # fmt: skip

    # ------------------------------------------------------------------------------- layers

    def _place(self, value: Value, reason: str, depth: int) -> Place:
        name = self._labels.get(value) or value.node.address.removeprefix(f"{self._scope.address}.")
        return Place(self._scope.address, value, name, reason, depth)

    def _unless_last(self, value: Value, reason: str) -> Place:
        """The reference's test: a reader in the main part, and a reader of that."""
        for reader in self._readers(value):
            if any(self._readers(out) for out in reader.outputs):
                return self._place(value, reason, 1)
        return self._place(value, f"{reason}, but nothing more of the super-layer follows", 0)

    def _readers(self, value: Value) -> list[Node]:
        """Who reads a value in the main part, past connections and routers."""
        found: list[Node] = []
        for user, _ in self._graph.users(value):
            if user.rebinds:
                found += [r for out in user.outputs for r in self._readers(out)]
            elif user in self._held:
                found.append(user)
        return found

    def _ends(self, node: Node) -> str | None:
        """What makes a layer the end of a block."""
        if len(node.outputs) != 1 or not node.inputs:
            return None
        if node.op.name in _MERGES and len(node.inputs) > 1:
            return f"behind `{node.op.name}`"
        if 0 < _size(node.output) < _size(node.inputs[0]):
            return f"behind `{node.op.name}`, which makes maps smaller"
        return None

    def _settled(self, value: Value) -> Value:
        """The value behind the norms and activations that alone read `value`."""
        readers = self._readers(value)
        while len(readers) == 1 and readers[0].op.name in (*_NORMS, *_ACTIVATIONS):
            value = readers[0].output
            readers = self._readers(value)
        return value

    def _cuts(self) -> set[Value]:
        """The values through which all flows: none that was made before is read after."""
        last = {
            v: i for i, node in enumerate(self._main) for v in map(self._graph.own, node.inputs)
        }
        found, until = set[Value](), -1
        entry = [v for v in last if v.node not in self._held]
        until = max((last[v] for v in entry), default=-1)
        for i, node in enumerate(self._main):
            if until <= i and len(node.outputs) == 1:
                found.add(node.output)
            until = max([until, *(last.get(v, -1) for v in node.outputs)])
        return found


def has_tail(graph: Graph, superlayer: str) -> bool:
    """Whether a super-layer ends with the tail of the network."""
    places = Places(graph)
    return len(places.main(superlayer)) < len(places.inside[superlayer])


def _is_dense(node: Node) -> bool:
    """Whether a layer takes vectors: `maxout` is also a convolution."""
    return not _size(node.output)


def _size(value: Value) -> int:
    """How many positions maps have; 0 for a vector, and where an axis is open."""
    dims = value.type.shape[2:]
    known = [int(d) for d in dims if not isinstance(d, Expr)]
    return prod(known) if dims and len(known) == len(dims) else 0
