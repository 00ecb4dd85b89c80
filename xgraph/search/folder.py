"""A search as it is begun, gone on with and finished: what its folder says of it."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any, final

from pydantic import ValidationError

from xgraph import __version__
from xgraph.data.source import open_data
from xgraph.diagnostics import fail
from xgraph.files import make_folder, read_text, write_whole
from xgraph.recipe import Recipe, read_recipe, write_recipe
from xgraph.search.baselines import Baseline, baselines
from xgraph.search.evaluate import Evaluator, Job
from xgraph.search.search import RANDOM, SEARCH, Limits, Observer, Phase, Search
from xgraph.search.strategies.known import AnyStrategy, stored_strategy
from xgraph.search.strategies.random import RandomSearch
from xgraph.search.workers import Processes, Ray, Workers
from xgraph.source import Source
from xgraph.space import Space
from xgraph.space.space import Sample
from xgraph.train.run import check_free, check_outside, data_digest, stored_recipe
from xgraph.weights import load, metadata, save

ABOUT = "search.json"
_FILES = ("space.xg", "recipe.yaml", "init.safetensors")
COVERED = 64
"""The most networks that are looked at to know all features of a space beforehand."""


@final
@dataclass(frozen=True)
class About:
    """All that trials depend on."""

    data: str
    fraction: float
    allow_leaks: bool
    settings: dict[str, Any]
    strategy: AnyStrategy
    seed: int
    limits: Limits
    baselines: bool
    repeats: int = 1
    """How many seeds, from this one on."""
    rows: str = ""
    """The digest of the data."""
    files: str = ""
    """That of the space, the recipe and the first weights."""

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in vars(self).items() if name != "limits"},
            "strategy": self.strategy.model_dump(mode="json"),
            "limits": asdict(self.limits),
            "xgraph": __version__,
            "python": platform.python_version(),
        }


@final
@dataclass(frozen=True)
class Opened:
    """A search that is ready to run."""

    folder: Path
    space: Space
    about: About
    job: Job = field(repr=False)
    evaluator: Evaluator = field(repr=False)
    beside: tuple[Baseline, ...] = ()

    def search(self, observer: Observer, workers: Workers | None = None) -> Search:
        return Search(
            self.folder, self.space, self.evaluator, self.about.seed, self.about.limits, observer,
            workers,
        )  # fmt: skip

    def workers(self, jobs: int, engine: str, address: str | None) -> Workers | None:
        """None: in this process."""
        if engine == "ray":
            return Ray(self.job, jobs, address)
        return Processes(self.job, jobs) if jobs > 1 else None

    def phases(self, search: Search) -> list[Phase]:
        """The strategy, and beside it what it is held against: with an equal budget each."""
        found = [search.strategy(SEARCH, self.about.strategy)]
        if self.about.baselines:
            if not isinstance(self.about.strategy, RandomSearch):
                equal = RandomSearch(
                    samples=found[0].trials, sharing=self.about.strategy.sharing,
                    batch=self.about.strategy.batch,
                )  # fmt: skip
                found.append(search.strategy(RANDOM, equal, beside=SEARCH))
            found += [search.baseline(one) for one in self.beside]
        return found


def begin(
    folder: Path, space_file: Source, about: About, recipe: Recipe, init: Path | None
) -> Opened:
    """A new search in a folder that holds nothing yet."""
    check_free(folder, "search")
    check_outside(folder, open_data(about.data))
    space = Space.read(space_file, Path(space_file.name).parent)
    _, mistakes = space.check(about.settings)
    mistakes.raise_errors()  # where they stand in the file, before anything is made
    weights = load(init) if init else None
    if init and not recipe.inputs:  # what their inputs went through is part of trained layers
        told = stored_recipe(metadata(init), str(init)) or {}
        recipe = recipe.model_copy(update={"inputs": told.get("inputs", {})})
    make_folder(folder)
    write_whole(folder / "space.xg", _whole(space_file))
    write_whole(folder / "recipe.yaml", write_recipe(recipe))
    if weights is not None:
        save(folder / "init.safetensors", weights)
    try:
        opened = _opened(folder, about)
    except BaseException:
        _take_back(folder)
        raise
    rows = data_digest(opened.evaluator.plan)
    about = About(**{**vars(about), "rows": rows, "files": _digest_of_files(folder)})
    text = json.dumps(about.to_json(), indent=2) + "\n"
    write_whole(folder / ABOUT, text)  # last: a folder that has it is whole
    return Opened(folder, opened.space, about, opened.job, opened.evaluator, opened.beside)


def resume(folder: Path, space_file: Source | None = None, data: str | None = None) -> Opened:
    """The search of a folder, to be gone on with; `DiagnosticError` says what differs, where the
    space or the data is not what it began with."""
    about = read_about(folder)
    if space_file is not None and _digest(_whole(space_file)) != _digest(
        read_text(folder / "space.xg").text
    ):
        raise fail(
            "changed-space", f"the search in `{folder}` is of another space",
            origin=space_file.name,
            help=f"its own is `{folder / 'space.xg'}`: leave the space out, or begin in another "
            "folder",
        )  # fmt: skip
    if _digest_of_files(folder) != about.files:
        raise fail(
            "changed-search",
            "the space, recipe or first weights are not what this search began with",
            origin=str(folder), help="begin anew in another folder",
        )  # fmt: skip
    opened = _opened(folder, about if data is None else About(**{**vars(about), "data": data}))
    if data_digest(opened.evaluator.plan) != about.rows:
        raise fail(
            "changed-data", "the data is not what this search began with",
            origin=data or about.data, help="bring the old data back, or begin in another folder",
        )  # fmt: skip
    return opened


def read_about(folder: Path) -> About:
    """What `search.json` says; `DiagnosticError` where a folder holds no search."""
    path = folder / ABOUT
    if not path.exists():
        raise fail(
            "no-search", "there is no search in this folder", origin=str(folder),
            help="`xgraph search SPACE --data DATA -o FOLDER` begins one",
        )  # fmt: skip
    try:
        found = json.loads(read_text(path).text)
        strategy = stored_strategy(found["strategy"])
        limits = Limits(**found["limits"])
        names = [name for name in About.__dataclass_fields__ if name not in ("strategy", "limits")]
        told = {name: found[name] for name in names if name in found}
        return About(strategy=strategy, limits=limits, **told)
    except (ValueError, KeyError, TypeError, ValidationError):
        raise fail("no-search", "this is no description of a search", origin=str(path)) from None


def _opened(folder: Path, about: About) -> Opened:
    space = Space.load(folder / "space.xg")
    beside = tuple(baselines(Sample(space, space.region.cover(0)))) if about.baselines else ()
    count = min(space.region.breadth, COVERED)
    covers = [Sample(space, space.region.cover(i)) for i in range(count)]
    held = folder / "init.safetensors"
    job = Job(
        data=about.data,
        recipe=read_recipe(folder / "recipe.yaml"),
        fraction=about.fraction,
        allow_leaks=about.allow_leaks,
        settings=tuple(about.settings.items()),
        weights=held if held.exists() else None,
        features=folder / "features",
        examples=(*(sample.text for sample in covers), *(one.text for one in beside)),
    )
    return Opened(folder, space, about, job, Evaluator(job), beside)


def _whole(source: Source) -> str:
    """The text of a space with what it uses written into it."""
    from xgraph.build import inlined
    from xgraph.diagnostics import Report
    from xgraph.grammar import format_document, parse

    report = Report()
    document = inlined(parse(source, report), Path(source.name).parent, report)
    report.raise_errors()
    return format_document(document)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _digest_of_files(folder: Path) -> str:
    found = sha256()
    for name in _FILES:
        path = folder / name
        found.update(path.read_bytes() if path.exists() else b"")
    return found.hexdigest()


def _take_back(folder: Path) -> None:
    """Leave nothing of a search that could not begin."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    rmtree(folder / "features", ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()
