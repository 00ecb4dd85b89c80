"""`xgraph compile -O`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import xgraph
from xgraph import driver
from xgraph.cli import main
from xgraph.runtime import Session
from xgraph.samples import sample_inputs
from xgraph.weights import initialise, load, save

NET = Path(__file__).parent.parent.parent / "examples" / "basecnn_cc.xg"


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["compile", str(NET), *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


def test_a_model(tmp_path: Path) -> None:
    """With the weights of the network as it was written."""
    low = driver.tensor_graph(xgraph.parse(NET))
    weights = initialise(low, 5)
    save(tmp_path / "w.safetensors", weights)
    told = run("--to", "onnx", "-O2", "--weights", tmp_path / "w.safetensors",
               "-o", tmp_path / "net.onnx")  # fmt: skip
    assert "join-paths: 144 nodes, now 94\n" in told
    assert "fold-concats" not in told  # which found nothing to do
    assert "PyTorch and ONNX Runtime differ by" in told
    inputs = sample_inputs(low, 3, 0)
    wanted = driver.run_module(low, weights, inputs)["logits"]
    assert np.allclose(Session(tmp_path / "net.onnx").run(inputs)["logits"], wanted, atol=1e-5)


def test_source(tmp_path: Path) -> None:
    run("--to", "torch", "-O", "2", "-o", tmp_path / "net.py")
    assert "groups=2" in (tmp_path / "net.py").read_text()
    assert "path_all.c2.unit1.conv1.weight" in load(tmp_path / "net.safetensors")


def test_a_module() -> None:
    module = xgraph.load(NET, optimize="2")
    assert "path_all.c2.unit1.conv1.weight" in module.state_dict()


def test_text(tmp_path: Path) -> None:
    run("--to", "ir", "--level", "tensor", "-O1", "-o", tmp_path / "net.ir")
    assert " bn(" not in (tmp_path / "net.ir").read_text()


def test_weights_of_the_optimised_network(tmp_path: Path) -> None:
    """Are told from those of the network as it was written, beside which they do not go."""
    written, own = tmp_path / "net.safetensors", tmp_path / "o2.safetensors"
    run("--to", "torch", "-o", tmp_path / "net.py")
    refused = ("--to", "torch", "-O2", "--weights", written, "-o", tmp_path / "net.py")
    assert "-o {}".format(tmp_path / "other.py") in run(*refused, code=1)
    run("--to", "torch", "-O2", "--weights", written, "-o", tmp_path / "o2.py")
    told = run("--to", "onnx", "--weights", own, "-o", tmp_path / "net.onnx", code=1)
    assert told.count("error[") == 1
    assert "these are weights of an optimised network" in told


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--to", "onnx", "-O", "3"),
         "error[unknown-pass]: `3` is no optimisation\n  --> -O 3\n"
         "help: a level, 0, 1, 2, or passes: tidy, simplify, fold-constants, fold-norms, "
         "fold-concats, join-paths, keep-blocks, part-pools, channels-last, in-place, "
         "chunk-batch\n\n"),
        (("--to", "onnx", "-O", "tidy,foldnorms"),
         "error[unknown-pass]: `foldnorms` is no optimisation\n  --> -O tidy,foldnorms\n"
         "help: did you mean `fold-norms`?\n\n"),
        (("--to", "ir", "-O", "2"),
         "error[bad-option]: optimisation is of the tensor level\n  --> -O 2\n"
         "help: `--level tensor` prints that\n\n"),
    ],
)  # fmt: skip
def test_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*args, code=1) == told
    assert not list(tmp_path.iterdir())
