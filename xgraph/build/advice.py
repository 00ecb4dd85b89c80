"""What to write where a value has another shape than it must have, or another element type."""

from __future__ import annotations

from math import prod

from xgraph.ir.op import Fault, OpSpec
from xgraph.ir.types import Dim, DType, TensorType

_JOINS = ("add", "mul", "max", "sub", "div", "mean", "concat")
_WINDOWS = ("conv", "sepconv", "depthwise", "maxout", "maxpool", "avgpool")


def advice(op: OpSpec, fault: Fault, types: list[TensorType], via: bool | None) -> str | None:
    """How to mend `fault` of `op` applied to `types`. `via` is None outside of a connection, and
    tells whether one has layers already."""
    number = fault.input
    if fault.id == "empty-value" and op.name in _WINDOWS:
        return "the window is larger than the maps: pad them, or take a smaller one"
    if fault.id == "bad-dtype" and number is not None and types[number].dtype is DType.F32:
        return "integers come in as such: `modality name: i64 [...]`"
    if fault.id != "shape-mismatch" or op.name not in _JOINS or not number:
        return fault.help
    if types[number].batch != types[0].batch:
        return None
    if op.name == "concat" and via is None and _apart(fault, types):
        return fault.help
    chain = bridge(types[number], types[0], channels=op.name != "concat")
    if chain is None:
        return "bring it to that shape with layers behind `via`" if via is False else fault.help
    if via is None:
        return f"bring it to that shape: `-> {chain}`"
    return f"bring it to that shape: `via {chain}`" if not via else f"end its `via` with `{chain}`"


def _apart(fault: Fault, types: list[TensorType]) -> bool:
    """Whether values that should be joined are of different kinds, or along another axis."""
    return len({t.rank for t in types}) > 1 or "along axis 0" not in fault.message


def bridge(have: TensorType, wanted: TensorType, *, channels: bool = True) -> str | None:
    """A chain of layers from one shape to another (`channels`: to as many of those too), where a
    short one is known."""
    a, b = _known(have.features), _known(wanted.features)
    if a is None or b is None or not a or not b:
        return None
    layers: list[str | None] = []
    if len(b) == 1:
        layers += ["globalavgpool"] if len(a) > 1 else []
        layers += [f"linear({b[0]})"] if channels and a[0] != b[0] else []
    elif len(a) == 1:
        sizes = ", ".join(map(str, b[1:]))
        layers += [f"linear({prod(b[1:])})", f"reshape(1, {sizes})"]
        layers += [f"conv({b[0]}, 1)"] if channels and b[0] != 1 else []
    elif len(a) == len(b) <= 4:
        layers += [_resized(a[1:], b[1:])] if a[1:] != b[1:] else []
        layers += [f"conv({b[0]}, 1)"] if channels and a[0] != b[0] else []
    return " -> ".join(map(str, layers)) if layers and None not in layers else None


def _resized(have: list[int], wanted: list[int]) -> str | None:
    """The pooling or upsampling between two sizes of maps."""
    for layer, small, large in (("maxpool", wanted, have), ("upsample", have, wanted)):
        if all(n % k == 0 for n, k in zip(large, small, strict=True)):
            steps = [n // k for n, k in zip(large, small, strict=True)]
            return f"{layer}({steps[0] if len(set(steps)) == 1 else steps})"
    return None


def _known(dims: tuple[Dim, ...]) -> list[int] | None:
    return [int(d) for d in dims if isinstance(d, int)] if all(map(_is_known, dims)) else None


def _is_known(dim: Dim) -> bool:
    return isinstance(dim, int)
