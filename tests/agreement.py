"""Whether two texts are one network, and whether PyTorch and ONNX Runtime give one result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.passes import lower
from xgraph.weights import initialise

TOLERANCE = 1e-4

Arrays = dict[str, NDArray[Any]]


def differences(a: Graph, b: Graph) -> list[str]:
    """In what two architecture-level graphs differ, whatever they call their values."""
    found = []
    if canonical(a) != canonical(b):
        found.append("they compute different things")
    if list(a.outputs) != list(b.outputs):
        found.append(f"outputs {list(a.outputs)} and {list(b.outputs)}")
    left, right = shapes(a), shapes(b)
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            found.append(f"parameter {name}: {left.get(name)} and {right.get(name)}")
    return found


def shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, by address."""
    return {name: param.shape for name, param in lower(graph).params()}


def random_weights(low: Graph, seed: int) -> Arrays:
    """Weights near the initial ones, of which no part is all zeros or ones: such hide errors."""
    rng = np.random.default_rng(seed)
    made: Arrays = {}
    initial = initialise(low, seed)
    for name, param in low.params():
        if param.kind == "counter":
            made[name] = np.array(seed % 9, np.int64)
            continue
        fan = max(1, int(np.prod(param.shape[1:])))
        noise = rng.standard_normal(param.shape) * (0.3 / fan**0.5)
        value = initial[name] + noise.astype(np.float32)
        made[name] = np.abs(value) + np.float32(0.3) if name.endswith("running_var") else value
    return made


def torch_outputs(module: Any, low: Graph, inputs: Arrays) -> Arrays:
    """What a module gives, by the names of the outputs."""
    import torch

    with torch.inference_mode():
        found = module(*(torch.from_numpy(inputs[name]) for name in low.inputs))
    values = found if isinstance(found, tuple) else (found,)
    return {name: value.detach().numpy() for name, value in zip(low.outputs, values, strict=True)}


def distance(a: Mapping[str, NDArray[Any]], b: Mapping[str, NDArray[Any]]) -> float:
    """The largest difference of outputs, relative to the largest number where that is over 1;
    infinite where they are not finite in the same places (a division by zero)."""
    assert a.keys() == b.keys()
    worst = 0.0
    for name, value in a.items():
        assert value.shape == b[name].shape, f"{name}: {value.shape} and {b[name].shape}"
        finite = np.isfinite(value)
        if not np.array_equal(finite, np.isfinite(b[name])):
            return np.inf
        ours, theirs = value[finite], b[name][finite]
        scale = np.max(np.abs(ours), initial=1.0)
        worst = max(worst, float(np.max(np.abs(ours - theirs), initial=0.0) / scale))
    return worst
