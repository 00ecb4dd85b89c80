"""A training in a folder: what it was made of, where it is, and what came out.

RUN/net.xg                  the network, as it was trained
    recipe.yaml             the recipe, with all that was measured for it
    run.json                data, seed, versions, and whether it is finished
    checkpoint.safetensors  where it is, until it is finished
    metrics.csv             every epoch, as soon as it is done
    metrics.json            the same, and the test split
    report.html             the same to look at
    tensorboard/            the same for TensorBoard
    weights.safetensors     the result, and how its inputs are made
    model.onnx              the same, to be deployed
"""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from xgraph import __version__, driver
from xgraph.build import MADE, build_file, build_source, unbuild
from xgraph.data.check import fingerprint
from xgraph.data.source import Data, open_data
from xgraph.diagnostics import fail
from xgraph.files import make_folder, read_text, unwritable, write_whole
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.recipe import Recipe, read_recipe, write_recipe
from xgraph.recipe.model import Stage
from xgraph.source import Source
from xgraph.train.checkpoint import NAME as CHECKPOINT
from xgraph.train.evaluate import Evaluation, evaluate
from xgraph.train.fit import Fitted, Watch, fit, make_fabric
from xgraph.train.plan import Plan, plan
from xgraph.weights import INPUTS, RECIPE, Inherited, inherit, load, save

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_LIBRARIES = (
    ("torch",), ("numpy",), ("lightning-fabric",), ("torchmetrics",), ("onnx",),
    ("onnxruntime", "onnxruntime-gpu"),
)  # fmt: skip

Arrays = dict[str, np.ndarray[Any, Any]]


@final
@dataclass(frozen=True)
class Run:
    """A training and its folder."""

    folder: Path
    plan: Plan
    weights: Arrays
    """At its begin."""
    inherited: Inherited | None = None
    resumed: bool = False

    def train(
        self, fabric: Fabric | None = None, watch: Watch | None = None, *, save_every: float = 30.0
    ) -> Evaluation | None:
        """Train to the end, write the results, and measure the test split if there is one; of
        several processes the first one does, and the others give None."""
        fabric = fabric or make_fabric(self.plan.recipe.precision, "cpu")
        if fabric.global_rank != 0:
            fit(self.plan, self.weights, fabric=fabric, watch=watch, checkpoint=self.checkpoint)
            return None
        recorder = _Recorder(self.folder, watch)
        try:
            fitted = fit(
                self.plan, self.weights, fabric=fabric, watch=recorder,
                checkpoint=self.checkpoint, save_every=save_every,
            )  # fmt: skip
        finally:
            recorder.close()
        return self._finish(fitted)

    @property
    def _stages(self) -> list[Stage]:
        return self.plan.recipe.each_stage()

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def _finish(self, fitted: Fitted) -> Evaluation | None:
        from xgraph.train.report import training_page

        test = write_result(self.folder, self.plan, fitted.weights)
        metrics = {
            "epochs": fitted.history,
            "best_epoch": fitted.best_epoch,
            "stopped_early": len(fitted.history) < sum(s.epochs for s in self._stages),
            "test": test.to_json() if test else None,
        }
        _write_json(self.folder / "metrics.json", metrics)
        about = read_run(self.folder)
        texts = [read_text(self.folder / name).text for name in ("net.xg", "recipe.yaml")]
        page = training_page(self.plan.graph.name, about, metrics, *texts)
        write_whole(self.folder / "report.html", page.encode(errors="replace"))
        _write_json(self.folder / "run.json", {**about, "finished": True})
        self.checkpoint.unlink(missing_ok=True)
        return test


def write_result(folder: Path, made: Plan, weights: Arrays) -> Evaluation | None:
    """Write trained weights, which say how their inputs are made, and the model of them; measure
    the test split if there is one."""
    test = None
    if made.test is not None:
        test = evaluate(made.graph, weights, made.feed, made.test, predict=made.recipe.predict)
    path = folder / "weights.safetensors"
    save(path, weights, said_of(made.recipe))
    driver.compile(made.graph, "onnx", folder / "model.onnx", weights=path)
    return test


def start_run(
    folder: Path,
    graph: Graph,
    data: Data,
    recipe: Recipe,
    *,
    fraction: float = 1.0,
    init: Path | None = None,
    allow_leaks: bool = False,
    write: bool = True,
) -> Run:
    """A new training in `folder`, which must not hold anything yet; `init` is a weights file to
    inherit from by address and shape. Of several processes one must `write`."""
    if write:
        check_free(folder, "training")
        check_outside(folder, data)
    text = unbuild(graph)
    graph = build_source(Source("net.xg", text), limits=MADE)  # as a resumed training has it
    made = plan(graph, data, recipe, fraction=fraction, allow_leaks=allow_leaks)
    weights, inherited = _first_weights(graph, recipe.seed, init)
    if not write:
        return Run(folder, made, weights, inherited)
    about: dict[str, Any] = {
        "xgraph": __version__,
        "data": whereabouts(data),
        "rows": {
            s.name: len(s) for s in (made.train, made.val, *([made.test] if made.test else []))
        },
        "epochs": sum(stage.epochs for stage in recipe.each_stage()),
        "digest": data_digest(made),
        "fraction": fraction,
        "init": str(init) if init else None,
        "allow_leaks": allow_leaks,
        "seed": recipe.seed,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": {names[0]: _version(*names) for names in _LIBRARIES},
        "finished": False,
    }
    make_folder(folder)
    recipe_text = write_recipe(made.recipe)
    write_whole(folder / "net.xg", text)
    write_whole(folder / "recipe.yaml", recipe_text)
    about["texts"] = _texts(text, recipe_text)
    if inherited:
        save(folder / "init.safetensors", weights)
    _write_json(folder / "run.json", about)  # last: a folder that has it is whole
    return Run(folder, made, weights, inherited)


def resume_run(folder: Path) -> Run:
    """The training of a folder, to be gone on with; `DiagnosticError` if it is finished, or its
    data is not what it was."""
    about = read_begun(folder)
    texts = [read_text(folder / name).text for name in ("net.xg", "recipe.yaml")]
    if _texts(*texts) != about["texts"]:
        raise fail(
            "changed-network", "`net.xg` or `recipe.yaml` is not what this training began with",
            origin=str(folder), help="begin anew in another folder; `--init` takes weights along",
        )  # fmt: skip
    graph = build_file(folder / "net.xg", limits=MADE)
    recipe = read_recipe(folder / "recipe.yaml")
    made = plan(
        graph, open_data(about["data"]), recipe, fraction=about["fraction"],
        allow_leaks=about["allow_leaks"],
    )  # fmt: skip
    if data_digest(made) != about["digest"]:
        raise fail(
            "changed-data", "the data is not what this training began with", origin=about["data"],
            help="bring the old data back, or begin anew in another folder",
        )  # fmt: skip
    inherited = folder / "init.safetensors"
    weights = load(inherited) if inherited.exists() else None
    low = driver.tensor_graph(graph)
    return Run(folder, made, driver.initial_weights(low, weights, recipe.seed), resumed=True)


def same_network(folder: Path, graph: Graph) -> bool:
    """Whether a folder's training is of this network."""
    return canonical(build_file(folder / "net.xg", limits=MADE)) == canonical(graph)


def read_begun(folder: Path) -> dict[str, Any]:
    """What `run.json` says; `DiagnosticError` where the training is finished."""
    about = read_run(folder)
    if about["finished"]:
        raise fail(
            "finished", "this training is finished", origin=str(folder),
            help=f"its weights are `{folder / 'weights.safetensors'}`",
        )  # fmt: skip
    return about


def read_run(folder: Path) -> dict[str, Any]:
    """What `run.json` says; `DiagnosticError` where a folder holds no training."""
    path = folder / "run.json"
    if not path.exists():
        raise fail(
            "no-run", "there is no training in this folder", origin=str(folder),
            help="`xgraph train NET --data DATA -o FOLDER` begins one",
        )  # fmt: skip
    try:
        found: dict[str, Any] = json.loads(read_text(path).text)
        wanted: dict[str, Any] = {
            "data": str, "fraction": (int, float), "allow_leaks": bool, "digest": str,
            "finished": bool, "texts": str,
        }  # fmt: skip
        if not all(isinstance(found[key], kind) for key, kind in wanted.items()):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise fail("no-run", "this is no description of a training", origin=str(path)) from None
    return found


def whereabouts(data: Data) -> str:
    """Where data is found again from another folder."""
    return str(Path(data.origin).resolve()) if Path(data.origin).exists() else data.origin


def check_outside(folder: Path, data: Data) -> None:
    """A training within the folder of its data would be taken for a part of it."""
    where = Path(data.origin)
    if where.is_dir() and where.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise fail(
            "bad-output", "a training does not go into the folder of its data", origin=str(folder),
            help="choose a folder beside it",
        )  # fmt: skip


def check_free(folder: Path, what: str) -> None:
    """`DiagnosticError` where a training or a search would lie over something."""
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
    except OSError as error:
        raise unwritable(folder, error, "folder") from None
    if not folder.is_dir():
        raise fail("bad-output", f"a {what} needs a folder, and this is a file", origin=str(folder))
    command = None
    if (folder / "search.json").exists():
        command = "search"
    elif (folder / "run.json").exists() and not read_run(folder)["finished"]:
        command = "train"
    raise fail(
        "would-overwrite", "this folder is not empty", origin=str(folder),
        help=f"`xgraph {command} --resume -o {folder}` goes on with what is there"
        if command
        else "choose another folder",
    )  # fmt: skip


def _first_weights(graph: Graph, seed: int, init: Path | None) -> tuple[Arrays, Inherited | None]:
    weights = driver.initial_weights(driver.tensor_graph(graph), None, seed)
    if init is None:
        return weights, None
    found = inherit(load(init), weights)
    if not found.matched:
        raise fail(
            "nothing-inherited", "none of its weights has an address and shape of this network",
            origin=str(init),
        )  # fmt: skip
    return found.weights, found


def _texts(*texts: str) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()


def said_of(recipe: Recipe) -> dict[str, str]:
    """What weights say of the recipe that they are from: how inputs are made, and the losses."""
    said = recipe.model_dump(mode="json", include={"losses", "predict"})
    inputs = {name: given.model_dump(mode="json") for name, given in recipe.inputs.items()}
    return {
        INPUTS: json.dumps(inputs, sort_keys=True),
        RECIPE: json.dumps(said, sort_keys=True),
    }


def data_digest(made: Plan) -> str:
    """Of what data a training has: rows, columns and targets."""
    parts = [fingerprint(made.feed, split) for split in (made.train, made.val)]
    return sha256(" ".join(parts).encode()).hexdigest()


def stored_recipe(metadata: Mapping[str, str], origin: str) -> dict[str, Any] | None:
    """What weights say of how their inputs are made and what they are measured by, as parts of a
    recipe; None if they say nothing."""
    from pydantic import ValidationError

    if INPUTS not in metadata:
        return None
    try:
        told = json.loads(metadata.get(RECIPE, "{}"))
        made = Recipe.model_validate({"inputs": json.loads(metadata[INPUTS]), **told})
    except (ValueError, ValidationError, TypeError):
        raise fail(
            "bad-weights", "what it says of its inputs cannot be read", origin=origin,
            help="give the recipe instead: `--recipe`",
        ) from None  # fmt: skip
    return {"inputs": made.inputs, "losses": made.losses, "predict": made.predict}


def _version(*names: str) -> str | None:
    """Of the first of these packages that is installed."""
    for name in names:
        with suppress(PackageNotFoundError):
            return version(name)
    return None


def _write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, indent=2) + "\n")


def _table(history: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for record in history for name in record))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


@final
class _Recorder:
    """Writes what happens as a table and to TensorBoard, and tells a person's watch of it."""

    def __init__(self, folder: Path, watch: Watch | None) -> None:
        from xgraph.train.fit import Silent

        self.folder, self.watch = folder, watch or Silent()
        self._board: Any = None

    @property
    def stop(self) -> bool:
        return self.watch.stop

    def _board_at(self, step: int) -> Any:
        """The board, of which a training that goes on forgets what came behind its begin."""
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step)
        return self._board

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def epoch_begins(self, number: int, batches: int, done: int) -> None:
        self.watch.epoch_begins(number, batches, done)

    def step(self, progress: Any, loss: float | None) -> None:
        if loss is not None and progress.step % 20 == 0:
            self._board_at(progress.step).add_scalar("train/step_loss", loss, progress.step)
        self.watch.step(progress, loss)

    def epoch_ends(self, history: list[dict[str, Any]]) -> None:
        record = history[-1]
        write_whole(self.folder / "metrics.csv", _table(history))
        board = self._board_at(record["step"])
        for name, value in record.items():
            if name not in ("epoch", "stage", "step"):
                board.add_scalar(name, value, record["step"])
        board.flush()
        self.watch.epoch_ends(history)
