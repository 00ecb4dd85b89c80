"""How fast networks of the papers run, ours beside the alternatives, in one process.

    python benchmarks/inference.py [--only NAME ...] [--batches 1 8 64] [--seconds 2] [--compile]
                                   [--device cuda] [--out FOLDER]

Rows are those of `xgraph bench` (`xgraph/bench/rows.py`), run in turns; medians. `torch.compile`
takes minutes for each network and batch, so its rows are made with `--compile` alone. The last
column is the share of this machine's rate of matrix products, which is measured first.

FOLDER gets a file of figures for each network and batch, and `inference.md` and `inference.svg`
of all that are there. What is there is not measured again, so that a run can be continued.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import torch

import xgraph
from xgraph.bench.rows import EAGER, rows_of
from xgraph.bench.table import Figure, figures, peak, table
from xgraph.driver import tensor_graph
from xgraph.files import write_whole
from xgraph.weights import initialise

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "BaseCNN-2-CC": ("basecnn_cc", {"paths": 2}),
    "BaseCNN-4-CC": ("basecnn_cc", {"paths": 4}),
    "BaseCNN-2-CP": ("basecnn_cp", {"paths": 2}),
    "BaseCNN-4-CP": ("basecnn_cp", {"paths": 4}),
    "ResNet20-4-CC": ("resnet_cifar_cc", {"paths": 4}),
    "XKerasNet": ("xkerasnet", {}),
    "XFlow": ("xflow", {}),
    "MFAS": ("avmnist_mfas", {}),
}
BATCHES = (1, 8, 64, 256)
COMPILED = ("torch.compile", "torch.compile, max-autotune")
EXPORTED = ("torch.onnx.export, ONNX Runtime",)
OURS = ("xgraph, ONNX Runtime", "xgraph, CUDA graph")
COLUMNS = {
    "torch.compile, at its best": (COMPILED, "#CC79A7"),
    "exporter, ONNX Runtime": (EXPORTED, "#E69F00"),
    "xgraph, PyTorch": (("xgraph, PyTorch",), "#56B4E9"),
    "xgraph, torch.compile": ([f"xgraph, {label}" for label in COMPILED], "#009E73"),
    "xgraph, ONNX Runtime": (OURS, "#0072B2"),
}
"""Of the table and the picture: the fastest of some rows, and a colour that colour-blind people can
tell from the others (Okabe and Ito's)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each row and batch")
    parser.add_argument("--compile", action="store_true", help="with rows of torch.compile")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, help="a folder for the figures")
    given = parser.parse_args()
    most = peak(given.device)
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__},"
        f" ONNX Runtime {onnxruntime.__version__}, matrix products at {most / 1e9:.0f} GFLOP/s"
    )
    for name in given.only:
        print(f"\n{name}")
        for batch in given.batches:
            path = given.out and given.out / f"{name}-{batch}.json"
            if path and path.is_file():
                continue
            found = measured(name, batch, given)
            print(f"\n{table(found, most)}", flush=True)
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                told = {"peak": most, "figures": [figure.to_json() for figure in found]}
                write_whole(path, json.dumps(told, indent=2) + "\n")
    if given.out:
        cells = dict(kept(given.out))
        write_whole(given.out / "inference.md", summary(cells))
        write_whole(given.out / "inference.svg", picture(cells))


def measured(name: str, batch: int, given: argparse.Namespace) -> list[Figure]:
    """The figures of one network at one batch."""
    example, settings = NETWORKS[name]
    low = tensor_graph(xgraph.parse(EXAMPLES / f"{example}.xg", settings))
    rows = rows_of(given.device, slow=given.compile)
    torch.compiler.reset()
    (found,) = figures(low, initialise(low, 0), [batch], rows, given.seconds, given.device)
    return found


# ------------------------------------------------------------------------------- what was measured


class Cell:
    """The figures of one network at one batch, as they were kept."""

    def __init__(self, told: dict[str, object]) -> None:
        self.peak = told["peak"]
        self.rows = {figure["row"]: figure for figure in told["figures"] if figure["seconds"]}

    def best(self, labels: tuple[str, ...], key: str = "speed") -> float | None:
        """Of the fastest of some rows."""
        there = [self.rows[label] for label in labels if label in self.rows]
        return max(there, key=lambda figure: figure["speed"])[key] if there else None


def kept(folder: Path) -> Iterator[tuple[tuple[str, int], Cell]]:
    for name in NETWORKS:
        for path in sorted(folder.glob(f"{name}-*.json"), key=lambda p: int(p.stem.split("-")[-1])):
            yield (name, int(path.stem.split("-")[-1])), Cell(json.loads(path.read_text()))


def summary(cells: dict[tuple[str, int], Cell]) -> str:
    """A line for each network and batch, as Markdown."""
    heads = ["network", "batch", "PyTorch, as written", *COLUMNS, "of peak", "against the exporter"]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    before = ""
    for (name, batch), cell in cells.items():
        speeds = [cell.best(labels) for labels, _ in COLUMNS.values()]
        rate, ours, theirs = cell.best(OURS, "rate"), cell.best(OURS), cell.best(EXPORTED)
        row = [
            "" if name == before else name, str(batch),
            _spelt(cell.rows[EAGER]["seconds"] * 1e3),
            *("" if speed is None else f"{speed:.2f}" for speed in speeds),
            f"{rate / cell.peak:.0%}" if rate else "", f"{ours / theirs:.2f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(row)} |")
        before = name
    return "\n".join(lines) + "\n"


def _spelt(ms: float) -> str:
    return f"{ms:.3g} ms" if ms < 1000 else f"{ms:,.0f} ms"


def picture(cells: dict[tuple[str, int], Cell]) -> str:
    """Bars of how many times as fast as PyTorch, a panel for each network, as SVG."""
    import io

    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Drawing

    names = list(dict.fromkeys(name for name, _ in cells))
    drawing = Drawing(figsize=(11, 2.4 * -(-len(names) // 4) + 0.5), layout="constrained")
    FigureCanvasSVG(drawing)
    panels = drawing.subplots(-(-len(names) // 4), min(4, len(names)), squeeze=False).flat
    width = 0.8 / len(COLUMNS)
    for panel, name in zip(panels, names, strict=False):
        batches = [batch for other, batch in cells if other == name]
        for at, (label, (rows, color)) in enumerate(COLUMNS.items()):
            speeds = [cells[name, batch].best(rows) or 0 for batch in batches]
            places = [i + (at - (len(COLUMNS) - 1) / 2) * width for i in range(len(batches))]
            panel.bar(places, speeds, width, color=color, label=label)
        panel.axhline(1, color="#444444", linewidth=0.8)
        panel.set_title(name, fontsize=10)
        panel.set_xticks(range(len(batches)), [str(batch) for batch in batches])
        panel.spines[["top", "right"]].set_visible(False)
    for panel in list(panels):
        panel.set_visible(False)
    drawing.supxlabel("samples at once", fontsize=9)
    drawing.supylabel("times as fast as PyTorch", fontsize=9)
    handles, labels = drawing.axes[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "xgraph", "svg.fonttype": "path"}):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


if __name__ == "__main__":
    main()
