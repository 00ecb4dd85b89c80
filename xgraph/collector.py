"""Python's garbage collector, paused while graphs are made.

Making a graph leaves hundreds of thousands of small objects that all stay. The collector would
walk them again and again, and time would grow faster than the graph.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection within, unless it was off before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
