"""Downloads: broken ones go on, and none is taken that is not the known file."""

from __future__ import annotations

from pathlib import Path

import pytest
from known_files import check, listing
from made_sets import made, serving
from refusals import refused

from xgraph.data.known import download, get


def test_downloads_are_kept_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("cifar100")
    monkeypatch.setenv("XGRAPH_CACHE", str(tmp_path / "kept"))
    with serving(one.files) as served:
        get("cifar100", tmp_path / "out", known=one.at(served.address))
    assert listing(tmp_path / "kept") == ["cifar100/cifar-100-binary.tar.gz"]


def test_a_broken_download_goes_on(tmp_path: Path) -> None:
    """Three tries, each of which gets further; the next command asks for the rest, not for more."""
    one = made("cifar10")
    (name,) = one.files
    size = len(one.files[name])
    out, cache = tmp_path / "out", tmp_path / "cache"
    with serving(one.files) as served:
        served.drops = 3
        known = one.at(served.address)
        told = refused(get, "cifar10", out, known=known, cache=cache)
        assert told.id == "download-failed"
        assert "goes on where it stopped" in str(told.help)
        assert listing(tmp_path) == [f"cache/cifar10/{name}.part"]
        begun = (cache / "cifar10" / f"{name}.part").stat().st_size
        assert size // 2 < begun < size
        get("cifar10", out, known=known, cache=cache)
        assert served.asked[-1] == (name, f"bytes={begun}-")
    assert len(served.asked) == 4
    check(out, one)
    assert listing(cache) == [f"cifar10/{name}"]


def test_a_connection_that_drops_once_is_no_failure(tmp_path: Path) -> None:
    one = made("esc50")
    with serving(one.files) as served:
        served.drops = 1
        get("esc50", tmp_path / "out", known=one.at(served.address), cache=tmp_path / "cache")
    check(tmp_path / "out", one)


def test_a_server_without_ranges_sends_it_all(tmp_path: Path) -> None:
    one = made("cifar10")
    with serving(one.files) as served:
        served.ranges, served.drops, served.lengths = False, 2, True
        get("cifar10", tmp_path / "out", known=one.at(served.address), cache=tmp_path / "c")
    check(tmp_path / "out", one)


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_the_part_of_another_file_is_not_taken(size: int, tmp_path: Path) -> None:
    """Longer than the file, it is begun anew; shorter, the hash tells, and the next is whole."""
    one = made("cifar10")
    (name,) = one.files
    part = tmp_path / "cache" / "cifar10" / f"{name}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * size)
    with serving(one.files) as served:
        known = one.at(served.address)
        if size < len(one.files[name]):
            told = refused(get, "cifar10", tmp_path / "out", known=known, cache=tmp_path / "cache")
            assert told.id == "hash-mismatch"
        get("cifar10", tmp_path / "out", known=known, cache=tmp_path / "cache")
    check(tmp_path / "out", one)


def test_an_answer_that_breaks_off_unseen_is_told_by_its_content(tmp_path: Path) -> None:
    """Without a length, only the content tells; what was kept is forgotten."""
    one = made("free-spoken-digits").hashless()
    with serving(one.files) as served:
        served.drops, served.lengths = 1, False
        known = one.at(served.address)
        told = refused(get, one.known.name, tmp_path / "out", known=known, cache=tmp_path / "c")
        assert told.id == "damaged-file"
        assert listing(tmp_path) == ["c/free-spoken-digits"]
        get(one.known.name, tmp_path / "out", known=known, cache=tmp_path / "c")
    check(tmp_path / "out", one)


def test_another_file_than_the_known_one(tmp_path: Path) -> None:
    one = made("mnist")
    name = one.known.files[1].name
    with serving(one.files | {name: b"<html>log in</html>"}) as served:
        known = one.at(served.address)
        told = refused(get, "mnist", tmp_path / "out", known=known, cache=tmp_path / "c")
    assert (told.id, told.origin) == ("hash-mismatch", f"{served.address}/{name}")
    assert listing(tmp_path) == [f"c/mnist/{one.known.files[0].name}"]


def test_far_more_than_the_file_has(tmp_path: Path) -> None:
    one = made("mnist")
    with serving({name: bytes(2**20) for name in one.files}) as served:
        known = one.at(served.address)
        told = refused(get, "mnist", tmp_path / "out", known=known, cache=tmp_path / "c")
    assert told.id == "hash-mismatch"
    assert listing(tmp_path) == ["c/mnist"]


def test_no_such_file_and_no_server(tmp_path: Path) -> None:
    one = made("mnist")
    with serving({}) as served:
        known = one.at(served.address)
        told = refused(get, "mnist", tmp_path / "out", known=known, cache=tmp_path / "c")
        assert "the server answers 404" in told.message
    told = refused(get, "mnist", tmp_path / "out", known=known, cache=tmp_path / "c")
    assert (told.id, "takes no connections" in told.message) == ("download-failed", True)
    assert listing(tmp_path) == ["c/mnist"]


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    one = made("mnist")
    (tmp_path / "c").write_text("a file")
    with serving(one.files) as served:
        known = one.at(served.address)
        told = refused(get, "mnist", tmp_path / "out", known=known, cache=tmp_path / "c")
    assert told.id == "cannot-write"
    assert listing(tmp_path) == ["c"]


def test_pooch_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "find_spec", lambda name: None)
    told = refused(get, "mnist", tmp_path / "out")
    assert (told.id, told.help) == ("missing-extra", "pip install 'xgraph[data]'")
