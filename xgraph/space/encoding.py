"""Picks as text and back: `head: (5, 3, 1) (4, 2, 1); choice1: 2`.

A file's decisions have names. What a decision takes is a number, or rows of numbers for a space;
decisions within an option follow it, where that option is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from operator import index
from typing import SupportsIndex, TypeAlias, final

from xgraph.diagnostics import InternalError
from xgraph.given import kind_of
from xgraph.space.algebra import Leaf, Numbers, Options, Pick, Product, Region, Repeated

Encoding: TypeAlias = "dict[str, Numbers]"

MAX_TEXT = 100_000
"""The most characters that are read as an encoding."""

_ROW = re.compile(r"\(\s*-?\d{1,18}(?:\s*,\s*-?\d{1,18})*\s*,?\s*\)")
_ROWS = re.compile(rf"\s*{_ROW.pattern}(?:\s*{_ROW.pattern})*\s*")
_NUMBER = re.compile(r"\s*-?\d{1,18}\s*")


@final
class Strange(Exception):
    """An encoding that no pick has; the text says why."""


def encoded(space: Product, pick: Pick) -> Encoding:
    """What each decision of `space` took, by its name."""
    return dict(_taken(space, pick))


def _taken(group: Product, pick: Pick) -> Iterator[tuple[str, Numbers]]:
    for name, part, inner in zip(group.names, group.parts, pick, strict=True):
        if not isinstance(part, Options):
            yield name, numbers(part, inner)
            continue
        index, below = inner
        yield name, part.first + index
        option = part.options[index]
        assert isinstance(option, Product)
        yield from _taken(option, below)


def numbers(region: Region, pick: Pick) -> Numbers:
    """A pick of leaves and rows of them."""
    match region:
        case Leaf(first=first):
            return first + int(pick)
        case Product(parts=parts):
            return tuple(numbers(part, inner) for part, inner in zip(parts, pick, strict=True))
        case Repeated(part=part):
            return tuple(numbers(part, inner) for inner in pick)
    raise InternalError("space", f"{region} has no numbers")


def decoded(space: Product, encoding: Encoding) -> Pick:
    """The pick that `encoding` describes; `Strange` if there is none."""
    left = dict(encoding)
    pick = _picked(space, left)
    if left:
        raise Strange(f"nothing that is decided here is called `{next(iter(left))}`")
    return pick


def _picked(group: Product, left: Encoding) -> Pick:
    found = []
    for name, part in zip(group.names, group.parts, strict=True):
        if name not in left:
            raise Strange(f"`{name}` is not decided")
        taken = left.pop(name)
        if isinstance(part, Options):
            index = _index(taken, part.first, len(part.options), name)
            option = part.options[index]
            assert isinstance(option, Product)
            found.append((index, _picked(option, left)))
        else:
            found.append(_pick(part, taken, name))
    return tuple(found)


def _index(taken: Numbers, first: int, count: int, name: str) -> int:
    last = first + count - 1
    if isinstance(taken, tuple) or not first <= taken <= last:
        raise Strange(f"`{name}` takes a number from {first} to {last}, not {spelt(taken)}")
    return taken - first


def _pick(region: Region, taken: Numbers, name: str) -> Pick:
    if isinstance(region, Leaf):
        return _index(taken, region.first, region.count, name)
    if not isinstance(taken, tuple):
        raise Strange(f"`{name}` takes rows of numbers, not {spelt(taken)}")
    parts = _parts(region, len(taken))
    if parts is None or len(parts) != len(taken):
        raise Strange(f"`{name}` does not take {len(taken)} of what {spelt(taken)} has")
    return tuple(_pick(part, inner, name) for part, inner in zip(parts, taken, strict=True))


def _parts(region: Region, count: int) -> tuple[Region, ...] | None:
    match region:
        case Product(parts=parts):
            return parts
        case Repeated(part=part, least=least, most=most) if least <= count <= most:
            return (part,) * count
    return None


def write(encoding: Encoding) -> str:
    """The text of an encoding."""
    return "; ".join(f"{name}: {spelt(taken)}" for name, taken in encoding.items())


def spelt(taken: Numbers) -> str:
    if not isinstance(taken, tuple):
        return str(taken)
    if all(isinstance(part, tuple) for part in taken):
        return " ".join(map(spelt, taken))
    return f"({', '.join(map(spelt, taken))})"


def given(encoding: object) -> Encoding:
    """An encoding that a program hands in, as text, or as a dict of numbers and rows (tuples,
    lists or arrays of them); `Strange` if it is none."""
    if isinstance(encoding, str):
        return read(encoding)
    if not isinstance(encoding, Mapping):
        raise Strange(f"it is {kind_of(encoding)}, and text or a dict is wanted")
    return {str(name): _plain(taken, str(name)) for name, taken in encoding.items()}


def _plain(taken: object, name: str) -> Numbers:
    if isinstance(taken, SupportsIndex) and not isinstance(taken, bool):
        with suppress(TypeError):  # an array of several numbers has `__index__` too
            return index(taken)
    if isinstance(taken, Iterable) and not isinstance(taken, (str, bytes)):
        return tuple(_plain(part, name) for part in taken)
    raise Strange(f"`{name}` takes numbers, or rows of them, not {kind_of(taken)}")


def read(text: str) -> Encoding:
    """What `text` says; `Strange` if it is no encoding."""
    if len(text) > MAX_TEXT:
        raise Strange("it is too long")
    found: Encoding = {}
    for part in text.split(";") if text.strip() else []:
        name, colon, taken = part.partition(":")
        if not colon or name.strip() in found:
            raise Strange(f"`{part.strip()}` is not `name: what it takes`, each name once")
        found[name.strip()] = _read_numbers(taken)
    return found


def _read_numbers(text: str) -> Numbers:
    text = " ".join(text.split())
    if _NUMBER.fullmatch(text):
        return int(text)
    if not _ROWS.fullmatch(text):
        raise Strange(f"`{text.strip()}` is neither a number nor rows of numbers")
    return tuple(tuple(map(int, re.findall(r"-?\d+", row))) for row in _ROW.findall(text))
