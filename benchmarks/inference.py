"""How fast networks of the papers run, ours beside the alternatives, in one process.

    python benchmarks/inference.py [--only NAME ...] [--batches 1 8 64] [--seconds 2] [--compile]
                                   [--device cuda] [--out FILE.json]

Rows are those of `xgraph bench` (`xgraph/bench/rows.py`), run in turns; medians. `torch.compile`
takes minutes for each network and batch, so its rows are made with `--compile` alone. The last
column is the share of this machine's rate of matrix products, which is measured first.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import onnxruntime
import torch

import xgraph
from xgraph.bench.rows import ROWS, SLOW
from xgraph.bench.table import figures, peak, table
from xgraph.driver import tensor_graph
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64, 256])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each row and batch")
    parser.add_argument("--compile", action="store_true", help="with rows of torch.compile")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    given = parser.parse_args()
    rows = [row for row in ROWS if given.compile or row not in SLOW]
    most = peak(given.device)
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__},"
        f" ONNX Runtime {onnxruntime.__version__}, matrix products at {most / 1e9:.0f} GFLOP/s"
    )
    told = {}
    for name in given.only:
        example, settings = NETWORKS[name]
        low = tensor_graph(xgraph.parse(EXAMPLES / f"{example}.xg", settings))
        print(f"\n{name}")
        told[name] = []
        for found in figures(
            low, initialise(low, 0), given.batches, rows, given.seconds, given.device
        ):
            print(f"\n{table(found, most)}", flush=True)
            told[name] += [figure.to_json() for figure in found]
    if given.out:
        given.out.write_text(json.dumps({"peak": most, "networks": told}, indent=2))


if __name__ == "__main__":
    main()
