"""The local variables of a `forward`: which hold what, and what they are called.

A name is free again once nothing that is still to be written reads it, so a chain goes on under
one name: `x = self.b1(x)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import final

from xgraph.backends.torch.helpers import DEFINED
from xgraph.backends.torch.names import TAKEN, identifier, stem
from xgraph.backends.torch.plan import Driver, Plan
from xgraph.backends.torch.tree import Group, Member, is_number, member_name
from xgraph.ir.graph import Value
from xgraph.ir.scope import Connect, Route

RESERVED = TAKEN | DEFINED | {"Outputs"}

_FOREVER = 2**31


def _safe(name: str) -> str:
    return identifier(name, RESERVED)


@final
@dataclass(frozen=True)
class Hint:
    """What to call a value: the stream it belongs to, and the step that made it."""

    stem: str
    label: str | None = None


@final
class Variables:
    """The names of one `forward`. A claim is a read that is still to be written."""

    def __init__(self) -> None:
        self._claims: Counter[str] = Counter()
        self._family: dict[str, str] = {}

    def hold(self, name: str, claims: int, stem: str | None = None) -> None:
        """Let `name` hold a value that is read so many times."""
        self._claims[name] = claims
        self._family[name] = stem or name

    def claim(self, name: str, claims: int) -> None:
        self._claims[name] += claims

    def is_free(self, name: str) -> bool:
        return not self._claims[name]

    def fresh(self, base: str) -> str:
        """A name that nothing had so far, or has from now on."""
        names = chain((base,), (f"{base}{number}" for number in count(1)))
        name = next(n for n in map(_safe, names) if n not in self._family)
        self.hold(name, _FOREVER)
        return name

    def release(self, names: Iterable[str]) -> list[str]:
        """Drop a claim on each of `names`; those that are free now."""
        read = list(names)
        self._claims.subtract(read)
        return [name for name in dict.fromkeys(read) if self.is_free(name)]

    def pick(self, hint: Hint, freed: Iterable[str] = ()) -> str:
        """A free name for a value; `freed` are those that its own computation read last."""
        kin = (name for name in freed if self._family.get(name) == hint.stem)
        for name in chain(self._first(hint), kin, self._further(hint)):
            if self.is_free(name):
                return name
        raise AssertionError("there is always another number")

    def _first(self, hint: Hint) -> Iterator[str]:
        yield _safe(hint.stem)

    def _further(self, hint: Hint) -> Iterator[str]:
        if hint.label and hint.label != hint.stem:
            yield _safe(hint.label)
        if hint.stem == "x":
            yield from "yz"
        mark = "_" if hint.stem[-1].isdigit() else ""
        for number in count(1):
            yield _safe(f"{hint.stem}{mark}{number}")


def target(plan: Plan, value: Value) -> str | None:
    """The point whose stream `value` replaces, for one that a connection or router gives."""
    node = value.node
    for scope in node.scope.chain() if node.scope else ():
        if isinstance(scope, Connect):
            name = node.address.removeprefix(f"{scope.address}.{scope.by}")
            return scope.targets[int(name) - 1] if name in _numbers(scope.targets) else None
        if isinstance(scope, Route):
            group = plan.tree.home.get(node.id)
            outputs = plan.drivers[group].outputs if group in plan.drivers else []
            if value in outputs and len(outputs) == len(scope.targets):
                return scope.targets[outputs.index(value)]
    return None


def _numbers(items: Sequence[str]) -> list[str]:
    return [str(number) for number in range(1, len(items) + 1)]


def place_name(parts: Sequence[str]) -> str:
    """The first name of an address, with its index if it has one."""
    return "".join(parts[:2] if len(parts) > 1 and is_number(parts[1]) else parts[:1])


@final
class Hints:
    """What the values of a driver are to be called, from where they are made and read."""

    def __init__(self, plan: Plan, driver: Driver) -> None:
        self._plan = plan
        self._driver = driver
        self._maker: dict[Value, Member] = {}
        self._readers: dict[Value, list[Member]] = {}
        for item in driver.items:
            for value in plan.results(item):
                self._maker[value] = item
            for value in plan.operands(item):
                self._readers.setdefault(value, []).append(item)
        self._is_top = driver.group.parent is None
        holders = (self._holders(item) for item in driver.items)
        arrays = {held[0] for held in holders if len(held) > 1 and held[0].is_array}
        self._one_array = len(arrays) == 1

    def of(self, value: Value, uses: int) -> Hint:
        """What to call a value that is read `uses` times."""
        item = self._maker[value]
        label = self._label(item)
        aim = target(self._plan, value) if self._is_top else None
        stream = self._stream(item) or self._reading_stream(value)
        if aim and not stream:
            return Hint(place_name(aim.split(".")))
        if stream:
            return Hint(f"{stream}_{label}" if uses > 1 and label else stream, label)
        if (result := self._result(value)) is not None:
            return Hint(result)
        results = self._plan.results(item)
        if len(results) > 1:
            return Hint(f"{label or 'y'}{results.index(value)}")
        label = label or self._origin(value)
        if self._is_top and label:
            return Hint(label)
        return Hint(label if uses > 1 and label else "x", label)

    def _result(self, value: Value) -> str | None:
        """The name of one of several outputs, or of an output of the network."""
        outputs = self._driver.outputs
        if value not in outputs:
            return None
        if self._is_top:
            return list(self._plan.tree.graph.outputs)[outputs.index(value)]
        return f"y{outputs.index(value)}" if len(outputs) > 1 else None

    def _origin(self, value: Value) -> str | None:
        """The name of the step that a value comes from by unnamed ones, each read once."""
        label = None
        while label is None and (item := self._maker.get(value)) is not None:
            label = self._label(item)
            operands = self._plan.operands(item)
            if len(operands) != 1 or len(self._readers[operands[0]]) != 1:
                break
            value = operands[0]
        return label

    def _holders(self, item: Member) -> list[Group]:
        """The open groups between the driver and an item."""
        home = item.parent if isinstance(item, Group) else self._plan.tree.home[item.id]
        assert home is not None
        return home.chain(self._driver.group)

    def _stream(self, item: Member) -> str | None:
        """The super-layer, or other open group, that an item stands in."""
        held = self._holders(item)
        if not held or (held[0].is_array and len(held) == 1):
            return None
        if not held[0].is_array:
            return held[0].name
        return f"{'x' if self._one_array else held[0].name}{held[1].name}"

    def _reading_stream(self, value: Value) -> str | None:
        """The one stream that all readers of a value stand in."""
        found = {self._stream(item) for item in self._readers.get(value, ())}
        if value in self._driver.outputs or len(found) != 1:
            return None
        return found.pop()

    def _label(self, item: Member) -> str | None:
        """The name that was written for a step, if one was."""
        name = member_name(item)
        if isinstance(item, Group):
            return f"{item.parent.name}{name}" if is_number(name) and item.parent else name
        home = self._plan.tree.home[item.id]
        *around, _ = item.address.split(".")
        further = around[len(home.path) :] if tuple(around[: len(home.path)]) == home.path else []
        if not further and is_number(name):
            return f"{home.name}{name}" if home.name else None
        written = further[0] if further else name
        return None if stem(written) in ("", *item.op.table) else written
