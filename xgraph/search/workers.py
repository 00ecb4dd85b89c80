"""Where chunks of candidates are evaluated: here, in processes beside, or on a Ray cluster.

The result of a chunk depends on the chunk alone, so it does not matter where, nor in what order.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Protocol, TypeAlias, final

from xgraph.diagnostics import fail
from xgraph.search.candidate import Candidate, Outcome
from xgraph.search.evaluate import Evaluator, Job

Chunk: TypeAlias = "Sequence[Candidate]"
Done: TypeAlias = "Iterator[tuple[int, list[Outcome]]]"
"""The numbers of chunks and what came of them, as they are finished."""
_TRIES = 3
"""How often a chunk is given to a worker, where workers are lost."""


class Workers(Protocol):
    def run(self, chunks: Sequence[Chunk], stops: Callable[[], bool]) -> Done:
        """Once `stops`, what is being evaluated is finished, and nothing more begun."""

    def close(self) -> None: ...


@final
class Here:
    """In this process, one after the other."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def run(self, chunks: Sequence[Chunk], stops: Callable[[], bool]) -> Done:
        for number, chunk in enumerate(chunks):
            yield number, self._evaluator.run(chunk)
            if stops():
                return

    def close(self) -> None: ...


_evaluator: Evaluator | None = None
"""Of a worker process."""


def _begin(job: Job) -> None:
    global _evaluator
    _evaluator = Evaluator(job)


def _run(chunk: Chunk) -> list[Outcome]:
    assert _evaluator is not None
    return _evaluator.run(chunk)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that begin here do not hear Ctrl-C, which goes to all of a terminal: what they work
    on is to be kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@final
class Processes:
    """In processes beside this one; a chunk whose worker is lost is given to another."""

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._count = count
        self._pool = self._made()

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._count, get_context("spawn"), _begin, (self._job,))

    def run(self, chunks: Sequence[Chunk], stops: Callable[[], bool]) -> Done:
        tries = dict.fromkeys(range(len(chunks)), 0)
        running: dict[Future[list[Outcome]], int] = {}
        waiting = list(tries)
        while waiting or running:
            while waiting:
                number = waiting.pop(0)
                tries[number] += 1
                with _deaf():
                    running[self._pool.submit(_run, chunks[number])] = number
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            if stops():
                running = {f: number for f, number in running.items() if not f.cancel()}
            lost = []
            for future in ended:
                number = running.pop(future)
                try:
                    yield number, future.result()
                except BrokenProcessPool:
                    lost.append(number)
            if lost and not stops():
                lost += running.values()
                running.clear()
                self._pool.shutdown(wait=True, cancel_futures=True)
                self._pool = self._made()
                waiting = sorted(lost)
                if worst := [number for number in waiting if tries[number] >= _TRIES]:
                    raise fail(
                        "lost-workers",
                        f"the worker of candidate {worst[0] + 1} of this step ended {_TRIES} times",
                        origin="--jobs",
                        help="it may be short of memory: fewer `--jobs`, or a smaller batch",
                    )

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@final
class Ray:
    """On a Ray cluster, which also runs again what a lost node had. Its nodes read the data, the
    features and the weights at the same paths as this machine."""

    def __init__(self, job: Job, count: int, address: str | None) -> None:
        try:
            import ray
        except ImportError:
            raise fail(
                "missing-extra", "this needs the package `ray`, which is not installed",
                origin="--engine ray", help="pip install 'xgraph[ray]'",
            ) from None  # fmt: skip
        self._ray: Any = ray
        self._own = not ray.is_initialized()
        if self._own:
            processors = count if address is None else None
            try:
                ray.init(address, num_cpus=processors, log_to_driver=False, include_dashboard=False)
            except Exception as error:  # Ray's errors have no common base
                told = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise fail("no-cluster", f"Ray cannot begin: {told}",
                           origin=f"--address {address}") from None  # fmt: skip
        actor = ray.remote(max_restarts=-1, max_task_retries=_TRIES)(Evaluator)
        self._actors = [actor.remote(job) for _ in range(count)]

    def run(self, chunks: Sequence[Chunk], stops: Callable[[], bool]) -> Done:
        pool = self._ray.util.ActorPool(self._actors)
        waiting, running = deque(enumerate(chunks)), 0
        while waiting or running:
            while waiting and running < len(self._actors) and not stops():
                pool.submit(_numbered, waiting.popleft())
                running += 1
            if not running:
                return
            yield pool.get_next_unordered()
            running -= 1

    def close(self) -> None:
        if self._own:
            self._ray.shutdown()


def _numbered(actor: Any, given: tuple[int, Chunk]) -> Any:
    number, chunk = given
    return actor.run_numbered.remote(number, list(chunk))
