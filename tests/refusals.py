"""What is refused, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from xgraph.diagnostics import Diagnostic, DiagnosticError


def refused(act: Any, *args: Any, **more: Any) -> Diagnostic:
    with pytest.raises(DiagnosticError) as caught:
        act(*args, **more)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic
