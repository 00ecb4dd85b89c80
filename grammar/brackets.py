"""Brackets that do not match, mended before the grammar is asked.

A missing bracket moves every statement after it to another level, and a parser would complain of
each. So it is found here, from what a person sees: line starts, columns, what a bracket may
stand behind, and which kind there is too much or too little of. The statements in question are
remembered, and the parser keeps quiet about them: they have been spoken of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from xgraph.diagnostics import Diagnostic, Label, Report
from xgraph.grammar.lexer import (
    MAX_MISTAKES,
    NEWLINE,
    SYMBOLS,
    Token,
    TooManyMistakes,
    words,
)
from xgraph.grammar.lines import (
    CLOSERS,
    DECLARATIONS,
    MAX_DEPTH,
    OPENERS,
    goes_on,
    starts_statement,
)
from xgraph.source import Span

_TEXT = {kind: text for text, kind in SYMBOLS.items()}
_WITH_BODY = words("BLOCK SUPERLAYER FUSION EACH IF REPEAT")
_AFTER_BODY = frozenset(["ARROW", "ELSE", "_COMMA", NEWLINE, *OPENERS])


def balance(tokens: list[Token], report: Report) -> tuple[list[Token], frozenset[int]]:
    """`tokens` with matching brackets, and where the tokens stand that were spoken of."""
    if _is_balanced(tokens):
        return tokens, frozenset()
    mender = _Mender(tokens, report)
    mender.run()
    return mender.out, frozenset(mender.spoken_of)


def nested_too_deep(span: Span) -> Diagnostic:
    return Diagnostic(
        "nested-too-deep",
        f"this nests more than {MAX_DEPTH} deep",
        Label(span),
        help="give parts of it a name with `let`, or make them a `block`",
    )


def _is_balanced(tokens: Sequence[Token]) -> bool:
    brackets: list[str] = []
    for token in tokens:
        if token.type in CLOSERS:
            brackets.append(token.type)
        elif token.type in OPENERS and (not brackets or brackets.pop() != OPENERS[token.type]):
            return False
    return not brackets


@final
@dataclass
class _Header:
    """A statement that should open a body: its keyword, and where `{` could go."""

    keyword: Token
    after_keyword: int
    after_inputs: int | None = None
    end: int | None = None

    @property
    def place(self) -> int | None:
        if self.keyword.type == "ELSE":
            return self.after_keyword
        return self.end or self.after_inputs


@final
@dataclass
class _Level:
    """What is open: the bracket (None for the text as a whole), the column where its line
    begins, and what has been read within.

    `indented`: a line began to the right of `column`. `awaits_body`: a word was read that a `{`
    may follow. `header`: the last statement that did not open its body yet. `thens`: so many
    `then` still have no `else`.
    """

    bracket: Token | None
    column: int
    indented: bool = False
    awaits_body: bool = False
    header: _Header | None = None
    thens: int = 0

    @property
    def kind(self) -> str:
        return self.bracket.type if self.bracket else ""


@final
class _Mender:
    def __init__(self, tokens: list[Token], report: Report) -> None:
        self.tokens = tokens
        self.report = report
        self.out: list[Token] = []
        self.spoken_of: set[int] = set()
        self.levels = [_Level(None, 0)]
        self.opened: Counter[str] = Counter()
        self.column = 1
        self._mistakes = 0
        kinds = Counter(token.type for token in tokens)
        self.missing = {opener: kinds[opener] - kinds[CLOSERS[opener]] for opener in CLOSERS}

    @property
    def top(self) -> _Level:
        return self.levels[-1]

    def run(self) -> None:
        at_start = True
        for i, token in enumerate(self.tokens):
            if at_start and token.type != NEWLINE:
                self._begin_line(i)
            self._take(i)
            at_start = token.type == NEWLINE
        while self.top.bracket:
            self._unclosed(None)

    def _begin_line(self, i: int) -> None:
        self.column = self.tokens[i].span.column
        while self._ends_before(i):
            self._unclosed(self.tokens[i])
        if self.column > self.top.column:
            self.top.indented = True

    def _ends_before(self, i: int) -> bool:
        """Whether the line at `i` cannot lie within the innermost bracket."""
        if self.top.kind != "LBRACE":
            return self.top.kind != "" and starts_statement(self.tokens, i)
        return (
            (self.top.indented or self.missing["LBRACE"] > 0)
            and self.tokens[i].type in DECLARATIONS - {"LET"}
            and self.column <= self.top.column
        )

    def _take(self, i: int) -> None:
        token = self.tokens[i]
        if token.type in CLOSERS:
            self._opener(token)
        elif token.type in OPENERS:
            self._closer(i, OPENERS[token.type])
        else:
            self._word(i)
            self.out.append(token)

    # --------------------------------------------------------------------------------- words

    def _word(self, i: int) -> None:
        token, header = self.tokens[i], self.top.header
        if token.type == NEWLINE and header and not goes_on(self.tokens, i):
            header.end = header.end or len(self.out)
        elif token.type == "THEN":
            self.top.thens += 1
            if header and header.keyword.type in ("IF", "ELSE"):
                self.top.header = None
        elif token.type == "ELSE" and self.top.thens > 0:
            self.top.thens -= 1
        elif token.type == "ELSE":
            self._else(token)
        elif token.type in _WITH_BODY:
            self._await_body(token)

    def _else(self, token: Token) -> None:
        behind = next((t.type for t in reversed(self.out) if t.type != NEWLINE), "")
        if behind != "RBRACE" and self.top.kind == "LBRACE" and self.missing["LBRACE"] > 0:
            self._unclosed(token)
        self._await_body(token)

    def _await_body(self, token: Token) -> None:
        self.top.awaits_body = True
        if not self._is_headed_still(token):
            self.top.header = _Header(token, len(self.out) + 1)

    def _is_headed_still(self, token: Token) -> bool:
        """Whether `token` is in the body, not opened, of the header before it."""
        header = self.top.header
        if header is None or header.end is None:
            return False
        return header.keyword.type == "EACH" or token.type not in DECLARATIONS

    # ------------------------------------------------------------------------------- openers

    def _opener(self, token: Token) -> None:
        if token.type == "LBRACE" and not self._may_open_body(token):
            self.missing["LBRACE"] -= 1
            self._stray(token, "opens no body here")
            return
        if token.type == "LBRACE":
            self.top.awaits_body = False
            if self.top.header and not self.top.header.end:
                self.top.header = None
        self._push(token)
        self.out.append(token)

    def _push(self, bracket: Token) -> None:
        if len(self.levels) > MAX_DEPTH:
            self.report.add(nested_too_deep(bracket.span))
            raise TooManyMistakes
        self.levels.append(_Level(bracket, self.column))
        self.opened[bracket.type] += 1

    def _pop(self) -> Token:
        bracket = self.levels.pop().bracket
        assert bracket is not None
        self.opened[bracket.type] -= 1
        return bracket

    def _may_open_body(self, token: Token) -> bool:
        while not self.top.awaits_body and self.top.kind in ("LPAR", "LSQB"):
            if self.missing[self.top.kind] <= 0:
                return False
            self._unclosed(token)
        return self.top.awaits_body or not self.top.bracket or self.missing["LBRACE"] <= 0

    # ------------------------------------------------------------------------------- closers

    def _closer(self, i: int, opener: str) -> None:
        token = self.tokens[i]
        early = opener == "LBRACE" and self._is_too_early(i)
        if early or self.top.kind != opener:
            mended = self._mended(token, opener, early)
            if mended is None:
                return
            token = mended
        self._pop()
        self.out.append(token)
        if self.top.header:
            self.top.header.after_inputs = self.top.header.after_inputs or len(self.out)

    def _is_too_early(self, i: int) -> bool:
        """Whether there are too many `}`, and what follows is still within the body."""
        if self.missing["LBRACE"] >= 0 or self.top.kind != "LBRACE":
            return False
        if self._closes_header(self.tokens[i]):
            return True
        match self.tokens[i + 1 : i + 3]:
            case [Token(text="\n"), following]:
                inside = following.span.column > self.top.column
                return inside and following.type != "RBRACE"
            case [following, *_]:
                return following.type not in _AFTER_BODY
        return False

    def _closes_header(self, closer: Token) -> bool:
        """Whether `closer` is on the line of a header without `{`, or right below it."""
        header = self.top.header
        if header is None or header.place is None:
            return False
        column = header.keyword.span.column
        return not header.end or self.top.column < column == closer.span.column

    def _mended(self, token: Token, opener: str, early: bool) -> Token | None:
        """What to read for a closer that does not close the innermost bracket."""
        if self.opened[opener] and not early and self.missing[opener] >= 0:
            while self.top.kind != opener:
                self._unclosed(token)
            return token
        if self.top.kind in ("LPAR", "LSQB") and self.missing[self.top.kind] > 0:
            return self._replaced(token, opener)
        if opener == "LBRACE" and self._put_opening_brace(token):
            return token
        self.missing[opener] += 1
        self._stray(token, "closes nothing")
        return None

    def _replaced(self, token: Token, opener: str) -> Token:
        bracket = self.top.bracket
        assert bracket is not None
        closer = CLOSERS[bracket.type]
        self.missing[bracket.type] -= 1
        self.missing[opener] += 1
        self._error(
            "mismatched-bracket",
            f"`{bracket.text}` is closed by `{token.text}`",
            token.span,
            f"write `{_TEXT[closer]}`",
            Label(bracket.span, "opened here"),
        )
        return Token(closer, _TEXT[closer], token.span)

    def _put_opening_brace(self, closer: Token) -> bool:
        header = self.top.header
        if header is None or header.place is None:
            return False
        span = _end_of(self.out[header.place - 1])
        self._error(
            "missing-brace",
            f"the body of this `{header.keyword.text}` is not opened",
            span,
            "put `{` here",
            Label(closer.span, "it is closed here"),
        )
        brace = Token("LBRACE", "{", span)
        self.out.insert(header.place, brace)
        self.spoken_of.add(header.keyword.span.start)
        self.top.header = None
        self._push(brace)
        self.missing["LBRACE"] += 1
        return True

    # ------------------------------------------------------------------------------ messages

    def _unclosed(self, before: Token | None) -> None:
        """Close the innermost bracket before the token `before`, or the end of the text."""
        opener = self._pop()
        closer = CLOSERS[opener.type]
        self.missing[opener.type] -= 1
        breaks = self._pop_breaks()
        end = _end_of(self.out[-1])
        place = "before this" if before else "here"
        self._error(
            "unclosed-bracket",
            f"`{opener.text}` is never closed",
            opener.span,
            f"close it with `{_TEXT[closer]}`",
            Label(before.span if before else end, f"`{_TEXT[closer]}` is missing {place}"),
        )
        self.spoken_of.add(opener.span.start)
        self.out += [Token(closer, _TEXT[closer], end), *breaks]

    def _pop_breaks(self) -> list[Token]:
        breaks: list[Token] = []
        while self.out[-1].type == NEWLINE:
            breaks.append(self.out.pop())
        return breaks[::-1]

    def _stray(self, token: Token, what: str) -> None:
        self._error("stray-bracket", f"`{token.text}` {what}", token.span, "remove it")
        if self.out:
            self.spoken_of.add(self.out[-1].span.start)

    def _error(self, id: str, message: str, span: Span, help: str, *notes: Label) -> None:  # noqa: A002
        self._mistakes += 1
        if self._mistakes <= MAX_MISTAKES:
            self.report.error(id, message, span, notes=notes, help=help)


def _end_of(token: Token) -> Span:
    return token.span.source.span(token.span.end, token.span.end)
