"""Known data sets: what is written, and what is refused before anything is."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_files import NAMES, check, contents, listing
from made_sets import made, serving
from refusals import refused

from xgraph.data.known import KNOWN, get, make_avmnist
from xgraph.data.known.folder import Appended


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_written_from_its_address_and_from_a_folder(name: str, tmp_path: Path) -> None:
    one = made(name)
    out, cache = tmp_path / "a" / "b", tmp_path / "cache"
    with serving(one.files) as served:
        assert get(name, out, known=one.at(served.address), cache=cache) == out
        get(name, tmp_path / "again", known=one.at(served.address), cache=cache)
        assert len(served.asked) == len(one.files)  # the second time, they are there
    check(out, one)
    table = {name: one.known}
    get(name, tmp_path / "c", one.put(tmp_path / "files"), known=table)
    assert contents(out) == contents(tmp_path / "c") == contents(tmp_path / "again")
    assert listing(cache / name) == sorted(one.files)
    assert listing(tmp_path / "a") == [f"b/{file}" for file in listing(out)]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    one = made("mnist")
    (tmp_path / "out").mkdir()
    get("mnist", tmp_path / "out", one.put(tmp_path / "files"), known={"mnist": one.known})
    check(tmp_path / "out", one)


def test_splits_of_spoken_digits_are_the_official_ones(tmp_path: Path) -> None:
    one = made("free-spoken-digits")
    get(
        one.known.name, tmp_path / "out", one.put(tmp_path / "f"), known={one.known.name: one.known}
    )
    assert set(np.load(tmp_path / "out" / "test" / "take.npy")) == {3, 4}
    assert set(np.load(tmp_path / "out" / "train" / "take.npy")) == {5, 12}
    about = json.loads((tmp_path / "out" / "about.json").read_text("utf-8"))
    assert (about["rate"], about["speakers"]) == (8000, ["ann", "bob"])


def test_records_are_whole() -> None:
    """Every file has a hash, or its set a digest of what it holds; only tests are unencrypted."""
    for name, known in KNOWN.items():
        assert name == known.name
        assert all(file.hash or known.manifest for file in known.files)
        assert all(file.size and file.url.startswith("http") for file in known.files)
        assert known.licence


def test_the_page_tells_what_is_known() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data-sets.md").read_text("utf-8")
    for name, known in KNOWN.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` | "))
        assert f"| {known.size / 1e6:.0f} MB |" in row
        assert all(f"`{split}` {count:,}" in row for split, count in known.counts.items())
        assert known.licence in row


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    """It is refused before anything is asked for."""
    one = made("mnist")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    with serving(one.files) as served:
        known = one.at(served.address)
        assert refused(get, "mnist", out, known=known, cache=tmp_path / "c").id == "would-overwrite"
        told = refused(get, "mnist", out / "mine", known=known, cache=tmp_path / "c")
        assert told.id == "would-overwrite"
        assert not served.asked
    assert refused(make_avmnist, tmp_path, out).id == "would-overwrite"
    assert contents(tmp_path) == {"out/mine": b"mine"}


def test_an_unknown_name(tmp_path: Path) -> None:
    told = refused(get, "cifar-10", tmp_path / "out")
    assert (told.id, told.help) == ("unknown-dataset", "did you mean `cifar10`?")
    assert "free-spoken-digits" in str(refused(get, "imagenet", tmp_path / "out").help)


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_not_there(name: str, tmp_path: Path) -> None:
    told = refused(get, name, tmp_path / "out", tmp_path)
    assert told.id == "missing-file"
    wanted = [file.name for file in KNOWN[name].files]
    wanted += KNOWN[name].parts.names if KNOWN[name].parts else ()  # type: ignore[union-attr]
    assert all(file in str(told.help) for file in wanted)
    told = refused(get, name, tmp_path / "out", tmp_path / "no")
    assert told.message == "the folder is not there"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made("esc50")
    folder = one.put(tmp_path / "files")
    append, calls = Appended.append, iter(range(20))

    def full(self: Appended, rows: Any) -> None:
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, rows)

    monkeypatch.setattr(Appended, "append", full)
    told = refused(get, "esc50", tmp_path / "a" / "b", folder, known={"esc50": one.known})
    assert (told.id, told.origin) == ("cannot-write", str(tmp_path / "a" / "b"))
    assert "the disk is full" in str(told.help)
    assert listing(tmp_path) == [f"files/{next(iter(one.files))}"]


def test_rows_written_one_by_one_make_an_array(tmp_path: Path) -> None:
    with Appended(tmp_path / "a.npy", "<i4", (2,)) as file:
        for row in range(1000):
            file.append(np.array([[row, -row]]))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert (array.shape, array.dtype, array.offset) == ((1000, 2), np.int32, 128)
    assert np.array_equal(array[:, 0], np.arange(1000))
