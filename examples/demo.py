"""Train a cross-modal network on digits and compare it with what each modality tells alone.

`make demo` runs this: two networks that see the halves of a handwritten digit, and tell each other
what they see, against one that sees a half. It ends with a table of the three on digits that none
of them was trained on, through ONNX Runtime. The commands it prints are those that it runs; what
they write is in demo-out.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

ROOT = Path(__file__).parent.parent
OUT = Path("demo-out")
RUNS = {
    "both": ("examples/digits.xg", ""),
    "upper": ("examples/digits_half.xg", "--override inputs.half.column=upper"),
    "lower": ("examples/digits_half.xg", "--override inputs.half.column=lower"),
}
"""The network of each training, and what it is told beyond the others."""
TOLERANCE = 1e-4


def main() -> None:
    shutil.rmtree(ROOT / OUT, ignore_errors=True)
    write_data()
    xgraph("show examples/digits.xg")
    for name, (network, options) in RUNS.items():
        print(f"\n{name}:")
        given = f"--epochs 12 --batch 32 --lr 0.002 --accelerator cpu {options}"
        xgraph(f"train {network} --data {OUT}/digits -o {OUT}/{name} {given}".rstrip())
    print()
    for name, (network, _) in RUNS.items():
        given = f"--weights {OUT}/{name}/weights.safetensors --data {OUT}/digits"
        xgraph(f"eval {network} {given} --backend onnx -o {OUT}/{name}/test.json", quiet=True)
    inputs = f"--input upper={OUT}/digits/test/upper.npy --input lower={OUT}/digits/test/lower.npy"
    weights = f"--weights {OUT}/both/weights.safetensors"
    xgraph(
        f"run examples/digits.xg --backend torch {weights} {inputs} -o {OUT}/torch.npz", quiet=True
    )
    xgraph(f"run {OUT}/both/model.onnx {inputs} -o {OUT}/onnx.npz", quiet=True)
    tell()


def write_data() -> None:
    """The digits of scikit-learn by halves: one folder a split, one file a column."""
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    for split, rows in {"train": order[:1297], "test": order[1297:]}.items():
        folder = ROOT / OUT / "digits" / split
        folder.mkdir(parents=True)
        np.save(folder / "upper.npy", images[rows, :, :4])
        np.save(folder / "lower.npy", images[rows, :, 4:])
        np.save(folder / "label.npy", digits.target[rows])
    print(f"{len(images)} handwritten digits of scikit-learn, cut in halves, are in {OUT}/digits")


def xgraph(arguments: str, *, quiet: bool = False) -> None:
    """Print an xgraph command, and run it."""
    print(f"$ xgraph {arguments}", flush=True)
    command = [sys.executable, "-m", "xgraph.cli", *shlex.split(arguments)]
    output = subprocess.DEVNULL if quiet else None
    if code := subprocess.run(command, cwd=ROOT, stdout=output).returncode:
        sys.exit(code)


def tell() -> None:
    """Print the table; end with 1 if the backends differ by more than rounding."""
    print("\n500 digits that were not trained on, through ONNX Runtime:\n")
    print("  half seen  accuracy  95 % interval")
    for name in RUNS:
        found = json.loads((ROOT / OUT / name / "test.json").read_text())
        low, high = found["accuracy_interval_95"]
        print(f"  {name:<9}  {found['metrics']['accuracy']:8.1%}  {low:.1%} to {high:.1%}")
    with np.load(ROOT / OUT / "torch.npz") as torch, np.load(ROOT / OUT / "onnx.npz") as onnx:
        ours, theirs = torch["logits"], onnx["logits"]
    difference = np.abs(ours - theirs).max()
    print(f"\nthe logits of PyTorch and ONNX Runtime differ by {difference:.1e} at most;")
    print(f"weights, models, metrics and curves of the three trainings are in {OUT}")
    if not difference <= TOLERANCE:
        sys.exit("that is more than rounding")


if __name__ == "__main__":
    main()
