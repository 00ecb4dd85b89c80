"""The text of a graph, for people, tests and reports of bugs; and its exact reader.

    graph basecnn architecture {
      %image = input() {shape=[N, 3, 32, 32]} : f32[N, 3, 32, 32] @image in modality:image
      %1 = conv(%image) {filters=32, kernel=3} : f32[N, 32, 32, 32] @y.b1.conv1 in label:y.b1
      %2:2 = cc(%1, %1) {outputs=2} : f32[...], f32[...] @cc rebinds a.b1, b.b1 in route:cc
      %3 = lstm(%2.0, lengths=%n) ...
      output logits = %3
      point y.b1 = %1
      scope label:y.b1 in superlayer:y
      meta encoding "head: (5, 3, 1)"
      prelude "dim T"
    }

Only attributes that differ from their defaults are shown. Scopes are named by kind and address,
with `#2` where an earlier one has the same. `read` takes values of any names, and types may be
left out, so graphs are easily written by hand; where they are written they must be right.
`xgraph.ir.data` defines what is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import final

from xgraph.diagnostics import fail
from xgraph.ir.data import to_data
from xgraph.ir.graph import Graph
from xgraph.ir.op import OpTable
from xgraph.ir.plain import Malformed, Plain
from xgraph.ir.restore import Data, restore
from xgraph.ir.textread import parse
from xgraph.source import Source

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def dump(graph: Graph) -> str:
    """The text of `graph`, the same for equal graphs. Unsound graphs are printed too."""
    data = to_data(graph)
    lines = _Lines(data)
    head = f"graph {_name(data['name'])} {data['level']} {{\n"
    return head + "".join(f"  {line}\n" for line in lines) + "}\n"


def read(text: str, ops: OpTable, name: str = "<dump>") -> Graph:
    """The graph that `text` shows; `DiagnosticError` (`malformed-graph`) points at the line of
    the first mistake."""
    source = Source(name, text)
    data, spans = parse(source)
    try:
        return restore(data, ops)
    except Malformed as error:
        span = spans.get(error.place) if error.place else None
        raise fail(
            "malformed-graph",
            error.message,
            span=span or source.span(0, len(source.line(1))),
            help=error.help,
        ) from None


@final
class _Lines:
    """The statements of a graph's text."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._values = [_value_name(i, node) for i, node in enumerate(data.get("nodes", []))]
        self._scopes = list(_scope_names(data.get("scopes", [])))

    def __iter__(self) -> Iterator[str]:
        data = self._data
        for name, node in zip(self._values, data.get("nodes", []), strict=True):
            yield self._node(name, node)
        for section in ("output", "point"):
            for name, ref in data.get(f"{section}s", {}).items():
                yield f"{section} {_name(name)} = {self._ref(ref)}"
        for name, scope in zip(self._scopes, data.get("scopes", []), strict=True):
            yield self._scope(name, scope)
        for name, digest in data.get("digests", {}).items():
            yield f"digest {_name(name)} {_quoted(digest)}"
        for name, text in data.get("meta", {}).items():
            yield f"meta {_name(name)} {_quoted(text)}"
        for text in data.get("prelude", []):
            yield f"prelude {_quoted(text)}"

    def _node(self, name: str, node: Data) -> str:
        types = node.get("types", [])
        many = f":{len(types)}" if len(types) != 1 else ""
        inputs = ", ".join(map(self._input, node.get("inputs", [])))
        parts = [f"%{name}{many} = {node['op']}({inputs})"]
        if "attrs" in node:
            parts.append(_map(node["attrs"]))
        parts.append(f": {', '.join(types)}")
        if "address" in node:
            parts.append(f"@{_name(node['address'])}")
        if "rebinds" in node:
            parts.append(f"rebinds {', '.join(map(_name, node['rebinds']))}")
        return " ".join(parts) + self._inside(node.get("scope"))

    def _input(self, ref: list[Plain]) -> str:
        return (f"{ref[2]}=" if len(ref) > 2 else "") + self._ref(ref)

    def _ref(self, ref: list[Plain]) -> str:
        number, index = ref[:2]
        if isinstance(number, str):  # a value from outside the graph
            return f"%{number}.{index}"
        single = len(self._data["nodes"][number].get("types", [])) == 1
        return f"%{self._values[number]}" + ("" if single else f".{index}")

    def _scope(self, name: str, scope: Data) -> str:
        own = {k: v for k, v in scope.items() if k not in ("kind", "address", "parent", "loose")}
        line = f"scope {name}" + self._inside(scope.get("parent"))
        line += " loose" if "loose" in scope else ""
        fields = [f"{k}={_map(v) if isinstance(v, dict) else _value(v)}" for k, v in own.items()]
        return line + (f" {{{', '.join(fields)}}}" if fields else "")

    def _inside(self, scope: Plain) -> str:
        if scope is None:
            return ""
        return f" in {self._scopes[scope] if isinstance(scope, int) else scope}"


def _value_name(number: int, node: Data) -> str:
    address = node.get("address", "")
    return address if node["op"] == "input" and _SIMPLE.fullmatch(address) else str(number)


def _scope_names(scopes: Iterable[Data]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for scope in scopes:
        name = f"{scope['kind']}:{_name(scope['address'])}"
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}"


def _name(text: str) -> str:
    return text if _NAME.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _map(items: Mapping[str, Plain]) -> str:
    return "{" + ", ".join(f"{_name(k)}={_value(v)}" for k, v in items.items()) + "}"


def _value(plain: Plain) -> str:
    match plain:
        case None:
            return "none"
        case bool():
            return "true" if plain else "false"
        case str():
            return _quoted(plain)
        case list():
            return f"[{', '.join(map(_value, plain))}]"
        case {"dim": text}:
            return f"({text})" if text in ("none", "true", "false") else str(text)
        case {"axis": name, "size": size}:
            return f"{name}={size}"
        case {"init": name}:
            return f"{name}({', '.join(map(repr, plain.get('args', [])))})"
        case {"layer": name, "attrs": attrs}:
            return f"{name}{_map(attrs)}"
        case {"word": text}:
            return f"'{_name(text)}"
    return repr(plain)
