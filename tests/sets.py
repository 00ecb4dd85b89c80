"""Small data sets and networks for the tests of data and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

DIGITS = """network digits

modality image: [1, 8, 8]

superlayer net(image) {
  c1: conv(8, 3) -> bn -> relu
  maxpool(2)
  c2: conv(16, 3) -> bn -> relu
  dropout(0.2)
  flatten -> linear(10)
}

output logits = net
"""

HALVES = """network halves

modality top: [1, 4, 8]
modality bottom: [1, 4, 8]

superlayer upper(top) { c1: conv(8, 3) -> relu; flatten -> linear(10) }
superlayer lower(bottom) { c1: conv(8, 3) -> relu; flatten -> linear(10) }

fusion head(upper, lower) { concat -> linear(10) }

output logits = head
output top_logits = upper
output bottom_logits = lower
"""


def digits(rows: int = 400) -> tuple[Any, Any]:
    """The first digits of scikit-learn: [rows, 1, 8, 8] from 0 to 1, and what they are."""
    found = load_digits()
    images = (found.images[:rows, None] / 16).astype(np.float32)
    return images, found.target[:rows].astype(np.int64)


def folder(path: Path, **splits: dict[str, Any]) -> Path:
    """A data folder: one `.npy` a column, one folder a split."""
    for name, columns in splits.items():
        (path / name).mkdir(parents=True, exist_ok=True)
        for column, array in columns.items():
            np.save(path / name / f"{column}.npy", array)
    return path


def digits_folder(path: Path, rows: int = 400, test: int = 100) -> Path:
    """Digits in a training and a test split, also as halves."""
    images, labels = digits(rows)
    cut = rows - test
    parts = {"train": slice(0, cut), "test": slice(cut, rows)}
    return folder(
        path,
        **{
            name: {
                "image": images[part],
                "top": images[part][:, :, :4],
                "bottom": images[part][:, :, 4:],
                "label": labels[part],
            }
            for name, part in parts.items()
        },
    )
