"""What a candidate is worth: trained by a recipe, and measured on the validation rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.recipe.model import Group, Recipe, Stage
from xgraph.report import Cost, live_cost
from xgraph.search.candidate import Arrays, Candidate, Outcome
from xgraph.search.cut import Cut, cut
from xgraph.search.features import Store
from xgraph.source import Source
from xgraph.train.fit import Fitted, fit
from xgraph.train.optim import is_trained, matches, spelt_out
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
        self._digests = _Known({name: _digest(array) for name, array in self.given.items()})
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
        cuts = [
            found for number, text in enumerate(job.examples)
            if (found := self._cut_of(text, needed=number == 0))
        ]  # fmt: skip
        if cuts:
            self.store = Store(job.features, self.plan.feed, (self.plan.train, self.plan.val))
            self.store.make(cuts, self.given)
        self._alone = self._reason(first)

    @property
    def runs_together(self) -> bool:
        """Whether candidates, if they are like the first, can be trained as one computation."""
        return self._alone is None

    def key(self, graph: Graph) -> str:
        """What a network is: two of one kind are two where they take other weights of those that
        are given."""
        taken = [
            self._digests[address]
            for address, _ in driver.tensor_graph(graph).params()
            if address in self.given
        ] if self.given else []  # fmt: skip
        digest = canonical(graph)
        return _digest_of(digest, *taken) if taken else digest

    def graph(self, text: str) -> Graph:
        return build_source(Source("<candidate>", text), dict(self.job.settings), limits=MADE)

    def cost(self, graph: Graph) -> Cost:
        """Of one sample, of what is trained on: other outputs are not the search's."""
        low = driver.tensor_graph(graph).copy()
        targets = feed_of(graph, self.recipe, self.plan.train).targets
        low.outputs = {target.output: low.outputs[target.output] for target in targets}
        return live_cost(low)

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
            with suppress(RuntimeError, ValueError):  # `fit` says of each what cannot be
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
        low = driver.tensor_graph(graph)
        feed = feed_of(graph, self.recipe, self.plan.train)
        stages = self.recipe.each_stage()
        frozen = [
            address
            for address, param in low.params()
            if param.kind == "parameter"
            and not any(is_trained(graph, stage, address) for stage in stages)
        ]
        for address in frozen:
            self._digests[address]  # tells of one that is missing
        if self._changes:
            return None
        held = set(frozen)
        made = cut(
            low, [target.output for target in feed.targets], lambda a: a not in held,
            self._inputs, self._digests,
        )  # fmt: skip
        return made if made is not None and made.features.keys() - _plain_inputs(made) else None

    @property
    def _changes(self) -> bool:
        """Whether rows differ from epoch to epoch, or in length from batch to batch."""
        columns = [s.columns[p.column] for s in (self.plan.train, self.plan.val)
                   for p in self.plan.feed.ports]  # fmt: skip
        return self.plan.feed.draws or any(None in column.shape for column in columns)

    def _cut_of(self, text: str, *, needed: bool) -> Cut | None:
        """None for an example that makes no sense, unless it is `needed`: it is one of many."""
        try:
            return self.cut(self.graph(text))
        except DiagnosticError as error:
            if needed or error.diagnostics[0].id == "missing-weights":
                raise
            return None

    def _planned(self, candidate: Candidate) -> tuple[Plan, Arrays, Cost]:
        graph = self.graph(candidate.text)
        low = driver.tensor_graph(graph)
        cost = self.cost(graph)
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
        recipe = recipe.model_copy(update=_of_rest(recipe, graph, made))
        train, val = splits[self.plan.train.name], splits[self.plan.val.name]
        own = {address: weights[address] for address, _ in made.rest.params()}
        return prepared(made.rest, recipe, Feed(ports, feed.targets), train, val), own, cost

    def _reason(self, graph: Graph) -> str | None:
        from xgraph.search.together import reason_alone

        if self.store is None:
            return "no layer is frozen"
        candidate = Candidate(self.job.examples[0], self.recipe.seed)
        return reason_alone(self._planned(candidate)[0])


class _Known(dict[str, str]):
    """Digests of the weights that are given."""

    def __missing__(self, address: str) -> str:
        raise fail(
            "missing-weights", f"`{address}` is frozen, and nothing says what it is",
            origin="--init", help="`--init FILE` brings the weights of trained networks",
        )  # fmt: skip


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
        groups = _groups_by_address(stage, graph, [a for a, _ in made.rest.params()])
        told = {"train": None, "freeze": frozen, "groups": groups}
        stages.append(stage.model_copy(update=told))
    return {
        "stages": stages,
        "train": None,
        "freeze": [],
        "groups": [],
        "epochs": None,
        "inputs": {},
    }


def _groups_by_address(stage: Stage, graph: Graph, addresses: Sequence[str]) -> list[Group]:
    """The group of each weight that has one: patterns such as `@fusion` mean nothing in a rest."""
    found = []
    for address in addresses:
        for group in stage.groups or []:
            if any(matches(p, address) for p in spelt_out(graph, [group.match])):
                found.append(group.model_copy(update={"match": address}))
                break
    return found


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
    epoch = result.history[(result.best_epoch or 0) - 1]  # that of the weights
    measured = {k.removeprefix("val/"): v for k, v in epoch.items() if k.startswith("val/")}
    score = to_be_large(recipe, measured)
    sound = all(np.isfinite(array).all() for array in result.weights.values())
    if not sound or not np.isfinite(score):
        told = "diverged: the validation or a weight is not finite"
        return replace(_failed(told), params=cost.params, macs=macs, seconds=seconds)
    return Outcome(score, measured, cost.params, macs, seconds, together, result.weights)


def _failed(told: str) -> Outcome:
    return Outcome(None, {}, 0, 0, 0.0, 1, error=told)


def _told(error: DiagnosticError) -> str:
    first: Diagnostic = error.diagnostics[0]
    return f"{first.id}: {first.message}"


def _digest(array: np.ndarray[Any, Any]) -> str:
    return sha256(repr((array.dtype.str, array.shape)).encode() + array.tobytes()).hexdigest()


def _digest_of(*texts: str) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()
