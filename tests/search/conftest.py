"""Pictures of digits in strips, and networks for them; no time limit for a property's example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from sklearn.datasets import load_digits
from strips import BASE, MEASURED

settings.register_profile("xgraph", deadline=None)
settings.load_profile("xgraph")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `base.xg`, the same as `measured.xg` with numbers, and `strips`."""
    (tmp_path / "base.xg").write_text(BASE)
    (tmp_path / "measured.xg").write_text(MEASURED)
    digits = load_digits()
    for split, rows in {"train": slice(0, 200), "test": slice(200, 300)}.items():
        (tmp_path / "strips" / split).mkdir(parents=True)
        images = digits.images[rows, None].astype(np.float32) / 16
        for name, first in {"left": 0, "middle": 2, "right": 4}.items():
            np.save(tmp_path / "strips" / split / f"{name}.npy", images[..., first : first + 4])
        np.save(tmp_path / "strips" / split / "label.npy", digits.target[rows])
    monkeypatch.chdir(tmp_path)
    return tmp_path
