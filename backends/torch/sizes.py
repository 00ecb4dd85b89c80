"""The sizes that a `forward` needs and only the running network knows.

They are read off its arguments at the start (`t = video.shape[1]`). What cannot be found there,
the caller gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

from xgraph.backends.torch.code import literal
from xgraph.backends.torch.variables import Variables
from xgraph.diagnostics import InternalError
from xgraph.ir.graph import Value
from xgraph.ir.types import Atom, Dim, Expr, axis_name, constant, divide, symbol


@final
class Sizes:
    """The sizes of one `forward`; `is_top` where there is no caller to ask."""

    def __init__(
        self, arguments: Sequence[tuple[str, Value]], variables: Variables, is_top: bool
    ) -> None:
        self._arguments = arguments
        self._variables = variables
        self._is_top = is_top
        self._names: dict[Dim, str] = {}
        self.lines: list[str] = []
        """What reads them."""
        self.given: list[tuple[str, Dim]] = []
        """The arguments that the caller adds."""

    def write(self, dim: Dim) -> str:
        """How the value of `dim` is written."""
        if not isinstance(dim, Expr):
            return literal(int(dim))
        if dim not in self._names:
            found = self._find(dim)
            if found is None and axis_name(dim) is None:
                return " + ".join(self._term(atoms, n) for atoms, n in dim.terms)
            self._bind(dim, found)
        return self._names[dim]

    def _bind(self, dim: Expr, found: str | None) -> None:
        name = self._names[dim] = self._variables.fresh((axis_name(dim) or "size").lower())
        if found is not None:
            self.lines.append(f"{name} = {found}")
        elif self._is_top:
            raise InternalError("the torch backend", f"no input tells the size `{dim}`")
        else:
            self.given.append((name, dim))

    def _find(self, dim: Expr) -> str | None:
        """Where an argument shows `dim`, or a multiple of it plus a number."""
        shown = list(self._shown())
        for text, size in shown:
            if size == dim:
                return text
        for text, size in shown:
            more = constant(size)
            times = divide(size - more, dim)
            if axis_name(dim) and isinstance(times, int) and times:
                less = f"{text} {'-' if more > 0 else '+'} {abs(more)}" if more else text
                if times == 1:
                    return less
                return f"({less}) // {times}" if more else f"{less} // {times}"
            times = divide(dim, size)
            if isinstance(size, Expr) and isinstance(times, int):
                return f"{times} * {text}"
        return None

    def _shown(self) -> Iterator[tuple[str, Dim]]:
        for name, value in self._arguments:
            for axis, size in enumerate(value.type.shape):
                yield f"{name}.shape[{axis}]", size

    def _term(self, atoms: tuple[Atom, ...], factor: int) -> str:
        parts = [self._atom(atom) for atom in atoms]
        return " * ".join(parts if factor == 1 and parts else [literal(factor), *parts])

    def _atom(self, atom: Atom) -> str:
        if isinstance(atom, str):
            return self.write(symbol(atom))
        inner = self.write(atom.numerator)
        return f"({inner if inner.isidentifier() else f'({inner})'} // {atom.divisor})"
