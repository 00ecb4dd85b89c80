"""What one version of a network hands to the next.

This one mechanism serves every search and pass: entries match by address and shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from xgraph.weights.initial import Array, Weights


@final
@dataclass(frozen=True)
class Inherited:
    """The new network's weights, and where each came from."""

    weights: Weights
    matched: tuple[str, ...]
    """Taken from the old ones."""
    misshapen: tuple[str, ...]
    """In both, but of another shape or kind of element: as they were in the new ones."""
    missing: tuple[str, ...]
    """In the new ones only."""
    unused: tuple[str, ...]
    """In the old ones only."""

    def summary(self) -> str:
        """One line for a person: `9 of 12 inherited, 1 of another shape, 2 new, 3 left behind`."""
        parts = [f"{len(self.matched)} of {len(self.weights)} inherited"]
        for names, what in (
            (self.misshapen, "of another shape"),
            (self.missing, "new"),
            (self.unused, "left behind"),
        ):
            if names:
                parts.append(f"{len(names)} {what}")
        return ", ".join(parts)


def inherit(old: Mapping[str, Array], new: Mapping[str, Array]) -> Inherited:
    """`new` with every entry of `old` that has its address and shape in place of its own."""
    both = [name for name in new if name in old]
    matched = tuple(name for name in both if _fits(old[name], new[name]))
    taken = set(matched)
    return Inherited(
        {**new, **{name: old[name].astype(new[name].dtype, copy=False) for name in matched}},
        matched,
        tuple(name for name in both if name not in taken),
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
    )


def _fits(old: Array, new: Array) -> bool:
    return old.shape == new.shape and old.dtype.kind == new.dtype.kind
