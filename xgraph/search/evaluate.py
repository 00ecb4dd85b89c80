"""What a candidate is worth: trained by a recipe, and measured on the validation rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, final

import numpy as np

from xgraph import driver
from xgraph.build import MADE, build_source
from xgraph.data.feed import Feed, Port, feed_of
from xgraph.data.source import open_data
from xgraph.diagnostics import Diagnostic, DiagnosticError, fail
from xgraph.ir.graph import Graph
from xgraph.recipe.model import Recipe
from xgraph.report import Cost, node_cost
from xgraph.search.candidate import Arrays, Candidate, Outcome
from xgraph.search.cut import Cut, cut
from xgraph.search.features import Store
from xgraph.source import Source
from xgraph.train.fit import Fitted, fit
from xgraph.train.optim import is_trained
from xgraph.train.plan import Plan, plan, prepared
from xgraph.weights import inherit, load


@final
@dataclass(frozen=True)
class Job:
    """What all candidates of a search have in common, as another process is told it."""

    data: str
    recipe: Recipe
    fraction: float
    allow_leaks: bool
    settings: tuple[tuple[str, object], ...]
    """Of `param`s."""
    weights: Path | None
    """Those that candidates begin with where they fit."""
    features: Path
    """The folder of features that are computed once."""
    examples: tuple[str, ...]
    """Networks that between them hold everything that a candidate may; the first is the one by
    which the data is checked."""
    threads: int = 1
    """The same number on every machine gives the same sums."""


@final
class Evaluator:
    """Evaluates candidates; `DiagnosticError` where the data does not fit the space."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(job.threads)
        self.job = job
        self.given = load(job.weights) if job.weights else {}
        self._digests = {name: _digest(array) for name, array in self.given.items()}
        first = self.graph(job.examples[0])
        self.plan = plan(
            first, open_data(job.data), job.recipe, fraction=job.fraction,
            allow_leaks=job.allow_leaks,
        )  # fmt: skip
        self.recipe = self.plan.recipe
        self._inputs = {
            port.name: _digest_of(port.column, *(step.model_dump_json() for step in port.steps))
            for port in self.plan.feed.ports
        }
        self.store: Store | None = None
        cuts = [found for text in job.examples if (found := self._cut_of(text))]
        if cuts:
            self.store = Store(job.features, self.plan.feed, (self.plan.train, self.plan.val))
            self.store.make(cuts, self.given)
        self._alone = self._reason(first)

    @property
    def runs_together(self) -> bool:
        """Whether candidates, if they are like the first, can be trained as one computation."""
        return self._alone is None

    def graph(self, text: str) -> Graph:
        return build_source(Source("<candidate>", text), dict(self.job.settings), limits=MADE)

    def run(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Train and measure; those that can, as one computation. What fails says so in its
        place."""
        from xgraph.search.together import fit_together, reason_alone

        began = time.perf_counter()
        ready: list[tuple[Plan, Arrays, Cost] | str] = []
        for candidate in candidates:
            try:
                ready.append(self._planned(candidate))
            except DiagnosticError as error:
                ready.append(_told(error))
        found: dict[int, Fitted | DiagnosticError] = {}
        able = {
            i: one for i, one in enumerate(ready)
            if not isinstance(one, str) and self.store and reason_alone(one[0]) is None
        }  # fmt: skip
        for group in _alike(able):
            fitted = fit_together([able[i][0] for i in group], [able[i][1] for i in group])
            found |= dict(zip(group, fitted, strict=True))
        share = (time.perf_counter() - began) / max(1, len(able))
        outcomes = []
        for i, one in enumerate(ready):
            if isinstance(one, str):
                outcomes.append(_failed(one))
                continue
            began = time.perf_counter()
            result = found[i] if i in found else _fitted_alone(*one[:2])
            seconds = share if i in found else time.perf_counter() - began
            outcomes.append(
                _outcome(result, one[2], seconds, len(able) if i in found else 1, self.recipe)
            )
        return outcomes

    def run_numbered(
        self, number: int, candidates: Sequence[Candidate]
    ) -> tuple[int, list[Outcome]]:
        """For engines that give back what is ready first."""
        return number, self.run(candidates)

    def cut(self, graph: Graph) -> Cut | None:
        """The network without the layers that no stage changes; None where there are none such."""
        if self.plan.feed.draws:
            return None
        low = driver.tensor_graph(graph)
        feed = feed_of(graph, self.recipe, self.plan.train)
        stages = self.recipe.each_stage()
        frozen = [
            address
            for address, param in low.params()
            if param.kind == "parameter"
            and not any(is_trained(graph, stage, address) for stage in stages)
        ]
        if missing := [address for address in frozen if address not in self.given]:
            raise fail(
                "missing-weights",
                f"`{missing[0]}` is frozen, and nothing says what its weights are",
                origin=graph.name,
                help="`--init FILE` brings those of trained networks",
            )
        held = set(frozen)
        made = cut(
            low, [target.output for target in feed.targets], lambda a: a not in held,
            self._inputs, self._digests,
        )  # fmt: skip
        if made is None:
            raise fail("nothing-to-train", "the recipe freezes all that leads to the outputs",
                       origin=graph.name)  # fmt: skip
        return made if made.features.keys() - _plain_inputs(made) else None

    def _cut_of(self, text: str) -> Cut | None:
        """None for an example that makes no sense: it may be one of many."""
        try:
            graph = self.graph(text)
        except DiagnosticError:
            return None
        return self.cut(graph)

    def _planned(self, candidate: Candidate) -> tuple[Plan, Arrays, Cost]:
        graph = self.graph(candidate.text)
        low = driver.tensor_graph(graph)
        cost = cost_of(low)
        weights = driver.initial_weights(low, None, candidate.seed)
        for given in (self.given, candidate.inherited):
            weights = inherit(given, weights).weights
        recipe = self.recipe.model_copy(update={"seed": candidate.seed})
        feed = feed_of(graph, recipe, self.plan.train)
        made = self.cut(graph) if self.store else None
        if made is None or self.store is None:
            whole = prepared(graph, recipe, feed, self.plan.train, self.plan.val)
            return whole, weights, cost
        self.store.make([made], self.given)
        splits = self.store.splits
        ports = tuple(Port(n, n, (), v.type) for n, v in made.rest.inputs.items())
        targets = tuple(t for t in feed.targets if t.output in made.rest.outputs)
        recipe = recipe.model_copy(update=_of_rest(recipe, graph, made))
        train, val = splits[self.plan.train.name], splits[self.plan.val.name]
        own = {address: weights[address] for address, _ in made.rest.params()}
        return prepared(made.rest, recipe, Feed(ports, targets), train, val), own, cost

    def _reason(self, graph: Graph) -> str | None:
        from xgraph.search.together import reason_alone

        if self.store is None:
            return "no layer is frozen"
        candidate = Candidate(self.job.examples[0], self.recipe.seed)
        return reason_alone(self._planned(candidate)[0])


def _plain_inputs(made: Cut) -> set[str]:
    """Features that are inputs of the network as they are."""
    return {name for name, value in made.features.items() if value.node.op.name == "input"}


def _of_rest(recipe: Recipe, graph: Graph, made: Cut) -> dict[str, Any]:
    """The recipe with addresses in the place of what only the whole network has."""
    stages = []
    for stage in recipe.each_stage():
        frozen = [
            address for address, param in made.rest.params()
            if param.kind == "parameter" and not is_trained(graph, stage, address)
        ]  # fmt: skip
        stages.append(stage.model_copy(update={"train": None, "freeze": frozen}))
    return {
        "stages": stages,
        "train": None,
        "freeze": [],
        "groups": [],
        "epochs": None,
        "inputs": {},
    }


def _alike(able: Mapping[int, tuple[Plan, Arrays, Cost]]) -> list[list[int]]:
    """Those that have the same outputs, and so can be trained together."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, (one, _, _) in able.items():
        groups.setdefault(tuple(one.graph.outputs), []).append(number)
    return list(groups.values())


def _fitted_alone(made: Plan, weights: Arrays) -> Fitted | DiagnosticError:
    try:
        return fit(made, weights)
    except DiagnosticError as error:
        return error


def _outcome(
    result: Fitted | DiagnosticError, cost: Cost, seconds: float, together: int, recipe: Recipe
) -> Outcome:
    from xgraph.train.fit import to_be_large

    macs = cost.macs if isinstance(cost.macs, int) else 0
    if isinstance(result, DiagnosticError):
        return replace(_failed(_told(result)), params=cost.params, macs=macs, seconds=seconds)
    epochs = [
        {k.removeprefix("val/"): v for k, v in record.items() if k.startswith("val/")}
        for record in result.history
    ]
    best = max(epochs, key=lambda measured: to_be_large(recipe, measured))
    return Outcome(
        to_be_large(recipe, best), best, cost.params, macs, seconds, together, result.weights
    )


def cost_of(low: Graph) -> Cost:
    """Of one sample, of all that outputs need."""
    cost = Cost()
    for node in low.live():
        cost.add(node_cost(node))
    return cost


def _failed(told: str) -> Outcome:
    return Outcome(None, {}, 0, 0, 0.0, 1, error=told)


def _told(error: DiagnosticError) -> str:
    first: Diagnostic = error.diagnostics[0]
    return f"{first.id}: {first.message}"


def _digest(array: np.ndarray[Any, Any]) -> str:
    return sha256(repr((array.dtype.str, array.shape)).encode() + array.tobytes()).hexdigest()


def _digest_of(*texts: str) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()
