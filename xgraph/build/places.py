"""By which names the values of a graph can be read in the text that `unbuild` writes.

A value has the names of all points whose stream it is in the end. Which of them a body can use
depends on where it stands: a block sees nothing but what it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from xgraph.build.digest import plain, values_at
from xgraph.diagnostics import InternalError
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Value
from xgraph.ir.scope import Scope

_HEAD = re.compile(r"[^.\[]+")


@final
@dataclass(frozen=True)
class Frame:
    """A body that is being written. `given` are values that a new block takes as parameters,
    besides those that the call it stands for had."""

    address: str
    outer: Frame | None = None
    is_block: bool = False
    given: Mapping[Value, str] = field(default_factory=dict)


@final
class Places:
    """The names of values, and the labels that must be written for the sake of readers."""

    def __init__(self, graph: Graph, final: Mapping[str, Value]) -> None:
        self._graph = graph
        self._calls = {s.address: s for s in graph.scopes if isinstance(s, scopes.Call)}
        self._order = {address: i for i, address in enumerate(graph.points)}
        self.twins: dict[str, str] = {}
        """The address of a copy, to that of the copy written in its place."""
        self.needed: set[str] = set()
        """Addresses of layers and calls that need a label, and of points that must stay."""
        self._above: set[str] = set()
        """The addresses around those of `needed` that are no points yet."""
        self.final = final
        self._inner = {
            s.address for s in graph.scopes if isinstance(s, (scopes.Call, scopes.Label))
        }
        self._away = dict(_away(graph))
        self._names: dict[Value, list[str]] = {}
        for address, value in self.final.items():
            self._names.setdefault(value, []).append(address)

    def own(self, address: str) -> Value:
        """The value of a point before anything merged there."""
        return plain(self._graph.points[address])

    def after(self, address: str) -> list[Value]:
        """What those get who read a place."""
        own = values_at(self._graph, address)
        return [self.final[address]] if address in self.final else own

    # ------------------------------------------------------------------------ which labels

    def canonical(self, address: str) -> str:
        """The address as it is written: within the copy that stands for its array."""
        parts = address.split(".")
        for end in range(1, len(parts) + 1):
            head = ".".join(parts[:end])
            if head in self.twins:
                return self.canonical(".".join([self.twins[head], *parts[end:]]))
        return address

    def need(self, address: str) -> None:
        """Have the label of a place written, and those that lead to it."""
        parts = self.canonical(address.partition("[")[0]).split(".")
        heads = [".".join(parts[: i + 1]) for i in range(len(parts))]
        self.needed.update(heads)
        if heads[-1] not in self._graph.points:
            self._above.update(heads[:-1])

    def is_needed(self, address: str) -> bool:
        return self.canonical(address) in self.needed

    def has_new_label_in(self, address: str) -> bool:
        """Whether a label is needed within a place that has it not."""
        return self.canonical(address) in self._above

    def new_labels_in(self, address: str) -> list[str]:
        head = f"{self.canonical(address)}."
        inside = (a[len(head) :] for a in self.needed if a.startswith(head))
        return sorted(a for a in inside if f"{head}{a}" not in self._graph.points)

    # ------------------------------------------------------------------------- which names

    def ref(self, value: Value, frame: Frame | None, but: str = "") -> str:
        """A name for `value` in a body, other than `but`. The layer that makes it gets a label if
        there is none."""
        value = plain(value)
        given = _given(value, frame)
        if given:
            return given
        names = [(a, text) for a in self._names.get(value, ()) if (text := written_in(a, frame))]
        seen = [(a, t) for a, t in names if a != but and not self._is_hidden(a, frame)]
        if not seen:
            return self._label(value, frame)
        address, text = min(seen, key=lambda pair: self._rank(pair[0], frame))
        self.need(address)
        return text

    def all_of(self, values: Sequence[Value], frame: Frame | None, but: str = "") -> str:
        """A name for several values together: of a place that has them all, other than `but`."""
        if len(values) == 1:
            return self.ref(values[0], frame, but)
        for first in self._names.get(plain(values[0]), ()):
            address, _, index = first.partition("[")
            if address != but and index == "0]" and self.after(address) == list(values):
                text = written_in(address, frame)
                if text and not self._is_hidden(address, frame):
                    self.need(address)
                    return text
        raise InternalError("unbuild", f"{len(values)} values flow from no single place")

    def _label(self, value: Value, frame: Frame | None) -> str:
        """The label that the layer of a nameless value will have."""
        node = value.node
        if node.rebinds or not node.address:
            raise InternalError("unbuild", f"{value!r} cannot be named: points stand in its place")
        self.need(node.address)
        suffix = f"[{value.index}]" if len(node.outputs) > 1 else ""
        return written_in(f"{node.address}{suffix}", frame) or dotted(node.address)

    def _is_hidden(self, address: str, frame: Frame | None) -> bool:
        """Whether it can be read only in there: it is what flows into a block or label, a
        parameter, or within a chain of which nothing but the end has a name."""
        bare = address.partition("[")[0]
        head, _, last = bare.rpartition(".")
        call = self._calls.get(head)
        if (last == "in" and head in self._inner) or (call and last in call.values):
            return not _is_within(frame, head)
        parts = bare.split(".")
        heads = (".".join(parts[: i + 1]) for i in range(len(parts)))
        around = next((a for a in heads if a in self._away), None)
        if around is None or (around == bare and self._away[bare]):
            return False
        return not _is_within(frame, around)

    def _rank(self, address: str, frame: Frame | None) -> tuple[int, int, int, int, int]:
        """The nearest name first, then the simplest, then the oldest."""
        inside = frame is not None and address.startswith(f"{frame.address}.")
        rest = address[len(frame.address) + 1 :] if inside and frame else address
        bare, indexed, _ = rest.partition("[")
        entry = bare == "in"
        place = 3 if entry and indexed else 1 if entry else 0 if inside else 2
        parts = bare.split(".")
        of_other = int(not entry and parts[-1] == "in")
        heads = (".".join(address.split(".")[: i + 1]) for i in range(address.count(".") + 1))
        made = sum(a in self._calls and not self._calls[a].labelled for a in heads)
        return place, made, of_other, len(parts), self._order.get(address, 0)


def written_in(address: str, frame: Frame | None) -> str | None:
    """How a place is written in a body; None if it is out of sight there."""
    at = frame
    bare = address.partition("[")[0]
    while at is not None:
        if f"{at.address}.".startswith(f"{bare}."):
            return None  # what is still being written
        if address.startswith(f"{at.address}."):
            rest = address[len(at.address) + 1 :]
            head = _HEAD.match(rest)
            shadowed = at is not frame and head is not None and head[0] == "in"
            return None if shadowed else dotted(rest)
        if at.is_block:
            return None
        at = at.outer
    return dotted(address)


def dotted(address: str) -> str:
    """`path.0.c2` as `path[0].c2`."""
    return re.sub(r"\.(\d+)(?=\.|\[|$)", r"[\1]", address)


def _away(graph: Graph) -> Iterator[tuple[str, bool]]:
    """The blocks and labels that stand in no body, and whether their end has a name."""
    for scope in graph.scopes:
        inner = (scopes.Call, scopes.Label)
        around = scope.parent
        while isinstance(around, inner):
            around = around.parent
        bodied = around is None or isinstance(around, (scopes.SuperLayer, scopes.Fusion))
        if isinstance(scope, inner) and not bodied:
            yield scope.address, isinstance(around, scopes.Let)


def _is_within(frame: Frame | None, address: str) -> bool:
    """Whether a body stands at `address`, or in the one there."""
    while frame is not None and frame.address != address:
        frame = None if frame.is_block else frame.outer
    return frame is not None


def _given(value: Value, frame: Frame | None) -> str | None:
    while frame is not None:
        if value in frame.given:
            return frame.given[value]
        frame = None if frame.is_block else frame.outer
    return None


def starred(texts: Iterable[str], sizes: Mapping[str, int]) -> list[str]:
    """`path[0].c2, path[1].c2` as `path[*].c2` where that is the whole array."""
    given, out, at = list(texts), list[str](), 0
    while at < len(given):
        # No further index: behind `[*]` it would pick one of the copies.
        found = re.match(r"(\w+)\[0\][\w.]*$", given[at])
        size = sizes.get(found[1], 0) if found else 0
        rest = given[at][found.end(1) + 3 :] if found else ""
        whole = [f"{found[1]}[{i}]{rest}" for i in range(size)] if found else []
        if found and size > 1 and given[at : at + size] == whole:
            out.append(f"{found[1]}[*]{rest}")
            at += size
        else:
            out.append(given[at])
            at += 1
    return out


def array_sizes(held: Iterable[Scope]) -> dict[str, int]:
    """How many super-layers each array has."""
    sizes: dict[str, int] = {}
    for scope in held:
        if isinstance(scope, scopes.SuperLayer) and scope.index is not None:
            name = scope.address.rpartition(".")[0]
            sizes[name] = sizes.get(name, 0) + 1
    return sizes
