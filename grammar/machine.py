"""The parsing machine that Lark makes of xg.lark, driven token by token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias, cast, final

import lark
from lark.parsers.lalr_analysis import Shift
from lark.parsers.lalr_interactive_parser import InteractiveParser

from xgraph.grammar.lexer import KEYWORDS, NEWLINE, SYMBOLS, Token
from xgraph.grammar.transform import Builder

Start: TypeAlias = Literal["line", "chain"]

END = "$END"
TERMINALS = frozenset(
    ["NAME", "INT", "FLOAT", "STRING", NEWLINE, *SYMBOLS.values()]
    + [word.upper() for word in KEYWORDS]
)


@final
class Stuck(Exception):
    """The token at `index` cannot stand there; `state` is the machine's.

    It often says no more than that a name was read; `behind` is the sign or word behind which
    that was.
    """

    def __init__(self, index: int, state: int, behind: str) -> None:
        super().__init__(index, state, behind)
        self.index = index
        self.state = state
        self.behind = behind


@cache
def _machine() -> lark.Lark:
    """Making it takes a tenth of a second, so it waits for the first use."""
    grammar = files("xgraph.grammar").joinpath("xg.lark").read_text(encoding="utf-8")
    return lark.Lark(
        f"{grammar}\n%declare {' '.join(sorted(TERMINALS))}",
        parser="lalr",
        lexer="basic",
        start=["line", "chain"],
        transformer=Builder(),
    )


def run(tokens: Sequence[Token], start: Start) -> Any:
    """What `tokens` build, or `Stuck`."""
    cursor = _machine().parse_interactive(start=start)
    _feed(cursor, [*tokens, end_of(tokens)])
    return cursor.parser_state.value_stack[-1]


def accepted(tokens: Sequence[Token], start: Start) -> set[str]:
    """The terminals that can follow `tokens`."""
    cursor = _machine().parse_interactive(start=start)
    _feed(cursor, tokens)
    return set(cast(Any, cursor).accepts())


def _feed(cursor: InteractiveParser, tokens: Sequence[Token]) -> None:
    state = cursor.parser_state
    for i, token in enumerate(tokens):
        try:
            # Our tokens are not Lark's, but all the machine reads of one is its type.
            state.feed_token(cast(lark.Token, token), token.type == END)
        except lark.UnexpectedToken:
            behind = _entered_by().get(state.state_stack[-2:][0], "")
            raise Stuck(i, state.position, behind) from None


@cache
def _entered_by() -> dict[int, str]:
    """The symbol that leads to each state; there is but one."""
    states = _machine().parse_interactive(start="line").parser_state.parse_conf.states
    return {
        target: symbol
        for actions in states.values()
        for symbol, (action, target) in actions.items()
        if action is Shift
    }


def end_of(tokens: Sequence[Token]) -> Token:
    """The token that stands for the end of `tokens`."""
    last = tokens[-1].span
    return Token(END, "", last.source.span(last.end, last.end))
