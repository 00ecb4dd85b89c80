"""The pictures of what a network does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from xgraph.explain.hear import Routed
from xgraph.pages.plots import INK, PALETTE, Key, drawn

Array = np.ndarray[Any, Any]


def routes(
    routed: Sequence[Routed], rows: Sequence[int], names: Sequence[str],
    inputs: Mapping[str, Array],
) -> str:  # fmt: skip
    """What gates let through for some rows, a row of the picture each: lines are as thick as gates
    are open, dots as large as streams are strong (multi-path routing, Fig. 8)."""

    def paint(figure: Any) -> None:
        shown = [name for name, value in inputs.items() if is_picture(value[0])]
        grid = figure.subplots(
            len(rows), len(shown) + 1, squeeze=False,
            width_ratios=[*(1 for _ in shown), 1.6 * len(routed)],
        )  # fmt: skip
        for axes, row, told in zip(grid, rows, names, strict=True):
            for each, name in zip(axes, shown, strict=False):
                _show(each, inputs[name][row])
            axes[0].set_ylabel(told, rotation=0, ha="right", va="center")
            _route(axes[-1], routed, row)
        grid[-1, -1].set_xticks(range(len(routed)), [str(n + 1) for n in range(len(routed))])

    width = min(11, 2.2 + 1.3 * len(routed))
    return drawn(
        "routes", "Routes of some rows through the routers", (width, 1.1 * len(rows)), paint
    )


def _route(axes: Any, routed: Sequence[Routed], row: int) -> None:
    for number, one in enumerate(routed):
        _, m, n = one.gates.shape
        left, right = number - 0.32, number + 0.32
        a, b = _heights(m), _heights(n)
        for i in range(m):
            for j in range(n):
                gate = float(one.gates[row, i, j])
                axes.plot(
                    [left, right], [a[i], b[j]], color=PALETTE[0], linewidth=0.3 + 5 * gate,
                    alpha=0.15 + 0.75 * gate, solid_capstyle="butt",
                )  # fmt: skip
        for x, heights, strengths in ((left, a, one.inputs[row]), (right, b, one.outputs[row])):
            axes.scatter(
                [x] * len(heights), heights, s=[8 + 70 * float(s) for s in strengths],
                color=PALETTE[5], zorder=3, linewidths=0,
            )  # fmt: skip
    axes.set_xlim(-0.6, len(routed) - 0.4)
    axes.set_ylim(-0.2, 1.2)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.grid(False)


def _heights(count: int) -> list[float]:
    """The first on top."""
    return [0.5] if count == 1 else [1 - i / (count - 1) for i in range(count)]


def by_class(means: Array, classes: Sequence[str], gates: Sequence[str]) -> str:
    """The mean of each gate, by class."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        drawn_ = axes.imshow(means, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xticks(range(len(gates)), gates, rotation=90)
        axes.set_ylabel("class")
        axes.grid(False)
        figure.colorbar(drawn_, ax=axes, label="mean gate")

    size = min(11.0, 2.5 + 0.32 * len(gates)), min(8.0, 1.6 + 0.24 * len(classes))
    return drawn("classes", "Mean gate by class", size, paint)


@final
@dataclass(frozen=True)
class Spread:
    """How values are spread: of each line, what share lies between edges."""

    title: str
    edges: Array
    """[bins + 1]"""
    shares: Array
    """[lines, bins]"""


def lines(name: str, told: str, panels: Sequence[Spread], keys: Sequence[Key], axis: str) -> str:
    """Histograms, a panel for each title and a line for each key."""

    def paint(figure: Any) -> None:
        for axes, one in _panels(figure, panels):
            for key, shares in zip(keys, one.shares, strict=False):
                axes.stairs(shares, one.edges, color=key.color, linestyle=key.mark, linewidth=1.4)
            axes.set_title(one.title, fontsize="medium")
            axes.set_xlabel(axis)
            axes.set_yticks([])

    return drawn(name, told, _size(len(panels)), paint)


def bands(name: str, told: str, panels: Sequence[Spread], labels: Sequence[str], axis: str) -> str:
    """Histograms as bands, brighter where more lies: many of them can be told apart."""

    def paint(figure: Any) -> None:
        for axes, one in _panels(figure, panels, 3):
            shown = axes.imshow(
                one.shares, cmap="cividis", vmin=0, aspect="auto",
                extent=(one.edges[0], one.edges[-1], len(labels) - 0.5, -0.5),
            )  # fmt: skip
            axes.set_title(one.title, fontsize="medium")
            axes.set_xlabel(axis)
            axes.set_yticks(range(len(labels)), labels, fontsize="small")
            axes.grid(False)
            figure.colorbar(shown, ax=axes)

    count = len(panels)
    size = min(11.0, 3.4 * min(3, count)), (1.3 + 0.17 * len(labels)) * -(-count // 3)
    return drawn(name, told, size, paint)


def inputs_of_gate(name: str, groups: Sequence[tuple[str, Array, Array]]) -> str:
    """Inputs [count, ...] side by side, in groups with a title, with the gate below each."""

    def paint(figure: Any) -> None:
        count = sum(len(each) for _, each, _ in groups)
        ratios = [r for _, each, _ in groups for r in (*(1 for _ in each), 0.25)][:-1]
        grid = figure.subplots(1, count + len(groups) - 1, squeeze=False, width_ratios=ratios)[0]
        at = 0
        for title, each, gates in groups:
            for value, gate in zip(each, gates, strict=True):
                _show(grid[at], value)
                grid[at].set_xlabel(f"{gate:.3g}")
                at += 1
            grid[at - len(each)].set_title(title, fontsize="medium", loc="left")
            if at < len(grid):
                grid[at].set_visible(False)
                at += 1

    count = sum(len(each) for _, each, _ in groups)
    return drawn(name, "Inputs of a gate", (min(11, 1.1 * count + 0.4), 1.7), paint)


def embedding(
    points: Sequence[tuple[str, Array]], labels: Array, classes: Mapping[Key, int]
) -> str:
    """Rows in the plane, coloured by class, a panel for each connection."""

    def paint(figure: Any) -> None:
        for axes, (title, found) in _panels(figure, points):
            for key, number in classes.items():
                mine = found[labels == number]
                axes.plot(mine[:, 0], mine[:, 1], key.mark, color=key.color, markersize=4,
                          alpha=0.8, mew=0)  # fmt: skip
            axes.set_title(title, fontsize="medium")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)

    return drawn("embedding", "What connections bring, by t-SNE", _size(len(points), 2.9), paint)


def norms(panels: Sequence[tuple[str, Mapping[Key, Array]]]) -> str:
    """Mean norms over steps, a line for each class."""

    def paint(figure: Any) -> None:
        for axes, (title, lines) in _panels(figure, panels):
            for key, values in lines.items():
                axes.plot(
                    range(1, len(values) + 1), values, color=key.color, linestyle=key.mark,
                    linewidth=1.4,
                )  # fmt: skip
            axes.set_title(title, fontsize="medium")
            axes.set_xlabel("step")

    return drawn("norms", "Norms of what connections bring, over steps", _size(len(panels)), paint)


def maps(name: str, values: Array, rows: Sequence[str]) -> str:
    """[rows, channels, ...], a line for each row."""
    low, high = float(values.min()), float(values.max())

    def paint(figure: Any) -> None:
        grid = figure.subplots(*values.shape[:2], squeeze=False)
        for number, axes in enumerate(grid[0]):
            axes.set_title(str(number), fontsize="medium")
        for line, row, told in zip(grid, values, rows, strict=True):
            line[0].set_ylabel(told, rotation=0, ha="right", va="center")
            for axes, channel in zip(line, row, strict=True):
                _show(axes, channel, low, high)

    flat = values.shape[-2] / values.shape[-1] if values.ndim == 4 else 0.5
    size = 1.1 * values.shape[1] + 0.8, (1.1 * min(3.0, flat) + 0.15) * len(values) + 0.3
    return drawn(name, "Maps that a connection brings", size, paint)


def _panels(figure: Any, panels: Sequence[Any], most: int = 4) -> Iterable[tuple[Any, Any]]:
    columns = min(most, len(panels))
    grid = figure.subplots(-(-len(panels) // columns), columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return zip(grid, panels, strict=False)


def _size(count: int, height: float = 2.1) -> tuple[float, float]:
    return min(11.0, 2.75 * min(4, count)), height * -(-count // 4)


def is_picture(value: Array) -> bool:
    return 1 <= value.ndim <= 4 and value.dtype.kind == "f"


def _show(axes: Any, value: Array, low: float | None = None, high: float | None = None) -> None:
    """A row of an input: a picture (of several, the middle one), or a line. Black is `low`, or the
    least of its values."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    if value.ndim == 1:
        axes.plot(value, color=INK, linewidth=0.8)
        return
    axes.spines[:].set_visible(False)
    if value.ndim == 4:
        value = value[len(value) // 2]
    if value.ndim == 3 and len(value) == 3:
        least, most = float(value.min()), float(value.max())
        plain = (value - least) / (most - least if most > least else 1)
        axes.imshow(plain.transpose(1, 2, 0))
        return
    axes.imshow(value if value.ndim == 2 else value.mean(0), cmap="gray", vmin=low, vmax=high)
