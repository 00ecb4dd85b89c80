"""Which rows: subsets and validation sets with every class in its share, folds, groups."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xgraph.data.split import Array, Rows, Split
from xgraph.diagnostics import DiagnosticError, did_you_mean, fail


def chosen(split: Split, fraction: float, by: Array | None, seed: int = 0) -> Split:
    """A share of the rows, drawn by chance, of each class of `by` the same (Xsertion's tables),
    at least one; in the order of the split."""
    if not 0 < fraction <= 1:
        raise fail("bad-option", f"a fraction is above 0 and at most 1, not {fraction:g}")
    if fraction == 1:
        return split
    kept = [rows[: max(1, round(fraction * len(rows)))] for rows in _by_class(split, by, seed)]
    return split.part(np.sort(np.concatenate(kept)))


def held_out(split: Split, share: float, by: Array | None, seed: int = 0) -> tuple[Split, Split]:
    """The split in two, for training and validation, with `share` of each class in the second."""
    if not 0 < share < 1:
        raise fail("bad-option", f"a share held out is between 0 and 1, not {share:g}")
    groups = _by_class(split, by, seed)
    cuts = [max(1, round(share * len(rows))) for rows in groups]
    if any(cut >= len(rows) for cut, rows in zip(cuts, groups, strict=True)):
        raise fail(
            "too-few-rows", f"a class of `{split.name}` has too few rows to hold some out",
            origin=split.origin, help="give a split `val`",
        )  # fmt: skip
    val = np.sort(np.concatenate([r[:cut] for r, cut in zip(groups, cuts, strict=True)]))
    train = np.sort(np.concatenate([r[cut:] for r, cut in zip(groups, cuts, strict=True)]))
    return split.part(train, "train"), split.part(val, "val")


def _by_class(split: Split, by: Array | None, seed: int) -> list[Rows]:
    """The rows of each class in an order by chance."""
    rng = np.random.default_rng((seed, 0xC1A55))
    if by is None:
        return [rng.permutation(len(split))]
    return [rng.permutation(np.flatnonzero(by == label)) for label in np.unique(by)]


def folds(
    split: Split, count: int, by: Array | None, seed: int = 0
) -> Iterator[tuple[Split, Split]]:
    """`count` ways to train on all but a part and test on that, every row once; each class has
    its share of every part where `by` tells classes."""
    from sklearn.model_selection import KFold, StratifiedKFold

    least = len(split) if by is None else int(np.unique(by, return_counts=True)[1].min())
    if not 2 <= count <= least:
        what = "rows" if by is None else "rows of the rarest class"
        told = f"{count} folds cannot be made of {least} {what}"
        raise fail("bad-option", told, origin=split.origin, help=f"take 2 to {least}")
    kind = KFold if by is None else StratifiedKFold
    for train, test in kind(count, shuffle=True, random_state=seed).split(
        np.arange(len(split)), by
    ):
        yield split.part(train, "train"), split.part(test, "test")


def one_group_out(split: Split, column: str) -> Iterator[tuple[int, Split, Split]]:
    """For each value of a column (a person, a place): what has another, and what has it."""
    if column not in split.columns:
        raise unknown_column(split, column)
    groups = split.whole(column)
    if groups.ndim != 1 or groups.dtype.kind not in "iub":
        told = f"`{column}` does not hold one integer a row"
        raise fail("bad-option", told, origin=split.origin)
    values = np.unique(groups)
    if len(values) < 2:
        raise fail("bad-option", f"`{column}` has one group alone", origin=split.origin)
    for value in values:
        inside = groups == value
        yield (
            int(value),
            split.part(np.flatnonzero(~inside), "train"),
            split.part(np.flatnonzero(inside), "test"),
        )


def unknown_column(split: Split, column: str) -> DiagnosticError:
    listed = ", ".join(f"`{name}`" for name in split.columns)
    return fail(
        "missing-column", f"`{split.name}` has no column `{column}`", origin=split.origin,
        help=did_you_mean(column, split.columns) or f"it has {listed}",
    )  # fmt: skip
