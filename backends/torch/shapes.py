"""How a value is brought to another shape: the shortest of PyTorch's ways that says it."""

from __future__ import annotations

from collections.abc import Sequence

from xgraph.backends.torch.code import Code, index, method
from xgraph.backends.torch.registry import Site
from xgraph.ir.types import Dim, Expr


def sizes(s: Site, dims: Sequence[Dim]) -> str:
    """`dims` as a tuple; where one only is open, it follows from the others."""
    is_open = [isinstance(dim, Expr) for dim in dims]
    alone = sum(is_open) == 1
    written = ["-1" if alone and o else s.size(d) for d, o in zip(dims, is_open, strict=True)]
    return f"({', '.join(written)}{',' if len(written) == 1 else ''})"


def reshaped(s: Site, old: Sequence[Dim], new: Sequence[Dim]) -> Code:
    """`s.x` of features `old` with features `new`."""
    first, last = _common(old, new)
    before, after = list(old[first : len(old) - last]), list(new[first : len(new) - last])
    axis = first + 1
    if not before and not after:
        return s.x
    if not before:
        return _with_ones(s.x, axis, len(after), last)
    if not after:
        return _without_ones(s.x, axis, len(before), len(new))
    if (entries := _apart(old, new)) is not None:
        return index(s.x, (":", *entries))
    if len(before) == 1:
        parts = f"({s.size(after[0])}, -1)" if len(after) == 2 else sizes(s, after)
        return method(s.x, "unflatten", str(axis), parts)
    if len(after) == 1:
        end = () if not last else (str(axis + len(before) - 1),)
        return method(s.x, "flatten", str(axis), *end)
    if not any(isinstance(dim, Expr) for dim in new):
        return method(s.x, "reshape", "-1", *map(s.size, new))
    end = () if not last else (str(axis + len(before) - 1),)
    return method(method(s.x, "flatten", str(axis), *end), "unflatten", str(axis), sizes(s, after))


def _common(old: Sequence[Dim], new: Sequence[Dim]) -> tuple[int, int]:
    """How many axes agree from the first on, and of the others from the last back."""
    most = min(len(old), len(new))
    first = 0
    while first < most and old[first] == new[first]:
        first += 1
    last = 0
    while last < most - first and old[-1 - last] == new[-1 - last]:
        last += 1
    return first, last


def _with_ones(x: Code, axis: int, count: int, after: int) -> Code:
    """New axes of size 1 at `axis`."""
    if count == 1 and after:
        return method(x, "unsqueeze", str(axis))
    return index(x, (*(":",) * axis, *("None",) * count))


def _apart(old: Sequence[Dim], new: Sequence[Dim]) -> list[str] | None:
    """The axes of `old` with new ones of size 1 between them, if those are all that `new` has."""
    entries, left = [], list(old)
    for dim in new:
        if left and dim == left[0]:
            entries.append(":")
            del left[0]
        elif dim == 1:
            entries.append("None")
        else:
            return None
    while entries[-1] == ":":
        del entries[-1]
    return None if left else entries


def _without_ones(x: Code, axis: int, count: int, left: int) -> Code:
    """The axes of size 1 from `axis` on dropped, which leaves so many."""
    if count == 1 and (picked := _picked(x, axis)) is not None:
        return picked
    if left == 1:
        return method(x, "flatten", "1")
    which = str(axis) if count == 1 else f"({', '.join(str(axis + i) for i in range(count))})"
    return method(x, "squeeze", which)


def _picked(x: Code, axis: int) -> Code | None:
    """`x[:, -1]` for `x[:, -1:]` without that axis."""
    if x.index is None:
        return None
    base, entries = x.index
    if len(entries) != axis + 1 or any(":" not in entry for entry in entries):
        return None
    start, _, stop = entries[axis].partition(":")
    if not (start and (stop or start == "-1")) or (stop and int(stop) != int(start) + 1):
        return None
    return index(base, (*entries[:axis], start))
