"""How rows of a data set become the inputs of a network, and what its outputs are held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import prod
from typing import Any, TypeAlias, final

import numpy as np

from xgraph.data.split import Array, Rows, Split
from xgraph.diagnostics import Diagnostic, DiagnosticError, Label, did_you_mean, fail
from xgraph.ir.graph import Graph
from xgraph.ir.types import DType, Expr, TensorType
from xgraph.recipe.model import Loss, Recipe, find
from xgraph.recipe.transforms import Around, Reshape, Transform, channel_axis

CHUNK = 2**24
"""Bytes of a column that are read at once where all of it is looked at."""
_FULL = {
    np.dtype(np.uint8): 255,
    np.dtype(np.uint16): 65535,
    np.dtype(np.int16): 32768,
    np.dtype(np.int8): 128,
}
"""What pictures and sound hold at most: they become numbers in [0, 1] and [-1, 1)."""

Batch: TypeAlias = "tuple[dict[str, Array], dict[str, Array]]"
"""Inputs by name, and targets by output."""


@final
@dataclass(frozen=True)
class Port:
    """Where one input of a network comes from."""

    name: str
    column: str
    steps: tuple[Transform, ...]
    type: TensorType

    def take(self, split: Split, rows: Rows, draws: Array | None = None) -> Array:
        """The input of some rows, [rows, *shape]; `ValueError` where a step cannot be."""
        return self._through(split, rows, draws, self.steps)

    def _through(
        self, split: Split, rows: Rows, draws: Array | None, steps: tuple[Transform, ...]
    ) -> Array:
        value = _as_input(split.take(self.column, rows), self.type.dtype)
        around = Around(draws, lambda column: split.take(column, rows))
        inside = _inside(value, split.lengths(self.column, rows))
        for step in steps:
            value = step(value, around)
            if inside is not None:  # what fills up stays zero
                inside = step(inside, around) if step.moves else inside
                value = value * inside
        return np.ascontiguousarray(value, self.type.dtype.numpy)

    def fitted(self, split: Split) -> Port:
        """The same with what its steps measure on a split."""
        done: list[Transform] = []
        for step in self.steps:
            before = tuple(done)
            done.append(step if step.is_fitted else step.fitted(self._measured(split, before)))
        return replace(self, steps=tuple(done))

    def _measured(self, split: Split, before: tuple[Transform, ...]) -> Iterator[Array]:
        """What a step measures: no fills, and all numbers alike where what is a channel elsewhere
        differs from row to row."""
        varies = None in split.columns[self.column].shape
        is_moved = any(isinstance(step, Reshape) for step in before)
        for rows in chunks(split, self.column):
            value = self._through(split, rows, None, before)
            lengths = split.lengths(self.column, rows)
            if lengths is not None and not is_moved:
                value = value[:, : int(lengths.max())]
            yield value.reshape(-1, 1) if varies and channel_axis(value) == 1 else value


def _inside(value: Array, lengths: Array | None) -> Array | None:
    """Where rows of these lengths are not filled up."""
    if lengths is None:
        return None
    inside = np.arange(value.shape[1]) < lengths.reshape(-1, 1)
    return np.broadcast_to(inside.reshape(*inside.shape, *(1,) * (value.ndim - 2)), value.shape)


def _as_input(array: Array, dtype: DType) -> Array:
    if dtype is DType.F32:
        full = _FULL.get(array.dtype.newbyteorder("="))
        plain = array.astype(np.float32, copy=False)
        return plain / np.float32(full) if full else plain
    if array.dtype.kind == "f":
        raise ValueError(f"the network takes {dtype.value}, and these are {array.dtype}")
    return array.astype(dtype.numpy, copy=False)


@final
@dataclass(frozen=True)
class Target:
    """What an output is held against."""

    output: str
    column: str
    loss: Loss
    type: TensorType
    """Of the output."""

    @property
    def classes(self) -> int | None:
        """How many there are, where the output tells one of them."""
        size = self.type.features[0] if self.loss.kind == "cross-entropy" else None
        return int(size) if isinstance(size, int) else None

    def take(self, split: Split, rows: Rows) -> Array:
        kind = np.int64 if self.loss.kind == "cross-entropy" else np.float32
        return np.ascontiguousarray(split.take(self.column, rows), kind)


@final
@dataclass(frozen=True)
class Feed:
    """All inputs of a network and all that its outputs are held against."""

    ports: tuple[Port, ...]
    targets: tuple[Target, ...]

    def take(self, split: Split, rows: Rows, draws: Array | None = None) -> Batch:
        return (
            {port.name: port.take(split, rows, draws) for port in self.ports},
            {target.output: target.take(split, rows) for target in self.targets},
        )

    def fitted(self, split: Split) -> Feed:
        return replace(self, ports=tuple(port.fitted(split) for port in self.ports))

    @property
    def draws(self) -> bool:
        return any(step.draws for port in self.ports for step in port.steps)

    @property
    def main(self) -> Target | None:
        """The first output that tells a class: the one by which rows are shared out."""
        return next((t for t in self.targets if t.classes and t.type.rank == 1), None)


def chunks(split: Split, column: str) -> Iterator[Rows]:
    """All rows of a split, as many at once as are read at once."""
    shape = split.columns[column].shape
    # Rows of different lengths one by one, so that none is filled up.
    varies = None in shape
    size = 1 if varies else max(1, CHUNK // max(1, prod(s or 1 for s in shape) * 4))
    for start in range(0, len(split), size):
        yield np.arange(start, min(start + size, len(split)))


# --------------------------------------------------------------------------------- making a feed


def feed_of(graph: Graph, recipe: Recipe, split: Split, *, targets: bool = True) -> Feed:
    """How `split` feeds `graph`; `DiagnosticError` lists what is missing or does not fit."""
    mistakes: list[Diagnostic] = []
    ports = list(_ports(graph, recipe, split, mistakes))
    for pattern in recipe.inputs:
        _check_pattern(pattern, graph.inputs, "input", "inputs", mistakes)
    held = list(_targets(graph, recipe, split, mistakes)) if targets else []
    if targets and not held and not mistakes:
        raise _nothing_to_hold(graph, split)
    if targets:
        mistakes += _predicting(recipe, held)
        held.sort(key=lambda target: target.output not in recipe.predict[:1])
        named = {target.output: target for target in held}
        for stage in recipe.stages:
            for pattern in stage.outputs or []:
                _check_pattern(pattern, named, "output", "stages.outputs", mistakes)
    if mistakes:
        raise DiagnosticError(*mistakes)
    return Feed(tuple(ports), tuple(held))


def _check_pattern(
    pattern: str, known: Mapping[str, object], what: str, key: str, mistakes: list[Diagnostic]
) -> None:
    if not any(fnmatchcase(name, pattern) for name in known):
        listed = ", ".join(f"`{name}`" for name in known)
        mistakes.append(
            Diagnostic(
                f"unknown-{what}", f"the network has no {what} `{pattern}`",
                origin=f"recipe: {key}.{pattern}",
                help=did_you_mean(pattern, known) or f"its {what}s are {listed}",
            )
        )  # fmt: skip


def _ports(
    graph: Graph, recipe: Recipe, split: Split, mistakes: list[Diagnostic]
) -> Iterator[Port]:
    for name, value in graph.inputs.items():
        given = find(recipe.inputs, name)
        column = (given.column if given else None) or name
        if column not in split.columns:
            mistakes.append(_no_column(split, name, column, graph))
            continue
        yield Port(name, column, tuple(given.transforms) if given else (), value.type)


def _predicting(recipe: Recipe, held: list[Target]) -> Iterator[Diagnostic]:
    outputs = [target.output for target in held]
    kinds = {(t.loss.kind, t.type.features) for t in held if t.output in recipe.predict}
    if len(kinds) > 1:
        told = "the outputs that `predict` names differ in shape or loss, and have no sum"
        yield Diagnostic("bad-target", told, origin="recipe: predict")
    for name in recipe.predict:
        if name not in outputs:
            listed = ", ".join(f"`{output}`" for output in outputs)
            yield Diagnostic(
                "unknown-output",
                f"`predict` names `{name}`, and nothing that is trained is called so",
                origin="recipe: predict",
                help=did_you_mean(name, outputs) or f"there are {listed}",
            )


def _no_column(split: Split, name: str, column: str, graph: Graph) -> Diagnostic:
    listed = ", ".join(f"`{known}`" for known in split.columns)
    near = did_you_mean(column, split.columns)
    return Diagnostic(
        "missing-column",
        f"the data has no column `{column}`, which the modality `{name}` of `{graph.name}` needs",
        origin=split.origin,
        help=(near or f"`{split.name}` has {listed}")
        + f"; a recipe can name another: `inputs: {{{name}: {{column: ...}}}}`",
    )


def _targets(
    graph: Graph, recipe: Recipe, split: Split, mistakes: list[Diagnostic]
) -> Iterator[Target]:
    for pattern in recipe.losses:
        _check_pattern(pattern, graph.outputs, "output", "losses", mistakes)
    for name, value in graph.outputs.items():
        loss = find(recipe.losses, name)
        if recipe.losses and loss is None:
            continue
        column = (loss.target if loss else None) or (name if name in split.columns else "label")
        if column not in split.columns:
            if loss is not None:
                listed = ", ".join(f"`{known}`" for known in split.columns)
                told = f"the data has no column `{column}` to hold the output `{name}` against"
                mistakes.append(
                    Diagnostic("missing-column", told, origin=split.origin,
                               help=f"`{split.name}` has {listed}; name one: `target: ...`")
                )  # fmt: skip
            continue
        made = Target(name, column, loss or _loss_by_kind(split, column, value.type), value.type)
        if found := _misfit(made, split, graph):
            mistakes.append(found)
        yield made


def _nothing_to_hold(graph: Graph, split: Split) -> DiagnosticError:
    names = ", ".join(f"`{name}`" for name in graph.outputs)
    return fail(
        "missing-column", f"the data has no column to hold an output of `{graph.name}` against",
        origin=split.origin,
        help=f"name a column `label`, or like an output ({names}), or tell it in `losses`",
    )  # fmt: skip


def _loss_by_kind(split: Split, column: str, output: TensorType) -> Loss:
    held = split.columns[column]
    if held.dtype.kind == "f":
        return Loss(kind="mse")
    if len(held.shape) == output.rank:
        return Loss(kind="bce")
    return Loss(kind="cross-entropy")


def _misfit(target: Target, split: Split, graph: Graph) -> Diagnostic | None:
    held, features = split.columns[target.column], target.type.features
    kind = target.loss.kind
    wanted = features[1:] if kind == "cross-entropy" else features
    told = None
    if kind == "cross-entropy" and held.dtype.kind not in "iub":
        told = f"`cross-entropy` takes class numbers, and `{target.column}` is {held.dtype}"
    elif kind == "cross-entropy" and (not features or isinstance(features[0], Expr)):
        told = f"`cross-entropy` needs an output of known size, and `{target.output}` is {features}"
    elif not _fits(held.shape, wanted):
        told = (
            f"`{kind}` of `{target.output}` {_listed(features)} takes targets of shape"
            f" {_listed(wanted)}, and `{target.column}` has {_listed(held.shape)}"
        )
    elif kind != "mse" and graph.own(graph.outputs[target.output]).node.op.name in _SQUASHED:
        op = graph.own(graph.outputs[target.output]).node
        told = f"`{kind}` takes logits, and `{target.output}` comes out of `{op.op.name}`"
        return Diagnostic(
            "not-logits", told,
            label=Label(op.span) if op.span else None,
            help=f"take the last `{op.op.name}` away: the loss has it inside",
        )  # fmt: skip
    given = target.loss.class_weight if kind == "cross-entropy" else target.loss.positive_weight
    if told is None and isinstance(given, list) and len(given) != features[0]:
        told = f"`{target.output}` {_listed(features)} has not {len(given)} weights"
    if told is None:
        return None
    return Diagnostic("bad-target", told, origin=f"{split.origin}: {target.column}")


_SQUASHED = ("softmax", "sigmoid")


def _fits(given: tuple[int | None, ...], wanted: Any) -> bool:
    return len(given) == len(wanted) and all(
        a is None or isinstance(b, Expr) or a == int(b) for a, b in zip(given, wanted, strict=True)
    )


def _listed(shape: Any) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


# ------------------------------------------------------------------------------------- batches


@final
@dataclass(frozen=True)
class Order:
    """The batches of one epoch of training, the same for the same seed."""

    length: int
    size: int
    seed: int
    epoch: int
    least: int = 2
    """Rows of the last batch, below which it is left out: one row alone has no deviation, and batch
    normalisation cannot take it; each of several processes needs two."""

    def rows(self) -> list[Rows]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        parts = [order[i : i + self.size] for i in range(0, self.length, self.size)]
        return parts[:-1] if len(parts) > 1 and len(parts[-1]) < self.least else parts

    def draws(self, batch: int, rows: int) -> Array:
        """Four numbers for each row of a batch."""
        return np.random.default_rng((self.seed, self.epoch, batch)).random((rows, 4))


def training_batches(
    feed: Feed,
    split: Split,
    order: Order,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    ahead: bool = False,
) -> Iterator[Batch]:
    """The batches of an epoch from one on; each process of several takes its rows of each.

    `ahead`: one is made while the one before is worked on, which pays where that is elsewhere
    than on the cores that make it.
    """
    parts = order.rows()

    def make(number: int) -> Batch:
        rows = parts[number][rank::world]
        draws = order.draws(number, len(parts[number]))[rank::world] if feed.draws else None
        return feed.take(split, rows, draws)

    numbers = range(start, len(parts))
    yield from _ahead(make, numbers) if ahead else map(make, numbers)


def all_batches(feed: Feed, split: Split, size: int) -> Iterator[Batch]:
    """Every row once, in order."""
    starts = range(0, len(split), size)
    yield from _ahead(
        lambda start: feed.take(split, np.arange(start, min(start + size, len(split)))), starts
    )


def _ahead(make: Any, numbers: range) -> Iterator[Batch]:
    """One batch is made while the one before is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for number in numbers:
            made, coming = coming, pool.submit(make, number)
            if made is not None:
                yield made.result()
        if coming is not None:
            yield coming.result()
