"""From an architecture-level graph back to the `.xg` that builds it.

The scopes say what a person declared; the wiring says what flows where. `bodies` writes what
scopes hold and `places` knows the names of values; here are the declarations around them. Layers
that need a label and have none get their own name as one, which leaves every address as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias, final

from xgraph.build.bodies import Bodies, braced
from xgraph.build.digest import Digester, members, plain, values_at
from xgraph.build.names import Names
from xgraph.build.places import Frame, Places, dotted, starred
from xgraph.build.write import meta_text, router_text, size_text, string_text
from xgraph.diagnostics import InternalError, Report
from xgraph.grammar import format_document, parse
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Value
from xgraph.ir.scope import Scope
from xgraph.ir.types import BATCH, Axis, Expr, symbol
from xgraph.source import Source

Bodied: TypeAlias = scopes.SuperLayer | scopes.Fusion


def unbuild(graph: Graph, labels: Iterable[str] = ()) -> str:
    """The `.xg` text of an architecture-level graph, in canonical form.

    `labels` are addresses of layers that get their own name as a label, so that declarations that
    are added to the text can name them.
    """
    printer = _Printer(graph)
    printer.need(*labels)
    text = printer.run()
    report = Report()
    document = parse(Source("<graph>", text), report)
    if report.errors:
        raise InternalError("unbuild", str(report.errors[0]), text)
    return format_document(document)


@final
class _Printer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.members = members(graph)
        digester = Digester(graph, self.members)
        self.places = Places(graph, digester.final)
        self.bodies = Bodies(graph, self.places, digester, self.members)
        self.children: dict[Scope | None, list[Scope]] = {}
        for scope in graph.scopes:
            self.children.setdefault(scope.parent, []).append(scope)
        self.pieces = self._pieces(digester)
        for scope in graph.scopes:
            if isinstance(scope, scopes.Connect):
                self.need(scope.source, *scope.targets)
            elif isinstance(scope, scopes.Route):
                self.need(*scope.sources, *scope.targets)

    def need(self, *addresses: str) -> None:
        """Have the labels of places written."""
        for address in addresses:
            self.places.need(address)

    def run(self) -> str:
        """The text. A label that turns out to be needed may stand above, so it is written anew
        until none is missing."""
        for _ in range(len(self.graph) + 2):
            before = len(self.places.needed)
            self.bodies.restart()
            text = self._document()
            if len(self.places.needed) == before:
                return text
        raise InternalError("unbuild", "labels do not settle")

    def _document(self) -> str:
        body = [*self._declarations(None), *self._outputs()]
        new = [text for _, text in self.bodies.blocks.values()]
        prelude = self._prelude("\n".join([*body, *new]))
        return _joined([self._network(), *prelude, *new, *body]) + "\n"

    def _network(self) -> str:
        given = (f"{k} = {string_text(text)}" for k, text in self.graph.meta.items())
        return f"network {self.graph.name}" + (
            f" with {', '.join(given)}" if self.graph.meta else ""
        )

    def _prelude(self, text: str) -> list[str]:
        """The declarations without layers that the rest needs."""
        kept: list[str] = []
        for part in reversed(self.graph.prelude):
            name = part.split("(")[0].split()[1]
            keyword = part.split()[0]
            if re.search(rf"\b{name}\b", text) and (keyword != "block" or name in self.bodies.used):
                kept.append(part)
                if keyword == "block":
                    self.bodies.used |= set(re.findall(r"[A-Za-z_]\w*", part))
                text += part
        declared = {part.split()[1] for part in kept if part.startswith("dim ")}
        for dim in sorted(self._dims(), key=str):
            name = dim.name if isinstance(dim, Axis) else str(dim)
            if name not in declared:
                size = f" = {int(dim)}" if isinstance(dim, Axis) else ""
                kept.append(f"dim {name}{size}")
        return kept[::-1]

    def _dims(self) -> set[Axis | Expr]:
        """The dims that shapes of modalities name, known and open ones."""
        found: set[Axis | Expr] = set()
        for value in self.graph.inputs.values():
            for dim in value.type.features:
                if isinstance(dim, Axis):
                    found.add(dim)
                elif isinstance(dim, Expr):
                    found |= {symbol(name) for name in dim.symbols - {BATCH}}
        return found

    def _outputs(self) -> Iterator[str]:
        """The outputs, in their order, at the end: what they read is final."""
        computed = {s.address: s for s in self.graph.scopes if isinstance(s, scopes.Output)}
        for name, value in self.graph.outputs.items():
            scope = computed.get(name)
            text = self.bodies.chain(scope, None, "layer") if scope else None
            text = text or self.places.ref(plain(value), None)
            yield f"output {name}" if text == name else f"output {name} = {text}"

    # ----------------------------------------------------------------------- declarations

    def _declarations(self, parent: Scope | None) -> list[str]:
        texts = map(self._declaration, self.children.get(parent, []))
        return [text for text in texts if text]

    def _declaration(self, scope: Scope) -> str:
        """A declaration; nothing for a scope that another one writes."""
        match scope:
            case scopes.Modality():
                return self._modality(scope)
            case scopes.Fusion() | scopes.SuperLayer(index=None):
                return self._bodied(scope, scope.address)
            case scopes.SuperLayer():
                return self._piece(scope)
            case scopes.Let():
                return self._let(scope)
            case scopes.Connect():
                return self._connect(scope)
            case scopes.Route():
                return self._route(scope)
            case scopes.Each():
                inner = _joined(self._declarations(scope))
                return f"each {scope.axis} {{\n{inner}\n}}"
        return ""

    def _modality(self, scope: scopes.Modality) -> str:
        value = self.graph.inputs[scope.address]
        dtype = "" if value.type.dtype.value == "f32" else f"{value.type.dtype.value} "
        dims = ", ".join(map(size_text, value.type.features))
        return f"modality {scope.address}: {dtype}[{dims}]{meta_text(scope.meta)}"

    def _bodied(self, scope: Bodied, head: str) -> str:
        names = self.bodies.labels(scope, Frame(scope.address))
        arguments = ", ".join(self._arguments(scope, names))
        lines = self.bodies.body(scope, Frame(scope.address), names=names)
        return f"{scope.kind} {head}({arguments}){meta_text(scope.meta)} {braced(lines)}"

    def _arguments(self, scope: Bodied, names: Names) -> list[str]:
        """What flows into a super-layer or fusion, as it is written."""
        inner = [s for s in self.children.get(scope, []) if isinstance(s, scopes.Argument)]
        made = {node: s for s in inner for node in self.members.get(s, [])}
        texts: list[str] = []
        written: set[Scope] = set()
        for value in values_at(self.graph, f"{scope.address}.in"):
            argument = made.get(value.node)
            if argument is None:
                texts.append(self.places.ref(value, None))
            elif argument not in written:
                written.add(argument)
                text = self.bodies.chain(argument, None, "chain", names=names)
                texts.append(text or "")
        return starred(texts, self.bodies.sizes)

    def _let(self, scope: scopes.Let) -> str:
        values = values_at(self.graph, scope.address)
        if len(values) > 1 and values != list(values[0].node.outputs):
            text = f"[{', '.join(self.bodies.each_of(scope, values))}]"
        else:
            text = self.bodies.chain(scope, None, "layer") or self._named_again(scope, values)
        return f"let {scope.address} = {text}"

    def _named_again(self, scope: scopes.Let, values: list[Value]) -> str:
        if len(values) == 1:
            return self.places.ref(values[0], None, scope.address)
        return self.places.all_of(values, None, scope.address)

    def _connect(self, scope: scopes.Connect) -> str:
        source, *targets = map(dotted, (scope.source, *scope.targets))
        text = f"connect {source} -> {', '.join(starred(targets, self.bodies.sizes))}"
        text += f" by {scope.by}" if scope.by != "concat" else ""
        text += meta_text(scope.meta)
        flow = [self.places.own(scope.source)]
        via = self.bodies.chain(scope, None, "chain", flow, Names())
        return text if via is None else f"{text} via {via}"

    def _route(self, scope: scopes.Route) -> str:
        (node,) = self.members[scope]
        sizes = self.bodies.sizes
        text = f"route {node.op.name} {', '.join(starred(map(dotted, scope.sources), sizes))}"
        if scope.targets != scope.sources:
            text += f" -> {', '.join(starred(map(dotted, scope.targets), sizes))}"
        return text + router_text(node)

    # ----------------------------------------------------------------------------- arrays

    def _piece(self, scope: scopes.SuperLayer) -> str:
        """The elements of an array from `scope` on that are alike, in one declaration."""
        run = self.pieces.get(scope)
        if run is None:
            return ""
        name, _, first = scope.address.rpartition(".")
        whole = len(run) == self.bodies.sizes[name]
        return self._bodied(
            scope, f"{name}[{len(run)}]" if whole else f"{name}[{first} .. {run[-1].index}]"
        )

    def _pieces(self, digester: Digester) -> dict[Scope, list[scopes.SuperLayer]]:
        """The runs of equal elements of each array, by their first."""
        runs: list[list[scopes.SuperLayer]] = []
        for scope in self.graph.scopes:
            if not isinstance(scope, scopes.SuperLayer) or scope.index is None:
                continue
            if scope.index and runs and _are_alike(runs[-1][-1], scope, digester):
                runs[-1].append(scope)
                self.places.twins[scope.address] = runs[-1][0].address
            else:
                runs.append([scope])
        return {run[0]: run for run in runs}


def _are_alike(a: scopes.SuperLayer, b: scopes.SuperLayer, digester: Digester) -> bool:
    return (
        a.address.rpartition(".")[0] == b.address.rpartition(".")[0]
        and a.parent is b.parent
        and a.meta == b.meta
        and digester.arguments(a) == digester.arguments(b)
        and digester.digest(a) == digester.digest(b)
    )


def _joined(declarations: Sequence[str]) -> str:
    """Declarations with blank lines between, but for short ones of a kind."""
    text = declarations[0] if declarations else ""
    for above, below in pairwise(declarations):
        alike = above.split()[0] == below.split()[0] and "\n" not in f"{above}{below}"
        text += ("\n" if alike else "\n\n") + below
    return text
