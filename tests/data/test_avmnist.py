"""AV-MNIST: composed the same each time, with nothing shared between its splits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from known_files import contents, listing, nothing_is_shared, splits_of
from made_sets import COUNTS, made, parts
from refusals import refused

from xgraph.cli import main
from xgraph.data.known import KNOWN, Known, get, make_avmnist
from xgraph.data.known.folder import Appended
from xgraph.data.known.signals import CANVAS, prepared, spectrograms

SMALL: dict[str, Any] = {"train": 120, "val": 40, "test": 50}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts(tmp_path_factory.mktemp("small") / "parts")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Known]:
    """The known sets, with the counts of the small parts."""
    counts = {"mnist": {"train": 200, "test": 50}, "free-spoken-digits": {"train": 450, "test": 50}}
    found = {
        name: replace(KNOWN[name], counts=COUNTS[name] | counts.get(name, {})) for name in KNOWN
    }
    from xgraph.data.known import components

    for variable in ("MNIST", "SPOKEN_DIGITS", "ESC50"):
        monkeypatch.setattr(components, variable, found[getattr(components, variable).name])
    return found


@pytest.mark.usefixtures("table")
def test_avmnist_is_composed(small: Path, tmp_path: Path) -> None:
    out = make_avmnist(small, tmp_path / "out", **SMALL)
    about = json.loads((out / "about.json").read_text("utf-8"))
    assert about["options"]["snr"] == [-18.0, 0.0]
    assert about["pca"]["energy"] >= 0.25
    for split, count in SMALL.items():
        columns = {c: np.load(out / split / f"{c}.npy") for c in about["splits"][split]["columns"]}
        kinds = {name: (column.dtype.name, column.shape[1:]) for name, column in columns.items()}
        assert kinds == {
            "image": ("uint8", (1, 28, 28)), "audio": ("uint8", (1, 112, 112)),
            "label": ("int64", ()), "source": ("int32", (3,)),
        }  # fmt: skip
        assert {len(column) for column in columns.values()} == {count}
        assert (columns["audio"].max(axis=(1, 2, 3)) == 255).all()
        assert np.array_equal(columns["source"][:, 0] % 10, columns["label"])
        assert np.array_equal(columns["source"][:, 1] // 50, columns["label"])  # its own digit


@pytest.mark.usefixtures("table")
def test_avmnist_shares_nothing_between_splits(small: Path, tmp_path: Path) -> None:
    for seed in range(3):
        out = make_avmnist(small, tmp_path / str(seed), seed=seed, **SMALL)
        nothing_is_shared(out, np.tile(np.arange(50), 10), np.arange(30) // 2)


@pytest.mark.usefixtures("table")
def test_avmnist_is_the_same_again(small: Path, tmp_path: Path) -> None:
    """The same options give the same bytes; `limit`, the first of them; a seed, others."""
    whole = make_avmnist(small, tmp_path / "a", **SMALL)
    assert contents(whole) == contents(make_avmnist(small, tmp_path / "b", **SMALL))
    some = make_avmnist(small, tmp_path / "c", limit=7, **SMALL)
    other = make_avmnist(small, tmp_path / "d", seed=1, **SMALL)
    for name in ("image", "audio", "label", "source"):
        first, few = splits_of(whole, name), splits_of(some, name)
        assert all(np.array_equal(first[split][:7], few[split]) for split in SMALL)
        assert not np.array_equal(first["train"], splits_of(other, name)["train"])


def test_avmnist_of_folders_is_that_of_parts(
    small: Path, table: dict[str, Known], tmp_path: Path
) -> None:
    for name in ("mnist", "free-spoken-digits", "esc50"):
        get(name, tmp_path / "got" / name, small, known=table)
    a = make_avmnist(small, tmp_path / "a", **SMALL)
    b = make_avmnist(tmp_path / "got", tmp_path / "b", **SMALL)
    for name in ("image", "audio", "label", "source"):
        left, right = splits_of(a, name), splits_of(b, name)
        assert all(np.array_equal(left[split], right[split]) for split in SMALL)
    assert (a / "about.json").read_bytes() == (b / "about.json").read_bytes()


def shorten(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


def scalar(path: Path) -> None:
    np.save(path, np.array(1))


def empty(path: Path) -> None:
    path.write_text("{}")


@pytest.mark.parametrize(
    ("changed", "how"),
    [
        ("mnist/train/image.npy", shorten),
        ("mnist/test/label.npy", shorten),
        ("mnist/test/label.npy", scalar),
        ("free-spoken-digits/train/take.npy", shorten),
        ("free-spoken-digits/train/wave.npy", shorten),
        ("free-spoken-digits/train/wave.offsets.npy", empty),
        ("esc50/all/source.npy", shorten),
        ("esc50/about.json", empty),
        ("mnist/train/label.npy", empty),
        ("mnist/train/label.npy", Path.unlink),
    ],
)
def test_avmnist_of_folders_that_were_changed(
    changed: str, how: Any, small: Path, table: dict[str, Known], tmp_path: Path
) -> None:
    for name in ("mnist", "free-spoken-digits", "esc50"):
        get(name, tmp_path / "got" / name, small, known=table)
    how(tmp_path / "got" / changed)
    told = refused(make_avmnist, tmp_path / "got", tmp_path / "out", **SMALL)
    assert told.id in ("damaged-file", "unreadable")
    assert str(told.origin).startswith(str(tmp_path / "got" / changed.partition("/")[0]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "part", "change"),
    [
        ("mnist", "mnist.npz", {"x_train": np.zeros((200, 27, 28), np.uint8)}),
        ("mnist", "mnist.npz", {"x_train": np.zeros((200, 28, 28))}),
        ("mnist", "mnist.npz", {"y_train": np.array(["a"] * 200)}),
        ("mnist", "mnist.npz", {"y_test": np.array(0)}),
        ("free-spoken-digits", "fsdd_8k.npz", {"offset": np.array(["a"])}),
        ("free-spoken-digits", "fsdd_8k.npz", {"offset": np.array([0, 5])}),
        ("free-spoken-digits", "fsdd_8k.npz", {"offset": np.array(0)}),
        ("free-spoken-digits", "fsdd_8k.npz", {"wave": np.zeros(10)}),
        ("free-spoken-digits", "fsdd_8k.npz", {"take": np.zeros(3, int)}),
        ("free-spoken-digits", "fsdd_8k.npz", {"label": np.full(500, 10)}),
        ("esc50", "noise_esc10_8k.npz", {"wave": np.zeros(90000, np.int16)}),
        ("esc50", "noise_esc10_8k.npz", {"source": np.zeros(9, int)}),
        ("esc50", "noise_esc10_8k.npz", {"source": np.array(1)}),
        ("esc50", "noise_esc10_8k.npz", {"category": np.full(10, 50)}),
    ],
)
def test_parts_that_do_not_fit(
    name: str, part: str, change: Any, small: Path, table: dict[str, Known], tmp_path: Path
) -> None:
    with np.load(small / part) as arrays:
        np.savez(tmp_path / part, **{**arrays, **change})
    told = refused(get, name, tmp_path / "out", tmp_path, known=table)
    assert (told.id, told.origin) == ("damaged-file", str(tmp_path / part))
    assert listing(tmp_path) == [part]


def test_avmnist_of_noise_at_its_own_rate(
    small: Path, table: dict[str, Known], tmp_path: Path
) -> None:
    one = made("esc50")
    get("esc50", tmp_path / "got" / "esc50", one.put(tmp_path / "f"), known={"esc50": one.known})
    for name in ("mnist", "free-spoken-digits"):
        get(name, tmp_path / "got" / name, small, known=table)
    out = make_avmnist(tmp_path / "got", tmp_path / "out", **SMALL)
    nothing_is_shared(out, np.tile(np.arange(50), 10), np.arange(100) // 4)


@pytest.mark.usefixtures("table")
def test_avmnist_without_a_component(small: Path, tmp_path: Path) -> None:
    for name in ("mnist.npz", "fsdd_8k.npz"):
        (tmp_path / name).symlink_to(small / name)
    told = refused(make_avmnist, tmp_path, tmp_path / "out", **SMALL)
    assert (told.id, told.message) == ("missing-file", "ESC-50 is not in this folder")
    assert "noise_esc10_8k.npz or noise_esc50_8k.npz" in str(told.help)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "option",
    [
        {"train": 0}, {"train": 161}, {"test": 51}, {"val": -1}, {"seed": -1}, {"limit": 0},
        {"image_energy": 0.0}, {"image_energy": float("nan")}, {"snr": (0.0, -1.0)},
        {"snr": (float("-inf"), 0.0)}, {"db_range": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_options_of_avmnist_that_cannot_be(
    option: dict[str, Any], small: Path, tmp_path: Path
) -> None:
    told = refused(make_avmnist, small, tmp_path / "out", **(SMALL | option))
    assert told.id == "bad-option"
    assert listing(tmp_path) == []


@pytest.mark.usefixtures("table")
def test_all_of_the_energy_leaves_images_as_they_are(small: Path, tmp_path: Path) -> None:
    out = make_avmnist(small, tmp_path / "out", image_energy=1.0, **(SMALL | {"val": 0}))
    with np.load(small / "mnist.npz") as arrays:
        chosen = arrays["x_train"][np.load(out / "train" / "source.npy")[:, 0]]
    assert np.array_equal(np.load(out / "train" / "image.npy")[:, 0], chosen)
    assert np.load(out / "val" / "audio.npy", mmap_mode="r").shape == (0, 1, 112, 112)


def test_a_tone_is_a_row_of_its_spectrogram() -> None:
    """Row k is k 8000/222 Hz: 10 periods in the window of 222 samples are row 10."""
    tone = np.sin(2 * np.pi * 10 * np.arange(CANVAS) / 222)[None]
    picture = spectrograms(tone, 60.0)[0, 0]
    assert (picture.argmax(axis=0) == 10).all()
    assert (picture[20:] == 0).all()


def test_a_clip_is_resampled_and_loses_its_silence() -> None:
    """Half a second of 1 kHz at 44.1 kHz, and as much of nothing: half a second at 8 kHz."""
    tone = (20000 * np.sin(2 * np.pi * 1000 * np.arange(22050) / 44100)).astype(np.int16)
    clip = prepared(np.concatenate([tone, np.zeros(22050, np.int16)]), 44100)
    assert 4000 <= len(clip) <= 4160
    assert np.abs(clip).max() == 1
    spectrum = np.abs(np.fft.rfft(clip[:4000]))
    assert spectrum.argmax() == 500
    assert not prepared(np.zeros(44100, np.int16), 44100).any()


def test_the_command_lists_them() -> None:
    done = CliRunner().invoke(main, ["data", "list"])
    assert done.exit_code == 0
    for known in KNOWN.values():
        assert known.licence in done.output
        assert known.home in done.output


def test_the_command_tells_mistakes(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["data", "get", "mnits", "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "did you mean `mnist`?" in done.output
    done = CliRunner().invoke(
        main, ["data", "get", "mnist", "--from", str(tmp_path), "-o", str(tmp_path / "out")]
    )
    assert (done.exit_code, "train-images-idx3-ubyte.gz" in done.output) == (1, True)
    done = CliRunner().invoke(main, ["data", "make", "avmnist", "-o", ""])
    assert (done.exit_code, "bad-name" in done.output) == (1, True)


@pytest.mark.usefixtures("table")
def test_the_command_makes_avmnist(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["data", "make", "avmnist", "-o", str(out), "--parts", str(small)]
    command += ["--train", "100", "--val", "20", "--test", "20", "--limit", "5", "--snr", "-6", "6"]
    done = CliRunner().invoke(main, command)
    assert done.output == f"wrote {out}\n"
    assert np.load(out / "test" / "audio.npy").shape == (5, 1, 112, 112)


@pytest.mark.usefixtures("table")
def test_ctrl_c_leaves_nothing(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Appended, "append", stop)
    command = ["data", "make", "avmnist", "-o", str(tmp_path / "out"), "--parts", str(small)]
    done = CliRunner().invoke(main, [*command, "--train", "9", "--val", "9", "--test", "9"])
    assert done.exit_code == 1
    assert "run the same command again" in done.output
    assert listing(tmp_path) == []
