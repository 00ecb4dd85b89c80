"""A digest of what a graph computes and owns, whatever its parts are called.

Outputs have names and inputs of a node an order, so a walk from the outputs (by name) through
the inputs meets every node that matters in one fixed order; numbered as they are met, nodes
write down their op, attributes and the numbers they read. Two graphs write the same exactly if
they are one network:

- names of values, addresses, labels, points and scopes do not count, nor the name of a size in a
  shape (`dim T = 39` is 39), nor the order in which anything was added, nor nodes that no
  output needs;
- ops, attributes (filled in: `kernel=3` is `kernel=(3, 3)`), the order of a node's inputs, the
  names and types of the network's inputs and the names of its outputs count;
- a node that owns parameters, or draws at random, is itself: two equal ones differ from one
  used twice. Any other is what it computes: written twice or shared, it is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, final

from xgraph.ir.attrs import Attrs, Init, Layer
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.infer import split_named
from xgraph.ir.op import Args, OpSpec, OpTable, Types
from xgraph.ir.types import Axis, TensorType

_RANDOM = ("dropout",)


def canonical(graph: Graph) -> str:
    """The digest: 64 hexadecimal digits, equal for two encodings of one network."""
    return sha256("\n".join(_records(graph)).encode()).hexdigest()


def _records(graph: Graph) -> Iterator[str]:
    numbers: dict[Node, int] = {}
    shared: dict[str, int] = {}
    for name, value in sorted(graph.inputs.items()):
        numbers[value.node] = len(numbers)
        yield f"input {name!r} {value.type.dtype.value}{_plain(value.type.shape)}"
    count = len(numbers)
    for node in _met(graph):
        if node in numbers:
            continue
        record = _record(node, numbers)
        number = count if is_itself(node) else shared.setdefault(record, count)
        numbers[node] = number
        if number == count:
            count += 1
            yield record
    for name, value in sorted(graph.outputs.items()):
        yield f"output {name!r} {_ref(value, numbers)}"


def _met(graph: Graph) -> Iterator[Node]:
    """The nodes that outputs need, inputs before readers, in the order of the walk."""
    seen: set[Node] = set()
    stack = [(v.node, False) for _, v in sorted(graph.outputs.items(), reverse=True)]
    while stack:
        node, entered = stack.pop()
        if entered:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(value.node, False) for value in reversed(node.inputs)]


def _record(node: Node, numbers: dict[Node, int]) -> str:
    inputs = [
        f"{port}={_ref(value, numbers)}"
        for port, value in zip(node.ports, node.inputs, strict=True)
    ]
    return f"{node.op.name} {inputs} {plain_attrs(node)}"


def plain_attrs(node: Node) -> dict[str, Any]:
    """Attributes, filled in, with nothing in them that is only a name or a way of writing."""
    return {name: _plain(value, node.op.table) for name, value in sorted(node.resolved.items())}


def _ref(value: Value, numbers: dict[Node, int]) -> str:
    return f"{numbers[value.node]}.{value.index}"


def _plain(value: Any, table: OpTable | None = None) -> Any:
    """An attribute with nothing in it that is only a name or a way of writing."""
    match value:
        case Axis():
            return int(value)
        case tuple():
            return tuple(_plain(part, table) for part in value)
        case Init():
            return value.name, tuple(map(float, value.args))
        case Layer() if table is not None:
            full = table[value.op].check_attrs(value.attrs)
            return value.op, {name: _plain(v, table) for name, v in sorted(full.items())}
    return value


def is_itself(node: Node) -> bool:
    """Whether two nodes that look like this one are two things."""
    probe = _Probe(node.op.table)
    probe.apply(node.op, node.input_types, node.attrs)
    return probe.found


@final
class _Probe:
    """Runs an expansion over types alone, and notes whether anything in it is itself."""

    def __init__(self, table: OpTable) -> None:
        self._table = table
        self.found = False

    def apply(self, op: OpSpec, types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
        resolved = op.resolved(types, attrs)
        if op.expand is not None:
            out = op.expand(self, types, resolved)
        else:
            assert op.infer is not None
            owned = op.params(types, resolved) if op.params else ()
            self.found = self.found or op.name in _RANDOM or any(True for _ in owned)
            out = op.infer(types, resolved)
        return out if isinstance(out, tuple) else (out,)

    def __call__(self, op: str, *inputs: Any, label: str | None = None, **attrs: Any) -> Any:
        (out,) = self.many(op, *inputs, label=label, **attrs)
        return out

    def many(
        self, op: str, *inputs: Any, label: str | None = None, **attrs: Any
    ) -> tuple[TensorType, ...]:
        spec = self._table[op]
        given, ports, plain = split_named(spec, inputs, attrs)
        return self.apply(spec, Args(given, ports), spec.check_attrs(plain))

    def type(self, value: TensorType) -> TensorType:
        return value
