"""From plain data to a graph (`xgraph.ir.data` says what the data looks like).

Nothing is trusted: what comes back is a graph that `verify` has no complaint about, or
`Malformed` says what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields
from typing import Any, get_args

from xgraph.diagnostics import did_you_mean
from xgraph.ir.graph import META, Graph, Level, Node, Value
from xgraph.ir.invariants import problems
from xgraph.ir.op import REQUIRED, Fault, OpSpec, OpTable
from xgraph.ir.plain import Malformed, Plain, decode_map, need, only
from xgraph.ir.scope import SCOPES, Scope

FORMAT, VERSION = "xgraph-graph", 1
MAX_NODES = 100_000

Data = dict[str, Plain]


def restore(data: Plain, ops: OpTable) -> Graph:
    """The graph that `data` describes; `Malformed` if it is none."""
    _check_head(need(data, dict, "a graph"))
    level = data.get("level")
    if level not in get_args(Level):
        raise Malformed(f"a level is one of {', '.join(get_args(Level))}")
    graph = Graph(need(data.get("name"), str, "the name"), level)
    graph.prelude = _texts(data.get("prelude", []), "the prelude")
    graph.source_text = need(data.get("source_text", ""), str, "the source text")
    graph.digests = {
        k: need(v, str, "a digest") for k, v in _items(data, "digests") if isinstance(k, str)
    }
    graph.meta = _meta(data)
    scopes = _read_scopes(graph, data, ops)
    nodes = _read_nodes(graph, data, ops, scopes)
    graph.points = _read_values(data, "points", nodes)
    graph.outputs = _read_values(data, "outputs", nodes)
    _check(graph, nodes)
    return graph


def _meta(data: Data) -> dict[str, str]:
    meta = need(data.get("meta", {}), dict, "`meta`")
    only(meta, tuple(META), "what is known of a graph")
    texts = {name: need(text, str, f"`{name}`") for name, text in meta.items()}
    for name, text in texts.items():
        if not text.isprintable():
            raise Malformed(f"`{name}` must be one line of text")
        if not META[name].fullmatch(text):
            raise Malformed(f"`{name}` cannot be {text!r}")
    return texts


def _check_head(data: Data) -> None:
    known = (
        "format", "version", "name", "level", "prelude", "nodes", "scopes", "points", "outputs",
        "digests", "meta", "source_text",
    )  # fmt: skip
    only(data, known, "a graph")
    if data.get("format") != FORMAT:
        raise Malformed(f'this is not a graph of xgraph: its `format` is not "{FORMAT}"')
    if data.get("version") != VERSION:
        raise Malformed(
            f"this graph is of version {data.get('version')}, and version {VERSION} is read",
            "install the xgraph that wrote it, or write it anew from the `.xg`",
        )


def _check(graph: Graph, nodes: list[Node]) -> None:
    numbers = {node: i for i, node in enumerate(nodes)}
    for problem in problems(graph, graph.level):
        place = ("nodes", numbers[problem.node]) if problem.node else None
        raise Malformed(str(problem), None, place)


def _items(data: Data, section: str) -> list[tuple[Any, Plain]]:
    return list(need(data.get(section, {}), dict, f"`{section}`").items())


def _texts(plain: Plain, what: str) -> tuple[str, ...]:
    return tuple(need(text, str, f"each of {what}") for text in need(plain, list, what))


@contextmanager
def _at(section: str, key: int | str) -> Iterator[None]:
    """Gives what goes wrong inside its place."""
    try:
        yield
    except Malformed as error:
        error.place = (section, key)
        raise
    except Fault as fault:
        raise Malformed(fault.message, fault.help, (section, key)) from None


def _read_scopes(graph: Graph, data: Data, ops: OpTable) -> list[Scope]:
    plain = need(data.get("scopes", []), list, "`scopes`")
    if len(plain) > MAX_NODES:
        raise Malformed(f"a graph may have {MAX_NODES} scopes, and this has {len(plain)}")
    scopes: list[Scope] = []
    for number, item in enumerate(plain):
        with _at("scopes", number):
            scope = _read_scope(need(item, dict, "a scope"), scopes, ops)
            if not need(item.get("loose", False), bool, "`loose`"):
                graph.scopes.append(scope)
        scopes.append(scope)
    return scopes


_KINDS = {kind.kind: kind for kind in SCOPES}


def _read_scope(item: Data, before: list[Scope], ops: OpTable) -> Scope:
    kind = _KINDS.get(need(item.get("kind"), str, "the kind of a scope"))
    if kind is None:
        raise Malformed(f"`{item['kind']}` is no kind of scope", did_you_mean(item["kind"], _KINDS))
    own = {field.name: field for field in own_fields(kind)}
    only(item, ("kind", "address", "parent", "loose", *own), f"a scope of kind `{kind.kind}`")
    given: dict[str, Any] = {}
    for name, field in own.items():
        if name in item:
            given[name] = _read_field(item[name], str(field.type), name, ops)
        elif field_default(field) is REQUIRED:
            raise Malformed(f"a scope of kind `{kind.kind}` needs `{name}`")
    address = need(item.get("address"), str, "the address of a scope")
    return kind(address=address, parent=_scope_at(item.get("parent"), before), **given)


def _scope_at(number: Plain, scopes: list[Scope]) -> Scope | None:
    if number is None:
        return None
    if not 0 <= need(number, int, "the number of a scope") < len(scopes):
        raise Malformed(f"there is no scope {number} before this")
    return scopes[number]


def _read_field(plain: Plain, kind: str, name: str, ops: OpTable) -> Any:
    """A field of a scope, of the kind that its dataclass declares."""
    what = f"`{name}`"
    match kind:
        case "str":
            return need(plain, str, what)
        case "bool":
            return need(plain, bool, what)
        case "int" | "int | None":
            return None if plain is None and "None" in kind else need(plain, int, what)
        case "tuple[str, ...]":
            return _texts(plain, what)
        case "Meta":
            values = decode_map(plain, ops)
            if all(isinstance(v, (int, float, str)) for v in values.values()):
                return values
            raise Malformed(f"{what} may hold numbers, texts, true and false only")
        case "Mapping[str, object]":
            return decode_map(plain, ops)
    raise NotImplementedError(f"a field of kind {kind} in a scope")


_NODE_KEYS = ("op", "inputs", "attrs", "address", "scope", "rebinds", "types")

_CRASHES = (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError)
"""What a shape rule may raise for attributes that no front end would give it."""


def _read_nodes(graph: Graph, data: Data, ops: OpTable, scopes: list[Scope]) -> list[Node]:
    plain = need(data.get("nodes", []), list, "`nodes`")
    if len(plain) > MAX_NODES:
        raise Malformed(f"a graph may have {MAX_NODES} nodes, and this has {len(plain)}")
    nodes: list[Node] = []
    for number, item in enumerate(plain):
        with _at("nodes", number):
            only(need(item, dict, "a node"), _NODE_KEYS, "a node")
            name = need(item.get("op"), str, "an op")
            if name not in ops:
                raise Malformed(f"there is no op `{name}`", did_you_mean(name, ops))
            nodes.append(_read_node(graph, item, ops[name], nodes, scopes, ops))
    return nodes


def _read_node(
    graph: Graph, item: Data, op: OpSpec, nodes: list[Node], scopes: list[Scope], ops: OpTable
) -> Node:
    values, ports = _read_inputs(item, op, nodes)
    attrs = decode_map(item.get("attrs", {}), ops)
    address = need(item.get("address", ""), str, "an address")
    scope = _scope_at(item.get("scope"), scopes)
    rebinds = _texts(item.get("rebinds", []), "`rebinds`")
    try:
        node = graph.add(
            op, values, attrs, ports=ports, address=address, scope=scope, rebinds=rebinds
        )
    except _CRASHES as error:
        raise Malformed(f"`{op.name}` cannot take these attributes: {error}") from None
    types = [str(value.type) for value in node.outputs]
    if item.get("types", types) != types:
        raise Malformed(f"the type written is not the type it has, {', '.join(types)}")
    return node


def _read_inputs(
    item: Data, op: OpSpec, nodes: list[Node]
) -> tuple[tuple[Value, ...], tuple[str, ...]]:
    values, named = [], []
    optional = [port.name for port in op.optional_ports]
    for plain in need(item.get("inputs", []), list, "`inputs`"):
        ref = need(plain, list, "an input")
        values.append(_value_at(ref[:2], nodes))
        if len(ref) > 2:
            port = need(ref[2], str, "a port")
            if len(ref) > 3 or port not in optional or port in named:
                raise Malformed(f"`{op.name}` takes no `{port}` here", did_you_mean(port, optional))
            named.append(port)
        elif named:
            raise Malformed("inputs with a port come after those without")
    return tuple(values), op.ports(len(values) - len(named), named)


def _value_at(ref: Plain, nodes: list[Node]) -> Value:
    if len(need(ref, list, "a value")) != 2:
        raise Malformed("a value is the number of a node and that of an output")
    number, index = (need(part, int, "the number of a value") for part in ref)
    if not 0 <= number < len(nodes):
        raise Malformed(f"there is no node {number} before this")
    if not 0 <= index < len(nodes[number].outputs):
        raise Malformed(f"node {number} has no output {index}")
    return nodes[number].outputs[index]


def _read_values(data: Data, section: str, nodes: list[Node]) -> dict[str, Value]:
    found = {}
    for name, ref in _items(data, section):
        with _at(section, str(name)):
            found[need(name, str, "a name")] = _value_at(ref, nodes)
    return found


def own_fields(kind: type[Scope]) -> list[Field[Any]]:
    """The fields that a kind of scope has beyond those of all."""
    shared = {field.name for field in fields(Scope)}
    return [field for field in fields(kind) if field.name not in shared]


def field_default(field: Field[Any]) -> Any:
    """The default of a field, `REQUIRED` where it has none."""
    if field.default_factory is not MISSING:
        return field.default_factory()
    return REQUIRED if field.default is MISSING else field.default
