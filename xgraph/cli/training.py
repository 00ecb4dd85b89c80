"""The commands that need data: train, eval, crossval, probe, recipes."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import click

from xgraph.cli.common import (
    F,
    file_argument,
    guarded,
    json_option,
    limit_option,
    read_graph,
    set_option,
    show_diagnostics,
)
from xgraph.diagnostics import Diagnostic, fail

if TYPE_CHECKING:
    from xgraph.recipe import Recipe
    from xgraph.train.checkpoint import Progress
    from xgraph.train.evaluate import Evaluation
    from xgraph.train.run import Run

data_option = click.option(
    "--data", metavar="DATA", help="A folder, an .npz or Parquet file, or package.module:function."
)
recipe_option = click.option(
    "--recipe", "-r", metavar="RECIPE", help="A YAML file, or a name that `xgraph recipes` lists."
)
override_option = click.option(
    "--override", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Change a key of the recipe: optimizer.lr=0.01.",
)  # fmt: skip
leaks_option = click.option(
    "--allow-leaks", is_flag=True, help="Take rows that two splits share as they are."
)
fraction_option = click.option(
    "--fraction", type=float, default=1.0, help="Train on this share of every class."
)
accelerator_option = click.option(
    "--accelerator", default="auto", show_default=True, help="Lightning's: cpu, cuda, mps."
)
_SHORT: tuple[tuple[str, Any, str], ...] = (
    ("--epochs", int, "Short for --override epochs=N."),
    ("--batch", int, "Short for --override batch=N."),
    ("--lr", float, "Short for --override optimizer.lr=X."),
    ("--seed", int, "Short for --override seed=N."),
    ("--precision", str, "Short for --override precision=32|bf16|16."),
)


def short_options(function: F) -> F:
    """The flags that are short for keys of the recipe."""
    for flag, kind, told in reversed(_SHORT):
        function = click.option(flag, type=kind, help=told)(function)
    return function


INTERRUPTED = 130
"""The exit code after Ctrl-C, as of other programs."""


def recipe_of(recipe: str | None, overrides: tuple[str, ...], **short: Any) -> Recipe:
    """A recipe with its overrides; those of short flags come last."""
    from xgraph.recipe import read_recipe

    flags = [
        f"{key.replace('__', '.')}={value}" for key, value in short.items() if value is not None
    ]
    return read_recipe(recipe, [*overrides, *flags])


def needs_training() -> None:
    from importlib.util import find_spec

    for package in ("torch", "lightning_fabric", "torchmetrics", "pydantic", "yaml"):
        if find_spec(package) is None:
            raise fail(
                "missing-extra", f"this needs the package `{package}`, which is not installed",
                origin=package, help="pip install 'xgraph[train]'",
            )  # fmt: skip


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
    from xgraph.train.run import resume_run, same_network, start_run

    folder = named(out, "output folder")
    count = int(devices) if devices.isdecimal() else devices
    on_devices = partial(make_fabric, accelerator=accelerator, devices=count, strategy=strategy)
    with ExitStack() as stack:
        if resume:
            _only_resume(data, recipe, overrides, init, epochs, batch, lr, seed, precision)
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


def _only_resume(*given: Any) -> None:
    if any(given):
        raise click.UsageError("--resume goes on with what RUN holds: leave the other options out")


def _list_inherited(inherited: Any) -> None:
    for what in ("misshapen", "missing", "unused"):
        names = getattr(inherited, what)
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            click.echo(f"  {what}: {', '.join(names[:5])}{more}")


@contextmanager
def watching(epochs: int | None, silent: bool, lines: bool = True) -> Iterator[Bar]:
    """A watch that Ctrl-C asks to stop after the step; a second Ctrl-C ends at once."""
    watch = Bar(epochs, silent, lines)
    before = None
    if threading.current_thread() is threading.main_thread():

        def asked(number: int, frame: object) -> None:
            if watch.stop:
                raise KeyboardInterrupt
            watch.stop = True
            if not silent:
                click.echo("\nfinishing this step, to save it", err=True)

        before = signal.signal(signal.SIGINT, asked)
    try:
        yield watch
    finally:
        watch.close()
        if before is not None:
            signal.signal(signal.SIGINT, before)


@final
class Bar:
    """A progress bar on a terminal, and one line an epoch anywhere, unless `lines` are unwanted;
    `about` says what is trained."""

    def __init__(self, epochs: int | None, silent: bool, lines: bool = True) -> None:
        self.stop = False
        self.about = ""
        self._silent = silent
        self._lines = lines and not silent
        self._of = "" if epochs is None else f"/{epochs}"
        self._bar: Any = None
        self._began = time.monotonic()

    def epoch_begins(self, number: int, batches: int, done: int) -> None:
        from tqdm import tqdm

        self.close()
        self._bar = tqdm(
            total=batches, initial=done, desc=f"{self.about}epoch {number + 1}{self._of}",
            unit="step", leave=False, disable=self._silent or not sys.stderr.isatty(),
        )  # fmt: skip

    def step(self, progress: Progress, loss: float | None) -> None:
        if self._bar is not None:
            self._bar.update(progress.batch + 1 - self._bar.n)
            if loss is not None:
                self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)

    def epoch_ends(self, history: list[dict[str, Any]]) -> None:
        self.close()
        record = history[-1]
        told = [f"{name} {value:.4f}" for name, value in record.items() if _is_short(name)]
        done = record["epoch"]
        seconds = time.monotonic() - self._began
        if self._lines:
            click.echo(f"epoch {done}{self._of}  {'  '.join(told)}  ({seconds:.0f} s)")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _is_short(name: str) -> bool:
    """Whether it is a loss or a metric of the prediction, not of another output."""
    return name == "train/loss" or (name.startswith("val/") and name.count("/") == 1)


@click.command("eval", short_help="Measure trained weights on data.")
@file_argument
@click.option("--weights", metavar="FILE", required=True, help="A safetensors file.")
@data_option
@recipe_option
@override_option
@click.option("--split", default="test", show_default=True, help="The split that is measured.")
@click.option("--backend", type=click.Choice(["torch", "onnx"]), default="torch", show_default=True)
@click.option("-o", "--out", metavar="FILE", help="Also write all of it: a page (.html) or JSON.")
@set_option
@limit_option
@json_option
@guarded
def eval_(
    file: str,
    weights: str,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    split: str,
    backend: Any,
    out: str | None,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure the network of FILE with trained weights on a split; every row counts once.

    Weights that `xgraph train` wrote say how their inputs are made; for others a recipe does.

    Example: xgraph eval net.xg --weights runs/a/weights.safetensors --data digits/
    """
    needs_training()
    from xgraph.files import named, write_whole
    from xgraph.train.evaluate import evaluate
    from xgraph.train.report import evaluation_page

    graph = read_graph(file, settings, limits)
    arrays, made, feed, held = ready(graph, weights, data, recipe, overrides, split)
    found = evaluate(graph, arrays, feed, held, backend=backend, predict=made.predict)
    text = json.dumps(found.to_json(), indent=2)
    if out is not None:
        path = named(out, "output")
        from xgraph.files import keep

        keep(path, [weights, *graph.files, *data_files(str(data), recipe)])
        if path.suffix.lower() not in (".html", ".json"):
            raise fail(
                "unknown-target", "what is measured is written as .html or .json", origin=out,
                help="end the name of the file so",
            )  # fmt: skip
        page = path.suffix.lower() == ".html"
        about = {"network": file, "weights": weights, "data": data, "through": backend}
        whole = evaluation_page(graph.name, about, found.to_json()) if page else text + "\n"
        write_whole(path, whole.encode(errors="replace"))
    click.echo(text if as_json else told_of(found, backend=backend, long=True))


def data_files(data: str, recipe: str | None = None) -> list[Path]:
    """What a command reads besides the network and its weights."""
    where = Path(data)
    files = list(where.rglob("*")) if where.is_dir() else [where]
    return [path for path in (*files, *([Path(recipe)] if recipe else [])) if path.is_file()]


def ready(
    graph: Any, weights: str, data: str | None, recipe: str | None, overrides: tuple[str, ...],
    split: str,
) -> tuple[Any, Recipe, Any, Any]:  # fmt: skip
    """Weights, recipe, feed and split, checked against each other."""
    from xgraph import driver
    from xgraph.data import open_data
    from xgraph.train.evaluate import fed

    if data is None:
        raise click.UsageError("give --data")
    arrays = driver.initial_weights(driver.tensor_graph(graph), weights)
    told = recipe_of_weights(weights, recipe_of(recipe, overrides))
    held = open_data(data).split(split)
    return arrays, told, fed(graph, told, held, weights), held


def recipe_of_weights(weights: str, told: Recipe) -> Recipe:
    """A recipe with what weights say of how their inputs are made; a warning where nothing does."""
    from xgraph.train.run import stored_recipe
    from xgraph.weights import metadata

    stored = stored_recipe(metadata(Path(weights)), weights)
    if stored is not None:
        return told.model_copy(update={k: v for k, v in stored.items() if not getattr(told, k)})
    if not told.inputs:
        show_diagnostics(
            [
                Diagnostic(
                    "raw-inputs", "nothing says how inputs were made for these weights: they are"
                    " taken as they are", severity="warning", origin=weights,
                    help="give the `recipe.yaml` of the training, if there is one: `--recipe`",
                )
            ]
        )  # fmt: skip
    return told


def told_of(found: Evaluation, *, backend: str = "torch", long: bool = False) -> str:
    how = {"torch": "PyTorch", "onnx": "ONNX Runtime"}[backend]
    lines = [f"{found.split}: {found.rows:,} rows, through {how}"]
    width = max(map(len, found.metrics))
    for name, value in found.metrics.items():
        interval = ""
        if name == "accuracy" and found.interval:
            low, high = found.interval
            interval = f"  (95 % from {low:.4f} to {high:.4f})"
        lines.append(f"  {name:<{width}}  {value:.4f}{interval}")
    if long and found.confusion is not None and len(found.confusion) <= 40:
        lines += ["", "  class  precision  recall      f1    rows"]
        for row in found.classes:
            rates = f"{row['precision']:9.4f}  {row['recall']:6.4f}  {row['f1']:6.4f}"
            lines.append(f"  {row['class']:>5}  {rates}  {row['rows']:6}")
        size = max(5, len(str(found.confusion.max())) + 1)
        lines += ["", "  rows: true class; columns: predicted"]
        lines.append(" " * 8 + "".join(f"{i:>{size}}" for i in range(len(found.confusion))))
        for i, counts in enumerate(found.confusion):
            lines.append(f"  {i:>5} " + "".join(f"{n:>{size}}" for n in counts))
    return "\n".join(lines)


@click.command("crossval", short_help="Cross-validate a network, or two against each other.")
@file_argument
@click.option("--against", metavar="FILE", help="Another network, on the same folds.")
@data_option
@recipe_option
@override_option
@click.option("--folds", default=10, show_default=True, help="How many.")
@click.option("--leave-out", metavar="COLUMN", help="One group of this column at a time instead.")
@click.option("-o", "--out", metavar="DIR", required=True, help="A folder; done folds stay done.")
@set_option
@limit_option
@json_option
@guarded
def crossval(
    file: str,
    against: str | None,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    folds: int,
    leave_out: str | None,
    out: str,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train the network of FILE on every fold with fresh weights, and test it on the rest.

    With --against, both are trained on the same folds, and a paired t-test tells whether they
    differ. Run it again to go on after a kill.

    Example: xgraph crossval a.xg --against b.xg --data digits/ -o folds
    """
    needs_training()
    from xgraph.data import open_data
    from xgraph.files import named, write_whole
    from xgraph.train.crossval import cross_validate

    if data is None:
        raise click.UsageError("give --data")
    networks = {Path(file).stem: read_graph(file, settings, limits)}
    if against is not None:
        name = Path(against).stem
        networks[name if name not in networks else f"{name}_2"] = read_graph(against, (), limits)
    folder = named(out, "output folder")

    def told(name: str, fold: int, score: float) -> None:
        click.echo(f"fold {fold}  {name}  {score:.4f}", err=as_json)

    found = cross_validate(
        networks, open_data(data), recipe_of(recipe, overrides), folder, count=folds,
        group=leave_out, told=told,
    )  # fmt: skip
    summary = found.summary()
    write_whole(folder / "results.json", json.dumps(summary, indent=2) + "\n")
    click.echo(json.dumps(summary, indent=2) if as_json else _summary(summary))


def _summary(summary: dict[str, Any]) -> str:
    lines = []
    folds = len(next(iter(summary["scores"].values()))["folds"])
    told = {
        "scores": f"on the rows of {folds} folds",
        "best_epoch": "on rows held out to choose by",
    }
    for kind, what in told.items():
        for name, s in summary[kind].items():
            lines.append(f"{name}: {summary['metric']} {s['mean']:.4f} ± {s['std']:.4f} {what}")
    test = summary.get("paired_t_test")
    if test:
        p = (
            "the differences are all the same"
            if test["p"] is None
            else f"t {test['t']:.3f}, p {test['p']:.4f}"
        )
        first, second = summary["scores"]
        lines.append(
            f"paired t-test over {folds} folds: {first} less {second} is"
            f" {test['mean_difference']:+.4f}, {p}"
        )
    return "\n".join(lines)


@click.command("probe", short_help="Measure a linear classifier at each block end.")
@file_argument
@click.option("--weights", metavar="FILE", required=True, help="A safetensors file.")
@data_option
@recipe_option
@override_option
@click.option(
    "--at", default="combined", show_default=True, help="A rule of `xgraph places`, or names."
)
@click.option("--epochs", default=80, show_default=True, help="Of the classifier.")
@click.option("--flat", is_flag=True, help="Maps as they are, not their means.")
@set_option
@limit_option
@json_option
@guarded
def probe_(
    file: str,
    weights: str,
    data: str | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    at: str,
    epochs: int,
    flat: bool,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell how well a linear classifier does on the frozen activations at each block end.

    Example: xgraph probe net.xg --weights runs/a/weights.safetensors --data digits/
    """
    needs_training()
    from xgraph.data import open_data
    from xgraph.train.probe import probe

    graph = read_graph(file, settings, limits)
    arrays, _, feed, test = ready(graph, weights, data, recipe, overrides, "test")
    train = open_data(str(data)).training
    found = probe(
        graph, arrays, feed, train, test, at=tuple(at.split(",")) if "," in at else at,
        pool="none" if flat else "mean", epochs=epochs,
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps([p.to_json() for p in found], indent=2))
        return
    click.echo(
        f"a linear classifier of {epochs} epochs, accuracy on the {len(test):,} rows of `test`"
    )
    width = max(len(p.place) for p in found)
    for p in found:
        click.echo(
            f"{p.place:<{width}}  depth {p.depth:>2}  {p.features:>6} features  {p.accuracy:.4f}"
        )


@click.command("recipes", short_help="List the recipes that come with xgraph.")
@click.argument("name", required=False)
@guarded
def recipes(name: str | None) -> None:
    """List the recipes of the papers, or print one: NAME.

    Example: xgraph recipes multipath > mine.yaml
    """
    needs_training()
    from xgraph.diagnostics import did_you_mean
    from xgraph.recipe import presets

    known = presets()
    if name is None:
        width = max(map(len, known))
        for key, text in known.items():
            click.echo(f"{key:<{width}}  {_first_sentence(text)}")
        return
    if name not in known:
        raise fail("unknown-recipe", f"no recipe is called `{name}`", origin=name,
                   help=did_you_mean(name, known) or f"there are {', '.join(known)}")  # fmt: skip
    click.echo(known[name], nl=False)


def _first_sentence(text: str) -> str:
    comment = " ".join(
        line.removeprefix("#").strip() for line in text.splitlines() if line[:1] == "#"
    )
    return comment.partition(" (")[0]
