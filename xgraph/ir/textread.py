"""The parser behind `xgraph.ir.text.read`: from a graph's text to plain data.

Each statement is a line. What it finds is plain data, which `restore` checks; `Spans` tell
where each part of that stood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn, TypeAlias, TypeVar, final

from xgraph.diagnostics import did_you_mean, fail
from xgraph.ir.plain import MAX_DEPTH, Plain
from xgraph.ir.restore import FORMAT, VERSION, Data
from xgraph.source import Source, Span

Spans: TypeAlias = dict[tuple[str, int | str], Span]

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_WORD = re.compile(r"[^\W\d]\w*")
_VALUE = re.compile(r"%(\w+)")
_INDEX = re.compile(r"\.(\d{1,9})")
_COUNT = re.compile(r"\d{1,10}")
_TYPE = re.compile(r"\w+\[[^\]]*\]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?(?![\w.]|\s*[-+*/])")
_QUOTE = re.compile('(?=")')
_JSON = json.JSONDecoder()
_DIM = re.compile(r"[\w(\-][\w()+\-*/ ]*")
_WORDS: dict[str, Plain] = {"none": None, "true": True, "false": False}


def parse(source: Source) -> tuple[Data, Spans]:
    """The plain data that `source` shows, and where its parts stand."""
    return _Parser(source).graph()


@final
class _Cursor:
    """A place in one line, which begins at `base` of the source."""

    def __init__(self, source: Source, base: int, text: str) -> None:
        self._source = source
        self._base = base
        self._text = text
        self._at = 0

    @property
    def line(self) -> Span:
        indent = len(self._text) - len(self._text.lstrip())
        return self._source.span(self._base + indent, self._base + len(self._text.rstrip()))

    def bad(self, message: str, help: str | None = None) -> NoReturn:  # noqa: A002
        span = self._source.span(self._base + self._at, self._base + len(self._text))
        raise fail("malformed-graph", message, span=span, help=help)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What `pattern` matches here, white space before it left out; moves past it."""
        while self._text[self._at : self._at + 1] in (" ", "\t", "\r"):
            self._at += 1
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def need(self, pattern: re.Pattern[str], what: str) -> str:
        found = self.match(pattern)
        return found[0] if found else self.bad(f"expected {what}")

    def take(self, literal: str) -> bool:
        return self.match(_literal(literal)) is not None

    def expect(self, literal: str) -> None:
        if not self.take(literal):
            self.bad(f"expected `{literal}`")

    def finish(self) -> None:
        if self.match(re.compile(r"\S")):
            self._at -= 1
            self.bad("this does not belong here")

    def listed(self, item: Callable[[], T], close: str = "") -> list[T]:
        """`item`s with commas between, up to `close`."""
        if close and self.take(close):
            return []
        found = [item()]
        while self.take(","):
            found.append(item())
        if close:
            self.expect(close)
        return found

    def name(self) -> str:
        """A plain name or a quoted one."""
        found = self.match(_NAME)
        return found[0] if found else self.text("a name")

    def text(self, what: str = "a quoted text") -> str:
        if not self.match(_QUOTE):
            self.bad(f"expected {what}")
        try:
            text, self._at = _JSON.raw_decode(self._text, self._at)
        except ValueError as error:
            self.bad(f"this is no text: {error}")
        return str(text)

    # ------------------------------------------------------------------------- values

    def value(self, depth: int = 0) -> Plain:
        """An attribute value, in its plain form."""
        if depth > MAX_DEPTH:
            self.bad(f"values nest deeper than {MAX_DEPTH}")
        if self.take("["):
            return self.listed(lambda: self.value(depth + 1), "]")
        if self.take("{"):
            return self.items(depth + 1)
        if self.take("'"):
            return {"word": self.name()}
        if self.match(_QUOTE):
            return self.text()
        if number := self.match(_NUMBER):
            return self.number(number[0])
        return self.named(depth)

    def number(self, text: str) -> int | float:
        try:
            return float(text) if re.search(r"[.eE]", text) else int(text)
        except ValueError as error:  # more digits than Python reads
            self.bad(str(error))

    def named(self, depth: int) -> Plain:
        """What begins with a name: a constant, an initialiser, a layer, an axis or a size."""
        before = self._at
        if word := self.match(_WORD):
            if self.take("("):
                return {"init": word[0], "args": self.listed(self.argument, ")")}
            if self.take("{"):
                return {"layer": word[0], "attrs": self.items(depth + 1)}
            if self.take("="):
                return {"axis": word[0], "size": self.integer()}
            self._at = before
        text = self.need(_DIM, "a value").strip()
        return _WORDS.get(text, {"dim": text})

    def argument(self) -> float:
        return float(self.number(self.need(_NUMBER, "a number")))

    def integer(self) -> int:
        return int(self.need(_COUNT, "an integer"))

    def items(self, depth: int = 0) -> Data:
        """`name=value`s up to a closing brace."""

        def item() -> tuple[str, Plain]:
            name = self.name()
            self.expect("=")
            return name, self.value(depth)

        return dict(self.listed(item, "}"))


def _literal(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text) + (r"\b" if text[-1].isalnum() else ""))


_STATEMENTS = ("output", "point", "scope", "digest", "meta", "prelude")


@final
class _Parser:
    """The statements of a text, collected into plain data."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._data: Data = {
            "format": FORMAT, "version": VERSION, "prelude": [], "nodes": [], "scopes": [],
            "points": {}, "outputs": {}, "digests": {}, "meta": {},
        }  # fmt: skip
        self._spans: Spans = {}
        self._values: dict[str, tuple[int, int]] = {}
        """Number and count of outputs of each node, by its name in the text."""
        self._scopes: dict[str, int] = {}
        self._inside: list[tuple[Data, str, str, _Cursor]] = []
        """Scopes named before they were seen: where, which key, the name, and who to blame."""

    def graph(self) -> tuple[Data, Spans]:
        lines = self._lines()
        head = lines.pop(0) if lines else self._empty()
        head.expect("graph")
        self._data["name"] = head.name()
        self._data["level"] = head.name()
        head.expect("{")
        head.finish()
        last = lines.pop() if lines else head
        for line in lines:
            self._statement(line)
        last.expect("}")
        last.finish()
        for item, key, name, line in self._inside:
            item[key] = self._known(self._scopes, name, f"scope `{name}`", line)
        return self._data, self._spans

    def _empty(self) -> _Cursor:
        return _Cursor(self._source, 0, self._source.text)

    def _lines(self) -> list[_Cursor]:
        """Every line that is not blank."""
        lines, start = [], 0
        for text in self._source.text.split("\n"):
            if text.strip():
                lines.append(_Cursor(self._source, start, text))
            start += len(text) + 1
        return lines

    def _statement(self, line: _Cursor) -> None:
        if line.match(re.compile("(?=%)")):
            self._node(line)
        elif line.take("output"):
            self._place("outputs", line)
        elif line.take("point"):
            self._place("points", line)
        elif line.take("scope"):
            self._scope(line)
        elif line.take("digest"):
            name = line.name()
            self._data["digests"][name] = line.text()
        elif line.take("meta"):
            name = line.name()
            self._data["meta"][name] = line.text()
        elif line.take("prelude"):
            self._data["prelude"].append(line.text())
        else:
            line.bad(f"expected a value or one of {', '.join(f'`{s}`' for s in _STATEMENTS)}")
        line.finish()

    def _node(self, line: _Cursor) -> None:
        number = len(self._data["nodes"])
        self._spans["nodes", number] = line.line
        name = line.need(_VALUE, "a value")
        count = line.integer() if line.take(":") else 1
        line.expect("=")
        node: Data = {"op": line.need(_WORD, "an op")}
        line.expect("(")
        node["inputs"] = line.listed(lambda: self._input(line), ")")
        if line.take("{"):
            node["attrs"] = line.items()
        if line.take(":"):
            node["types"] = line.listed(lambda: line.need(_TYPE, "a type"))
        if line.take("@"):
            node["address"] = line.name()
        if line.take("rebinds"):
            node["rebinds"] = line.listed(line.name)
        self._in_scope(node, "scope", line)
        self._data["nodes"].append(node)
        if self._values.setdefault(name, (number, count)) != (number, count):
            line.bad(f"`{name}` is made twice")

    def _input(self, line: _Cursor) -> list[Plain]:
        port = line.match(_WORD)
        if port:
            line.expect("=")
        return [*self._ref(line), *([port[0]] if port else [])]

    def _ref(self, line: _Cursor) -> list[Plain]:
        name = line.need(_VALUE, "a value such as `%1`")
        number, count = self._known(self._values, name, f"value `{name}` before this", line)
        index = line.match(_INDEX)
        if count > 1 and not index:
            line.bad(f"`{name}` has {count} outputs: say which, as in `{name}.0`")
        return [number, int(index[1]) if index else 0]

    def _known(self, table: dict[str, T], name: str, what: str, line: _Cursor) -> T:
        if name not in table:
            line.bad(f"there is no {what}", did_you_mean(name, table))
        return table[name]

    def _place(self, section: str, line: _Cursor) -> None:
        name = line.name()
        line.expect("=")
        self._data[section][name] = self._ref(line)
        self._spans[section, name] = line.line

    def _scope_name(self, line: _Cursor) -> tuple[str, str, str]:
        """Its name in the text, its kind and its address."""
        kind = line.need(_WORD, "a kind of scope")
        line.expect(":")
        address = line.name()
        number = f"#{line.integer()}" if line.take("#") else ""
        return f"{kind}:{address}{number}", kind, address

    def _scope(self, line: _Cursor) -> None:
        number = len(self._data["scopes"])
        name, kind, address = self._scope_name(line)
        scope: Data = {"kind": kind, "address": address}
        self._in_scope(scope, "parent", line)
        if line.take("loose"):
            scope["loose"] = True
        if line.take("{"):
            scope |= line.items()
        self._data["scopes"].append(scope)
        self._spans["scopes", number] = line.line
        if self._scopes.setdefault(name, number) != number:
            line.bad(f"scope `{name}` is declared twice")

    def _in_scope(self, item: Data, key: str, line: _Cursor) -> None:
        if line.take("in"):
            self._inside.append((item, key, self._scope_name(line)[0], line))
