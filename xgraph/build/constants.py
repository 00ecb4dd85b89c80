"""Arithmetic on the numbers, truths and words of a `.xg`, with every overflow a diagnostic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import isfinite
from typing import Any

from xgraph.grammar.tree import Binary, Unary
from xgraph.ir.attrs import Init, Word
from xgraph.ir.types import Axis, Dim, Expr, axis_name

LIMIT = 2**53
"""Numbers stay below this in size, so that floats hold them exactly."""

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def spelt(value: object) -> str:
    """A constant as it is written in a `.xg`, shortened where it is long."""
    match value:
        case bool():
            text = "true" if value else "false"
        case str() if not isinstance(value, Word):
            text = f'"{value}"'
        case tuple():
            text = f"[{', '.join(map(spelt, value))}]"
        case Expr() | Axis():
            text = axis_name(value) or str(value)
        case float() if value.is_integer() and abs(value) < LIMIT:
            text = str(int(value))
        case int() | float() | str() | Init():
            text = str(value)
        case _:
            text = "a value of the network"
    return text if len(text) <= 40 else f"{text[:36]} ..."


def unary(tree: Unary, value: object) -> object:
    """`ValueError` says what is wrong."""
    if tree.operator == "not":
        if isinstance(value, bool):
            return not value
        raise ValueError(f"`not` needs true or false, not {spelt(value)}")
    if is_number(value) or isinstance(value, Expr):
        return -value  # type: ignore[operator]
    raise ValueError(f"`-` needs a number, not {spelt(value)}")


def binary(tree: Binary, left: object, right: object) -> object:
    """The value of a binary operator other than `and` and `or`; `ValueError` as above."""
    op = tree.operator
    if op in ("==", "!="):
        return (left == right) == (op == "==")
    if isinstance(left, Expr) or isinstance(right, Expr):
        return _symbolic(op, left, right)
    if not (is_number(left) and is_number(right)):
        wrong = right if is_number(left) else left
        raise ValueError(f"`{op}` needs numbers, not {spelt(wrong)}")
    if op in _ORDER:
        return _ORDER[op](left, right)
    if op in ("/", "//", "%") and right == 0:
        raise ValueError("division by zero")
    try:
        result = _power(left, right) if op == "**" else _ARITHMETIC[op](left, right)
    except OverflowError:
        raise ValueError(f"the result of `{op}` is too large") from None
    return checked(result, op)


def _symbolic(op: str, left: object, right: object) -> Dim:
    whole = all(isinstance(v, (int, Expr)) and not isinstance(v, bool) for v in (left, right))
    if whole and op in ("+", "-", "*"):
        result: Dim = _ARITHMETIC[op](left, right)
        if isinstance(result, Expr) and sum(len(m) + 1 for m, _ in result.terms) > 64:
            raise ValueError(f"the result of `{op}` is too long an expression")
        return result
    if whole and op == "//" and isinstance(right, int) and right > 0:
        return left // right  # type: ignore[operator]
    raise ValueError(f"`{op}` cannot be worked out with a size known only when the network runs")


def checked(result: object, op: str) -> object:
    """`result` if it is a number of reasonable size."""
    if isinstance(result, complex) or not isfinite(result):  # type: ignore[arg-type]
        raise ValueError(f"the result of `{op}` is not a number")
    if abs(result) > LIMIT:  # type: ignore[arg-type]
        raise ValueError(f"the result of `{op}` is too large")
    return result


def _power(left: Any, right: Any) -> Any:
    # Bounded before it is computed: 10 ** 10 ** 10 must not take the machine with it.
    if left == 0 and right < 0:
        raise ValueError("division by zero")
    if abs(left) > 1 and abs(right) > 64:
        raise ValueError("the result of `**` is too large")
    return left**right
