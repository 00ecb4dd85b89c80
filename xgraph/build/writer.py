"""Joining layers into statements of a `.xg` body."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, final

from xgraph.build.digest import plain
from xgraph.ir.graph import Value


class Reader(Protocol):
    """What a writer asks of the document it writes for."""

    @property
    def reads(self) -> Mapping[Value, int]: ...

    @property
    def final(self) -> Mapping[str, Value]: ...

    @property
    def array_sizes(self) -> Mapping[str, int]: ...

    def ref(self, value: Value, frame: str) -> str: ...


@final
@dataclass
class Item:
    """A stage to write: a layer, a block call, a labelled chain or an array of labels."""

    address: str
    text: str
    inputs: list[Value]
    named: list[tuple[str, Value]]
    results: list[Value]
    label: str | None
    extra: list[tuple[str, Value]] = field(default_factory=list)
    """Parameters of a block that values are given for."""
    chain: Callable[[list[Value]], str] | None = None
    """For a labelled chain: its text, given what flows into it."""


@final
class Writer:
    """Joins items into statements. `nested` ones have no labels: values read once are written
    within the layer that reads them."""

    def __init__(
        self, printer: Reader, frame: str, start: Sequence[Value], *, nested: bool
    ) -> None:
        self.printer = printer
        self.frame = frame
        self.nested = nested
        self.statements: list[str] = []
        self.current: list[Value] = list(start)
        self.stages: list[str] = []
        self.label: str | None = None
        self.pending: dict[Value, str] = {}

    def add(self, item: Item) -> None:
        labelled = item.label is not None and not self.nested
        given = [*item.inputs]
        if item.chain is not None:
            self._add_chain(item, labelled)
            self.current = self._after(item)
            return
        values = [(None, v) for v in item.inputs[1:]] + [(n, v) for n, v in item.named + item.extra]
        if given and given == self.current:
            self._flow(item, labelled, [(n, v) for n, v in item.named + item.extra])
        elif given and self.current == given[:1]:
            self._flow(item, labelled, values, piped=True)
        else:
            self._begin(item, labelled)
        self.current = self._after(item)

    def _add_chain(self, item: Item, labelled: bool) -> None:
        assert item.chain is not None
        if item.inputs and item.inputs == self.current:
            item.text = item.chain(item.inputs)
            self._flow(item, labelled, [])
            return
        self._shelve()
        self.label = item.label if labelled else None
        self.stages = [item.chain([])]

    def _after(self, item: Item) -> list[Value]:
        if self.nested or len(item.results) != 1:
            return item.results
        value = self.printer.final.get(item.address, item.results[0])
        return [plain(value)] if item.label is not None else item.results

    def _flow(
        self,
        item: Item,
        labelled: bool,
        values: Sequence[tuple[str | None, Value]],
        *,
        piped: bool = False,
    ) -> None:
        text = self._with(item.text, values)
        if labelled or (self.label is not None and self.stages):
            if (values or piped) and not self.stages:
                text = f"{self.printer.ref(self.current[0], self.frame)} -> {text}"
            elif values or piped:
                before = self.current[0]
                self._close()
                text = f"{self.printer.ref(before, self.frame)} -> {text}"
            else:
                self._close()
            self.label = item.label if labelled else None
            self.stages.append(text)
            return
        if not self.stages and (values or piped):
            self.stages.append(self.printer.ref(self.current[0], self.frame))
        self.stages.append(text)

    def _begin(self, item: Item, labelled: bool) -> None:
        """Write a layer that does not read what flows."""
        self._shelve()
        values = [(None, v) for v in item.inputs] if len(item.inputs) > 1 else []
        named = [(n, v) for n, v in item.named + item.extra]
        if len(item.inputs) == 1:
            text = f"{self._ref(item.inputs[0])} -> {self._with(item.text, named)}"
        else:
            text = self._with(item.text, [*values, *named])
        self.label = item.label if labelled else None
        self.stages = [text]

    def _with(self, text: str, values: Sequence[tuple[str | None, Value]]) -> str:
        if not values:
            return text
        given = [f"{n} = {self._ref(v)}" if n else self._ref(v) for n, v in values]
        first = [g for g, (n, _) in zip(given, values, strict=True) if not n]
        first = starred(first, self.printer.array_sizes)
        last = [g for g, (n, _) in zip(given, values, strict=True) if n]
        name, bracket, rest = text.partition("(")
        inner = [rest[:-1]] if bracket and rest[:-1] else []
        return f"{name}({', '.join([*first, *inner, *last])})"

    def _ref(self, value: Value) -> str:
        if plain(value) in self.pending:
            return self.pending.pop(plain(value))
        return self.printer.ref(value, self.frame)

    def _shelve(self) -> None:
        """Put the chain so far aside: for the layer that reads it, if it has no label."""
        if not self.stages:
            return
        read = self.printer.reads.get(self.current[0], 0) if len(self.current) == 1 else 0
        if self.nested and read == 1:
            self.pending[self.current[0]] = " -> ".join(self.stages)
            self.stages = []
            return
        self._close()

    def _close(self) -> None:
        if self.stages:
            head = f"{self.label}: " if self.label else ""
            self.statements.append(head + " -> ".join(self.stages))
        self.stages, self.label = [], None

    def finish(self, results: list[Value] | None) -> list[str]:
        """All statements; the last gives `results`."""
        self._close()
        if results is not None and results != self.current and len(results) == 1:
            self.statements.append(self.printer.ref(results[0], self.frame))
        return self.statements


def starred(texts: list[str], sizes: Mapping[str, int]) -> list[str]:
    """`path[0].c2, path[1].c2` as `path[*].c2` where that is the whole array."""
    out: list[str] = []
    position = 0
    while position < len(texts):
        found = re.match(r"^(\w+)\[0\]", texts[position])
        size = sizes.get(found[1], 0) if found else 0
        run = texts[position : position + size]
        if found and size > 1:
            rest = texts[position][found.end() :]
            if run == [f"{found[1]}[{i}]{rest}" for i in range(size)]:
                out.append(f"{found[1]}[*]{rest}")
                position += size
                continue
        out.append(texts[position])
        position += 1
    return out
