"""Rules of recurrent layers.

ONNX wants the gates in its own order, both directions in one tensor and both biases in another,
so the tensors `W`, `R` and `B` of such a layer are derived from its parameters; they stand under
its address. Steps come first there, as ONNX Runtime knows no other layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xgraph.backends.onnx.emitter import Array
from xgraph.backends.onnx.registry import rule
from xgraph.backends.onnx.shaping import masked
from xgraph.backends.onnx.site import Site

_INT32 = 6  # TensorProto.INT32


@rule("lstm")
def lstm(site: Site) -> str:
    def bias(w: dict[str, Array], suffix: str) -> list[Array]:
        own = w[f"bias{suffix}"]
        return [own, np.zeros_like(own)]

    return _recurrent(site, "LSTM", (0, 3, 1, 2), bias)  # i, f, g, o to i, o, f, c


@rule("gru")
def gru(site: Site) -> str:
    def bias(w: dict[str, Array], suffix: str) -> list[Array]:
        return [w[f"bias_ih{suffix}"], w[f"bias_hh{suffix}"]]

    # r, z, n to z, r, h; the reset gate acts on the recurrent product
    return _recurrent(site, "GRU", (1, 0, 2), bias, linear_before_reset=1)


def _recurrent(site: Site, operator: str, order: Sequence[int], bias: Any, **attrs: int) -> str:
    a = site.attrs
    w = site.weights()
    suffixes = ("", "_reverse") if a.bidirectional else ("",)
    tensors = {
        "W": [_gates(w[f"weight_ih{s}"], order) for s in suffixes],
        "R": [_gates(w[f"weight_hh{s}"], order) for s in suffixes],
        "B": [np.concatenate([_gates(b, order) for b in bias(w, s)]) for s in suffixes],
    }
    lengths = site.port("lengths")
    y = site.op(
        operator,
        site.op("Transpose", site.x, perm=[1, 0, 2]),
        *(site.derived(name, np.stack(parts)) for name, parts in tensors.items()),
        *([_at_least_one(site, lengths)] if lengths else []),
        hidden_size=a.units,
        direction="bidirectional" if a.bidirectional else "forward",
        skip=int(a.last),
        **attrs,
    )
    y = _last(site, y) if a.last else _every(site, y)
    return _without_padding(site, y, lengths) if lengths else y


def _gates(array: Array, order: Sequence[int]) -> Array:
    """The blocks of rows that belong to the gates, in another order."""
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[i] for i in order])


def _at_least_one(site: Site, lengths: str) -> str:
    """Runtimes differ on sequences of no steps; their results are made zero afterwards."""
    return site.op("Cast", site.op("Max", lengths, site.integer(1)), to=_INT32)


def _every(site: Site, y: str) -> str:
    """[steps, directions, batch, units] to [batch, steps, directions * units]."""
    if not site.attrs.bidirectional:
        return site.op("Transpose", site.op("Squeeze", y, site.ints([1])), perm=[1, 0, 2])
    y = site.op("Transpose", y, perm=[2, 0, 1, 3])
    return site.op("Reshape", y, site.ints([0, 0, 2 * site.attrs.units]))


def _last(site: Site, y: str) -> str:
    """[directions, batch, units] to [batch, directions * units]."""
    if not site.attrs.bidirectional:
        return site.op("Squeeze", y, site.ints([0]))
    y = site.op("Transpose", y, perm=[1, 0, 2])
    return site.op("Reshape", y, site.ints([0, 2 * site.attrs.units]))


def _without_padding(site: Site, y: str, lengths: str) -> str:
    """Zeros for what lies past a sample's length."""
    if not site.attrs.last:
        return masked(site, y, lengths, site.node.output.type, 0)
    some = site.op("Unsqueeze", site.op("Greater", lengths, site.integer(0)), site.ints([1]))
    return site.op("Where", some, y, site.number(0))
