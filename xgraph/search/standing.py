"""How a search did: against its baselines, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import final

from xgraph.search.search import SEARCH, ranked
from xgraph.search.study import Trial

RANDOM, LATE, ALONE = "random", "late fusion", " alone"
"""The phases of baselines; of one modality, how their names end."""
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

    def apart(self, gain: float) -> str:
        """A difference without its sign: `1.20 points`."""
        return f"{100 * abs(gain):.2f} points" if self.is_share else f"{abs(gain):.4f}"

    def signed(self, gain: float) -> str:
        told = f"{100 * gain:+.2f} points" if self.is_share else f"{gain:+.4f}"
        return told.replace("-", "\N{MINUS SIGN}")


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


def alone(trials: Iterable[Trial]) -> list[Trial]:
    """Of single modalities."""
    return [trial for trial in trials if trial.phase.endswith(ALONE)]


def verdict(trials: Sequence[Trial], strategy: str = "") -> str:
    """What the search gained over its baselines, and what it was not held against; a `strategy`
    that is chance itself needs no such baseline."""
    by, scale = phases(trials), Scale.of(trials)
    mine, count = leader(by.get(SEARCH, [])), len(by.get(SEARCH, []))
    if mine is None:
        return f"No network of the search has a score, of {_counted(count, 'trial')}."
    rivals = _rivals(trials)
    if strategy == RANDOM:
        rivals = {name: best for name, best in rivals.items() if best or name != _CHANCE}
    gains = [(name, score_of(mine) - score_of(best)) for name, best in rivals.items() if best]
    said = (
        f"The best network of the search, trial {mine.number}, reaches {scale.text(mine.score)} "
        f"{scale.measure} after {_counted(count, 'trial')}"
    )
    said += f": {_listed([_gain(scale, name, gain) for name, gain in gains])}." if gains else "."
    if better := [name for name, gain in gains if gain <= 0]:
        said += f" The search did not pay: {_listed(better)} did as well or better."
    if missing := [name for name, best in rivals.items() if best is None]:
        said += f" It was not held against {_listed(missing)}."
    return said


def _rivals(trials: Sequence[Trial]) -> dict[str, Trial | None]:
    """The best of each kind of baseline, by what it is called."""
    by = phases(trials)
    chance, single = by.get(RANDOM, []), leader(alone(trials))
    drawn = f"{_CHANCE} of {_counted(len(chance), 'trial')}" if chance else _CHANCE
    best = f"the best single modality ({single.phase})" if single else "a single modality"
    return {drawn: leader(chance), LATE: leader(by.get(LATE, [])), best: single}


def _gain(scale: Scale, name: str, gain: float) -> str:
    if gain == 0:
        return f"the same as {name}"
    return f"{scale.apart(gain)} {'above' if gain > 0 else 'below'} {name}"


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
    best = {name: leader(part) for name, part in phases(trials).items() if name != SEARCH}
    held = [_row("", trial, scale) for trial in best.values() if trial]
    widths = [max(len(row[i]) for row in [head, *rows, *held]) for i in range(3)]
    table = [_line(row, widths) for row in [head, *rows]] if rows or held else []
    rule = ["-" * len(table[0])] if rows and held else []
    return "\n".join(
        [*table, *rule, *(_line(row, widths) for row in held), verdict(trials, strategy)]
    )


def _row(rank: str, trial: Trial, scale: Scale) -> tuple[str, str, str, str]:
    of = trial.encoding if trial.phase in (SEARCH, trial.encoding) else ""
    name = of or f"{trial.phase}: {trial.encoding}"
    return rank, scale.text(trial.score), f"{trial.params:,}", name


def _line(row: tuple[str, str, str, str], widths: list[int]) -> str:
    *figures, name = row
    told = [f"{text:>{width}}" for text, width in zip(figures, widths, strict=True)]
    return "  ".join([*told, name])
