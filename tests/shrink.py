"""Making a `.xg` that shows a mistake as short as possible, by leaving parts of it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def shrunk(text: str, fails: Callable[[str], bool], tries: int = 300) -> str:
    """`text` without the lines, bodies and stages that it takes to fail; `fails` is asked at most
    `tries` times."""
    left = tries
    smaller = True
    while smaller and left:
        smaller = False
        for candidate in _candidates(text):
            if not left:
                break
            left -= 1
            if fails(candidate):
                text, smaller = candidate, True
                break
    return text


def _candidates(text: str) -> Iterator[str]:
    lines = text.splitlines()
    for start in reversed(range(len(lines))):
        end = _end(lines, start)
        if end is not None:
            yield _joined([*lines[:start], *lines[end:]])
    for number, line in enumerate(lines):
        for shorter in _without_a_stage(line):
            yield _joined([*lines[:number], shorter, *lines[number + 1 :]])


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _end(lines: list[str], start: int) -> int | None:
    """Where the lines end that go with the one at `start`: its body, if it opens one."""
    depth = 0
    for number in range(start, len(lines)):
        depth += lines[number].count("{") - lines[number].count("}")
        if depth <= 0:
            return number + 1 if depth == 0 else None
    return None


def _without_a_stage(line: str) -> Iterator[str]:
    """The line without one `-> stage` each time, and with one of two arguments."""
    depth, cuts = 0, list[int]()
    for at, sign in enumerate(line):
        depth += (sign in "([") - (sign in ")]")
        if line.startswith(" -> ", at):
            cuts.append(at)
    for cut in cuts:
        yield line[:cut] + line[_stage_end(line, cut + 4) :]


def _stage_end(line: str, at: int) -> int:
    """Where the stage that begins at `at` ends."""
    depth = 0
    for position in range(at, len(line)):
        depth += (line[position] in "([") - (line[position] in ")]")
        if depth < 0 or (depth == 0 and (line[position] == "," or line.startswith(" ", position))):
            return position
    return len(line)
