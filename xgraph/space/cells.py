"""`randomnet` in a super-layer: one cell, chosen node by node, and used several times in a row.

A row of a pick is (operation, activation, bits): the operation and the activation of a node, and
which of the nodes before it, from the first on, it takes. Each operation and its normalisation
stand in a block that is called like both, so that two samples share their weights exactly where
modality, cell, node and operation agree: `image_net.c1.n3.conv51.bn1.weight`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

from xgraph.diagnostics import Report
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.space.algebra import Leaf, Pick, Product
from xgraph.space.fusions import bit
from xgraph.space.kind import Filling, Kind
from xgraph.space.making import Maker
from xgraph.space.settings import Settings

KEYS = (
    "cells", "layers", "width", "ops", "activations", "skip", "chain", "combine", "reduce", "stem",
    "end", "normed", "then",
)  # fmt: skip
CONVOLUTIONS = ("conv", "sepconv")
POOLS = ("maxpool", "avgpool")


@final
@dataclass(frozen=True)
class Cells(Kind):
    name: str
    """Of the block that the cell becomes."""
    cells: int
    layers: int
    width: t.Expression
    ops: tuple[t.Call, ...]
    activations: tuple[t.Expression, ...]
    skip: float
    chain: str
    combine: str
    reduce: t.Expression | None
    stem: bool
    end: str
    normed: bool
    then: t.Expression | None

    @cached_property
    def region(self) -> Product:
        return Product(tuple(map(self._row, range(self.layers))))

    def _row(self, before: int) -> Product:
        bits = (bit(self.skip),) * before
        return Product((Leaf(len(self.ops)), Leaf(len(self.activations)), *bits))

    @property
    def options(self) -> str:
        ops, words = (", ".join(map(format_tree, each)) for each in (self.ops, self.activations))
        bits = self.layers * (self.layers - 1) // 2
        return f"{self.layers} nodes, each {ops} x {words}; {bits} connections"

    def filling(self, pick: Pick, maker: Maker) -> Filling:
        used = sorted({row[0] for row in pick})
        blocks = [self._operation(self.ops[index], maker) for index in used]
        cell = maker.block(self.name, (), list(self._nodes(pick, maker)))
        return Filling(maker.body(list(self._stages(maker))), (*blocks, cell))

    # ----------------------------------------------------------------------- the super-layer

    def _stages(self, maker: Maker) -> Iterator[t.Statement]:
        normed = [maker.name("bn")] if self.normed else []
        if self.stem:
            conv = maker.call("conv", self.width, maker.number(3))
            yield maker.stage("stem", conv, *normed, maker.name("relu"))
        for number in range(1, self.cells + 1):
            if number > 1 and self.reduce is not None:
                yield maker.stage(None, self.reduce)
            yield maker.stage(f"c{number}", maker.name(self.name))
        if self.then is not None:
            yield maker.stage(None, self.then)

    # ------------------------------------------------------------------------------ the cell

    def _nodes(self, pick: Pick, maker: Maker) -> Iterator[t.Statement]:
        read: set[int] = set()
        for number, (op, activation, *bits) in enumerate(pick, 1):
            taken = self._taken(number, bits)
            read.update(taken)
            yield maker.stage(
                f"n{number}",
                *self._joined([f"n{i}" for i in taken] or ["in"], maker),
                self._applied(self.ops[op], maker),
                self.activations[activation],
            )
        loose = [number for number in range(1, len(pick) + 1) if number not in read]
        if self.end == "loose" and len(loose) > 1:
            names = (maker.name(f"n{number}") for number in loose)
            yield maker.stage(None, maker.call("add", *names))

    def _taken(self, number: int, bits: list[int]) -> list[int]:
        """The nodes that node `number` takes, the nearest first."""
        taken = {i for i, is_there in enumerate(bits, 1) if is_there}
        if number > 1 and (self.chain == "always" or (self.chain == "missing" and not taken)):
            taken.add(number - 1)
        return sorted(taken, reverse=True)

    def _joined(self, names: list[str], maker: Maker) -> list[t.Expression]:
        parts = [maker.name(name) for name in names]
        if len(parts) == 1:
            return [parts[0]]
        joined = maker.call(self.combine, *parts)
        if self.combine == "add":
            return [joined]
        return [joined, maker.call("conv", self.width, maker.number(1))]

    def _applied(self, op: t.Call, maker: Maker) -> t.Expression:
        title = self._title(op)
        return maker.call(title, self.width) if _is_wide(op) else maker.name(title)

    def _title(self, op: t.Call) -> str:
        """The name of an operation's block: `conv5` for `conv(5)`."""
        size = format_tree(op.arguments[0].value)
        return f"{_word(op)}{size}" + ("" if self.normed else "_plain")

    def _operation(self, op: t.Call, maker: Maker) -> t.Block:
        """The block of an operation and what normalises it."""
        kernel, normed = op.arguments[0].value, [maker.name("bn")] if self.normed else []
        if _is_wide(op):
            layer = maker.call(_word(op), maker.name("width"), kernel)
            return maker.block(self._title(op), ["width"], [maker.stage(None, layer, *normed)])
        pool = maker.call(_word(op), kernel)
        assert isinstance(pool, t.Call)
        given: dict[str, t.Expression] = {"stride": maker.number(1), "pad": maker.name("same")}
        named = tuple(
            t.Argument(name=maker.name(word), value=value, span=maker.span)
            for word, value in given.items()
        )
        pool = t.Call(function=pool.function, arguments=(*pool.arguments, *named), span=maker.span)
        return maker.block(self._title(op), [], [maker.stage(None, pool, *normed)])


def _word(op: t.Call) -> str:
    assert isinstance(op.function, t.Name)
    return op.function.name


def _is_wide(op: t.Call) -> bool:
    return _word(op) in CONVOLUTIONS


def read_cells(space: t.Space, name: str, report: Report) -> Cells:
    settings = Settings(space, KEYS, report)
    return Cells(
        name=name,
        cells=settings.integer("cells", "3"),
        layers=settings.integer("layers", "5"),
        width=settings.needed("width", "64"),
        ops=_read_ops(settings, report),
        activations=settings.layers("activations", "relu, tanh, identity, sigmoid"),
        skip=settings.chance("skip"),
        chain=settings.word("chain", "missing", "never", "always"),
        combine=settings.word("combine", "add", "concat"),
        reduce=_read_reduce(settings),
        stem=settings.truth("stem", True),
        end=settings.word("end", "last", "loose"),
        normed=settings.truth("normed", True),
        then=settings.value("then"),
    )


def _read_ops(settings: Settings, report: Report) -> tuple[t.Call, ...]:
    found: list[t.Call] = []
    for op in settings.values("ops", "conv(3), sepconv(5), maxpool(3)"):
        match op:
            case t.Call(function=t.Name(name=word), arguments=(t.Argument(name=None, value=size),)):
                whole = isinstance(size, t.Number) and isinstance(size.value, int)
                if word in (*CONVOLUTIONS, *POOLS) and whole:
                    found.append(op)
                    continue
        report.error(
            "bad-setting",
            f"`ops` takes operations with the size of their window, not `{format_tree(op)}`",
            op.span,
            help="write `conv(3)`, `sepconv(3)`, `maxpool(3)` or `avgpool(3)`",
        )
    return tuple(found)


def _read_reduce(settings: Settings) -> t.Expression | None:
    """What stands between two cells; `none` for nothing, and `maxpool(2)` where it is not said."""
    found = settings.value("reduce")
    if isinstance(found, t.Name) and found.name == "none":
        return None
    return found or Maker().call("maxpool", Maker().number(2))
