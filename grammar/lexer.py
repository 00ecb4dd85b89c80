"""The first reading of a text: characters become tokens, comments are set aside.

Nothing stops it. What is no token is reported and read as what was most likely meant, so that
the parser finds a clean list and its own messages are about grammar alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple, final

from xgraph.diagnostics import Report, printable
from xgraph.grammar.habits import CHARACTERS, OPERATORS, WORDS, Habit
from xgraph.grammar.tree import Comment
from xgraph.source import Source, Span


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DECLARATION_KEYWORDS = words(
    "network param dim use modality let block superlayer fusion connect route each output"
)
KEYWORDS = DECLARATION_KEYWORDS | words(
    "xgraph if then else repeat as by with via and or not true false"
)

NEWLINE = "_NL"
SYMBOLS = {
    "->": "ARROW",
    "..": "DOTDOT",
    "**": "POWER",
    "//": "FLOOR_DIVIDE",
    "==": "EQUAL",
    "!=": "UNEQUAL",
    "<=": "AT_MOST",
    ">=": "AT_LEAST",
    "<": "LESS",
    ">": "MORE",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "DIVIDE",
    "%": "MODULO",
    "=": "_EQUALS",
    ":": "_COLON",
    ",": "_COMMA",
    ".": "_DOT",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    "{": "LBRACE",
    "}": "RBRACE",
}

MAX_DIGITS = 18
MAX_FLOAT_TEXT = 40
MAX_MISTAKES = 12
MAX_TOKENS = 500_000


class Token(NamedTuple):
    """A terminal of the grammar, its text and its place. A token without text was made up."""

    type: str
    text: str
    span: Span


@final
class TooManyMistakes(Exception):
    """The text is not worth reading on."""


def _any_of(words: dict[str, Habit] | dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_PATTERN = re.compile(
    "|".join(
        f"(?P<{kind}>{pattern})"
        for kind, pattern in {
            "foreign_comment": r'/\*[\s\S]*?\*/|"""[\s\S]*?"""|(?m:^)[ \t]*//[^\n]*',
            "space": r"[ \t\r\f\v]+|\A\ufeff",
            "word": r"[^\W\d]\w*",
            "newline": r"[\n;](?:[ \t\r\f\v]*[\n;])*",
            "comment": r"\#[^\n]*",
            "open_number": r"[0-9]+\.(?![.\w\[])",
            "number": r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?!\w)",
            "digit_word": r"[0-9]+(?:\.[0-9]+)?\w*",
            "string": r'"(?:[^"\\\n]|\\["\\])*"',
            "odd_string": r'"(?:[^"\\\n]|\\.)*"',
            "open_string": r'"[^"\n)\]},;\#]*',
            "single_quoted": r"'[^'\"\n]*'",
            "operator": rf"(?!!=)(?:{_any_of(OPERATORS)})",
            "symbol": _any_of(SYMBOLS),
            "odd": r"[\s\S]",
        }.items()
    )
)


def lex(source: Source, report: Report) -> tuple[list[Token], tuple[Comment, ...]]:
    """The tokens of `source`, every line break among them, and its comments."""
    lexer = _Lexer(source, report)
    lexer.run()
    return lexer.tokens, tuple(lexer.comments)


def shown(text: str) -> str:
    """`text` for a message: readable, and not long."""
    return printable(text if len(text) <= 40 else f"{text[:37]}...")


def _plain(text: str) -> str:
    """The name nearest to `text`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


@final
class _Lexer:
    def __init__(self, source: Source, report: Report) -> None:
        self.source = source
        self.report = report
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        self._mistakes = 0
        self._last_newline = -1

    def run(self) -> None:
        readers = {
            kind: getattr(self, f"_{kind}") for kind in _PATTERN.groupindex if kind != "space"
        }
        for match in _PATTERN.finditer(self.source.text):
            kind = match.lastgroup or ""
            if kind in readers:
                readers[kind](match[0], Span(self.source, match.start(), match.end()))

    def _mistake(self, id: str, message: str, span: Span, help: str) -> None:  # noqa: A002
        self._mistakes += 1
        if self._mistakes > MAX_MISTAKES:
            raise TooManyMistakes
        self.report.error(id, message, span, help=help)

    def _add(self, kind: str, text: str, span: Span) -> None:
        if len(self.tokens) >= MAX_TOKENS:
            help_ = f"at most {MAX_TOKENS} words and signs are read; spread it over several files"
            self.report.error("file-too-large", "this text is too long", span, help=help_)
            raise TooManyMistakes
        self.tokens.append(Token(kind, text, span))

    # ---------------------------------------------------------------- what the language has

    def _word(self, text: str, span: Span) -> None:
        if text in KEYWORDS:
            self._add(text.upper(), text, span)
        elif text in WORDS:
            self._foreign(text, WORDS[text], span)
        else:
            self._add("NAME", _plain(text), span)
            if not text.isascii():
                self._mistake(
                    "bad-character",
                    f"`{shown(text)}` is not a name",
                    span,
                    "a name is made of ASCII letters, digits and `_`",
                )

    def _newline(self, text: str, span: Span) -> None:
        if "\n" in text:
            self._last_newline = span.start
        self._add(NEWLINE, ";" if ";" in text else "\n", span)

    def _comment(self, text: str, span: Span) -> None:
        text = text.rstrip()
        own_line = not self.tokens or self.tokens[-1].span.start <= self._last_newline
        span = Span(self.source, span.start, span.start + len(text))
        self.comments.append(Comment(text=text, own_line=own_line, span=span))

    def _number(self, text: str, span: Span) -> None:
        whole = text.isdigit()
        if len(text) > (MAX_DIGITS if whole else MAX_FLOAT_TEXT) or float(text) == float("inf"):
            self._mistake(
                "number-too-large",
                "this number is too large",
                span,
                f"a whole number has at most {MAX_DIGITS} digits, any other at most"
                f" {MAX_FLOAT_TEXT} characters and a finite value",
            )
            text = "0" if whole else "0.0"
        self._add("INT" if whole else "FLOAT", text, span)

    def _string(self, text: str, span: Span) -> None:
        self._add("STRING", text, span)

    def _symbol(self, text: str, span: Span) -> None:
        self._add(SYMBOLS[text], text, span)

    # ----------------------------------------------------------------- what it does not have

    def _digit_word(self, text: str, span: Span) -> None:
        self._add("NAME", f"_{_plain(text)}", span)
        self._mistake(
            "bad-number",
            f"`{shown(text)}` is neither a number nor a name",
            span,
            "a name begins with a letter or `_`; a number is decimal, as `12` or `0.5`",
        )

    def _open_number(self, text: str, span: Span) -> None:
        self._add("INT", text[:-1], span)
        help_ = f"write `{text}0`"
        self._mistake("bad-number", f"a digit must follow `{text}`", span, help_)

    def _odd_string(self, text: str, span: Span) -> None:
        self._add("STRING", '""', span)
        help_ = 'the escapes are `\\"` and `\\\\`'
        self._mistake("unknown-escape", "this string has an unknown escape", span, help_)

    def _open_string(self, text: str, span: Span) -> None:
        self._add("STRING", '""', span)
        help_ = 'close it with `"` on the same line'
        self._mistake("unterminated-string", "this string is never closed", span, help_)

    def _single_quoted(self, text: str, span: Span) -> None:
        self._add("STRING", '""', span)
        help_ = f'write `"{shown(text[1:-1])}"`'
        self._mistake("foreign-syntax", "strings stand in double quotes", span, help_)

    def _foreign_comment(self, text: str, span: Span) -> None:
        start = span.end - len(text.lstrip())
        help_ = "begin each line of a comment with `#`"
        span = Span(self.source, start, min(span.end, start + 3))
        self._mistake("foreign-syntax", "a comment begins with `#`", span, help_)

    def _operator(self, text: str, span: Span) -> None:
        self._foreign(text, OPERATORS[text], span)

    def _foreign(self, text: str, habit: Habit, span: Span) -> None:
        self._read_as(habit, span)
        self._mistake("foreign-syntax", f"`{text}` means nothing here", span, habit.help)

    def _odd(self, text: str, span: Span) -> None:
        habit = CHARACTERS.get(text, Habit(None, "remove it"))
        self._read_as(habit, span)
        message = f"`{shown(text)}` is no character of the language"
        self._mistake("bad-character", message, span, habit.help)

    def _read_as(self, habit: Habit, span: Span) -> None:
        for word in (habit.ours or "").split():
            self._add(SYMBOLS.get(word, word.upper()), word, span)
