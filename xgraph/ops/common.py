"""Shape arithmetic and attribute lists that several families of ops share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xgraph.ir.attrs import Attrs, AttrValue, Init
from xgraph.ir.op import Fault
from xgraph.ir.types import BATCH, Axis, Dim, Expr, TensorType, axis_name

ZEROS, ONES = Init("zeros"), Init("ones")
GLOROT = Init("glorot_uniform")
ELEMENTWISE = frozenset(
    ("relu", "leakyrelu", "elu", "gelu", "silu", "sigmoid", "tanh", "scale", "add", "mul", "sub",
     "div", "max")
)  # fmt: skip
"""Ops without parameters that take values of one type, number by number."""


def maps(op: str, t: TensorType, index: int = 0) -> int:
    """The number of spatial axes of a value of channels and maps; `Fault` if it is none."""
    if not 2 <= t.rank <= 4:
        raise Fault(
            f"`{op}` needs channels and 1 to 3 spatial axes, and this has shape {shape(t)}",
            input=index,
            help="bring it to maps first, for example with `reshape(channels, height, width)`",
        )
    return t.rank - 1


def known(op: str, dim: Dim, what: str, index: int = 0) -> int:
    """`dim` as an integer; `Fault` where only the running network knows it."""
    if isinstance(dim, Expr):
        name = axis_name(dim) or "T"
        raise Fault(
            f"`{op}` needs to know {what}, and it is `{dim}`, known only when the network runs",
            id="unknown-size",
            input=index,
            help=f"take its steps one by one, within `each {name} {{ ... }}`; or reduce it:"
            f" `last({name})`, `reduce(mean, axis = {name})`; or fix it: `dim {name} = 39`"
            if name != BATCH
            else None,
        )
    return int(dim)


def channels(op: str, t: TensorType, index: int = 0) -> int:
    """The size of the first axis of a sample; `Fault` if it has none, or as `known`."""
    if not t.rank:
        raise Fault(f"`{op}` needs channels, and this has shape {shape(t)}", input=index)
    return known(op, t.channels, "the number of channels", index)


def shape(t: TensorType) -> str:
    """The shape as a person reads it, the batch included."""
    return f"[{', '.join(map(str, t.shape))}]"


def one_shape(op: str, b: Any, values: Sequence[Any], what: str = "inputs") -> None:
    """`Fault` unless all values have one shape."""
    first = b.type(values[0])
    for i, value in enumerate(values):
        if b.type(value).features != first.features:
            raise Fault(
                f"`{op}` needs {what} of one shape: {shape(first)} and {shape(b.type(value))}"
                " are not",
                input=i,
            )


def per_axis(op: str, attr: str, value: AttrValue, axes: int) -> tuple[int, ...]:
    """One integer for each of `axes`; `Fault` if a list of another length was given."""
    if isinstance(value, tuple):
        if len(value) != axes:
            raise _wrong_length(op, attr, len(value), axes)
        return tuple(_int(v) for v in value)
    return (_int(value),) * axes


def _wrong_length(op: str, attr: str, given: int, axes: int) -> Fault:
    return Fault(
        f"`{attr}` of `{op}` has {given} {'entry' if given == 1 else 'entries'}, and there"
        f" {'is 1 spatial axis' if axes == 1 else f'are {axes} spatial axes'}",
        id="bad-attribute",
        attr=attr,
    )


def _int(value: AttrValue) -> int:
    assert isinstance(value, int)
    return value


def padding(
    op: str, pad: AttrValue, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """How many zeros before and after each axis.

    `same` adds `dilation * (kernel - 1)`, the odd one after, whatever the stride: the output is
    `ceil(size / stride)`, as PyTorch's `padding=kernel // 2` gives for odd kernels.
    """
    if pad == "valid":
        return ((0, 0),) * len(kernel)
    if pad == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    return both_sides(op, "pad", pad, len(kernel))


def both_sides(op: str, attr: str, value: AttrValue, axes: int) -> tuple[tuple[int, int], ...]:
    """Before and after for each axis, from a number, a list of such or a list of pairs."""
    entries = value if isinstance(value, tuple) else (value,) * axes
    if len(entries) != axes:
        raise _wrong_length(op, attr, len(entries), axes)
    pairs = [e if isinstance(e, tuple) else (e, e) for e in entries]
    return tuple((_int(before), _int(after)) for before, after in pairs)


def windowed(size: Dim, kernel: int, stride: int, pad: tuple[int, int], dilation: int) -> Dim:
    """The size of an axis after a window slides over it."""
    return (size + (pad[0] + pad[1] - dilation * (kernel - 1) - 1)) // stride + 1


def axis_index(op: str, axis: AttrValue, t: TensorType, index: int = 0) -> int:
    """The index of an axis of a sample (0 is the first after the batch) from its index or name."""
    if isinstance(axis, str):
        found = [i for i, dim in enumerate(t.features) if axis_name(dim) == axis]
        if len(found) != 1:
            raise Fault(
                f"`{op}` needs {'the' if not found else 'one'} axis `{axis}`, and this has shape"
                f" {shape(t)}",
                id="unknown-axis",
                input=index,
            )
        return found[0]
    assert isinstance(axis, int)
    if not -t.rank <= axis < t.rank:
        raise Fault(
            f"`{op}` has no axis {axis} to work on: a sample here has {t.rank} ax"
            f"{'is' if t.rank == 1 else 'es'}, shape {shape(t)}",
            id="unknown-axis",
            attr="axis",
            input=index,
        )
    return axis % t.rank


def resolve_axis(op: str) -> Any:
    """The `resolve` of an op whose only such attribute is `axis`."""

    def resolve(types: Any, a: Attrs) -> dict[str, AttrValue]:
        return {"axis": axis_index(op, a.axis, types[0])}

    return resolve


def plain(dim: Dim) -> Dim:
    """The size without the name of its axis."""
    return int(dim) if isinstance(dim, Axis) else dim


def same_type(types: Any, a: Attrs) -> TensorType:
    """The shape rule of everything element-wise with one input."""
    result: TensorType = types[0]
    return result
