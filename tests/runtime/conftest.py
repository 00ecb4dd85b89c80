"""The tests' GPU."""

from __future__ import annotations

import pytest

pytest.importorskip("onnxruntime")
from stand_in import Machine


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine().install(monkeypatch)
