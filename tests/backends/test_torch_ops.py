"""Every primitive against its meaning in numpy, run as it is and as TorchScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pytest
import torch
import torch_reference as ref
from torch_reference import Array
from torch_support import Net, check, weights_of

from xgraph.backends.torch import RULES, UNSUPPORTED, to_module
from xgraph.ir.attrs import Init
from xgraph.ir.graph import Value
from xgraph.ir.types import Axis, Dim, symbol
from xgraph.ops import OPS

T, S = symbol("T"), symbol("S")
PRIMITIVES = [name for name, spec in OPS.items() if not spec.is_composite]
Weights = dict[str, Array]


@final
@dataclass(frozen=True)
class Case:
    """A node on inputs of these shapes, and what it should give."""

    op: str
    shapes: Sequence[tuple[Dim, ...]]
    want: Callable[..., Array]
    """Of the weights by name and the inputs."""
    attrs: dict[str, Any] = field(default_factory=dict)
    lengths: bool = False
    """Whether the op takes lengths besides."""

    def __str__(self) -> str:
        attrs = ",".join(f"{k}={v}" for k, v in self.attrs.items() if k not in ("init",))
        shapes = "x".join(f"{len(shape)}d" for shape in self.shapes)
        return f"{self.op}-{shapes}-{attrs}" + ("-lengths" if self.lengths else "")


def on(features: tuple[Dim, ...], op: str, want: Callable[..., Array], /, **attrs: Any) -> Case:
    """A case of one input, whose meaning needs no weights."""
    return Case(op, [features], lambda w, x: want(x), attrs)


# ------------------------------------------------------------------------- layers with weights


def conv_case(shape: tuple[int, ...], pads: Any, **attrs: Any) -> Case:
    axes = len(shape) - 1

    def want(w: Weights, x: Array) -> Array:
        bias = w.get("bias", np.zeros(attrs["filters"]))
        stride, dilation = (each(attrs.get(k, 1), axes) for k in ("stride", "dilation"))
        groups = attrs.get("groups", 1)
        return ref.convolution(
            x, w["weight"], bias, stride=stride, pads=pads, dilation=dilation, groups=groups
        )

    return Case("conv", [shape], want, attrs)


def deconv_case(shape: tuple[int, ...], pads: Any, **attrs: Any) -> Case:
    axes = len(shape) - 1

    def want(w: Weights, x: Array) -> Array:
        keys = ("stride", "dilation", "output_pad")
        stride, dilation, extra = (each(attrs.get(k, k != "output_pad"), axes) for k in keys)
        return ref.transposed(
            x, w["weight"], w.get("bias", np.zeros(attrs["filters"])), stride=stride, pads=pads,
            dilation=dilation, extra=extra, groups=attrs.get("groups", 1),
        )  # fmt: skip

    return Case("deconv", [shape], want, attrs)


def each(value: Any, axes: int) -> list[int]:
    return [int(v) for v in value] if isinstance(value, list) else [int(value)] * axes


def convolutions() -> Iterator[Case]:
    yield conv_case((3, 9), [(1, 1)], filters=4, kernel=3)
    yield conv_case((3, 9), [(1, 2)], filters=4, kernel=4, stride=2)
    yield conv_case((4, 7, 6), [(1, 1), (2, 2)], filters=6, kernel=[3, 5], bias=False)
    yield conv_case((4, 7, 6), [(0, 0)] * 2, filters=6, kernel=3, pad="valid", groups=2)
    yield conv_case((4, 7, 6), [(1, 2), (0, 1)], filters=2, kernel=[4, 2], stride=[1, 2])
    yield conv_case((2, 8, 8), [(0, 2), (1, 0)], filters=2, kernel=3, pad=[[0, 2], [1, 0]])
    yield conv_case((2, 9, 9), [(2, 2)] * 2, filters=3, kernel=3, dilation=2)
    yield conv_case((2, 9, 9), [(1, 2)] * 2, filters=3, kernel=2, dilation=3)
    yield conv_case((2, 4, 5, 3), [(1, 1)] * 3, filters=2, kernel=3, stride=[2, 1, 1])
    yield conv_case((4, 5, 5), [(3, 3)] * 2, filters=4, kernel=1, pad=3, groups=4)
    yield deconv_case((2, 5), [(0, 0)], filters=3, kernel=4, pad="valid", stride=2)
    yield deconv_case((2, 5), [(1, 2)], filters=3, kernel=4, stride=3, output_pad=2)
    yield deconv_case((4, 4, 5), [(1, 1)] * 2, filters=6, kernel=3, stride=2, groups=2)
    yield deconv_case((2, 4, 5), [(1, 0), (0, 2)], filters=2, kernel=3, pad=[[1, 0], [0, 2]])
    yield deconv_case((2, 5, 5), [(2, 2)] * 2, filters=2, kernel=3, dilation=2, bias=False)
    yield deconv_case((2, 3, 2, 3), [(0, 1)] * 3, filters=2, kernel=2, stride=2, output_pad=1)


def dense() -> Iterator[Case]:
    yield Case("linear", [(6,)], lambda w, x: x @ w["weight"].T + w["bias"], {"units": 4})
    yield Case("linear", [(T, 6)], lambda w, x: x @ w["weight"].T, {"units": 2, "bias": False})
    slopes = {"shared": (-1, 1, 1), "channel": (-1, 1, 1), "element": (3, 4, 5)}
    for per, shape in slopes.items():
        yield prelu((3, 4, 5), per, shape)
    yield prelu((7,), "element", (7,))
    yield prelu((7,), "channel", (7,))
    yield prelu((T, 7), "shared", (1, 1))


def prelu(shape: tuple[Dim, ...], per: str, slopes: tuple[int, ...]) -> Case:
    def want(w: Weights, x: Array) -> Array:
        return np.where(x > 0, x, x * w["weight"].reshape(slopes))

    return Case("prelu", [shape], want, {"per": per})


def normalisations() -> Iterator[Case]:
    for shape, axis in [((4,), 0), ((4, 5), 0), ((4, 5, 3), 0), ((2, 3, 4, 2), 0), ((4, 5), 1)]:
        yield bn(shape, axis)
    yield bn((4, 5, 3), 2, eps=0.01)
    yield bn((2, 3, 2, 2, 3), 0)
    yield bn((2, T, 2, 2, 3), 4)
    yield bn((T, 5), -1, affine=False, momentum=0.3)
    yield ln((4, 6), 1)
    yield ln((4, 6), 2, eps=0.1)
    yield ln((4, 6), 1, affine=False)
    yield gn((6, 4, 3), 3)
    yield gn((6,), 2, eps=0.1)
    yield gn((6, 4), 1, affine=False)


def bn(shape: tuple[Dim, ...], axis: int, **attrs: Any) -> Case:
    at = axis % len(shape) + 1
    line = [-1 if i == at else 1 for i in range(len(shape) + 1)]

    def want(w: Weights, x: Array) -> Array:
        mean, var = w["running_mean"].reshape(line), w["running_var"].reshape(line)
        y = (x - mean) / np.sqrt(var + attrs.get("eps", 1e-5))
        return y * w["weight"].reshape(line) + w["bias"].reshape(line) if "weight" in w else y

    return Case("bn", [shape], want, {"axis": axis, **attrs})


def ln(shape: tuple[int, ...], axes: int, **attrs: Any) -> Case:
    def want(w: Weights, x: Array) -> Array:
        over = tuple(range(x.ndim - axes, x.ndim))
        y = ref.normalised(x, over, attrs.get("eps", 1e-5))
        return y * w["weight"] + w["bias"] if "weight" in w else y

    return Case("layernorm", [shape], want, {"axes": axes, **attrs})


def gn(shape: tuple[int, ...], groups: int, **attrs: Any) -> Case:
    line = (-1, *(1 for _ in shape[1:]))

    def want(w: Weights, x: Array) -> Array:
        parts = x.reshape(len(x), groups, -1)
        y = ref.normalised(parts, (2,), attrs.get("eps", 1e-5)).reshape(x.shape)
        return y * w["weight"].reshape(line) + w["bias"].reshape(line) if "weight" in w else y

    return Case("groupnorm", [shape], want, {"groups": groups, **attrs})


def sequences() -> Iterator[Case]:
    for op, steps in (("lstm", ref.lstm_steps), ("gru", ref.gru_steps)):
        for lengths in (False, True):
            for bidirectional in (False, True):
                for last in (False, True):
                    yield recurrent(op, steps, lengths, bidirectional=bidirectional, last=last)


def recurrent(op: str, steps: Any, lengths: bool, **attrs: bool) -> Case:
    def want(w: Weights, x: Array, n: Array | None = None) -> Array:
        return ref.recurrent(steps, x, w, n, **attrs)

    return Case(op, [(T, 3)], want, {"units": 4, **attrs}, lengths)


# ---------------------------------------------------------------------------- without weights


def activations() -> Iterator[Case]:
    yield on((3, 4), "identity", lambda x: x)
    yield on((3, 4), "relu", lambda x: np.maximum(x, 0))
    yield on((3, 4), "leakyrelu", lambda x: np.where(x > 0, x, 0.2 * x), slope=0.2)
    yield on((3, 4), "elu", lambda x: np.where(x > 0, x, np.expm1(x)))
    yield on((3, 4), "elu", lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)), alpha=0.5)
    yield on((3, 4), "gelu", ref.gelu)
    yield on((3, 4), "silu", lambda x: x * ref.sigmoid(x))
    yield on((3, 4), "sigmoid", ref.sigmoid)
    yield on((3, 4), "tanh", np.tanh)
    yield on((3, 4), "softmax", lambda x: ref.softmax(x, 2))
    yield on((3, 4), "softmax", lambda x: ref.softmax(x, 1), axis=0)
    yield on((3, 4), "logsoftmax", lambda x: np.log(ref.softmax(x, 2)))
    yield on((3, 4), "dropout", lambda x: x, rate=0.5)


def arithmetic() -> Iterator[Case]:
    two: list[tuple[Dim, ...]] = [(3, 4), (3, 1)]
    yield Case("add", two, lambda w, a, b: a + b)
    yield Case("mul", [(3, 4)] * 3, lambda w, a, b, c: a * b * c)
    yield Case("max", [(3, 4)] * 3, lambda w, a, b, c: np.maximum(np.maximum(a, b), c))
    yield Case("max", [(3, 4)], lambda w, a: a)
    yield Case("add", [(2,)] * 12, lambda w, *x: np.sum(x, 0))
    yield Case("sub", two, lambda w, a, b: a - b)
    yield Case("div", two, lambda w, a, b: a / b)
    for factor in (0.5, -1.0, 1 / 3, 1.7, 1.0, 0.0, 3.0, 1e9, -0.25):
        for offset in (0.0, 1.0, -0.25):
            yield scale(factor, offset)
    yield Case("matmul", [(3, 4), (4, 5)], lambda w, a, b: a @ b)
    yield Case("matmul", [(2, T, 4), (2, 4, S)], lambda w, a, b: a @ b)
    yield einsum("ij,jk->ik", (3, 4), (4, 2))
    yield einsum("nij,j->in", (2, 3, 4), (4,))
    yield einsum("ab->", (3, 4))
    yield einsum("i,j,k->kji", (2,), (3,), (4,))
    for axis, value in ((0, 0.0), (1, -1e9)):
        yield mask((5, 5), axis, value)
    yield mask((T, 2, 3), 0, 2.0)


def scale(factor: float, offset: float) -> Case:
    return on((3,), "scale", lambda x: x * factor + offset, factor=factor, offset=offset)


def einsum(equation: str, *shapes: tuple[int, ...]) -> Case:
    left, _, right = equation.partition("->")
    whole = ",".join(f"Q{part}" for part in left.split(",")) + f"->Q{right}"
    return Case("einsum", shapes, lambda w, *x: np.einsum(whole, *x), {"equation": equation})


def mask(shape: tuple[Dim, ...], axis: int, value: float) -> Case:
    def want(w: Weights, x: Array, n: Array) -> Array:
        y = x.copy()
        for i, length in enumerate(n):
            y[(i, *(slice(None),) * axis, slice(length, None))] = value
        return y

    return Case("mask", [shape], want, {"axis": axis, "value": value}, lengths=True)


def pooling() -> Iterator[tuple[Case, Case]]:
    same = [(1, 1)] * 2
    yield pool((3, 8, 8), [(0, 0)] * 2, kernel=2)
    yield pool((3, 8, 7), same, kernel=3, stride=2, pad="same")
    yield pool((3, 8, 8), [(0, 1)] * 2, kernel=2, stride=1, pad="same")
    yield pool((3, 9), [(2, 2)], kernel=3, stride=1, pad=2)
    yield pool((3, 9), [(1, 2)], kernel=4, pad="same")
    yield pool((2, 4, 6, 5), [(1, 0), (0, 1), (1, 1)], kernel=2, pad=[[1, 0], [0, 1], [1, 1]])
    yield pool((2, 5, 6), [(0, 0), (1, 1)], kernel=[1, 3], stride=[2, 1], pad=[0, 1])


def pool(shape: tuple[int, ...], pads: Any, **attrs: Any) -> tuple[Case, Case]:
    axes = len(shape) - 1
    kernel = each(attrs["kernel"], axes)
    how = {"kernel": kernel, "stride": each(attrs.get("stride", kernel), axes), "pads": pads}
    return (
        on(shape, "maxpool", lambda x: ref.pooled(x, np.nanmax, **how), **attrs),
        on(shape, "avgpool", lambda x: ref.pooled(x, np.nanmean, **how), **attrs),
    )


def reductions() -> Iterator[Case]:
    for how, want in (("mean", np.mean), ("sum", np.sum), ("max", np.max)):
        yield on((3, 4, 5), "reduce", lambda x, f=want: f(x, (2, 3)), how=how, axis=[1, 2])
        yield on((3, 4, 5), "reduce", lambda x, f=want: f(x, 1), how=how, axis=0)
        keep = {"how": how, "axis": [0, 2], "keep": True}
        yield on((3, T, 5), "reduce", lambda x, f=want: f(x, (1, 3), keepdims=True), **keep)


def reshape(old: tuple[Dim, ...], new: tuple[Dim, ...], real: tuple[int, ...]) -> Case:
    return on(old, "reshape", lambda x: x.reshape(len(x), *real), shape=new)


def movement() -> Iterator[Case]:
    yield reshape((3, 4, 5), (60,), (60,))
    yield reshape((12,), (3, 4), (3, 4))
    yield reshape((12,), (1, 3, 4), (1, 3, 4))
    yield reshape((3, 4, 5), (3, 20), (3, 20))
    yield reshape((3, 4, 5), (12, 5), (12, 5))
    yield reshape((3, 8, 5), (3, 2, 4, 5), (3, 2, 4, 5))
    yield reshape((6, 4), (4, 6), (4, 6))
    yield reshape((6, 4, 5), (4, 6, 5), (4, 6, 5))
    yield reshape((5,), (5, 1, 1), (5, 1, 1))
    yield reshape((5,), (1, 5), (1, 5))
    yield reshape((5,), (1, 1, 5), (1, 1, 5))
    yield reshape((5, 1, 1), (5,), (5,))
    yield reshape((2, 1, 5), (2, 5), (2, 5))
    yield reshape((1, 2, 1, 1), (2,), (2,))
    yield reshape((2, 3), (2, 3), (2, 3))
    yield reshape((T, 6), (T, 2, 3), (7, 2, 3))
    yield reshape((T, 2, 3), (T, 6), (7, 6))
    yield reshape((T, 2, 3), (2, T, 3), (2, 7, 3))
    yield reshape((T, 6), (T * 6,), (42,))
    yield reshape((T * 4, 3), (T, 4, 3), (7, 4, 3))
    yield reshape((T, S, 6), (S, T, 2, 3), (5, 7, 2, 3))
    yield on((3, 4), "transpose", lambda x: x.transpose(0, 2, 1), order=[1, 0])
    yield on((3, 4, T), "transpose", lambda x: x.transpose(0, 2, 3, 1), order=[1, 2, 0])
    yield on((3, 4), "transpose", lambda x: x, order=[0, 1])
    yield on((6, 4), "slice", lambda x: x[:, 1:3], start=1, stop=3)
    yield on((6, 4), "slice", lambda x: x[:, :, -2:], start=-2, axis=1)
    yield on((T, 4), "slice", lambda x: x[:, 2:], start=2)
    yield on((T, 4), "slice", lambda x: x[:, -3:-1], start=-3, stop=-1)
    yield on((6, 4), "slice", lambda x: x)
    yield on((3, 4, 5), "pad", lambda x: ref.padded(x, [(1, 1)] * 2), amount=1)
    odd = [(0, 2), (3, 1)]
    yield on((3, 4, 5), "pad", lambda x: ref.padded(x, odd, 0.5), amount=odd, value=0.5)
    yield on((3, 4), "upsample", lambda x: x.repeat(3, 2), factor=3)
    yield on((3, 4, 2), "upsample", lambda x: x.repeat(41, 2).repeat(2, 3), factor=[41, 2])
    yield enlarging((3, 4), 2)
    yield enlarging((3, 4, 2), 2, 3)
    yield enlarging((1, 2, 3, 2), 2, 3, 2)
    yield Case("concat", [(3, 4), (2, 4)], lambda w, a, b: np.concatenate([a, b], 1))
    yield Case("concat", [(3, T)] * 3, lambda w, *x: np.concatenate(x, 2), {"axis": 1})


def enlarging(shape: tuple[int, ...], *factors: int) -> Case:
    def want(x: Array) -> Array:
        for axis, factor in enumerate(factors, 2):
            x = ref.enlarged(x, factor, axis)
        return x

    return on(shape, "upsample", want, factor=list(factors), mode="linear")


CASES = [
    *convolutions(), *dense(), *normalisations(), *sequences(), *activations(), *arithmetic(),
    *(case for pair in pooling() for case in pair), *reductions(), *movement(),
]  # fmt: skip

SIZES = {"T": 7, "S": 5, "N": 3}


def real(rng: np.random.Generator, shape: Sequence[Dim]) -> Array:
    from xgraph.ir.types import evaluate

    return rng.standard_normal([3, *(evaluate(d, SIZES) for d in shape)]).astype(np.float32)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_primitive(case: Case) -> None:
    rng = np.random.default_rng(0)
    net = Net()
    values = [net.input(f"x{i}", *shape) for i, shape in enumerate(case.shapes)]
    inputs = [real(rng, shape) for shape in case.shapes]
    named: dict[str, Value] = {}
    if case.lengths:
        named["lengths"] = net.input("n", dtype="i64")
        inputs.append(np.array([5, 0, 2]))
    if case.op == "mask":
        values.append(named.pop("lengths"))
    value = net.add(case.op, *values, address="net.it", **case.attrs, **named)
    net.output("y", value)
    assert_meaning(net, inputs, lambda w, x: case.want(w, *x))


def assert_meaning(net: Net, inputs: list[Array], want: Callable[..., Array]) -> None:
    """The module, plain and scripted, gives what is wanted."""
    graph = net.lowered()
    check(graph)
    weights = weights_of(graph)
    module = to_module(graph, weights).eval()
    tensors = [torch.from_numpy(x) for x in inputs]
    short = {name.rpartition(".")[2]: value.astype(float) for name, value in weights.items()}
    wanted = want(short, [x.astype(float) if x.dtype == np.float32 else x for x in inputs])
    for network in (module, torch.jit.script(module)):
        given = network(*tensors)
        assert given.dtype == torch.float32
        np.testing.assert_allclose(given.detach(), wanted, rtol=2e-4, atol=2e-5)


def test_embedding() -> None:
    net = Net()
    words = net.input("words", T, dtype="i64")
    net.output("y", net.add("embedding", words, address="net.it", count=9, units=4))
    assert_meaning(net, [np.array([[0, 8], [3, 3]])], lambda w, x: w["weight"][x[0]])


def test_parameter_is_the_same_for_every_sample() -> None:
    net = Net()
    x = net.input("x", 4)
    free = net.add("parameter", address="net.it", shape=(4,), init=Init("ones"))
    net.output("y", net.add("add", x, free, address="net.add1"))
    inputs = [np.ones((3, 4), np.float32)]
    assert_meaning(net, inputs, lambda w, x: x[0] + w["weight"])


@pytest.mark.parametrize("size", [symbol("T"), Axis("T", 7)], ids=str)
@pytest.mark.parametrize("axis", [0, 1])
def test_each(size: Dim, axis: int) -> None:
    shape = (size, 3) if axis == 0 else (3, size)
    net = Net()
    x = net.input("x", *shape)
    steps = net.add("each_in", x, address="x_per_T", axis="T")
    y = net.add("linear", steps, address="net.fc", units=2)
    net.output("y", net.add("each_out", y, address="net_over_T", size=str(size)))
    inputs = [real(np.random.default_rng(1), shape)]
    assert_meaning(
        net, inputs, lambda w, x: x[0].transpose(0, axis + 1, 2 - axis) @ w["weight"].T + w["bias"]
    )


def test_every_primitive_has_a_rule_or_a_reason() -> None:
    assert set(RULES) | set(UNSUPPORTED) == set(PRIMITIVES)
    assert not set(RULES) & set(UNSUPPORTED)


def test_every_primitive_is_tested() -> None:
    apart = {"input", "each_in", "each_out", "embedding", "parameter"}
    assert {case.op for case in CASES} | apart == set(PRIMITIVES)


def test_a_second_rule_is_refused() -> None:
    from xgraph.backends.torch.registry import rule

    with pytest.raises(AssertionError, match="two rules for relu"):
        rule("relu")(lambda s: s.x)
