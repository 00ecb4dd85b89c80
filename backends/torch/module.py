"""The module that a generated source defines: the source, executed."""

from __future__ import annotations

import linecache
import sys
from collections import deque
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from xgraph.backends.torch.source import written
from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

KEPT = 256
"""How many sources stay known to tracebacks, `inspect` and TorchScript."""

_known: deque[str] = deque()


def to_module(graph: Graph, weights: Mapping[str, np.ndarray[Any, Any]] | None = None) -> nn.Module:
    """The network of a tensor-level graph, with `weights` by address or as PyTorch makes them.

    Its code is the text that `to_source` gives.
    """
    require_torch()
    source, name = written(graph)
    network: nn.Module = getattr(_executed(source), name)()
    if weights is not None:
        _load(network, weights)
    return network


def require_torch() -> None:
    """A diagnostic, should the package be missing."""
    if find_spec("torch") is None:
        raise fail(
            "missing-extra",
            "a module needs the package `torch`, and it is not installed",
            help="pip install 'xgraph[torch]'",
        )


def _executed(source: str) -> ModuleType:
    """The Python module of `source`; the same one for the same text."""
    name = f"xgraph_network_{sha256(source.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    code = compile(source, module.__file__, "exec", dont_inherit=True)
    lines = source.splitlines(keepends=True)
    linecache.cache[module.__file__] = len(source), None, lines, module.__file__
    sys.modules[name] = module
    exec(code, module.__dict__)
    _known.append(name)
    while len(_known) > KEPT:
        _forget(_known.popleft())
    return module


def _forget(name: str) -> None:
    sys.modules.pop(name, None)
    linecache.cache.pop(f"<{name}>", None)


def _load(network: nn.Module, weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Copy `weights` into the network; `DiagnosticError` unless they are its own, each once."""
    import torch

    state = network.state_dict()
    missing = [name for name in state if name not in weights]
    unknown = [name for name in weights if name not in state]
    shapes = [n for n in state if n in weights and tuple(state[n].shape) != weights[n].shape]
    for what, names in {
        "missing": missing,
        "not the network's": unknown,
        "of another shape": shapes,
    }.items():
        if names:
            raise fail(
                "weights-mismatch",
                f"{len(names)} of the weights are {what}: {', '.join(f'`{n}`' for n in names[:3])}",
                origin="weights",
            )
    network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
