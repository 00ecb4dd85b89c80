"""Pictures as inputs: every kind of pixel becomes a number in [0, 1] by the range of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xgraph.arrays import read_inputs
from xgraph.diagnostics import DiagnosticError

Image = pytest.importorskip("PIL.Image")


def read(path: Path, channels: int, size: int = 2, *, resize: bool = False) -> Any:
    wanted: Any = {"x": ("float32", ("N", channels, size, size))}
    array = read_inputs([f"x={path}"], wanted, resize=resize)["x"]
    assert array.dtype == np.float32
    assert array.shape == (1, channels, size, size)
    return array[0]


def stored(folder: Path, name: str, pixels: Any) -> Path:
    Image.fromarray(np.asarray(pixels)).save(folder / name)
    return folder / name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "dtype", "white"),
    [
        ("x.png", np.uint8, 255),
        ("x.png", np.uint16, 65535),
        ("x.tif", np.uint16, 65535),
        ("x.tif", np.dtype(">u2"), 65535),
        ("x.tif", np.float32, 1),
    ],
)
def test_grey_of_every_depth(
    tmp_path: Path, channels: int, name: str, dtype: Any, white: int
) -> None:
    grey = np.array([[0, 0.2], [0.6, 1]])
    found = read(stored(tmp_path, name, (grey * white).astype(dtype)), channels)
    np.testing.assert_allclose(found, np.stack([grey] * channels), atol=1e-6)


def test_16_bits_are_finer_than_8(tmp_path: Path) -> None:
    path = stored(tmp_path, "x.png", np.array([[0, 1], [256, 65535]], np.uint16))
    np.testing.assert_allclose(read(path, 1)[0], [[0, 1 / 65535], [256 / 65535, 1]], rtol=1e-6)


def test_floats_are_taken_as_they_are(tmp_path: Path) -> None:
    values = np.array([[-2.5, 0], [0.5, 300]], np.float32)
    assert np.array_equal(read(stored(tmp_path, "x.tif", values), 1)[0], values)


def test_colour_is_channels_first(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20
    found = read(stored(tmp_path, "x.png", pixels), 3)
    np.testing.assert_allclose(found, pixels.transpose(2, 0, 1) / 255, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_resizing_keeps_the_range(tmp_path: Path, dtype: Any, white: int) -> None:
    """Bicubic weights are negative in part: beside an edge they overshoot."""
    edge = np.repeat([[0, 0, white, white]], 4, axis=0).astype(dtype)
    found = read(stored(tmp_path, "x.png", edge), 1, 9, resize=True)
    assert found.min() == 0
    assert found.max() == 1
    assert len(np.unique(found)) > 2


def test_integers_of_32_bits_have_no_white(tmp_path: Path) -> None:
    path = stored(tmp_path, "x.tif", np.array([[0, 1], [2, 3]], np.int32))
    with pytest.raises(DiagnosticError, match="does not say which of them is white"):
        read(path, 1)
