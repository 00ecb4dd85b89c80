"""Files that lie or broke off: each is told, and no half of a set is left."""

from __future__ import annotations

import gzip
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_files import NAMES, listing
from made_sets import idx, made, tar, wav, zipped
from refusals import refused

from xgraph.data.known import archives, get


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["half", "most", "noise", "empty"])
def test_a_damaged_file_is_told(name: str, damage: str, tmp_path: Path) -> None:
    one = made(name)
    whole = one.files[one.known.files[0].name]
    content = {
        "half": whole[: len(whole) // 2],
        "most": whole[:-1],
        "noise": np.random.RandomState(1).bytes(1000),
        "empty": b"",
    }[damage]
    folder = one.broken(content).put(tmp_path / "files")
    told = refused(get, name, tmp_path / "out", folder, known={name: one.broken(content).known})
    assert told.id == "damaged-file"
    assert told.origin == str(folder / one.known.files[0].name)
    assert listing(tmp_path) == [f"files/{n}" for n in sorted(one.files)]
    told = refused(get, name, tmp_path / "out", folder, known={name: one.known})
    assert told.id == "hash-mismatch"


def idx_cases() -> dict[str, bytes]:
    images = np.zeros((30, 28, 28), np.uint8)
    whole = gzip.decompress(idx(images))
    huge = whole[:4] + b"\xff\xff\xff\xff" + whole[8:]
    return {
        "says that it holds": gzip.compress(huge),
        "is no IDX file": gzip.compress(b"\0\0\x0d\3" + whole[4:]),
        "does not hold the": gzip.compress(whole + b"more"),
        "28 x 28": idx(np.zeros((30, 27, 28), np.uint8)),
        "29 rows": idx(images[:29]),
    }


@pytest.mark.parametrize("told", idx_cases())
def test_an_idx_file_that_lies(told: str, tmp_path: Path) -> None:
    one = made("mnist").broken(idx_cases()[told])
    if told == "29 rows":
        one.files[one.known.files[1].name] = idx(np.zeros(29, np.uint8))
    folder = one.put(tmp_path / "files")
    found = refused(get, "mnist", tmp_path / "out", folder, known={"mnist": one.known})
    assert told in found.message


def test_labels_of_no_class(tmp_path: Path) -> None:
    one = made("mnist").hashless()
    one.files[one.known.files[1].name] = idx(np.full(30, 10, np.uint8))
    folder = one.put(tmp_path / "files")
    found = refused(get, "mnist", tmp_path / "out", folder, known={"mnist": one.known})
    assert "its labels are not numbers from 0 to 9" in found.message


def zip_cases() -> dict[str, tuple[str, bytes]]:
    sound = np.zeros(100, np.int16)
    at = "top/recordings/0_ann_0.wav"
    lines = b"filename,fold,target,category,esc10,src_file,take\nx.wav,1,0,dog,True,1,A"
    return {
        "too large": ("free-spoken-digits", zipped({at: bytes(17 * 2**20)})),
        "16 bits at 8000 Hz": ("free-spoken-digits", zipped({at: wav(sound, 16000)})),
        "one channel": ("free-spoken-digits", zipped({at: wav(sound, channels=2)})),
        "breaks off": ("free-spoken-digits", zipped({at: wav(sound)[:100]})),
        "1 rows of `test`": ("free-spoken-digits", zipped({at: wav(sound)})),
        "no member `meta/esc50.csv`": ("esc50", zipped({at: b""})),
        "1 rows of `all`": ("esc50", zipped({"top/meta/esc50.csv": lines})),
        "filename": ("esc50", zipped({"top/meta/esc50.csv": b"a,b\n1,2"})),
        "no member `data_batch_1.bin`": ("cifar10", tar({"a/b": b"c"})),
        "is too large": ("cifar10", tar({"a/test_batch.bin": bytes(10 * 3073 + 1)})),
    }


@pytest.mark.parametrize("told", zip_cases())
def test_an_archive_that_holds_something_else(told: str, tmp_path: Path) -> None:
    name, content = zip_cases()[told]
    one = made(name).broken(content)
    if told == "1 rows of `test`":
        one.known = replace(one.known, counts={"train": 0, "test": 40})
    folder = one.put(tmp_path / "files")
    found = refused(get, name, tmp_path / "out", folder, known={name: one.known})
    assert (found.id, told in found.message) == ("damaged-file", True)
    assert listing(tmp_path) == [f"files/{next(iter(one.files))}"]


def test_members_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    for name in ("cifar10", "esc50"):
        one = made(name)
        folder = one.put(tmp_path / name)
        found = refused(get, name, tmp_path / "out", folder, known={name: one.known})
        assert "too large" in found.message


def test_a_member_that_names_a_path_writes_nothing(tmp_path: Path) -> None:
    """Members are found by their last name, and never extracted."""
    one = made("cifar10")
    evil = one.broken(tar({"../../evil": b"x", "/tmp/evil-known": b"x"}))
    folder = evil.put(tmp_path / "files")
    assert refused(get, "cifar10", tmp_path / "out", folder, known={"cifar10": evil.known})
    assert listing(tmp_path) == [f"files/{next(iter(one.files))}"]


def test_recordings_are_those_of_the_manifest(tmp_path: Path) -> None:
    one = made("free-spoken-digits")
    other = replace(one.known, manifest="0" * 64)
    told = refused(
        get, other.name, tmp_path / "o", one.put(tmp_path / "f"), known={other.name: other}
    )
    assert "its 60 recordings are not those that are known" in told.message
    clips = made("esc50")
    other = replace(clips.known, manifest="0" * 64)
    told = refused(get, "esc50", tmp_path / "o", clips.put(tmp_path / "g"), known={"esc50": other})
    assert "meta/esc50.csv" in told.message


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "evil",))

    folder = tmp_path / "files"
    folder.mkdir()
    np.savez(folder / "mnist.npz", train_images=np.array([Evil()], object))
    assert refused(get, "mnist", tmp_path / "out", folder).id == "damaged-file"
    (folder / "mnist.npz").write_bytes(pickle.dumps(Evil()))
    assert refused(get, "mnist", tmp_path / "out", folder).id == "damaged-file"
    assert listing(tmp_path) == ["files/mnist.npz"]
