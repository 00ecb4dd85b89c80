"""From an architecture-level graph back to the `.xg` that builds it.

The scopes say what a person declared; the wiring says what flows where. A body is written as
chains: a layer that reads what the last one gave goes on with `->`, any other begins with the
values it reads, by label. Layers that need a label and have none get their own name as one, which
leaves every address as it is. A block call that no longer holds what its block says becomes a
call of a new block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from typing import final

from xgraph.build.digest import Digester, members, plain
from xgraph.build.write import layer_text, meta_text, router_text, size_text, value_text
from xgraph.build.writer import Item, Writer, starred
from xgraph.diagnostics import InternalError, Report
from xgraph.grammar import format_document, parse
from xgraph.ir import scope as scopes
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Scope
from xgraph.ir.types import BATCH, Axis, Expr
from xgraph.ops import ENTER, LEAVE
from xgraph.source import Source


def unbuild(graph: Graph) -> str:
    """The `.xg` text of an architecture-level graph, in canonical form."""
    printer = _Printer(graph)
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
        self.digester = Digester(graph)
        self.members = members(graph)
        self.children: dict[Scope | None, list[Scope]] = {}
        for scope in graph.scopes:
            self.children.setdefault(scope.parent, []).append(scope)
        self.needed: set[str] = set()
        self.twins: dict[str, str] = {}
        """The address of a copy, to that of the copy written in its place."""
        self.blocks: dict[str, tuple[str, str]] = {}
        """New blocks: digest to name and text."""
        self.used: set[str] = set()
        self._streams()
        self._readers()

    # ------------------------------------------------------------------------ what is read

    def _streams(self) -> None:
        """Under which names the final value of each point can be read."""
        final_: dict[str, Value] = {a: plain(v) for a, v in self.graph.points.items()}
        merges = [n for n in self.graph.nodes() if n.rebinds]
        for node in self._in_text_order(merges):
            for address, value in zip(node.rebinds, node.outputs, strict=True):
                final_[address] = value
                self.needed.add(address)
        self.names: dict[Value, list[str]] = {}
        self.final = final_
        for address, value in final_.items():
            self.names.setdefault(value, []).append(address)
        for scope in self.graph.scopes:
            if isinstance(scope, scopes.Connect):
                self.needed |= {scope.source, *scope.targets}
            if isinstance(scope, scopes.Route):
                self.needed |= {*scope.sources, *scope.targets}

    def _in_text_order(self, nodes: Iterable[Node]) -> list[Node]:
        order = {scope: i for i, scope in enumerate(self.graph.scopes)}
        return sorted(nodes, key=lambda n: (order.get(n.scope, 0) if n.scope else 0, n.id))

    def _readers(self) -> None:
        self.reads: dict[Value, int] = {}
        for node in self.graph.nodes():
            for value in node.inputs if node.op not in (ENTER, LEAVE) else ():
                self.reads[plain(value)] = self.reads.get(plain(value), 0) + 1

    def canonical(self, address: str) -> str:
        """The address as it is written: within the copy that stands for its array."""
        parts = address.split(".")
        for end in range(1, len(parts) + 1):
            head = ".".join(parts[:end])
            if head in self.twins:
                return self.canonical(".".join([self.twins[head], *parts[end:]]))
        return address

    # ----------------------------------------------------------------------------- whole

    def run(self) -> str:
        for _ in range(len(self.graph) + 2):
            before = len(self.needed)
            self.blocks.clear()
            self.used.clear()
            needed = {self.canonical(a) for a in self.needed}
            self.needed |= needed
            text = self._document()
            if len(self.needed) == before:
                return text
        raise InternalError("unbuild", "labels do not settle")

    def _document(self) -> str:
        body = self._declarations(None)
        for name, value in self.graph.outputs.items():
            if not any(
                isinstance(s, scopes.Output) and s.address == name for s in self.graph.scopes
            ):
                text = self.ref(plain(value), "")
                body.append(f"output {name}" if text == name else f"output {name} = {text}")
        new = [text for _, text in self.blocks.values()]
        lines = [f"network {self.graph.name}", *self._prelude("\n".join([*body, *new]))]
        return "\n\n".join([*lines, *new, *body]) + "\n"

    def _prelude(self, text: str) -> list[str]:
        """The declarations without layers that the rest needs."""
        kept: list[str] = []
        for part in reversed(self.graph.prelude):
            name = part.split("(")[0].split()[1]
            keyword = part.split()[0]
            if re.search(rf"\b{name}\b", text) and (keyword != "block" or name in self.used):
                kept.append(part)
                if keyword == "block":
                    self.used |= set(re.findall(r"[A-Za-z_]\w*", part))
                text += part
        declared = {part.split()[1] for part in kept if part.startswith("dim ")}
        for dim in sorted(self._dims(), key=str):
            name = dim.name if isinstance(dim, Axis) else str(dim)
            if name not in declared:
                size = f" = {int(dim)}" if isinstance(dim, Axis) else ""
                kept.append(f"dim {name}{size}")
        return kept[::-1]

    def _dims(self) -> set[Axis | Expr]:
        found: dict[str, Axis | Expr] = {}
        for value in self.graph.inputs.values():
            for dim in value.type.features:
                if isinstance(dim, Axis):
                    found[dim.name] = dim
                elif isinstance(dim, Expr) and str(dim) != BATCH:
                    found[str(dim)] = dim
        return set(found.values())

    def _declarations(self, parent: Scope | None) -> list[str]:
        out: list[str] = []
        arrays = self._arrays(parent)
        for scope in self.children.get(parent, []):
            match scope:
                case scopes.Modality():
                    out.append(self._modality(scope))
                case scopes.SuperLayer(index=None) | scopes.Fusion():
                    out.append(self._bodied(scope, scope.address))
                case scopes.SuperLayer():
                    first, last, only = arrays[scope]
                    if first is scope:
                        name = scope.address.rpartition(".")[0]
                        low, high = scope.index or 0, last.index or 0
                        count = str(high + 1) if only else f"{low} .. {high}"
                        out.append(self._bodied(scope, f"{name}[{count}]"))
                case scopes.Let():
                    out.append(f"let {scope.address} = {self._expression(scope)}")
                case scopes.Output():
                    text = self._expression(scope)
                    out.append(f"output {scope.address} = {text}")
                case scopes.Connect():
                    out.append(self._connect(scope))
                case scopes.Route():
                    out.append(self._route(scope))
                case scopes.Each():
                    inner = "\n".join(self._declarations(scope))
                    out.append(f"each {scope.axis} {{\n{inner}\n}}")
                case _:
                    pass
        return out

    def _arrays(self, parent: Scope | None) -> dict[Scope, tuple[Scope, scopes.SuperLayer, bool]]:
        """For each element of an array: the first and last of the run of equal ones it is in, and
        whether that run is the whole array."""
        runs: list[list[scopes.SuperLayer]] = []
        for scope in self.children.get(parent, []):
            if not isinstance(scope, scopes.SuperLayer) or scope.index is None:
                continue
            if scope.index and runs and self._alike(runs[-1][-1], scope):
                runs[-1].append(scope)
                self.twins[scope.address] = runs[-1][0].address
            else:
                runs.append([scope])
        sizes: dict[str, int] = {}
        for run in runs:
            name = run[0].address.rpartition(".")[0]
            sizes[name] = sizes.get(name, 0) + len(run)
        found: dict[Scope, tuple[Scope, scopes.SuperLayer, bool]] = {}
        for run in runs:
            whole = sizes[run[0].address.rpartition(".")[0]] == len(run)
            found |= dict.fromkeys(run, (run[0], run[-1], whole))
        return found

    def _alike(self, a: scopes.SuperLayer, b: scopes.SuperLayer) -> bool:
        same_name = a.address.rpartition(".")[0] == b.address.rpartition(".")[0]
        if not same_name or a.meta != b.meta:
            return False
        if self.digester.digest(a, ()) != self.digester.digest(b, ()):
            return False
        return self._entry_text(a) == self._entry_text(b)

    # ---------------------------------------------------------------------- declarations

    def _modality(self, scope: scopes.Modality) -> str:
        value = self.graph.inputs[scope.address]
        dtype = "" if value.type.dtype.value == "f32" else f"{value.type.dtype.value} "
        dims = ", ".join(map(size_text, value.type.features))
        return f"modality {scope.address}: {dtype}[{dims}]{meta_text(scope.meta)}"

    def _bodied(self, scope: Scope, head: str) -> str:
        assert isinstance(scope, (scopes.SuperLayer, scopes.Fusion))
        arguments = ", ".join(self._entry_text(scope))
        lines = self._body(scope, scope.address)
        return f"{scope.kind} {head}({arguments}){meta_text(scope.meta)} {{\n{lines}\n}}"

    def _entries(self, scope: Scope) -> list[Value]:
        """The own values that flow into a body."""
        points, address = self.graph.points, f"{scope.address}.in"
        if address in points:
            return [plain(points[address])]
        found: list[Value] = []
        while (indexed := f"{address}[{len(found)}]") in points:
            found.append(plain(points[indexed]))
        return found

    def _entry_text(self, scope: Scope) -> list[str]:
        """The arguments of a super-layer or fusion."""
        inner = [s for s in self.children.get(scope, []) if isinstance(s, scopes.Argument)]
        made = {node: s for s in inner for node in self.members.get(s, [])}
        texts: list[str] = []
        for value in self._entries(scope):
            if value.node in made:
                texts.append(self._expression(made[value.node]))
            else:
                texts.append(self.ref(value, ""))
        return starred(texts, self.array_sizes)

    @cached_property
    def array_sizes(self) -> dict[str, int]:
        """How many super-layers each array has."""
        sizes: dict[str, int] = {}
        for scope in self.graph.scopes:
            if isinstance(scope, scopes.SuperLayer) and scope.index is not None:
                name = scope.address.rpartition(".")[0]
                sizes[name] = sizes.get(name, 0) + 1
        return sizes

    def _connect(self, scope: scopes.Connect) -> str:
        nodes = [n for n in self.members.get(scope, []) if not n.rebinds]
        targets = starred([self.place(a) for a in scope.targets], self.array_sizes)
        text = f"connect {self.place(scope.source)} -> {', '.join(targets)}"
        text += f" by {scope.by}" if scope.by != "concat" else ""
        text += meta_text(scope.meta)
        if nodes:
            own = plain(self.graph.points[scope.source])
            text += f" via {self._chain(scope, scope.address, [own])}"
        return text

    def _route(self, scope: scopes.Route) -> str:
        (node,) = self.members[scope]
        sizes = self.array_sizes
        sources = starred([self.place(a) for a in scope.sources], sizes)
        targets = starred([self.place(a) for a in scope.targets], sizes)
        text = f"route {node.op.name} {', '.join(sources)}"
        if scope.targets != scope.sources:
            text += f" -> {', '.join(targets)}"
        return text + router_text(node)

    # --------------------------------------------------------------------- chains, bodies

    def place(self, address: str) -> str:
        """A point as it is written anywhere: `path[0].c2`."""
        return _dotted(address)

    def ref(self, value: Value, frame: str) -> str:
        """A name for `value` within the body at `frame`."""
        value = plain(value)
        names = [a for a in self.names.get(value, []) if self._visible(a, frame)]
        best = min(names, key=lambda a: self._rank(a, frame), default=None)
        if best is None:
            node = value.node
            suffix = f"[{value.index}]" if len(node.outputs) > 1 else ""
            self.needed.add(self.canonical(node.address))
            best = f"{node.address}{suffix}"
        elif not self._declared(best):
            self.needed.add(self.canonical(best.partition("[")[0]))
        if frame and best.startswith(f"{frame}."):
            return _dotted(best[len(frame) + 1 :])
        return _dotted(best)

    def _visible(self, address: str, frame: str) -> bool:
        """What enters a block or an element of a `repeat` has its name only inside of it."""
        return self.inner_entries.get(address.partition("[")[0], frame) == frame

    @cached_property
    def inner_entries(self) -> dict[str, str]:
        """The `in` and parameters of blocks and repeated bodies, and where each belongs."""
        found: dict[str, str] = {}
        for scope in self.graph.scopes:
            if isinstance(scope, (scopes.Call, scopes.Label)):
                names = ("in", *scope.values) if isinstance(scope, scopes.Call) else ("in",)
                found |= {f"{scope.address}.{name}": scope.address for name in names}
        return found

    def _rank(self, address: str, frame: str) -> tuple[bool, bool, int, str]:
        inside = bool(frame) and address.startswith(f"{frame}.")
        entry = inside and address[len(frame) + 1 :].partition("[")[0] == "in"
        ends_in = address.rpartition(".")[2].partition("[")[0] == "in"
        return (not inside, ends_in and not entry, address.count("."), address)

    def _declared(self, address: str) -> bool:
        """Whether a point is written as a label, a parameter or a declaration anyway."""
        bare = address.partition("[")[0]
        return bare in self._labels

    @property
    def _labels(self) -> set[str]:
        return self.needed

    def _items(self, scope: Scope, frame: str) -> list[Item]:
        """What stands directly in a scope, in order."""
        seen: set[Scope] = set()
        found: list[Item] = []
        for node in self.members.get(scope, []):
            if node.rebinds or node.op in (ENTER, LEAVE):
                continue
            child = self._child(node, scope)
            if child is None:
                found.append(self._layer_item(node, frame))
            elif child not in seen and not isinstance(child, scopes.Argument):
                seen.add(child)
                if self._repeated(child) is not child:
                    found.append(self._scope_item(child, frame))
        return found

    def _child(self, node: Node, scope: Scope) -> Scope | None:
        """The scope directly within `scope` that holds `node`, None if `scope` does."""
        below: Scope | None = None
        for inner in node.scope.chain() if node.scope else ():
            if inner is scope:
                return below
            below = inner
        return below

    def _layer_item(self, node: Node, frame: str) -> Item:
        required = len(node.inputs)
        optional = [p.name for p in node.op.optional_ports]
        named = [
            (port, plain(value))
            for port, value in zip(node.ports, node.inputs, strict=True)
            if port in optional
        ]
        inputs = [plain(v) for v in node.inputs[: required - len(named)]]
        label = self._label(node.address)
        return Item(node.address, layer_text(node), inputs, named, list(node.outputs), label)

    def _label(self, address: str) -> str | None:
        """The label that a layer or call is written with."""
        points = self.graph.points
        if address in points or f"{address}[0]" in points or self.canonical(address) in self.needed:
            return _index_label(address)
        return None

    def _scope_item(self, scope: Scope, frame: str) -> Item:
        results = self._results(scope)
        entries = self._entries(scope)
        label: str | None = _index_label(scope.address)
        if isinstance(scope, scopes.Call):
            if not (scope.labelled or self.canonical(scope.address) in self.needed):
                label = None
            text, extra = self._call(scope)
            return Item(scope.address, text, entries, [], results, label, extra)
        if not entries:
            return self._labelled_chain(scope, frame, results, label)
        base = scope.address.rpartition(".")[0]
        run = self.runs.get(base)
        if run is None:
            text = self._outlined(scope, (), base.rpartition(".")[2])
            return Item(scope.address, text, entries, [], results, label)
        text = f"repeat {len(run)} {{\n{self._body(scope, scope.address)}\n}}"
        return Item(base, text, entries, [], self._results(run[-1]), base.rpartition(".")[2])

    @cached_property
    def runs(self) -> dict[str, list[Scope]]:
        """Arrays of labels that a `repeat` can write: alike, and each flowing into the next."""
        arrays: dict[str, list[Scope]] = {}
        for scope in self.graph.scopes:
            base, _, last = scope.address.rpartition(".")
            if isinstance(scope, scopes.Label) and last.isdigit() and self._entries(scope):
                arrays.setdefault(base, []).append(scope)
        found = {}
        for base, run in arrays.items():
            alike = len({self.digester.digest(scope, ()) for scope in run}) == 1
            chained = all(self._entries(b) == self._results(a) for a, b in pairwise(run))
            if alike and chained:
                found[base] = run
                self.twins |= {scope.address: run[0].address for scope in run[1:]}
        return found

    def _repeated(self, scope: Scope) -> Scope | None:
        """`scope` itself if the `repeat` of an earlier element writes it."""
        run = self.runs.get(scope.address.rpartition(".")[0], [])
        return scope if scope in run[1:] else None

    def _labelled_chain(
        self, scope: Scope, frame: str, results: list[Value], label: str | None
    ) -> Item:
        items = self._items(scope, frame)
        start = items[0].inputs if items else []
        return Item(
            scope.address, "", start, [], results, label,
            chain=lambda flowing: self._chain(scope, frame, flowing),
        )  # fmt: skip

    def _results(self, scope: Scope) -> list[Value]:
        points, address = self.graph.points, scope.address
        if address in points:
            return [plain(points[address])]
        found: list[Value] = []
        while (indexed := f"{address}[{len(found)}]") in points:
            found.append(plain(points[indexed]))
        return found

    def _call(self, scope: scopes.Call) -> tuple[str, list[tuple[str, Value]]]:
        """A use of a block, of a new one if it was changed; and the values it is given."""
        points = self.graph.points
        extra = [(name, plain(points[f"{scope.address}.{name}"])) for name in scope.values]
        digest = self.digester.digest(scope, scope.values)
        if self.graph.digests.get(scope.address) == digest:
            self.used.add(scope.block)
            given = ", ".join(
                value_text(v) if i < scope.leading else f"{k} = {value_text(v)}"
                for i, (k, v) in enumerate(scope.args.items())
            )
            return f"{scope.block}({given})" if given else scope.block, extra
        return self._outlined(scope, scope.values, scope.block), extra

    def _outlined(self, scope: Scope, values: tuple[str, ...], base: str) -> str:
        """The name of a block that holds what `scope` holds."""
        digest = self.digester.digest(scope, values)
        if digest not in self.blocks:
            name = self._new_name(base)
            self.blocks[digest] = (name, "")
            body = self._body(scope, scope.address)
            text = f"block {name}({', '.join(values)}) {{\n{body}\n}}"
            # A block is declared before those that use it.
            self.blocks.pop(digest)
            self.blocks[digest] = (name, text)
        return self.blocks[digest][0]

    def _new_name(self, base: str) -> str:
        taken = {part.split("(")[0].split()[1] for part in self.graph.prelude}
        taken |= {name for name, _ in self.blocks.values()}
        taken |= {part for a in self.graph.points for part in re.split(r"[.\[]", a)}
        number = 2
        while f"{base}_{number}" in taken:
            number += 1
        return f"{base}_{number}"

    def _body(self, scope: Scope, frame: str) -> str:
        """The statements of a body."""
        start = self._entries(scope)
        if len(start) == 1:
            start = [plain(self.final[f"{scope.address}.in"])]
        return "\n".join(self._write(scope, frame, start, nested=False))

    def _chain(self, scope: Scope, frame: str, start: list[Value]) -> str:
        """What a scope holds as one chain that `start` flows into."""
        statements = self._write(scope, frame, start, nested=True)
        if len(statements) != 1:
            raise InternalError("unbuild", f"`{scope.address}` is not one chain")
        return statements[0]

    def _expression(self, scope: Scope) -> str:
        """What a scope holds as a chain that begins with values."""
        statements = self._write(scope, "", [], nested=True)
        if statements:
            return statements[-1]
        value = self.graph.outputs.get(scope.address)
        return self.ref(value if value is not None else self._results(scope)[0], "")

    def _write(self, scope: Scope, frame: str, start: list[Value], *, nested: bool) -> list[str]:
        writer = Writer(self, frame, start, nested=nested)
        for item in self._items(scope, frame):
            writer.add(item)
        return writer.finish(None if nested else self._results(scope))


def _index_label(address: str) -> str:
    """The label of a place: its last name, with an index for an element of an array."""
    base, _, last = address.rpartition(".")
    return f"{base.rpartition('.')[2]}[{last}]" if last.isdigit() else last


def _dotted(address: str) -> str:
    """`path.0.c2` as `path[0].c2`."""
    return re.sub(r"\.(\d+)(?=\.|\[|$)", r"[\1]", address)
