"""Compile photo.xg to PyTorch and to ONNX, and run both on patches of two photographs.

`make demo` runs this. The commands it prints are those that it runs; what they write is in
demo-out.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from sklearn.datasets import load_sample_images

Array: TypeAlias = "np.ndarray[Any, Any]"

ROOT = Path(__file__).parent.parent
OUT = Path("demo-out")
SIZE = 64
TOLERANCE = 1e-4


def main() -> None:
    shutil.rmtree(ROOT / OUT, ignore_errors=True)
    (ROOT / OUT).mkdir()
    xgraph("show examples/photo.xg")
    xgraph(f"compile examples/photo.xg --to torch -o {OUT}/photo.py")
    xgraph(f"compile examples/photo.xg --to onnx -o {OUT}/photo.onnx")
    photographs = load_sample_images()
    inputs = modalities(patches(photographs.images))
    np.savez(ROOT / OUT / "patches.npz", **inputs)  # type: ignore[arg-type]
    names = " and ".join(Path(name).name for name in photographs.filenames)
    print(f"\n{len(inputs['luma'])} patches of {names} are in {OUT}/patches.npz:")
    print("".join(f"  {name} {list(array.shape)}\n" for name, array in inputs.items()))
    given = f"--input {OUT}/patches.npz"
    weights = f"--backend torch --weights {OUT}/photo.safetensors"
    xgraph(f"run examples/photo.xg {weights} {given} -o {OUT}/torch.npz")
    xgraph(f"run {OUT}/photo.onnx {given} -o {OUT}/onnx.npz")
    compare()


def xgraph(arguments: str) -> None:
    """Print an xgraph command, and run it."""
    print(f"$ xgraph {arguments}", flush=True)
    command = [sys.executable, "-m", "xgraph.cli", *shlex.split(arguments)]
    if code := subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(code)


def patches(photographs: list[Array]) -> Array:
    """Squares that cover the photographs: [patches, SIZE, SIZE, RGB], from 0 to 1."""
    found = [
        photograph[y : y + SIZE, x : x + SIZE]
        for photograph in photographs
        for y in range(0, photograph.shape[0] - SIZE + 1, SIZE)
        for x in range(0, photograph.shape[1] - SIZE + 1, SIZE)
    ]
    return np.stack(found).astype(np.float32) / 255


def modalities(rgb: Array) -> dict[str, Array]:
    """Brightness at full size and colour at half of it, as JPEG has them (ITU-R BT.601)."""
    weights = np.array(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
        np.float32,
    )
    planes = np.einsum("nyxc,pc->npyx", rgb, weights)
    colour = planes[:, 1:].reshape(len(planes), 2, SIZE // 2, 2, SIZE // 2, 2)
    return {"luma": planes[:, :1], "chroma": colour.mean(axis=(3, 5))}


def compare() -> None:
    """Print how far the two backends are apart; end with 1 if it is more than rounding."""
    with np.load(ROOT / OUT / "torch.npz") as torch, np.load(ROOT / OUT / "onnx.npz") as onnx:
        ours, theirs = torch["logits"], onnx["logits"]
    difference = np.abs(ours - theirs).max() / max(1.0, np.abs(ours).max())
    print("\nlogits", list(ours.shape), "from PyTorch,", list(theirs.shape), "from ONNX Runtime")
    print(f"they differ by {difference:.1e} at most; all files are in {OUT}")
    if not difference <= TOLERANCE:
        sys.exit("that is more than rounding")


if __name__ == "__main__":
    main()
