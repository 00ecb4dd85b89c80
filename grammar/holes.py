"""Where a text leaves something open: `choice(...)`, `maybe(...)`, `low .. high`, and spaces.

A range in an index and one that counts the pieces of an array say which elements are meant, and
leave nothing open; nor does that of the `layers` of a space, which says what the space holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TypeAlias

from xgraph.grammar import tree
from xgraph.grammar.tree import Call, Name, Range, Space, Tree

Hole: TypeAlias = Call | Range | Space

CHOICE, MAYBE = "choice", "maybe"


def holes(part: Tree) -> Iterator[Hole]:
    """The holes in `part` as they are written, without those within another hole."""
    if is_hole(part):
        assert isinstance(part, Call | Range | Space)
        yield part
        return
    for inner in open_parts(part):
        yield from holes(inner)


def is_hole(part: Tree) -> bool:
    return isinstance(part, Range | Space) or is_call(part, CHOICE) or is_call(part, MAYBE)


def is_call(part: Tree, name: str) -> bool:
    """Whether `part` is a call of what is called `name`."""
    return isinstance(part, Call) and isinstance(part.function, Name) and part.function.name == name


def open_parts(part: Tree) -> Iterator[Tree]:
    """The parts of `part` in which holes are looked for; of a range that leaves nothing open,
    its ends."""
    for field in fields(part):
        value = getattr(part, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Range) and _says_which(part, field.name):
                yield from (item.low, item.high)
            elif isinstance(item, Tree):
                yield item


def _says_which(part: Tree, field: str) -> bool:
    match part:
        case tree.Setting(key=Name(name="layers")):
            return True
        case tree.Index():
            return field == "index"
        case tree.SuperLayer():
            return field == "count"
    return False
