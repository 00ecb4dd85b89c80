"""What primitives mean, in numpy: slow, plain, and nothing that the backend uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import erf
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A numpy array; its full type would say more here than the formulas do."""
Pads = Sequence[tuple[int, int]]


def padded(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """`x` with a border around its last axes."""
    return np.pad(x, [(0, 0), (0, 0), *pads], constant_values=value)


def windows(x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """Each place of the output, and what lies under the window there."""
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    counts = [(n - s) // t + 1 for n, s, t in zip(x.shape[2:], spans, stride, strict=True)]
    for place in product(*map(range, counts)):
        part = tuple(
            slice(p * t, p * t + s, d)
            for p, t, s, d in zip(place, stride, spans, dilation, strict=True)
        )
        yield counts, place, x[(slice(None), slice(None), *part)]


def convolution(
    x: Array, w: Array, b: Array, *, stride: Any, pads: Pads, dilation: Any, groups: int = 1
) -> Array:
    out = np.zeros(0)
    share = w.shape[0] // groups
    for counts, place, cells in windows(padded(x, pads), w.shape[2:], stride, dilation):
        if not out.size:
            out = np.zeros((len(x), w.shape[0], *counts))
        for k in range(w.shape[0]):
            group = k // share
            mine = cells[:, group * w.shape[1] : (group + 1) * w.shape[1]]
            out[(slice(None), k, *place)] = (mine * w[k]).reshape(len(x), -1).sum(1) + b[k]
    return out


def transposed(
    x: Array,
    w: Array,
    b: Array,
    *,
    stride: Any,
    pads: Pads,
    dilation: Any,
    extra: Any,
    groups: int = 1,
) -> Array:
    """Every input cell stamps its kernel; then the pads are cut off."""
    kernel = w.shape[2:]
    axes = list(zip(x.shape[2:], kernel, stride, dilation, extra, strict=True))
    full = [(n - 1) * s + d * (k - 1) + 1 + e for n, k, s, d, e in axes]
    share = w.shape[1]
    out = np.zeros((len(x), share * groups, *full))
    for place in product(*map(range, x.shape[2:])):
        for tap in product(*map(range, kernel)):
            at = tuple(
                p * s + t * d for p, s, t, d in zip(place, stride, tap, dilation, strict=True)
            )
            for c in range(x.shape[1]):
                g = c // (x.shape[1] // groups)
                value = x[(slice(None), c, *place)][:, None] * w[(c, slice(None), *tap)]
                out[(slice(None), slice(g * share, (g + 1) * share), *at)] += value
    cut = tuple(slice(p[0], n - p[1]) for p, n in zip(pads, full, strict=True))
    return out[(slice(None), slice(None), *cut)] + b.reshape(1, -1, *(1 for _ in kernel))


def pooled(x: Array, how: Callable[..., Any], *, kernel: Any, stride: Any, pads: Pads) -> Array:
    """Pooling over the cells that are there; the border is not."""
    out = np.zeros(0)
    ones = [1] * len(kernel)
    for counts, place, cells in windows(padded(x, pads, np.nan), kernel, stride, ones):
        if not out.size:
            out = np.zeros((*x.shape[:2], *counts))
        out[(slice(None), slice(None), *place)] = how(cells.reshape(*x.shape[:2], -1), axis=2)
    return out


def enlarged(x: Array, factor: int, axis: int) -> Array:
    """Linear interpolation along one axis, half-pixel centres, the ends repeated."""
    size = x.shape[axis]
    at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    share = (at - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return x.take(low, axis) * (1 - share) + x.take(high, axis) * share


def gelu(x: Array) -> Array:
    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def normalised(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def lstm_steps(x: Array, w: dict[str, Array], suffix: str) -> Array:
    """The states of an LSTM over the steps of one sample."""
    units = w[f"weight_hh{suffix}"].shape[1]
    h = c = np.zeros(units)
    states = []
    for step in x:
        gates = w[f"weight_ih{suffix}"] @ step + w[f"weight_hh{suffix}"] @ h + w[f"bias{suffix}"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states).reshape(-1, units)


def gru_steps(x: Array, w: dict[str, Array], suffix: str) -> Array:
    """The states of a GRU over the steps of one sample."""
    units = w[f"weight_hh{suffix}"].shape[1]
    h = np.zeros(units)
    states = []
    for step in x:
        a = np.split(w[f"weight_ih{suffix}"] @ step + w[f"bias_ih{suffix}"], 3)
        b = np.split(w[f"weight_hh{suffix}"] @ h + w[f"bias_hh{suffix}"], 3)
        r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        h = (1 - z) * np.tanh(a[2] + r * b[2]) + z * h
        states.append(h)
    return np.array(states).reshape(-1, units)


def recurrent(
    steps: Callable[..., Array],
    x: Array,
    w: dict[str, Array],
    lengths: Array | None,
    *,
    bidirectional: bool = False,
    last: bool = False,
) -> Array:
    """All samples, each over its real steps, in one or both directions."""
    found = []
    for n, sample in enumerate(x):
        real = sample if lengths is None else sample[: lengths[n]]
        parts = [_one_way(steps(real, w, ""), len(sample), last)]
        if bidirectional:
            back = steps(real[::-1], w, "_reverse")
            parts.append(_one_way(back if last else back[::-1], len(sample), last))
        found.append(np.concatenate(parts, -1))
    return np.array(found)


def _one_way(states: Array, steps: int, last: bool) -> Array:
    whole = np.zeros((steps, states.shape[1]))
    whole[: len(states)] = states
    if last:
        return states[-1] if len(states) else whole[0]
    return whole
