"""What values are to be called, from the addresses of what makes and reads them.

A value in a super-layer that the driver runs goes by the name of that super-layer; elsewhere
what is read later goes by the label of its step, and what only the next step reads by `x`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import final

from xgraph.backends.torch.access import home_of
from xgraph.backends.torch.names import stem
from xgraph.backends.torch.plan import Driver, Plan
from xgraph.backends.torch.tree import Group, Member, is_number, member_name
from xgraph.backends.torch.variables import Hint
from xgraph.ir.graph import Node, Value
from xgraph.ir.scope import Call, Connect, Route
from xgraph.ops import OPS


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


def _is_made(group: Group) -> bool:
    """Whether the name of a group was made rather than written."""
    if isinstance(group.scope, Call):
        return not group.scope.labelled
    return stem(group.name) in OPS


def written_part(node: Node, depth: int) -> str | None:
    """The part of a node's address at `depth`, if it was written rather than made from an op."""
    part = "".join(node.address.split(".")[depth : depth + 1])
    return None if not stem(part) or stem(part) in OPS else part


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
        self._outputs: dict[Value, int] = {}
        for place, value in enumerate(driver.outputs):
            self._outputs.setdefault(value, place)
        self._names = list(plan.tree.graph.outputs)
        self._parts: dict[
            Group, tuple[dict[Value, int], list[str | None], Counter[str | None]]
        ] = {}
        """Of the results of a group: where they are in their order, and the written parts."""
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
            return Hint(self._place(aim.split(".")))
        if stream:
            return Hint(f"{stream}_{label}" if uses > 1 and label else stream, label)
        if (result := self._result(value)) is not None:
            return Hint(result)
        if isinstance(item, Group) and len(self._plan.results(item)) > 1:
            return Hint(self._part(item, value))
        label = label or self._origin(value)
        if self._is_top and label:
            return Hint(label)
        return Hint(label if uses > 1 and label else "x", label)

    def _result(self, value: Value) -> str | None:
        """The name of one of several outputs, or of an output of the network."""
        place = self._outputs.get(value)
        if place is None:
            return None
        if self._is_top:
            return self._names[place]
        if len(self._driver.outputs) == 1:
            return None
        return self._label(self._maker[value]) or f"y{place}"

    def _part(self, group: Group, value: Value) -> str:
        """The name of one of several results of a group."""
        if group not in self._parts:
            results = self._plan.results(group)
            written = [written_part(result.node, len(group.path)) for result in results]
            order = {result: place for place, result in enumerate(results)}
            self._parts[group] = order, written, Counter(written)
        order, written, counts = self._parts[group]
        place = order[value]
        part = written[place]
        if part and counts[part] == 1:
            return f"{group.title}_{part}"
        mark = "_" if group.title[-1].isdigit() else ""
        return f"{group.title}{mark}{place}"

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
        return home_of(item, self._plan.tree.home).chain(self._driver.group)

    def _stream(self, item: Member) -> str | None:
        """The super-layer, or other open group, that an item stands in."""
        held = self._holders(item)
        if all(group.is_array for group in held):
            return None
        return self._place([group.name for group in held])

    def _place(self, parts: Sequence[str]) -> str:
        """The name of a super-layer; `x0` for an element of the only array."""
        if self._one_array and len(parts) > 1 and is_number(parts[1]):
            return f"x{parts[1]}"
        return place_name(parts)

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
            return None if _is_made(item) else item.title
        home = self._plan.tree.home[item.id]
        if is_number(name) and item.params:
            return f"{home.title}{name}"
        around = tuple(item.address.split(".")[:-1])
        is_below = around[: len(home.path)] == home.path
        return written_part(item, len(home.path) if is_below else len(around))
