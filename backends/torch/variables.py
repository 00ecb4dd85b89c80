"""The local variables of a `forward`: which hold what, and what they are called.

A name is free again once nothing that is still to be written reads it, so a chain goes on under
one name: `x = self.b1(x)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from typing import final

from xgraph.backends.torch.helpers import DEFINED
from xgraph.backends.torch.names import TAKEN, identifier

RESERVED = TAKEN | DEFINED | {"Outputs"}

_FOREVER = 2**31


def _safe(name: str) -> str:
    return identifier(name, RESERVED)


@final
@dataclass(frozen=True)
class Hint:
    """What to call a value: the stream it belongs to, and the step that made it."""

    stem: str
    label: str | None = None


@final
class Variables:
    """The names of one `forward`. A claim is a read that is still to be written."""

    def __init__(self) -> None:
        self._claims: Counter[str] = Counter()
        self._family: dict[str, str] = {}
        self._layers: set[str] = set()

    def hold(self, name: str, claims: int, family: str | None = None) -> None:
        """Let `name` hold a value that is read so many times."""
        self._claims[name] = claims
        self._family[name] = family or name

    def claim(self, name: str, claims: int) -> None:
        self._claims[name] += claims

    def is_free(self, name: str) -> bool:
        return not self._claims[name]

    def fresh(self, base: str) -> str:
        """A name that nothing had so far, and nothing else has from now on."""
        names = chain((base,), (f"{base}{number}" for number in count(1)))
        name = next(n for n in map(_safe, names) if n not in self._family)
        self.hold(name, _FOREVER)
        return name

    def layer(self, base: str) -> str:
        """A name for what a loop runs over, which never stands for a value."""
        if base not in self._layers:
            base = self.fresh(base)
            self._layers.add(base)
        return base

    def release(self, names: Iterable[str]) -> list[str]:
        """Drop a claim on each of `names`; those that are free now."""
        read = list(names)
        self._claims.subtract(read)
        return [name for name in dict.fromkeys(read) if self.is_free(name)]

    def pick(self, hint: Hint, freed: Iterable[str] = ()) -> str:
        """A free name for a value; `freed` are those that its own computation read last."""
        kin = [name for name in freed if self._family.get(name) == hint.stem]
        goes_on = kin or hint.stem != "x" or not hint.label
        first = hint.stem if goes_on else str(hint.label)
        for name in chain((_safe(first),), kin, self._others(hint)):
            if self.is_free(name):
                return name
        raise AssertionError("there is always another number")

    def _others(self, hint: Hint) -> Iterator[str]:
        yield _safe(hint.stem)
        if hint.label and hint.label != hint.stem:
            yield _safe(hint.label)
        if hint.stem == "x":
            yield from "yz"
        mark = "_" if hint.stem[-1:].isdigit() else ""
        for number in count(1):
            yield _safe(f"{hint.stem}{mark}{number}")
