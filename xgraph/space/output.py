"""Spaces and their samples for people, and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xgraph.diagnostics import fail
from xgraph.files import FilePath, named, read_text, write_whole
from xgraph.space.sites import every_site
from xgraph.space.space import Membership, Sample, Space

_WIDTH = 100


def table(space: Space) -> str:
    """What varies in a space: where, how, and between what."""
    head = ("decision", "line", "kind", "options")
    rows = [
        (site.name, str(site.hole.span.line), site.title, site.options)
        for site in every_site(space.sites)
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(3)]
    lines = [_line(row, widths) for row in (head, *rows)]
    example = next(space.enumerate()).encoding
    end = [f"{space.name}: {space.size_text} networks", f"for example `{example}`"]
    return "\n".join([*lines, "", *end])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    text = "  ".join([*cells, row[-1]])
    return (text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}...").rstrip()


def answer(network: str, space: Space, found: Membership) -> str:
    """Whether a network is of a space, in a sentence."""
    if found.sample is None:
        return f"{network} is not in {space.name}: {found.reason}"
    return f"{network} is in {space.name}: `{found.sample.encoding}`"


def write_samples(samples: Sequence[Sample], out: FilePath) -> list[Path]:
    """Write samples to the folder `out`, which is made where it is missing. No other file is lost:
    a diagnostic names the first that would be, and nothing is written."""
    folder = named(out, "folder")
    _make(folder)
    digits = max(4, len(str(len(samples) - 1)))
    paths = [
        folder / f"{sample.space.name}_{number:0{digits}}.xg"
        for number, sample in enumerate(samples)
    ]
    for path, sample in zip(paths, samples, strict=True):
        _check_free(path, sample.text)
    for path, sample in zip(paths, samples, strict=True):
        write_whole(path, sample.text)
    return paths


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise fail(
            "cannot-write",
            f"this folder cannot be made: {(error.strerror or type(error).__name__).lower()}",
            origin=str(folder),
            help="choose another place",
        ) from None


def _check_free(path: Path, text: str) -> None:
    if path.exists() and read_text(path).text != text:
        raise fail(
            "would-overwrite",
            "a network would take the place of another in this file",
            origin=str(path),
            help="write elsewhere, or remove the file",
        )
