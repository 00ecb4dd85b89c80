"""Python expressions as they are put together, and how a long one is broken over lines.

The layout is that of the usual formatters at 100 columns, so that formatting the source again
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias, final

WIDTH = 100
SUM, PRODUCT, ATOM = 1, 2, 3
"""How tightly an expression binds: `a + b`, `a * b`, and what needs no parentheses."""


@final
@dataclass(frozen=True)
class Bracket:
    """`head(item, item)tail`: a text that may be broken within its brackets."""

    head: str
    items: tuple[Doc, ...]
    tail: str
    separator: str = ", "

    @cached_property
    def text(self) -> str:
        return self.head + self.separator.join(map(flat, self.items)) + self.tail

    @property
    def is_call(self) -> bool:
        """Whether the items may share a line of their own; those of a list or tuple may not."""
        return self.head.endswith("(") and self.head != "("


Doc: TypeAlias = str | Bracket


def flat(doc: Doc) -> str:
    """The text of `doc` on one line."""
    return doc if isinstance(doc, str) else doc.text


def layout(doc: Doc, indent: int, before: str = "", after: str = "") -> list[str]:
    """The lines of `before`, `doc` and `after` from column `indent` on."""
    pad = " " * indent
    line = f"{pad}{before}{flat(doc)}{after}"
    if isinstance(doc, str) or len(line) <= WIDTH or not doc.items:
        return [line]
    body = " " * (indent + 4) + doc.separator.join(map(flat, doc.items))
    inner = [body] if doc.is_call and len(body) <= WIDTH else _one_a_line(doc, indent + 4)
    return [f"{pad}{before}{doc.head}", *inner, f"{pad}{doc.tail}{after}"]


def _one_a_line(doc: Bracket, indent: int) -> list[str]:
    alone = len(doc.items) == 1 and doc.is_call
    comma = "" if alone or doc.separator != ", " else ","
    return [line for item in doc.items for line in layout(item, indent, after=comma)]


@final
@dataclass(frozen=True)
class Code:
    """An expression.

    `depth` counts the calls nested in it, `heavy` tells that it runs a layer with weights, and
    `names` are the local variables it reads, once for every time.
    """

    doc: Doc
    binds: int = ATOM
    depth: int = 0
    heavy: bool = False
    names: tuple[str, ...] = ()
    index: tuple[Code, tuple[str, ...]] | None = None
    """The value and the entries of an index expression, `x[:, 0:1]`."""

    @property
    def text(self) -> str:
        return flat(self.doc)

    @property
    def is_name(self) -> bool:
        return len(self.names) == 1 and self.text == self.names[0]

    def within(self, binds: int) -> str:
        """The text where something that binds so tightly stands around it."""
        return self.text if self.binds >= binds else f"({self.text})"


def variable(name: str) -> Code:
    """A local variable, read once."""
    return Code(name, names=(name,))


Argument: TypeAlias = "Code | Doc"


def _doc(argument: Argument) -> Doc:
    return argument.doc if isinstance(argument, Code) else argument


def _over(doc: Doc, parts: Iterable[Argument], *, deeper: int = 1, binds: int = ATOM) -> Code:
    """An expression over `parts`."""
    codes = [part for part in parts if isinstance(part, Code)]
    return Code(
        doc,
        binds,
        max((code.depth for code in codes), default=0) + deeper,
        any(code.heavy for code in codes),
        tuple(name for code in codes for name in code.names),
    )


def _arguments(arguments: Iterable[Argument], named: dict[str, object]) -> tuple[Doc, ...]:
    keywords = [f"{name}={literal(value)}" for name, value in named.items()]
    return (*map(_doc, arguments), *keywords)


def call(function: str, *arguments: Argument, **named: object) -> Code:
    """`function(arguments, name=value)`."""
    return _over(Bracket(f"{function}(", _arguments(arguments, named), ")"), arguments)


def method(value: Code, name: str, *arguments: Argument, **named: object) -> Code:
    """`value.name(arguments)`."""
    head = f"{value.within(ATOM)}.{name}("
    return _over(Bracket(head, _arguments(arguments, named), ")"), (value, *arguments))


def values(items: Iterable[Code]) -> Code:
    """A list of values."""
    codes = tuple(items)
    return _over(Bracket("[", tuple(code.doc for code in codes), "]"), codes, deeper=0)


def binary(left: Code, operator: str, right: Code) -> Code:
    """`left operator right`, grouped from the left."""
    binds = SUM if operator in "+-" else PRODUCT
    text = f"{left.within(binds)} {operator} {right.within(binds + 1)}"
    return _over(text, (left, right), deeper=0, binds=binds)


def negative(value: Code) -> Code:
    """`-value`."""
    return _over(f"-{value.within(ATOM)}", (value,), deeper=0, binds=PRODUCT)


def index(value: Code, entries: tuple[str, ...]) -> Code:
    """`value[entries]`; one index of another becomes one where both can be read together."""
    if value.index is not None:
        base, before = value.index
        joined = _joined(before, entries)
        if joined is not None:
            return index(base, joined)
    while entries and entries[-1] == ":":
        entries = entries[:-1]
    code = _over(f"{value.within(ATOM)}[{', '.join(entries)}]", (value,), deeper=0)
    return replace(code, index=(value, entries))


def _joined(first: tuple[str, ...], then: tuple[str, ...]) -> tuple[str, ...] | None:
    """One index for two, where the second takes no part of an axis that the first did."""
    if any(":" not in entry for entry in first):
        return None
    left, joined = list(first), list[str]()
    for entry in then:
        before = left.pop(0) if left and entry != "None" else ":"  # None is no axis of the first
        if before != ":" and entry != ":":
            return None
        joined.append(entry if before == ":" else before)
    return (*joined, *left)


def literal(value: object) -> str:
    """A constant as it is written."""
    match value:
        case bool() | None:
            return repr(value)
        case int():
            return repr(int(value))
        case str():
            return f'"{value}"'
        case float() if value.is_integer() and abs(value) >= 1e6:
            digits, _, exponent = f"{value:.15e}".partition("e+")
            short = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
            return short if float(short) == value else repr(value)
        case tuple():
            inner = ", ".join(map(literal, value))
            return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)
