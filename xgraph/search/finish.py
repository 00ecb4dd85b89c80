"""What a search leaves behind: the best networks, trained to the end if wanted, and a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeAlias

from xgraph import __version__
from xgraph.build import build_source, unbuild
from xgraph.data.source import open_data
from xgraph.diagnostics import fail
from xgraph.files import make_folder, read_text, write_whole
from xgraph.recipe import Recipe
from xgraph.search.folder import Opened
from xgraph.search.report import Final, write_report
from xgraph.search.search import RANDOM, SEARCH, Search, ranked
from xgraph.search.study import Trial
from xgraph.search.table import write_table
from xgraph.source import Source
from xgraph.train.fit import Watch
from xgraph.train.run import read_run, resume_run, start_run

BEST = "best"
FINAL = "final"


Best: TypeAlias = "dict[str, Trial]"
"""By their names: 1, 2, ..., and where a search is repeated seed0-1, seed0-2, ..., seed1-1, ..."""


def write_best(search: Search, trials: Sequence[Trial], top: int) -> Best:
    """The first networks of the space, of each seed, with their weights, the model of the very
    first, and the table of trials."""
    folder = search.folder / BEST
    make_folder(folder)
    write_table(trials, search.folder / "trials.parquet")
    seeds = list(dict.fromkeys(trial.search_seed for trial in trials))
    best = {
        f"seed{seed}-{rank}" if len(seeds) > 1 else f"{rank}": trial
        for seed in seeds
        for rank, trial in enumerate(
            ranked([t for t in trials if t.search_seed == seed], SEARCH, RANDOM)[:top], 1
        )
    }
    if not best:
        raise fail(
            "failing-search", "no candidate could be evaluated", origin=str(search.folder),
            help="the trials say why: `xgraph search --resume` shows them again",
        )  # fmt: skip
    (first, *_) = ranked(list(best.values()), SEARCH, RANDOM)
    for name, trial in best.items():
        search.write(trial, folder / name, model=trial is first)
    return best


def report(
    opened: Opened,
    search: Search,
    trials: Sequence[Trial],
    best: Best,
    finals: Sequence[Final] = (),
) -> Path:
    """Write the page of a search, and say where it is."""
    graphs = {name: search.graph(trial) for name, trial in best.items()}
    shown = [(name, best[name], unbuild(graph), graph) for name, graph in graphs.items()]
    path = search.folder / "report.html"
    write_report(path, _about(opened), trials, shown, finals)
    return path


def _about(opened: Opened) -> dict[str, Any]:
    """The head of the report."""
    about, made = opened.about, opened.evaluator.plan
    last = about.seed + about.repeats - 1
    options = about.strategy.model_dump(mode="json", exclude={"name"})
    limits = {name: value for name, value in asdict(about.limits).items() if value}
    return {
        "title": f"Search of {opened.space.name}",
        "space": f"{opened.space.size_text} networks",
        "data": f"{about.data}: {len(made.train):,} rows to train, {len(made.val):,} to compare by",
        "recipe": _recipe(made.recipe),
        "strategy": about.strategy.name,
        "options": options,
        "limits": limits or "none",
        "settings": about.settings or "none",
        "seed": about.seed if last == about.seed else f"{about.seed} to {last}",
        "xgraph": __version__,
    }


def _recipe(recipe: Recipe) -> dict[str, Any]:
    """What most depends on; `recipe.yaml` beside the page has all."""
    stages = recipe.each_stage()
    return {
        "epochs": sum(stage.epochs or 0 for stage in stages),
        "batch": recipe.batch,
        "optimizer": recipe.optimizer.name,
        "lr": recipe.optimizer.lr,
        "losses on": list(recipe.losses) or "every output",
    }


def check_final(opened: Opened, settings: Mapping[str, object]) -> None:
    """`DiagnosticError` where networks cannot be built with these `param`s."""
    text = opened.job.examples[0]
    build_source(Source("<network>", text), {**dict(opened.job.settings), **settings})


def _check_same(folder: Path, recipe: Recipe, settings: Mapping[str, object]) -> None:
    """Trainings that are there already must be of this recipe."""
    path = folder / "final.json"
    told = json.dumps(
        {"recipe": recipe.model_dump(mode="json"), "settings": dict(settings)}, indent=2
    )
    if not path.exists():
        make_folder(folder)
        write_whole(path, told + "\n")
    elif read_text(path).text != told + "\n":
        raise fail(
            "changed-search", "the best were trained by another recipe or with other `param`s",
            origin=str(folder), help=f"move `{folder}` away to train them anew",
        )  # fmt: skip


def train_best(
    opened: Opened,
    search: Search,
    best: Best,
    recipe: Recipe,
    settings: Mapping[str, object],
    watch: Watch | None = None,
) -> list[Final]:
    """Train the best networks by another recipe, of other `param`s such as a full width; each in
    RUN/final/NAME. One that was begun is gone on with, one that is finished stays."""
    if not recipe.inputs:
        recipe = recipe.model_copy(update={"inputs": opened.evaluator.recipe.inputs})
    _check_same(search.folder / FINAL, recipe, settings)
    found = []
    for name, trial in best.items():
        folder = search.folder / FINAL / name
        if not (folder / "run.json").exists():
            rmtree(folder, ignore_errors=True)  # one that did not come to its begin
            text = opened.space.decode(trial.encoding).text
            merged = {**dict(opened.job.settings), **settings}
            graph = build_source(Source(f"<network {name}>", text), merged)
            seed = recipe.seed + trial.search_seed - opened.about.seed
            run = start_run(
                folder, graph, open_data(opened.job.data),
                recipe.model_copy(update={"seed": seed}),
                fraction=opened.job.fraction, init=opened.job.weights,
                allow_leaks=opened.job.allow_leaks,
            )  # fmt: skip
            run.train(watch=watch)
        elif not read_run(folder)["finished"]:
            resume_run(folder).train(watch=watch)
        metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
        found.append(Final(name, trial, metrics))
    return found
