"""Pipelines: passes in a row, as text and back.

    xsertion{alpha=1 beta=2},route{kind=cc at=[c2, c4]}

A value is a word, a number, `[a, b]`, or a text in double quotes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from types import NoneType, UnionType
from typing import Any, Union, final, get_args, get_origin

from xgraph.diagnostics import Diagnostic, DiagnosticError, Label, Report, did_you_mean, fail
from xgraph.ir.graph import Graph
from xgraph.passes.contract import (
    FunctionPass,
    Option,
    Pass,
    PassLike,
    find_pass,
    options,
    spelt,
)
from xgraph.source import Source, Span

_TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<sign>[{},=])
    | (?P<list>\[(?:[^\[\]"]|\[[^\[\]]*\]|"[^"]*")*\])
    | "(?P<text>[^"]*)"
    | (?P<word>(?:[^\s{},="\[\]]|\[[^\[\]]*\])+)
    | (?P<bad>.)""",
    re.VERBOSE | re.DOTALL,
)
_ITEM = re.compile(r'\s*(?:"([^"]*)"|((?:[^,\[\]"]|\[[^\[\]]*\])*))\s*(?:,|$)')
_PARSED: dict[str, bool | None] = {"true": True, "false": False, "none": None}

Observer = Callable[[Pass, Graph, float], None]
"""Told of each pass that ran: the pass, the graph it made, and the seconds it took."""


@final
@dataclass(frozen=True)
class Pipeline:
    """Passes in the order in which they run."""

    passes: tuple[Pass, ...]

    @staticmethod
    def of(*passes: PassLike | str) -> Pipeline:
        """A pipeline of passes, functions and pipeline texts."""
        found: list[Pass] = []
        for given in passes:
            if isinstance(given, str):
                found += Pipeline.parse(given).passes
            elif isinstance(given, Pass):
                found.append(given)
            elif isinstance(given, type) or not callable(given):
                told = f"{given!r} is no pass: a text, a `Pass` or a function is wanted"
                raise fail("bad-pass", told, origin="Pipeline.of")
            else:
                found.append(FunctionPass(given))
        return Pipeline(tuple(found))

    @staticmethod
    def parse(text: str) -> Pipeline:
        """The pipeline of a text; `DiagnosticError` lists every mistake, with its place."""
        report = Report()
        passes = tuple(_Parser(text, report).run())
        report.raise_errors()
        return Pipeline(passes)

    def __str__(self) -> str:
        return ",".join(map(written, self.passes))

    def run(self, graph: Graph, observe: Observer | None = None) -> Graph:
        """What the passes make of `graph`, one after the other."""
        for step in self.passes:
            start = time.perf_counter()
            graph = step.run(graph).graph
            if observe is not None:
                observe(step, graph, time.perf_counter() - start)
        return graph


def written(step: Pass) -> str:
    """A pass as a pipeline has it: options that are as by default are left out."""
    values = ((f, getattr(step, f.name)) for f in fields(step))
    given = [f"{f.name}={spelt(value)}" for f, value in values if value != f.default]
    return f"{step.name}{{{' '.join(given)}}}" if given else step.name


@final
@dataclass(frozen=True)
class _Word:
    kind: str
    text: str
    span: Span


@final
class _Parser:
    """Reads one pipeline. A mistake in a pass leaves the others to be read."""

    def __init__(self, text: str, report: Report) -> None:
        self._source = Source("<pipeline>", text)
        self._report = report
        self._words = list(self._cut(text))
        self._at = 0
        self._broken = False
        """Whether the text cannot be read on from here."""

    def _cut(self, text: str) -> Iterator[_Word]:
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or "text"
            if kind != "space":
                yield _Word(kind, match[kind], self._source.span(*match.span()))

    def run(self) -> Iterator[Pass]:
        if not self._words:
            self._error("empty-pipeline", "the pipeline names no pass", self._end())
        while self._words and not self._broken:
            step = self._pass()
            if step is not None:
                yield step
            if self._at == len(self._words):
                return
            if not self._broken and self._take(",") is None:
                self._unexpected("a `,` between passes")

    def _pass(self) -> Pass | None:
        word = self._next("word", "the name of a pass")
        if word is None:
            return None
        given = self._options() if self._take("{") else {}
        kind, near = find_pass(word.text)
        if kind is None:
            self._error("unknown-pass", f"no pass is called `{word.text}`", word.span, near)
            return None
        return None if self._broken else self._made(kind, word, given)

    def _options(self) -> dict[str, tuple[_Word, _Word]]:
        found: dict[str, tuple[_Word, _Word]] = {}
        while not self._broken and self._take("}") is None:
            self._take(",")
            name = self._next("word", "an option, or `}`")
            if name is None or self._equals() is None:
                break
            value = self._next(None, f"a value for `{name.text}`")
            if value is None:
                break
            if name.text in found:
                self._error("duplicate-name", f"`{name.text}` is given twice", name.span)
            found[name.text] = name, value
        return found

    def _equals(self) -> _Word | None:
        found = self._take("=")
        if found is None:
            self._unexpected("`=` and a value")
        return found

    def _made(
        self, kind: type[Pass], word: _Word, given: dict[str, tuple[_Word, _Word]]
    ) -> Pass | None:
        known = {option.name: option for option in options(kind)}
        values, before = {}, len(self._report)
        for name, value in given.values():
            if name.text not in known:
                self._unknown(kind, name, known)
                continue
            found = _read(value, known[name.text].kind)
            if mistake := known[name.text].mistake(found):
                self._error("bad-option", mistake, value.span, _hint(found, known[name.text]))
            values[name.text] = found
        for option in known.values():
            if option.required and option.name not in given:
                told = f"`{kind.name}` needs `{option.name}`: {option.doc}"
                self._error("missing-option", told, word.span, f"for example `{kind.example}`")
        return self._checked(kind, values, word) if len(self._report) == before else None

    def _checked(self, kind: type[Pass], values: dict[str, Any], word: _Word) -> Pass | None:
        try:
            return kind(**values)
        except DiagnosticError as error:  # options that do not go together
            for found in error.diagnostics:
                self._error(found.id, found.message, word.span, found.help)
            return None

    def _unknown(self, kind: type[Pass], name: _Word, known: Iterable[str]) -> None:
        listed = ", ".join(f"`{option}`" for option in known)
        near = did_you_mean(name.text, known)
        near = near or (f"it has {listed}" if listed else "it has none")
        told = f"`{kind.name}` has no option `{name.text}`"
        self._error("unknown-option", told, name.span, near)

    # ------------------------------------------------------------------------------- words

    def _take(self, sign: str) -> _Word | None:
        word = self._words[self._at] if self._at < len(self._words) else None
        if word is None or word.kind != "sign" or word.text != sign:
            return None
        self._at += 1
        return word

    def _next(self, kind: str | None, wanted: str) -> _Word | None:
        word = self._words[self._at] if self._at < len(self._words) else None
        fits = word is not None and word.kind not in ("sign", "bad") and kind in (None, word.kind)
        if word is None or not fits:
            self._unexpected(wanted)
            return None
        self._at += 1
        return word

    def _unexpected(self, wanted: str) -> None:
        self._broken = True
        if self._at < len(self._words):
            word = self._words[self._at]
            told = f"`{self._source.text[word.span.start : word.span.end]}` stands here"
            self._error("bad-pipeline", f"{told}, and {wanted} is wanted", word.span)
        else:
            self._error("bad-pipeline", f"the text ends, and {wanted} is wanted", self._end())

    def _end(self) -> Span:
        return self._source.span(len(self._source.text), len(self._source.text))

    def _error(self, id: str, message: str, span: Span, help: str | None = None) -> None:  # noqa: A002
        self._report.add(Diagnostic(id, message, Label(span), help=help))


def _hint(value: Any, option: Option) -> str | None:
    words = [word for part in _parts(option.kind) for word in get_args(part)]
    return did_you_mean(value, words) if isinstance(value, str) else None


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _read(word: _Word, kind: Any) -> Any:
    """The value that a word stands for where `kind` is wanted; as text where it is no such."""
    kinds = _parts(kind)
    lists = [part for part in kinds if get_origin(part) is tuple]
    if word.kind == "list" and lists:
        item = get_args(lists[0])[0]
        return tuple(_scalar(text, (item,)) for text in _items(word.text[1:-1]))
    if word.kind == "text":
        value: Any = word.text
    else:
        value = _scalar(word.text, kinds)
    alone = lists and not any(part in (str,) for part in kinds) and value is not None
    return (_scalar(word.text, (get_args(lists[0])[0],)),) if alone else value


def _items(text: str) -> Iterator[str]:
    for match in _ITEM.finditer(text):
        item = match[1] if match[1] is not None else match[2].strip()
        if item or match[1] is not None:
            yield item


def _scalar(text: str, kinds: tuple[Any, ...]) -> Any:
    if text in _PARSED and (bool in kinds or NoneType in kinds):
        return _PARSED[text]
    if int in kinds and re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if float in kinds or int in kinds:
        try:
            return float(text)
        except ValueError:
            return text
    return text
