"""`randomnet` in a fusion: layers that take any cells as deep as themselves, or less deep.

A row of a pick is (bits of the first modality, bits of the next, ..., p): which of the cells of
depth 1, 2, ... the layer takes, and which activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

from xgraph.diagnostics import Report
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.space.algebra import Leaf, Pick, Product
from xgraph.space.kind import Filling, Kind
from xgraph.space.making import Maker
from xgraph.space.settings import Settings

KEYS = ("features", "layers", "units", "skip", "activations", "then")


def bit(chance: float) -> Leaf:
    """Something that is there or not."""
    return Leaf(2, 0, () if chance == 0.5 else (1 - chance, chance))


@final
@dataclass(frozen=True)
class RandomFusion(Kind):
    groups: tuple[tuple[t.Expression, ...], ...]
    layers: int
    units: t.Expression
    skip: float
    activations: tuple[t.Expression, ...]
    then: t.Expression | None

    def _in_reach(self, depth: int) -> list[t.Expression]:
        """The features that the layer of a depth may take."""
        return [feature for group in self.groups for feature in group[:depth]]

    @cached_property
    def region(self) -> Product:
        return Product(tuple(map(self._row, range(1, self.layers + 1))))

    def _row(self, depth: int) -> Product:
        bits = [bit(self.skip) for _ in self._in_reach(depth)]
        return Product((*bits, Leaf(len(self.activations))))

    @property
    def options(self) -> str:
        bits = sum(len(self._in_reach(depth)) for depth in range(1, self.layers + 1))
        words = ", ".join(map(format_tree, self.activations))
        return f"{self.layers} layers, {bits} connections, each layer {words}"

    @property
    def features(self) -> tuple[t.Expression, ...]:
        return tuple(feature for group in self.groups for feature in group)

    def filling(self, pick: Pick, maker: Maker) -> Filling:
        statements: list[t.Statement] = [
            self._layer(depth, row, maker) for depth, row in enumerate(pick, 1)
        ]
        if self.then is not None:
            statements.append(maker.stage(None, self.then))
        return Filling(maker.body(statements))

    def _layer(self, depth: int, row: Pick, maker: Maker) -> t.Stage:
        *bits, activation = row
        reach = self._in_reach(depth)
        read = [feature for feature, taken in zip(reach, bits, strict=True) if taken]
        if depth == 1 and not read:  # a layer that takes nothing would be none
            read = reach
        return maker.stage(
            f"h{depth}",
            *maker.fused(read, f"h{depth - 1}" if depth > 1 else None),
            maker.call("linear", self.units),
            self.activations[activation],
        )


def read_random_fusion(space: t.Space, report: Report) -> RandomFusion:
    settings = Settings(space, KEYS, report)
    return RandomFusion(
        groups=settings.groups("features"),
        layers=settings.integer("layers", "3"),
        units=settings.needed("units", "256"),
        skip=settings.chance("skip"),
        activations=settings.layers("activations", "relu, tanh, identity, sigmoid"),
        then=settings.value("then"),
    )
