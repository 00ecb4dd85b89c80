"""Writes the `forward` of one group.

Steps are taken in order. The value of a step that is read once waits as an expression until its
reader is written, and becomes part of it; so chains of calls nest. What would grow too long or
too deep, what is read again, and what stands under the next layer with weights gets a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, final

from xgraph.backends.torch.access import home_of, module_path
from xgraph.backends.torch.code import ATOM, WIDTH, Bracket, Code, call, layout, values, variable
from xgraph.backends.torch.hints import Hints
from xgraph.backends.torch.names import stem
from xgraph.backends.torch.plan import Driver, Plan
from xgraph.backends.torch.registry import RULES, Site
from xgraph.backends.torch.runs import Run, find_runs
from xgraph.backends.torch.sizes import Sizes
from xgraph.backends.torch.tree import Group, Member
from xgraph.backends.torch.variables import Hint, Variables
from xgraph.ir.graph import Node, Value
from xgraph.ir.types import Dim

LONGEST, DEEPEST, WIDEST = 72, 3, 8
"""How long an expression may grow, how many calls may nest in it, and how many operands it may
take unnamed."""

LONGEST_SUM = 76
"""How long a sum or product may grow, which is easier to read."""

MOST_RESULTS = 8
"""How many values a group gives as a tuple."""

INDENT = 8

Sized: TypeAlias = Mapping[Group, Sequence[Dim]]


@final
@dataclass(frozen=True)
class Forward:
    """A `forward` as written."""

    arguments: tuple[str, ...]
    sizes: tuple[tuple[str, Dim], ...]
    """Arguments that are sizes, after those that are tensors."""
    lines: tuple[str, ...]
    helpers: frozenset[str]


@final
class Writer:
    """Writes one `forward`, once. `sized` are the sizes that groups within take."""

    def __init__(self, plan: Plan, driver: Driver, arguments: Sequence[str], sized: Sized) -> None:
        self._plan = plan
        self._driver = driver
        self._sized = sized
        self._arguments = tuple(arguments)
        self._hints = Hints(plan, driver)
        self._variables = Variables()
        self._is_top = driver.group.parent is None
        given = list(zip(arguments, driver.inputs, strict=True))
        self._sizes = Sizes(given, self._variables, self._is_top)
        self._lines: list[str] = []
        self._helpers: set[str] = set()
        self._left = Counter(v for item in driver.items for v in plan.operands(item))
        """Reads that are still to be written."""
        self._left.update(driver.outputs)
        self._reads = self._left.copy()
        self._named: dict[Value, str] = {}
        self._waiting: dict[Value, Code] = {}
        for name, value in given:
            self._variables.hold(name, self._left[value])
            self._named[value] = name

    def write(self) -> Forward:
        runs = find_runs(self._plan, self._driver, self._sized, self._reads)
        starts = {item: run for run in runs for item in run.items}
        done: set[Member] = set()
        for item in self._driver.items:
            if item in done:
                continue
            if (run := starts.get(item)) is not None:
                done.update(run.items)
                self._write_run(run)
            elif isinstance(item, Group):
                self._write_call(item)
            else:
                self._write_node(item)
        self._write_return()
        lines = [" " * INDENT + line for line in self._sizes.lines] + self._lines
        sizes = tuple(self._sizes.given)
        return Forward(self._arguments, sizes, tuple(lines), frozenset(self._helpers))

    # --------------------------------------------------------------------------- steps

    def _write_node(self, node: Node) -> None:
        rule = RULES[node.op.name]
        path = self._path(node) if rule.layer and node.params else ""

        def write(xs: Sequence[Code]) -> Code:
            size, helper = self._sizes.write, self._helper
            return rule.write(Site(node, tuple(xs), path, size, helper, self._plan.in_place))

        if rule.folds:
            self._write_fold(node, write)
        else:
            self._settle(node.output, self._fitted(node.inputs, write, heavy=rule.heavy))

    def _write_call(self, group: Group) -> None:
        path = self._path(group)
        sizes = [self._sizes.write(dim) for dim in self._sized.get(group, ())]
        code = self._fitted(
            self._plan.operands(group), lambda xs: call(path, *xs, *sizes), heavy=True
        )
        outputs = self._plan.results(group)
        if len(outputs) == 1:
            self._settle(outputs[0], code)
        else:
            self._unpack(outputs, code)

    def _write_run(self, run: Run) -> None:
        path = self._path(run.array)
        layer = self._variables.layer(stem(run.array.title))
        if run.in_turn:
            self._write_loop(run, f"for {layer} in {path}:", layer)
            return

        def write(xs: Sequence[Code]) -> Code:
            each = call(layer, *xs)
            doc = Bracket("[", (each.doc, f"for {layer} in {path}"), "]", separator=" ")
            return replace(each, doc=doc)

        code = self._fitted(self._plan.operands(run.items[0]), write, heavy=True)
        self._unpack([self._plan.results(item)[0] for item in run.items], code)

    def _write_loop(self, run: Run, head: str, layer: str) -> None:
        (start,) = self._plan.operands(run.items[0])
        (end,) = self._plan.results(run.items[-1])
        code = self._take(start)
        hint = self._hints.of(end, 1)
        if hint.stem == "x":
            hint = Hint("x")
        name = self._variables.pick(hint, self._variables.release(code.names))
        if name != code.text:
            self._statement(f"{name} = ", code)
        self._variables.hold(name, self._left[end], hint.stem)
        self._named[end] = name
        pad = " " * INDENT
        self._lines += [f"{pad}{head}", f"{pad}    {name} = {layer}({name})"]

    def _write_return(self) -> None:
        outputs = self._driver.outputs
        codes = [self._take(value) for value in outputs]
        write = (lambda xs: call("Outputs", *xs)) if self._is_top else results
        if len(outputs) == 1:
            self._statement("return ", codes[0])
            return
        if len(write(codes).text) > LONGEST:
            codes = [self._name(v, code) for v, code in zip(outputs, codes, strict=True)]
        code = write(codes)
        line = " " * INDENT + "return " + code.text[1:-1]
        is_bare = code.text.startswith("(") and len(line) <= WIDTH
        self._lines += [line] if is_bare else layout(code.doc, INDENT, "return ")

    # ---------------------------------------------------------------- values and their names

    def _fitted(
        self,
        operands: Sequence[Value],
        write: Callable[[Sequence[Code]], Code],
        *,
        heavy: bool = False,
    ) -> Code:
        """What `write` makes of the operands, some of them named so that it fits a line."""
        codes = [self._take(value) for value in operands]
        for i, (value, code) in enumerate(zip(operands, codes, strict=True)):
            if len(codes) > WIDEST or (heavy and (code.heavy or code.depth > 1)):
                codes[i] = self._name(value, code)
        code = write(codes)
        while _is_large(code):
            sizes = {i: len(code.text) for i, code in enumerate(codes) if not code.is_name}
            if not sizes:
                break
            largest = max(sizes, key=sizes.__getitem__)
            codes[largest] = self._name(operands[largest], codes[largest])
            code = write(codes)
        return replace(code, heavy=code.heavy or heavy)

    def _write_fold(self, node: Node, write: Callable[[Sequence[Code]], Code]) -> None:
        """Bring the operands of `node` together two at a time, over as many lines as it takes."""
        codes = [self._take(value) for value in node.inputs]
        length = sum(len(code.text) + 3 for code in codes)
        for i, (value, code) in enumerate(zip(node.inputs, codes, strict=True)):
            is_long = length > LONGEST_SUM + 3 and len(code.text) > LONGEST // 2
            if is_long or (code.heavy and length > LONGEST):
                codes[i] = self._name(value, code)
        total, lines = codes[0], 1
        for code in codes[1:]:
            joined = write([total, code])
            if _is_large(joined) and not total.is_name:
                joined = write([self._name(node.output, total), code])
                lines += 1
            total = joined
        if lines > 1:
            total = self._name(node.output, total)
        self._settle(node.output, total)

    def _take(self, value: Value) -> Code:
        """The expression that reads `value` once."""
        self._left[value] -= 1
        name = self._named.get(value)
        if name:
            return variable(name)
        return self._waiting[value] if self._left[value] else self._waiting.pop(value)

    def _name(self, value: Value, code: Code) -> Code:
        """A variable that holds `code`, to be read once."""
        return code if code.is_name else variable(self._assign(value, code, 1))

    def _settle(self, value: Value, code: Code) -> None:
        """Keep the value of a step for its readers."""
        left = self._left[value]
        if code.is_name:
            self._variables.claim(code.text, left - 1)
            self._named[value] = code.text
        elif left == 1 or _is_part(code):
            for name in code.names:
                self._variables.claim(name, left - 1)
            self._waiting[value] = code
        else:
            self._named[value] = self._assign(value, code, left)

    def _assign(self, value: Value, code: Code, claims: int) -> str:
        hint = self._hints.of(value, self._reads[value])
        freed = self._variables.release(code.names)
        name = self._variables.pick(hint, freed)
        if INDENT + len(f"{name} = ") + len(code.text) > WIDTH:
            name = self._variables.pick(Hint("x"), freed)
        self._variables.hold(name, claims, hint.stem)
        self._statement(f"{name} = ", code)
        return name

    def _unpack(self, values: Sequence[Value], code: Code) -> None:
        """Name the values of a step that gives several."""
        freed = self._variables.release(code.names)
        for value in values:
            hint = self._hints.of(value, self._reads[value])
            name = self._named[value] = self._variables.pick(hint, freed)
            self._variables.hold(name, self._left[value], hint.stem)
        names = [self._named[value] for value in values]
        targets = ", ".join(names) + " = "
        if len(targets) <= LONGEST:
            self._statement(targets, code)
            return
        all_ = self._variables.fresh("results")
        self._statement(f"{all_} = ", code)
        for i, name in enumerate(names):
            self._statement(f"{name} = ", Code(f"{all_}[{i}]"))

    def _statement(self, before: str, code: Code) -> None:
        self._lines += layout(code.doc, INDENT, before)

    # --------------------------------------------------------------------------- context

    def _path(self, item: Member) -> str:
        return module_path(item, home_of(item, self._plan.tree.home), self._driver.group)

    def _helper(self, name: str) -> str:
        self._helpers.add(name)
        return name


def _is_large(code: Code) -> bool:
    longest = LONGEST if code.binds == ATOM else LONGEST_SUM
    return len(code.text) > longest or code.depth > DEEPEST


def _is_part(code: Code) -> bool:
    """Whether the expression only indexes a variable, so that it may as well be repeated."""
    return code.index is not None and code.index[0].is_name


def results(codes: Sequence[Code]) -> Code:
    """What a group gives: a tuple or, if it were a long one, a list."""
    listed = values(codes)
    if len(codes) > MOST_RESULTS:
        return listed
    return replace(listed, doc=Bracket("(", tuple(code.doc for code in codes), ")"))
