"""What a person sees of a training as it goes on, and how Ctrl-C ends it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

import click

if TYPE_CHECKING:
    from xgraph.train.checkpoint import Progress

INTERRUPTED = 130
"""The exit code after Ctrl-C, as of other programs."""


@contextmanager
def watching(epochs: int | None, silent: bool, lines: bool = True) -> Iterator[Bar]:
    """A watch that Ctrl-C asks to stop after the step; a second Ctrl-C ends at once."""
    watch = Bar(epochs, silent, lines)
    before = None
    if threading.current_thread() is threading.main_thread():

        def asked(number: int, frame: object) -> None:
            if watch.stop:
                raise KeyboardInterrupt
            watch.stop = True
            if not silent:
                click.echo("\nfinishing this step, to save it", err=True)

        before = signal.signal(signal.SIGINT, asked)
    try:
        yield watch
    finally:
        watch.close()
        if before is not None:
            signal.signal(signal.SIGINT, before)


@final
class Bar:
    """A progress bar on a terminal, and one line an epoch anywhere, unless `lines` are unwanted;
    `about` says what is trained."""

    def __init__(self, epochs: int | None, silent: bool, lines: bool = True) -> None:
        self.stop = False
        self.about = ""
        self._silent = silent
        self._lines = lines and not silent
        self._of = "" if epochs is None else f"/{epochs}"
        self._bar: Any = None
        self._began = time.monotonic()

    def epoch_begins(self, number: int, batches: int, done: int) -> None:
        from tqdm import tqdm

        self.close()
        self._bar = tqdm(
            total=batches, initial=done, desc=f"{self.about}epoch {number + 1}{self._of}",
            unit="step", leave=False, disable=self._silent or not sys.stderr.isatty(),
        )  # fmt: skip

    def step(self, progress: Progress, loss: float | None) -> None:
        if self._bar is not None:
            self._bar.update(progress.batch + 1 - self._bar.n)
            if loss is not None:
                self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)

    def epoch_ends(self, history: list[dict[str, Any]]) -> None:
        self.close()
        record = history[-1]
        told = [f"{name} {value:.4f}" for name, value in record.items() if _is_short(name)]
        done = record["epoch"]
        seconds = time.monotonic() - self._began
        if self._lines:
            click.echo(f"epoch {done}{self._of}  {'  '.join(told)}  ({seconds:.0f} s)")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _is_short(name: str) -> bool:
    """Whether it is a loss or a metric of the prediction, not of another output."""
    return name == "train/loss" or (name.startswith("val/") and name.count("/") == 1)
