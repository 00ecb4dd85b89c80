"""The types an op gives: its shape rule, or the walk through its expansion."""

from __future__ import annotations

from typing import Any, final

from xgraph.ir.attrs import MAX_SIZE, Attrs
from xgraph.ir.op import Args, Fault, OpSpec, OpTable, Types
from xgraph.ir.types import DType, TensorType, is_empty, product

MAX_ELEMENTS = 2**33
"""The most numbers one sample of a value may hold (symbols counted as 1)."""


def infer_types(op: OpSpec, types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    """The output types of `op`; `Fault` where it cannot take these inputs."""
    _check_dtypes(op, types)
    try:
        outputs = _outputs(op, types, attrs)
    except OverflowError:
        raise Fault(
            f"the sizes of `{op.name}` are too long an expression", id="too-large"
        ) from None
    for t in outputs:
        _check_size(op, t)
    return outputs


def _outputs(op: OpSpec, types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    resolved = op.resolved(types, attrs)
    if op.expand is not None:
        out = op.expand(_TypeExpander(op.table), types, resolved)
    else:
        assert op.infer is not None
        out = op.infer(types, resolved)
    return out if isinstance(out, tuple) else (out,)


def _check_dtypes(op: OpSpec, types: Types) -> None:
    wanted = {port.name: port.dtype for port in op.inputs}
    for index, (t, port) in enumerate(zip(types, types.ports, strict=True)):
        dtype = wanted[port]
        if dtype is not None and t.dtype is not dtype:
            raise Fault(
                f"`{op.name}` takes {dtype.value} values, and this is {t.dtype.value}",
                id="bad-dtype",
                input=index,
                help="`embedding(count, units)` turns integers into vectors"
                if t.dtype is DType.I64
                else None,
            )


def _check_size(op: OpSpec, t: TensorType) -> None:
    for dim in t.shape:
        if is_empty(dim):
            raise Fault(f"`{op.name}` would give an empty value, {t}", id="empty-value", input=0)
        if isinstance(dim, int) and dim > MAX_SIZE:
            raise Fault(f"`{op.name}` would give an axis of size {dim}", id="too-large")
    dims = [dim for dim in t.features if isinstance(dim, int)]
    if isinstance(total := product(dims), int) and total > MAX_ELEMENTS:
        raise Fault(
            f"`{op.name}` would give {t}, over {MAX_ELEMENTS} numbers a sample", id="too-large"
        )


@final
class _TypeExpander:
    """Runs an expansion over types alone."""

    def __init__(self, table: OpTable) -> None:
        self._table = table

    def __call__(self, op: str, *inputs: Any, label: str | None = None, **attrs: Any) -> Any:
        (out,) = self.many(op, *inputs, label=label, **attrs)
        return out

    def many(
        self, op: str, *inputs: Any, label: str | None = None, **attrs: Any
    ) -> tuple[TensorType, ...]:
        spec = self._table[op]
        given, ports, plain = split_named(spec, inputs, attrs)
        return infer_types(spec, Args(given, ports), spec.check_attrs(plain))

    def type(self, value: TensorType) -> TensorType:
        return value


def split_named(
    spec: OpSpec, inputs: tuple[Any, ...], attrs: dict[str, Any]
) -> tuple[tuple[Any, ...], tuple[str, ...], dict[str, Any]]:
    """Part the optional inputs given by keyword from the attributes."""
    named = {p.name: attrs[p.name] for p in spec.optional_ports if attrs.get(p.name) is not None}
    optional = {p.name for p in spec.optional_ports}
    plain = {k: v for k, v in attrs.items() if k not in optional}
    return (*inputs, *named.values()), spec.ports(len(inputs), named), plain
