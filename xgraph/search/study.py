"""The trials of a search, in an Optuna study over a journal: a file that is only added to.

A trial is one line, written when all of it is there; so a finished evaluation counts if its line is
whole. `optuna-dashboard RUN/journal.log` shows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

from xgraph.diagnostics import fail
from xgraph.files import unwritable
from xgraph.space import Space
from xgraph.space.space import Sample

NAME = "journal.log"
_STUDY = "search"
OBJECTIVES = ("score", "params", "macs", "latency")


@final
@dataclass(frozen=True)
class Trial:
    """One evaluation, as it is kept."""

    number: int
    phase: str
    """`search`, or the baseline that it belongs to."""
    encoding: str
    """In the space; of a baseline that is none of it, its name."""
    key: str
    """What is equal for what is evaluated once."""
    seed: int
    """Of its training."""
    score: float | None
    metrics: dict[str, float]
    params: int
    macs: int
    seconds: float
    together: int
    error: str | None = None
    same_as: int | None = None
    """The trial whose result this is, where both are one network."""
    latency: float | None = None
    """Seconds of a batch of one, on this machine."""
    notes: dict[str, Any] = field(default_factory=dict)
    search_seed: int = 0
    """Of the search that it is of: one that is repeated has several."""

    @property
    def stem(self) -> str:
        """The name of its files: RUN/trials/00012.xg and .safetensors."""
        return f"{self.number if self.same_as is None else self.same_as:05}"


@final
class Study:
    """The trials of a folder, and new ones."""

    def __init__(self, folder: Path, space: Space) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._path = folder / NAME
        self._space = space
        _mend(self._path)
        try:
            storage = JournalStorage(JournalFileBackend(str(self._path)))
            if storage.get_all_studies():
                self._study = optuna.load_study(study_name=_STUDY, storage=storage)
            else:
                self._study = optuna.create_study(
                    study_name=_STUDY, storage=storage, direction="maximize"
                )
            kept = self._study.get_trials(deepcopy=False)
            self.trials = [Trial(**each.user_attrs) for each in kept]
        except OSError as error:
            raise unwritable(self._path, error) from None
        except (KeyError, TypeError, ValueError, json.JSONDecodeError):
            raise fail(
                "bad-study", "this is no journal of a search", origin=str(self._path),
                help="begin anew in another folder",
            ) from None  # fmt: skip

    def add(self, trial: Trial, sample: Sample | None) -> None:
        """Keep a trial whose files are written."""
        state = self._optuna.trial.TrialState
        picked = self._picked(sample) if sample is not None else {}
        made = self._optuna.trial.create_trial(
            params={name: value for name, (value, _) in picked.items()},
            distributions={name: kind for name, (_, kind) in picked.items()},
            values=None if trial.score is None else [trial.score],
            state=state.FAIL if trial.score is None else state.COMPLETE,
            user_attrs=asdict(trial),
        )
        try:
            self._study.add_trial(made)
        except OSError as error:
            raise unwritable(self._path, error) from None
        self.trials.append(trial)

    def _picked(self, sample: Sample) -> Mapping[str, tuple[int, Any]]:
        """The numbers of an encoding as Optuna has them."""
        found: dict[str, tuple[int, Any]] = {}
        region = self._space.region
        for name, part, pick in zip(region.names, region.parts, sample.pick, strict=True):
            for index, number in enumerate(part.vector(pick)):
                kind = self._optuna.distributions.IntDistribution(0, max(number, _MOST))
                found[f"{name}.{index}" if part.width > 1 else name] = number, kind
        return found


_MOST = 1000
"""Optuna wants bounds; those of a decision are told by the space."""


def _mend(path: Path) -> None:
    """Take away a line that was not written to its end."""
    if not path.exists():
        return
    try:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with path.open("r+b") as file:
                file.truncate(len(whole))
    except OSError as error:
        raise unwritable(path, error) from None
