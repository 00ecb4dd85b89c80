"""Brackets that do not match, mended before the grammar is asked.

A missing bracket moves every statement after it to another level, and a parser would complain of
each. So it is found here, from what a person sees: line starts, columns, and which kind of
bracket there is too little of. What is put in has no text; the parser keeps quiet about a
statement that holds such a token, since it has been spoken of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from xgraph.diagnostics import Label, Report
from xgraph.grammar.lexer import MAX_MISTAKES, NEWLINE, SYMBOLS, Token
from xgraph.grammar.lines import CLOSERS, DECLARATIONS, OPENERS, starts_statement
from xgraph.source import Span

_TEXT = {kind: text for text, kind in SYMBOLS.items()}
_WITH_BODY = frozenset("BLOCK SUPERLAYER FUSION EACH IF REPEAT".split())


def balance(tokens: list[Token], report: Report) -> list[Token]:
    """`tokens` with matching brackets."""
    return tokens if _is_balanced(tokens) else _Mender(tokens, report).run()


def _is_balanced(tokens: Sequence[Token]) -> bool:
    brackets: list[str] = []
    for token in tokens:
        if token.type in CLOSERS:
            brackets.append(token.type)
        elif token.type in OPENERS and (
            not brackets or brackets.pop() != OPENERS[token.type]
        ):
            return False
    return not brackets


@final
@dataclass
class _Open:
    """An open bracket, the column where its line begins, whether a line within it begins to the
    right of that, and whether it awaits a body."""

    token: Token
    column: int
    indented: bool = False
    awaits_body: bool = False


@final
@dataclass
class _Header:
    """A statement that should open a body: its keyword, its level, where `{` would go."""

    keyword: Token
    depth: int
    after_inputs: int | None = None
    end: int | None = None


@final
class _Mender:
    def __init__(self, tokens: list[Token], report: Report) -> None:
        self.tokens = tokens
        self.report = report
        self.out: list[Token] = []
        self.open: list[_Open] = []
        self.header: _Header | None = None
        self.column = 1
        self._mistakes = 0
        kinds = Counter(token.type for token in tokens)
        self.missing = {opener: kinds[opener] - kinds[CLOSERS[opener]] for opener in CLOSERS}

    def run(self) -> list[Token]:
        at_start = True
        for i, token in enumerate(self.tokens):
            if at_start and token.type != NEWLINE:
                self._line(i)
            self._take(token)
            at_start = token.type == NEWLINE
        while self.open:
            self._unclosed(None)
        return self.out

    def _line(self, i: int) -> None:
        token = self.tokens[i]
        self.column = token.span.column
        while self.open and self._ends_before(i, self.open[-1]):
            self._unclosed(token)
        if self.open and self.column > self.open[-1].column:
            self.open[-1].indented = True
        if token.type in _WITH_BODY:
            self.header = _Header(token, len(self.open))

    def _ends_before(self, i: int, bracket: _Open) -> bool:
        """Whether the line at `i` cannot lie within `bracket`."""
        if bracket.token.type != "LBRACE":
            return starts_statement(self.tokens, i)
        return (
            (bracket.indented or self.missing["LBRACE"] > 0)
            and self.tokens[i].type in DECLARATIONS - {"LET"}
            and self.column <= bracket.column
        )

    def _take(self, token: Token) -> None:
        if token.type in CLOSERS:
            self._opener(token)
        elif token.type in OPENERS:
            self._closer(token, OPENERS[token.type])
        else:
            self._other(token)

    def _other(self, token: Token) -> None:
        if token.type == "REPEAT" and self.open:
            self.open[-1].awaits_body = True
        header = self.header
        if token.type == NEWLINE and header and header.depth == len(self.open):
            header.end = header.end or len(self.out)
        self.out.append(token)

    def _opener(self, token: Token) -> None:
        if token.type == "LBRACE":
            while self.open and self.open[-1].token.type != "LBRACE":
                if self.open[-1].awaits_body:
                    break
                self._unclosed(token)
            if self.open:
                self.open[-1].awaits_body = False
            if self.header and self.header.depth == len(self.open):
                self.header = None
        self.open.append(_Open(token, self.column))
        self.out.append(token)

    def _closer(self, token: Token, opener: str) -> None:
        top = self.open[-1].token.type if self.open else None
        if top != opener:
            token = self._mismatch(token, opener)
        if token.text:
            self.open.pop()
            self.out.append(token)
            if self.header and self.header.depth == len(self.open):
                self.header.after_inputs = self.header.after_inputs or len(self.out)

    def _mismatch(self, token: Token, opener: str) -> Token:
        """What to read for a closer that does not match the innermost bracket."""
        top = self.open[-1].token.type if self.open else "LBRACE"
        opened = any(bracket.token.type == opener for bracket in self.open)
        if opened and self.missing[opener] >= 0:
            while self.open[-1].token.type != opener:
                self._unclosed(token)
            return token
        if top != "LBRACE" and self.missing[top] > 0:
            return self._replaced(token, opener)
        if opener == "LBRACE" and self._put_opening_brace(token):
            return token
        self._error("stray-bracket", f"`{token.text}` closes nothing", token.span, "remove it")
        self.missing[opener] += 1
        return token._replace(text="")

    def _replaced(self, token: Token, opener: str) -> Token:
        top = self.open[-1].token
        closer = CLOSERS[top.type]
        self.missing[top.type] -= 1
        self.missing[opener] += 1
        self._error(
            "mismatched-bracket",
            f"`{top.text}` is closed by `{token.text}`",
            token.span,
            f"write `{_TEXT[closer]}`",
            Label(top.span, "opened here"),
        )
        return Token(closer, _TEXT[closer], token.span)

    def _put_opening_brace(self, closer: Token) -> bool:
        header = self.header
        if header is None or header.depth != len(self.open):
            return False
        at = header.end or header.after_inputs
        if at is None:
            return False
        span = _end_of(self.out[at - 1])
        self._error(
            "missing-brace",
            f"the body of this `{header.keyword.text}` is not opened",
            span,
            "put `{` here",
            Label(closer.span, "it is closed here"),
        )
        brace = Token("LBRACE", "", span)
        self.out.insert(at, brace)
        self.open.append(_Open(brace, self.column))
        self.missing["LBRACE"] += 1
        self.header = None
        return True

    def _unclosed(self, before: Token | None) -> None:
        """Close the innermost bracket before the token `before`, or the end of the text."""
        opener = self.open.pop().token
        closer = CLOSERS[opener.type]
        self.missing[opener.type] -= 1
        breaks = self._pop_breaks()
        span = _end_of(self.out[-1])
        place = Label(before.span if before else span, f"`{_TEXT[closer]}` is missing before this")
        if before is None:
            place = Label(span, f"`{_TEXT[closer]}` is missing here")
        self._error(
            "unclosed-bracket",
            f"`{opener.text}` is never closed",
            opener.span,
            f"close it with `{_TEXT[closer]}`",
            place,
        )
        self.out += [Token(closer, "", span), *breaks]

    def _pop_breaks(self) -> list[Token]:
        breaks: list[Token] = []
        while self.out[-1].type == NEWLINE:
            breaks.append(self.out.pop())
        return breaks[::-1]

    def _error(self, id: str, message: str, span: Span, help: str, *notes: Label) -> None:  # noqa: A002
        self._mistakes += 1
        if self._mistakes <= MAX_MISTAKES:
            self.report.error(id, message, span, notes=notes, help=help)


def _end_of(token: Token) -> Span:
    return token.span.source.span(token.span.end, token.span.end)
