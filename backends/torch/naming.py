"""What the classes of the source and their inputs are called, and what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count, takewhile

from xgraph.backends.torch.classes import ClassDef
from xgraph.backends.torch.hints import place_name, target, written_part
from xgraph.backends.torch.names import camel, identifier, printable, stem
from xgraph.backends.torch.plan import Plan
from xgraph.backends.torch.tree import Group, is_number
from xgraph.backends.torch.variables import RESERVED
from xgraph.ir.graph import Value
from xgraph.ir.scope import Call, Connect, Fusion, Modality, Route, Scope, SuperLayer
from xgraph.ops import OPS

KINDS: dict[type[Scope], tuple[str, str]] = {
    Connect: ("Connection", "connection"),
    Route: ("Router", "router"),
    SuperLayer: ("SuperLayer", "super-layer"),
    Modality: ("Modality", "modality"),
    Fusion: ("Fusion", "fusion"),
}
"""Scopes as a class of them is called where no name fits better, and as prose calls them."""


LISTED = 44
"""How many columns a list of addresses may take."""


def name_classes(plan: Plan, classes: list[ClassDef]) -> None:
    """Give every class a name of its own, and its inputs theirs."""
    *others, top = classes
    taken = set(RESERVED)
    top.name = identifier(camel(plan.tree.graph.name), taken)
    names = _distinct([list(_wishes(made)) for made in others], taken | {top.name})
    for made, name in zip(others, names, strict=True):
        made.name = name
    for made in classes:
        if (forward := made.uses[0].forward) is not None:
            made.arguments = _arguments(plan, made) or forward.arguments


def _distinct(wishes: list[list[str]], taken: set[str]) -> list[str]:
    """The first wish of each that no other has too, or else its first with a number."""
    chosen = [0] * len(wishes)
    while True:
        names = [wish[place % len(wish)] for wish, place in zip(wishes, chosen, strict=True)]
        shared = {name for name, times in Counter(names).items() if times > 1} | taken
        late = [i for i, n in enumerate(names) if n in shared and chosen[i] < len(wishes[i])]
        if not late:
            return _numbered(names, taken)
        for i in late:
            chosen[i] += 1


def _numbered(names: list[str], taken: set[str]) -> list[str]:
    used = set(taken)
    for i, name in enumerate(names):
        numbers = count(2)
        while names[i] in used:
            names[i] = f"{name}{next(numbers)}"
        used.add(names[i])
    return names


def _wishes(made: ClassDef) -> Iterator[str]:
    """Names for a class, the best first."""
    groups = made.groups
    scopes = [group.scope for group in groups]
    blocks = {scope.block if isinstance(scope, Call) else "" for scope in scopes}
    if len(blocks) == 1 and (block := blocks.pop()):
        yield camel(block)
        return
    paths = [_words(group) for group in groups]
    stems = {stem(path[-1]) for path in paths}
    if len(stems) == 1 and stems & OPS.keys():
        yield camel(stems.pop())
        return
    if len({path[-1] for path in paths}) == 1:
        for length in range(1, min(map(len, paths)) + 1):
            if len({path[-length:] for path in paths}) == 1:
                yield camel(*paths[0][-length:])
        return
    if common := _common([path[-1] for path in paths]):
        yield camel(common)
    kind = _kind(groups)
    yield kind[0] if kind else "Stage"


def _words(group: Group) -> tuple[str, ...]:
    """The names in the address of a group, without numbers."""
    return tuple(name for name in group.path if not is_number(name)) or group.path


def _common(names: list[str]) -> str:
    """What names begin with alike: `cc_path` for `cc_path_c2` and `cc_path_c4`."""
    parts = [stem(name).split("_") for name in names]
    alike = takewhile(lambda words: len(set(words)) == 1, zip(*parts, strict=False))
    words = [words[0] for words in alike]
    return "_".join(words[:-1] if words and len(words[-1]) < 2 else words)


# ------------------------------------------------------------------------------------- inputs


def _arguments(plan: Plan, made: ClassDef) -> tuple[str, ...] | None:
    """Names for the inputs of a class after what they come from, where all its uses agree."""
    found = {_sources(plan, group) for group in made.groups}
    names = found.pop()
    if found or names is None or len(names) < 2 or made.groups[0].parent is None:
        return None
    return None if len({stem(name) for name in names}) == 1 else names


def _sources(plan: Plan, group: Group) -> tuple[str, ...] | None:
    driver = plan.drivers[group]
    if isinstance(group.scope, Connect) and len(driver.inputs) == 2 and len(driver.outputs) == 1:
        stream = driver.outputs[0].node.inputs[0]
        return tuple("stream" if value is stream else "source" for value in driver.inputs)
    sources = [_source(plan, group, value) for value in driver.inputs]
    for names in zip(*sources, strict=True):
        fit = tuple(identifier(name, RESERVED) for name in names if name)
        if len(set(fit)) == len(sources):
            return fit
    return None


def _source(plan: Plan, group: Group, value: Value) -> tuple[str, str]:
    """What gives `value`, as seen from where `group` stands: its name, and a longer one. Empty
    where it has none."""
    node = value.node
    if node.op.name == "input":
        return node.address, node.address
    parts = (target(plan, value) or node.address).split(".")
    depth = 0
    while depth < len(parts) - 1 and group.path[depth : depth + 1] == (parts[depth],):
        depth += 1
    if stem(parts[depth]) in OPS:
        return "", ""
    name = place_name(parts[depth:])
    inner = written_part(node, depth + 1) if depth + 1 < node.address.count(".") + 1 else None
    return name, f"{name}_{inner}" if inner else ""


# ---------------------------------------------------------------------------------- docstrings


def describe(made: ClassDef) -> str:
    """A line about a class."""
    groups = made.groups
    scope = groups[0].scope
    if isinstance(scope, Call) and all(isinstance(group.scope, Call) for group in groups):
        what = f"The block `{printable(scope.block)}`"
        if made.name != camel(scope.block):
            what += f" of {_listed([group.address for group in groups])}"
    else:
        kind = _kind(groups)
        plural = "s" if len(groups) > 1 else ""
        called = f"{kind[1]}{plural}" if kind else "layers of"
        what = f"The {called} {_listed([group.address for group in groups])}"
    if made.uses[0].forward is None:
        return f"{what}, whose parts are run one by one."
    return f"{what}."


def _kind(groups: list[Group]) -> tuple[str, str] | None:
    """What all of `groups` were declared as, if that is one of `KINDS`."""
    kinds = {KINDS.get(type(group.scope)) if group.scope else None for group in groups}
    return kinds.pop() if len(kinds) == 1 else None


def _listed(addresses: list[str]) -> str:
    shown = [f"`{printable(address)}`" for address in addresses]
    if len(shown) > 3 or len(", ".join(shown)) > LISTED:
        few = 2 if len(shown) > 2 and len(", ".join(shown[:2])) <= LISTED else 1
        left = len(shown) - few
        shown = shown[:few] + ([f"{left} more"] if left else [])
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
