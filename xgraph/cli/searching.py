"""The command that searches a space."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import click

from xgraph.cli.common import guarded, only_resume, set_option
from xgraph.cli.recipes import (
    data_option,
    leaks_option,
    needs_training,
    override_option,
    recipe_of,
    recipe_option,
)
from xgraph.cli.watching import INTERRUPTED
from xgraph.diagnostics import fail

if TYPE_CHECKING:
    from xgraph.search.folder import Opened
    from xgraph.search.report import Final
    from xgraph.search.study import Trial

STRATEGIES = ("random", "mfas", "evolution")


@click.command("search", short_help="Search a space for good networks.")
@click.argument("space", required=False)
@data_option
@click.option("-o", "--out", metavar="RUN", required=True, help="The folder of the search.")
@click.option("--resume", is_flag=True, help="Go on with the search in RUN.")
@click.option("--strategy", type=click.Choice(STRATEGIES), default="random", show_default=True)
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE",
              help="An option of the strategy: samples=30.")  # fmt: skip
@recipe_option
@override_option
@click.option("--init", metavar="FILE", help="Weights that candidates begin with, by address.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--repeat", "repeats", type=click.IntRange(1, 1000), default=1, show_default=True,
              help="Search so often, with the next seeds.")  # fmt: skip
@click.option("--trials", type=click.IntRange(1), help="The most networks of one strategy.")
@click.option("--time", "seconds", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
              help="The most time of one strategy, all workers together.")  # fmt: skip
@click.option("--max-params", type=click.IntRange(1), metavar="N", help="Of a candidate.")
@click.option("--max-macs", type=click.IntRange(1), metavar="N", help="Of a candidate, a sample.")
@click.option("--max-latency", type=click.FloatRange(0, min_open=True), metavar="MS",
              help="Of a candidate, one sample through ONNX Runtime here.")  # fmt: skip
@click.option("--latency", "timed", is_flag=True, help="Measure that of every candidate.")
@click.option("--fraction", type=float, default=1.0, help="Train on this share of every class.")
@click.option("--no-baselines", is_flag=True, help="Leave out what the search is held against.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True,
              help="How many of the best are written.")  # fmt: skip
@click.option("--final", "final_recipe", metavar="RECIPE",
              help="Train the best anew by this recipe.")  # fmt: skip
@click.option("--final-set", "final_settings", multiple=True, metavar="NAME=VALUE",
              help="Set a param for that: units=256.")  # fmt: skip
@click.option("--final-override", "final_overrides", multiple=True, metavar="KEY=VALUE",
              help="Change a key of that recipe.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True,
              help="Candidates side by side. Results do not depend on it.")  # fmt: skip
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option(
    "--address", metavar="ADDRESS", help="Of a Ray cluster; without it, one is begun here."
)
@leaks_option
@set_option
@guarded
def search(
    space: str | None,
    data: str | None,
    out: str,
    resume: bool,
    strategy: str,
    options: tuple[str, ...],
    recipe: str | None,
    overrides: tuple[str, ...],
    init: str | None,
    seed: int,
    repeats: int,
    trials: int | None,
    seconds: float | None,
    max_params: int | None,
    max_macs: int | None,
    max_latency: float | None,
    timed: bool,
    fraction: float,
    no_baselines: bool,
    top: int,
    final_recipe: str | None,
    final_settings: tuple[str, ...],
    final_overrides: tuple[str, ...],
    jobs: int,
    engine: str,
    address: str | None,
    allow_leaks: bool,
    settings: tuple[str, ...],
) -> None:
    """Search SPACE, a .xg with holes, for networks that do well on data, into the folder RUN.

    RUN gets the best networks with their weights, every trial, and a report. A search that was
    ended or killed goes on: xgraph search --resume -o RUN.

    Example: xgraph search space.xg --data digits/ --strategy mfas -o runs/search
    """
    _needs_search()
    from xgraph import driver
    from xgraph.build import read_settings
    from xgraph.claim import claimed
    from xgraph.files import named
    from xgraph.search import folder as folders
    from xgraph.search.search import Limits
    from xgraph.search.strategies.known import read_strategy

    folder = named(out, "output folder")
    source = driver.read_source(space)[0] if space is not None else None
    final = None
    if final_recipe is not None:
        final = recipe_of(final_recipe, final_overrides), read_settings(final_settings)
    elif final_settings or final_overrides:
        raise click.UsageError("--final-set and --final-override go with --final")
    with claimed(folder):
        if resume:
            only_resume(ANEW)
            opened = folders.resume(folder, source, data)
        else:
            if source is None or data is None:
                raise click.UsageError("give the space and --data, or --resume")
            about = folders.About(
                data=_absolute(data),
                fraction=fraction,
                allow_leaks=allow_leaks,
                settings=read_settings(settings),
                strategy=read_strategy(strategy, options),
                seed=seed,
                limits=Limits(
                    max_params,
                    max_macs,
                    trials,
                    seconds,
                    None if max_latency is None else max_latency / 1000,
                    timed,
                ),
                baselines=not no_baselines,
                repeats=repeats,
            )
            made = recipe_of(recipe, overrides)
            opened = folders.begin(folder, source, about, made, Path(init) if init else None)
        _run(opened, jobs, engine, address, top, final)


ANEW = ("space", "data", "out", "resume", "top", "final_recipe", "final_settings",
        "final_overrides", "jobs", "engine", "address")  # fmt: skip
"""What can be told when a search goes on; all else is the search's own."""


def _run(opened: Opened, jobs: int, engine: str, address: str | None, top: int, final: Any) -> None:
    """Search to the end, or until Ctrl-C, and say what was found."""
    from xgraph.search.finish import check_final, report, train_best, write_best
    from xgraph.search.search import Stopped
    from xgraph.search.standing import summary

    if final is not None:
        check_final(opened, *final)
    workers = opened.workers(jobs, engine, address)
    try:
        with _watching() as watch:
            search = opened.search(watch, workers)
            _tell(opened, search.together)
            trials = search.run(opened.phases(search), opened.about.repeats)
    except Stopped:
        click.echo(f"stopped; go on with: xgraph search --resume -o {opened.folder}")
        sys.exit(INTERRUPTED)
    finally:
        if workers is not None:
            workers.close()
    best = write_best(search, trials, top)
    click.echo(summary(trials, opened.about.strategy.name))
    page = report(opened, search, trials, best)
    if final is not None:
        finals = []
        for one in train_best(opened, search, best, *final):
            _tell_final(one)
            finals.append(one)
        _tell_mean(finals)
        report(opened, search, trials, best)
    click.echo(f"wrote {page}, {opened.folder / 'best'} and more")


def _tell(opened: Opened, together: int) -> None:
    """Say what is searched, on what."""
    made = opened.evaluator.plan
    click.echo(f"{opened.space.name}: {opened.space.size_text} networks")
    click.echo(f"{len(made.train):,} rows to train, {len(made.val):,} to compare by")
    if together > 1:
        click.echo(f"frozen layers ran once; up to {together} networks train as one")


def _tell_final(one: Final) -> None:
    from xgraph.search.report import MEASURES

    told = one.measured
    listed = "  ".join(f"{name} {told[name]:.4f}" for name in MEASURES if name in told)
    click.echo(f"{one.name}. trained to the end: {listed} on the {one.rows} rows")


def _tell_mean(finals: Sequence[Final]) -> None:
    """Of the best network of each seed, where there are several."""
    from statistics import mean, stdev

    from xgraph.search.report import MEASURES, first_of_each

    firsts = first_of_each(finals)
    if len(firsts) > 1:
        each = {n: [one.measured[n] for one in firsts] for n in MEASURES if n in firsts[0].measured}
        told = "  ".join(f"{n} {mean(v):.4f} ± {stdev(v):.4f}" for n, v in each.items())
        click.echo(f"the first of each of {len(firsts)} seeds: {told} on the {firsts[0].rows} rows")


def _needs_search() -> None:
    from importlib.util import find_spec

    needs_training()
    for package in ("optuna", "pyarrow", "jinja2"):
        if find_spec(package) is None:
            raise fail(
                "missing-extra", f"this needs the package `{package}`, which is not installed",
                origin=package, help="pip install 'xgraph[search]'",
            )  # fmt: skip


def _absolute(data: str) -> str:
    return str(Path(data).resolve()) if Path(data).exists() else data


@contextmanager
def _watching() -> Iterator[_Bar]:
    """A watch that Ctrl-C asks to stop after what is being evaluated; a second one ends at once."""
    watch = _Bar()
    before = None
    if threading.current_thread() is threading.main_thread():

        def asked(number: int, frame: object) -> None:
            if watch.stop:
                raise KeyboardInterrupt
            watch.stop = True
            click.echo("\nfinishing what is being evaluated, to keep it", err=True)

        before = signal.signal(signal.SIGINT, asked)
    try:
        yield watch
    finally:
        watch.close()
        if before is not None:
            signal.signal(signal.SIGINT, before)


_EVERY = 60
"""Seconds between two lines of progress where there is no terminal."""


@final
class _Bar:
    """A progress bar on a terminal, else a line a minute; and a line for each part anywhere."""

    def __init__(self) -> None:
        self.stop = False
        self._bar: Any = None
        self._name = ""
        self._done = 0
        self._best: Trial | None = None
        self._most = self._before = 0
        """How many it will be at most, and were there before."""
        self._began = self._told = time.monotonic()

    def phase(self, name: str, trials: int) -> None:
        from tqdm import tqdm

        self.close()
        self._name, self._best, self._most = name, None, trials
        self._done = self._before = 0
        self._began = self._told = time.monotonic()
        self._bar = tqdm(
            total=trials, desc=name, unit="network", leave=False,
            disable=not sys.stderr.isatty(),
        )  # fmt: skip

    def trials(self, trials: Sequence[Trial], *, kept: bool) -> None:
        self._done += len(trials)
        for trial in trials:
            if trial.score is not None and (
                self._best is None or trial.score > (self._best.score or 0.0)
            ):
                self._best = trial
        now = time.monotonic()
        if kept:
            self._before, self._began = self._done, now
        if self._bar is not None:
            self._bar.update(len(trials))
            if self._best is not None:
                self._bar.set_postfix(best=f"{self._best.score:.4f}", refresh=False)
            if self._bar.disable and now - self._told >= _EVERY and self._done < self._most:
                self._told = now
                each = (now - self._began) / max(1, self._done - self._before)
                left = each * (self._most - self._done)
                click.echo(f"{self._said(f'{self._done} of {self._most}')}, {left:.0f} s left)")

    def close(self) -> None:
        if self._bar is None:
            return
        self._bar.close()
        self._bar = None
        click.echo(f"{self._said(str(self._done))})")

    def _said(self, count: str) -> str:
        best = "" if self._best is None else f", best {self._best.score:.4f}"
        networks = "network" if count == "1" else "networks"
        seconds = time.monotonic() - self._began
        return f"{self._name}: {count} {networks}{best} ({seconds:.0f} s"
