"""Text that knows where it may break: what the formatter builds and this room sets in lines.

A `Group` stands on one line if it fits; if not, every `Break` directly in it becomes a line
break. A `Remark` runs to the end of its line, so all groups round it break.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, final

WIDTH = 88
INDENT = "  "


@final
@dataclass(frozen=True, slots=True)
class Break:
    """`flat` while its group is on one line, else a line break; a `hard` one always is."""

    flat: str = " "
    hard: bool = False


@final
@dataclass(frozen=True, slots=True)
class Choice:
    """`flat` while its group is on one line, else `broken`."""

    flat: str
    broken: str


@final
@dataclass(frozen=True, slots=True)
class Remark:
    """A comment behind what stands on the line; it takes no part in fitting."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Row:
    parts: tuple[Doc, ...]
    hard: bool


@final
@dataclass(frozen=True, slots=True)
class Indented:
    inner: Row


@final
@dataclass(frozen=True, slots=True)
class Group:
    inner: Row


Doc: TypeAlias = str | Break | Choice | Remark | Row | Indented | Group

LINE = Break()
SOFT = Break("")
HARD = Break(hard=True)
TRAILING_COMMA = Choice("", ",")


def row(*parts: Doc) -> Row:
    return Row(parts, any(_is_hard(part) for part in parts))


def indented(*parts: Doc) -> Indented:
    return Indented(row(*parts))


def group(*parts: Doc) -> Group:
    return Group(row(*parts))


def joined(separator: Doc, docs: Iterable[Doc]) -> Row:
    parts: list[Doc] = []
    for doc in docs:
        parts += [separator, doc] if parts else [doc]
    return row(*parts)


def _is_hard(doc: Doc) -> bool:
    """Whether `doc` cannot stand on one line."""
    match doc:
        case Remark():
            return True
        case Break(hard=hard) | Row(hard=hard):
            return hard
        case Indented(inner=inner) | Group(inner=inner):
            return inner.hard
        case _:
            return False


_Item: TypeAlias = tuple[int, bool, Doc]  # how far indented, whether on one line, what


def render(doc: Doc) -> str:
    """`doc` set in lines, without spaces at their ends."""
    out: list[str] = []
    column = 0
    stack: list[_Item] = [(0, False, doc)]
    while stack:
        depth, flat, part = stack.pop()
        match part:
            case Group(inner=inner):
                flat = flat or (not inner.hard and _fits(WIDTH - column, inner, stack))
                stack.append((depth, flat, inner))
            case Break(flat=text, hard=hard) if hard or not flat:
                out.append("\n" + INDENT * depth)
                column = len(INDENT) * depth
            case Remark(text=text):
                out.append("  " + text)
            case Row() | Indented():
                _unfold(stack, depth, flat, part)
            case _:
                text = _text(part, flat)
                out.append(text)
                column += len(text)
    return "\n".join(line.rstrip() for line in "".join(out).split("\n"))


def _unfold(stack: list[_Item], depth: int, flat: bool, part: Row | Indented) -> None:
    if isinstance(part, Indented):
        stack.append((depth + 1, flat, part.inner))
    else:
        stack += [(depth, flat, each) for each in reversed(part.parts)]


def _text(part: Doc, flat: bool) -> str:
    match part:
        case str():
            return part
        case Break(flat=text):
            return text
        case Choice(flat=text, broken=broken):
            return text if flat else broken
        case _:
            return ""


def _fits(room: int, inner: Row, rest: list[_Item]) -> bool:
    """Whether `inner` on one line, and what follows it there, take at most `room` columns."""
    stack: list[_Item] = [(0, True, inner)]
    left = len(rest)
    while room >= 0:
        if not stack:
            if left == 0:
                return True
            left -= 1
            stack.append(rest[left])
        _, flat, part = stack.pop()
        match part:
            case Break(hard=hard) if hard or not flat:
                return True
            case Group(inner=within):
                stack.append((0, flat, within))
            case Row() | Indented():
                _unfold(stack, 0, flat, part)
            case _:
                room -= len(_text(part, flat))
    return False
