"""What is given from Python: brought to the kinds used inside, or refused in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from xgraph.diagnostics import Diagnostic, DiagnosticError, fail

Array: TypeAlias = npt.NDArray[Any]

MAX_DEPTH = 16
"""How deep the lists of a setting may nest."""


def kind_of(value: object) -> str:
    """The type of a value, as a message names it."""
    return "None" if value is None else f"{type(value).__name__} {_short(value)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else "..."


def one_of(name: str, value: object, words: tuple[str, ...]) -> None:
    """Refuse an option that is none of `words`."""
    if not (isinstance(value, str) and value in words):
        told = f"`{name}` cannot be {kind_of(value)}"
        raise fail("bad-option", told, help=f"it is {' or '.join(map(repr, words))}")


def integer(name: str, value: object, least: int | None = None) -> int:
    """An option that is an integer, numpy's too."""
    if not isinstance(value, SupportsIndex):
        raise fail("bad-option", f"`{name}` is an integer, not {kind_of(value)}")
    if least is not None and index(value) < least:
        raise fail("bad-option", f"`{name}` is {least} or more, not {index(value)}")
    return index(value)


# ---------------------------------------------------------------------------------- settings


def plain_settings(settings: object) -> dict[str, object]:
    """Values of params by name: numbers of numpy as Python's, lists as tuples."""
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        told = f"settings are values by name, and this is {kind_of(settings)}"
        raise fail("bad-setting", told, help='for example `{"paths": 4}`')
    found: dict[str, object] = {}
    mistakes = []
    for name, value in settings.items():
        try:
            found[_name(name)] = _setting(value)
        except ValueError as error:
            mistakes.append(Diagnostic("bad-setting", str(error), origin=f"setting {name!r}"))
    if mistakes:
        raise DiagnosticError(*mistakes)
    return found


def _name(name: object) -> str:
    if isinstance(name, str):
        return name
    raise ValueError(f"a param has a name, and {kind_of(name)} is none")


def _setting(value: object, depth: int = 0) -> object:
    if depth > MAX_DEPTH:
        raise ValueError(f"its lists nest deeper than {MAX_DEPTH}")
    match value:
        case float() | np.floating() if not np.isfinite(value):
            raise ValueError(f"{value} is not finite")
        case np.bool_():
            return bool(value)
        case np.integer():
            return int(value)
        case np.floating():
            return float(value)
        case np.ndarray():
            return _setting(value.tolist(), depth)
        case list() | tuple():
            return tuple(_setting(part, depth + 1) for part in value)
        case str() if value.isidentifier():
            return value
        case str():
            raise ValueError(f"the text {_short(value)} is neither a word nor a number")
        case bool() | int() | float():
            return value
    raise ValueError(f"a param is a number, a word, true or false, or a list, not {kind_of(value)}")


# ------------------------------------------------------------------------------------ arrays


def arrays_of(given: object, what: str, id: str) -> dict[str, Array]:  # noqa: A002
    """Arrays by name, of what numpy or PyTorch has; `DiagnosticError` of this id names each that
    is none. `what` they are is said: `weights`."""
    if not isinstance(given, Mapping):
        told = f"{what} are arrays by name, and this is {kind_of(given)}"
        advice = "give its `state_dict()`" if hasattr(given, "state_dict") else None
        raise fail(id, told, help=advice)
    found: dict[str, Array] = {}
    mistakes = []
    for name, value in given.items():
        try:
            if not isinstance(name, str):
                raise ValueError(f"{kind_of(name)} is no name")
            found[name] = as_array(value)
        except ValueError as error:
            mistakes.append(Diagnostic(id, str(error), origin=f"{what}: {name}"))
    if mistakes:
        raise DiagnosticError(*mistakes)
    return found


def as_array(value: Any) -> Array:
    """An array, a list of numbers or a tensor of PyTorch as numpy's array; bfloat16, which numpy
    has not, as float32. `ValueError` says why it cannot be."""
    try:
        return np.asarray(_of_tensor(value) if hasattr(value, "detach") else value)
    except Exception as error:  # PyTorch's and numpy's have no common base
        if "inhomogeneous" in str(error):
            raise ValueError("its rows are not of one length") from None
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ValueError(f"it cannot be made an array: {reason}") from None


def _of_tensor(tensor: Any) -> Any:
    """A tensor that numpy can read."""
    plain = tensor.detach()
    if str(plain.layout) != "torch.strided":
        raise ValueError("the tensor is sparse, and `to_dense()` makes it whole")
    return (plain.float() if str(plain.dtype) == "torch.bfloat16" else plain).cpu()
