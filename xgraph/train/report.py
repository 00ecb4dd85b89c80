"""A training as a page, report.html of its folder; a measurement as one (`eval -o NAME.html`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xgraph import pages
from xgraph.pages import Code, Figure, Fold, Note, Part, Section, Table
from xgraph.pages.page import csv_of
from xgraph.pages.plots import DASHES, INK, Key, drawn, keys

_CLASSES = 40
"""Of more of them, no table of who is taken for whom is shown."""


def training_page(
    name: str, about: Mapping[str, Any], metrics: Mapping[str, Any], network: str, recipe: str
) -> str:
    """Of what `run.json` and `metrics.json` hold; `network` and `recipe` are texts."""
    history, best = metrics["epochs"], metrics["best_epoch"]
    facts: dict[str, object] = {key: about[key] for key in ("data", "rows", "seed")}
    facts["epochs"] = f"{len(history)}, of which {best} is kept" if best else len(history)
    if metrics["stopped_early"]:
        facts["stopped"] = "early"
    facts["versions"] = {"xgraph": about["xgraph"], **about["libraries"]}
    texts = [Fold("The network, net.xg", [Code(network)]), Fold("The recipe", [Code(recipe)])]
    measured = evaluation_sections(metrics["test"]) if metrics["test"] else []
    sections = [_curves(history, best), *measured, Section("What was trained", texts)]
    return pages.page(name, facts, sections)


def evaluation_page(name: str, about: Mapping[str, object], found: Mapping[str, Any]) -> str:
    """Of `Evaluation.to_json()`."""
    return pages.page(name, about, evaluation_sections(found))


def evaluation_sections(found: Mapping[str, Any]) -> list[Section]:
    rows = [(name, f"{value:.4f}") for name, value in found["metrics"].items()]
    parts: list[Part] = [
        Table(f"On {found['rows']:,} rows of {found['split']}", ("metric", "value"), rows)
    ]
    if found["accuracy_interval_95"] is not None:
        low, high = found["accuracy_interval_95"]
        parts.append(
            Note(f"The accuracy is between {low:.4f} and {high:.4f} (95 %, by bootstrap).")
        )
    sections = [Section("What it knows", parts)]
    if found["confusion"] is not None and len(found["confusion"]) <= _CLASSES:
        sections.append(_classes(found["classes"], found["confusion"]))
    return sections


def _curves(history: Sequence[Mapping[str, Any]], best: int | None) -> Section:
    heads = list(dict.fromkeys(name for record in history for name in record))
    names = [name for name in heads if name.startswith("val/") and name.count("/") == 1]
    others = [name for name in names if name != "val/loss"]
    signs = keys(["train/loss", "val/loss", *others], DASHES)
    panels = [("loss", signs[:2]), ("validation", signs[2:])]
    epochs = [record["epoch"] for record in history]

    def paint(figure: Any) -> None:
        for axes, (label, lines) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            for key in lines:
                values = [record.get(key.name, float("nan")) for record in history]
                axes.plot(
                    epochs, values, color=key.color, linestyle=key.mark,
                    marker="." if len(epochs) < 30 else "",
                )  # fmt: skip
            if best:
                axes.axvline(best, color=INK, linewidth=1, linestyle=":")
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.xaxis.get_major_locator().set_params(integer=True)

    legend = [*signs, *([Key("kept", INK, ":")] if best else [])]
    numbers = csv_of(heads, [[record.get(head, "") for head in heads] for record in history])
    picture = drawn("curves", "Losses and metrics by epoch", (9, 3.4), paint)
    note = "Left the losses, right what else the validation measured."
    return Section("Curves", [Note(note), Figure(picture, legend, numbers)])


def _classes(classes: Sequence[Mapping[str, Any]], confusion: Sequence[Sequence[int]]) -> Section:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        shares = [[n / max(1, sum(row)) for n in row] for row in confusion]
        shown = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
        axes.set_xlabel("predicted")
        axes.set_ylabel("class")
        axes.grid(False)
        if len(confusion) <= 12:
            axes.set_xticks(range(len(confusion)))
            axes.set_yticks(range(len(confusion)))
        figure.colorbar(shown, ax=axes, label="share of the class")

    heads = ["class", *map(str, range(len(confusion)))]
    numbers = csv_of(heads, [[i, *row] for i, row in enumerate(confusion)])
    columns = ("class", "precision", "recall", "f1", "rows")
    rates = columns[1:4]
    rows = [
        [each["class"], *(f"{each[name]:.4f}" for name in rates), each["rows"]] for each in classes
    ]
    size = min(6.0, 3 + 0.1 * len(confusion))
    return Section("By class", [
        Table("Each class", columns, rows),
        Figure(drawn("confusion", "Who is taken for whom", (size, size - 0.6), paint), (), numbers),
    ])  # fmt: skip
