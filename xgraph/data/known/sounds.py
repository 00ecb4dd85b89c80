"""Reading sets of recordings: spoken digits and environmental sounds."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from xgraph.data.known.archives import Zip, read_npz, read_wave, reading
from xgraph.data.known.record import (
    Array,
    Content,
    Known,
    Ragged,
    Split,
    check_count,
    check_labels,
    damaged,
)

SPEECH_RATE = 8000
SOUND_RATE = 44100
PARTS_RATE = 8000
MU_LAW = "mu-law"
TEST_TAKES = 5
"""The official rule: takes 0 to 4 of each digit and speaker are the test set."""


# --------------------------------------------------------------------------- spoken digits

_RECORDING = re.compile(r"(\d)_([a-z]+)_(\d{1,3})\.wav")


def read_digits(known: Known, files: Mapping[str, Path]) -> Content:
    """`recordings/DIGIT_SPEAKER_TAKE.wav` in the archive of the repository."""
    (path,) = files.values()
    archive = Zip(path)
    try:
        found = [m for name in archive.names("recordings") if (m := _RECORDING.fullmatch(name))]
        data = {match[0]: archive.read(f"recordings/{match[0]}") for match in found}
    finally:
        archive.close()
    _check_manifest(known, path, data)
    found.sort(key=lambda match: (match[1], match[2], int(match[3])))
    speakers = sorted({match[2] for match in found})
    waves = [read_wave(path, match[0], data[match[0]], SPEECH_RATE) for match in found]
    facts = {
        "label": np.array([int(match[1]) for match in found], np.int64),
        "speaker": np.array([speakers.index(match[2]) for match in found], np.int64),
        "take": np.array([int(match[3]) for match in found], np.int64),
    }
    return _digits(known, path, waves, facts, speakers)


def _check_manifest(known: Known, path: Path, data: Mapping[str, bytes]) -> None:
    """The archive's bytes may change with the packer; those of its recordings may not.

    The digest is that of `md5sum *.wav`, sorted by name in bytes.
    """
    lines = (f"{hashlib.md5(data[name]).hexdigest()}  {name}\n" for name in sorted(data))
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    if known.manifest is not None and digest != known.manifest:
        raise damaged(path, f"its {len(data):,} recordings are not those that are known")


def read_digits_parts(known: Known, files: Mapping[str, Path]) -> Content:
    """`fsdd_8k.npz`: all recordings end to end."""
    (path,) = files.values()
    arrays = read_npz(path)
    with reading(path):
        waves = parted(path, arrays, np.int16)
        facts = {name: arrays[name].astype(np.int64) for name in ("label", "speaker", "take")}
        speakers = [str(name) for name in arrays["speaker_name"]]
    return _digits(known, path, waves, facts, speakers)


def parted(path: Path, arrays: Mapping[str, Array], dtype: DTypeLike) -> list[Array]:
    """The rows of `wave`, between its offsets."""
    wave, ends = arrays["wave"], arrays["offset"].astype(np.int64)
    if (wave.ndim, ends.ndim) != (1, 1) or wave.dtype != dtype:
        raise damaged(path, f"its recordings are not one row of {np.dtype(dtype)}")
    if not len(ends) or ends[0] or ends[-1] != len(wave) or any(np.diff(ends) < 1):
        raise damaged(path, "its offsets do not part its recordings")
    return np.split(wave, ends[1:-1])


def _digits(
    known: Known, path: Path, waves: list[Array], facts: dict[str, Array], speakers: list[str]
) -> Content:
    if any(column.shape != (len(waves),) for column in facts.values()):
        raise damaged(path, "its columns differ in length")
    facts["label"] = check_labels(path, facts["label"], len(known.classes))
    splits = []
    for name, chosen in (
        ("train", facts["take"] >= TEST_TAKES),
        ("test", facts["take"] < TEST_TAKES),
    ):
        rows = np.flatnonzero(chosen)
        check_count(known, path, name, len(rows))
        columns = {key: column[rows] for key, column in facts.items()}
        splits.append(Split(name, {"wave": Ragged([waves[row] for row in rows]), **columns}))
    about = {"classes": list(known.classes), "rate": SPEECH_RATE, "speakers": speakers}
    return Content(tuple(splits), about)


# -------------------------------------------------------------------- environmental sounds

_LISTING = 2**20


def read_esc50(known: Known, files: Mapping[str, Path]) -> Content:
    """`audio/*.wav` and `meta/esc50.csv` in the archive of the repository."""
    (path,) = files.values()
    archive = Zip(path)
    listing = archive.read("meta/esc50.csv", _LISTING)
    if known.manifest not in (None, hashlib.sha256(listing).hexdigest()):
        raise damaged(path, "its list of clips, `meta/esc50.csv`, is not the one that is known")
    with reading(path):
        rows = list(csv.DictReader(io.StringIO(listing.decode("utf-8"))))
        names = [row["filename"] for row in rows]
        numbers = {
            column: np.array([int(row[key]) for row in rows], np.int64)
            for column, key in (("label", "target"), ("fold", "fold"), ("source", "src_file"))
        }
        classes = dict(sorted((int(row["target"]), row["category"]) for row in rows))
    check_count(known, path, "all", len(rows))
    each = set(Counter(numbers["label"].tolist()).values())
    if list(classes) != list(range(known.class_count)) or len(each) != 1:
        raise damaged(path, f"it has not {known.class_count} classes of equally many clips")
    wave = Ragged(_clips(archive, names))
    facts = {
        "classes": list(classes.values()),
        "rate": SOUND_RATE,
        "clips": [n[:-4] for n in names],
    }
    return Content((Split("all", {"wave": wave, **numbers}),), facts)


def _clips(archive: Zip, names: list[str]) -> Iterator[Array]:
    """One by one: together they are some 900 MB."""
    try:
        for name in names:
            yield read_wave(archive.path, name, archive.read(f"audio/{name}"), SOUND_RATE)
    finally:
        archive.close()


def read_esc50_parts(known: Known, files: Mapping[str, Path]) -> Content:
    """`noise_esc10_8k.npz` and `noise_esc50_8k.npz`: clips in mu-law at 8 kHz, some left out."""
    waves: list[Array] = []
    columns: dict[str, list[Array]] = {"label": [], "fold": [], "source": []}
    classes: list[str] = []
    clips: list[str] = []
    for path in files.values():
        arrays = read_npz(path)
        with reading(path):
            waves += parted(path, arrays, np.uint8)
            for name, key in (("label", "category"), ("fold", "fold"), ("source", "source")):
                columns[name].append(arrays[key].astype(np.int64))
            classes = [str(name) for name in arrays["category_name"]]
            clips += [str(name) for name in arrays["clip"]]
        check_labels(path, columns["label"][-1], len(classes))
        if any(sum(map(len, parts)) != len(waves) for parts in columns.values()):
            raise damaged(path, "its columns differ in length")
    numbers = {name: np.concatenate(parts) for name, parts in columns.items()}
    note = f"{len(waves):,} of {known.counts['all']:,} clips, from 8 bit mu-law at 8 kHz"
    facts = {"classes": classes, "rate": PARTS_RATE, "code": MU_LAW, "note": note, "clips": clips}
    wave = Ragged(in_16_bits()[row] for row in waves)
    return Content((Split("all", {"wave": wave, **numbers}),), facts)


def mu_law() -> Array:
    """What each byte of 8 bit mu-law stands for, from -1 to 1."""
    y = np.arange(256) / 127.5 - 1.0
    return (np.sign(y) * (256.0 ** np.abs(y) - 1.0) / 255.0).astype(np.float32)


def in_16_bits() -> Array:
    """The same, rounded: no two bytes become one, so nothing is lost."""
    levels: Array = np.rint(mu_law() * 32767).astype(np.int16)
    return levels
