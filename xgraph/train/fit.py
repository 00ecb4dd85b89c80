"""The training loop: ours is the meeting of network, data and recipe; devices, precision and
strategies are Lightning Fabric's.

Everything that a step depends on is in the checkpoint or follows from the seed (the order of the
rows, what is drawn for them), so a training that goes on is bit for bit the one that was not
broken, on a CPU.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
import torch
from torch import Tensor

from xgraph.data.feed import Batch, Order, all_batches, training_batches
from xgraph.data.split import Split
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.ir.graph import Graph
from xgraph.recipe.model import Recipe
from xgraph.train.blame import first_not_finite
from xgraph.train.checkpoint import Checkpoint, Progress
from xgraph.train.objective import Objective, scores
from xgraph.train.optim import freeze, optimizer_of, schedule_of, train_mode
from xgraph.train.plan import Plan

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Arrays = dict[str, np.ndarray[Any, Any]]
PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
_LOOK = 20
"""How often a loss on an accelerator is looked at: each look waits for the device."""


class Watch(Protocol):
    """Told of what happens; `stop` asks for an end after this step."""

    def epoch_begins(self, number: int, batches: int, done: int) -> None: ...

    def step(self, progress: Progress, loss: float | None) -> None: ...

    def epoch_ends(self, history: list[dict[str, Any]]) -> None:
        """The records of all epochs up to now, those before a break too."""

    @property
    def stop(self) -> bool: ...


class Silent:
    """Watches nothing, and asks for nothing."""

    stop = False

    def epoch_begins(self, number: int, batches: int, done: int) -> None: ...

    def step(self, progress: Progress, loss: float | None) -> None: ...

    def epoch_ends(self, history: list[dict[str, Any]]) -> None: ...


class Stopped(Exception):
    """The training ended after a step because that was asked for; all is saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


@final
@dataclass(frozen=True)
class Fitted:
    """What a training made."""

    weights: Arrays = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    best_epoch: int | None
    """The epoch of the weights, where the best are kept; counted from 1."""


def fit(
    plan: Plan,
    weights: Arrays,
    *,
    fabric: Fabric | None = None,
    watch: Watch | None = None,
    checkpoint: Path | None = None,
    save_every: float = 30.0,
) -> Fitted:
    """Train from `weights`, or from the state in the file `checkpoint` if it is there; the state
    is written to it every so many seconds.

    `Stopped` if the watch asked for it; `DiagnosticError` (`diverged`) where the loss is not
    finite.
    """
    return _Fit(plan, weights, fabric, watch or Silent(), checkpoint, save_every).run()


def make_fabric(
    precision: str = "32", accelerator: str = "auto", devices: int | str = 1, strategy: str = "auto"
) -> Fabric:
    """Lightning Fabric on the devices asked for; `DiagnosticError` if they are not there."""
    from lightning_fabric import Fabric

    try:
        return Fabric(
            accelerator=accelerator, devices=devices, strategy=strategy,
            precision=PRECISION[precision],
        )  # fmt: skip
    except Exception as error:  # Lightning's errors have no common base
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise fail(
            "device-unavailable", f"Lightning cannot use these devices: {told}",
            origin=f"--accelerator {accelerator} --devices {devices} --strategy {strategy}",
            help="`--accelerator cpu --devices 1` runs anywhere",
        ) from None  # fmt: skip


@final
class _Fit:
    """One training."""

    def __init__(
        self,
        plan: Plan,
        weights: Arrays,
        fabric: Fabric | None,
        watch: Watch,
        path: Path | None,
        save_every: float,
    ) -> None:
        from xgraph.backends.torch import to_module
        from xgraph.passes import lower

        self.plan, self.watch, self.path, self.save_every = plan, watch, path, save_every
        self.recipe = plan.recipe
        self.fabric = fabric or make_fabric(self.recipe.precision, "cpu")
        self._bare = self.fabric.world_size == 1 and self.recipe.precision == "32"
        self.low = plan.graph if plan.graph.level == "tensor" else lower(plan.graph)
        self.from_file = Checkpoint.read(path) if path is not None and path.exists() else None
        self.start = dict(self.from_file.weights if self.from_file else weights)
        used = self._used()
        self.module = self.fabric.to_device(
            to_module(used, {address: self.start[address] for address, _ in used.params()})
        )
        self.objective = Objective(plan.feed.targets, plan.train, self.fabric.device)
        self.counted = self.objective
        """The losses that count in this stage."""
        self.progress = self.from_file.progress if self.from_file else Progress()
        self.best: Arrays = self.from_file.best if self.from_file else {}
        self.stages = self.recipe.each_stage()
        self._saved = time.monotonic()
        self._recent: list[tuple[int, Tensor]] = []
        self._look = 1 if self.fabric.device.type == "cpu" else _LOOK
        self.steps = len(self._order(0).rows())
        """In an epoch."""

    def _used(self) -> Graph:
        """The part of the network that what is trained on needs."""
        used = self.low.copy()
        used.outputs = {t.output: used.outputs[t.output] for t in self.plan.feed.targets}
        used.prune()
        return used

    def run(self) -> Fitted:
        torch.manual_seed(self.recipe.seed)
        if self.from_file:
            self._restore_random(self.from_file)
        with warnings.catch_warnings():
            # They warn of steps before the optimiser's, which a training that goes on takes.
            warnings.filterwarnings("ignore", message=r".*lr_scheduler\.step")
            for number in range(self.progress.stage, len(self.stages)):
                self._stage(number)
                self._next(stage=number + 1)
        keeps_best = self.recipe.keep == "best" and bool(self.best)
        return Fitted(
            dict(self.best) if keeps_best else self._weights(),
            self.progress.history,
            self.progress.best_epoch if keeps_best else None,
        )

    def _next(self, **places: int) -> None:
        """Begin at another epoch or stage."""
        self.progress.batch, self.progress.rows, self.progress.loss = 0, 0, 0.0
        if "stage" in places:
            self.progress.epoch, self.progress.stale, self.progress.mark = 0, 0, None
        for name, value in places.items():
            setattr(self.progress, name, value)

    # -------------------------------------------------------------------------------- stages

    def _stage(self, number: int) -> None:
        """Train for one stage, or until the recipe's `stop` ends it."""
        stage = self.stages[number]
        freeze(self.plan.graph, self.module, stage)
        self.counted = self.objective.of(stage.outputs)
        plain = optimizer_of(self.plan.graph, self.module, stage)
        done = self.progress.epoch * self.steps + self.progress.batch
        schedule = schedule_of(plain, stage, self.steps)
        for _ in range(done):
            schedule.step()
        if self.from_file:
            self._restore_optimizer(plain, self.from_file)
            self.from_file = None
        module, optimizer = self._set_up(plain)
        for epoch in range(self.progress.epoch, stage.epochs):
            self._epoch(module, optimizer, schedule)
            ends = self._validated(number)
            self._next(epoch=epoch + 1)
            if ends:
                return
            if self.progress.epoch < stage.epochs:
                self._save(plain, None)

    def _set_up(self, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """What Fabric wraps around module and optimiser: on one device in float32 that is nothing
        but time, a tenth of a step of a small network."""
        if self._bare:
            return self.module, optimizer
        module, wrapped = self.fabric.setup(self.module, optimizer)
        return module, wrapped

    def _epoch(self, module: Any, optimizer: Any, schedule: Any) -> None:
        done = len(self.progress.history)
        order = self._order(done)
        train_mode(self.module)
        self.watch.epoch_begins(done, self.steps, self.progress.batch)
        batches = training_batches(
            self.plan.feed, self.plan.train, order, self.progress.batch,
            self.fabric.global_rank, self.fabric.world_size, self.fabric.device.type != "cpu",
        )  # fmt: skip
        batch: Batch | None = None
        for batch in batches:
            self._step(module, optimizer, batch)
            schedule.step()
            if self._stops():
                self._save(optimizer, batch, always=True)
                raise Stopped(self.progress.step)
            self._save(optimizer, batch)
        if batch is not None:  # none is left where the last step of the epoch was saved
            self._looked(batch)

    def _order(self, epoch: int) -> Order:
        least = 2 * self.fabric.world_size  # normalisation needs two rows a device
        return Order(len(self.plan.train), self.recipe.batch, self.recipe.seed, epoch, least)

    def _stops(self) -> bool:
        """Whether the watch of any process asks for an end: all must end after the same step."""
        return self._any(self.watch.stop)

    def _any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        if self.fabric.world_size == 1:
            return here
        return bool(self._summed(torch.tensor(float(here), device=self.fabric.device)) > 0)

    def _summed(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        total = self.fabric.all_reduce(value, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total

    def _step(self, module: Any, optimizer: Any, batch: Batch) -> None:
        inputs, targets = self._moved(batch)
        optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.lr = float(optimizer.param_groups[-1]["lr"])
        with running(f"step {self.progress.step}", batch[0]):
            loss = self.counted(self._named(module(*inputs)), targets)
        rows = len(next(iter(batch[0].values())))
        self._recent.append((rows, loss.detach()))
        if len(self._recent) >= self._look:
            self._looked(batch)
        if self._bare:
            torch.autograd.backward([loss])
        else:
            self.fabric.backward(loss)
        if self.recipe.clip is not None:
            self.fabric.clip_gradients(module, optimizer, max_norm=self.recipe.clip)
        optimizer.step()
        self.progress.batch += 1

    def _looked(self, batch: Batch) -> None:
        """Add the losses since the last look; stop where one is not finite."""
        last: float | None = None
        first = self.progress.step - len(self._recent) + 1
        for step, (rows, loss) in enumerate(self._recent, first):
            last = float(loss)
            if not np.isfinite(last):
                raise self._diverged(step, batch, last)
            self.progress.loss += last * rows
            self.progress.rows += rows
        self._recent.clear()
        self.watch.step(self.progress, last)

    def _diverged(self, step: int, batch: Batch, loss: float) -> DiagnosticError:
        where = first_not_finite(self.low, self._weights(), batch[0])
        return fail(
            "diverged", f"the loss is {loss} at step {step}: {where}",
            origin=self.plan.graph.name,
            help="a lower `lr`, or `clip: 1`, keeps it finite; the last checkpoint is before that",
        )  # fmt: skip

    def _moved(self, batch: Batch) -> tuple[list[Tensor], dict[str, Tensor]]:
        inputs, targets = batch
        device = self.fabric.device
        return (
            [torch.from_numpy(inputs[name]).to(device) for name in self.low.inputs],
            {name: torch.from_numpy(array).to(device) for name, array in targets.items()},
        )

    def _named(self, outputs: Any) -> dict[str, Tensor]:
        values = outputs if isinstance(outputs, tuple) else (outputs,)
        return dict(zip((t.output for t in self.plan.feed.targets), values, strict=True))

    # ---------------------------------------------------------------------------- validation

    def _validated(self, number: int) -> bool:
        """Measure an epoch and keep what is best; True where nothing gets better any more."""
        progress = self.progress
        measured = measure(self.plan, self.plan.val, self._outputs(self.plan.val), self.objective)
        sums = torch.tensor([progress.loss, progress.rows], dtype=torch.float64)
        if self.fabric.world_size > 1:
            sums = self._summed(sums.to(self.fabric.device, torch.float32)).double()
        loss, rows = sums.tolist()
        record = {
            "epoch": len(progress.history) + 1,
            "stage": number + 1,
            "step": progress.step,
            "lr": progress.lr,
            "train/loss": loss / max(rows, 1),
            **{f"val/{name}": value for name, value in measured.items()},
        }
        progress.history.append(record)
        score = to_be_large(self.recipe, measured)
        if progress.best is None or score > progress.best:
            progress.best, progress.best_epoch = score, len(progress.history)
            self.best = self._weights() if self.recipe.keep == "best" else {}
        least = self.recipe.stop.delta if self.recipe.stop else 0.0
        if progress.mark is None or score > progress.mark + least:
            progress.mark, progress.stale = score, 0
        else:
            progress.stale += 1
        self.watch.epoch_ends(progress.history)
        stop = self.recipe.stop
        is_over = stop is not None and progress.stale >= stop.after
        # The first process tells: normalisation has seen other rows in each.
        return self._any(is_over and self.fabric.global_rank == 0)

    def _outputs(self, split: Split) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        self.module.eval()
        with torch.no_grad(), self.fabric.autocast():
            for batch in all_batches(self.plan.feed, split, max(self.recipe.batch, 256)):
                inputs, targets = self._moved(batch)
                with running(f"the validation of `{split.name}`", batch[0]):
                    outputs = self._named(self.module(*inputs))
                yield (
                    {name: value.float().cpu() for name, value in outputs.items()},
                    {name: value.cpu() for name, value in targets.items()},
                )

    # --------------------------------------------------------------------------------- state

    def _weights(self) -> Arrays:
        """All of the network's: those that nothing trained on needs are as they were."""
        state = self.module.state_dict()
        return {
            name: state[name].detach().cpu().numpy().copy() if name in state else given
            for name, given in self.start.items()
        }

    def _save(self, optimizer: Any, batch: Batch | None, *, always: bool = False) -> None:
        if self.path is None or self.fabric.global_rank != 0:
            return
        if not always and time.monotonic() - self._saved < self.save_every:
            return
        if batch is not None:
            self._looked(batch)
        self.checkpoint(optimizer).write(self.path)
        self._saved = time.monotonic()

    def checkpoint(self, optimizer: Any) -> Checkpoint:
        state = {
            f"{number}.{name}": value.detach().cpu().numpy()
            for number, held in optimizer.state_dict()["state"].items()
            for name, value in held.items()
            if isinstance(value, Tensor)
        }
        random = {"cpu": torch.get_rng_state().numpy()}
        if self.fabric.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.fabric.device).numpy()
        scaler = self.fabric.strategy.precision.state_dict()
        return Checkpoint(self.progress, self._weights(), self.best, state, random, scaler)

    def _restore_optimizer(self, optimizer: torch.optim.Optimizer, held: Checkpoint) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for key, array in held.optimizer.items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = torch.from_numpy(array.copy())
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.fabric.strategy.precision.load_state_dict(held.scaler)

    def _restore_random(self, held: Checkpoint) -> None:
        torch.set_rng_state(torch.from_numpy(held.random["cpu"].copy()))
        if "cuda" in held.random and self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(held.random["cuda"].copy()))


@contextmanager
def running(what: str, inputs: Mapping[str, Any]) -> Iterator[None]:
    """What a network cannot do with a batch (an index out of range, lengths that differ, one row
    where a deviation is wanted) as a diagnostic."""
    try:
        yield
    except (RuntimeError, IndexError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        shapes = ", ".join(f"`{name}` {list(array.shape)}" for name, array in inputs.items())
        raise fail(
            "run-failed", f"{what} did not run: {reason}", origin=f"inputs of {shapes}",
            help="look at the rows of this batch: lengths, indices, or too few rows",
        ) from None  # fmt: skip


def measure(
    plan: Plan,
    split: Split,
    batches: Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]],
    objective: Objective,
) -> dict[str, float]:
    """The loss, and the metrics of the prediction and of each output where there are several."""
    given, wanted = _gathered(batches)
    cpu = Objective(objective.targets, plan.train, torch.device("cpu"))
    found = {"loss": float(cpu(given, wanted))}
    main = plan.feed.targets[0]
    found |= scores(main, prediction(plan.recipe.predict, given, main.output), wanted[main.output])
    if len(plan.feed.targets) > 1:
        for target in plan.feed.targets:
            own = scores(target, given[target.output], wanted[target.output])
            found |= {f"{target.output}/{name}": value for name, value in own.items()}
    return found


def to_be_large(recipe: Recipe, measured: Mapping[str, float]) -> float:
    """What a recipe watches, turned round where it is to be small."""
    name = recipe.monitor
    if name == "auto":
        name = "accuracy" if "accuracy" in measured else "loss"
    if name not in measured:
        told = f"nothing that is measured is called `{name}`"
        raise fail(
            "bad-recipe", told, origin="recipe: monitor",
            help=f"there are {', '.join(f'`{known}`' for known in measured)}",
        )  # fmt: skip
    return -measured[name] if name == "loss" else measured[name]


def prediction(predict: list[str], given: dict[str, Tensor], main: str) -> Tensor:
    """The sum of the outputs that predict together, or the first."""
    return torch.stack([given[name] for name in predict]).sum(0) if predict else given[main]


def _gathered(
    batches: Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    pairs = list(batches)
    with running("putting batches together", {}):
        given, wanted = (
            {name: torch.cat([pair[i][name] for pair in pairs]) for name in pairs[0][i]}
            for i in range(2)
        )
    return given, wanted
