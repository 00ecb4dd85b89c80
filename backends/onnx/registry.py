"""How a primitive becomes ONNX: one rule each.

A rule reads its node through a `Site` and returns the name of the ONNX value that holds the
node's output: what its last operator gives, or one of its inputs where there is nothing to
compute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from xgraph.backends.onnx.site import Site

Rule: TypeAlias = Callable[[Site], str]

RULES: dict[str, Rule] = {}

UNSUPPORTED: dict[str, str] = {}
"""Primitives that have no rule, and why."""


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Register the rule of the primitives named."""

    def register(function: Rule) -> Rule:
        for op in ops:
            assert op not in RULES, f"two ONNX rules for {op}"
            RULES[op] = function
        return function

    return register
