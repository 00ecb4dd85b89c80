"""What there is to see of a search, on one page: report.html.

The same trials give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, TypeAlias, final

import numpy as np

from xgraph import pages
from xgraph.draw.render import Picture
from xgraph.draw.scene import sheet
from xgraph.files import FilePath, write_whole
from xgraph.ir.graph import Graph
from xgraph.pages import Code, Drawing, Figure, Fold, Key, Note, Part, Section, Table
from xgraph.pages.page import Cell, csv_of
from xgraph.pages.plots import DASHES, MARKS, PALETTE, keys
from xgraph.search import figures
from xgraph.search.front import front, known
from xgraph.search.search import SEARCH
from xgraph.search.standing import (
    Reached,
    Scale,
    Spent,
    is_scored,
    leader,
    phases,
    score_of,
    seeds_of,
    verdict,
)
from xgraph.search.study import Trial

Best: TypeAlias = "Sequence[tuple[str, Trial, str, Graph]]"
"""The networks to show: the name by which their files go, trial, `.xg`, graph."""
MEASURES = ("accuracy", "f1", "mse", "loss")
"""What is told of a network that was trained to the end, as far as it was measured."""


@final
@dataclass(frozen=True)
class Final:
    """A network trained to the end."""

    name: str
    trial: Trial
    metrics: Mapping[str, Any]
    """`metrics.json` of its training."""

    @property
    def rows(self) -> str:
        """Those that `measured` is of: `test`, or `validation` where there are no others."""
        return "test" if self.metrics["test"] else "validation"

    @property
    def measured(self) -> Mapping[str, float]:
        if self.metrics["test"]:
            found: Mapping[str, float] = self.metrics["test"]["metrics"]
            return found
        epoch = self.metrics["epochs"][(self.metrics["best_epoch"] or 0) - 1]
        return {name.removeprefix("val/"): value for name, value in epoch.items()}


def write_report(
    path: FilePath,
    about: Mapping[str, Any],
    trials: Sequence[Trial],
    best: Best,
    finals: Sequence[Final] = (),
) -> None:
    """Write the page. `about` is what its head says, a line an entry in their order: `title` (the
    heading), and for instance `space`, `size`, `data`, `strategy`, `options`, `seed`, `versions`;
    values are texts, numbers, lists, or mappings of these."""
    write_whole(path, page(about, trials, best, finals).encode(errors="replace"))


def page(
    about: Mapping[str, Any], trials: Sequence[Trial], best: Best, finals: Sequence[Final] = ()
) -> str:
    """The page as a text."""
    trials = sorted(trials, key=lambda trial: trial.number)
    scale = Scale.of(trials)
    spent = Spent.of(trials)
    facts = {name: value for name, value in about.items() if name != "title"}
    facts["trials"] = f"{spent.trials:,}, of which {spent.failed:,} failed"
    facts["time"] = f"{_time(spent.seconds)} of evaluation"
    makers = [_progress, _steps, _guesses, _tradeoff]
    sections = [
        _standing(trials, scale),
        _best(best, finals, scale) if best else None,
        *(make(trials, scale) for make in makers),
        Section("Cost", [_cost(trials)]),
        _failures(trials),
    ]
    return pages.page(
        str(about.get("title") or "A search"), facts, [each for each in sections if each],
        verdict=verdict(trials, str(about.get("strategy", ""))),
    )  # fmt: skip


# -------------------------------------------------------------------------------------- values


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def _shown(score: float, scale: Scale) -> float:
    """As pictures have it."""
    return 100 * score if scale.is_share else score


def _axis(scale: Scale, word: str = "score") -> str:
    return f"{word} (%)" if scale.is_share else word


# --------------------------------------------------------------------------------------- parts


def _standing(trials: Sequence[Trial], scale: Scale) -> Section | None:
    """The best of each phase, and how the search stands to it."""
    by = phases(trials)
    mine = Reached.of(by.get(SEARCH, []))
    seeds = several if len(several := seeds_of(trials)) > 1 else []
    rows = []
    for name, part in by.items():
        reached = Reached.of(part)
        apart = mine.above(reached) if name != SEARCH else []
        each = [reached.by_seed.get(seed) for seed in seeds]
        rows.append((
            name, len(part), *(scale.text(trial.score) if trial else "none" for trial in each),
            scale.mean(reached.scores) or "none", scale.signed(apart) if apart else "",
            reached.best.params if reached.best else None,
        ))  # fmt: skip
    head = ("phase", "trials", *(f"seed {seed}" for seed in seeds),
            f"{'mean of best' if seeds else 'best'} {scale.measure}", "search above it",
            "parameters of the best")  # fmt: skip
    if not rows:
        return None
    note = Note(
        "Measured on the validation rows, by which the best is chosen: the best of many networks is"
        " told too well, the more so the more there were. One training each, so small differences"
        " may be chance."
    )
    table = Table("The best of the search and of each baseline", head, rows)
    return Section("Against baselines", [note, table])


def _progress(trials: Sequence[Trial], scale: Scale) -> Section | None:
    by = {name: part for name, part in phases(trials).items() if leader(part)}
    if not by:
        return None
    signs = keys(by, DASHES)
    runs, levels, rows = [], [], []
    for sign, (name, seed, part) in (
        (sign, each)
        for sign, whole in zip(signs, by.items(), strict=True)
        for each in _seeds(*whole)
    ):
        scores = [_shown(score_of(t), scale) if is_scored(t) else None for t in part]
        run = figures.Run(scores, [0.0 if t.same_as is not None else t.seconds for t in part])
        if len(part) > 1 or name == SEARCH:
            runs.append((sign, run))
        else:
            levels += [(sign, score) for score in scores if score is not None]
        rows += [(name, seed, *row) for row in zip(
            range(1, len(part) + 1), (t.number for t in part), run.spent(), run.best(), strict=True
        )]  # fmt: skip
    note = "A repeated network is a trial that takes no time. Horizontal lines are single networks."
    figure = Figure(
        figures.progress(runs, levels, _axis(scale)), signs,
        csv_of(("phase", "seed", "trials", "trial", "seconds", _axis(scale, "best")), rows),
    )  # fmt: skip
    return Section("The best so far", [Note(note), figure])


def _seeds(name: str, trials: Sequence[Trial]) -> Iterator[tuple[str, int, list[Trial]]]:
    """A phase, seed by seed."""
    for seed in dict.fromkeys(trial.search_seed for trial in trials):
        yield name, seed, [trial for trial in trials if trial.search_seed == seed]


def _steps(trials: Sequence[Trial], scale: Scale) -> Section | None:
    """Only of searches that draw by a temperature."""
    able = [t for t in trials if is_scored(t) and {"step", "temperature"} <= t.notes.keys()]
    if not able:
        return None
    word = "error" if scale.is_share else "score"
    values = [_shown(1 - score_of(t) if scale.is_share else score_of(t), scale) for t in able]
    points = [(int(t.notes["step"]), value) for t, value in zip(able, values, strict=True)]
    heat = sorted({int(t.notes["step"]): float(t.notes["temperature"]) for t in able}.items())
    rows = [
        (t.number, t.notes["step"], t.notes["temperature"], value)
        for t, value in zip(able, values, strict=True)
    ]
    note = "The networks that each step drew; the colder, the more by the surrogate's guesses."
    signs = Key(f"{word} of a network", PALETTE[0], "o"), Key("temperature", PALETTE[5], "--")
    figure = Figure(
        figures.steps(points, heat, _axis(scale, word)), signs,
        csv_of(("trial", "step", "temperature", _axis(scale, word)), rows),
    )  # fmt: skip
    return Section("Steps and their temperature", [Note(note), figure])


def _guesses(trials: Sequence[Trial], scale: Scale) -> Section | None:
    able = [t for t in trials if is_scored(t) and t.notes.get("guess") is not None]
    if not able:
        return None
    # What falls to minus infinity is guessed by its exponential.
    values = [float(np.exp(s)) if (s := score_of(t)) < 0 else s for t in able]
    pairs = [
        (_shown(float(t.notes["guess"]), scale), _shown(value, scale))
        for t, value in zip(able, values, strict=True)
    ]
    wrong = sum(abs(a - b) for a, b in pairs) / len(pairs)
    order = spearman([a for a, _ in pairs], [b for _, b in pairs])
    told = "none (all equal, or too few)" if order is None else f"{order:.2f}"
    unit = " points" if scale.is_share else ""
    word = _axis(scale, "score" if all(score_of(t) >= 0 for t in able) else "exp(score)")
    note = (
        f"Spearman correlation of guesses and scores: {told}; mean absolute error: "
        f"{wrong:.3g}{unit}, of {len(pairs):,} networks. On the dotted line a guess is right."
    )
    rows = [(t.number, *pair) for t, pair in zip(able, pairs, strict=True)]
    numbers = csv_of(("trial", f"guess of the {word}", word), rows)
    figure = Figure(figures.guesses(pairs, word), numbers=numbers)
    return Section("The surrogate's guesses", [Note(note), figure])


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """The correlation of their ranks; None where one of them has a single value."""
    left, right = _ranks(a), _ranks(b)
    if left.std() == 0 or right.std() == 0:
        return None
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray[Any, Any]:
    """Equal values have the mean of their ranks."""
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: np.ndarray[Any, Any] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _tradeoff(trials: Sequence[Trial], scale: Scale) -> Section | None:
    made = [t for t in trials if is_scored(t)]
    if not made:
        return None
    corners = front(made)
    by = phases(made)
    signs = keys(by, MARKS)
    groups = [
        (sign, [_point(t, scale) for t in part])
        for sign, part in zip(signs, by.values(), strict=True)
    ]
    numbers = {trial.number for trial in corners}
    every = known(made)
    others = [t for t in front(made, every) if t.number not in numbers]
    tables = [Table("The front: score against parameters", *_rows(corners, scale))]
    if others:
        words = {"params": "parameters", "macs": "MACs"}
        told = ", ".join(words.get(name, name) for name in every)
        tables.append(Table(f"No worse, if {told} all count", *_rows(others, scale)))
    note = Note("Ringed: no smaller network has a better score.")
    figure = Figure(
        figures.tradeoff(groups, [_point(t, scale) for t in corners], _axis(scale)), signs,
        csv_of(
            ("trial", "phase", "parameters", "macs", "latency", _axis(scale), "front"),
            [(t.number, t.phase, t.params, t.macs, t.latency, _point(t, scale)[1],
              int(t.number in numbers)) for t in made],
        ),
    )  # fmt: skip
    return Section("Scores and sizes", [note, figure, *tables])


def _point(trial: Trial, scale: Scale) -> tuple[float, float]:
    return trial.params, _shown(score_of(trial), scale)


def _rows(
    trials: Iterable[Trial], scale: Scale
) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
    trials = list(trials)
    timed = any(trial.latency is not None for trial in trials)
    head = ("trial", "phase", scale.measure, "parameters", "MACs", "network")
    rows = tuple(
        (t.number, t.phase, scale.text(t.score), t.params, t.macs or None, t.encoding)
        for t in trials
    )
    if not timed:
        return head, rows
    slow = [None if t.latency is None else 1000 * t.latency for t in trials]
    return (*head, "latency (ms)"), tuple(
        (*row, each) for row, each in zip(rows, slow, strict=True)
    )


def _best(best: Best, finals: Sequence[Final], scale: Scale) -> Section:
    parts: list[Part] = [_ranking(best, scale)]
    if finals:
        parts.append(_finals(finals, scale))
    for number, (name, trial, text, graph) in enumerate(best):
        title = f"{name}. {scale.text(trial.score)} {scale.measure}, {trial.params:,} parameters"
        code = Fold("The network as .xg", [Code(text)])
        drawing = Drawing(Picture.of(sheet(graph), within=f"network{number}").svg)
        parts.append(Fold(title, [drawing, code], is_open=number == 0))
    note = (
        "Boxes with a thick edge hold more: xgraph draw opens them. Green: connections; yellow:"
        " routers; pale: what no output needs."
    )
    return Section("The best networks", [*parts, Note(note)])


def _ranking(best: Best, scale: Scale) -> Table:
    head, rows = _rows([trial for _, trial, _, _ in best], scale)
    names = [name for name, _, _, _ in best]
    named = tuple((name, *row) for name, row in zip(names, rows, strict=True))
    several = len({trial.search_seed for _, trial, _, _ in best}) > 1
    told = "In the order of their scores" + (", seed by seed" if several else "")
    return Table(told, ("", *head), named)


def _finals(finals: Sequence[Final], scale: Scale) -> Table:
    names = [name for name in MEASURES if name in finals[0].measured]
    rows: list[tuple[Cell, ...]] = [
        (one.name, one.trial.number, scale.text(one.trial.score),
         *(f"{one.measured[name]:.4f}" for name in names))
        for one in finals
    ]  # fmt: skip
    firsts = first_of_each(finals)
    if len(firsts) > 1:
        each = [[one.measured[name] for one in firsts] for name in names]
        told = (f"{mean(values):.4f} ± {stdev(values):.4f}" for values in each)
        rows.append(("mean of the first of each seed", None, None, *told))
    head = ("", "trial", f"{scale.measure} in the search",
            *(f"{name}, {finals[0].rows}" for name in names))  # fmt: skip
    return Table("Trained to the end", head, tuple(rows))


def first_of_each(finals: Sequence[Final]) -> list[Final]:
    """The best of each seed, by its score in the search (RandomNet, Table 3, repeats so)."""
    found: dict[int, Final] = {}
    for one in finals:
        found.setdefault(one.trial.search_seed, one)
    return list(found.values())


def _cost(trials: Sequence[Trial]) -> Table:
    by = phases(trials)
    parts = [(name, Spent.of(part)) for name, part in by.items()]
    if len(parts) != 1:
        parts.append(("all", Spent.of(trials)))
    rows = tuple(
        (name, spent.trials, spent.evaluated, spent.networks, spent.failed, spent.together,
         spent.seconds, spent.each)
        for name, spent in parts
    )  # fmt: skip
    head = ("phase", "trials", "evaluated", "different networks", "failed",
            "trained together (mean)", "seconds", "seconds a network")  # fmt: skip
    return Table("What the search cost, in seconds of evaluation", head, rows)


def _failures(trials: Sequence[Trial]) -> Section | None:
    rows = tuple((t.number, t.phase, t.encoding, t.error) for t in trials if t.error is not None)
    head = ("trial", "phase", "network", "error")
    return Section("Failures", [Table("Trials that failed", head, rows)]) if rows else None
