"""What stands at the head of a network and blocks see too: params, dims, constants, blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import final

from xgraph.build.binding import check_free, declared_twice
from xgraph.build.constants import spelt
from xgraph.build.expressions import EVERY_WORD, Datum, constant, integer
from xgraph.build.meta import read_network_meta
from xgraph.build.model import BlockDef, Env, Flow, Point, Source
from xgraph.build.state import Context, State
from xgraph.build.write import value_text
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import tree as t
from xgraph.grammar.format import format_tree
from xgraph.ir.attrs import MAX_SIZE, Word
from xgraph.ir.types import BATCH, Axis, Expr, axis_name, symbol
from xgraph.ops import OPS, ROUTERS
from xgraph.source import Span

Settings = Mapping[str, object]


@final
@dataclass
class Reading:
    """What the declarations of a document came to."""

    name: str = "net"
    meta: dict[str, str] = field(default_factory=dict)
    modalities: dict[str, Point] = field(default_factory=dict)
    outputs: dict[str, tuple[Source, Span]] = field(default_factory=dict)
    prelude: list[str] = field(default_factory=list)
    params: dict[str, Span] = field(default_factory=dict)
    named: Span | None = None


@final
class Shared:
    """The names that every block sees, and the context of declarations, which see more."""

    def __init__(
        self, state: State, settings: Settings, flow: Callable[[t.Expression, Context], Flow]
    ) -> None:
        self.state = state
        self.reading = Reading()
        self._settings = settings
        self._shared = Env()
        self.top = Context(state, Env(self._shared), "", None, state.addresses, (), flow=flow)

    def network(self, tree: t.Network) -> None:
        if self.reading.named is not None:
            self.state.stop(
                "duplicate-name",
                "a file describes one network",
                tree.span,
                notes=[Label(self.reading.named, "named here")],
            )
        self.reading.name, self.reading.named = tree.name.name, tree.span
        self.reading.meta = read_network_meta(tree.meta, self.top)

    def share(self, name: t.Name, value: Datum) -> None:
        """Bind a name that blocks see too."""
        self.check_new(name)
        self._shared.set(name.name, value, name.span)

    def check_new(self, name: t.Name) -> None:
        if self._shared.here(name.name) is not None:
            declared_twice(name, self._shared.span(name.name), self.top)
        check_free(name, self.top)

    def param(self, tree: t.Param) -> None:
        name = tree.name.name
        self.reading.params.setdefault(name, tree.span)
        default = constant(tree.default, self.top, words=EVERY_WORD)
        value = _plain(self._settings.get(name, default))
        widened = (_sort(value), _sort(default)) == ("an integer", "a number")
        if _sort(value) != _sort(default) and not widened:
            self.state.stop(
                "bad-setting",
                f"`{name}` takes {_sort(default)}, not {spelt(value)}",
                tree.default.span,
                "as its default here",
            )
        self.share(tree.name, value)
        self.reading.prelude.append(f"param {name} = {constant_text(value)}")

    def dim(self, tree: t.Dim) -> None:
        name = tree.name.name
        if name == BATCH:
            self.state.stop(
                "name-taken", f"`{BATCH}` is the batch, which is never declared", tree.name.span
            )
        dim: Axis | Expr = symbol(name)
        if tree.size is not None:
            dim = Axis(name, integer(tree.size, self.top, 1, MAX_SIZE, "the size of a `dim`"))
        self.share(tree.name, dim)
        self.state.dims[name] = dim
        size = f" = {int(dim)}" if isinstance(dim, Axis) else ""
        self.reading.prelude.append(f"dim {name}{size}")

    def block(self, tree: t.Block) -> None:
        seen: set[str] = set()
        for parameter in tree.parameters:
            word = parameter.name.name
            if word in OPS and word not in ROUTERS:
                told = f"`{word}` is a layer; choose another name"
                self.state.stop("name-taken", told, parameter.name.span)
            if word in ("in", "len"):
                told = f"`{word}` has a meaning of its own here"
                self.state.stop("name-taken", told, parameter.name.span)
            if word in seen:
                told = f"parameter `{word}` is declared twice"
                self.state.stop("duplicate-name", told, parameter.name.span)
            seen.add(word)
        self.share(tree.name, BlockDef(tree, self._shared))
        self.reading.prelude.append(format_tree(tree))

    def check_settings(self) -> None:
        """Report settings that no `param` takes."""
        for name in self._settings:
            if name not in self.reading.params:
                known = ", ".join(f"`{p}`" for p in self.reading.params)
                self.state.report.error(
                    "unknown-setting",
                    f"the network has no param `{name}`",
                    None,
                    origin=f"--set {name}",
                    help=did_you_mean(name, self.reading.params)
                    or (f"its params are {known}" if known else "it has none"),
                )


def _plain(value: object) -> object:
    """A setting as the text would have it: words for strings, tuples for lists."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    return Word(value) if isinstance(value, str) else value


def _sort(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    return "a word" if isinstance(value, str) else "a list"


def constant_text(value: Datum) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(constant_text, value))}]"
    if isinstance(value, (Expr, Axis)):
        return axis_name(value) or str(value)
    return value_text(value)
