"""Files: what is read, what is refused and how, and that writing is whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from refusals import refused

from xgraph import files
from xgraph.files import keep, read_text, write_whole


class TestRead:
    def test_a_text_comes_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xg"
        path.write_bytes("network ä\r\n".encode())
        source = read_text(path)
        assert (source.name, source.text) == (str(path), "network ä\r\n")

    def test_a_byte_order_mark_is_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xg"
        path.write_bytes(b"\xef\xbb\xbfnetwork a")
        assert read_text(path).text == "network a"

    def test_an_empty_file_is_a_text(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xg"
        path.touch()
        assert read_text(str(path)).text == ""

    def test_a_missing_file_names_its_neighbour(self, tmp_path: Path) -> None:
        (tmp_path / "network.xg").touch()
        d = refused(read_text, tmp_path / "netwrok.xg")
        assert (d.id, d.origin) == ("missing-file", str(tmp_path / "netwrok.xg"))
        assert d.help == "did you mean `network.xg`?"

    def test_a_missing_folder_is_said(self, tmp_path: Path) -> None:
        d = refused(read_text, tmp_path / "no" / "a.xg")
        assert (d.id, d.help) == ("missing-file", f"there is no folder `{tmp_path / 'no'}` either")

    def test_a_directory(self, tmp_path: Path) -> None:
        assert refused(read_text, tmp_path).id == "is-a-directory"

    def test_what_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(*args: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("builtins.open", denied)
        d = refused(read_text, tmp_path / "a.xg")
        assert (d.id, d.message) == ("unreadable", "this file cannot be read: permission denied")

    def test_a_name_that_no_file_can_have(self) -> None:
        assert refused(read_text, "a\0b").id == "unreadable"

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"ab\0c", "this is not a text: byte 2 is zero"),
            (b"a\nb\xff", "byte 0xff on line 2 is not UTF-8"),
            (b"\xff\xfea\0", "this file is UTF-16, and only UTF-8 is read"),
            (b"caf\xe9", "byte 0xe9 on line 1 is not UTF-8"),
        ],
    )
    def test_what_is_not_text(self, tmp_path: Path, data: bytes, message: str) -> None:
        path = tmp_path / "a.xg"
        path.write_bytes(data)
        d = refused(read_text, path)
        assert (d.id, d.message, d.help) == ("not-text", message, "save it as UTF-8")

    def test_size_has_a_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "MAX_TEXT", 2**20)
        path = tmp_path / "a.xg"
        path.write_bytes(b" " * 2**20)
        assert len(read_text(path).text) == 2**20
        path.write_bytes(b" " * (2**20 + 1))
        d = refused(read_text, path)
        assert d.id == "file-too-large"
        assert d.message == "a text may have 1 MiB, and this file has more"

    @pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
    def test_an_endless_device_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "MAX_TEXT", 2**20)
        assert refused(read_text, "/dev/zero").id == "file-too-large"


class TestWrite:
    def test_text_and_bytes(self, tmp_path: Path) -> None:
        write_whole(tmp_path / "a", "ä\n")
        write_whole(str(tmp_path / "b"), b"\0\1")
        assert (tmp_path / "a").read_bytes() == "ä\n".encode()
        assert (tmp_path / "b").read_bytes() == b"\0\1"
        assert sorted(os.listdir(tmp_path)) == ["a", "b"]

    def test_what_was_there_is_replaced_and_keeps_its_mode(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_text("long old text")
        path.chmod(0o640)
        write_whole(path, "new")
        assert path.read_text() == "new"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_text("old")
        (tmp_path / "link").symlink_to("real")
        write_whole(tmp_path / "link", "new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "new"

    @pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs /dev/null")
    def test_a_device_is_not_replaced(self) -> None:
        write_whole("/dev/null", "gone")
        assert not os.path.isfile("/dev/null")

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_a_failure_leaves_the_old_content_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def full(*args: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        path = tmp_path / "a"
        path.write_text("old")
        monkeypatch.setattr(os, step, full)
        d = refused(write_whole, path, "new")
        assert (d.id, d.origin) == ("cannot-write", str(path))
        assert d.message == "this file cannot be written: no space left on device"
        assert d.help == "the disk is full: free some space, or choose another place"
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["a"]

    def test_an_interrupt_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*args: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_whole(tmp_path / "a", "new")
        assert os.listdir(tmp_path) == []

    def test_a_directory(self, tmp_path: Path) -> None:
        d = refused(write_whole, tmp_path, "x")
        assert (d.id, d.message) == (
            "cannot-write",
            "this file cannot be written: it is a directory",
        )
        assert d.help == f"name a file in it, such as `{tmp_path / 'model'}`"

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        d = refused(write_whole, tmp_path / "no" / "a", "x")
        assert (d.id, d.help) == (
            "cannot-write",
            f"make its folder first: `mkdir -p {tmp_path / 'no'}`",
        )

    def test_a_file_for_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "f").touch()
        d = refused(write_whole, tmp_path / "f" / "a", "x")
        assert (d.id, d.help) == ("cannot-write", f"`{tmp_path / 'f'}` is not a folder")

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(*args: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("builtins.open", denied)
        d = refused(write_whole, tmp_path / "a", "x")
        assert d.message == "this file cannot be written: permission denied"
        assert d.help == f"you may not write to `{tmp_path}`; choose another place"

    def test_a_name_that_no_file_can_have(self) -> None:
        assert refused(write_whole, "a\0b", "x").id == "cannot-write"


class TestKeep:
    """What is read is never written to, by whatever name."""

    @pytest.mark.parametrize("make", ["itself", "symbolic", "hard"])
    def test_a_file_that_is_read_is_refused(self, tmp_path: Path, make: str) -> None:
        read = tmp_path / "a.xg"
        read.touch()
        out = read if make == "itself" else tmp_path / "b.ir"
        if make == "symbolic":
            out.symlink_to(read)
        if make == "hard":
            out.hardlink_to(read)
        assert refused(keep, out, [read]).id == "would-overwrite"

    def test_other_files_and_devices_are_not(self, tmp_path: Path) -> None:
        (tmp_path / "a.xg").touch()
        (tmp_path / "b.ir").touch()
        for out in (tmp_path / "b.ir", tmp_path / "new.ir", Path("/dev/null")):
            keep(out, [tmp_path / "a.xg", tmp_path / "gone", "<text>", "a\0b", "/dev/null"])


def test_a_pipe_by_the_name_of_its_handle_is_written_to() -> None:
    """`/dev/stdout` before a `|` leads to such a name, which `realpath` cannot follow."""
    there, here = os.pipe()
    try:
        write_whole(f"/dev/fd/{here}", "text")
        assert os.read(there, 10) == b"text"
    finally:
        os.close(there)
        os.close(here)
