"""What a pass is: a frozen dataclass with a name, typed options, and a graph made from a graph.

    @final
    @dataclass(frozen=True)
    class Widen(Pass):
        \"\"\"Multiply the filters of every convolution.\"\"\"

        name = "widen"
        example = "widen{by=2}"
        by: int = option(2, "how many times as wide", low=1)

        def apply(self, graph: Graph) -> Graph: ...

`run` checks the graph before and after. A pass leaves its input untouched; one that finds nothing
to do gives back the very graph it was given.
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from traceback import extract_tb
from types import ModuleType, NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    Union,
    final,
    get_args,
    get_origin,
)
from typing import get_type_hints as type_hints

from xgraph.diagnostics import DiagnosticError, did_you_mean, fail
from xgraph.files import named, read_text
from xgraph.ir.graph import Graph
from xgraph.ir.verify import verify_or_raise

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "xgraph.passes"
"""The entry-point group in which packages bring passes of their own."""


@final
@dataclass(frozen=True)
class PassResult:
    """What a pass made, and whether that is anything new."""

    graph: Graph
    changed: bool


@dataclass(frozen=True)
class Pass(ABC):
    """The base of all passes. Fields are options; make them with `option`."""

    name: ClassVar[str]
    example: ClassVar[str]

    def __post_init__(self) -> None:
        for known in options(type(self)):
            mistake = known.mistake(getattr(self, known.name))
            if mistake:
                raise fail("bad-option", mistake, origin=f"{self.name}{{{known.name}}}")

    @abstractmethod
    def apply(self, graph: Graph) -> Graph:
        """The graph made from `graph`, which stays as it is; `graph` itself if that is it."""

    def run(self, graph: Graph) -> PassResult:
        """Apply the pass to an architecture-level graph, verified before and after.

        `DiagnosticError` if the pass cannot take this graph; `InternalError` if the pass is wrong.
        """
        verify_or_raise(graph, f"what is given to {self.name}")
        made = self.apply(graph)
        if not isinstance(made, Graph):
            told = f"`{self.name}` gave {type(made).__name__}, and a graph is wanted"
            raise fail("bad-pass", told, origin=self.name)
        if made is not graph:
            verify_or_raise(made, self.name)
        return PassResult(made, made is not graph)


# ------------------------------------------------------------------------------------- options


def option(
    default: Any = MISSING,
    doc: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """A field of a pass that can be set in a pipeline. Without a default it must be."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


@final
@dataclass(frozen=True)
class Option:
    """One option of a pass, as its field declares it."""

    name: str
    kind: Any
    default: Any
    doc: str
    low: float | None
    high: float | None

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def wanted(self) -> str:
        """What it takes, in words."""
        return self._bounded(_wanted(self.kind))

    def _bounded(self, text: str) -> str:
        text += f" from {self.low:g}" if self.low is not None else ""
        return text + (f" to {self.high:g}" if self.high is not None else "")

    def mistake(self, value: Any) -> str | None:
        """What is wrong with a value, None if nothing is."""
        numbers = value if isinstance(value, tuple) else (value,)
        outside = any(isinstance(n, (int, float)) and not self._holds(n) for n in numbers)
        if _fits(value, self.kind) and not outside:
            return None
        return f"`{self.name}` takes {self.wanted}, not {spelt(value)}"

    def _holds(self, number: float) -> bool:
        above = self.low is None or number >= self.low
        return above and (self.high is None or number <= self.high)


@cache
def options(kind: type[Pass]) -> tuple[Option, ...]:
    """The options of a pass, in the order of its fields."""
    hints = type_hints(kind)
    return tuple(
        Option(
            f.name, hints[f.name], f.default, f.metadata.get("doc", ""),
            f.metadata.get("low"), f.metadata.get("high"),
        )
        for f in fields(kind)
    )  # fmt: skip


def _wanted(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in args)
    if origin in (Union, UnionType):
        return " or ".join(_wanted(part) for part in args if part is not NoneType)
    if origin is tuple:
        return f"a list of {_wanted(args[0]).partition(' ')[2]}s"
    return {int: "an integer", float: "a number", bool: "true or false", str: "a text"}[kind]


def _fits(value: Any, kind: Any) -> bool:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in args
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, args[0]) for item in value)
    if kind is float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and value == value and abs(value) != float("inf")
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def spelt(value: Any) -> str:
    """A value as a pipeline has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(spelt, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    text = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    word = re.fullmatch(r"[\w.*+/%-]+", text, re.ASCII)
    plain = word is not None and text not in ("none", "true", "false")
    return text if plain or not isinstance(value, str) else f'"{text}"'


# ------------------------------------------------------------------------------------ registry

PassLike: TypeAlias = "Pass | Callable[[Graph], Graph]"
"""A pass, or a function that makes a graph from a graph."""


@final
@dataclass(frozen=True)
class FunctionPass(Pass):
    """A function as a pass; `apply_passes` and `Pipeline` make it of a plain function."""

    name = "function"
    example = ""
    function: Callable[[Graph], Graph]

    def __post_init__(self) -> None:
        """A function is no option to be checked."""

    def apply(self, graph: Graph) -> Graph:
        return self.function(graph.copy())


_KNOWN: dict[str, type[Pass]] = {}


def register(kind: type[Pass]) -> type[Pass]:
    """Make a pass known by its name in pipelines; also a decorator.

    `DiagnosticError` if another class has the name; the same class, read anew, takes its own place.
    """
    known = _KNOWN.get(kind.name)
    if known is not None and _named(known) != _named(kind):
        told = f"a pass is called `{kind.name}` already: {_named(known)}"
        raise fail("duplicate-name", told, origin=_named(kind), help="give it another `name`")
    _KNOWN[kind.name] = kind
    return kind


def _named(kind: type[Pass]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def load_passes(path: Path | str) -> None:
    """Run a Python file that registers passes. `DiagnosticError` if it cannot be run."""
    path = named(path)
    text = read_text(path).text
    module = ModuleType(f"xgraph_passes_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look it up there
    known = dict(_KNOWN)
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except DiagnosticError:
        raise
    except Exception as error:
        lines = [f.lineno for f in extract_tb(error.__traceback__) if f.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}:{line}" if line else str(path)
        raise fail("bad-pass", f"{type(error).__name__}: {error}", origin=where) from error
    if known == _KNOWN:
        raise fail(
            "bad-pass", "the file registers no pass", origin=str(path),
            help="put `@register` before the class: `from xgraph.passes import register`",
        )  # fmt: skip


def known_passes() -> dict[str, type[Pass]]:
    """The passes by name: xgraph's, registered ones, and those of installed packages.

    `DiagnosticError` if one of these packages does not load.
    """
    return {**_KNOWN, **{name: _loaded(entry) for name, entry in _installed().items()}}


def find_pass(name: str) -> tuple[type[Pass] | None, str | None]:
    """The pass of a name, or a word of help."""
    if name in _KNOWN:
        return _KNOWN[name], None
    installed = _installed()
    if name in installed:
        return _loaded(installed[name]), None
    known = (*_KNOWN, *installed)
    listed = ", ".join(f"`{word}`" for word in known)
    return None, did_you_mean(name, known) or f"there are {listed}"


@cache
def _installed() -> dict[str, EntryPoint]:
    """The passes of installed packages; what xgraph or a file registered comes before them."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _KNOWN}


def _loaded(entry: EntryPoint) -> type[Pass]:
    try:
        kind = entry.load()
    except Exception as error:
        told = f"the pass `{entry.name}` of an installed package does not load: {error}"
        raise fail("bad-pass", told, origin=entry.value) from None
    if not (isinstance(kind, type) and issubclass(kind, Pass)):
        told = f"`{entry.value}` is not a pass"
        raise fail("bad-pass", told, origin=entry.name, help="it must be a class of `Pass`")
    return kind
