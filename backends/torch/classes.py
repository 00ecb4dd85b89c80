"""The classes of the source: groups that are built and run alike share one.

Two groups are alike if nothing tells them apart but numbers in the construction of their
modules; these become arguments of the class (`Pair(3, 32)`, `Pair(32, 64)`), as long as they are
few. Numbers that always agree are one argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, final

from xgraph.backends.torch.forward import Forward, Writer
from xgraph.backends.torch.helpers import DEFINED
from xgraph.backends.torch.names import identifier
from xgraph.backends.torch.plan import Plan
from xgraph.backends.torch.registry import RULES, Arg, Ctor, Scalar
from xgraph.backends.torch.tree import Group, Member
from xgraph.ir.types import Dim

MOST_PARAMETERS = 4
"""How many numbers uses of one class may differ in."""

Body: TypeAlias = tuple[tuple[str, Ctor], ...]


@final
@dataclass(frozen=True)
class Use:
    """A group that needs a class: its modules by name, and its `forward` if it has one."""

    group: Group
    body: Body
    forward: Forward | None

    @property
    def key(self) -> object:
        """What groups of one class have in common."""
        run = self.forward and (self.forward.arguments, self.forward.sizes, self.forward.lines)
        return tuple((name, ctor.pattern()) for name, ctor in self.body), run

    @property
    def numbers(self) -> tuple[Scalar, ...]:
        """What they may differ in."""
        return tuple(arg.value for _, arg in _numbers(self.body))


@final
@dataclass(frozen=True)
class Parameter:
    """A parameter of a class."""

    name: str
    type: str


@final
@dataclass(eq=False)
class ClassDef:
    """A class of the source. `uses[0]` stands for all."""

    uses: list[Use]
    places: dict[int, Parameter]
    """Which numbers of the body are parameters."""
    name: str = field(default="", init=False)
    arguments: tuple[str, ...] = field(default=(), init=False)
    """What the inputs of its `forward` are called."""

    @property
    def groups(self) -> list[Group]:
        return [use.group for use in self.uses]

    @property
    def parameters(self) -> list[Parameter]:
        return list(dict.fromkeys(self.places.values()))

    def ctor(self, use: Use) -> Ctor:
        """How `use` is built."""
        numbers = use.numbers
        given = {parameter: numbers[place] for place, parameter in self.places.items()}
        return Ctor(self, tuple(Arg(p.name, given[p]) for p in self.parameters))


@final
class Classes:
    """The classes of a plan, those that are used before those that use them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._ctors: dict[Group, Ctor] = {}
        self._sized: dict[Group, list[Dim]] = {}
        self._made: list[ClassDef] = []
        for level in _levels(plan.tree.root):
            self._define([self._use(group) for group in level if not group.is_array])
            self._ctors |= {group: self._array(group) for group in level if group.is_array}
        self.all = _in_order(self._made[-1])

    def write(self, group: Group, arguments: Sequence[str]) -> Forward:
        """The `forward` of a group, its inputs called so."""
        return Writer(self.plan, self.plan.drivers[group], arguments, self._sized).write()

    def _define(self, uses: Iterable[Use]) -> None:
        """Define classes for groups whose parts have theirs."""
        for alike in _alike(uses, lambda use: use.key):
            columns = list(zip(*(use.numbers for use in alike), strict=True))
            if len({c for c in columns if len(set(c)) > 1}) <= MOST_PARAMETERS:
                self._add(ClassDef(alike, _parameters(alike[0].body, columns)))
                continue
            for equal in _alike(alike, lambda use: use.numbers):
                self._add(ClassDef(equal, {}))

    def _add(self, made: ClassDef) -> None:
        self._made.append(made)
        self._ctors |= {use.group: made.ctor(use) for use in made.uses}

    def _use(self, group: Group) -> Use:
        body = tuple((name, self._ctor(member)) for name, member in group.members.items())
        driver = self.plan.drivers.get(group)
        if driver is None:
            return Use(group, body, None)
        if group.parent is None:
            names = modality_names(self.plan.tree.graph.inputs)
        else:
            names = plain_names(len(driver.inputs))
        forward = self.write(group, names)
        if forward.sizes:
            self._sized[group] = [dim for _, dim in forward.sizes]
        return Use(group, body, forward)

    def _ctor(self, member: Member) -> Ctor:
        if isinstance(member, Group):
            return self._ctors[member]
        layer = RULES[member.op.name].layer
        assert layer is not None, f"`{member.op.name}` has parameters and no layer"
        return layer(member)

    def _array(self, group: Group) -> Ctor:
        names = sorted(group.members, key=int)
        items = tuple(self._ctor(group.members[name]) for name in names)
        if group.is_list:
            return Ctor("nn.ModuleList", items=items)
        return Ctor("nn.ModuleDict", items=items, keys=tuple(names))


def plain_names(count: int) -> list[str]:
    """What the inputs of a class are called if nothing better is known."""
    return ["x"] if count == 1 else [f"x{i}" for i in range(count)]


def modality_names(inputs: Iterable[str]) -> list[str]:
    """The arguments of the network: its modalities, each by another name."""
    found: list[str] = []
    for name in inputs:
        found.append(identifier(name, {*DEFINED, "Outputs", *found}))
    return found


def _in_order(top: ClassDef) -> list[ClassDef]:
    """The classes that `top` needs and itself, each after those that it needs."""
    order: dict[ClassDef, None] = {}

    def visit(made: ClassDef) -> None:
        waiting = [ctor for _, ctor in made.uses[0].body]
        for ctor in waiting:
            if isinstance(ctor.callee, ClassDef) and ctor.callee not in order:
                visit(ctor.callee)
            waiting += ctor.items
        order[made] = None

    visit(top)
    return list(order)


def _levels(root: Group) -> list[list[Group]]:
    """All groups by how deep they nest, the flat ones first."""
    height: dict[Group, int] = {}
    for group in reversed(list(root.walk())):
        height[group] = 1 + max((height[inner] for inner in group.groups), default=-1)
    levels: list[list[Group]] = [[] for _ in range(height[root] + 1)]
    for group in root.walk():
        levels[height[group]].append(group)
    return levels


def _alike(uses: Iterable[Use], key: Callable[[Use], object]) -> Iterator[list[Use]]:
    found: dict[object, list[Use]] = {}
    for use in uses:
        found.setdefault(key(use), []).append(use)
    yield from found.values()


def _numbers(body: Body) -> Iterator[tuple[str, Arg]]:
    """The numbers of a body, each with the name of the module it is for."""
    for name, ctor in body:
        for arg in ctor.numbers():
            yield name, arg


def _parameters(body: Body, columns: Sequence[tuple[Scalar, ...]]) -> dict[int, Parameter]:
    """Parameters for the numbers that vary, one for those that vary together."""
    places: dict[tuple[str, tuple[Scalar, ...]], list[int]] = {}
    for place, column in enumerate(columns):
        if len(set(column)) > 1:
            places.setdefault((_annotation(column[0]), column), []).append(place)
    numbers = list(_numbers(body))
    names = _parameter_names([[numbers[place] for place in same] for same in places.values()])
    return {
        place: Parameter(name, annotation)
        for ((annotation, _), same), name in zip(places.items(), names, strict=True)
        for place in same
    }


def _parameter_names(uses: list[list[tuple[str, Arg]]]) -> list[str]:
    """A name for each parameter from what it is used for; with that of the module where one
    alone would not tell."""
    roles = [_role([arg.role for _, arg in use]) for use in uses]
    members = [use[0][0] for use in uses]
    late = any(
        role.startswith("in_") and member != members[0]
        for role, member in zip(roles, members, strict=True)
    )
    if not late and len(set(roles)) == len(roles):
        return roles
    names: list[str] = []
    for role, member in zip(roles, members, strict=True):
        names.append(identifier(f"{member}_{role}", names))
    return names


def _role(roles: Sequence[str]) -> str:
    """One name for what a number is to several modules."""
    first, *others = roles
    head, _, what = first.partition("_")
    if head == "num" or (head == "in" and f"out_{what}" in others):
        return what
    return first


def _annotation(value: Scalar) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join('int' for _ in value)}]"
    return type(value).__name__
