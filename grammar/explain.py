"""Why a statement makes no sense: from the place where the parser got stuck to a diagnostic.

The explanations are tried from the most telling to the most general. The last one always fits: it
names what was found and what could stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from string import Template
from typing import TypeAlias, final

from xgraph.diagnostics import Diagnostic, Label, Report
from xgraph.grammar import machine
from xgraph.grammar.habits import FOREIGN_NAMES
from xgraph.grammar.lexer import (
    DECLARATION_KEYWORDS,
    KEYWORDS,
    NEWLINE,
    SYMBOLS,
    Token,
    lex,
    shown,
    words,
)
from xgraph.grammar.lines import DECLARATIONS, OPERATORS, settle, split, surroundings
from xgraph.grammar.machine import END, Start, Stuck
from xgraph.grammar.mistakes import MISTAKES, Mistake
from xgraph.source import Source, Span

_TEXT = {kind: text for text, kind in SYMBOLS.items()}
_ENDS = {END, NEWLINE, "RBRACE"}
# A mistake is the same in the first statement or argument and in a later one.
_TELLING = frozenset(["ARROW", "_EQUALS", *(word.upper() for word in KEYWORDS)])
_NEXT_TO_FIRST = {NEWLINE: "LBRACE", "_COMMA": "LPAR", "LSQB": "LPAR"}


@final
@dataclass(frozen=True)
class _Place:
    """The place where the parser got stuck, and what surrounds it."""

    tokens: Sequence[Token]
    stuck: Stuck
    grammar: Start

    @cached_property
    def found(self) -> Token:
        i = self.stuck.index
        return self.tokens[i] if i < len(self.tokens) else machine.end_of(self.tokens)

    @cached_property
    def before(self) -> Token | None:
        i = self.stuck.index
        return self.tokens[i - 1] if i > 0 else None

    @cached_property
    def after(self) -> Token:
        i = self.stuck.index + 1
        return self.tokens[i] if i < len(self.tokens) else machine.end_of(self.tokens)

    @cached_property
    def _around(self) -> tuple[list[str], int]:
        return surroundings(self.tokens, self.stuck.index)

    @property
    def bracket(self) -> str:
        """The kind of the innermost bracket that is open."""
        brackets = self._around[0]
        return brackets[-1] if brackets else ""

    @property
    def start(self) -> int:
        """Where the statement starts."""
        return self._around[1]

    @cached_property
    def accepted(self) -> set[str]:
        return machine.accepted(self.tokens[: self.stuck.index], self.grammar)

    @property
    def key(self) -> _Key:
        """What tells one mistake from another."""
        kind = END if self.found.type in _ENDS else self.found.type
        behind = _NEXT_TO_FIRST.get(self.stuck.behind, self.stuck.behind)
        words = [token.type for token in self.tokens[self.start : self.stuck.index]]
        last = next((word for word in reversed(words) if word in _TELLING), "")
        return (self.stuck.state, behind, kind), (self.bracket, *words[:1], last)

    @property
    def span(self) -> Span:
        """The place of `found`; the end of a line is the end of what stands on it."""
        if self.found.type in (NEWLINE, END) and self.before:
            end = self.before.span.end
            return self.found.span.source.span(end, end)
        return self.found.span


_States: TypeAlias = tuple[int, str, str]
_Key: TypeAlias = tuple[_States, tuple[str, ...]]


def explain(tokens: Sequence[Token], stuck: Stuck, grammar: Start) -> Diagnostic:
    """What to say of the token at which the parser got stuck."""
    place = _Place(tokens, stuck, grammar)
    found = (rule(place) for rule in _RULES)
    return next(diagnostic for diagnostic in found if diagnostic is not None)


def _say(
    place: _Place, fault: str, message: str, help_: str, span: Span | None = None
) -> Diagnostic:
    return Diagnostic(fault, message, Label(span or place.span), help=help_)


# -------------------------------------------------------------------------------- the rules


def _foreign_comment(place: _Place) -> Diagnostic | None:
    """`conv(3) // the stem`"""
    line = place.span.line
    for token in place.tokens[place.start : place.stuck.index]:
        if token.type == "FLOOR_DIVIDE" and token.span.line == line:
            message = "`//` divides, a comment begins with `#`"
            return _say(place, "foreign-syntax", message, "write `#`", token.span)
    return None


def _foreign_word(place: _Place) -> Diagnostic | None:
    """`def pair(filters):`, `for i in 3 {`, `return x`"""
    first = place.tokens[place.start] if place.start < len(place.tokens) else place.found
    near = place.stuck.index - place.start <= 1
    for word in [first] if near else [place.before]:
        if word and word.type == "NAME" and word.text in FOREIGN_NAMES:
            message = f"`{word.text}` means nothing here"
            return _say(place, "foreign-syntax", message, FOREIGN_NAMES[word.text], word.span)
    return None


def _misspelt(place: _Place) -> Diagnostic | None:
    """`superlayr y(image) { ... }`"""
    if place.start >= len(place.tokens) or place.stuck.index - place.start > 1:
        return None
    word = place.tokens[place.start]
    top = "NAME" not in place.accepted and word is place.found
    if top and place.after.type in ("_COLON", "ARROW", "_EQUALS"):
        return None
    known = DECLARATION_KEYWORDS | {"if", "repeat"} if top else {"let", "if", "repeat"}
    near = get_close_matches(word.text, known, n=1, cutoff=0.7)
    if word.type != "NAME" or not near:
        return None
    message = f"`{word.text}` begins no " + ("declaration" if top else "statement")
    return _say(place, "unknown-keyword", message, f"did you mean `{near[0]}`?", word.span)


def _outside(place: _Place) -> Diagnostic | None:
    """`b1: conv(3)` at the top of a file."""
    if place.stuck.index != place.start or place.grammar != "line" or "LET" not in place.accepted:
        return None
    if "NAME" in place.accepted:
        return _misplaced_declaration(place)
    found = place.found
    if found.text in KEYWORDS - {"if", "not", "true", "false", "repeat"}:
        return None
    if place.after.type == "_EQUALS":
        message = f"`{shown(found.text)}` is given a value without `let` or `param`"
        help_ = "`let` names a value; `param` names one that can be set from outside"
        return _say(place, "missing-keyword", message, help_)
    help_ = "put it in the body of a `superlayer`, a `fusion` or a `block`"
    return _say(place, "misplaced-layer", "this stands outside of any declaration", help_)


def _misplaced_declaration(place: _Place) -> Diagnostic | None:
    found = place.found
    if found.type not in DECLARATIONS or place.after.type in ("_COLON", "ARROW", *_ENDS):
        return None
    message = f"`{found.text}` stands in a body"
    help_ = "a body holds layers, `let`, `if` and `repeat`; put this at the top of the file"
    return _say(place, "misplaced-declaration", message, help_)


def _by_example(place: _Place) -> Diagnostic | None:
    exact, loose = _examples()
    mistake = exact.get(place.key) or loose.get(place.key[0])
    if mistake is None:
        return None
    before = place.before or place.found
    first = place.tokens[place.start] if place.start < len(place.tokens) else before
    named = {"before": shown(before.text), "first": shown(first.text)}
    span = before.span if mistake.at == "before" else None
    message = Template(mistake.message).substitute(named)
    return _say(place, mistake.id, message, Template(mistake.help).substitute(named), span)


def _keyword_as_name(place: _Place) -> Diagnostic | None:
    """`let each = 3`"""
    word = place.found.text
    if word not in KEYWORDS or "NAME" not in place.accepted:
        return None
    message = f"`{word}` is a word of the language, not a name"
    return _say(place, "keyword-as-name", message, f"choose another name, as `{word}_`")


def _side_by_side(place: _Place) -> Diagnostic | None:
    """`conv(3) relu`, `conv(3 3)`, `a: relu b: relu`"""
    if "ARROW" not in place.accepted and not place.accepted & {NEWLINE, END}:
        return None
    found = place.found
    begins = found.type in DECLARATIONS | {"REPEAT", "IF"} or place.after.type == "_COLON"
    if place.before and place.before.type == "RBRACE":
        begins = begins or found.type in _BEGINS_VALUE
    if begins and place.accepted & {NEWLINE, END}:
        message = "a new statement begins here on the same line"
        help_ = "put it on a line of its own, or `;` before it"
        return _say(place, "missing-line-break", message, help_)
    if found.type not in _BEGINS_VALUE or "ARROW" not in place.accepted:
        return None
    if "_COMMA" in place.accepted:
        help_ = "separate the two with `,`, or chain them with `->`"
        return _say(place, "missing-comma", "there is no comma before this", help_)
    help_ = "chain layers with `->`, or put each on a line of its own"
    return _say(place, "missing-arrow", "there is no `->` before this", help_)


def _nothing_follows(place: _Place) -> Diagnostic | None:
    """`let x = 1 +`"""
    before = place.before
    if before is None or "NAME" not in place.accepted:
        return None
    if before.type == "NAME" or place.found.type not in _ENDS_VALUE:
        return None
    message = f"nothing follows this `{before.text}`"
    return _say(place, "missing-value", message, "complete it, or remove it", before.span)


def _anything(place: _Place) -> Diagnostic:
    options = list(dict.fromkeys(_in_words(place.accepted)))
    listed = ", ".join(options[:6]) + (", or something else" if len(options) > 6 else "")
    message = f"{_described(place.found)} cannot stand here"
    return _say(place, "unexpected-token", message, f"here could stand: {listed}")


_RULES: tuple[Callable[[_Place], Diagnostic | None], ...] = (
    _foreign_comment,
    _foreign_word,
    _misspelt,
    _by_example,
    _outside,
    _keyword_as_name,
    _side_by_side,
    _nothing_follows,
    _anything,
)

_ENDS_VALUE = _ENDS | OPERATORS | {"RPAR", "RSQB", "_COMMA", "ARROW"}
_BEGINS_VALUE = words("NAME INT FLOAT STRING TRUE FALSE NOT LPAR REPEAT IF")


def _described(token: Token) -> str:
    if token.type == END or token.text in ("\n", ""):
        return "the end of the line"
    return f"`{shown(token.text)}`"


def _in_words(accepted: set[str]) -> Iterator[str]:
    """What the terminals `accepted` are to a person, most telling first."""
    if "INT" in accepted and "NAME" in accepted:
        yield "a value"
        accepted = accepted - _BEGINS_VALUE - {"LSQB", "MINUS"}
    for kind, phrase in (("NAME", "a name"), ("INT", "a whole number"), ("STRING", "a string")):
        if kind in accepted:
            yield phrase
    if "PLUS" in accepted:
        yield "an operator"
    if accepted >= DECLARATIONS:
        yield "a declaration"
        accepted = accepted - DECLARATIONS
    for kind in ("ARROW", "LBRACE", "_COLON", "_EQUALS", "_COMMA", "LPAR", "RPAR", "RBRACE"):
        if kind in accepted:
            yield f"`{_TEXT[kind]}`"
    if accepted & {NEWLINE, END}:
        yield "the end of the line"
    for kind in sorted(accepted):
        if kind.lower() in KEYWORDS and kind not in ("AND", "OR"):
            yield f"`{kind.lower()}`"
    for kind in ("LSQB", "RSQB", "_DOT", "DOTDOT"):
        if kind in accepted:
            yield f"`{_TEXT[kind]}`"


# ----------------------------------------------------------------------------- the examples


@cache
def _examples() -> tuple[dict[_Key, Mistake], dict[_States, Mistake]]:
    """Where the example of each mistake gets stuck; and the same wherever it is, if no other
    mistake gets stuck alike."""
    exact: dict[_Key, Mistake] = {}
    alike: dict[_States, set[Mistake]] = {}
    for mistake in MISTAKES:
        for example in mistake.examples():
            key = stuck_at(example).key
            exact.setdefault(key, mistake)
            alike.setdefault(key[0], set()).add(mistake)
    return exact, {states: one.pop() for states, one in alike.items() if len(one) == 1}


def stuck_at(example: str) -> _Place:
    """The place where `example` goes wrong."""
    tokens, _ = lex(Source("example", example), Report())
    for line in split(settle(tokens)):
        try:
            machine.run(line, "line")
        except Stuck as stuck:
            return _Place(line, stuck, "line")
    raise LookupError(f"this example is no mistake: {example}")
