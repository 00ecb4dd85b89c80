"""How small rules rewrite a network: node by node in order, so that all before a node is rewritten
when its rules look at it.

A rule says what may stand in the place of a node, as an expression of values (`New`), or None. What
is made so goes through the rules itself. Readers are counted as nodes come and go, so that a rule
knows whether a layer is read once, and what nothing reads any more counts for nothing. Each
application takes time with the inputs it has, and none looks at the network as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from xgraph.ir.graph import Node, Value
from xgraph.optimize.network import Maker, Optimized
from xgraph.optimize.sources import Source


@final
@dataclass(frozen=True, eq=False)
class New:
    """A node to be made."""

    op: str
    inputs: Sequence[Expression]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    place: Node | None = None
    """Whose address and scope it takes over, where not those of the node that it stands for."""


Expression: TypeAlias = "Value | New"
Rule: TypeAlias = "Callable[[Rewriter, Node], Expression | None]"
Rules: TypeAlias = Mapping[str, Sequence[Rule]]
"""By the name of the op."""

DEEPEST = 16
"""So many expressions within each other a pass makes a parameter of at most."""


def rewrite(network: Optimized, rules: Rules) -> Optimized:
    """The network after all rules."""
    return Rewriter(network, rules).run()


@final
class Rewriter:
    def __init__(self, network: Optimized, rules: Rules) -> None:
        self.maker = Maker(network)
        self._old = network.graph
        self._rules = rules
        self._readers: Counter[Value] = Counter()
        self.known: dict[Value | Node, Any] = {}
        """What rules found out of values (numbers) and nodes, for others to use."""

    def run(self) -> Optimized:
        nodes = self._old.live()
        pending = Counter(value for node in nodes for value in node.inputs)
        pending.update(self._old.outputs.values())
        values = self.maker.values
        for node in nodes:
            made = self.maker.copy(node)
            if len(node.outputs) == 1 and node.op.name in self._rules:
                found = self._improved(made)
                values[node.output] = found
                self._readers[found] += pending[node.output]
                self._drop(found)
            else:
                for value, new in zip(node.outputs, made.outputs, strict=True):
                    self._hold(new, pending[value])
                for value in made.inputs:
                    self._drop(value)
        return self.maker.done()

    # --------------------------------------------------------------------------- for rules

    def is_sole(self, value: Value) -> bool:
        """Whether nothing but the node that is looked at reads it, and that once."""
        return self._readers[value] == 1

    def sources(self, node: Node) -> Mapping[str, Source]:
        return self.maker.sources(node)

    def take_all(self, *sources: Source) -> bool:
        """Whether parameters of the network as it was written are found for any values of these."""
        return all(source.over(self.maker.old.sources).takes_all for source in sources)

    # ------------------------------------------------------------------- who reads what

    def _hold(self, value: Value, count: int = 1) -> None:
        """Count readers; a node counts as one of its inputs while it is read itself."""
        stack = [(value, count)]
        while stack:
            value, count = stack.pop()
            if count:
                was_read = any(self._readers[v] for v in value.node.outputs)
                self._readers[value] += count
                if not was_read:
                    stack += [(v, 1) for v in value.node.inputs]

    def _drop(self, value: Value) -> None:
        stack = [value]
        while stack:
            value = stack.pop()
            self._readers[value] -= 1
            if not any(self._readers[v] for v in value.node.outputs):
                stack += value.node.inputs

    # ------------------------------------------------------------------------- rewriting

    def _improved(self, node: Node) -> Value:
        """What stands for a new node in the end. Its inputs are held once each for it; what is
        found is held once instead."""
        found: Value | Node | None = node
        while isinstance(found, Node):
            node, found = found, self._applied(found)
        if found is not None:
            return found
        self._hold(node.output)
        for value in node.inputs:
            self._drop(value)
        return node.output

    def _applied(self, node: Node) -> Value | Node | None:
        """What the first rule that knows something finds: a value, held once, or a new node, its
        inputs held for it. Those of `node` are held no more then."""
        for rule in self._rules.get(node.op.name, ()):
            told = rule(self, node)
            if told is None or _depth(told) > DEEPEST:
                continue
            for value in _leaves(told):
                self._hold(value)
            for value in node.inputs:
                self._drop(value)
            made = self._made(told, node, node.address) if isinstance(told, New) else told
            value = made.output if isinstance(made, Node) else made
            if str(value.type) == str(node.output.type):  # names of axes: `each` looks for them
                return made
            for value in node.inputs:
                self._hold(value)
            for value in made.inputs if isinstance(made, Node) else (made,):
                self._drop(value)
        return None

    def _made(self, told: New, node: Node, address: str | None = None) -> Node:
        """The node that an expression tells, its inputs held for it, as those of `told` were."""
        inputs = [
            self._improved(self._made(each, node)) if isinstance(each, New) else each
            for each in told.inputs
        ]
        place = told.place or node
        address = told.place.address if told.place else address
        return self.maker.add(
            told.op, inputs, told.attrs, place, told.sources, address=address
        ).node


def _depth(told: Expression) -> int:
    """Of the expressions that its parameters are made of."""
    if not isinstance(told, New):
        return 0
    own = max((source.depth for source in told.sources.values()), default=0)
    return max((own, *map(_depth, told.inputs)))


def _leaves(told: Expression) -> Iterator[Value]:
    if isinstance(told, New):
        for each in told.inputs:
            yield from _leaves(each)
    else:
        yield told
