"""What is wrong with data, found before the first step: each mistake names the split and row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b, sha256

import numpy as np

from xgraph.data.feed import Feed, Port, Target, chunks
from xgraph.data.split import Rows, Split
from xgraph.diagnostics import Diagnostic, DiagnosticError, fail
from xgraph.ir.types import Expr


def check_shapes(feed: Feed, splits: Sequence[Split]) -> None:
    """Try the first row of every split; `DiagnosticError` lists what does not fit."""
    mistakes = [d for split in splits for port in feed.ports for d in _port(port, split)]
    if mistakes:
        raise DiagnosticError(*mistakes)


def check_rows(
    feed: Feed, splits: Sequence[Split], *, leaks: bool = True, learns: bool = True
) -> None:
    """Read every row: numbers that are not finite, labels out of range, one class alone in the
    first split where that `learns`, and, if asked for, rows that two splits share.
    `DiagnosticError` lists them."""
    check_labels(feed, splits, learns=learns)
    mistakes = [d for split in splits for d in _numbers(feed, split)]
    if leaks and not mistakes:
        mistakes += _shared(feed, splits)
    if mistakes:
        raise DiagnosticError(*mistakes)


def check_labels(feed: Feed, splits: Sequence[Split], *, learns: bool = True) -> None:
    """Labels out of range, and one class alone in the first split; `DiagnosticError` lists them."""
    mistakes: list[Diagnostic] = []
    for target in feed.targets:
        mistakes += [d for split in splits for d in _labels(target, split)]
        if learns and target.classes and not mistakes:
            mistakes += _one_class(target, splits[0])
    if mistakes:
        raise DiagnosticError(*mistakes)


def _port(port: Port, split: Split) -> Iterator[Diagnostic]:
    where = f"{split.origin}: {port.column}"
    if port.column not in split.columns:
        told = f"`{split.name}` has no column `{port.column}`, and others have"
        yield Diagnostic("missing-column", told, origin=split.origin)
        return
    try:
        made = port.take(split, _first_rows(port, split))
    except (ValueError, KeyError) as error:
        told = f"`{port.name}` cannot be made of `{port.column}` of `{split.name}`: {error}"
        yield Diagnostic("shape-mismatch", told, origin=where)
        return
    wanted = port.type.features
    fits = made.ndim - 1 == len(wanted) and all(
        isinstance(dim, Expr) or size == int(dim)
        for size, dim in zip(made.shape[1:], wanted, strict=True)
    )
    if not fits:
        yield Diagnostic(
            "shape-mismatch",
            f"the modality `{port.name}` takes [{', '.join(map(str, wanted))}], and rows of"
            f" `{split.name}` are {list(made.shape[1:])}",
            origin=where,
            help=_advice(made.shape[1:], [str(dim) for dim in wanted], port.name),
        )


def _first_rows(port: Port, split: Split) -> Rows:
    """The first row; of rows that differ in length, the shortest."""
    lengths = split.lengths(port.column, np.arange(len(split)))
    return np.array([0 if lengths is None else int(lengths.argmin())])


def _advice(given: tuple[int, ...], wanted: list[str], name: str) -> str:
    listed = ", ".join(wanted)
    sizes = [int(size) for size in wanted if size.isdecimal()]
    if len(sizes) == len(wanted) and np.prod(given) == np.prod(sizes):
        return f"as many numbers: `inputs: {{{name}: [{{reshape: [{listed}]}}]}}` in the recipe"
    if len(given) == len(wanted):
        return f"change the modality in the network, or the data: `modality {name}: {list(given)}`"
    return "axes are channels first, the rows before them: [rows, channels, height, width]"


def _numbers(feed: Feed, split: Split) -> Iterator[Diagnostic]:
    columns = {port.column for port in feed.ports}
    columns |= {target.column for target in feed.targets if target.loss.kind != "cross-entropy"}
    for column in sorted(columns):
        if split.columns[column].dtype.kind != "f":
            continue
        for rows in chunks(split, column):
            with np.errstate(over="ignore"):
                taken = split.take(column, rows).astype(np.float32)
            bad = ~np.isfinite(taken.reshape(len(rows), -1)).all(1)
            if bad.any():
                row = int(rows[bad.argmax()])
                values = taken[bad.argmax()].ravel()
                value = values[~np.isfinite(values)][0]
                told = f"row {split.rows[row]} of `{column}` in `{split.name}` holds {value}"
                yield Diagnostic(
                    "not-finite", told,
                    origin=f"{split.origin}: {column}", help="mend or leave out such rows",
                )  # fmt: skip
                break


def _labels(target: Target, split: Split) -> Iterator[Diagnostic]:
    where = f"{split.origin}: {target.column}"
    if target.column not in split.columns:
        told = f"`{split.name}` has no column `{target.column}`, and others have"
        yield Diagnostic("missing-column", told, origin=split.origin)
        return
    low, high = (0, target.classes - 1) if target.classes else (0, 1)
    if target.loss.kind == "mse":
        return
    for rows in chunks(split, target.column):
        labels = split.take(target.column, rows).reshape(len(rows), -1)
        outside = ((labels < low) | (labels > high)).any(1)
        if outside.any():
            at = int(outside.argmax())
            value = next(v for v in labels[at] if not low <= v <= high)
            what = f"from {low} to {high}" if target.classes else "from 0 to 1"
            yield Diagnostic(
                "bad-label",
                f"row {split.rows[rows[at]]} of `{target.column}` in `{split.name}` is {value}, and"
                f" `{target.output}` takes {what}",
                origin=where,
                help=_label_advice(target, int(value)),
            )
            return


def _label_advice(target: Target, value: int) -> str:
    if target.classes and value == target.classes:
        return f"count classes from 0, or give `{target.output}` {value + 1} numbers"
    return f"`{target.output}` has one number for each class, counted from 0"


def _one_class(target: Target, split: Split) -> Iterator[Diagnostic]:
    labels = np.unique(split.whole(target.column))
    if len(labels) == 1:
        told = (
            f"all rows of `{split.name}` are of one class, {labels[0]}: there is nothing to learn"
        )
        yield Diagnostic("one-class", told, origin=f"{split.origin}: {target.column}")


def _shared(feed: Feed, splits: Sequence[Split]) -> Iterator[Diagnostic]:
    """The first row of each later split that an earlier one has, in all modalities alike."""
    seen: dict[bytes, tuple[str, int]] = {}
    for split in splits:
        found: list[tuple[int, str, int]] = []
        digests = list(_digests(feed, split))
        for row, digest in enumerate(digests):
            if digest in seen:
                found.append((row, *seen[digest]))
        if found:
            row, other, other_row = found[0]
            others = " or ".join(
                f"`{name}`" for name in dict.fromkeys(name for _, name, _ in found)
            )
            verb = "is" if len(found) == 1 else "are"
            yield Diagnostic(
                "split-leak",
                f"{len(found):,} of {len(split):,} rows of `{split.name}` {verb} in {others} too:"
                f" the first, row {split.rows[row]}, is row {other_row} of `{other}`",
                origin=split.origin,
                help="leave them out of one, or take them as they are: `--allow-leaks`",
            )
        for row, digest in enumerate(digests):
            seen.setdefault(digest, (split.name, int(split.rows[row])))


def without(split: Split, other: Split, feed: Feed) -> Split:
    """The rows of a split that another one has not, in all modalities alike; `DiagnosticError` if
    none is left."""
    known = set(_digests(feed, other))
    kept = [row for row, digest in enumerate(_digests(feed, split)) if digest not in known]
    if not kept:
        raise fail(
            "split-leak", f"every row of `{split.name}` is in `{other.name}` too",
            origin=split.origin, help="give splits of your own: `train` and `val`",
        )  # fmt: skip
    return split if len(kept) == len(split) else split.part(np.array(kept, np.int64))


def _digests(feed: Feed, split: Split) -> Iterator[bytes]:
    columns = sorted({port.column for port in feed.ports})
    hashes = [blake2b(digest_size=16) for _ in range(len(split))]
    for column in columns:
        for rows in chunks(split, column):
            taken = np.ascontiguousarray(split.take(column, rows))
            for row, value in zip(rows, taken, strict=True):
                hashes[row].update(f"{column} {value.shape} ".encode())
                hashes[row].update(value.tobytes())
    return (h.digest() for h in hashes)


def fingerprint(feed: Feed, split: Split) -> str:
    """A digest of all that a split feeds a network, rows and targets."""
    digest = sha256(f"{split.name} {len(split)} ".encode())
    for row in _digests(feed, split):
        digest.update(row)
    for target in feed.targets:
        for rows in chunks(split, target.column):
            digest.update(np.ascontiguousarray(split.take(target.column, rows)).tobytes())
    return digest.hexdigest()
