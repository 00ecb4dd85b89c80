"""`mfas`: fusion layers that take a feature of each modality and the layer before them.

Pérez-Rúa et al., "MFAS: multimodal fusion architecture search", 2019. A row of a pick is (m, n,
..., p): which feature of each modality, and which activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

from xgraph.diagnostics import Report
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.space.algebra import Leaf, Pick, Product, Repeated
from xgraph.space.kind import Filling, Kind
from xgraph.space.making import Maker
from xgraph.space.settings import Settings

KEYS = ("features", "layers", "units", "activations", "normed", "dropout", "then")


@final
@dataclass(frozen=True)
class Mfas(Kind):
    groups: tuple[tuple[t.Expression, ...], ...]
    least: int
    most: int
    units: t.Expression
    activations: tuple[t.Expression, ...]
    normed: bool
    dropout: t.Expression | None
    then: t.Expression | None

    @cached_property
    def region(self) -> Repeated:
        sizes = [*map(len, self.groups), len(self.activations)]
        return Repeated(Product(tuple(map(Leaf, sizes))), self.least, self.most)

    @property
    def options(self) -> str:
        features = " x ".join(str(len(group)) for group in self.groups)
        layers = f"{self.least} .. {self.most}" if self.most > self.least else str(self.most)
        words = ", ".join(map(format_tree, self.activations))
        return f"{layers} layers, each {features} features x {words}"

    @property
    def features(self) -> tuple[t.Expression, ...]:
        return tuple(feature for group in self.groups for feature in group)

    def filling(self, pick: Pick, maker: Maker) -> Filling:
        statements: list[t.Statement] = [
            self._layer(number, row, maker) for number, row in enumerate(pick, 1)
        ]
        if self.then is not None:
            statements.append(maker.stage(None, self.then))
        return Filling(maker.body(statements))

    def _layer(self, number: int, row: Pick, maker: Maker) -> t.Stage:
        *chosen, activation = row
        read = [group[index] for group, index in zip(self.groups, chosen, strict=True)]
        return maker.stage(
            f"h{number}",
            *maker.fused(read, f"h{number - 1}" if number > 1 else None),
            maker.call("linear", self.units),
            self.activations[activation],
            *([maker.name("bn")] if self.normed else []),
            *([maker.call("dropout", self.dropout)] if self.dropout else []),
        )


def read_mfas(space: t.Space, report: Report) -> Mfas:
    settings = Settings(space, KEYS, report)
    least, most = settings.bounds("layers")
    return Mfas(
        groups=settings.groups("features"),
        least=least,
        most=most,
        units=settings.needed("units", "64"),
        activations=settings.layers("activations", "relu, sigmoid"),
        normed=settings.truth("normed", False),
        dropout=settings.value("dropout"),
        then=settings.value("then"),
    )
