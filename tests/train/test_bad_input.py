"""What a user sees of every mistake: the whole text of the command."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sets import DIGITS, digits, folder

from xgraph import files
from xgraph.cli import main
from xgraph.weights import load, save

Columns = dict[str, Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network and digits, to run commands in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.xg").write_text(DIGITS)
    images, labels = digits(120)
    folder(
        tmp_path / "digits",
        train={"image": images[:80], "label": labels[:80]},
        test={"image": images[80:], "label": labels[80:]},
    )
    return tmp_path


def xgraph(*arguments: str) -> tuple[int, str]:
    """The exit code of a command, and all that it prints."""
    found = CliRunner().invoke(main, list(arguments))
    assert found.exception is None or isinstance(found.exception, SystemExit)
    return found.exit_code, found.output


def train(*arguments: str) -> str:
    """What `xgraph train` prints of a mistake; nothing is written."""
    code, text = xgraph("train", "net.xg", "--data", "digits", "-o", "run", *arguments)
    assert code == 1, text
    assert not Path("run").exists()
    return text


def spoil(split: str, column: str, change: Callable[[Any], Any]) -> None:
    path = Path("digits") / split / f"{column}.npy"
    np.save(path, change(np.load(path)))


def with_entry(index: int, value: Any) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array[index] = value
        return array

    return change


DATA: list[tuple[str, str, Callable[[Any], Any], str]] = [
    (
        "test", "image", lambda x: x[:, :, :6],
        """\
error[shape-mismatch]: the modality `image` takes [1, 8, 8], and rows of `test` are [1, 6, 8]
  --> digits/test: image
help: change the modality in the network, or the data: `modality image: [1, 6, 8]`
""",
    ),
    (
        "train", "image", lambda x: x[:, 0],
        """\
error[shape-mismatch]: the modality `image` takes [1, 8, 8], and rows of `train` are [8, 8]
  --> digits/train: image
help: as many numbers: `inputs: {image: [{reshape: [1, 8, 8]}]}` in the recipe
""",
    ),
    (
        "train", "label", lambda y: y.astype(float) + 0.5,
        """\
error[bad-target]: `mse` of `logits` [10] takes targets of shape [10], and `label` has []
  --> digits/train: label
""",
    ),
    (
        "train", "label", lambda y: y + 1,
        """\
error[bad-label]: row 9 of `label` in `train` is 10, and `logits` takes from 0 to 9
  --> digits/train: label
help: count classes from 0, or give `logits` 11 numbers
""",
    ),
    (
        "test", "label", with_entry(3, -1),
        """\
error[bad-label]: row 3 of `label` in `test` is -1, and `logits` takes from 0 to 9
  --> digits/test: label
help: `logits` has one number for each class, counted from 0
""",
    ),
    (
        "train", "label", lambda y: y * 0 + 3,
        """\
error[one-class]: all rows of `train` are of one class, 3: there is nothing to learn
  --> digits/train: label
""",
    ),
    (
        "test", "image", lambda x: x[:0],
        """\
error[uneven-columns]: the columns of `test` differ in their rows: `image` has 0, `label` has 40
  --> digits/test
help: each row of a split is one example
""",
    ),
    (
        "test", "image", with_entry(7, np.nan),
        """\
error[not-finite]: row 7 of `image` in `test` holds nan
  --> digits/test: image
help: mend or leave out such rows
""",
    ),
    (
        "test", "image", with_entry(7, -np.inf),
        """\
error[not-finite]: row 7 of `image` in `test` holds -inf
  --> digits/test: image
help: mend or leave out such rows
""",
    ),
    (
        "test", "image", with_entry(5, digits(10)[0][2]),
        """\
error[split-leak]: 1 of 40 rows of `test` is in `train` too: the first, row 5, is row 2 of `train`
  --> digits/test
help: leave them out of one, or take them as they are: `--allow-leaks`
""",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("split", "column", "change", "told"), DATA)
def test_data(here: Path, split: str, column: str, change: Callable[[Any], Any], told: str) -> None:
    spoil(split, column, change)
    # The validation set is a part of the training set: which part shared the row follows the seed.
    assert train().replace("`val` too", "`train` too") == told + "\n"


def test_an_empty_split(here: Path) -> None:
    for column in ("image", "label"):
        spoil("test", column, lambda x: x[:0])
    assert train() == "error[empty-split]: `test` has no rows\n  --> digits/test\n\n"


def test_a_leak_can_be_allowed(here: Path) -> None:
    spoil("test", "image", with_entry(5, digits(10)[0][2]))
    arguments = ("--allow-leaks", "--epochs", "1", "-o", "run", "--accelerator", "cpu")
    code, text = xgraph("train", "net.xg", "--data", "digits", *arguments)
    assert code == 0, text


def test_no_column(here: Path) -> None:
    (here / "digits" / "train" / "image.npy").rename(here / "digits" / "train" / "images.npy")
    assert (
        train()
        == """\
error[missing-column]: the data has no column `image`, which the modality `image` of `digits` needs
  --> digits/train
help: did you mean `images`?; a recipe can name another: `inputs: {image: {column: ...}}`

"""
    )


def test_no_training_split(here: Path) -> None:
    (here / "digits" / "train").rename(here / "digits" / "val")
    assert (
        train()
        == """\
error[missing-split]: the data has no split `train`
  --> digits
help: it has `test`, `val`

"""
    )


def test_no_data(here: Path) -> None:
    code, text = xgraph("train", "net.xg", "--data", "digit", "-o", "run")
    assert code == 1
    assert (
        text
        == """\
error[missing-data]: there is no such data
  --> digit
help: did you mean `digits`?

"""
    )


RECIPES = [
    (
        "epochs: 3\nlearning_rate: 1\n",
        """\
error[unknown-key]: there is no key `learning_rate` here
 --> r.yaml:2:1
  |
2 | learning_rate: 1
  | ^^^^^^^^^^^^^
help: keys are `batch`, `clip`, `epochs`, `freeze`, `groups`, `inputs`, `keep`, `losses`, \
`monitor`, `optimizer`, `precision`, `predict`, `schedule`, `seed`, `stages`, `stop`, \
`train`, `validation`
""",
    ),
    (
        "epochs: -3\n",
        """\
error[bad-value]: `epochs` must be at least 1, not -3
 --> r.yaml:1:9
  |
1 | epochs: -3
  |         ^^
""",
    ),
    (
        "freeze: [net.c3]\n",
        """\
error[unknown-weights]: `net.c3` means no weights of `digits`
  --> recipe: freeze
help: did you mean `net.c2`?
""",
    ),
    (
        "freeze: [net]\n",
        """\
error[nothing-to-train]: the recipe freezes every weight, so there is nothing to train
  --> recipe
""",
    ),
    (
        "losses: {logit: cross-entropy}\n",
        """\
error[unknown-output]: the network has no output `logit`
  --> recipe: losses.logit
help: did you mean `logits`?
""",
    ),
    (
        "losses: {logits: {kind: cross-entropy, target: digit}}\n",
        """\
error[missing-column]: the data has no column `digit` to hold the output `logits` against
  --> digits/train
help: `train` has `image`, `label`; name one: `target: ...`
""",
    ),
    (
        "inputs: {image: [yuv]}\n",
        """\
error[shape-mismatch]: `image` cannot be made of `image` of `train`: `yuv` takes three planes, and \
these are [1, 8, 8]
  --> digits/train: image

error[shape-mismatch]: `image` cannot be made of `image` of `test`: `yuv` takes three planes, and \
these are [1, 8, 8]
  --> digits/test: image
""",
    ),
    (
        "predict: [logit]\n",
        """\
error[unknown-output]: `predict` names `logit`, and nothing that is trained is called so
  --> recipe: predict
help: did you mean `logits`?
""",
    ),
    (
        "monitor: f2\n",
        """\
error[bad-value]: `f2` is not one of `auto`, `accuracy`, `f1` or `loss`
 --> r.yaml:1:10
  |
1 | monitor: f2
  |          ^^
""",
    ),
]


@pytest.mark.parametrize(("text", "told"), RECIPES)
def test_recipes(here: Path, text: str, told: str) -> None:
    (here / "r.yaml").write_text(text)
    assert train("--recipe", "r.yaml") == told + "\n"


def test_logits_are_wanted(here: Path) -> None:
    (here / "net.xg").write_text(DIGITS.replace("linear(10)", "linear(10) -> softmax"))
    assert (
        train()
        == """\
error[not-logits]: `cross-entropy` takes logits, and `logits` comes out of `softmax`
 --> net.xg:9:44
  |
9 |   dropout(0.2) -> flatten -> linear(10) -> softmax
  |                                            ^^^^^^^
help: take the last `softmax` away: the loss has it inside

"""
    )


# ------------------------------------------------------------------------------ folders and weights


def trained(out: str = "run") -> None:
    arguments = ("--epochs", "1", "-o", out, "--accelerator", "cpu")
    code, text = xgraph("train", "net.xg", "--data", "digits", *arguments)
    assert code == 0, text


def test_a_folder_that_is_not_empty(here: Path) -> None:
    trained()
    before = {path: path.read_bytes() for path in (here / "run").iterdir() if path.is_file()}
    code, text = xgraph("train", "net.xg", "--data", "digits", "-o", "run")
    assert code == 1
    assert (
        text
        == """\
error[would-overwrite]: this folder is not empty
  --> run
help: choose another folder

"""
    )
    code, text = xgraph("train", "--resume", "-o", "run")
    assert (
        text
        == """\
error[finished]: this training is finished
  --> run
help: its weights are `run/weights.safetensors`

"""
    )
    after = {path: path.read_bytes() for path in (here / "run").iterdir() if path.is_file()}
    assert before == after


def test_nothing_to_resume(here: Path) -> None:
    code, text = xgraph("train", "--resume", "-o", "run")
    assert code == 1
    assert (
        text
        == """\
error[no-run]: there is no training in this folder
  --> run
help: `xgraph train NET --data DATA -o FOLDER` begins one

"""
    )


def test_data_that_changed_since(here: Path) -> None:
    trained()
    about = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**about, "finished": False}))
    spoil("train", "label", lambda y: y[::-1])
    code, text = xgraph("train", "--resume", "-o", "run")
    assert code == 1
    assert "error[changed-data]: the data is not what this training began with" in text


def test_weights_that_do_not_fit(here: Path) -> None:
    trained()
    weights = load("run/weights.safetensors")
    weights["net.c1.conv1.weight"] = weights["net.c1.conv1.weight"][:4]
    save("other.safetensors", weights)
    code, text = xgraph("eval", "net.xg", "--weights", "other.safetensors", "--data", "digits")
    assert code == 1
    assert (
        text
        == """\
error[misshapen-weight]: its shape is [4, 1, 3, 3], and the network needs [8, 1, 3, 3]
  --> other.safetensors: net.c1.conv1.weight

"""
    )
    save("foreign.safetensors", {"a.weight": np.zeros((2, 2), np.float32)})
    code, text = xgraph(
        "train", "net.xg", "--data", "digits", "-o", "next", "--init", "foreign.safetensors"
    )
    assert code == 1
    assert (
        text
        == """\
error[nothing-inherited]: none of its weights has an address and shape of this network
  --> foreign.safetensors

"""
    )


def test_a_cut_checkpoint_is_not_taken_for_whole(here: Path) -> None:
    trained()
    about = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**about, "finished": False}))
    whole = Path("run/weights.safetensors").read_bytes()
    for data in (whole[:-5], whole, b"", b"{}"):
        Path("run/checkpoint.safetensors").write_bytes(data)
        code, text = xgraph("train", "--resume", "-o", "run")
        assert code == 1
        assert "checkpoint.safetensors" in text


def test_a_full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(target: str, content: bytes, mode: int | None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_replace", full)
    code, text = xgraph("train", "net.xg", "--data", "digits", "-o", "run")
    assert code == 1
    assert (
        text
        == """\
error[cannot-write]: this file cannot be written: no space left on device
  --> run/net.xg
help: the disk is full: free some space, or choose another place

"""
    )


def test_no_loss_that_is_finite(here: Path) -> None:
    arguments = ("--override", "optimizer={name: sgd, lr: 1e30}", "--batch", "16")
    code, text = xgraph("train", "net.xg", "--data", "digits", "-o", "run", *arguments)
    assert code == 1
    assert "error[diverged]: the loss is nan at step 2: the weights `net.c1." in text
    assert "help: a lower `lr`, or `clip: 1`, keeps it finite" in text


def test_what_evaluation_refuses(here: Path) -> None:
    trained()
    weights = ("--weights", "run/weights.safetensors")
    code, text = xgraph("eval", "net.xg", *weights, "--data", "digits", "--split", "val")
    assert code == 1
    assert "error[missing-split]: the data has no split `val`" in text
    out = ("-o", "run/weights.safetensors")
    code, text = xgraph("eval", "net.xg", *weights, "--data", "digits", *out)
    assert code == 1
    assert "error[would-overwrite]" in text


def test_usage() -> None:
    assert xgraph("train", "-o", "run")[0] == 2
    assert xgraph("train", "net.xg", "-o", "run", "--resume", "--lr", "1")[0] == 2
    for option in (("--seed", "0"), ("--fraction", "0.5"), ("--set", "a=1"), ("--allow-leaks",)):
        code, text = xgraph("train", "-o", "run", "--resume", *option)
        assert (code, option[0] in text) == (2, True), text
    assert xgraph("recipes", "mulitpath")[0] == 1
