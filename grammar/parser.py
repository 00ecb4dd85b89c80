"""Text to syntax tree.

A text is cut into tokens as a whole, its brackets are mended, and each statement at its top is
parsed by itself. Where one makes no sense, that is reported, the innermost statement round the
place is left out, and the rest is parsed again: so one run shows every mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias, final

from xgraph.diagnostics import Diagnostic, Report
from xgraph.grammar import machine
from xgraph.grammar.brackets import balance, nested_too_deep
from xgraph.grammar.explain import explain
from xgraph.grammar.lexer import MAX_MISTAKES, NEWLINE, Token, TooManyMistakes, lex
from xgraph.grammar.lines import (
    DECLARATIONS,
    closing,
    settle,
    split,
    statement_around,
    too_deep,
    without,
)
from xgraph.grammar.machine import Start, Stuck
from xgraph.grammar.transform import Header, Refused
from xgraph.grammar.tree import Comment, Declaration, Document, Expression
from xgraph.source import Source

VERSION = 1
MAX_CHARACTERS = 4 * 1024 * 1024


def parse(source: Source, report: Report) -> Document:
    """Everything of `source` that can be read; what cannot is in `report`."""
    tokens, comments, spoken_of = _tokens(source, report)
    reader = _Reader(report, spoken_of)
    lines = [reader.read(line, "line") for line in split(tokens)]
    header = _header([line for line in lines if line is not None], report)
    declarations = tuple(line for line in lines if line and not isinstance(line, Header))
    start, end = (tokens[0].span.start, tokens[-1].span.end) if tokens else (0, 0)
    return Document(
        version=header,
        declarations=declarations,
        comments=comments,
        span=source.span(start, end),
    )


def parse_expression(source: Source, report: Report) -> Expression | None:
    """The one expression that is all of `source`, as behind `--set name=`."""
    found = Report()
    tokens, _, spoken_of = _tokens(source, found)
    value: Expression | None = _Reader(found, spoken_of).read(tokens, "chain")
    if value is None and not found.errors:
        found.error("missing-value", "there is no value here", source.span(0, 0))
    for diagnostic in found:
        report.add(diagnostic)
    return None if found.errors else value


_Tokens: TypeAlias = tuple[list[Token], tuple[Comment, ...], frozenset[int]]


def _tokens(source: Source, report: Report) -> _Tokens:
    """The tokens of `source` as the grammar has them, its comments, and where the tokens stand
    whose statements have been spoken of."""
    if len(source.text) > MAX_CHARACTERS:
        report.error(
            "file-too-large",
            f"this text has {len(source.text)} characters, at most {MAX_CHARACTERS} are read",
            source.span(0, 0),
        )
        return [], (), frozenset()
    try:
        tokens, comments = lex(source, report)
        balanced, spoken_of = balance(tokens, report)
    except TooManyMistakes:
        return [], (), frozenset()
    return settle(balanced), comments, spoken_of


def _header(lines: Sequence[Header | Declaration], report: Report) -> int | None:
    """The version the file states, if it states one."""
    for i, line in enumerate(lines):
        if not isinstance(line, Header):
            continue
        if i > 0:
            help_ = "make it the first line of the file"
            report.error("misplaced-header", "`xgraph` heads a file", line.span, help=help_)
        elif line.version != VERSION:
            report.error(
                "unknown-version",
                f"version {line.version} of the language is not known",
                line.span,
                help=f"this xgraph reads version {VERSION}",
            )
    first = lines[0] if lines else None
    return first.version if isinstance(first, Header) else None


@final
class _Reader:
    """Reads statement after statement until a dozen mistakes are found."""

    def __init__(self, report: Report, spoken_of: frozenset[int]) -> None:
        self.report = report
        self.spoken_of = spoken_of
        self.left = MAX_MISTAKES

    def read(self, tokens: list[Token], start: Start) -> Any:
        """What `tokens` build without the statements in them that make no sense."""
        while tokens and self.left > 0:
            mistake = _nested_too_deep(tokens)
            if mistake is None:
                try:
                    return machine.run(tokens, start)
                except Stuck as stuck:
                    mistake = stuck.index, explain(tokens, stuck, start)
                except Refused as refused:
                    mistake = _place(tokens, refused.diagnostic), refused.diagnostic
            tokens = self._leave_out(tokens, *mistake)
        return None

    def _leave_out(self, tokens: list[Token], index: int, diagnostic: Diagnostic) -> list[Token]:
        begin, end = statement_around(tokens, index)
        if not any(self._is_spoken_of(token) for token in tokens[begin:end]):
            self.report.add(diagnostic)
        self.left -= 1
        for body in _bodies(tokens[begin:end], index - begin):
            self.read(body, "line")
        return without(tokens, begin, end)

    def _is_spoken_of(self, token: Token) -> bool:
        return token.text == "" or token.span.start in self.spoken_of


def _bodies(statement: Sequence[Token], mistake: int) -> Iterator[list[Token]]:
    """The bodies behind the mistake in the header of a statement: each with a made-up header, to
    be read for the mistakes within."""
    end = 0
    for i in range(mistake, len(statement)):
        if i < end or statement[i].type != "LBRACE":
            continue
        if i > 1 and statement[i - 2].type == "_EQUALS":
            return
        end = closing(statement, i) + 1
        body = statement[i:end]
        header: tuple[str, ...] = ("BLOCK", "NAME", "LPAR", "RPAR")
        if statement[0].type == "EACH" or _holds_declarations(body):
            header = ("EACH", "NAME")
        yield [*(Token(kind, "", body[0].span) for kind in header), *body]


def _holds_declarations(body: Sequence[Token]) -> bool:
    return any(
        token.type in DECLARATIONS - {"LET"} and before.type in ("LBRACE", NEWLINE)
        for before, token in pairwise(body)
    )


def _nested_too_deep(tokens: Sequence[Token]) -> tuple[int, Diagnostic] | None:
    index = too_deep(tokens)
    return None if index is None else (index, nested_too_deep(tokens[index].span))


def _place(tokens: Sequence[Token], diagnostic: Diagnostic) -> int:
    assert diagnostic.label is not None
    start = diagnostic.label.span.start
    return next(i for i, token in enumerate(tokens) if token.span.start == start)
