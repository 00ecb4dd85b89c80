"""Rules of what computes without weights: activations, arithmetic, pooling, reductions."""

from __future__ import annotations

from functools import reduce as fold
from math import inf, sqrt
from string import ascii_letters
from typing import Any

from xgraph.backends.onnx.registry import Rule, rule
from xgraph.backends.onnx.shaping import bordered, both_ends
from xgraph.backends.onnx.site import Site
from xgraph.ir.types import Expr

# ------------------------------------------------------------------------------- activations


@rule("identity", "dropout")
def same(site: Site) -> str:
    """Nothing to compute: dropout acts in training alone."""
    return site.x


def _plain(operator: str, **attrs: str) -> Rule:
    """The rule of an operator that means the same in ONNX; `attrs` name attributes there and
    what they are called here."""

    def write(site: Site) -> str:
        return site.op(operator, *site.inputs, **{k: site.attrs[v] for k, v in attrs.items()})

    return write


rule("relu")(_plain("Relu"))
rule("sigmoid")(_plain("Sigmoid"))
rule("tanh")(_plain("Tanh"))
rule("leakyrelu")(_plain("LeakyRelu", alpha="slope"))
rule("elu")(_plain("Elu", alpha="alpha"))
rule("sub")(_plain("Sub"))
rule("div")(_plain("Div"))
rule("matmul")(_plain("MatMul"))


@rule("gelu")
def gelu(site: Site) -> str:
    """An operator since opset 20; before, the pattern that ONNX Runtime fuses into one."""
    if site.opset >= 20:
        return site.op("Gelu", site.x)
    erf = site.op("Erf", site.op("Div", site.x, site.number(sqrt(2))))
    twice = site.op("Mul", site.x, site.op("Add", erf, site.number(1)))
    return site.op("Mul", twice, site.number(0.5))


@rule("silu")
def silu(site: Site) -> str:
    return site.op("Mul", site.x, site.op("Sigmoid", site.x))


@rule("softmax")
def softmax(site: Site) -> str:
    return site.op("Softmax", site.x, axis=site.attrs.axis + 1)


@rule("logsoftmax")
def logsoftmax(site: Site) -> str:
    return site.op("LogSoftmax", site.x, axis=site.attrs.axis + 1)


# -------------------------------------------------------------------------------- arithmetic


@rule("add")
def add(site: Site) -> str:
    if len(site.inputs) == 1:
        return site.x
    return site.op("Add" if len(site.inputs) == 2 else "Sum", *site.inputs)


@rule("mul")
def mul(site: Site) -> str:
    return fold(lambda a, b: site.op("Mul", a, b), site.inputs)


@rule("max")
def largest(site: Site) -> str:
    return site.x if len(site.inputs) == 1 else site.op("Max", *site.inputs)


@rule("scale")
def scale(site: Site) -> str:
    y = site.x
    if site.attrs.factor != 1:
        y = site.op("Mul", y, site.number(site.attrs.factor))
    if site.attrs.offset != 0:
        y = site.op("Add", y, site.number(site.attrs.offset))
    return y


@rule("einsum")
def einsum(site: Site) -> str:
    """The equation with a letter of its own for the batch."""
    equation = site.attrs.equation
    batch = next(c for c in f"n{ascii_letters[::-1]}" if c not in equation)
    inputs, _, result = equation.partition("->")
    inputs = ",".join(batch + letters for letters in inputs.split(","))
    return site.op("Einsum", *site.inputs, equation=f"{inputs}->{batch}{result}")


# ------------------------------------------------------------------ pooling and reductions


@rule("maxpool")
def maxpool(site: Site) -> str:
    x, window = _window(site, _unmerged(site), -inf)
    return site.op("MaxPool", x, **window)


@rule("avgpool")
def avgpool(site: Site) -> str:
    """Each window's sum over its number of real cells. Where the border is uneven, both are
    means over a bordered value, of `x` and of ones."""
    start = _unmerged(site)
    x, window = _window(site, start, 0.0)
    if x == start:
        return site.op("AveragePool", x, **window)
    share, _ = _window(site, _ones_like_maps(site), 0.0)
    return site.op(
        "Div", site.op("AveragePool", x, **window), site.op("AveragePool", share, **window)
    )


def _unmerged(site: Site) -> str:
    """The input, kept apart from a border around it: ONNX Runtime makes one of zeros the
    pooling's own (`PadFusion`), though that does not count in a maximum. `Max` of one value is
    nothing that it would remove."""
    return site.op("Max", site.x) if site.emitter.maker(site.x) == "Pad" else site.x


def _window(site: Site, x: str, border: float) -> tuple[str, dict[str, Any]]:
    """`x` and the window that slides over it. A border that is not even goes around `x` itself:
    cuDNN's pooling, and so ONNX Runtime's on a GPU, cannot have one."""
    a = site.attrs
    window = {"kernel_shape": a.kernel, "strides": a.stride}
    if all(before == after for before, after in a.pad):
        return x, {**window, "pads": both_ends(a.pad)}
    return bordered(site, x, a.pad, border), window


def _ones_like_maps(site: Site) -> str:
    """Ones in the shape of one map."""
    spatial = site.type.shape[2:]
    if not any(isinstance(dim, Expr) for dim in spatial):
        return site.ones([1, 1, *(int(dim) for dim in spatial if not isinstance(dim, Expr))])
    sizes = [site.emitter.size(dim) for dim in (1, 1, *spatial)]
    zeros = site.op("ConstantOfShape", site.op("Concat", *sizes, axis=0))
    return site.op("Add", zeros, site.number(1))


_REDUCTIONS = {"mean": "ReduceMean", "sum": "ReduceSum", "max": "ReduceMax"}


@rule("reduce")
def reduce(site: Site) -> str:
    a = site.attrs
    axes = [axis + 1 for axis in a.axis]
    if a.how == "sum" or site.opset >= 18:  # the others kept their axes as an attribute longer
        return site.op(_REDUCTIONS[a.how], site.x, site.ints(axes), keepdims=int(a.keep))
    return site.op(_REDUCTIONS[a.how], site.x, axes=axes, keepdims=int(a.keep))
