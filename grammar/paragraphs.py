"""The lines of a body or a file, and where a blank one stands between them.

An author's blank lines are kept, one at a time. What nobody wrote is parted by kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from xgraph.grammar import tree
from xgraph.grammar.layout import HARD, Doc, render
from xgraph.grammar.tree import Comment, Tree

_SHORT_BODY = 2  # statements a built body may have to stand on one line
_SHORT_STATEMENT = 32  # columns


@final
@dataclass(frozen=True)
class Item:
    """A line or more of a sequence: a statement, or a comment on a line of its own.

    `first` and `last` are the lines it was read from, None if it was not read. A `remarked` one
    has a comment at its end already.
    """

    doc: Doc
    kind: type[Tree]
    first: int | None = None
    last: int | None = None
    remarked: bool = False


_WITH_DECLARATIONS = (tree.Each, tree.IfDecl, tree.RepeatDecl)
_WITH_BODY = (tree.Block, tree.SuperLayer, tree.Fusion, *_WITH_DECLARATIONS)
_STATEMENTS = (tree.Stage, tree.If, tree.Let)


def _parted(a: Item, b: Item) -> bool:
    """Whether the author left a blank line between `a` and `b`."""
    return a.last is not None and b.first is not None and b.first - a.last > 1


def is_short(items: Sequence[Item]) -> bool:
    """Whether a body nobody laid out stands on one line."""
    return len(items) <= _SHORT_BODY and all(
        issubclass(item.kind, tree.Stage) and len(render(item.doc)) <= _SHORT_STATEMENT
        for item in items
    )


def breaks_before(items: Sequence[Item], i: int) -> list[Doc]:
    """What comes before the line `i` within braces."""
    if i == 0:
        return [HARD]
    a, b = items[i - 1], items[i]
    groups = not issubclass(b.kind, _STATEMENTS) and _changes_kind(a, b)
    return [HARD, HARD] if groups or _parted(a, b) else [HARD]


def _changes_kind(a: Item, b: Item) -> bool:
    """Whether two declarations, not both read from a text, belong to different groups."""
    if a.last is not None and b.first is not None and b.first >= a.last:
        return False
    return a.kind is not b.kind


def joined_at_top(items: Sequence[Item]) -> str:
    """The text of a file: a body of several lines has blank lines round it."""
    texts = [render(item.doc) for item in items]
    tall = [
        issubclass(item.kind, _WITH_BODY) and "\n" in text
        for item, text in zip(items, texts, strict=True)
    ]
    gaps = [_gap_before(items, i, tall) for i in range(len(items))]
    return "".join(gap + text for gap, text in zip(gaps, texts, strict=True))


def _gap_before(items: Sequence[Item], i: int, tall: Sequence[bool]) -> str:
    if i == 0:
        return ""
    a, b = items[i - 1], items[i]
    if _parted(a, b) or tall[i - 1] or _changes_kind(a, b):
        return "\n\n"
    if a.kind is Comment:
        return "\n"
    return "\n\n" if tall[_headed_by(items, i)] else "\n"


def _headed_by(items: Sequence[Item], i: int) -> int:
    """The declaration that the comment at `i` stands right above; any other is its own."""
    while items[i].kind is Comment and i + 1 < len(items):
        if _parted(items[i], items[i + 1]):
            break
        i += 1
    return i
