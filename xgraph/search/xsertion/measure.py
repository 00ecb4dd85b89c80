"""How informative each modality is: the best validation accuracy of the joint network on it alone
(Karazija et al., 2018, "modality informativeness")."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, final

from xgraph import driver
from xgraph.data.source import Data
from xgraph.diagnostics import Report, fail
from xgraph.files import make_folder, write_whole
from xgraph.grammar import parse, parts
from xgraph.grammar import tree as t
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.passes.xsertion import Lanes, Xsertion
from xgraph.recipe import Recipe, write_recipe
from xgraph.search.xsertion.bench import Bench, described, differences
from xgraph.source import Source
from xgraph.train.fit import Watch
from xgraph.train.optim import check_patterns
from xgraph.train.plan import Plan, plan
from xgraph.train.run import data_digest

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_STATE = "measure.json"


@final
@dataclass(frozen=True)
class Measured:
    """A modality alone."""

    modality: str
    accuracies: tuple[float, ...]
    """Of each seed: the best of all epochs."""

    @property
    def informativeness(self) -> float:
        return fmean(self.accuracies)


@final
@dataclass(frozen=True)
class Measurement:
    """All modalities of a network that are to be measured, checked against the data."""

    lanes: Lanes
    graphs: tuple[Graph, ...]
    """Of each modality alone."""
    plan: Plan
    repeat: int
    search: dict[str, Any]
    """What is measured, to tell it from another."""

    @staticmethod
    def of(
        graph: Graph,
        data: Data,
        recipe: Recipe,
        options: Xsertion,
        *,
        repeat: int = 1,
        fraction: float = 1.0,
        allow_leaks: bool = False,
    ) -> Measurement:
        """`DiagnosticError` where `xsertion` could not take the network, or it does not fit the
        data."""
        lanes = Lanes.of(graph, options, alike=True)
        graphs = tuple(lanes.alone(i) for i in range(len(lanes.names)))
        made = plan(graphs[0], data, recipe, fraction=fraction, allow_leaks=allow_leaks)
        need_accuracy(made)
        for other in graphs[1:]:
            check_patterns(other, recipe)
        search = {
            "network": digest_of("\n".join(map(canonical, graphs))),
            "data": data_digest(made),
            "recipe": digest_of(write_recipe(recipe)),
            "repeat": repeat,
        }
        return Measurement(lanes, graphs, made, repeat, search)

    def run(
        self,
        folder: Path,
        *,
        fabric: Fabric | None = None,
        watch: Watch | None = None,
        begins: Callable[[str], None] = lambda modality: None,
        told: Callable[[Measured], None] = lambda measured: None,
    ) -> list[Measured]:
        """Train every modality alone, with `repeat` seeds; what is done stays done in `folder`,
        which must be empty or of this measurement."""
        _claim(folder, self.search)
        bench = Bench(folder, fabric, watch)
        found = []
        for modality, graph in zip(self.lanes.modalities, self.graphs, strict=True):
            begins(modality)
            runs = [self._trained(bench, modality, graph, i) for i in range(self.repeat)]
            found.append(Measured(modality, tuple(runs)))
            told(found[-1])
        return found

    def _trained(self, bench: Bench, modality: str, graph: Graph, number: int) -> float:
        made = with_seed(replace(self.plan, graph=graph), number)
        fresh = driver.initial_weights(driver.tensor_graph(graph), None, made.recipe.seed)
        trained = bench.train(f"{modality}-{number + 1}", made, fresh)
        return max(float(record["val/accuracy"]) for record in trained.history)


def with_seed(made: Plan, number: int) -> Plan:
    """The same on the same rows, with the seed of a repeat."""
    seed = (made.recipe.seed + number) % 2**32
    return replace(made, recipe=made.recipe.model_copy(update={"seed": seed}))


def need_accuracy(made: Plan) -> None:
    target = made.feed.targets[0]
    if target.loss.kind == "mse":
        raise fail(
            "bad-target", f"an accuracy is wanted, and `mse` of `{target.output}` has none",
            origin="recipe: losses", help="name an output that tells classes: `predict: [...]`",
        )  # fmt: skip


def digest_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _claim(folder: Path, search: dict[str, Any]) -> None:
    """Keep a folder to one measurement."""
    path = folder / _STATE
    held = described(path)
    if held is None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise fail(
            "would-overwrite", "this is not empty, and holds no measurement", origin=str(folder),
            help="give another folder: `--work`",
        )  # fmt: skip
    if held is None:
        make_folder(folder)
        write_whole(path, json.dumps({"search": search}, indent=2) + "\n")
    elif told := differences(held["search"], search):
        raise fail(
            "changed-search", f"here is another measurement: it differs in {', '.join(told)}",
            origin=str(folder), help="take it away, or give another folder: `--work`",
        )  # fmt: skip


# ---------------------------------------------------------------------------- into the text


def with_informativeness(source: Source, found: Mapping[str, float]) -> str:
    """The text with what was measured behind its modalities, and otherwise as it was."""
    text = source.text
    declared = [d for d in parts(parse(source, Report())) if isinstance(d, t.Modality)]
    for name in found:
        if all(d.name.name != name for d in declared):
            raise fail(
                "declared-elsewhere", f"the modality `{name}` is not declared in this file",
                origin=source.name, help="declare it here, and not in a file that is used",
            )  # fmt: skip
    edits = [_edit(d, found[d.name.name]) for d in declared if d.name.name in found]
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _edit(modality: t.Modality, value: float) -> tuple[int, int, str]:
    """Where something is written in place of something: a number, or behind the shape."""
    for entry in modality.meta:  # `with` of a modality knows no other key
        return entry.value.span.start, entry.value.span.end, f"{value:.6g}"
    end = modality.shape.span.end
    return end, end, f" with informativeness = {value:.6g}"
