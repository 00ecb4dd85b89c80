"""The bodies and chains of an architecture-level graph as text: what scopes hold, in order.

A block call that no longer holds what its block says, a labelled chain that is none any more and
elements of an array that differ become calls of new blocks, which keep all addresses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import TypeAlias, final

from xgraph.build.digest import Digester, in_argument, own_value, plain, values_at
from xgraph.build.names import Names, written
from xgraph.build.places import Frame, Places, array_sizes
from xgraph.build.recall import Recall
from xgraph.build.write import layer_text, value_text
from xgraph.build.writer import Form, Item, NotWritable, Renamed, Unlabelled, Writer
from xgraph.diagnostics import InternalError, fail
from xgraph.ir import scope as scopes
from xgraph.ir.canonical import is_itself
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Scope
from xgraph.ops import ENTER, LEAVE

Unit: TypeAlias = Node | Scope
"""A layer, or a scope that is written as one stage or statement."""

_FEW, _SHORT = 2, 32
"""How many statements a body on one line may have, and how many columns each."""


@final
class Bodies:
    """Writes the bodies of one graph."""

    def __init__(
        self, graph: Graph, places: Places, digester: Digester, held: dict[Scope, list[Node]]
    ) -> None:
        self._graph = graph
        self._places = places
        self._digester = digester
        self._members = held
        self._recall = Recall(graph, held)
        self.sizes = array_sizes(graph.scopes)
        self.used: set[str] = set()
        """The blocks of the prelude that calls use."""
        self.blocks: dict[tuple[str, ...], tuple[str, str]] = {}
        """New blocks, by what they hold and label: name and text, in the order of declaration."""
        self._reads = Counter(_read_by_name(graph))
        self._runs = self._all_runs()
        self._later = {scope for run in self._runs.values() for scope in run[1:]}
        for run in self._runs.values():
            places.twins |= {scope.address: run[0].address for scope in run[1:]}

    def restart(self) -> None:
        """Forget what was written, to write it anew."""
        self.used.clear()
        self.blocks.clear()

    # ---------------------------------------------------------------------- what is written

    def body(
        self,
        scope: Scope,
        frame: Frame,
        flow: Sequence[Value] | None = None,
        names: Names | None = None,
    ) -> list[str]:
        """The statements of a body that `flow` enters. `names` are those its arguments took."""
        if flow is None:
            flow = self._places.after(f"{scope.address}.in")
        while True:
            items = self._labelled_items(scope, frame)
            uses = self._uses(scope, items)
            taken = deepcopy(names) if names is not None else Names()
            _take_labels(items, taken)
            writer = Writer(
                self._places, frame, flow, "body", uses=uses, sizes=self.sizes, names=taken,
                aliases=self._aliases(scope, items),
            )  # fmt: skip
            try:
                for item in items:
                    writer.add(item)
                return writer.finish(values_at(self._graph, scope.address))
            except Unlabelled:
                continue

    def labels(self, scope: Scope, frame: Frame) -> Names:
        """The names that the labels of a body take, before its arguments are numbered."""
        names = Names()
        _take_labels(self._labelled_items(scope, frame), names)
        return names

    def _labelled_items(self, scope: Scope, frame: Frame) -> list[Item]:
        """The items of a body, in which everything read twice or from elsewhere has a label."""
        items = self._items(scope, frame)
        uses = self._uses(scope, items)
        ends = values_at(self._graph, scope.address)
        bare = [
            item
            for item in items
            if item.label is None
            and any(uses[value] > (value not in ends) for value in item.results)
        ]
        for item in bare:
            self._places.need(item.address)
        return self._items(scope, frame) if bare else items

    def chain(
        self,
        scope: Scope,
        frame: Frame | None,
        form: Form,
        flow: Sequence[Value] = (),
        names: Names | None = None,
    ) -> str | None:
        """What stands directly in a scope as one chain; None if it holds nothing."""
        items = self._items(scope, frame)
        if not items:
            return None
        writer = Writer(
            self._places, frame, flow, form,
            uses=self._uses(scope, items), sizes=self.sizes, names=names,
        )  # fmt: skip
        try:
            for item in items:
                writer.add(item, is_last=item is items[-1])
            return writer.render(writer.single())
        except Renamed:
            told = f"in the chain of `{written(scope.address)}` a block came to hold something else"
            raise fail(
                "unfit-network",
                f"{told}, and no label can keep the names of what it holds",
                span=scope.span,
                help="write the chain as a `let`, or in the body of a block",
            ) from None
        except NotWritable:
            raise InternalError("unbuild", f"`{scope.address}` does not hold one chain") from None

    def each_of(self, scope: Scope, values: Sequence[Value]) -> list[str]:
        """Values that a scope ends with, each as a chain of its own or by its name."""
        items = self._items(scope, None)
        uses = self._uses(scope, items)
        uses.update(values)
        writer = Writer(self._places, None, (), "layer", uses=uses, sizes=self.sizes)
        for item in items:
            writer.add(item)
        return writer.each_of(values)

    def _uses(self, scope: Scope, items: Iterable[Item]) -> Counter[Value]:
        """How often values are read: by the items here, and by name elsewhere; twice if only
        elsewhere. What a scope ends with has its name there."""
        inside = Counter(plain(v) for n in self._held(scope) for v in n.inputs)
        uses: Counter[Value] = Counter()
        for item in items:
            uses.update(dict.fromkeys(item.results, 0))
            for part in item.parts or [item]:
                uses.update(part.inputs)
                uses.update(value for _, value in part.named)
                uses.update(dict.fromkeys(part.results, 0))
        ends = values_at(self._graph, scope.address)
        for value in uses.keys() - ends:
            outside = self._reads[value] - inside[value]
            uses[value] = max(2, uses[value]) if outside else uses[value]
        return uses

    def _held(self, scope: Scope) -> Iterator[Node]:
        """The layers in a scope that its text is made of."""
        for node in self._members.get(scope, []):
            if not (node.rebinds or node.op in (ENTER, LEAVE) or in_argument(node, scope)):
                yield node

    def _aliases(self, scope: Scope, items: Iterable[Item]) -> dict[Value | None, list[str]]:
        """Labels that must stay though they name a value that has a name; by that value, or None
        where it comes from outside."""
        head, points = f"{scope.address}.", self._graph.points
        written = {item.address for item in items} | {f"{head}in"}
        inside = {value for node in self._held(scope) for value in node.outputs}
        inside |= {v for a, v in self._places.final.items() if a.startswith(head)}
        found: dict[Value | None, list[str]] = {}
        for address in sorted(self._places.needed & points.keys() - written):
            if address.startswith(head) and "." not in address[len(head) :]:
                own = plain(points[address])
                found.setdefault(own if own in inside else None, []).append(address)
        return found

    # ------------------------------------------------------------------------------- items

    def _items(self, scope: Scope, frame: Frame | None) -> list[Item]:
        """What stands directly in a scope, in the order in which it was made."""
        found: list[Item] = []
        for unit in self._ordered(scope):
            if isinstance(unit, Node):
                found.append(self._layer(unit))
            elif unit not in self._later:
                found.append(self._scope_item(unit, frame))
        return found

    def _ordered(self, scope: Scope) -> list[Unit]:
        """The layers and scopes right within a scope: by age, but what one needs before it."""
        units: dict[Node, Unit] = {}
        for node in self._held(scope):
            units[node] = _child(node, scope) or node
        needs: dict[Unit, dict[Unit, None]] = {unit: {} for unit in units.values()}
        for node, unit in units.items():
            for value in node.inputs:
                other = units.get(own_value(self._graph, value).node)
                if other is not None and other is not unit:
                    needs[unit][other] = None
        return list(_needed_first(needs))

    def _layer(self, node: Node) -> Item:
        optional = {port.name for port in node.op.optional_ports}
        given = [(port, plain(v)) for port, v in zip(node.ports, node.inputs, strict=True)]
        named = [(port, value) for port, value in given if port in optional]
        inputs = [value for port, value in given if port not in optional]
        points, address = self._graph.points, node.address
        is_point = address in points or f"{address}[0]" in points
        label = _label(address) if is_point or self._places.is_needed(address) else None
        return Item(
            address, layer_text(node), inputs, list(node.outputs), named, label,
            node.op.name, lambda: is_itself(node),
        )  # fmt: skip

    def _scope_item(self, scope: Scope, frame: Frame | None) -> Item:
        if isinstance(scope, scopes.Call):
            return self._call(scope)
        if not values_at(self._graph, f"{scope.address}.in"):
            if self._places.has_new_label_in(scope.address):
                return self._outlined(scope)
            return self._labelled_chain(scope, frame)
        run = self._runs.get(scope.address.rpartition(".")[0])
        return self._outlined(scope) if run is None else self._array(run, frame)

    def _labelled_chain(self, scope: Scope, frame: Frame | None) -> Item:
        return Item(
            scope.address, "", [], values_at(self._graph, scope.address),
            label=_label(scope.address), parts=self._items(scope, frame),
            outlined=lambda: self._outlined(scope),
        )  # fmt: skip

    def _call(self, scope: scopes.Call) -> Item:
        """A use of a block, of a new one if what it holds or must label was changed."""
        digest = self._digester.digest(scope, scope.values)
        same = self._graph.digests.get(scope.address) == digest
        args = scope.args if same else self._recall.arguments(scope, digest)
        if args is None or self._places.has_new_label_in(scope.address):
            return self._outlined(scope)
        self.used.add(scope.block)
        given = ", ".join(
            value_text(v) if i < scope.leading else f"{k} = {value_text(v)}"
            for i, (k, v) in enumerate(args.items())
        )
        return self._use(scope, f"{scope.block}({given})" if given else scope.block, scope.block)

    def _use(self, scope: Scope, text: str, base: str) -> Item:
        """The item of a block call."""
        points, address = self._graph.points, scope.address
        values = scope.values if isinstance(scope, scopes.Call) else ()
        labelled = not isinstance(scope, scopes.Call) or scope.labelled
        return Item(
            address, text, values_at(self._graph, f"{address}.in"),
            values_at(self._graph, address),
            [(name, plain(points[f"{address}.{name}"])) for name in values],
            _label(address) if labelled or self._places.is_needed(address) else None,
            base, lambda: any(map(is_itself, self._members[scope])), only_piped=True,
        )  # fmt: skip

    # -------------------------------------------------------------------------- new blocks

    def _outlined(self, scope: Scope) -> Item:
        """The call of a new block that holds what `scope` holds."""
        if not values_at(self._graph, scope.address):  # of an output, which is no place
            raise Renamed
        call = scope if isinstance(scope, scopes.Call) else None
        item = self._use(scope, "", "")
        free = self._free(scope)
        given: dict[Value, str] = {}
        if call is None and not item.inputs and free:
            given[free[0]] = "in"
            item.inputs, free = free[:1], free[1:]
        given |= zip(free, self._fresh_parameters(scope, len(free)), strict=True)
        item.named += [(given[value], value) for value in free]
        values = call.values if call else ()
        frame = Frame(scope.address, is_block=True, given=given)
        base = call.block if call else _stem(scope.address)
        digest = self._digester.digest(scope, values)
        item.text = item.base = self._block(scope, frame, digest, base, item)
        return item

    def _free(self, scope: Scope) -> list[Value]:
        """The values that layers of a scope read from outside, in order. What merges where they
        enter is within."""
        nodes = self._members[scope]
        inside = {value for node in nodes for value in node.outputs}
        inside |= set(self._entering(scope))
        read = (plain(v) for node in nodes for v in node.inputs)
        return list(dict.fromkeys(v for v in read if v not in inside))

    def _entering(self, scope: Scope) -> Iterator[Value]:
        """What flows in by a name, and what merges with it in there."""
        values = scope.values if isinstance(scope, scopes.Call) else ()
        head = f"{scope.address}."
        for address, value in self._places.final.items():
            if address.startswith(head):
                entry = address[len(head) :].partition("[")[0]
                merged = value.node.rebinds[value.index] if value.node.rebinds else ""
                if merged.startswith(head) or entry in ("in", *values):
                    yield value

    def _fresh_parameters(self, scope: Scope, count: int) -> list[str]:
        taken = {part for node in self._members[scope] for part in node.address.split(".")}
        names = (f"x{n}" if n else "x" for n in range(len(taken) + count + 1))
        return [name for name in names if name not in taken][:count]

    def _block(self, scope: Scope, frame: Frame, digest: str, base: str, item: Item) -> str:
        """The name of a new block for `item`, which is written unless there is one like it."""
        key = (digest, *self._places.new_labels_in(scope.address))
        if key not in self.blocks:
            name = self._new_name(base)
            self.blocks[key] = (name, "")
            parameters = ", ".join(parameter for parameter, _ in item.named)
            flow = item.inputs if "in" in frame.given.values() else None
            text = f"block {name}({parameters}) {braced(self.body(scope, frame, flow))}"
            del self.blocks[key]  # it is declared below those that it uses
            self.blocks[key] = (name, text)
        return self.blocks[key][0]

    def _new_name(self, base: str) -> str:
        taken = {part.split("(")[0].split()[1] for part in self._graph.prelude}
        taken |= {name for name, _ in self.blocks.values()}
        taken |= {part for a in self._graph.points for part in re.split(r"[.\[]", a)}
        number = 2
        while f"{base}_{number}" in taken:
            number += 1
        return f"{base}_{number}"

    # ------------------------------------------------------------------------------ arrays

    def _array(self, run: list[Scope], frame: Frame | None) -> Item:
        """Elements that one `repeat` writes."""
        first, last = run[0], run[-1]
        base = first.address.rpartition(".")[0]
        lines = self.body(first, Frame(first.address, frame))
        return Item(
            base, f"repeat {len(run)} {braced(lines)}",
            values_at(self._graph, f"{first.address}.in"), self._places.after(last.address),
            label=_label(base), only_piped=True, is_array=True, is_value=base in self._graph.points,
        )  # fmt: skip

    def _all_runs(self) -> dict[str, list[Scope]]:
        """Arrays of labels that a `repeat` can write: alike, and each flowing into the next."""
        arrays: dict[str, list[Scope]] = {}
        for scope in self._graph.scopes:
            base, _, last = scope.address.rpartition(".")
            is_element = isinstance(scope, scopes.Label) and last.isdigit()
            if is_element and values_at(self._graph, f"{scope.address}.in"):
                arrays.setdefault(base, []).append(scope)
        return {base: run for base, run in arrays.items() if self._is_run(run)}

    def _is_run(self, run: list[Scope]) -> bool:
        chained = all(
            values_at(self._graph, f"{b.address}.in") == self._places.after(a.address)
            for a, b in pairwise(run)
        )
        return chained and len({self._digester.digest(scope) for scope in run}) == 1


def _read_by_name(graph: Graph) -> Iterator[Value]:
    """Every reading of a value, but for those of routers and connections at their points."""
    yield from map(plain, graph.outputs.values())
    for node in graph.nodes():
        if node.rebinds or node.op in (ENTER, LEAVE):
            continue
        scope = node.scope
        own = graph.points[scope.source] if isinstance(scope, scopes.Connect) else None
        yield from (v for v in map(plain, node.inputs) if own is None or v is not plain(own))


def _child(node: Node, scope: Scope) -> Scope | None:
    """The scope directly within `scope` that holds `node`, None if `scope` does."""
    below: Scope | None = None
    for inner in node.scope.chain() if node.scope else ():
        if inner is scope:
            return below
        below = inner
    return below


def _needed_first(needs: dict[Unit, dict[Unit, None]]) -> Iterator[Unit]:
    """All units in order, but what one needs before it."""
    done: set[Unit] = set()
    for unit in needs:
        stack = [unit]
        while stack:
            missing = [n for n in needs[stack[-1]] if n not in done and n not in stack]
            if missing:
                stack.append(missing[0])
                continue
            last = stack.pop()
            if last not in done:
                done.add(last)
                yield last


def _label(address: str) -> str:
    """The label of a place: its last name, with an index for an element of an array."""
    base, _, last = address.rpartition(".")
    return f"{base.rpartition('.')[2]}[{last}]" if last.isdigit() else last


def _stem(address: str) -> str:
    """The last name of a place without an index."""
    return _label(address).partition("[")[0]


def braced(lines: list[str]) -> str:
    """A body: on one line if it is short."""
    if len(lines) <= _FEW and all(len(line) <= _SHORT and "\n" not in line for line in lines):
        return f"{{ {'; '.join(lines)} }}"
    return "\n".join(["{", *lines, "}"])


def _take_labels(items: Iterable[Item], names: Names) -> None:
    for item in items:
        if item.label is not None:
            names.take(item.label.partition("[")[0])
