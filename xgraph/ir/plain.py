"""Attribute values as plain data: what JSON has, with a small object for each richer kind.

    N * T            {"dim": "N*T"}             Axis("T", 39)    {"axis": "T", "size": 39}
    he_normal        {"init": "he_normal"}      a bare word      {"word": "valid"}
    conv(64, 3)      {"layer": "conv", "attrs": {"filters": 64, "kernel": 3}}

Tuples become lists; numbers, texts, booleans and none stay. `decode` trusts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeAlias, TypeVar, final

from xgraph.diagnostics import did_you_mean
from xgraph.ir.attrs import MAX_SIZE, Attrs, Init, Layer, Word
from xgraph.ir.op import OpTable
from xgraph.ir.types import Axis, Dim, Expr, parse_dim

Plain: TypeAlias = Any
"""None, bool, int, float, str, or a list or dict of such."""

MAX_DEPTH = 16
"""How deep values may nest."""

T = TypeVar("T")


@final
class Malformed(Exception):
    """Plain data that is no graph. `place` is where: a section and the key or index in it."""

    def __init__(
        self,
        message: str,
        help: str | None = None,  # noqa: A002 - the diagnostic's field
        place: tuple[str, int | str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.place = place


_KINDS: Mapping[type, str] = {
    str: "a text", int: "an integer", float: "a number", bool: "true or false", list: "a list",
    dict: "an object",
}  # fmt: skip


def need(value: Plain, kind: type[T], what: str) -> T:
    """`value`, which must be of `kind`."""
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise Malformed(f"{what} must be {_KINDS[kind]}")


def only(item: Mapping[str, Plain], known: tuple[str, ...], what: str) -> None:
    """Unknown keys are mistakes."""
    for key in item:
        if key not in known:
            raise Malformed(f"{what} has no `{key}`", did_you_mean(key, known))


def encode(value: object) -> Plain:
    """The plain form of an attribute value."""
    match value:
        case Word():
            return {"word": str(value)}
        case Axis():
            return {"axis": value.name, "size": int(value)}
        case None | bool() | int() | float() | str():
            return value
        case Expr():
            return {"dim": str(value)}
        case Init(name=name, args=()):
            return {"init": name}
        case Init(name=name, args=args):
            return {"init": name, "args": [float(arg) for arg in args]}
        case Layer():
            return {"layer": value.op, "attrs": encode_map(value.attrs)}
        case list() | tuple():
            return [encode(part) for part in value]
    raise TypeError(f"{value!r} is no attribute value")


def encode_map(values: Mapping[str, object]) -> dict[str, Plain]:
    return {name: encode(value) for name, value in values.items()}


def decode(plain: Plain, ops: OpTable, depth: int = 0) -> Any:
    """The value that `encode` wrote; `Malformed` if it wrote none such."""
    if depth > MAX_DEPTH:
        raise Malformed(f"values nest deeper than {MAX_DEPTH}")
    match plain:
        case None | bool() | int() | str():
            return plain
        case float() if isfinite(plain):
            return plain
        case list():
            return tuple(decode(part, ops, depth + 1) for part in plain)
        case {"word": str(word), **rest} if not rest:
            return Word(word)
        case {"dim": str(text), **rest} if not rest:
            return _dim(text)
        case {"axis": str(name), "size": int(size), **rest} if not rest:
            return _axis(name, size)
        case {"init": str(name), **rest} if set(rest) <= {"args"}:
            return _init(name, need(rest.get("args", []), list, "the numbers of an initialiser"))
        case {"layer": str(name), "attrs": dict(attrs), **rest} if not rest:
            return _layer(name, attrs, ops, depth)
    raise Malformed("a value is of no known kind")


def decode_map(plain: Plain, ops: OpTable, depth: int = 0) -> dict[str, Any]:
    items = need(plain, dict, "attributes")
    return {need(k, str, "a name"): decode(v, ops, depth) for k, v in items.items()}


def _dim(text: str) -> Dim:
    try:
        return parse_dim(text)
    except ValueError as error:
        raise Malformed(str(error)) from None


def _axis(name: str, size: int) -> Axis:
    if name.isidentifier() and 1 <= size <= MAX_SIZE and not isinstance(size, bool):
        return Axis(name, size)
    raise Malformed("an axis must have a name and a size from 1")


def _init(name: str, args: list[Plain]) -> Init:
    return Init(name, tuple(need(arg, float, "the number of an initialiser") for arg in args))


def _layer(name: str, attrs: Mapping[str, Plain], ops: OpTable, depth: int) -> Layer:
    spec = ops.get(name)
    if spec is None:
        raise Malformed(f"there is no op `{name}`", did_you_mean(name, ops))
    only(attrs, tuple(spec.attr_by_name), f"`{name}`")
    return Layer(name, Attrs(decode_map(attrs, ops, depth + 1)))
