"""From the names of kernels to the parts of a network.

A kernel is called by the address of a layer, with what a runtime adds: `fused y.fc1`,
`y.b1.relu1_nchwc`, `y.b1.gelu1/Erf`. A layer that stands for those of several paths is called
`path_all.b1.conv1`; its part is `path[*]`, which no `.xg` declares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import final

from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph
from xgraph.report import Part

_ADDED = re.compile(r"(_nchwc|_token_\d+|_\d+)$")
"""What runtimes and passes put behind the name of a layer."""
_JOINT = "_all"


@final
@dataclass
class Line:
    """A part, and how long all within it takes."""

    part: Part
    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)
    is_joint: bool = False

    @property
    def stem(self) -> str:
        """Of a part of an array, what the others share with it."""
        stem, _, last = self.part.address.rpartition(".")
        return stem if last.isdigit() else ""

    def shortened(self) -> Line | None:
        """It without what takes no time."""
        inner = [short for line in self.lines if (short := line.shortened())]
        return replace(self, lines=inner) if self.seconds else None

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Line]]:
        yield depth, self
        for line in self.lines:
            yield from line.walk(depth + 1)


@final
class Places:
    """The parts of a network, and which of them a kernel belongs to."""

    def __init__(self, parts: Iterable[Part], graph: Graph) -> None:
        """Parts of the network as written, and the tensor-level graph that runs."""
        parts = list(parts)
        written = {part.address for top in parts for _, part in top.walk()}
        heads = {head for node in graph.nodes() for head in _prefixes(node.address)}
        self._joint = {head for head in heads - written if head.endswith(_JOINT)}
        self._scoped = {
            node.address: key for node in graph.nodes() if (key := _key_of_scope(node.scope))
        }
        self._lines = self._made(parts)
        self._known: dict[str, Line] = {}
        for top in self._lines:
            for _, line in top.walk():
                self._known.setdefault(_key(line.part), line)

    def _made(self, parts: Iterable[Part]) -> list[Line]:
        """A line for each part, and one before those of which some run as one."""
        found: dict[str, Line] = {}
        for part in parts:
            line = Line(part, lines=self._made(part.parts))
            address = f"{line.stem or part.address}{_JOINT}"
            if address in self._joint and address not in found:
                found[address] = Line(
                    joint := _joint(part, address), lines=self._made(joint.parts), is_joint=True
                )
            found[f"{_key(part)} {len(found)}"] = line
        return list(found.values())

    def of(self, name: str) -> str | None:
        """The innermost part that a kernel belongs to, as a key for `tree`; None if its name does
        not tell."""
        for word in reversed(name.split(" ")):
            address = word.partition("/")[0]
            for candidate in _stripped(address):
                if candidate in self._scoped:
                    return self._scoped[candidate]
            for prefix in _prefixes(address):
                for key in (*_stripped(prefix), f"output {prefix}"):
                    if key in self._known:
                        return key
        return None

    def tree(self, seconds: Mapping[str, float]) -> list[Line]:
        """The lines of all parts, with the times that were measured of some of them and of what is
        within. Where some run as one, what takes no time of its own is left out."""
        return self._timed(self._lines, seconds)

    def _timed(self, lines: Iterable[Line], seconds: Mapping[str, float]) -> list[Line]:
        found = []
        for line in lines:
            inner = self._timed(line.lines, seconds)
            key = _key(line.part)
            own = seconds.get(key, 0.0) if self._known[key] is line else 0.0
            took = own + sum(child.seconds for child in inner)
            found.append(replace(line, seconds=took, lines=inner))
        joint = {line.part.address for line in found if line.is_joint and line.seconds}
        kept = [line for line in found if line.seconds or not line.is_joint]
        return [
            told
            for line in kept
            if (told := line.shortened() if f"{line.stem}{_JOINT}" in joint else line)
        ]


def _joint(part: Part, address: str) -> Part:
    """What stands for a part and its likes, at an address of its own."""
    stem, _, last = part.name.rpartition("[")
    others = f"{stem}[*]" if stem and last[:-1].isdigit() else f"{part.name} and others"
    return _moved(replace(part, name=others), address)


def _moved(part: Part, address: str) -> Part:
    parts = [_moved(p, address + p.address.removeprefix(part.address)) for p in part.parts]
    return replace(part, address=address, parts=parts)


def _key(part: Part) -> str:
    """What a part is known by: its address, with its kind where others may have the same."""
    match part.kind:
        case "output":
            return f"output {part.address}"
        case "each":
            return f"each {part.name}"
    return part.address


def _key_of_scope(scope: scopes.Scope | None) -> str | None:
    """The part that a layer belongs to, where its address does not tell."""
    if isinstance(scope, scopes.Each):
        return f"each {scope.axis}"
    around = scope.chain() if scope is not None else ()
    return next((f"output {s.address}" for s in around if isinstance(s, scopes.Output)), None)


def _stripped(name: str) -> Iterator[str]:
    """A name, and it without the last things that were put behind it."""
    yield name
    while (shorter := _ADDED.sub("", name)) != name:
        name = shorter
        yield name


def _prefixes(address: str) -> Iterator[str]:
    """`a.b.c`, `a.b`, `a`."""
    while address:
        yield address
        address = address.rpartition(".")[0]
