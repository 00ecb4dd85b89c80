"""What every kind of space says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, final

from xgraph.grammar import tree as t
from xgraph.space.algebra import Pick, Region
from xgraph.space.making import Maker


@final
class Filling(NamedTuple):
    """What stands in the place of a space: a body, and the blocks it uses."""

    body: t.Body
    blocks: tuple[t.Block, ...] = ()


class Kind(ABC):
    """A space for the body of a super-layer or fusion."""

    @property
    @abstractmethod
    def region(self) -> Region:
        """What there is to decide, in rows."""

    @property
    @abstractmethod
    def options(self) -> str:
        """The decisions in words, for a table."""

    @property
    def features(self) -> tuple[t.Expression, ...]:
        """All that its networks may read of others."""
        return ()

    @abstractmethod
    def filling(self, pick: Pick, maker: Maker) -> Filling:
        """The body of a pick."""
