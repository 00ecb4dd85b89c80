"""An explanation as a page, explain.html, and as numbers, explain.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xgraph import pages
from xgraph.explain import figures
from xgraph.explain.explain import EMBEDDED, Explanation
from xgraph.explain.extremes import FLAT, Extreme
from xgraph.explain.figures import Spread
from xgraph.explain.hear import Carried
from xgraph.files import write_whole
from xgraph.pages import Figure, Note, Part, Section, Table
from xgraph.pages.page import csv_of
from xgraph.pages.plots import DASHES, MARKS, keys

Array = np.ndarray[Any, Any]
PAGE, NUMBERS = "explain.html", "explain.json"
_ROWS = 10
"""Rows whose routes are drawn."""
_CLASSES = 12
"""So many have a colour and a mark of their own."""
_BANDS = 40
"""So many stand below each other."""
_WEIGHTS = 24
_BINS = 25


def write_explanation(folder: Path, found: Explanation, about: Mapping[str, object]) -> None:
    """The page and the numbers, in a folder that is there. `about` is what the head of the page
    says."""
    shown, numbers = page(found, about), json.dumps(found.to_json(), allow_nan=False)
    write_whole(folder / PAGE, shown.encode(errors="replace"))
    write_whole(folder / NUMBERS, numbers + "\n")


def page(found: Explanation, about: Mapping[str, object]) -> str:
    measured = {name: f"{value:.4f}" for name, value in found.heard.metrics.items()}
    facts = {**about, "rows": f"{len(found.heard.split):,} of {found.heard.split.name}", **measured}
    makers = [
        _switched_off,
        _routes,
        _by_class,
        _spread_by_class,
        _looked_for,
        _connections,
        _weights,
    ]
    sections = [section for make in makers if (section := make(found)) is not None]
    return pages.page(found.network, facts, sections)


# ------------------------------------------------------------------------------------- the sections


def _switched_off(found: Explanation) -> Section | None:
    if not found.ablations:
        return None
    name, whole = found.measure
    rows = [("all of it", "", f"{whole:.4f}", ""), *found.lost()]
    note = (
        "What the network still knows with a part switched off, without training it anew. A"
        " connection that brings nothing leaves its stream as it is, or brings zeros where it makes"
        " it wider. A router with gates at their mean routes every input as it routes them on the"
        " whole; one where nothing crosses keeps each stream to itself, and one that is left out"
        " passes streams on as they come. ± is 1.96 standard errors of the change."
    )
    table = Table("Each connection and router by itself", ("part", "off", name, "change"), rows)
    return Section("What carries information", [Note(note), table])


def _numbered(found: Explanation) -> Table:
    rows = [
        (number, one.router.title, len(one.router.gates), one.gates.shape[2],
         float(one.gates.std(0).max()))
        for number, one in enumerate(found.heard.routed, 1)
    ]  # fmt: skip
    head = ("", "router", "in", "out", "largest standard deviation of a gate")
    return Table("Routers, in the order of the pictures", head, rows)


def _routes(found: Explanation) -> Section | None:
    routed = found.heard.routed
    if not routed:
        return None
    rows = _examples(found)
    note = (
        "A line is as thick as its gate is open for this input, a dot as large as the stream is"
        " strong, against the strongest beside it. From left to right the routers, as numbered."
    )
    numbers = csv_of(
        ("row", "class", "router", "input", "output", "gate", "input strength", "output strength"),
        [
            (int(found.heard.split.rows[row]), _class(found, row), number, i, j,
             *(f"{v:.6g}" for v in (one.gates[row, i, j], one.inputs[row, i], one.outputs[row, j])))
            for row in rows
            for number, one in enumerate(routed, 1)
            for i in range(one.gates.shape[1])
            for j in range(one.gates.shape[2])
        ],
    )  # fmt: skip
    names = [_row(found, row) for row in rows]
    shown = [name for name, value in found.inputs.items() if figures.is_picture(value[0])]
    caption = f"From the left: {', '.join(shown)}, and the routers." if shown else ""
    picture = figures.routes(routed, rows, names, found.inputs)
    return Section("Routes", [Note(note), _numbered(found), Figure(picture, (), numbers, caption)])


def _examples(found: Explanation) -> list[int]:
    """The first row of each of the first classes."""
    if found.heard.labels is None:
        return list(range(min(_ROWS, len(found.heard.split))))
    firsts = [int(np.flatnonzero(found.heard.labels == c)[0]) for c in found.classes[:_ROWS]]
    others = [row for row in range(len(found.heard.labels)) if row not in firsts]
    return [*firsts, *others][:_ROWS]


def _class(found: Explanation, row: int) -> int | str:
    return "" if found.heard.labels is None else int(found.heard.labels[row])


def _row(found: Explanation, row: int) -> str:
    """What stands beside a row of a picture."""
    told = f"row {found.heard.split.rows[row]}"
    return told if found.heard.labels is None else f"{told}\nclass {_class(found, row)}"


def _by_class(found: Explanation) -> Section | None:
    labels = found.heard.labels
    if labels is None or not found.heard.routed:
        return None
    own = [labels == c for c in found.classes]
    columns = {
        f"{number}: {i} to {j}": [float(one.gates[rows, i, j].mean()) for rows in own]
        for number, one in enumerate(found.heard.routed, 1)
        for i in range(one.gates.shape[1])
        for j in range(one.gates.shape[2])
    }  # fmt: skip
    names = [str(c) for c in found.classes]
    means = np.array(list(columns.values())).T
    rows = [(name, *(f"{v:.6g}" for v in row)) for name, row in zip(names, means, strict=True)]
    note = "2: 0 to 1 is router 2's gate from its first input, 0, to its second output, 1."
    picture = figures.by_class(means, names, list(columns))
    return Section(
        "Gates by class",
        [Note(note), Figure(picture, (), csv_of(("class", *columns), rows))],
    )


def _spread_by_class(found: Explanation) -> Section | None:
    if found.heard.labels is None or not found.extremes:
        return None
    edges = np.linspace(0, 1, _BINS + 1)
    panels = [
        _spread(found, _gate(one),
                found.heard.routed[one.router].gates[:, one.source, one.target], edges)
        for one in found.extremes
    ]  # fmt: skip
    note = (
        "What share of each class has a gate open so far: the gates that differ most from row to"
        " row. Of two gates of an input, the second is what is left of the first, and not shown."
    )
    names = _names(found)
    picture = figures.bands("gates", "How open gates are, by class", panels, names, "gate")
    figure = Figure(picture, (), _spread_numbers(panels, names))
    return Section("How open gates are", [Note(note), figure])


def _gate(one: Extreme) -> str:
    return f"{one.router + 1}: {one.source} to {one.target}"


def _looked_for(found: Explanation) -> Section | None:
    shown = [n for n, v in found.inputs.items() if figures.is_picture(v[0])]
    if not found.extremes or not shown:
        return None
    parts: list[Part] = [Note(
        "Inputs at which a gate is most open, inputs at which it is least, and one that was made to"
        " open it: from the mean of the data, along the gradient of the gate. Below each, how open"
        " the gate is. Where many rows open it alike, those shown are the first. Gates with a"
        f" standard deviation below {FLAT:g} look for nothing and are left out."
    )]  # fmt: skip
    rows = found.heard.split.rows
    for number, one in enumerate(found.extremes):
        gates = found.heard.routed[one.router].gates[:, one.source, one.target]
        title = f"Gate {_gate(one)}, of {found.heard.routed[one.router].router.title}"
        for name in shown:
            given = found.inputs[name]
            groups = [("most", given[one.top], gates[one.top]),
                      ("least", given[one.bottom], gates[one.bottom]),
                      ("made", one.made[name][None], np.array([one.reached]))]  # fmt: skip
            picture = figures.inputs_of_gate(f"gate{number}-{shown.index(name)}", groups)
            numbers = csv_of(
                ("", "row", "gate"),
                [*(("most", int(rows[r]), f"{gates[r]:.6g}") for r in one.top),
                 *(("least", int(rows[r]), f"{gates[r]:.6g}") for r in one.bottom),
                 ("made", "", f"{one.reached:.6g}")],
            )  # fmt: skip
            told = f"{title}: {name}" if len(shown) > 1 else title
            parts.append(Figure(picture, (), numbers, told))
    return Section("What gates look for", parts)


def _connections(found: Explanation) -> Section | None:
    carried = found.heard.carried
    if not carried:
        return None
    rows = [
        (number, one.connection.title, one.connection.by, "x".join(map(str, one.values.shape[1:])),
         float(np.nanmean(one.norms)), float(np.nanmean(one.shares)))
        for number, one in enumerate(carried, 1)
    ]  # fmt: skip
    head = ("", "connection", "by", "shape", "mean norm", "as a multiple of the stream's norm")
    parts: list[Part] = [Table("Connections, in the order of the pictures", head, rows)]
    if found.embeddings and found.classes:
        parts.append(_embedding(found))
    parts.append(_norms(found))
    for number, one in enumerate(carried, 1):
        if one.maps is not None:
            parts.append(Figure(
                figures.maps(f"maps{number}", one.maps,
                             [_row(found, row) for row in range(len(one.maps))]),
                (), _map_numbers(one),
                f"Connection {number}: its first channels for the first rows (of steps, the mean),"
                f" from {one.maps.min():.3g} (black) to {one.maps.max():.3g} (white).",
            ))  # fmt: skip
    return Section("What connections bring", parts)


def _embedding(found: Explanation) -> Figure:
    labels = found.heard.labels
    assert labels is not None
    signs = keys(_names(found)[:_CLASSES], MARKS)
    numbered = {one.connection.address: str(n) for n, one in enumerate(found.heard.carried, 1)}
    points = [(numbered[address], laid) for address, laid in found.embeddings.items()]
    shown = {key: found.classes[n] for n, key in enumerate(signs)}
    numbers = csv_of(
        ("connection", "row", "class", "x", "y"),
        [
            (title, int(found.heard.split.rows[row]), int(labels[row]), f"{x:.5g}", f"{y:.5g}")
            for title, laid in points
            for row, (x, y) in enumerate(laid)
        ],
    )
    picture = figures.embedding(points, labels[:EMBEDDED], shown)
    return Figure(picture, signs, numbers, "What they bring, laid out in the plane by t-SNE.")


def _norms(found: Explanation) -> Figure:
    """Over steps, or where nothing runs once a step how they are spread."""
    carried, names = found.heard.carried, _names(found)
    if not any(one.norms.shape[1] > 1 for one in carried):
        panels = [
            _spread(found, str(number), one.norms[:, 0], _edges(one.norms))
            for number, one in enumerate(carried, 1)
        ]
        picture = figures.bands("norms", "Norms of what connections bring", panels, names, "norm")
        return Figure(picture, (), _spread_numbers(panels, names), "How norms are spread.")
    signs = keys(names[:_CLASSES], DASHES)
    stepped = [
        (str(number), {
            key: _by_step(one.norms[rows])
            for key, rows in zip(signs, _rows_of(found), strict=False)
        })
        for number, one in enumerate(carried, 1)
    ]  # fmt: skip
    numbers = csv_of(
        ("connection", "class", "step", "mean norm"),
        [
            (title, key.name, step, f"{value:.6g}")
            for title, each in stepped
            for key, values in each.items()
            for step, value in enumerate(values, 1)
        ],
    )
    return Figure(figures.norms(stepped), signs, numbers, "Mean norms, step by step.")


def _by_step(norms: Array) -> Array:
    """The means over those rows that have so many steps."""
    there = ~np.isnan(norms)
    return np.asarray(np.where(there, norms, 0).sum(0) / np.maximum(1, there.sum(0)))


def _map_numbers(one: Carried) -> str:
    assert one.maps is not None
    return csv_of(
        ("row", "channel", "values"),
        [
            (row, channel, " ".join(f"{v:.3g}" for v in values.ravel()))
            for row, each in enumerate(one.maps)
            for channel, values in enumerate(each)
        ],
    )


def _weights(found: Explanation) -> Section | None:
    if not found.parallels:
        return None
    shown = found.parallels[:_WEIGHTS]
    paths = [f"[{n}]" for n in range(max(len(one.members) for one in shown))]
    signs = keys(paths, DASHES)
    panels = [Spread(str(number), one.edges, one.shares) for number, one in enumerate(shown, 1)]
    names = Table(
        "Weights, in the order of the pictures", ("", "weights", "of"),
        [(number, one.name, ", ".join(one.members)) for number, one in enumerate(shown, 1)],
    )  # fmt: skip
    note = "How the weights of parallel operations are spread, a line for each path."
    if len(found.parallels) > len(shown):
        note += f" The first {len(shown)} of {len(found.parallels)}; all are in {NUMBERS}."
    picture = figures.lines("weights", "Weights of parallel operations", panels, signs, "weight")
    figure = Figure(picture, signs, _spread_numbers(panels, paths))
    return Section("Weights of parallel operations", [Note(note), names, figure])


# ------------------------------------------------------------------------------------------ parts


def _names(found: Explanation) -> list[str]:
    """Of the classes, or of all rows."""
    return [str(c) for c in found.classes[:_BANDS]] or ["all"]


def _rows_of(found: Explanation) -> list[Array]:
    """Which rows are of each of these."""
    labels = found.heard.labels
    if labels is None:
        return [np.ones(len(found.heard.split), bool)]
    return [labels == c for c in found.classes[:_BANDS]]


def _spread(found: Explanation, title: str, values: Array, edges: Array) -> Spread:
    shares = [np.histogram(values[rows], edges)[0] / rows.sum() for rows in _rows_of(found)]
    return Spread(title, edges, np.stack(shares))


def _edges(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)


def _spread_numbers(panels: Sequence[Spread], names: Sequence[str]) -> str:
    def rows() -> Iterator[tuple[object, ...]]:
        for one in panels:
            for name, shares in zip(names, one.shares, strict=False):
                for low, high, share in zip(one.edges, one.edges[1:], shares, strict=False):
                    yield one.title, name, f"{low:.5g}", f"{high:.5g}", f"{share:.5g}"

    return csv_of(("picture", "of", "from", "to", "share"), rows())
