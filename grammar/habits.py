"""What people bring along from other languages, by its spelling.

The lexer reads a foreign character, operator or word as the one of ours that was meant, and says
so; the parser never sees it. Words that are names here as well (`class`, `for`) are only spoken of
where a statement goes wrong beside one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Habit:
    """`ours` is what is read in its place, None for nothing at all."""

    ours: str | None
    help: str


_ARROW = Habit("->", "layers are chained with `->`")
_AND = Habit("and", "write `and`")
_OR = Habit("or", "write `or`")
_POWER = Habit("**", "a power is written `**`")
_TIMES = Habit("*", "write `*`")
_MINUS = Habit("-", "write a plain `-`")
_QUOTE = Habit(None, 'strings stand in straight double quotes, `"..."`')
_SPACE = Habit(None, "put a plain space in its place")

OPERATORS = {
    "=>": _ARROW,
    "|>": _ARROW,
    ">>": _ARROW,
    "|": _ARROW,
    "&&": _AND,
    "&": _AND,
    "||": _OR,
    "!": Habit("not", "write `not`"),
    "^": _POWER,
}

CHARACTERS = {
    "→": _ARROW,
    "⇒": _ARROW,
    "⟶": _ARROW,
    "➜": _ARROW,
    "\N{MULTIPLICATION SIGN}": _TIMES,
    "·": _TIMES,
    "⋅": _TIMES,
    "÷": Habit("/", "write `/`"),
    "\N{MINUS SIGN}": _MINUS,
    "\N{EN DASH}": _MINUS,
    "\N{EM DASH}": _MINUS,
    "≤": Habit("<=", "write `<=`"),
    "≥": Habit(">=", "write `>=`"),
    "≠": Habit("!=", "write `!=`"),
    "…": Habit("..", "write `..`"),
    "“": _QUOTE,
    "”": _QUOTE,
    "„": _QUOTE,
    "\N{LEFT SINGLE QUOTATION MARK}": _QUOTE,
    "\N{RIGHT SINGLE QUOTATION MARK}": _QUOTE,
    "\u00a0": _SPACE,
    "\u200b": _SPACE,
    "\u202f": _SPACE,
    "\u3000": _SPACE,
    "\ufeff": _SPACE,
    "\\": Habit(None, "a line goes on by itself where the next one begins with `->`"),
    "'": _QUOTE,
}

WORDS = {
    "True": Habit("true", "write `true`"),
    "False": Habit("false", "write `false`"),
    "None": Habit("false", "there is no `None`: leave the argument out"),
    "elif": Habit("else if", "write `else if`"),
}

# Names that mean something elsewhere, and what to write here.
FOREIGN_NAMES = {
    "def": "a reusable piece is a block: `block name(a, b = 2) { ... }`",
    "fn": "a reusable piece is a block: `block name(a, b = 2) { ... }`",
    "func": "a reusable piece is a block: `block name(a, b = 2) { ... }`",
    "function": "a reusable piece is a block: `block name(a, b = 2) { ... }`",
    "lambda": "a reusable piece is a block: `block name(a, b = 2) { ... }`",
    "class": "a network is made of `superlayer`s, a reusable piece is a `block`",
    "import": 'the blocks of another file come with `use "blocks.xg"`',
    "from": 'the blocks of another file come with `use "blocks.xg"`',
    "include": 'the blocks of another file come with `use "blocks.xg"`',
    "for": "repeat a body with `repeat 3 as i { ... }`",
    "while": "repeat a body with `repeat 3 as i { ... }`",
    "loop": "repeat a body with `repeat 3 as i { ... }`",
    "return": "a body gives what its last statement gives: drop `return`",
    "var": "give a value a name with `let name = value`",
    "const": "give a value a name with `let name = value`",
    "set": "give a value a name with `let name = value`",
    "input": "an input is a modality: `modality image: [3, 32, 32]`",
    "model": "name the network with `network name`",
}
