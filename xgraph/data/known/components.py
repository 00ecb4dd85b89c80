"""What AV-MNIST is composed of: digits, spoken digits and noise, from folders or from parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from xgraph.data.known.archives import hashes_of, read_npz, reading
from xgraph.data.known.download import require
from xgraph.data.known.record import (
    Array,
    Content,
    Known,
    Ragged,
    check_labels,
    damaged,
)
from xgraph.data.known.sets import ESC50, MNIST, SPOKEN_DIGITS
from xgraph.data.known.signals import prepared
from xgraph.data.known.sounds import MU_LAW, in_16_bits, mu_law, parted
from xgraph.diagnostics import DiagnosticError, fail


@final
@dataclass(frozen=True)
class Components:
    """All that is composed; recordings are in the order of digit, speaker and take."""

    images: Mapping[str, Array]
    labels: Mapping[str, Array]
    speech: list[Array]
    digit: Array
    take: Array
    noise: list[Array]
    heard: Callable[[Array], Array]
    """The samples of a row of `noise` as numbers."""
    noise_source: Array
    about: Mapping[str, Any]


def read_components(folder: Path) -> Components:
    """From what `get` wrote to `folder`/NAME, or from the parts in `folder` where that is not."""
    mnist = _splits(folder, MNIST, ("image", "label"))
    spoken = _splits(folder, SPOKEN_DIGITS, ("wave", "label", "speaker", "take"))
    facts = {name: _joined(spoken, name) for name in ("label", "speaker", "take")}
    order = np.lexsort([facts[name] for name in ("take", "speaker", "label")])
    waves = [row for split in spoken.values() for row in split["wave"]]
    noise, heard, source = _noise(folder)
    return Components(
        images={name: split["image"] for name, split in mnist.items()},
        labels={name: split["label"] for name, split in mnist.items()},
        speech=[waves[row] for row in order],
        digit=facts["label"][order],
        take=facts["take"][order],
        noise=noise,
        heard=heard,
        noise_source=source,
        about={known.name: _origin(folder, known) for known in (MNIST, SPOKEN_DIGITS, ESC50)},
    )


def _joined(splits: Mapping[str, Mapping[str, Any]], name: str) -> Array:
    return np.concatenate([split[name] for split in splits.values()])


def _is_written(folder: Path, known: Known) -> bool:
    return (folder / known.name / "about.json").is_file()


def _splits(folder: Path, known: Known, columns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The columns of each split of a set; a ragged one as a list of rows."""
    if _is_written(folder, known):
        root = folder / known.name
        return {split: _written(root / split, columns) for split in known.counts}
    return {
        split.name: {
            name: list(column.rows) if isinstance(column, Ragged) else column
            for name, column in split.columns.items()
        }
        for split in _parts(folder, known).splits
    }


def _written(folder: Path, columns: tuple[str, ...]) -> dict[str, Any]:
    """The columns in the folder of a split: what `get` wrote may have been changed since."""
    found = {name: _column(folder, name) for name in columns}
    check_labels(folder / "label.npy", found["label"], 10)
    if any(len(column) != len(found["label"]) for column in found.values()):
        raise damaged(folder, "its columns differ in length")
    if "image" in found and found["image"].shape[1:] != (1, 28, 28):
        raise damaged(folder / "image.npy", "its images are not of 28 x 28 pixels")
    return found


def _column(folder: Path, name: str) -> Any:
    path = folder / f"{name}.npy"
    ragged = path.with_suffix(".offsets.npy")
    with reading(path):
        whole = np.atleast_1d(np.load(path, mmap_mode="r", allow_pickle=False))
        if not ragged.exists():
            return whole
        ends = np.load(ragged, allow_pickle=False)
        return parted(path, {"wave": whole, "offset": np.atleast_1d(ends)}, np.int16)


def _part_paths(folder: Path, known: Known) -> dict[str, Path]:
    names = known.parts.names if known.parts else ()
    return {name: folder / name for name in names if (folder / name).is_file()}


def _parts(folder: Path, known: Known) -> Content:
    paths = _part_paths(folder, known)
    if known.parts is None or not paths:
        raise _missing(folder, known)
    return known.parts.read(known, paths)


def _missing(folder: Path, known: Known) -> DiagnosticError:
    names = " or ".join(known.parts.names if known.parts else ())
    return fail(
        "missing-file",
        f"{known.title.partition(':')[0]} is not in this folder",
        origin=str(folder),
        help=f"looked for are the folder {known.name} and {names}; "
        f"`xgraph data get {known.name} -o {folder / known.name}` gets it",
    )


def _noise(folder: Path) -> tuple[list[Array], Callable[[Array], Array], Array]:
    """Clips, how they are heard, and the recordings that they were cut from."""
    if not _is_written(folder, ESC50):
        return _noise_parts(folder)
    root = folder / ESC50.name
    with reading(root / "about.json"):
        about = json.loads((root / "about.json").read_text("utf-8"))
        rate, code = int(about["rate"]), about.get("code")
        if rate < 1:
            raise ValueError(f"its rate is {rate}")
    clips, source = _column(root / "all", "wave"), _column(root / "all", "source")
    if len(clips) != len(source):
        raise damaged(root, "its columns differ in length")
    if code == MU_LAW:  # parts: prepared, and with no more than 256 levels
        exact = np.zeros(2**16, np.float32)
        exact[in_16_bits().view(np.uint16)] = mu_law()
        return clips, lambda clip: exact[clip.view(np.uint16)], source
    require("scipy")
    return [prepared(clip, rate) for clip in clips], lambda clip: clip, source


def _noise_parts(folder: Path) -> tuple[list[Array], Callable[[Array], Array], Array]:
    """Read by themselves: mu-law takes half of the memory."""
    paths = _part_paths(folder, ESC50)
    if not paths:
        raise _missing(folder, ESC50)
    clips: list[Array] = []
    source = []
    for path in paths.values():
        arrays = read_npz(path)
        with reading(path):
            clips += parted(path, arrays, np.uint8)
            source.append(arrays["source"].astype(np.int64))
            if len(clips) != sum(map(len, source)):
                raise damaged(path, "its columns differ in length")
    table = mu_law()
    return clips, lambda clip: table[clip], np.concatenate(source)


def _origin(folder: Path, known: Known) -> dict[str, Any]:
    """The same of a folder that `get` wrote and of the files that it wrote it from."""
    about = folder / known.name / "about.json"
    if _is_written(folder, known):
        with reading(about):
            files = json.loads(about.read_text("utf-8"))["from"]
    else:
        files = hashes_of(_part_paths(folder, known))
    return {"from": files, "source": known.home, "licence": known.licence}
