"""The iterative approach of Xsertion (Karazija et al., 2018): connection weights that climb.

Every pair of modalities is a model of its own, of two super-layers as wide as in the network of
all, connected both ways. A generation is such a model with some weights, trained from what the
last generation left; its accuracy tells where to go next (`ascent`). The network of all then
takes the best weights of every pair, begins with the mean of the best models, and is trained.

RUN/base.xg              the network of which all is made
    recipe.yaml          the recipe, with all that was measured for it
    refine.json          what is searched, and in the end what was found
    generations.csv      the generations as a table
    generations/         every training
    net.xg               the network with the weights that were found
    weights.safetensors  trained, and how its inputs are made
    model.onnx           the same, to be deployed
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final, get_args

import numpy as np

from xgraph import driver
from xgraph.build import MADE, build_source, unbuild
from xgraph.data.source import Data, open_data
from xgraph.diagnostics import fail
from xgraph.files import make_folder, read_text, unwritable, write_whole
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.passes import Pipeline
from xgraph.passes.widths import filters_of
from xgraph.passes.xsertion import Lanes, Xsertion
from xgraph.recipe import Recipe, read_recipe, write_recipe
from xgraph.search.xsertion.ascent import Pair
from xgraph.search.xsertion.bench import Bench, described, differences
from xgraph.search.xsertion.generations import Generation, accuracy_of, best, same, weights_of
from xgraph.search.xsertion.measure import digest_of, need_accuracy, with_seed
from xgraph.source import Source
from xgraph.train.evaluate import Evaluation
from xgraph.train.fit import Arrays, Watch
from xgraph.train.optim import check_patterns
from xgraph.train.plan import Plan, plan
from xgraph.train.run import check_outside, data_digest, whereabouts, write_result
from xgraph.weights import inherit

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATE = "refine.json"
Pretraining = Literal["plain", "connected", "none"]
PRETRAININGS: tuple[str, ...] = get_args(Pretraining)
Lane2: TypeAlias = tuple[int, int]
"""Two super-layers by their numbers, the lower first."""


@final
@dataclass(frozen=True)
class Options:
    """How a refinement goes; the defaults are the paper's, and where it is silent its scripts'."""

    xsertion: str = "xsertion{alpha=1 beta=2}"
    iterations: int = 15
    rate: float = 0.1
    repeat: int = 3
    pair_epochs: int = 30
    """At most, of a pair's model; the recipe's where those are fewer."""
    pretrain: Pretraining = "plain"
    """What the first pair models inherit from: the network of all without connections (paper),
    with those of Eq. 2 (the authors' program), or nothing."""
    as_published: bool = False
    fraction: float = 1.0
    allow_leaks: bool = False

    @property
    def passed(self) -> Xsertion:
        """The pass whose network is refined."""
        (found,) = Pipeline.parse(self.xsertion).passes
        assert isinstance(found, Xsertion)
        return found


@final
@dataclass(frozen=True)
class Result:
    """What a refinement found."""

    best: dict[str, Generation]
    """By pair: `luma+blue`."""
    generations: dict[str, list[Generation]]
    epochs: list[dict[str, Any]]
    """Of the network of all."""
    best_epoch: int | None
    test: Evaluation | None


@final
@dataclass(frozen=True)
class Refinement:
    """A refinement and its folder."""

    folder: Path
    lanes: Lanes
    plan: Plan
    """Of the network of all, as Eq. 2 has it."""
    options: Options
    about: dict[str, Any]

    def run(
        self,
        fabric: Fabric | None = None,
        watch: Watch | None = None,
        *,
        begins: Callable[[str], None] = lambda what: None,
        told: Callable[[str, Generation], None] = lambda pair, generation: None,
    ) -> Result:
        """Refine to the end, write the results, and measure the test split if there is one.

        `Stopped` if the watch asked for it: run again, it goes on from there.
        """
        return _Refining(
            self, Bench(self.folder / "generations", fabric, watch), begins, told
        ).run()

    @property
    def pairs(self) -> list[Lane2]:
        return list(combinations(range(len(self.lanes.names)), 2))

    def named(self, pair: Lane2) -> str:
        return "+".join(self.lanes.modalities[i] for i in pair)


def start_refinement(
    folder: Path, graph: Graph, data: Data, recipe: Recipe, options: Options
) -> Refinement:
    """A new refinement in `folder`, which must not hold anything yet."""
    check_outside(folder, data)
    Lanes.of(graph, options.passed)  # so that a mistake shows in its own text
    text = unbuild(graph)
    made = _checked(folder, text, data, recipe, options)
    _check_free(folder, made.about["search"])
    make_folder(folder)
    write_whole(folder / "base.xg", text)
    write_whole(folder / "recipe.yaml", write_recipe(made.plan.recipe))
    _write_json(folder / STATE, made.about)  # last: a folder that has it is whole
    return made


def resume_refinement(
    folder: Path, graph: Graph | None = None, data: Data | None = None
) -> Refinement:
    """The refinement of a folder, to be gone on with; `DiagnosticError` if it is finished, or its
    network or data are not what they were. A network and data that are given must be its own."""
    about = described(folder / STATE)
    if about is None or not {"data", "options", "texts", "finished"} <= about.keys():
        raise fail(
            "no-run", "there is no refinement in this folder", origin=str(folder),
            help="`xgraph refine NET --data DATA -o FOLDER` begins one",
        )  # fmt: skip
    if about["finished"]:
        raise fail(
            "finished", "this refinement is finished", origin=str(folder),
            help=f"what it found is `{folder / 'net.xg'}`, with `{folder / 'weights.safetensors'}`",
        )  # fmt: skip
    texts = [read_text(folder / name).text for name in ("base.xg", "recipe.yaml")]
    if digest_of("\0".join(texts)) != about["texts"]:
        raise fail(
            "changed-network", "`base.xg` or `recipe.yaml` is not what this refinement began with",
            origin=str(folder), help="begin anew in another folder",
        )  # fmt: skip
    if graph is not None and digest_of(_canonical(unbuild(graph))) != about["search"]["network"]:
        raise fail(
            "changed-network", "the refinement in this folder is of another network",
            origin=str(folder), help=f"`xgraph refine --resume -o {folder}` goes on with its own",
        )  # fmt: skip
    recipe = read_recipe(folder / "recipe.yaml")
    opened = data or open_data(about["data"])
    made = _checked(folder, texts[0], opened, recipe, Options(**about["options"]))
    if made.about["search"]["data"] != about["search"]["data"]:
        raise fail(
            "changed-data", "the data is not what this refinement began with",
            origin=opened.origin, help="bring the old data back, or begin anew in another folder",
        )  # fmt: skip
    return replace(made, about=about)


def _checked(folder: Path, text: str, data: Data, recipe: Recipe, options: Options) -> Refinement:
    if recipe.stages:
        raise fail(
            "bad-recipe", "a refinement trains in one stage, and this recipe has several",
            origin="recipe: stages", help="give one with `epochs`",
        )  # fmt: skip
    lanes = Lanes.of(build_source(Source("base.xg", text), limits=MADE), options.passed)
    whole = lanes.network(lanes.weights())
    made = plan(
        whole, data, recipe, fraction=options.fraction, allow_leaks=options.allow_leaks
    )  # fmt: skip
    need_accuracy(made)
    search = {
        "network": digest_of(_canonical(text)),
        "data": data_digest(made),
        "recipe": digest_of(write_recipe(made.recipe)),
        **asdict(options),
    }
    about = {
        "search": search,
        "data": whereabouts(data),
        "options": asdict(options),
        "texts": digest_of("\0".join([text, write_recipe(made.recipe)])),
        "finished": False,
    }
    found = Refinement(folder, lanes, made, options, about)
    for i, j in found.pairs:
        check_patterns(lanes.network({(i, j): 0.5, (j, i): 0.5}, (i, j)), recipe)
    return found


def _canonical(text: str) -> str:
    return canonical(build_source(Source("base.xg", text), limits=MADE))


def _check_free(folder: Path, search: Mapping[str, Any]) -> None:
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
    except OSError as error:
        raise unwritable(folder, error, "folder") from None
    if not folder.is_dir():
        raise fail(
            "bad-output", "a refinement needs a folder, and this is a file", origin=str(folder)
        )
    about = described(folder / STATE)
    if about is None:
        raise fail(
            "would-overwrite", "this folder is not empty", origin=str(folder),
            help="choose another folder",
        )  # fmt: skip
    told = differences(about["search"], search)
    if told:
        message = f"this folder holds another refinement: it differs in {', '.join(told)}"
        advice = "choose another folder"
    else:
        done = " and is finished" if about.get("finished") else ""
        message = f"this refinement is in this folder already{done}"
        advice = f"`xgraph refine --resume -o {folder}` goes on with it"
        advice = f"what it found is `{folder / 'net.xg'}`" if done else advice
    raise fail("would-overwrite", message, origin=str(folder), help=advice)


# ------------------------------------------------------------------------------ the search


@final
class _Refining:
    """One run of a refinement."""

    def __init__(
        self,
        refinement: Refinement,
        bench: Bench,
        begins: Callable[[str], None],
        told: Callable[[str, Generation], None],
    ) -> None:
        self.of, self.bench, self.begins, self.told = refinement, bench, begins, told
        self.lanes, self.options = refinement.lanes, refinement.options
        self.base = self.lanes.weights()
        self.widths = self.lanes.widths()
        self.past: dict[Lane2, list[Generation]] = {pair: [] for pair in refinement.pairs}

    def run(self) -> Result:
        begun = self._pretrained()
        for number in range(self.options.iterations + 2):
            for pair, past in self.past.items():
                past.append(self._generation(pair, number, begun))
                self.told(self.of.named(pair), past[-1])
        return self._finish()

    def _epochs(self) -> int:
        return self.of.plan.recipe.each_stage()[0].epochs

    def _made(self, graph: Graph, epochs: int) -> Plan:
        recipe = self.of.plan.recipe.model_copy(update={"epochs": epochs})
        return replace(self.of.plan, graph=graph, recipe=recipe)

    def _fresh(self, graph: Graph) -> Arrays:
        low = driver.tensor_graph(graph)
        return driver.initial_weights(low, None, self.of.plan.recipe.seed)

    # ------------------------------------------------------------------------- generations

    def _pretrained(self) -> Arrays:
        """What the first models inherit from."""
        if self.options.pretrain == "none":
            return {}
        self.begins("all modalities, for the first weights")
        graph = self.lanes.network(self.base if self.options.pretrain == "connected" else {})
        made = self._made(graph, max(1, self._epochs() // 4))
        return self.bench.train("pretrained", made, self._fresh(graph)).weights

    def _generation(self, pair: Lane2, number: int, begun: Arrays) -> Generation:
        i, j = pair
        past = self.past[pair]
        weights = weights_of(
            number, past, (self.base[i, j], self.base[j, i]), self.options.rate,
            as_published=self.options.as_published,
        )  # fmt: skip
        filters = self._filters(pair, weights)
        known = same(past, filters)
        if known is not None:
            return Generation(number, weights, filters, known.accuracy, known.number, 0.0)
        self.begins(f"{self.of.named(pair)}, generation {number}")
        graph = self.lanes.network({(i, j): weights[0], (j, i): weights[1]}, pair)
        made = self._made(graph, min(self.options.pair_epochs, self._epochs()))
        old = self._model(pair, past[-1].trained) if past else begun
        start = inherit(old, self._fresh(graph)).weights
        runs = [
            self.bench.train(self._key(pair, number, r), with_seed(made, r), start)
            for r in range(self.options.repeat)
        ]
        accuracy = fmean(accuracy_of(run.history) for run in runs)
        seconds = sum(run.seconds for run in runs)
        return Generation(number, weights, filters, accuracy, None, round(seconds, 3))

    def _filters(self, pair: Lane2, weights: Pair) -> tuple[int, ...]:
        return tuple(
            filters_of(row[lane], weight)
            for row in self.widths
            for lane, weight in zip(pair, weights, strict=True)
        )

    def _key(self, pair: Lane2, number: int, repeat: int) -> str:
        return f"{self.of.named(pair)}-{number:02}-{repeat + 1}"

    def _model(self, pair: Lane2, number: int) -> Arrays:
        """Of a generation that was trained: the mean of its repeats."""
        keys = (self._key(pair, number, r) for r in range(self.options.repeat))
        return mean_of([self.bench.weights(key) for key in keys])

    # ----------------------------------------------------------------------------- the end

    def _finish(self) -> Result:
        chosen = {
            pair: best(past, as_published=self.options.as_published)
            for pair, past in self.past.items()
        }
        weights: dict[Lane2, float] = {}
        for (i, j), generation in chosen.items():
            weights[i, j], weights[j, i] = generation.weights
        text = unbuild(self.lanes.network(weights))
        graph = build_source(Source("net.xg", text), limits=MADE)
        models = [self._model(pair, generation.trained) for pair, generation in chosen.items()]
        self.begins("all modalities, with the weights found")
        made = self._made(graph, self._epochs())
        trained = self.bench.train("final", made, mean_onto(self._fresh(graph), models))
        folder = self.of.folder
        write_whole(folder / "net.xg", text)
        test = write_result(folder, made, trained.weights)
        result = Result(
            {self.of.named(pair): generation for pair, generation in chosen.items()},
            {self.of.named(pair): past for pair, past in self.past.items()},
            trained.history, trained.best_epoch, test,
        )  # fmt: skip
        write_whole(folder / "generations.csv", _table(result))
        _write_json(folder / STATE, {**self.of.about, **_told(result), "finished": True})
        return result


def mean_of(models: list[Arrays]) -> Arrays:
    """The mean of models of one network, address by address."""
    return {name: _mean([model[name] for model in models]) for name in models[0]}


def mean_onto(fresh: Arrays, models: Iterable[Arrays]) -> Arrays:
    """`fresh`, with the mean of all models that have an address and shape in place of its own."""
    found = [inherit(model, fresh) for model in models]
    kept = dict(fresh)
    for name in fresh:
        given = [one.weights[name] for one in found if name in one.matched]
        if given:
            kept[name] = _mean(given)
    return kept


def _mean(arrays: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return np.asarray(np.mean(arrays, axis=0, dtype=np.float64)).astype(arrays[0].dtype)


def _told(result: Result) -> dict[str, Any]:
    return {
        "generations": {
            pair: [generation.to_json() for generation in past]
            for pair, past in result.generations.items()
        },
        "best": {pair: generation.number for pair, generation in result.best.items()},
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "test": result.test.to_json() if result.test else None,
    }


def _table(result: Result) -> str:
    """A row for every generation of every pair, without what another run would have otherwise."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["generation", "pair", "weight", "weight_back", "filters", "accuracy", "same_as", "best"]
    )
    rows = sorted(
        ((g.number, pair, g) for pair, past in result.generations.items() for g in past),
        key=lambda row: row[0],
    )
    for number, pair, g in rows:
        is_best = int(result.best[pair].number == number)
        filters = " ".join(map(str, g.filters))
        known = "" if g.same_as is None else g.same_as
        writer.writerow([number, pair, *g.weights, filters, g.accuracy, known, is_best])
    return text.getvalue()


def _write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, indent=2) + "\n")
