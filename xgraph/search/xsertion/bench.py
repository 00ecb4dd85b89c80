"""A folder of small trainings, each durable before it counts.

KEY.safetensors   the weights
KEY.json          the epochs, and a digest of what was trained; written last
KEY.checkpoint    where a training is, until it is done

A training is a function of its network, first weights, recipe and data. So a search that was
killed is run again with the results at hand, and ends with the bytes of one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.files import make_folder, read_text, write_whole
from xgraph.ir.canonical import canonical
from xgraph.recipe import write_recipe
from xgraph.train.fit import Arrays, Watch, fit
from xgraph.train.plan import Plan
from xgraph.weights import load, save

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_SAVE_EVERY = 30.0


@final
@dataclass(frozen=True)
class Trained:
    """What a training made."""

    weights: Arrays = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    seconds: float
    best_epoch: int | None


@final
@dataclass(frozen=True)
class Bench:
    """Where trainings are made and kept."""

    folder: Path
    fabric: Fabric | None = None
    watch: Watch | None = None

    def train(self, key: str, plan: Plan, weights: Arrays) -> Trained:
        """The training of `plan` from `weights`, or its result if it is at hand.

        `Stopped` if the watch asked for it, with the state saved.
        """
        make_folder(self.folder)
        digest = _digest(plan, weights)
        checkpoint = self.folder / f"{key}.checkpoint"
        done = self._done(key, digest)
        if done is None:
            start = time.monotonic()
            fitted = fit(
                plan, weights, fabric=self.fabric, watch=self.watch, checkpoint=checkpoint,
                save_every=_SAVE_EVERY,
            )  # fmt: skip
            seconds = round(time.monotonic() - start, 3)
            done = Trained(fitted.weights, fitted.history, seconds, fitted.best_epoch)
            save(self._weights(key), done.weights)
            about = {
                "digest": digest,
                "seconds": seconds,
                "best_epoch": done.best_epoch,
                "epochs": done.history,
            }
            write_whole(self._about(key), json.dumps(about, indent=2) + "\n")
        checkpoint.unlink(missing_ok=True)
        return done

    def weights(self, key: str) -> Arrays:
        """Of a training that is done."""
        return load(self._weights(key))

    def _about(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _weights(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _done(self, key: str, digest: str) -> Trained | None:
        path = self._about(key)
        if not path.exists():
            return None
        try:
            about = json.loads(read_text(path).text)
            if about["digest"] == digest:
                return Trained(
                    self.weights(key), about["epochs"], about["seconds"], about["best_epoch"]
                )
        except (ValueError, KeyError, TypeError, DiagnosticError):
            pass
        raise fail(
            "changed-result", "this is not the result of the training that would be made here",
            origin=str(path), help="take it away, and it is made anew",
        )  # fmt: skip


def _digest(plan: Plan, weights: Mapping[str, Any]) -> str:
    """Of a training, but for its rows, of which the whole search has a digest."""
    found = sha256(f"{canonical(plan.graph)}\n{write_recipe(plan.recipe)}\n".encode())
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].tobytes())
    return found.hexdigest()


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What two descriptions of a search differ in, for a person; digests are not shown."""
    found = []
    for key, new in wanted.items():
        old = stored.get(key)
        if old != new:
            short = all(len(str(value)) < 64 for value in (old, new))
            found.append(f"`{key}` ({old} there, {new} here)" if short else f"the {key}")
    return found


def described(path: Path) -> dict[str, Any] | None:
    """What a file says of a search; None if it is not there, or says nothing of one."""
    try:
        found = json.loads(read_text(path).text)
        return found if isinstance(found.get("search"), dict) else None
    except (ValueError, AttributeError, DiagnosticError):
        return None
