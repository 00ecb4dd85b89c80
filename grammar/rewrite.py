"""Trees made from trees: the one way in which passes and search spaces change a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from xgraph.grammar.tree import Tree

T = TypeVar("T", bound=Tree)


_NAMING = frozenset({"name", "function", "key", "variable", "router", "axis", "by", "dtype"})
"""Fields whose names stand for no value: they declare something, or call it."""


def rewritten(tree: T, change: Callable[[Tree], Tree], *, values_only: bool = False) -> T:
    """`tree` with `change` applied to each part, the inner ones first, and kept as the same
    object where nothing changed. With `values_only`, names that stand for no value are left out."""
    changed = {}
    for field in fields(tree):
        old = getattr(tree, field.name)
        if not (values_only and field.name in _NAMING):
            new = _part(old, change, values_only)
            if new is not old:
                changed[field.name] = new
    return cast(T, change(replace(tree, **changed) if changed else tree))


def _part(part: Any, change: Callable[[Tree], Tree], values_only: bool) -> Any:
    if isinstance(part, Tree):
        return rewritten(part, change, values_only=values_only)
    if isinstance(part, tuple):
        new = tuple(_part(item, change, values_only) for item in part)
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
