"""Initial weights, from the declared initialisers and a seed.

Each parameter draws from a stream of its own: a Philox generator whose key is the SHA-256 of the
seed and the parameter's address. So what is added to a network elsewhere changes nothing here,
and the numbers are those that numpy promises for Philox on every platform (`orthogonal` goes
through LAPACK, whose last bits may differ).

With fan-in and fan-out of a shape `[out, in, *window]` as `in * window` and `out * window`
(a vector's are its size; an op may state others):

    glorot_uniform   U(-l, l), l = sqrt(6 / (fan_in + fan_out))       Glorot and Bengio, 2010
    glorot_normal    N(0, s), s = sqrt(2 / (fan_in + fan_out))
    he_uniform       U(-l, l), l = sqrt(6 / fan_in)                   He et al., 2015
    he_normal        N(0, s), s = sqrt(2 / fan_in)
    lecun_uniform    U(-l, l), l = sqrt(3 / fan_in)                   LeCun et al., 1998
    lecun_normal     N(0, s), s = sqrt(1 / fan_in)
    orthogonal       of the shape [out, rest]: Q of a normal          Saxe et al., 2014
                     matrix's QR, signs such that R's diagonal is positive
    uniform(a, b)    U(a, b)
    normal(s)        N(0, s)
    zeros, ones, constant(c)
    diagonal(a, b)   a where the first two indices are equal, else b
    forget_gate      1 in the second quarter of axis 0, else 0

The normal ones are those of PyTorch: not truncated, as Keras's are.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from math import prod, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph, Node
from xgraph.ir.op import Param

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = dict[str, Array]
_Shape: TypeAlias = tuple[int, ...]
_Fans: TypeAlias = tuple[int, int]


def initialise(graph: Graph, seed: int = 0) -> Weights:
    """A value for every parameter, statistic and counter of a tensor-level graph, by address."""
    if graph.level != "tensor":
        raise ValueError("only a tensor-level graph has all its parameters; `lower` it first")
    made = {}
    for node in graph.nodes():
        for param in node.params:
            name = f"{node.address}.{param.name}"
            made[name] = _counter() if param.kind == "counter" else _draw(node, name, param, seed)
    return made


def _counter() -> Array:
    return np.zeros((), np.int64)


def _draw(node: Node, name: str, param: Param, seed: int) -> Array:
    make = _INITIALISERS[param.init.name]
    if len(param.shape) < (axes := _LEAST_AXES.get(param.init.name, 0)):
        raise fail(
            "bad-attribute",
            f"`{param.init}` needs a shape of {axes} axes, and `{name}` has {list(param.shape)}",
            span=node.span,
        )
    with np.errstate(over="ignore"):
        fans = param.fans or _fans(param.shape)
        value = make(_stream(seed, name), param.shape, fans, *param.init.args).astype(np.float32)
    if not np.isfinite(value).all():
        raise fail(
            "bad-attribute",
            f"`{param.init}` gives `{name}` numbers that f32 cannot hold",
            span=node.span,
        )
    return value


_LEAST_AXES = {"diagonal": 2, "orthogonal": 2, "forget_gate": 1}


def _stream(seed: int, name: str) -> np.random.Generator:
    digest = sha256(f"{seed} {name}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def _fans(shape: _Shape) -> _Fans:
    """Fan-in and fan-out of a shape `[out, in, *window]`."""
    if len(shape) < 2:
        size = prod(shape)
        return size, size
    window = prod(shape[2:])
    return shape[1] * window, shape[0] * window


_Make: TypeAlias = Callable[..., Array]
"""From a generator, a shape, fans and the initialiser's own numbers."""


def _scaled(gain: float, average: bool, normal: bool) -> _Make:
    """Variance `gain` over the fan-in, or over the mean of both fans."""

    def make(rng: np.random.Generator, shape: _Shape, fans: _Fans) -> Array:
        fan = sum(fans) / 2 if average else fans[0]
        if normal:
            return rng.standard_normal(shape) * sqrt(gain / fan)
        limit = sqrt(3 * gain / fan)
        return _uniform(rng, shape, fans, -limit, limit)

    return make


def _uniform(rng: np.random.Generator, shape: _Shape, fans: _Fans, a: float, b: float) -> Array:
    return a + (b - a) * rng.random(shape)


def _normal(rng: np.random.Generator, shape: _Shape, fans: _Fans, std: float) -> Array:
    return std * rng.standard_normal(shape)


def _constant(rng: np.random.Generator, shape: _Shape, fans: _Fans, value: float) -> Array:
    return np.full(shape, value)


def _diagonal(rng: np.random.Generator, shape: _Shape, fans: _Fans, a: float, b: float) -> Array:
    out = np.full(shape, b)
    both = np.arange(min(shape[:2]))
    out[both, both] = a
    return out


def _forget_gate(rng: np.random.Generator, shape: _Shape, fans: _Fans) -> Array:
    out = np.zeros(shape)
    quarter = shape[0] // 4
    out[quarter : 2 * quarter] = 1
    return out


def _orthogonal(rng: np.random.Generator, shape: _Shape, fans: _Fans) -> Array:
    rows = shape[0]
    columns = prod(shape[1:])
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).reshape(shape)


_INITIALISERS: dict[str, _Make] = {
    "zeros": lambda rng, shape, fans: np.zeros(shape),
    "ones": lambda rng, shape, fans: np.ones(shape),
    "constant": _constant,
    "uniform": _uniform,
    "normal": _normal,
    "glorot_uniform": _scaled(1, average=True, normal=False),
    "glorot_normal": _scaled(1, average=True, normal=True),
    "he_uniform": _scaled(2, average=False, normal=False),
    "he_normal": _scaled(2, average=False, normal=True),
    "lecun_uniform": _scaled(1, average=False, normal=False),
    "lecun_normal": _scaled(1, average=False, normal=True),
    "orthogonal": _orthogonal,
    "diagonal": _diagonal,
    "forget_gate": _forget_gate,
}
