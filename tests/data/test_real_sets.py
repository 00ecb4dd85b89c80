"""The real parts, where they are at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_files import REAL, nothing_is_shared, real, splits_of

from xgraph.data.known import get, make_avmnist


class TestReal:
    pytestmark = real

    def test_parts_are_read(self, tmp_path: Path) -> None:
        for name in ("mnist", "free-spoken-digits", "esc50"):
            get(name, tmp_path / name, REAL)
        with np.load(REAL / "mnist.npz") as arrays:
            image = np.load(tmp_path / "mnist" / "test" / "image.npy")
            assert np.array_equal(image[:, 0], arrays["test_images"])
        with np.load(REAL / "fsdd_8k.npz") as arrays:
            waves = splits_of_digits(tmp_path / "free-spoken-digits")
            assert sum(map(len, waves)) == len(arrays["wave"])
        label = np.load(tmp_path / "esc50" / "all" / "label.npy")
        assert (len(label), set(label)) == (731, set(range(50)))

    @pytest.mark.long
    def test_cifar10_is_decoded(self, tmp_path: Path) -> None:
        """A ridge regression on 10,000 raw images gets the 36 % that are measured elsewhere."""
        get("cifar10", tmp_path / "out", REAL)
        data = {s: np.load(tmp_path / "out" / s / "image.npy") for s in ("train", "test")}
        labels = {s: np.load(tmp_path / "out" / s / "label.npy") for s in ("train", "test")}
        assert data["train"].shape == (50_000, 3, 32, 32)
        x, z = (data[s][:10_000].reshape(10_000, -1) / 255.0 for s in ("train", "test"))
        mean, y = x.mean(0), np.eye(10)[labels["train"][:10_000]]
        gram = (x - mean).T @ (x - mean) + 300 * np.eye(3072)
        guess = (z - mean) @ np.linalg.solve(gram, (x - mean).T @ (y - 0.1))
        assert 0.33 < np.mean(guess.argmax(1) == labels["test"]) < 0.42

    def test_avmnist_shares_nothing(self, tmp_path: Path) -> None:
        out = make_avmnist(REAL, tmp_path / "out", limit=64)
        about = json.loads((out / "about.json").read_text("utf-8"))
        assert about["pca"] == {"components": 4, "energy": 0.283659}
        source = [np.load(REAL / f"noise_esc{n}_8k.npz")["source"] for n in (10, 50)]
        with np.load(REAL / "fsdd_8k.npz") as arrays:
            nothing_is_shared(out, arrays["take"], np.concatenate(source))

    @pytest.mark.long
    def test_avmnist_is_that_of_the_script(self, tmp_path: Path) -> None:
        """Another program that follows the recipe, beside the parts, gives the same samples."""
        made = make_avmnist(REAL, tmp_path / "made", limit=300)
        script = [sys.executable, REAL / "make_avmnist.py", tmp_path / "script", "--limit", "300"]
        subprocess.run(script, check=True, capture_output=True)
        for name in ("image", "audio", "label", "source"):
            for split, column in splits_of(made, name).items():
                other = np.load(tmp_path / "script" / f"{split}_{name}.npy")
                assert column.dtype == other.dtype
                assert np.abs(column.astype(int) - other).max() <= (name == "audio")


def splits_of_digits(out: Path) -> list[Any]:
    return [np.load(out / split / "wave.npy", mmap_mode="r") for split in ("train", "test")]
