"""Steps that a loop says better: the modules of one list, one after the other or side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from xgraph.backends.torch.access import home_of
from xgraph.backends.torch.code import variable
from xgraph.backends.torch.plan import Driver, Plan
from xgraph.backends.torch.registry import RULES, Site
from xgraph.backends.torch.tree import Group, Member, member_name
from xgraph.ir.graph import Value
from xgraph.ir.types import Dim


@final
@dataclass(frozen=True)
class Run:
    """The steps of all modules of `array`, in its order."""

    array: Group
    items: tuple[Member, ...]
    in_turn: bool
    """Each reads what the one before gives; else all read the same."""


def find_runs(
    plan: Plan, driver: Driver, sized: Iterable[Group], reads: Mapping[Value, int]
) -> list[Run]:
    """The runs among the steps of `driver`; groups in `sized` take more than tensors, and
    `reads` counts how often the steps read a value."""
    arrays: dict[Group, dict[int, Member]] = {}
    for item in driver.items:
        home = home_of(item, plan.tree.home)
        if home.is_list and (isinstance(item, Group) or item.params):
            arrays.setdefault(home, {})[int(member_name(item))] = item
    unfit = set(sized)
    runs = [
        _run(plan, array, [found[i] for i in sorted(found)], reads)
        for array, found in arrays.items()
        if len(found) == len(array.members) > 1
        and not any(member in unfit for member in found.values())
    ]
    return [run for run in runs if run]


def _run(
    plan: Plan, array: Group, items: Sequence[Member], reads: Mapping[Value, int]
) -> Run | None:
    if any(len(plan.results(item)) != 1 or not _is_bare(item) for item in items):
        return None
    operands = [plan.operands(item) for item in items]
    if operands[0] and all(given == operands[0] for given in operands):
        return Run(array, tuple(items), in_turn=False)
    before: list[Value] = plan.results(items[0])
    for item, given in zip(items[1:], operands[1:], strict=True):
        if given != before or reads[before[0]] != 1:
            return None
        before = plan.results(item)
    return Run(array, tuple(items), in_turn=True) if len(operands[0]) == 1 else None


def _is_bare(item: Member) -> bool:
    """Whether the step is a call of its module on the values as they are."""
    if isinstance(item, Group):
        return True
    rule = RULES[item.op.name]
    operands = tuple(variable(f"x{i}") for i, _ in enumerate(item.inputs))
    text = rule.write(Site(item, operands, "m", _no_size, str)).text
    return rule.layer is not None and text == f"m({', '.join(x.text for x in operands)})"


def _no_size(dim: Dim) -> str:
    return str(dim)
