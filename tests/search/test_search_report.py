"""The page of a search: what it says, where it says nothing, and that nothing gets out of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_trials import FAILED, loss, noted, searched, trial

from xgraph.build import build_source
from xgraph.ir.graph import Graph
from xgraph.search.report import page, spearman, write_report
from xgraph.search.standing import Spent, summary, verdict
from xgraph.search.study import Trial
from xgraph.source import Source

ROOT = Path(__file__).parent.parent.parent
FUSION = """network small
modality image: [1, 8, 8]
modality sound: [12]
superlayer eye(image) {
  f1: conv(4, 3) -> relu
  f2: conv(8, 3) -> relu
  globalavgpool
}
superlayer ear(sound) { f1: linear(6) -> relu }
fusion head(eye, ear) {
  h1: fuse(eye.f1, ear.f1) -> linear(5) -> sigmoid
  h2: fuse(eye.f1, ear.f1, h1) -> linear(5) -> relu
  linear(3)
}
output logits = head
"""
ABOUT = {
    "title": "A small search", "space": "small.xg", "size": 837930, "data": "made up",
    "strategy": "mfas", "options": {"samples": 3, "restart": True}, "seed": 7,
    "versions": {"xgraph": "0.1.0"},
}  # fmt: skip
FIGURES = {"progress", "steps", "guesses", "tradeoff"}
HOSTILE = [
    '"><script>alert(1)</script>', "</script></style></pre></svg>", "<img src=x onerror=x>",
    "$a^{$ _b & 'c'", "שלום \u202e\u200f עולם", "{{ 7 * 7 }}", "bad \udc80 text",
]  # fmt: skip
VOID = {"meta", "br", "link", "img"}


class Walk(HTMLParser):
    """Reads a page, and sees that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.said: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [v for n, v in attrs if v and n in ("src", "href", "xlink:href", "action")]
        assert not [name for name in given if name.startswith("on")]
        if tag == "svg" and "aria-hidden" not in given:
            assert given["role"] == "img"
            self.labels.append(str(given["aria-label"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def graph(text: str = FUSION) -> Graph:
    return build_source(Source("<small>", text))


def best(trials: list[Trial], count: int = 2) -> list[tuple[str, Trial, str, Graph]]:
    return [(f"{rank}", one, FUSION, graph()) for rank, one in enumerate(trials[:count], 1)]


def walked(trials: list[Trial], about: dict[str, Any] | None = None, shown: int = 0) -> Walk:
    """A page that holds all that it needs."""
    text = page(ABOUT if about is None else about, trials, best(trials, shown))
    walk = Walk(text)
    assert not [link for link in walk.links if not link.startswith("#")]
    assert set(re.findall(r"var\((--[^)]*)\)", text)) <= set(re.findall(r"(--[\w-]+):", text))
    assert {link[1:] for link in walk.links} <= set(walk.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(walk.ids)
    assert len(walk.ids) == len(set(walk.ids))
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & walk.tags.keys()
    assert walk.tags["caption"] == walk.tags["table"]
    return walk


def shown(walk: Walk) -> set[str]:
    """The figures that a page has."""
    return {one for one in FIGURES if any(name.startswith(f"{one}-") for name in walk.ids)}


class TestPage:
    def test_it_has_all_that_a_search_has(self) -> None:
        walk = walked(searched(), shown=2)
        assert shown(walk) == FIGURES
        assert walk.tags["figure"] == 4
        assert len(walk.labels) == 6
        for said in ("A small search", "small.xg", "837,930", "mfas", "samples 3, restart yes",
                     "27, of which 1 failed", "Spearman", FAILED, "late fusion", "fusion head",
                     "head: (11)"):  # fmt: skip
            assert said in walk.text

    def test_the_same_trials_give_the_same_bytes(self, tmp_path: Path) -> None:
        made = searched()
        shown = best(made)
        write_report(tmp_path / "a.html", ABOUT, made, shown)
        write_report(tmp_path / "b.html", ABOUT, made[::-1], shown)
        assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()

    def test_numbers_stand_beside_their_figure(self) -> None:
        text = walked(searched()).text
        assert "phase,seed,trials,trial,seconds,best (%)" in text
        assert "trial,step,temperature,error (%)" in text
        assert "trial,guess of the score (%),score (%)" in text
        assert "trial,phase,parameters,macs,latency,score (%),front" in text

    def test_figures_are_of_what_there_is(self) -> None:
        plain = [trial(number, 0.5 + number / 10) for number in range(4)]
        assert shown(walked(plain)) == {"progress", "tradeoff"}
        heated = [noted(one, 1, 10.0) for one in plain]
        assert shown(walked(heated)) == {"progress", "tradeoff", "steps"}

    def test_one_trial(self) -> None:
        walk = walked([trial(0, 0.5)], shown=1)
        assert shown(walk) == {"progress", "tradeoff"}
        assert "after 1 trial." in walk.text

    def test_all_failed(self) -> None:
        walk = walked([trial(number, None) for number in range(3)])
        assert shown(walk) == set()
        assert "No network of the search has a score, of 3 trials." in walk.text
        assert walk.text.count(FAILED) == 3

    def test_nothing_yet(self) -> None:
        assert shown(walked([], {})) == set()

    def test_a_guess_that_says_nothing(self) -> None:
        """One, and all equal: there is no correlation."""
        for count in (1, 3):
            made = [noted(trial(n, 0.5), 2, 1.0, 0.4) for n in range(count)]
            assert "none (all equal" in walked(made).text

    def test_a_loss_is_no_accuracy(self) -> None:
        made = [noted(loss(t, 2 - t.number / 20), 1 + t.number // 6, 1.0, 0.3)
                for t in searched() if t.error is None]  # fmt: skip
        walk = walked(made, shown=1)
        assert shown(walk) == FIGURES
        for word in ("accuracy", "error", "%", "points"):
            assert word not in walk.text.replace("mean absolute error", "")
        assert "exp(score)" in walk.text

    def test_scores_that_are_not_finite_are_left_out(self) -> None:
        made = [trial(0, float("-inf")), trial(1, float("nan")), trial(2, 0.5)]
        assert shown(walked(made)) == {"progress", "tradeoff"}

    def test_latency_is_shown_where_it_is_known(self) -> None:
        made = searched()
        assert "latency (ms)" not in walked(made).text
        made[0] = replace(made[0], latency=0.0125)
        timed = [replace(t, latency=0.001 * (40 - t.number)) for t in made]
        text = walked(timed).text
        assert "latency (ms)" in text
        assert "score, parameters, MACs, latency all count" in text

    def test_names_from_outside_stay_text(self, tmp_path: Path) -> None:
        made = searched()
        for number, name in enumerate(HOSTILE):
            made[number] = replace(made[number], encoding=name)
            made.append(trial(100 + number, None, error=name))
            made.append(trial(200 + number, 0.75, f"{name} alone"))
        # The score is by the name of a metric.
        made = [replace(t, metrics={HOSTILE[0]: t.score} if t.score else {}) for t in made]
        about = {"title": HOSTILE[0], "options": {name: [name] for name in HOSTILE}}
        walk = walked(made, about)
        for name in HOSTILE:
            for told in (name, f"{name} alone"):
                assert " ".join(told.split()) in walk.text
        shown = [(str(i), made[i], name, graph()) for i, name in enumerate(HOSTILE)]
        write_report(tmp_path / "report.html", about, made, shown)
        Walk((tmp_path / "report.html").read_text("utf-8"))

    def test_a_name_in_a_network_stays_text(self) -> None:
        """In drawings too."""
        text = FUSION.replace("h1", "the_first")
        drawn = Walk(page({}, [trial(0, 0.5)], [("1", trial(0, 0.5), text, graph(text))]))
        assert drawn.text.count("the_first") > 3


class TestVerdict:
    def test_it_says_what_was_gained(self) -> None:
        assert verdict(searched()) == (
            "The best network of the search, trial 11, reaches 94.00 % accuracy after 12 trials: "
            "6.00 points above random search of 12 trials, 4.00 points above late fusion and "
            "14.00 points above the best single modality (image alone)."
        )

    def test_it_says_when_nothing_was_gained(self) -> None:
        made = [trial(0, 0.5), trial(1, 0.5, "late fusion"), trial(2, 0.625, "random")]
        assert verdict(made) == (
            "The best network of the search, trial 0, reaches 50.00 % accuracy after 1 trial: "
            "12.50 points below random search of 1 trial and the same as late fusion. "
            "The search did not pay: random search of 1 trial and late fusion did as well or "
            "better. It was not held against a single modality."
        )

    def test_a_loss_is_told_as_a_score(self) -> None:
        made = [loss(trial(0, 0.5), 0.5), loss(trial(1, 0.5, "late fusion"), 2.0)]
        assert "reaches -0.5000 score after 1 trial: 1.5000 above late fusion." in verdict(made)

    def test_seeds_without_a_score_are_told(self) -> None:
        """And what is held against is held against on seeds that both have."""
        made = [
            trial(0, 0.875), trial(1, None, search_seed=1),
            trial(2, 0.5, "a alone"), trial(3, 0.5, "a alone", search_seed=1),
            trial(4, None, "b alone"), trial(5, 0.875, "b alone", search_seed=1),
        ]  # fmt: skip
        told = verdict(made)
        assert "37.50 points above the best single modality (a alone)" in told
        assert told.endswith("No network of the search with seed 1 has a score.")
        rows = walked(made).text
        assert "seed 0 seed 1" in rows

    def test_means_over_seeds(self) -> None:
        made = [
            trial(0, 0.75), trial(1, 0.5, search_seed=1), trial(2, 0.5, "random"),
            trial(3, 0.5, "random", search_seed=1),
        ]  # fmt: skip
        assert verdict(made).startswith(
            "The best networks of 2 searches reach 62.50 % ± 17.68 accuracy on the mean, after 2 "
            "trials together: 12.50 ± 17.68 points above random search of 2 trials."
        )

    def test_chance_needs_no_chance_beside_it(self) -> None:
        told = verdict([trial(0, 0.5)], "random")
        assert told.endswith("It was not held against late fusion and a single modality.")

    def test_baselines_that_failed_are_none(self) -> None:
        made = [trial(0, 0.5), trial(1, None, "late fusion")]
        assert "not held against random search, late fusion and a single" in verdict(made)


class TestSummary:
    def test_ranks_and_baselines(self) -> None:
        lines = summary(searched()).splitlines()
        assert lines[0].split() == ["rank", "accuracy", "parameters", "network"]
        assert lines[1].split() == ["1", "94.00", "%", "2,100", "head:", "(11)"]
        assert sum(line.split()[0].isdigit() for line in lines) == 10
        told = [line for line in lines if line.endswith(("late fusion", "alone"))]
        assert len(told) == 3
        assert "random: head: (23)" in lines[12]
        assert lines[-1] == verdict(searched())

    @pytest.mark.parametrize("made", [[], [trial(0, None)], [trial(0, 0.5)]])
    def test_few_trials(self, made: list[Trial]) -> None:
        assert summary(made).endswith(verdict(made))
        assert "---" not in summary(made)


class TestCost:
    def test_repeats_cost_nothing(self) -> None:
        spent = Spent.of(searched()[:12])
        assert (spent.trials, spent.evaluated, spent.networks, spent.failed) == (12, 11, 11, 1)
        assert (spent.together, spent.seconds, spent.each) == (4.0, 22.0, 2.0)

    def test_a_network_is_the_same_in_another_round(self) -> None:
        made = [trial(n, 0.5, key=f"abc search {n}") for n in range(3)]
        assert Spent.of(made).networks == 1
        assert Spent.of(made).evaluated == 3

    def test_none(self) -> None:
        assert Spent.of([]).each == 0


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [([1, 2, 3], [10, 20, 90], 1.0), ([1, 2, 3], [3, 2, 1], -1.0), ([1, 1], [1, 2], None),
     ([1, 2, 2, 3], [1, 2, 3, 4], 0.9486832980505138)],
)  # fmt: skip
def test_spearman(a: list[float], b: list[float], found: float | None) -> None:
    assert spearman(a, b) == (found if found is None else pytest.approx(found))
