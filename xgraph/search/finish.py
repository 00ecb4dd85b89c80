"""What a search leaves behind: the best networks, trained to the end if wanted, and a report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
_OURS = re.compile(r"(seed\d+-)?\d+\.(xg|safetensors|onnx)")
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
            help=f"`{search.folder / 'trials.parquet'}` says why of each",
        )  # fmt: skip
    (first, *_) = ranked(list(best.values()), SEARCH, RANDOM)
    for stale in folder.iterdir():  # of more networks, told before; nothing that is another's
        if _OURS.fullmatch(stale.name) and stale.stem not in best:
            stale.unlink()
    for name, trial in best.items():
        search.write(trial, folder / name, model=trial is first)
    return best


def report(opened: Opened, search: Search, trials: Sequence[Trial], best: Best) -> Path:
    """Write the page of a search, with the final trainings that there are; say where it is."""
    held = {name: search.folder / FINAL / name for name in best}
    finals = [
        _final(folder, name, best[name])
        for name, folder in held.items()
        if (folder / "run.json").exists() and read_run(folder)["finished"]
    ]
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


def check_final(opened: Opened, recipe: Recipe, settings: Mapping[str, object]) -> None:
    """`DiagnosticError` where networks cannot be built with these `param`s, or were trained by
    another recipe already."""
    text = opened.job.examples[0]
    build_source(Source("<network>", text), {**dict(opened.job.settings), **settings})
    path = opened.folder / FINAL / "final.json"
    if path.exists() and read_text(path).text != _written(opened, recipe, settings):
        raise fail(
            "changed-search", "the best were trained by another recipe or with other `param`s",
            origin=str(path.parent), help=f"move `{path.parent}` away to train them anew",
        )  # fmt: skip


def _final_recipe(opened: Opened, recipe: Recipe) -> Recipe:
    """With inputs made as in the search, where it says nothing of them."""
    inputs = recipe.inputs or opened.evaluator.recipe.inputs
    return recipe.model_copy(update={"inputs": inputs})


def _written(opened: Opened, recipe: Recipe, settings: Mapping[str, object]) -> str:
    """What `final.json` says."""
    told = _final_recipe(opened, recipe).model_dump(mode="json")
    return json.dumps({"recipe": told, "settings": dict(settings)}, indent=2) + "\n"


def train_best(
    opened: Opened,
    search: Search,
    best: Best,
    recipe: Recipe,
    settings: Mapping[str, object],
    watch: Watch | None = None,
) -> Iterator[Final]:
    """Train the best networks by another recipe, of other `param`s such as a full width; each in
    RUN/final/NAME. One that was begun is gone on with, one that is finished stays."""
    make_folder(search.folder / FINAL)
    write_whole(search.folder / FINAL / "final.json", _written(opened, recipe, settings))
    recipe = _final_recipe(opened, recipe)
    for name, trial in best.items():
        folder = search.folder / FINAL / name
        if not (folder / "run.json").exists():
            rmtree(folder, ignore_errors=True)  # one that did not come to its begin
            text = opened.space.decode(trial.encoding).text
            merged = {**dict(opened.job.settings), **settings}
            graph = build_source(Source(f"<network {name}>", text), merged)
            run = start_run(
                folder, graph, open_data(opened.job.data), recipe,
                fraction=opened.job.fraction, init=opened.job.weights,
                allow_leaks=opened.job.allow_leaks,
            )  # fmt: skip
            run.train(watch=watch)
        elif not read_run(folder)["finished"]:
            resume_run(folder).train(watch=watch)
        yield _final(folder, name, trial)


def _final(folder: Path, name: str, trial: Trial) -> Final:
    return Final(name, trial, json.loads((folder / "metrics.json").read_text("utf-8")))
