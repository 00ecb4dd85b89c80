"""Damaged variants of `.xg` texts: what a slip of the hand, or of a program, leaves behind.

Variant `number` of a `seed` is the same in every run and on every machine, whichever others are
made, so a failure is reproduced from the two numbers alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

_TOKEN = re.compile(r"\s+|#[^\n]*|\"[^\"\n]*\"|[\d.]+|\w+|->|\.\.|\*\*|//|[=!<>]=|.", re.DOTALL)
_NUMBER = re.compile(r"\d+(\.\d+)?")

EXTREMES = (
    "0", "-1", "1", "2", "0.5", "-0.5", "3.7", "7", "64", "200", "256", "1000", "10000", "100000",
    "1000000000", "2147483647", "2147483648", "9223372036854775808", "9" * 400, "1e9", "1e-300",
    "1e308", "1e999", "10 ** 12", "10 ** 10 ** 10", "(1 / 0)", "(-3) // 2", "true", "[]",
    "[2, 3]", '"3"', "T", "N", "1_000", "0x10",
)  # fmt: skip
ODD = "\0\t\r\n \u00a0\u200b\u202e\ufeff\u0301é漢😀\"'`{}[]()#;:,.->=*/\\@$%&|~?!^"
WORDS = (
    "repeat 3 {", "repeat 1000000000 {", "if true {", "} else {", "}", "{", "each T {", "let",
    "via", "with", "by", "as", "then", "else", "connect", "route cc", "output", "block",
    "superlayer", "use", "modality", "dim", "param", "fusion", "network", "xgraph 1", "in",
    "index", "[*]", "[0]", "[0 .. 1]", ".in", ".out", "-> concat", "-> flatten", "-> linear(10)",
    "-> lstm(8)", "-> reshape(-1)", "-> split(2)",
)  # fmt: skip

Damage: TypeAlias = Callable[[str, Random, Sequence[str]], str]


def variant(texts: Sequence[str], seed: int, number: int) -> str:
    """A text of `texts` with one to four injuries."""
    random = Random(f"{seed} {number}")
    text = random.choice(texts)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        text = random.choice(DAMAGES)(text, random, texts)
    return text


def _span(random: Random, length: int, most: int) -> tuple[int, int]:
    """A range of up to `most` among `length` things."""
    start = random.randrange(length + 1)
    return start, min(length, start + random.randint(1, most))


def _pieces(cut: Callable[[str], list[str]]) -> Damage:
    """Deletes, doubles, swaps or moves what `cut` finds."""

    def damage(text: str, random: Random, texts: Sequence[str]) -> str:
        parts = cut(text)
        start, end = _span(random, len(parts), 3)
        other = random.randrange(len(parts) + 1)
        taken = parts[start:end]
        match random.randrange(4):
            case 0:
                parts[start:end] = []
            case 1:
                parts[start:start] = taken
            case 2:
                parts[start:end], parts[other : other + 1] = parts[other : other + 1], taken
            case _:
                parts[start:end] = []
                parts[other:other] = taken
        return "".join(parts)

    return damage


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _replaced_token(text: str, random: Random, texts: Sequence[str]) -> str:
    """A token gives way to another of this text or of another, mostly one of its kind."""
    parts = _TOKEN.findall(text)
    donor = _TOKEN.findall(random.choice([text, random.choice(texts)]))
    if not parts or not donor:
        return text
    place = random.randrange(len(parts))
    alike = [token for token in donor if _kind(token) == _kind(parts[place])]
    parts[place] = random.choice(alike if alike and random.random() < 0.8 else donor)
    return "".join(parts)


def _kind(token: str) -> str:
    if token[0].isalpha():
        return "word"
    return "number" if token[0].isdigit() else token[0]


def _inserted_words(text: str, random: Random, texts: Sequence[str]) -> str:
    parts = _TOKEN.findall(text)
    parts.insert(random.randrange(len(parts) + 1), f" {random.choice(WORDS)} ")
    return "".join(parts)


def _odd_character(text: str, random: Random, texts: Sequence[str]) -> str:
    start, end = _span(random, len(text), 1)
    return text[:start] + random.choice(ODD) + text[random.choice((start, end)) :]


def _extreme_number(text: str, random: Random, texts: Sequence[str]) -> str:
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return text
    chosen = random.choice(numbers)
    return text[: chosen.start()] + random.choice(EXTREMES) + text[chosen.end() :]


def _spliced(text: str, random: Random, texts: Sequence[str]) -> str:
    """Lines of another text in place of some of this one."""
    parts, donor = _lines(text), _lines(random.choice(texts))
    start, end = _span(random, len(parts), 6)
    first, last = _span(random, len(donor), 12)
    parts[start : random.choice((start, end))] = donor[first:last]
    return "".join(parts)


def _crossed(text: str, random: Random, texts: Sequence[str]) -> str:
    """The first part of this text and the last of another."""
    other = random.choice(texts)
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other) + 1) :]


def _truncated(text: str, random: Random, texts: Sequence[str]) -> str:
    return text[: random.randrange(len(text) + 1)]


DAMAGES: tuple[Damage, ...] = (
    _pieces(_TOKEN.findall), _pieces(_TOKEN.findall), _pieces(_lines), _pieces(list),
    _replaced_token, _replaced_token, _inserted_words, _odd_character, _extreme_number,
    _extreme_number, _spliced, _crossed, _truncated,
)  # fmt: skip
"""Those that leave a text nearly whole stand twice: they reach furthest into the builder."""
