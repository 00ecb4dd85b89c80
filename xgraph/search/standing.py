"""How a search did: against its baselines, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import mean, stdev
from typing import final

from xgraph.search.search import RANDOM, SEARCH, ranked
from xgraph.search.study import Trial

LATE, ALONE = "late fusion", " alone"
"""The phases of baselines that are single networks; of one modality, how their names end."""
MOST = 10
"""The most networks in a summary."""
_CHANCE = "random search"


# ------------------------------------------------------------------------------------- the score


@final
@dataclass(frozen=True)
class Scale:
    """How scores are told: as shares where all are within 0 and 1, else as they are."""

    measure: str
    """The metric that the score is, or `score`: a loss turned round, or unknown."""
    is_share: bool

    @staticmethod
    def of(trials: Iterable[Trial]) -> Scale:
        scored = [trial for trial in trials if is_scored(trial)]
        names = [
            name
            for name in (scored[0].metrics if scored else {})
            if all(trial.metrics.get(name) == trial.score for trial in scored)
        ]
        share = all(0 <= (trial.score or 0) <= 1 for trial in scored)
        return Scale(names[0] if names else "score", share)

    def text(self, score: float | None) -> str:
        if score is None:
            return ""
        return f"{100 * score:.2f} %" if self.is_share else f"{score:.4f}"

    def mean(self, scores: Sequence[float]) -> str:
        """`77.70 % ± 0.60`: with the deviation over seeds, where there are several."""
        return self.text(mean(scores)) + self._deviation(scores) if scores else ""

    def apart(self, gains: Sequence[float]) -> str:
        """The mean of differences without its sign: `1.20 ± 0.40 points`."""
        gain = abs(mean(gains))
        told = f"{100 * gain:.2f}" if self.is_share else f"{gain:.4f}"
        return f"{told}{self._deviation(gains)}{' points' if self.is_share else ''}"

    def signed(self, gains: Sequence[float]) -> str:
        return ("+" if mean(gains) >= 0 else "\N{MINUS SIGN}") + self.apart(gains)

    def _deviation(self, values: Sequence[float]) -> str:
        if len(values) < 2:
            return ""
        apart = stdev(values)
        return f" ± {100 * apart:.2f}" if self.is_share else f" ± {apart:.4f}"


def is_scored(trial: Trial) -> bool:
    return trial.score is not None and isfinite(trial.score)


def score_of(trial: Trial) -> float:
    return 0.0 if trial.score is None else trial.score


# ------------------------------------------------------------------------------------ the phases


def phases(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The trials of each phase in their order, the search first."""
    found: dict[str, list[Trial]] = {SEARCH: []}
    for trial in sorted(trials, key=lambda t: t.number):
        found.setdefault(trial.phase, []).append(trial)
    return {name: part for name, part in found.items() if part}


def leader(trials: Iterable[Trial]) -> Trial | None:
    """The best, the first of equal ones."""
    scored = [trial for trial in trials if is_scored(trial)]
    return max(scored, key=lambda t: (score_of(t), -t.number), default=None)


@final
@dataclass(frozen=True)
class Reached:
    """The best trial of a phase for each seed of the search."""

    by_seed: dict[int, Trial]

    @staticmethod
    def of(trials: Iterable[Trial]) -> Reached:
        each = dict[int, list[Trial]]()
        for trial in trials:
            each.setdefault(trial.search_seed, []).append(trial)
        best = {seed: leader(part) for seed, part in sorted(each.items())}
        return Reached({seed: trial for seed, trial in best.items() if trial})

    @property
    def scores(self) -> list[float]:
        return [score_of(trial) for trial in self.by_seed.values()]

    @property
    def best(self) -> Trial | None:
        return leader(self.by_seed.values())

    def above(self, other: Reached) -> list[float]:
        """By how much, seed by seed."""
        return [
            score_of(mine) - score_of(other.by_seed[seed])
            for seed, mine in self.by_seed.items()
            if seed in other.by_seed
        ]


def alone(trials: Iterable[Trial]) -> list[Trial]:
    """Of single modalities."""
    return [trial for trial in trials if trial.phase.endswith(ALONE)]


def verdict(trials: Sequence[Trial], strategy: str = "") -> str:
    """What the search gained over its baselines, and what it was not held against; a `strategy`
    that is chance itself needs no such baseline."""
    by, scale = phases(trials), Scale.of(trials)
    mine, count = Reached.of(by.get(SEARCH, [])), len(by.get(SEARCH, []))
    if mine.best is None:
        return f"No network of the search has a score, of {_counted(count, 'trial')}."
    rivals = _rivals(trials, mine)
    if strategy == RANDOM:
        rivals = {name: best for name, best in rivals.items() if best.best or name != _CHANCE}
    gains = {name: gain for name, best in rivals.items() if (gain := mine.above(best))}
    said = _reached(mine, count, scale)
    said += f": {_listed([_gain(scale, *each) for each in gains.items()])}." if gains else "."
    if better := [name for name, gain in gains.items() if mean(gain) <= 0]:
        said += f" The search did not pay: {_listed(better)} did as well or better."
    if missing := [name for name in rivals if name not in gains]:
        said += f" It was not held against {_listed(missing)}."
    if failed := [str(s) for s in seeds_of(by[SEARCH]) if s not in mine.by_seed]:
        said += f" No network of the search with seed {_listed(failed)} has a score."
    return said


def seeds_of(trials: Iterable[Trial]) -> list[int]:
    """The seeds of the searches that these are of."""
    return sorted({trial.search_seed for trial in trials})


def _reached(mine: Reached, count: int, scale: Scale) -> str:
    best, seeds = mine.best, len(mine.scores)
    assert best is not None
    if seeds == 1:
        return (
            f"The best network of the search, trial {best.number}, reaches "
            f"{scale.text(best.score)} {scale.measure} after {_counted(count, 'trial')}"
        )
    return (
        f"The best networks of {seeds} searches reach {scale.mean(mine.scores)} {scale.measure} on "
        f"the mean, after {_counted(count, 'trial')} together"
    )


def _rivals(trials: Sequence[Trial], mine: Reached) -> dict[str, Reached]:
    """The best of each kind of baseline, by what it is called; of single modalities, by the seeds
    that the search has too."""
    by = phases(trials)
    chance = by.get(RANDOM, [])
    drawn = f"{_CHANCE} of {_counted(len(chance), 'trial')}" if chance else _CHANCE
    single = {name: Reached.of(part) for name, part in phases(alone(trials)).items()}
    able = {name: gain for name, reached in single.items() if (gain := mine.above(reached))}
    first = min(able, key=lambda name: mean(able[name]), default=None)
    best = f"the best single modality ({first})" if first else "a single modality"
    return {
        drawn: Reached.of(chance),
        LATE: Reached.of(by.get(LATE, [])),
        best: single[first] if first else Reached({}),
    }


def _gain(scale: Scale, name: str, gains: Sequence[float]) -> str:
    gain = mean(gains)
    if not any(gains):
        return f"the same as {name}"
    return f"{scale.apart(gains)} {'above' if gain > 0 else 'below'} {name}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# -------------------------------------------------------------------------------------- the cost


@final
@dataclass(frozen=True)
class Spent:
    """What trials cost (MFAS, Table 6)."""

    trials: int
    evaluated: int
    """Without those whose result was there already."""
    networks: int
    """Different ones."""
    failed: int
    together: float
    """Trained as one computation, on the mean."""
    seconds: float

    @staticmethod
    def of(trials: Sequence[Trial]) -> Spent:
        made = [trial for trial in trials if trial.same_as is None]
        return Spent(
            len(trials),
            len(made),
            # A key may say the round behind the digest of the network.
            len({trial.key.partition(" ")[0] for trial in trials}),
            sum(trial.error is not None for trial in trials),
            sum(trial.together for trial in made) / max(1, len(made)),
            sum(trial.seconds for trial in made),
        )

    @property
    def each(self) -> float:
        """Seconds of one evaluation."""
        return self.seconds / max(1, self.evaluated)


# -------------------------------------------------------------------------------------- the text


def summary(trials: Sequence[Trial], strategy: str = "") -> str:
    """For the terminal: the best networks, the baselines, and the verdict."""
    scale = Scale.of(trials)
    head = ("rank", scale.measure, "parameters", "network")
    mine = [trial for trial in ranked(trials) if is_scored(trial)][:MOST]
    rows = [_row(str(rank), trial, scale) for rank, trial in enumerate(mine, 1)]
    each = {name: Reached.of(part) for name, part in phases(trials).items()}
    held = [
        _row("", reached.best, scale, reached.scores)
        for name, reached in each.items()
        if reached.best and (name != SEARCH or len(reached.scores) > 1)
    ]
    widths = [max(len(row[i]) for row in [head, *rows, *held]) for i in range(3)]
    table = [_line(row, widths) for row in [head, *rows]] if rows or held else []
    rule = ["-" * len(table[0])] if rows and held else []
    return "\n".join(
        [*table, *rule, *(_line(row, widths) for row in held), verdict(trials, strategy)]
    )


def _row(
    rank: str, trial: Trial, scale: Scale, scores: Sequence[float] = ()
) -> tuple[str, str, str, str]:
    """Of a network, or of the best ones of several seeds."""
    if len(scores) > 1:
        return "", scale.mean(scores), "", f"{trial.phase}, mean over {len(scores)} seeds"
    of = trial.encoding if trial.phase in (SEARCH, trial.encoding) else ""
    name = of or f"{trial.phase}: {trial.encoding}"
    return rank, scale.text(trial.score), f"{trial.params:,}", name


def _line(row: tuple[str, str, str, str], widths: list[int]) -> str:
    *figures, name = row
    told = [f"{text:>{width}}" for text, width in zip(figures, widths, strict=True)]
    return "  ".join([*told, name])
