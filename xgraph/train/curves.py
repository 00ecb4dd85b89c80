"""The curves of a training as a picture."""

from __future__ import annotations

import io
from typing import Any


def draw(history: list[dict[str, Any]], title: str) -> bytes:
    """A PNG: losses on the left, what else the validation measured on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [record["epoch"] for record in history]
    names = [name for name in history[0] if name.startswith("val/") and name.count("/") == 1]
    others = [name for name in names if name != "val/loss"]
    panels = [("loss", ["train/loss", "val/loss"]), ("validation", others)]
    for axes, (label, lines) in zip(figure.subplots(1, 2), panels, strict=True):
        for name, style in zip(lines, ("-", "--", ":", "-."), strict=False):
            values = [record[name] for record in history]
            axes.plot(epochs, values, style, marker="." if len(epochs) < 30 else "", label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
