"""Joining layers into the statements of a `.xg` body.

Layers come in the order in which they were made: what flows into a layer before its further
inputs, those before the layer. So text is made as infix is from postfix: chains wait on a stack
until a layer takes them, as what flows into it or as an argument. A layer with a label ends a
statement; what flows on from a statement need not be named by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, TypeAlias, final

from xgraph.build.names import Names
from xgraph.build.places import Frame, Places, starred
from xgraph.ir.graph import Value

Form = Literal["body", "chain", "layers", "layer"]
"""What is written: statements; a chain; a chain of two layers or more, which its label gives a
scope of its own; a single layer, whose address is its label."""

_REPEATED = 3
"""So many equal stages in a row are written as a `repeat`."""


class NotWritable(Exception):
    """These layers do not form what should be written; a block must hold them."""


class Renamed(NotWritable):
    """They do, but only a label could keep their names, and none may stand there."""


class Unlabelled(Exception):
    """A label is needed above; it is noted, and the body must be written anew."""


@final
@dataclass
class Item:
    """A layer, a block call, a labelled chain or an array of labels, still to be written."""

    address: str
    text: str
    """The stage without its values: `conv(32, 3)`."""
    inputs: list[Value]
    results: list[Value]
    named: list[tuple[str, Value]] = field(default_factory=list)
    label: str | None = None
    base: str = ""
    """What it is numbered by where it has no label."""
    is_itself: Callable[[], bool] = lambda: False
    """Whether it owns anything that is found by its address."""
    only_piped: bool = False
    """Whether its `inputs` may only stand before it, as those of a block."""
    is_array: bool = False
    is_value: bool = False
    """Of an array: whether its label is that of its last value too."""
    """A labelled `repeat`, which stands alone behind its label."""
    parts: list[Item] | None = None
    """The layers of a labelled chain."""
    outlined: Callable[[], Item] | None = None
    """Of a labelled chain: the call of a new block that holds the same."""


@final
@dataclass(frozen=True)
class Stage:
    """`joins`: it has values among its arguments, so no statement may begin with it."""

    text: str
    joins: bool = False


@final
@dataclass
class Expr:
    """A chain that nothing has taken yet. `flows`: it begins with what flows from the statement
    before, `start`, which then needs no name."""

    start: list[Value]
    stages: list[Stage]
    last: Item
    flows: bool = False

    @property
    def results(self) -> list[Value]:
        return self.last.results


_Slot: TypeAlias = "tuple[str | None, Expr | Value]"
"""An input as it will be written, and its name if it is given by one."""


@final
class Writer:
    """Writes one body or chain. `uses` counts how often a value is read, by items and from
    elsewhere; without `names` the addresses of unlabelled layers are not looked at."""

    def __init__(
        self,
        places: Places,
        frame: Frame | None,
        flow: Sequence[Value],
        form: Form,
        *,
        uses: Mapping[Value, int],
        sizes: Mapping[str, int],
        names: Names | None = None,
        aliases: Mapping[Value | None, list[str]] | None = None,
    ) -> None:
        self._places = places
        self._frame = frame
        self._flow = list(flow)
        self._form: Form = form
        self._uses = uses
        self._sizes = sizes
        self._names = names
        self._aliases = {value: list(labels) for value, labels in (aliases or {}).items()}
        self._stack: list[Expr] = []
        self._is_unlabelled = False
        self.statements: list[str] = []
        self._write_aliases(None)
        self._write_aliases(*self._flow)

    # ---------------------------------------------------------------------------- items

    def add(self, item: Item, *, is_last: bool = False) -> None:
        """Write the next item; `is_last` where it is the last of a chain."""
        if item.parts is not None:
            self._add_chain(item)
            return
        self._number(item)
        slots, below = self._taken(item)
        if item.label is not None and self._form == "body":
            self._add_labelled(item, slots, below)
            return
        single = is_last and self._form == "layer"
        self._settle(below, end=False)
        self._stack.append(self._joined(item, slots, below, single=single))

    def _number(self, item: Item) -> None:
        """Have a label written where numbering would give another address. Within a chain there
        is none, even where it is known to be needed."""
        if self._names is None or (item.label is not None and self._form == "body"):
            return
        made = self._names.fresh(item.base)
        if made != item.address.rpartition(".")[2] and item.is_itself():
            if self._form != "body":
                raise Renamed
            # It takes its name, and leaves the number to the next: so one round finds all such.
            self._places.need(item.address)
            self._names.put_back(item.base)
            self._names.take(item.address.rpartition(".")[2])
            self._is_unlabelled = True

    def _taken(self, item: Item) -> tuple[list[_Slot], int]:
        """The inputs of an item, those that wait on top of the stack as chains, and how many
        chains remain below."""
        operands = [(None, v) for v in item.inputs] + item.named
        slots: list[_Slot] = []
        below, end = len(self._stack), len(operands)
        while end:
            top = self._stack[below - 1] if below else None
            size = len(top.results) if top else 0
            group = operands[max(0, end - size) : end]
            if top and self._is_whole(top, group):
                slots.insert(0, (group[0][0], top))
                below -= 1
                end -= size
            else:
                slots.insert(0, operands[end - 1])
                end -= 1
        return slots, below

    def _is_whole(self, expr: Expr, group: Sequence[tuple[str | None, Value]]) -> bool:
        names = {name for name, _ in group}
        return (
            [value for _, value in group] == expr.results
            and (names == {None} or len(group) == 1)
            and all(self._uses.get(value) == 1 for value in expr.results)
        )

    # ------------------------------------------------------------------- layers and calls

    def _joined(self, item: Item, slots: list[_Slot], below: int, *, single: bool) -> Expr:
        """The chain that ends with `item`. `single`: `item` must be its only layer."""
        lead = slots[0][1] if slots and slots[0][0] is None else None
        if isinstance(lead, Expr):
            if not single and self._pipes(item, lead, slots[1:], below):
                return Expr(
                    lead.start,
                    [*lead.stages, self._stage(item, slots[1:])],
                    item,
                    lead.flows,
                )
            if single and (item.only_piped or not _positional(slots[1:])):
                raise NotWritable
            return Expr([], [self._stage(item, slots)], item)
        if not below and self._continues(item, slots):
            return self._from_flow(item, slots)
        return self._from_names(item, slots)

    def _pipes(self, item: Item, lead: Expr, rest: list[_Slot], below: int) -> bool:
        """Whether `lead -> op(rest)` reads better than `op(lead, rest)`, or is needed."""
        if item.only_piped or not _positional(rest):
            return True
        if self._form == "layers" and not below:
            return True
        chains = any(isinstance(value, Expr) for _, value in rest)
        return lead.flows or (len(lead.stages) > 1 and not chains)

    def _continues(self, item: Item, slots: list[_Slot]) -> bool:
        """Whether an item goes on from what flows."""
        first = [value for name, value in slots[: len(self._flow)] if name is None]
        return bool(self._flow) and item.inputs != [] and first == self._flow

    def _from_flow(self, item: Item, slots: list[_Slot]) -> Expr:
        rest = slots[len(self._flow) :]
        if not _positional(rest) and not (item.only_piped and rest):
            return Expr(self._flow, [self._stage(item, rest)], item, flows=True)
        if item.only_piped or len(self._flow) > 1:
            return Expr(self._flow, [self._stage(item, rest)], item)
        return Expr([], [self._stage(item, slots)], item)

    def _from_names(self, item: Item, slots: list[_Slot]) -> Expr:
        count = len(item.inputs)
        if item.only_piped or count == 1:
            return Expr(item.inputs, [self._stage(item, slots[count:])], item)
        return Expr([], [self._stage(item, slots)], item)

    def _add_labelled(self, item: Item, slots: list[_Slot], below: int) -> None:
        """A layer with a label of its own: it alone may stand behind it."""
        lead = slots[0][1] if slots and slots[0][0] is None else None
        if isinstance(lead, Expr) and (item.only_piped or not _positional(slots[1:])):
            self._settle(below)
            self._emit(lead)
            slots = [*((None, value) for value in lead.results), *slots[1:]]
            below = 0
        self._settle(below)
        expr = self._joined(item, slots, below, single=True)
        if item.is_array and item.is_value:
            expr.flows = False  # what stands before it makes the label one value too
        elif item.is_array and not expr.flows:
            self.statements.append(self._places.all_of(expr.start, self._frame))
            expr.flows = True
        self._emit(expr, item)

    # ----------------------------------------------------------------------- labelled chains

    def _add_chain(self, item: Item) -> None:
        assert item.parts is not None
        if self._form == "body" and self._stack:
            top = self._stack.pop()
            self._settle(len(self._stack))
            self._stack = [top]
        flow = self._stack[0].results if len(self._stack) == 1 else self._flow
        try:
            expr = self._within(item.parts, flow)
        except NotWritable:
            if item.outlined is None:
                raise
            self.add(item.outlined())
            return
        if self._form != "body":
            self._stack.append(expr)
            return
        if expr.flows and self._stack:
            self._emit(self._stack.pop())
        self._settle(len(self._stack))
        self._emit(expr, item)

    def _within(self, parts: list[Item], flow: Sequence[Value]) -> Expr:
        """The chain of the layers behind one label."""
        writer = Writer(
            self._places, self._frame, flow, "layers",
            uses=self._uses, sizes=self._sizes, names=Names(),
        )  # fmt: skip
        for part in parts:
            writer.add(part)
        expr = writer.single()
        nests = self._frame is None and len(parts) > 1  # as a `let` or output alone may
        if len(expr.stages) < 2 and not nests:
            raise NotWritable
        return expr

    def single(self) -> Expr:
        """The one chain that all items came to."""
        if len(self._stack) != 1:
            raise NotWritable
        return self._stack[0]

    def each_of(self, values: Sequence[Value]) -> list[str]:
        """The values of a list: chains that wait, and names of what was made elsewhere."""
        made = {expr.results[0]: expr for expr in self._stack if len(expr.results) == 1}
        if len(made) < len(self._stack) or not made.keys() <= set(values):
            raise NotWritable
        return [
            self.render(made.pop(v)) if v in made else self._places.ref(v, self._frame)
            for v in values
        ]

    # ---------------------------------------------------------------------------- statements

    def _settle(self, below: int, *, end: bool = True) -> None:
        """Leave `below` chains on the stack, those that no layer took. At the `end` of a
        statement nothing may wait: a layer read later gets a label."""
        self._stack = self._stack[:below]
        read = [e for e in self._stack if any(self._uses.get(v) for v in e.results)]
        if not self._stack or (len(read) == below and not end):
            return
        if self._form != "body":
            raise NotWritable
        for expr in read:
            self._places.need(expr.last.address)
        if read:
            raise Unlabelled
        for expr in self._stack:
            self._emit(expr)
        self._stack = []

    def _emit(self, expr: Expr, item: Item | None = None) -> None:
        """Write a statement; what it gives flows on."""
        if item is not None and item.label is not None:
            self.statements.append(f"{item.label}: {self.render(expr)}")
            self._flow = self._places.after(item.address) or item.results
            self._write_aliases(*self._flow)
            return
        self.statements += self._lines(expr)
        self._flow = expr.results

    def _lines(self, expr: Expr) -> list[str]:
        """An unlabelled statement, parted where a layer is repeated."""
        lines: list[list[str]] = [[]]
        after = False
        for stage, run in groupby(expr.stages):
            count = len(list(run))
            repeated = count >= _REPEATED and not stage.joins
            if lines[-1] and not stage.joins and (repeated or after):
                lines.append([])
            lines[-1] += (
                [f"repeat {count} {{ {stage.text} }}"] if repeated else [stage.text] * count
            )
            after = repeated
        lines[0] = [*self._start(expr), *lines[0]]
        return [" -> ".join(line) for line in lines]

    def render(self, expr: Expr, *, named: bool = False) -> str:
        """The text of a chain; `named` where it stands within another, and nothing flows."""
        return " -> ".join(
            [*self._start(expr, named=named), *(stage.text for stage in expr.stages)]
        )

    def _start(self, expr: Expr, *, named: bool = False) -> list[str]:
        if expr.start and (named or not expr.flows):
            return [self._places.all_of(expr.start, self._frame)]
        return []

    def _stage(self, item: Item, slots: Sequence[_Slot]) -> Stage:
        """The text of a layer with the values among its arguments."""
        if not slots:
            return Stage(item.text)
        values = [self._slot(value) for name, value in slots if name is None]
        named = [f"{name} = {self._slot(value)}" for name, value in slots if name is not None]
        head, bracket, rest = item.text.partition("(")
        own = [rest[:-1]] if bracket and rest[:-1] else []
        parts = [*starred(values, self._sizes), *own, *named]
        joins = bool(values) or (item.only_piped and bool(named))
        return Stage(f"{head}({', '.join(parts)})", joins)

    def _slot(self, value: Expr | Value) -> str:
        if isinstance(value, Expr):
            return self.render(value, named=True)
        return self._places.ref(value, self._frame)

    def _write_aliases(self, *values: Value | None) -> None:
        """Write the labels that stand for values which have names already."""
        for value in values:
            for address in self._aliases.pop(value, ()):
                name = self._places.ref(self._places.own(address), self._frame, address)
                self.statements.append(f"{address.rpartition('.')[2]}: {name}")
                self._flow = self._places.after(address)
                self._write_aliases(*self._flow)

    def finish(self, results: Sequence[Value]) -> list[str]:
        """All statements; the last gives `results`."""
        if self._is_unlabelled:
            raise Unlabelled
        if self._stack:
            last = self._stack.pop()
            self._settle(len(self._stack))
            self._emit(last)
        if list(results) != self._flow:
            self.statements.append(self._places.all_of(results, self._frame))
        return self.statements


def _positional(slots: Sequence[_Slot]) -> bool:
    return any(name is None for name, _ in slots)
