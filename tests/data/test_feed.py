"""From rows to inputs: scales, steps, what is drawn, and the order of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xgraph
from xgraph.data import ArrayColumn, Split, open_data
from xgraph.data.feed import Feed, Order, all_batches, feed_of, training_batches
from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import read_recipe

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (50, 3, 6, 8), dtype=np.uint8)
NET = """network n
modality a: [3, 6, 8]
modality b: [1, 6, 8]
superlayer x(a) { flatten }
superlayer y(b) { flatten }
fusion head(x, y) { concat -> linear(4) }
output logits = head
"""


def split(**columns: Any) -> Split:
    given = {"label": np.arange(50) % 4, **columns}
    return Split.of("train", "here", {name: ArrayColumn(c) for name, c in given.items()})


def feed(inputs: str, **columns: Any) -> tuple[Feed, Split]:
    rows = split(**columns)
    made = feed_of(xgraph.parse(NET), read_recipe(None, [f"inputs={inputs}"]), rows)
    return made.fitted(rows), rows


def test_pictures_are_scaled_and_parted() -> None:
    made, rows = feed(
        "{a: {column: rgb, transforms: [yuv]},"
        " b: {column: rgb, transforms: [yuv, {channels: [0]}]}}",
        rgb=RGB,
    )
    inputs, targets = made.take(rows, np.arange(50))
    luma = (RGB / 255 * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdims=True)
    assert np.allclose(inputs["b"], luma, atol=1e-6)
    assert np.allclose(inputs["a"][:, :1], luma, atol=1e-6)
    assert inputs["a"].dtype == np.float32
    assert targets["logits"].dtype == np.int64


@pytest.mark.parametrize(
    ("dtype", "full"),
    [("uint8", 255), ("uint16", 65535), ("int16", 32768), ("int32", 1), ("f8", 1)],
)
def test_full_scale_is_one(dtype: str, full: int) -> None:
    array = np.full((50, 3, 6, 8), 100, dtype)
    made, rows = feed("{b: {column: a, transforms: [{channels: [0]}]}}", a=array)
    assert np.allclose(made.take(rows, np.arange(2))[0]["a"], 100 / full)


def test_normalise_is_numpys() -> None:
    noise = RNG.normal(3, 2, (50, 3, 6, 8))
    noise[:, 1] = 7  # the same everywhere
    made, rows = feed("{a: [normalise], b: {column: a, transforms: [{channels: [2]}]}}", a=noise)
    found = made.take(rows, np.arange(50))[0]["a"]
    assert np.allclose(found.mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(found.std((0, 2, 3)), [1, 0, 1], atol=1e-5)
    (step,) = made.ports[0].steps
    assert np.allclose(step.mean, noise.mean((0, 2, 3)), atol=1e-5)  # type: ignore[attr-defined]


def test_views_of_one_picture_move_alike() -> None:
    made, rows = feed(
        "{'*': {column: rgb, transforms: [{channels: [0, 1, 2]}, flip, {shift: 2}]},"
        " b: {column: rgb, transforms: [flip, {shift: 2}, {channels: [0]}]}}",
        rgb=RGB,
    )
    order = Order(50, 16, seed=3, epoch=1)
    moved = 0
    for (inputs, _), part in zip(training_batches(made, rows, order), order.rows(), strict=True):
        assert np.array_equal(inputs["a"][:, :1], inputs["b"])
        moved += int((inputs["a"] != RGB[part] / np.float32(255)).any((1, 2, 3)).sum())
    assert 40 <= moved <= 50
    still = next(all_batches(made, rows, 50))[0]["a"]
    assert np.array_equal(still, RGB.astype(np.float32) / np.float32(255))


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 3))
def test_an_epoch_has_every_row_once(length: int, size: int, epoch: int) -> None:
    order = Order(length, size, seed=1, epoch=epoch)
    rows = np.concatenate(order.rows())
    assert len(set(rows)) == len(rows) >= length - 1
    if length > 1 and size > 1:
        assert all(len(part) > 1 for part in order.rows())
    again = Order(length, size, seed=1, epoch=epoch).rows()
    assert all(np.array_equal(a, b) for a, b in zip(order.rows(), again, strict=True))


def test_batches_go_on_in_the_middle() -> None:
    made, rows = feed(
        "{a: {column: rgb}, b: {column: rgb, transforms: [{channels: [0]}]}}", rgb=RGB
    )
    order = Order(50, 16, seed=0, epoch=0)
    whole = list(training_batches(made, rows, order))
    rest = list(training_batches(made, rows, order, start=2))
    assert all(np.array_equal(a[0]["a"], b[0]["a"]) for a, b in zip(whole[2:], rest, strict=True))
    parts = [list(training_batches(made, rows, order, 0, rank, 2)) for rank in (0, 1)]
    sizes = [len(a[0]["a"]) + len(b[0]["a"]) for a, b in zip(*parts, strict=True)]
    assert sizes == [16, 16, 16, 2]


def test_inputs_that_nothing_is_called_like(tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError, match="the network has no input `c`"):
        feed("{c: [flip], a: {column: rgb}, b: {column: rgb}}", rgb=RGB)
    for name in ("a", "b", "label"):
        (tmp_path / "train").mkdir(exist_ok=True)
        np.save(tmp_path / "train" / f"{name}.npy", RGB)
    with pytest.raises(DiagnosticError, match="targets of shape"):
        feed_of(xgraph.parse(NET), read_recipe(), open_data(tmp_path).training)
