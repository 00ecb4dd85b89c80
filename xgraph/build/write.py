"""How layers, sizes and metadata are written in a `.xg`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xgraph.grammar import SYNTHETIC, format_tree
from xgraph.grammar.tree import String
from xgraph.ir.attrs import Attrs, Init, Integers, Layer, Real, Text
from xgraph.ir.graph import Node
from xgraph.ir.op import REQUIRED, OpSpec
from xgraph.ir.scope import Meta
from xgraph.ir.types import Axis, Dim
from xgraph.ops import OPS


def size_text(dim: Dim) -> str:
    """A size of a modality: a number, or the name of its `dim`."""
    return dim.name if isinstance(dim, Axis) else str(dim)


def layer_text(node: Node) -> str:
    """A layer as a stage: `conv(32, 3, stride = 2)`."""
    return op_text(node.op, node.attrs)


def op_text(op: OpSpec, attrs: Attrs) -> str:
    """An op with the attributes that are not its defaults."""
    changed = [a.name for a in op.attrs if a.default is REQUIRED or attrs[a.name] != a.default]
    plain = max(op.positional, sum(a.default is REQUIRED for a in op.attrs))
    leading = list(op.attrs[:plain])
    while leading and leading[-1].name not in changed:
        leading.pop()
    parts: list[str] = []
    for attr in leading:
        value = attrs[attr.name]
        if attr.rest:
            parts += [value_text(v) for v in value]
        else:
            parts.append(_attr_text(op, attr.name, value))
    names = {a.name for a in leading}
    parts += [f"{n} = {_attr_text(op, n, attrs[n])}" for n in changed if n not in names]
    return f"{op.name}({', '.join(parts)})" if parts else op.name


def _attr_text(op: OpSpec, name: str, value: Any) -> str:
    kind = op.attr_by_name[name].kind
    if isinstance(kind, Text) and isinstance(value, str):
        return f'"{value}"'
    if isinstance(kind, Integers):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(kind, Real) and isinstance(value, float):
        return _real_text(value)
    return value_text(value)


def _real_text(value: float) -> str:
    """A number where integers are taken for real numbers too."""
    return repr(value).removesuffix(".0")


def value_text(value: Any) -> str:
    """An attribute value, as `evaluate` reads it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        if value and isinstance(value[0], Layer):
            return " -> ".join(op_text(OPS[layer.op], layer.attrs) for layer in value)
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, Axis):
        return value.name
    if isinstance(value, Init):
        numbers = ", ".join(map(_real_text, value.args))
        return f"{value.name}({numbers})" if numbers else value.name
    if isinstance(value, str) and not value.isidentifier():
        return string_text(value)
    return repr(value) if isinstance(value, float) else str(value)


def meta_text(meta: Meta | Mapping[str, Any]) -> str:
    """` with key = value, ...`, or nothing."""
    if not meta:
        return ""
    return " with " + ", ".join(f"{k} = {value_text(v)}" for k, v in meta.items())


def string_text(text: str) -> str:
    """A text in quotes."""
    return format_tree(String(value=text, span=SYNTHETIC))


def router_text(node: Node) -> str:
    """What stands behind the points of a router: its `with` and its `via`."""
    set_ = {
        a.name: node.attrs[a.name]
        for a in node.op.attrs
        if a.name not in ("outputs", "layers") and node.attrs[a.name] != a.default
    }
    text = meta_text(set_)
    if "layers" in node.attrs:
        text += f" via {value_text(node.attrs.layers)}"
    return text
