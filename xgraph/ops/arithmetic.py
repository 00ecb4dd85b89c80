"""Arithmetic on whole values."""

from __future__ import annotations

import re
from string import ascii_letters
from typing import Any

from xgraph.ir.attrs import Attrs, AttrValue, AxisRef, Real, Text
from xgraph.ir.op import Attr, Fault, OpSpec, Port, Types
from xgraph.ir.types import Dim, DType, TensorType, product
from xgraph.ops.common import plain, resolve_axis, same_type, shape

_VALUES = (Port("values", variadic=True),)
_PAIR = (Port("a"), Port("b"))


def _broadcast(op: str) -> Any:
    """One shape for all; an axis of size 1 stretches to the others'."""

    def infer(types: Types, a: Attrs) -> TensorType:
        dims = [plain(d) for d in types[0].shape]
        for i, t in enumerate(types[1:], 1):
            if t.rank + 1 != len(dims):
                raise _unequal(op, types[0], t, i)
            for axis, dim in enumerate(map(plain, t.shape)):
                if dims[axis] == 1:
                    dims[axis] = dim
                elif dim not in (1, dims[axis]):
                    raise _unequal(op, types[0], t, i)
        if tuple(dims) == tuple(map(plain, types[0].shape)):
            return types[0]
        return TensorType(tuple(dims), types[0].dtype)

    return infer


def _unequal(op: str, first: TensorType, other: TensorType, index: int) -> Fault:
    advice = None
    if first.rank == other.rank and first.features[1:] == other.features[1:]:
        layer = f"conv({first.channels}, 1)" if first.rank > 1 else f"linear({first.channels})"
        advice = f"bring it to {first.channels} channels: `-> {layer}`"
    return Fault(
        f"`{op}` needs inputs of one shape: {shape(first)} and {shape(other)} are not",
        input=index,
        help=advice,
    )


def _nary(name: str, doc: str) -> OpSpec:
    return OpSpec(name, doc, f"{name}(a, b)", inputs=_VALUES, infer=_broadcast(name))


def _binary(name: str, doc: str) -> OpSpec:
    return OpSpec(name, doc, f"{name}(a, b)", inputs=_PAIR, infer=_broadcast(name))


ADD = _nary("add", "the sum of values")
MUL = _nary("mul", "the element-wise product of values")
MAX = _nary("max", "the element-wise largest of values")
SUB = _binary("sub", "a - b")
DIV = _binary("div", "a / b")

SCALE = OpSpec(
    "scale",
    "x times a number, plus a number",
    "scale(0.5)",
    positional=1,
    attrs=(Attr("factor", Real(), 1.0), Attr("offset", Real(), 0.0)),
    infer=same_type,
)


def _expand_mean(b: Any, x: Any, a: Attrs) -> Any:
    return x[0] if len(x) == 1 else b("scale", b("add", *x), factor=1.0 / len(x))


MEAN = OpSpec("mean", "the mean of values", "mean(a, b)", inputs=_VALUES, expand=_expand_mean)


def _infer_matmul(types: Types, a: Attrs) -> TensorType:
    x, y = types
    if x.rank != y.rank or x.rank < 2:
        raise Fault(
            f"`matmul` needs matrices of one rank: {shape(x)} and {shape(y)} are not", input=1
        )
    batches = {x.batch, y.batch} - {1}
    if x.shape[-1] != y.shape[-2] or x.features[:-2] != y.features[:-2] or len(batches) > 1:
        raise Fault(f"`matmul` cannot multiply {shape(x)} by {shape(y)}", input=1)
    return x.with_shape(*(batches or {1}), *x.features[:-1], y.shape[-1])


def _matmul_macs(types: Types, outs: tuple[TensorType, ...], a: Attrs) -> Dim:
    return product((*outs[0].shape, types[0].shape[-1]))


MATMUL = OpSpec(
    "matmul",
    "the matrix product over the last two axes",
    "matmul(a, b)",
    inputs=_PAIR,
    infer=_infer_matmul,
    macs=_matmul_macs,
)

_EINSUM = re.compile(r"[a-zA-Z]+(,[a-zA-Z]+)*->[a-zA-Z]*")


def _einsum_sizes(types: Types, equation: str) -> dict[str, Dim]:
    left = equation.partition("->")[0].split(",")
    if len(left) != len(types):
        values = "1 value" if len(left) == 1 else f"{len(left)} values"
        raise Fault(
            f"`{equation}` takes {values}, not {len(types)}",
            id="wrong-arity",
            attr="equation",
        )
    sizes: dict[str, Dim] = {}
    for i, (letters, t) in enumerate(zip(left, types, strict=True)):
        if len(letters) != t.rank:
            raise Fault(
                f"`{letters}` of `{equation}` does not name the axes of {shape(t)}",
                input=i,
                help="one letter for each axis but the batch",
            )
        for letter, dim in zip(letters, t.features, strict=True):
            if sizes.setdefault(letter, plain(dim)) != plain(dim):
                raise Fault(
                    f"`{letter}` of `{equation}` would be both {sizes[letter]} and {dim}", input=i
                )
    return sizes


def _resolve_einsum(types: Types, a: Attrs) -> dict[str, AttrValue]:
    equation = a.equation.replace(" ", "")
    if not _EINSUM.fullmatch(equation):
        raise Fault(
            f"`{a.equation}` is not an equation such as `ij,jk->ik`",
            id="bad-attribute",
            attr="equation",
        )
    if set(ascii_letters) <= set(equation):
        raise Fault(
            "an equation of all 52 letters leaves none for the batch",
            id="bad-attribute",
            attr="equation",
        )
    return {"equation": equation}


def _infer_einsum(types: Types, a: Attrs) -> TensorType:
    sizes = _einsum_sizes(types, a.equation)
    out = a.equation.partition("->")[2]
    unknown = [letter for letter in out if letter not in sizes]
    if unknown or len(set(out)) != len(out):
        raise Fault(
            f"each letter after `->` in `{a.equation}` must stand before it, and once",
            id="bad-attribute",
            attr="equation",
        )
    batch = next((t.batch for t in types if t.batch != 1), 1)
    return TensorType((batch, *(sizes[letter] for letter in out)))


def _einsum_macs(types: Types, outs: tuple[TensorType, ...], a: Attrs) -> Dim:
    return product((types[0].batch, *_einsum_sizes(types, a.equation).values()))


EINSUM = OpSpec(
    "einsum",
    "a sum of products in Einstein's notation; the batch is not written",
    'einsum(a, b, equation = "ij,jk->ik")',
    inputs=_VALUES,
    attrs=(Attr("equation", Text(), doc="letters of each input, `->`, letters of the result"),),
    resolve=_resolve_einsum,
    infer=_infer_einsum,
    macs=_einsum_macs,
)


def check_lengths(op: str, types: Types) -> None:
    """`Fault` unless `lengths`, where given, is one integer a sample."""
    lengths = types.get("lengths")
    if lengths is not None and lengths.rank != 0:
        raise Fault(
            f"`lengths` of `{op}` must be one integer a sample, and this has {shape(lengths)}",
            input=types.ports.index("lengths"),
            help="declare it as `modality n: i64 []`",
        )


def _infer_mask(types: Types, a: Attrs) -> TensorType:
    check_lengths("mask", types)
    x, lengths = types
    return x.with_shape(lengths.batch if x.batch == 1 else x.batch, *x.features)


MASK = OpSpec(
    "mask",
    "a constant in place of what lies past each sample's length",
    "mask(n, axis = T)",
    inputs=(Port("x"), Port("lengths", "one integer a sample", dtype=DType.I64)),
    attrs=(Attr("axis", AxisRef(), 0), Attr("value", Real(), 0.0)),
    resolve=resolve_axis("mask"),
    infer=_infer_mask,
)

OPS = (ADD, SUB, MUL, DIV, MAX, MEAN, SCALE, MATMUL, EINSUM, MASK)
