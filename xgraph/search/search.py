"""A search in a folder: what it is of, its trials, and what it ends in.

RUN/search.json      space, data, recipe, strategy, seed: all that trials depend on
    space.xg         the space
    journal.log      every trial, as an Optuna study
    trials/          the network and the trained weights of each
    features/        what frozen layers give, computed once
    best/            the networks in their order: 1.xg, 1.safetensors, 1.onnx, 2.xg, ...
    trials.parquet   a table of the trials
    report.html      what there is to see
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Protocol, final
from zlib import crc32

from xgraph import driver
from xgraph.build import MADE, build_source, unbuild
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.files import make_folder, read_text, write_whole
from xgraph.ir.graph import Graph
from xgraph.report import Cost
from xgraph.search.baselines import Baseline
from xgraph.search.candidate import Arrays, Candidate, Outcome
from xgraph.search.evaluate import Evaluator
from xgraph.search.latency import Stopwatch
from xgraph.search.lockstep import ACTIVATIONS
from xgraph.search.strategies.contract import Ask, Sharing, Strategy
from xgraph.search.study import Study, Trial
from xgraph.search.workers import Here, Workers
from xgraph.space import Space
from xgraph.space.space import Sample
from xgraph.train.run import said_of
from xgraph.weights import inherit, load, save

TOGETHER = 15
"""Candidates that are trained as one computation, where they can be."""
FAILURES = 10
"""So many failed candidates in a row end a search."""
SEARCH = "search"
"""The phase that is not a baseline."""
RANDOM = "random"
"""The one of as many networks by chance."""


@final
@dataclass(frozen=True)
class Limits:
    """What a candidate may cost, and all together."""

    params: int | None = None
    macs: int | None = None
    trials: int | None = None
    seconds: float | None = None
    """Of evaluation, all workers together."""
    latency: float | None = None
    """Seconds of one sample."""
    timed: bool = False
    """Whether every candidate's latency is measured, within the limit or without one."""

    @property
    def are_of_candidates(self) -> bool:
        return any(limit is not None for limit in (self.params, self.macs, self.latency))

    def holds(self, cost: Cost) -> bool:
        if self.macs is not None and not isinstance(cost.macs, int):
            raise fail(
                "open-cost", "how many MACs a network takes depends on an open axis",
                origin="--max-macs", help="`--max-params` or `--max-latency` can be held",
            )  # fmt: skip
        macs = cost.macs if isinstance(cost.macs, int) else 0
        return cost.params <= (self.params or cost.params) and macs <= (self.macs or macs)


class Observer(Protocol):
    """Told of what happens; `stop` asks for an end after this chunk."""

    @property
    def stop(self) -> bool: ...

    def phase(self, name: str, trials: int) -> None: ...

    def trials(self, trials: Sequence[Trial], *, kept: bool) -> None:
        """A batch; whether all of it was there before."""


class Stopped(Exception):
    """The search ended because that was asked for; its trials are kept."""


@final
@dataclass(frozen=True)
class Phase:
    """A part of a search: the strategy, or a baseline beside it."""

    name: str
    asks: Callable[[], Any]
    """A new generator of what to evaluate."""
    trials: int
    sharing: Sharing = "none"
    beside: str | None = None
    """Another phase: as many networks at most as that evaluated."""


@final
class Search:
    """Runs phases, and keeps their trials; what is kept already is not evaluated again."""

    def __init__(
        self,
        folder: Path,
        space: Space,
        evaluator: Evaluator,
        seed: int,
        limits: Limits,
        observer: Observer,
        workers: Workers | None = None,
    ) -> None:
        self.folder, self.space, self.evaluator = folder, space, evaluator
        self.seed, self._seed, self.limits, self.observer = seed, seed, limits, observer
        self.workers = workers or Here(evaluator)
        self.study = Study(folder, space)
        self.stopwatch = Stopwatch(folder)
        self._kept = {trial.number: trial for trial in self.study.trials}
        self._next = 0
        self._keys: dict[str, Trial] = {}
        """What was asked for before with this seed, by what it is."""
        self._allowed: dict[str, bool] = {}
        self._failures = 0
        self.together = TOGETHER if evaluator.runs_together else 1
        make_folder(folder / "trials")

    # ------------------------------------------------------------------------------- phases

    def run(self, phases: Sequence[Phase], repeats: int = 1) -> list[Trial]:
        """All trials, in their order; each repeat is the search of the next seed, as it would be
        by itself."""
        for seed in range(self.seed, self.seed + repeats):
            self._seed, self._failures = seed, 0
            self._keys.clear()
            for phase in phases:
                told = f"seed {self._seed}, {phase.name}" if repeats > 1 else phase.name
                most = self._most(phase)
                self.observer.phase(told, phase.trials if most is None else min(phase.trials, most))
                self._phase(phase, most)
        return [self._kept[number] for number in sorted(self._kept)]

    def _most(self, phase: Phase) -> int | None:
        """The most trials of a phase."""
        if phase.beside is None:
            return self.limits.trials
        return sum(
            trial.phase == phase.beside and trial.same_as is None
            for trial in self._kept.values()
            if trial.search_seed == self._seed
        )

    def strategy(self, name: str, strategy: Strategy, beside: str | None = None) -> Phase:
        """A strategy as a phase, with draws of its own."""

        def asks() -> Any:
            rng = Random(f"{self._seed} {name}")
            return strategy.search(self.space, rng, self._is_allowed)

        trials = strategy.trials(self.space)
        most = min(trials, self.limits.trials or trials)
        return Phase(name, asks, most, strategy.sharing, beside)

    def baseline(self, baseline: Baseline) -> Phase:
        """One network beside the search."""

        def asks() -> Iterator[list[Any]]:
            yield [baseline]

        return Phase(baseline.name, asks, 1)

    def _phase(self, phase: Phase, most: int | None) -> None:
        bank: dict[str, Arrays] = {}
        asking, answers, done, seconds = phase.asks(), None, 0, 0.0
        while True:
            try:
                asks = next(asking) if answers is None else asking.send(answers)
            except StopIteration:
                break
            if most is not None:
                asks = asks[: most - done]
            trials = self._evaluated(phase, asks, bank)
            done += len(trials)
            seconds += sum(trial.seconds for trial in trials if trial.same_as is None)
            if phase.sharing != "none":
                self._share(trials, bank, phase.sharing)
            spent = self.limits.seconds is not None and seconds >= self.limits.seconds
            if spent or (most is not None and done >= most):
                break
            answers = [None if trial.error else _outcome(trial) for trial in trials]
        if done == 0:
            raise fail(
                "no-candidate",
                "no network of this space is within the limits",
                origin=self.space.name,
                help="raise `--max-params`, `--max-macs` or `--max-latency`",
            )

    # --------------------------------------------------------------------------- evaluation

    def _evaluated(
        self, phase: Phase, asks: Sequence[Ask | Baseline], bank: dict[str, Arrays]
    ) -> list[Trial]:
        """Trials of what is asked for, numbered in its order. What is to be evaluated is cut into
        chunks before what is kept of them is looked at: a chunk is always the same."""
        first = self._next
        self._next += len(asks)
        keys = [self._key(phase, ask) for ask in asks]
        new = [i for i, key in enumerate(keys) if key not in self._keys and keys.index(key) == i]
        chunks = [new[i : i + self.together] for i in range(0, len(new), self.together)]
        for i, key in enumerate(keys):
            if first + i in self._kept and self._kept[first + i].key != key:
                raise fail(
                    "changed-search", f"trial {first + i} is of another network",
                    origin=str(self.folder), help="a file in it was changed: begin anew",
                )  # fmt: skip
        missing = [chunk for chunk in chunks if any(first + i not in self._kept for i in chunk)]
        given = [[self._candidate(phase, asks[i], keys[i], bank) for i in c] for c in missing]
        if self.limits.timed or self.limits.latency is not None:
            self._time(given)
        for number, outcomes in self.workers.run(given, lambda: self.observer.stop):
            for i, candidate, outcome in zip(missing[number], given[number], outcomes, strict=True):
                if first + i not in self._kept:
                    self._keep(first + i, phase, asks[i], keys[i], candidate, outcome)
        if missing and self.observer.stop:
            raise Stopped
        for i in new:
            self._keys[keys[i]] = self._kept[first + i]
        for i, key in enumerate(keys):
            if first + i not in self._kept:
                self._repeat(first + i, phase, asks[i], self._keys[key])
        found = [self._kept[first + i] for i in range(len(asks))]
        self.observer.trials(found, kept=not missing)
        for trial in found:
            self._failures = self._failures + 1 if trial.error else 0
            if self._failures >= FAILURES:
                raise fail(
                    "failing-search",
                    f"{FAILURES} candidates in a row failed, the last with {trial.error}",
                    origin=str(self.folder), help=f"see `{self._file(trial, '.xg')}`",
                )  # fmt: skip
        return found

    def _time(self, chunks: Sequence[Sequence[Candidate]]) -> None:
        """Measure latencies while no worker is busy."""
        for candidate in (each for chunk in chunks for each in chunk):
            with suppress(DiagnosticError):  # it will be told of when it is evaluated
                self.stopwatch.seconds(self.evaluator.graph(candidate.text))

    def _key(self, phase: Phase, ask: Ask | Baseline) -> str:
        try:
            digest = self.evaluator.key(self.evaluator.graph(_text(ask)))
        except DiagnosticError:  # it will be told of when it is evaluated
            digest = sha256(_text(ask).encode()).hexdigest()
        # With weights of others, a network is another one in another round.
        shared = phase.sharing != "none" and isinstance(ask, Ask)
        return f"{digest} {phase.name} {ask.round}" if shared else digest  # type: ignore[union-attr]

    def _candidate(
        self, phase: Phase, ask: Ask | Baseline, key: str, bank: dict[str, Arrays]
    ) -> Candidate:
        seed = crc32(f"{self._seed} {key}".encode())
        inherited: Arrays = {}
        if bank:
            with suppress(DiagnosticError):
                low = driver.tensor_graph(self.evaluator.graph(_text(ask)))
                for node_key, addresses in _shares(low, phase.sharing):
                    inherited |= {a: v for a, v in bank.get(node_key, {}).items() if a in addresses}
        return Candidate(_text(ask), seed, inherited)

    def _keep(
        self,
        number: int,
        phase: Phase,
        ask: Ask | Baseline,
        key: str,
        candidate: Candidate,
        outcome: Outcome,
    ) -> None:
        sample = ask.sample if isinstance(ask, Ask) else None
        graph = self.evaluator.graph(candidate.text) if outcome.error is None else None
        timed = self.limits.timed or self.limits.latency is not None
        latency = self.stopwatch.seconds(graph) if timed and graph is not None else None
        trial = Trial(
            number, phase.name, sample.encoding if sample else phase.name, key, candidate.seed,
            outcome.score, outcome.metrics, outcome.params, outcome.macs, outcome.seconds,
            outcome.together, outcome.error, latency=latency,
            notes=ask.notes if isinstance(ask, Ask) else {}, search_seed=self._seed,
        )  # fmt: skip
        write_whole(self._file(trial, ".xg"), self._printed(candidate.text))
        if outcome.error is None:
            save(self._file(trial, ".safetensors"), outcome.weights)
        self.study.add(trial, sample)
        self._kept[number] = trial

    def _printed(self, text: str) -> str:
        """As it was evaluated, its `param`s as they were set; as it is, where it makes no sense."""
        try:
            return unbuild(self.evaluator.graph(text))
        except DiagnosticError:
            return text

    def _repeat(self, number: int, phase: Phase, ask: Ask | Baseline, known: Trial) -> None:
        """A trial of a network that was evaluated before."""
        sample = ask.sample if isinstance(ask, Ask) else None
        trial = replace(
            known, number=number, phase=phase.name, seconds=0.0,
            encoding=sample.encoding if sample else phase.name,
            same_as=known.number if known.same_as is None else known.same_as,
            notes=ask.notes if isinstance(ask, Ask) else {},
        )  # fmt: skip
        self.study.add(trial, sample)
        self._kept[number] = trial

    def _is_allowed(self, sample: Sample) -> bool:
        """Whether a network is within the limits; one that makes no sense is, and fails."""
        if not self.limits.are_of_candidates:
            return True
        if sample.encoding not in self._allowed:
            try:
                graph = self.evaluator.graph(sample.text)
                holds = self.limits.holds(self.evaluator.cost(graph))
                if holds and self.limits.latency is not None:
                    holds = self.stopwatch.seconds(graph) <= self.limits.latency
                self._allowed[sample.encoding] = holds
            except DiagnosticError as error:
                if error.diagnostics[0].id == "open-cost":
                    raise
                self._allowed[sample.encoding] = True
        return self._allowed[sample.encoding]

    # ------------------------------------------------------------------------------ weights

    def _share(self, trials: Sequence[Trial], bank: dict[str, Arrays], sharing: Sharing) -> None:
        """What later networks begin with: of each layer, what was trained last."""
        for trial in trials:
            if trial.error is None:
                weights = self.trained(trial)
                low = driver.tensor_graph(self.graph(trial))
                for key, addresses in _shares(low, sharing):
                    own = {a: weights[a] for a in addresses if a in weights}
                    if own:
                        bank[key] = own

    def trained(self, trial: Trial) -> Arrays:
        """What was trained in a trial, by address."""
        return load(self._file(trial, ".safetensors"))

    def weights(self, trial: Trial) -> tuple[Graph, Arrays]:
        """A trial's network and all its weights."""
        graph = self.graph(trial)
        whole = driver.initial_weights(driver.tensor_graph(graph), None, trial.seed)
        for given in (self.evaluator.given, self.trained(trial)):
            whole = inherit(given, whole).weights
        return graph, whole

    def write(self, trial: Trial, stem: Path, *, model: bool) -> None:
        """STEM.xg and STEM.safetensors, and STEM.onnx if wanted."""
        graph, weights = self.weights(trial)
        write_whole(stem.with_suffix(".xg"), unbuild(graph))
        held = stem.with_suffix(".safetensors")
        save(held, weights, said_of(self.evaluator.recipe))
        if model:
            driver.compile(graph, "onnx", stem.with_suffix(".onnx"), weights=held)

    def graph(self, trial: Trial) -> Graph:
        """The network that was evaluated, its `param`s as they were set."""
        return build_source(read_text(self._file(trial, ".xg")), limits=MADE)

    def _file(self, trial: Trial, suffix: str) -> Path:
        return self.folder / "trials" / f"{trial.stem}{suffix}"


def _text(ask: Ask | Baseline) -> str:
    return ask.sample.text if isinstance(ask, Ask) else ask.text


def _outcome(trial: Trial) -> Outcome:
    return Outcome(
        trial.score, trial.metrics, trial.params, trial.macs, trial.seconds, trial.together
    )


def _shares(low: Graph, sharing: Sharing) -> Iterator[tuple[str, list[str]]]:
    """The layers of a network by what they share weights under, and their addresses."""
    for node in low.nodes():
        addresses = [f"{node.address}.{param.name}" for param in node.params]
        if addresses:
            behind = {user.op.name for user, _ in low.users(node.outputs[0])} & {*ACTIVATIONS}
            shapes = [param.shape for param in node.params]
            key = (node.address, shapes, sorted(behind) if sharing == "activation" else [])
            yield repr(key), addresses


def ranked(trials: Sequence[Trial], *phases: str) -> list[Trial]:
    """The networks of some phases (without any, of the strategy), the best first, each once; of
    equal ones, the first."""
    best: dict[str, Trial] = {}
    for trial in trials:
        if trial.phase in (phases or (SEARCH,)) and trial.score is not None:
            known = best.get(trial.key.split()[0])
            if known is None or known.score is None or trial.score > known.score:
                best[trial.key.split()[0]] = trial
    return sorted(best.values(), key=lambda t: (-(t.score or 0.0), t.number))
