"""Where a network first gives numbers that are not finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xgraph.ir.graph import Graph
from xgraph.ir.types import DType

Array = np.ndarray[Any, Any]


def first_not_finite(low: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array]) -> str:
    """What is said of the first weight or layer of a tensor-level graph that is not finite."""
    for address, _ in low.params():
        if address in weights and not np.isfinite(weights[address]).all():
            return f"the weights `{address}` were no longer finite"
    import torch

    from xgraph.backends.torch import to_module

    told = low.copy()
    values = [v for node in told.nodes() for v in node.outputs if v.type.dtype is DType.F32]
    told.outputs = {f"value{i}": value for i, value in enumerate(values)}
    module = to_module(told, dict(weights)).train()
    with torch.no_grad():
        found = module(*(torch.from_numpy(inputs[name]) for name in told.inputs))
    for value, given in zip(values, found if isinstance(found, tuple) else (found,), strict=True):
        if not torch.isfinite(given).all():
            return f"`{value.node.address or value.node.op.name}` was the first layer to give one"
    return "every layer is finite, and the loss itself is not"
