"""Trees made from trees: the one way in which passes and search spaces change a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from xgraph.grammar.tree import Tree

T = TypeVar("T", bound=Tree)


def rewritten(tree: T, change: Callable[[Tree], Tree]) -> T:
    """`tree` with `change` applied to each part, the inner ones first; what `change` gives back
    as it was stays the same object."""
    return cast(T, change(_with_parts(tree, change)))


def _with_parts(tree: T, change: Callable[[Tree], Tree]) -> T:
    changed = {}
    for field in fields(tree):
        old = getattr(tree, field.name)
        new = _part(old, change)
        if new is not old:
            changed[field.name] = new
    return replace(tree, **changed) if changed else tree


def _part(part: Any, change: Callable[[Tree], Tree]) -> Any:
    if isinstance(part, Tree):
        return rewritten(part, change)
    if isinstance(part, tuple):
        new = tuple(_part(item, change) for item in part)
        return part if all(a is b for a, b in zip(new, part, strict=True)) else new
    return part


def parts(tree: Tree) -> Iterator[Tree]:
    """`tree` and everything in it, as it is written."""
    yield tree
    for field in fields(tree):
        value = getattr(tree, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Tree):
                yield from parts(item)
