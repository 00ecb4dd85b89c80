"""A tensor-level graph as a Python source that depends on torch alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import final

import xgraph
from xgraph.backends.torch import functions, layers  # noqa: F401 - they register their rules
from xgraph.backends.torch.access import renamed
from xgraph.backends.torch.classes import ClassDef, Classes, Parameter
from xgraph.backends.torch.code import Bracket, Doc, flat, layout, literal
from xgraph.backends.torch.forward import MOST_RESULTS, Forward
from xgraph.backends.torch.helpers import HELPERS, closure
from xgraph.backends.torch.names import identifier, printable
from xgraph.backends.torch.naming import describe, name_classes
from xgraph.backends.torch.plan import Plan
from xgraph.backends.torch.registry import Arg, Ctor
from xgraph.diagnostics import InternalError
from xgraph.ir.graph import CHANNELS_LAST, CHUNK, Graph, Value

Lines = list[str]


def to_source(graph: Graph) -> str:
    """The source of an `nn.Module` that computes `graph`, which must be at tensor level.

    The last class is the network. The names in its state are the addresses of the parameters.
    """
    return written(graph)[0]


def written(graph: Graph) -> tuple[str, str]:
    """The source, and the name of the network's class in it."""
    if graph.level != "tensor":
        raise InternalError("the torch backend", "the graph is not lowered")
    return _Text(graph).whole()


@final
class _Text:
    """The parts of one source, and what they turn out to need."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        plan = Plan(graph)
        self._classes = Classes(plan)
        self._helpers: set[str] = set()
        name_classes(plan, self._classes.all)
        self._top = self._classes.all[-1]

    def whole(self) -> tuple[str, str]:
        """The source and the name of its last class."""
        classes = ["\n".join(self._class(made)) for made in self._classes.all]
        if len(self._graph.outputs) > 1:
            classes.insert(-1, "\n".join(self._outputs()))
        body = "\n\n\n".join([*closure(self._helpers), *classes])
        return f"{self._head(body)}\n\n\n{body}\n", self._top.name

    def _head(self, body: str) -> str:
        typing = {"Final": ": Final[", "NamedTuple": "(NamedTuple)"}
        used = [name for name, text in typing.items() if text in body]
        standard = [f"from typing import {', '.join(used)}\n"] if used else []
        lines = [
            f"# Network `{printable(self._graph.name)}`, written by xgraph {xgraph.__version__}.\n",
            *standard,
            *(["import torch"] if re.search(r"(?<![\w.])torch\.", body) else []),
            "from torch import Tensor, nn",
            *(
                ["from torch.nn import functional as F"]
                if re.search(r"(?<![\w.])F\.", body)
                else []
            ),
        ]
        return "\n".join(lines)

    # ------------------------------------------------------------------------------ classes

    def _class(self, made: ClassDef) -> Lines:
        use = made.uses[0]
        group = use.group
        lines = [f"class {made.name}(nn.Module):", *self._docstring(made)]
        if use.body:
            lines += ["", *self._init(made)]
        if use.forward is not None:
            forward = use.forward
            if made.arguments != forward.arguments:
                forward = self._classes.write(group, made.arguments)
            self._helpers |= forward.helpers
            name = "forward"
            if made is self._top and CHUNK in self._graph.meta:
                lines += ["", *self._chunks(made, forward, int(self._graph.meta[CHUNK]))]
                name = "_run"
            lines += ["", *self._signature(made, forward, name), *forward.lines]
        return lines

    def _chunks(self, made: ClassDef, forward: Forward, size: int) -> Lines:
        """A `forward` that runs the batch in chunks."""
        given = ", ".join(forward.arguments)
        parts = [f"{name}.split({size})" for name in forward.arguments]
        each = parts[0] if len(parts) == 1 else f"zip({', '.join(parts)}, strict=True)"
        lines = [
            *self._signature(made, forward, "forward"),
            f"        # {size} samples at a time: what layers hand on stays in the cache.",
        ]
        doc = Bracket("[", (f"self._run({given})", f"for {given} in {each}"), "]", separator=" ")
        lines += layout(doc, 8, "chunks = ")
        if len(self._graph.outputs) > 1:
            joined = "Outputs(*map(torch.cat, zip(*chunks, strict=True)))"
        else:
            joined = "torch.cat(chunks)"
        return [*lines, f"        return {joined}"]

    def _init(self, made: ClassDef) -> Lines:
        arguments = ["self", *(f"{p.name}: {p.type}" for p in made.parameters)]
        head = Bracket("def __init__(", tuple(arguments), ") -> None:")
        lines = [*layout(head, 4), " " * 8 + "super().__init__()"]
        use = made.uses[0]
        places = iter(range(len(use.numbers)))
        for name, ctor in use.body:
            doc = self._built(ctor, places, made.places)
            held = use.group.attributes[name]
            if held:
                lines += layout(doc, 8, f"self.{held} = ")
            else:
                lines += layout(Bracket("self.add_module(", (literal(name), doc), ")"), 8)
        if made is self._top and CHANNELS_LAST in self._graph.meta:
            lines.append(" " * 8 + "self.to(memory_format=torch.channels_last)")
        if other := renamed(use.group):
            items = tuple(f"{literal(held)}: {literal(name)}" for held, name in other.items())
            self._helpers.add("saved_as")
            lines += layout(Bracket("saved_as(", ("self", Bracket("{", items, "}")), ")"), 8)
        return lines

    def _built(self, ctor: Ctor, places: Iterator[int], parameters: dict[int, Parameter]) -> Doc:
        """The construction of a module; numbers in `parameters` go by name."""
        if ctor.items:
            items = [self._built(item, places, parameters) for item in ctor.items]
            return _container(ctor, items)
        callee = ctor.callee.name if isinstance(ctor.callee, ClassDef) else str(ctor.callee)
        if callee in HELPERS:
            self._helpers.add(callee)

        def argument(arg: Arg) -> str:
            parameter = parameters.get(next(places)) if arg.is_number else None
            value = parameter.name if parameter else literal(arg.value)
            return f"{arg.role}={value}" if arg.keyword else value

        return Bracket(f"{callee}(", tuple(map(argument, ctor.args)), ")")

    def _signature(self, made: ClassDef, forward: Forward, name: str = "forward") -> Lines:
        tensors = [f"{name}: Tensor" for name in forward.arguments]
        sizes = [f"{name}: int" for name, _ in forward.sizes]
        head = Bracket(f"def {name}(", ("self", *tensors, *sizes), f") -> {self._returns(made)}:")
        return layout(head, 4)

    def _returns(self, made: ClassDef) -> str:
        count = len(self._classes.plan.drivers[made.uses[0].group].outputs)
        if count == 1:
            return "Tensor"
        if made is self._top:
            return "Outputs"
        if count > MOST_RESULTS:
            return "list[Tensor]"
        return f"tuple[{', '.join(['Tensor'] * count)}]"

    def _outputs(self) -> Lines:
        fields: Lines = []
        for name in self._graph.outputs:
            fields.append(identifier(name, fields))
        return [
            "class Outputs(NamedTuple):",
            '    """What the network gives."""',
            "",
            *(f"    {name}: Tensor" for name in fields),
        ]

    # --------------------------------------------------------------------------- docstrings

    def _docstring(self, made: ClassDef) -> Lines:
        if made is not self._top:
            return [f'    """{describe(made)}"""']
        graph = self._graph
        return [
            f'    """The network `{printable(graph.name)}`.',
            "",
            "    Inputs:",
            *_described(graph.inputs),
            "",
            "    Outputs:",
            *_described(graph.outputs),
            '    """',
        ]


def _described(values: dict[str, Value]) -> Lines:
    return [f"        {printable(name)}: {value.type}" for name, value in values.items()]


def _container(ctor: Ctor, items: list[Doc]) -> Doc:
    """A list of modules, in short where all are built alike."""
    if ctor.keys:
        pairs = tuple(
            f"{literal(key)}: {flat(item)}" for key, item in zip(ctor.keys, items, strict=True)
        )
        return Bracket(f"{ctor.callee}(", (Bracket("{", pairs, "}"),), ")")
    if len(items) > 1 and len(set(map(flat, items))) == 1:
        each = f"for _ in range({len(items)})"
        return Bracket(f"{ctor.callee}(", (items[0], each), ")", separator=" ")
    return Bracket(f"{ctor.callee}(", (Bracket("[", tuple(items), "]"),), ")")
