"""The command that trains."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xgraph.cli.common import (
    guarded,
    limit_option,
    only_resume,
    read_graph,
    set_option,
)
from xgraph.cli.evaluating import told_of
from xgraph.cli.recipes import (
    accelerator_option,
    data_option,
    fraction_option,
    leaks_option,
    needs_training,
    override_option,
    recipe_of,
    recipe_option,
    short_options,
)
from xgraph.cli.watching import INTERRUPTED, watching
from xgraph.diagnostics import fail

if TYPE_CHECKING:
    from xgraph.train.run import Run

_ANEW = ("file", "out", "resume", "save_every", "accelerator", "devices", "strategy")
"""What can be told when a training goes on; all else is the training's own."""


@click.command("train", short_help="Train a network on data.")
@click.argument("file", required=False)
@data_option
@recipe_option
@override_option
@click.option("-o", "--out", metavar="RUN", required=True, help="The folder of the training.")
@click.option("--resume", is_flag=True, help="Go on with the training in RUN.")
@click.option("--init", metavar="FILE", help="Weights to inherit from, by address and shape.")
@short_options
@fraction_option
@click.option("--save-every", type=float, default=30.0, metavar="SECONDS", show_default=True,
              help="How often the state is saved; 0 is after every step.")  # fmt: skip
@accelerator_option
@click.option("--devices", default="1", show_default=True, help="How many, or auto.")
@click.option("--strategy", default="auto", show_default=True, help="Lightning's: ddp, fsdp, ...")
@leaks_option
@set_option
@limit_option
@guarded
def train(
    file: str | None,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    out: str,
    resume: bool,
    init: str | None,
    epochs: int | None,
    batch: int | None,
    lr: float | None,
    seed: int | None,
    precision: str | None,
    fraction: float,
    save_every: float,
    accelerator: str,
    devices: str,
    strategy: str,
    allow_leaks: bool,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
) -> None:
    """Train the network of FILE on data, into the folder RUN.

    RUN gets the weights, an ONNX model, a report, the metrics, and all that made them. Ctrl-C ends
    after the step and saves; `xgraph train --resume -o RUN` goes on.

    Example: xgraph train net.xg --data digits/ --epochs 10 -o runs/a
    """
    needs_training()
    from xgraph.claim import claimed
    from xgraph.data import open_data
    from xgraph.files import named
    from xgraph.train.fit import make_fabric
    from xgraph.train.run import read_begun, resume_run, same_network, start_run

    folder = named(out, "output folder")
    count = int(devices) if devices.isdecimal() else devices
    on_devices = partial(make_fabric, accelerator=accelerator, devices=count, strategy=strategy)
    with ExitStack() as stack:
        if resume:
            only_resume(_ANEW if file is None else (*_ANEW, "settings", "limits"))
            if file is not None and not same_network(folder, read_graph(file, settings, limits)):
                raise fail(
                    "changed-network", "the training in this folder is of another network",
                    origin=out, help=f"`xgraph train --resume -o {out}` goes on with its own",
                )  # fmt: skip
            run = resume_run(folder)
            fabric = on_devices(run.plan.recipe.precision)
            fabric.launch()
            if fabric.global_rank == 0:
                stack.enter_context(claimed(folder))
                read_begun(folder)  # another may have finished it in the meantime
        else:
            if file is None or data is None:
                raise click.UsageError("give the network and --data, or --resume")
            graph = read_graph(file, settings, limits)
            told = recipe_of(recipe, overrides, epochs=epochs, batch=batch, optimizer__lr=lr,
                           seed=seed, precision=precision)  # fmt: skip
            opened = open_data(data)
            fabric = on_devices(told.precision)
            fabric.launch()  # other processes run this command from its begin, up to here
            if fabric.global_rank == 0:
                stack.enter_context(claimed(folder))
            run = start_run(folder, graph, opened, told, fraction=fraction,
                            init=Path(init) if init else None, allow_leaks=allow_leaks,
                            write=fabric.global_rank == 0)  # fmt: skip
        _train(run, fabric, init, save_every)


def _train(run: Run, fabric: Any, init: str | None, save_every: float) -> None:
    """Train to the end, or until Ctrl-C, and say what came out; of several processes one speaks."""
    from xgraph.train.fit import Stopped

    speaks = fabric.global_rank == 0
    if speaks:
        _tell_run(run, init)
    with watching(sum(s.epochs for s in run.plan.recipe.each_stage()), not speaks) as watch:
        try:
            found = run.train(fabric, watch, save_every=save_every)
        except Stopped as stopped:
            watch.close()
            if speaks:
                click.echo(f"{stopped}; go on with: xgraph train --resume -o {run.folder}")
            sys.exit(INTERRUPTED)
    if speaks:
        click.echo(_kept(run.folder))
    if found is not None:
        click.echo(told_of(found))
    if speaks:
        weights, model = run.folder / "weights.safetensors", run.folder / "model.onnx"
        click.echo(f"wrote {weights}, {model} and more")


def _kept(folder: Path) -> str:
    """Which epoch's weights the result is, and why there are no further ones."""
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    done, best = len(metrics["epochs"]), metrics["best_epoch"]
    kept = f"kept the weights of epoch {best}, the best" if best else "kept the last weights"
    return f"{kept} of {done}{'; it stopped early' if metrics['stopped_early'] else ''}"


def _tell_run(run: Run, init: str | None) -> None:
    """Say what is trained on what."""
    if run.inherited:
        click.echo(f"{init}: {run.inherited.summary()}")
        _list_inherited(run.inherited)
    splits = [s for s in (run.plan.train, run.plan.val, run.plan.test) if s is not None]
    click.echo(", ".join(f"{len(s):,} rows of `{s.name}`" for s in splits))
    for target in run.plan.feed.targets:
        click.echo(f"{target.loss.kind} of `{target.output}` against `{target.column}`")


def _list_inherited(inherited: Any) -> None:
    for what in ("misshapen", "missing", "unused"):
        names = getattr(inherited, what)
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            click.echo(f"  {what}: {', '.join(names[:5])}{more}")
