"""Training several small networks as one computation.

Each has weights, optimiser state, order of examples and dropout of its own, and ends where it would
alone, but for rounding: no number of one network is ever added to one of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, final
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from xgraph.data.feed import Order, Target
from xgraph.data.split import ArrayColumn, Split
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.search.lockstep import reason_against, schedule
from xgraph.search.stacked import Gather, Stacked, features_of, stacked
from xgraph.train.fit import Fitted, measure, to_be_large
from xgraph.train.objective import Objective
from xgraph.train.optim import is_trained, make_optimizer, schedule_of
from xgraph.train.plan import Plan

Arrays = dict[str, np.ndarray[Any, Any]]
Outcome: TypeAlias = "Fitted | DiagnosticError"
_CHUNK = 2**22
"""Numbers that are put together at once for the steps to come."""
_VALIDATED = 512
"""Rows of a batch of the validation."""


def reason_alone(plan: Plan) -> str | None:
    """Why a training cannot run together with others; None if it can."""
    recipe, stages = plan.recipe, plan.recipe.each_stage()
    for told, found in {
        "several stages": len(stages) > 1,
        "groups of weights": bool(stages[0].groups),
        "`stop`": recipe.stop is not None,
        "`clip`": recipe.clip is not None,
        f"precision {recipe.precision}": recipe.precision != "32",
        "inputs with chance in them": plan.feed.draws,
        "columns that are no arrays in memory or files": not all(
            isinstance(split.columns[port.column], ArrayColumn)
            for split in (plan.train, plan.val)
            for port in plan.feed.ports
        ),
        "steps for its inputs": any(port.steps for port in plan.feed.ports),
        "weights that do not change": not all(
            is_trained(plan.graph, stages[0], address)
            for address, param in plan.graph.params()
            if param.kind == "parameter"
        ),
    }.items():
        if found:
            return told
    return reason_against(plan.graph)


def fit_together(plans: Sequence[Plan], weights: Sequence[Arrays]) -> list[Outcome]:
    """Train networks of which none has a `reason_alone`, with recipes that differ in their seeds
    only, on the same rows. What diverges is a `DiagnosticError` in its place."""
    return _Together(plans, weights).run()


@final
class _Together:
    def __init__(self, plans: Sequence[Plan], weights: Sequence[Arrays]) -> None:
        # The deepest first, so that those that have a layer are a range of those that had the last.
        self.order = sorted(range(len(plans)), key=lambda i: (-len(plans[i].graph), i))
        self.plans = [plans[i] for i in self.order]
        self.recipe = plans[0].recipe
        self.stage = self.recipe.each_stage()[0]
        self.schedule = schedule([plan.graph for plan in self.plans])
        first = self.plans[0]
        self.objective = Objective(first.feed.targets, first.train, torch.device("cpu"))
        own = [weights[i] for i in self.order]
        self.layers = [stacked(group, own) for group in self.schedule.groups]
        self.module = nn.ModuleList(self.layers)
        self.gathers = [
            [Gather(places, self.schedule.groups) for places in group.inputs]
            for group in self.schedule.groups
        ]
        self.outputs = {
            name: Gather(places, self.schedule.groups)
            for name, places in self.schedule.outputs.items()
        }
        self.train = _Data(first.train, first.feed.targets, self.layers)
        self.val = _Data(first.val, first.feed.targets, self.layers)

    def run(self) -> list[Outcome]:
        optimizer = make_optimizer(self.stage, [{"params": list(self.module.parameters())}])
        steps = len(self._order(0, 0).rows())
        rates = schedule_of(optimizer, self.stage, steps)
        records = [_Record() for _ in self.plans]
        for epoch in range(self.stage.epochs):
            losses, rows = [], 0
            for batch, targets in self._batches(epoch):
                optimizer.zero_grad(set_to_none=True)
                loss = self.objective.of_each(self._outputs(batch), targets)
                torch.autograd.backward([loss.sum()])
                rate = optimizer.param_groups[0]["lr"]
                optimizer.step()
                rates.step()
                size = len(targets[self.objective.targets[0].output][0])
                losses.append(loss.detach() * size)
                rows += size
            sums = torch.stack(losses).double().sum(0) / rows
            self._validate(epoch, (epoch + 1) * steps, float(rate), sums.tolist(), records)
        return self._results(records)

    def _order(self, network: int, epoch: int) -> Order:
        seed = self.plans[network].recipe.seed
        return Order(len(self.train), self.recipe.batch, seed, epoch)

    def _outputs(self, batch: _Batch) -> dict[str, Tensor]:
        """[networks, rows, ...] of each output."""
        values: list[Tensor] = []
        for number, (layer, gathers) in enumerate(zip(self.layers, self.gathers, strict=True)):
            read = [gather(values) for gather in gathers]
            values.append(layer(read, batch.features.get(number), batch.masks.get(number)))
        return {name: gather(values) for name, gather in self.outputs.items()}

    def _batches(self, epoch: int) -> Iterator[tuple[_Batch, dict[str, Tensor]]]:
        """The steps of an epoch. Several are put together at once, in few large copies."""
        self.module.train()
        orders = [self._order(k, epoch).rows() for k in range(len(self.plans))]
        draws = _Draws(self.layers, [plan.recipe.seed for plan in self.plans], epoch)
        per_row = max(1, self.train.width + draws.width)
        size = max(1, _CHUNK // (per_row * self.recipe.batch))
        full = sum(len(rows) == self.recipe.batch for rows in orders[0])
        starts = [*range(0, full, size), *range(full, len(orders[0]))]
        for start, stop in zip(starts, [*starts[1:], len(orders[0])], strict=True):
            rows = [np.stack(order[start:stop]) for order in orders]
            features, targets = self.train.take(rows)
            masks = draws.masks(*rows[0].shape)
            for step in range(stop - start):
                yield (
                    _Batch(
                        {n: a[step] for n, a in features.items()},
                        {n: a[step] for n, a in masks.items()},
                    ),
                    {name: array[step] for name, array in targets.items()},
                )

    # ------------------------------------------------------------------------------ validation

    @torch.no_grad()
    def _validate(
        self, epoch: int, step: int, rate: float, losses: list[float], records: list[_Record]
    ) -> None:
        self.module.eval()
        parts: list[dict[str, Tensor]] = []
        for start in range(0, len(self.val), _VALIDATED):
            rows = np.arange(start, min(start + _VALIDATED, len(self.val)))[None]
            features, _ = self.val.take([rows] * len(self.plans))
            parts.append(self._outputs(_Batch({n: a[0] for n, a in features.items()}, {})))
        given = {name: torch.cat([part[name] for part in parts], 1) for name in self.outputs}
        wanted = {name: torch.from_numpy(array) for name, array in self.val.targets.items()}
        for k, (plan, record) in enumerate(zip(self.plans, records, strict=True)):
            if record.error is not None:
                continue
            if not np.isfinite(losses[k]):
                record.error = fail(
                    "diverged", f"the loss is {losses[k]} in epoch {epoch + 1}",
                    origin=plan.graph.name, help="a lower `lr` keeps it finite",
                )  # fmt: skip
                continue
            own = {name: value[k] for name, value in given.items()}
            measured = measure(plan, plan.val, iter([(own, wanted)]), self.objective)
            record.history.append(
                {
                    "epoch": epoch + 1, "stage": 1, "step": step, "lr": rate,
                    "train/loss": losses[k],
                    **{f"val/{name}": value for name, value in measured.items()},
                }
            )  # fmt: skip
            score = to_be_large(plan.recipe, measured)
            is_best = record.best is None or score > record.best
            if is_best:
                record.best, record.best_epoch = score, epoch + 1
            if is_best or self.recipe.keep == "last":
                record.weights = self._weights(k)

    def _weights(self, network: int) -> Arrays:
        """What a network has learnt, by address."""
        found: Arrays = {}
        for layer in self.layers:
            for row, member in enumerate(layer.group.members):
                if member.network == network:
                    found |= layer.arrays(row)
        return found

    def _results(self, records: list[_Record]) -> list[Outcome]:
        found = [
            record.error
            or Fitted(
                record.weights,
                record.history,
                record.best_epoch if self.recipe.keep == "best" else None,
            )
            for record in records
        ]
        return [found[self.order.index(i)] for i in range(len(found))]


@final
class _Record:
    """What came of one network so far."""

    def __init__(self) -> None:
        self.weights: Arrays = {}
        self.history: list[dict[str, Any]] = []
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.error: DiagnosticError | None = None


@final
class _Batch:
    """What groups read besides each other, by their numbers."""

    def __init__(self, features: dict[int, Tensor], masks: dict[int, Tensor]) -> None:
        self.features = features
        """[members, rows, width]."""
        self.masks = masks


# -------------------------------------------------------------------------------------------- data


@final
class _Data:
    """The features of a split as the groups read them, and its targets."""

    def __init__(self, split: Split, targets: Sequence[Target], layers: Sequence[Stacked]) -> None:
        self._split = split
        self._layers = {n: layer for n, layer in enumerate(layers) if layer.width}
        self.width = sum(len(x.group.members) * x.width for x in self._layers.values())
        """Numbers of all groups and members in a row."""
        every = np.arange(len(split))
        self.targets = {t.output: t.take(split, every) for t in targets}

    def __len__(self) -> int:
        return len(self._split)

    def take(
        self, rows: Sequence[np.ndarray[Any, Any]]
    ) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
        """Of [steps, rows] of each network: features [steps, members, rows, width] by group, and
        targets [steps, networks, rows, ...]."""
        steps, size = rows[0].shape
        found = {}
        for number, layer in self._layers.items():
            members = layer.group.members
            buffer = np.zeros((steps, len(members), size, layer.width), np.float32)
            for k, member in enumerate(members):
                first = 0
                for part in layer.features(k):
                    taken = self._split.take(part.value.node.address, rows[member.network].ravel())
                    buffer[:, k, :, first : first + part.width] = taken.reshape(steps, size, -1)
                    first += part.width
            found[number] = torch.from_numpy(buffer)
        targets = {
            name: torch.from_numpy(np.stack([array[own] for own in rows], 1))
            for name, array in self.targets.items()
        }
        return found, targets


@final
class _Draws:
    """What dropout leaves, of an epoch: each layer of each network has a stream of its own."""

    def __init__(self, layers: Sequence[Stacked], seeds: Sequence[int], epoch: int) -> None:
        self._streams = {
            number: [
                np.random.default_rng((seeds[m.network], epoch, crc32(m.node.address.encode())))
                for m in layer.group.members
            ]
            for number, layer in enumerate(layers)
            if layer.group.kind == "dropout"
        }
        self._layers = layers
        self.width = sum(
            len(streams) * features_of(layers[n].group) for n, streams in self._streams.items()
        )

    def masks(self, steps: int, rows: int) -> dict[int, Tensor]:
        """[steps, members, rows, width], to be multiplied by."""
        found = {}
        for number, streams in self._streams.items():
            group = self._layers[number].group
            keep = 1 - group.node.resolved.rate
            shape = (steps, rows, features_of(group))
            drawn = np.stack([s.random(shape, np.float32) < keep for s in streams], 1)
            found[number] = torch.from_numpy(drawn.astype(np.float32) / np.float32(keep))
        return found
