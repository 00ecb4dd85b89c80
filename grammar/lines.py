"""Where statements end, and how deep they go: what a list of tokens says without a grammar.

A line break separates two statements unless one of them plainly goes on. `settle` drops the
breaks that separate nothing, so that the grammar needs no rule for them; the rest of this room
finds a statement round a token, which is what the parser leaves out when it makes no sense.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xgraph.grammar.lexer import DECLARATION_KEYWORDS, NEWLINE, Token, words

CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
OPENERS = {closer: opener for opener, closer in CLOSERS.items()}

DECLARATIONS = frozenset(word.upper() for word in DECLARATION_KEYWORDS)
OPERATORS = words(
    "PLUS MINUS STAR DIVIDE FLOOR_DIVIDE MODULO POWER"
    " EQUAL UNEQUAL LESS AT_MOST MORE AT_LEAST AND OR NOT"
)
_GOES_ON_AFTER = OPERATORS | {"ARROW", "_COMMA", "_EQUALS", "_COLON"}
_GOES_ON_BEFORE = words("ARROW ELSE THEN VIA WITH BY AND OR LBRACE")

MAX_DEPTH = 64
_DEEPER = OPERATORS | {"_DOT", "IF", "REPEAT"}
_AFRESH = words("_COMMA ARROW _EQUALS _COLON VIA WITH BY") | {NEWLINE}


def starts_statement(tokens: Sequence[Token], i: int) -> bool:
    """Whether the token at `i` can only be the first of a statement: a keyword or a label."""
    token = tokens[i]
    if token.type in ("NAME", "THEN"):
        return i + 1 < len(tokens) and tokens[i + 1].type == "_COLON"
    return token.type in DECLARATIONS


def goes_on(tokens: Sequence[Token], i: int) -> bool:
    """Whether the line behind the line break at `i` belongs to the statement before it."""
    return i + 1 < len(tokens) and _continues(tokens, i + 1)


def _continues(tokens: Sequence[Token], i: int) -> bool:
    """Whether no statement begins with the token at `i`; `then:` is the key of a space."""
    return tokens[i].type in _GOES_ON_BEFORE and not starts_statement(tokens, i)


def settle(tokens: Sequence[Token]) -> list[Token]:
    """`tokens` with those line breaks only that separate two statements."""
    out: list[Token] = []
    brackets: list[str] = []
    separator: Token | None = None
    for i, token in enumerate(tokens):
        if token.type == NEWLINE:
            if separator is None or token.text == ";":
                separator = token
            continue
        if separator is not None and _separates(out, separator, tokens, i, brackets):
            out.append(separator)
        separator = None
        _track(brackets, token)
        out.append(token)
    return out


def _separates(
    out: list[Token], separator: Token, tokens: Sequence[Token], i: int, brackets: list[str]
) -> bool:
    before, after = out[-1].type if out else "LBRACE", tokens[i].type
    if separator.text == ";" and brackets and brackets[-1] != "LBRACE":
        return True
    if before == "LBRACE" or after == "RBRACE":
        return False
    if separator.text == ";":
        return True
    if (brackets and brackets[-1] != "LBRACE") or _continues(tokens, i):
        return False
    return before not in _GOES_ON_AFTER or starts_statement(tokens, i)


def _track(brackets: list[str], token: Token) -> None:
    if token.type in CLOSERS:
        brackets.append(token.type)
    elif token.type in OPENERS and brackets:
        brackets.pop()


def split(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The statements at the top of `tokens`, whose brackets match."""
    line: list[Token] = []
    depth = 0
    for token in tokens:
        if token.type == NEWLINE and depth == 0:
            yield line
            line = []
            continue
        depth += (token.type in CLOSERS) - (token.type in OPENERS)
        line.append(token)
    if line:
        yield line


def surroundings(tokens: Sequence[Token], i: int) -> tuple[list[str], int]:
    """The brackets open before the token at `i`, and where its statement starts."""
    brackets: list[str] = []
    starts = [0]
    for j, token in enumerate(tokens[:i]):
        _track(brackets, token)
        if token.type == "LBRACE":
            starts.append(j + 1)
        elif token.type == "RBRACE":
            starts.pop()
        elif token.type == NEWLINE and (not brackets or brackets[-1] == "LBRACE"):
            starts[-1] = j + 1
    return brackets, starts[-1]


def statement_around(tokens: Sequence[Token], i: int) -> tuple[int, int]:
    """The range of the innermost statement that holds the token at `i`, or ends there."""
    brackets, start = surroundings(tokens, i)
    depth = 0
    while brackets and brackets[-1] != "LBRACE":
        brackets.pop()
        depth += 1
    for j in range(i, len(tokens)):
        kind = tokens[j].type
        if depth == 0 and kind in (NEWLINE, "RBRACE"):
            return start, j
        depth += (kind in CLOSERS) - (kind in OPENERS)
    return start, len(tokens)


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Where the bracket that opens at `opening` is closed."""
    depth = 0
    for i in range(opening, len(tokens)):
        depth += (tokens[i].type in CLOSERS) - (tokens[i].type in OPENERS)
        if depth == 0:
            return i
    return len(tokens) - 1


def without(tokens: Sequence[Token], start: int, end: int) -> list[Token]:
    """`tokens` without the statement `[start, end)` and one separator beside it."""
    if end < len(tokens) and tokens[end].type == NEWLINE:
        end += 1
    elif start > 0 and tokens[start - 1].type == NEWLINE:
        start -= 1
    return [*tokens[:start], *tokens[end:]]


def too_deep(tokens: Sequence[Token]) -> int | None:
    """Where `tokens` nest deeper than is read.

    Every operator, bracket, `if` and `repeat` since the last separator can be one level of the
    tree (what is behind `}` lies no deeper for it), so their number bounds its depth: whoever
    walks the tree may do so by recursion.
    """
    levels = [0]
    depth = 0
    for i, token in enumerate(tokens):
        if token.type in CLOSERS:
            levels[-1] += 1
            levels.append(0)
            depth += 1
        elif token.type in OPENERS:
            depth -= levels.pop()
            if token.type == "RBRACE":
                levels[-1] -= 1
                depth -= 1
        elif token.type in _AFRESH:
            depth -= levels[-1]
            levels[-1] = 0
        elif token.type in _DEEPER:
            levels[-1] += 1
            depth += 1
        if depth > MAX_DEPTH:
            return i
    return None
