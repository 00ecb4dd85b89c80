"""The tree of modules that the addresses of a graph spell.

Every prefix of a parameter's name is a module: a leaf where it is the address of a node, else a
group. Nodes without parameters have no name in the state of the network, so they go where they
read best: into the group that their address names, or further down into the one group that they
only serve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias, final

from xgraph.backends.torch.names import identifier, is_plain, is_taken
from xgraph.diagnostics import InternalError
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Scope


@final
@dataclass(eq=False)
class Group:
    """A module that is made of others."""

    name: str
    parent: Group | None = field(default=None, repr=False)
    members: dict[str, Group | Node] = field(default_factory=dict, repr=False)
    """Modules by name, in the order of their first node."""
    nodes: list[Node] = field(default_factory=list, repr=False)
    """The live nodes right in it, those of its leaves too, in the order of their ids."""
    scope: Scope | None = None
    """What was declared at its address."""
    is_open: bool = False
    """Whether it only holds modules, and a group around it runs them."""

    @property
    def path(self) -> tuple[str, ...]:
        return (*self.parent.path, self.name) if self.parent else ()

    @property
    def address(self) -> str:
        return ".".join(self.path)

    @property
    def title(self) -> str:
        """Its name; that of an element is the array's with its index."""
        if self.parent is None or not is_number(self.name):
            return self.name
        return self.parent.title + self.name

    @property
    def groups(self) -> list[Group]:
        return [member for member in self.members.values() if isinstance(member, Group)]

    @cached_property
    def is_array(self) -> bool:
        """Whether its modules are numbered rather than named; asked once the tree is whole."""
        return self.parent is not None and all(is_number(name) for name in self.members)

    @cached_property
    def is_list(self) -> bool:
        """Whether they are numbered from 0 without a gap."""
        wanted = {str(number) for number in range(len(self.members))}
        return self.is_array and wanted == set(self.members)

    @cached_property
    def attributes(self) -> dict[str, str | None]:
        """The attribute that holds each member; None where a name can be none."""
        held: dict[str, str | None] = {n: n if is_plain(n) else None for n in self.members}
        for name in self.members:
            if is_taken(name):
                text = identifier(name)
                while is_taken(text) or text in held or text in held.values():
                    text += "_"
                held[name] = text
        return held

    def walk(self) -> Iterator[Group]:
        """This group and all within it, from the outside in."""
        waiting = [self]
        while waiting:
            group = waiting.pop()
            yield group
            waiting += reversed(group.groups)

    def chain(self, below: Group) -> list[Group]:
        """The groups around and with this one, from inside `below`."""
        found: list[Group] = []
        group = self
        while group is not below:
            found.append(group)
            assert group.parent is not None
            group = group.parent
        return found[::-1]


Member: TypeAlias = Group | Node


def member_name(member: Member) -> str:
    """The last part of its address."""
    return member.name if isinstance(member, Group) else member.address.rpartition(".")[2]


def is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and (name == "0" or name[0] != "0")


@final
class Tree:
    """The groups of a graph, and where each node stands."""

    def __init__(self, graph: Graph) -> None:
        self.root = Group("")
        self.graph = graph
        nodes = sorted(graph.nodes(), key=lambda node: node.id)
        for node in nodes:
            if node.params:
                self._leaf(node)
        self.home: dict[int, Group] = {}
        """The group of each live node, by its id; inputs have none."""
        self.order: list[Node] = graph.live()
        self.readers: dict[Value, list[Node]] = {}
        for node in self.order:
            if node.op.name != "input":
                self.home[node.id] = self._at(node.address)
            for value in node.inputs:
                self.readers.setdefault(value, []).append(node)
        self.results = set(graph.outputs.values())
        self._sink(nodes)
        for node in nodes:
            if node.id in self.home:
                self.home[node.id].nodes.append(node)
        self._declare(nodes)

    def _leaf(self, node: Node) -> None:
        group = self.root
        *prefix, name = node.address.split(".")
        for part in prefix:
            inner = group.members.setdefault(part, Group(part, group))
            if not isinstance(inner, Group):
                raise self._clash(node, inner)
            group = inner
        taken = group.members.setdefault(name, node)
        if taken is not node:
            raise self._clash(node, taken)

    def _clash(self, node: Node, other: Member) -> InternalError:
        where = other.address
        return InternalError(
            "the torch backend", f"`{node.address}` and `{where}` cannot both own parameters"
        )

    def _at(self, address: str) -> Group:
        """The innermost group that `address` lies in."""
        group = self.root
        for part in address.split(".")[:-1]:
            inner = group.members.get(part)
            if not isinstance(inner, Group):
                break
            group = inner
        return group

    # ------------------------------------------------------ nodes that serve one group alone

    def _sink(self, nodes: list[Node]) -> None:
        """Move nodes without parameters that stand between the nodes of one group into it."""
        free = [node for node in self.order if node.id in self.home and not node.params]
        while free:
            moved = self._between(free)
            self.home |= moved
            free = [node for node in free if node.id in moved]

    def _between(self, free: list[Node]) -> dict[int, Group]:
        """Those of `free` whose inputs come from, and whose readers are in, one group right below
        their own, with that group."""
        moved: dict[int, Group] = {}
        for node in free:
            sides = {self._side(node, value.node, moved) for value in node.inputs}
            if len(sides) == 1 and (side := sides.pop()) is not None:
                moved[node.id] = side
        waiting = [node for node in free if node.id in moved]
        while waiting:
            node = waiting.pop()
            if node.id in moved and not self._is_between(node, moved):
                del moved[node.id]
                waiting += [*self._readers(node), *(value.node for value in node.inputs)]
        return moved

    def _is_between(self, node: Node, moved: dict[int, Group]) -> bool:
        readers = self._readers(node)
        around = [*readers, *(value.node for value in node.inputs)]
        ends = not readers or node.output in self.results
        return not ends and all(self._side(node, n, moved) is moved[node.id] for n in around)

    def _readers(self, node: Node) -> list[Node]:
        return [reader for value in node.outputs for reader in self.readers.get(value, ())]

    def _side(self, node: Node, other: Node, moved: dict[int, Group]) -> Group | None:
        """The group right below that of `node` which holds `other`, or is to hold it."""
        home = self.home[node.id]
        group = moved.get(other.id, self.home.get(other.id))
        while group is not None and group.parent is not home:
            group = group.parent
        return group

    def _declare(self, nodes: list[Node]) -> None:
        """Note the scope declared at the address of each group."""
        scopes: dict[str, Scope] = {}
        for node in nodes:
            for scope in node.scope.chain() if node.scope else ():
                if scope.kind not in ("argument", "each"):
                    scopes.setdefault(scope.address, scope)
        for group in self.root.walk():
            group.scope = scopes.get(group.address)
