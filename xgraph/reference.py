"""The op tables of the language reference, written from the declarations.

`python -m xgraph.reference docs/language.md` brings a file's tables up to date: what stands
between the two markers is replaced.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from xgraph.build import build_source
from xgraph.diagnostics import DiagnosticError
from xgraph.files import write_whole
from xgraph.ir.attrs import AttrValue, Axes, AxisRef, Initialiser
from xgraph.ir.graph import Graph
from xgraph.ir.op import REQUIRED, Attr, OpSpec, Port
from xgraph.ir.types import DType
from xgraph.ops import FAMILIES, ROUTERS
from xgraph.passes import lower
from xgraph.source import Source

BEGIN = "<!-- begin: ops (written by `make docs`) -->"
END = "<!-- end: ops -->"

_WANTED = {
    AxisRef: "an [axis](#axes)",
    Axes: "an [axis](#axes), or a list of axes",
    Initialiser: "an [initialiser](#initialisers)",
}
"""Kinds of attributes that the reference explains once."""

_AROUND = """
dim T = 6
modality image: [24, 16, 16]
modality steps: [T, 24]
modality vector: [784]
modality words: i64 [T]
modality n: i64 []
superlayer path[2](image) {{ c2: conv(64, 3); c3: conv(64, 3) }}
superlayer audio(image) {{ f4: conv(8, 3); f5: globalavgpool }}
superlayer net(image) {{ f2: conv(8, 3); f3: conv(8, 1) }}
superlayer middle(image) {{ conv(8, 3) }}
{route}
fusion head({inputs}) {{
  {lets}
  {stage}
}}
output y = mean(head)
output z = mean(path[*])
"""
"""A network around a layer, with everything that the examples of the declarations speak of."""

_SIGHTS = (
    ("image", ""),
    ("image", "let a = in; let b = in -> relu"),
    ("steps", "let a = in -> slice(0, 6, axis = 1); let b = a -> relu"),
    ("steps, steps -> relu", ""),
    ("vector", "let a = in; let b = in -> relu"),
    ("vector, vector -> relu", ""),
    ("words", ""),
)
"""What may flow into an example, and what may be called `a` and `b` beside it."""


def tables() -> str:
    """The op tables, as Markdown."""
    parts = []
    for family, ops in FAMILIES.items():
        if shown := [op for op in ops if not op.hidden]:
            parts += [f"### {family.capitalize()}", _overview(shown), *_attributes(shown)]
    return "\n\n".join(parts)


def rewritten(text: str) -> str:
    """`text` with the tables between its markers replaced."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{tail}"


def example_graph(op: OpSpec) -> Graph:
    """A graph with the op's example in it; `DiagnosticError` if it does not build anywhere."""
    error: DiagnosticError | None = None
    for text in _settings(op):
        try:
            return build_source(Source(f"example of {op.name}", text))
        except DiagnosticError as found:
            error = error or found
    assert error is not None
    raise error


def _settings(op: OpSpec) -> Iterator[str]:
    """Networks to try the example in."""
    if op.name in ROUTERS:
        yield _AROUND.format(route=op.example, inputs="image", lets="", stage="relu")
        return
    example = op.example.replace("image.", "net.").replace("central", "middle")
    for (inputs, lets), stage in product(_SIGHTS, (example, f"in -> {example}")):
        yield _AROUND.format(route="", inputs=inputs, lets=lets, stage=stage)


def owned(op: OpSpec) -> list[str]:
    """The parameters of the op in its example, by their addresses below its own."""
    graph = example_graph(op)
    (node,) = [node for node in graph.nodes() if node.op is op and _is_example(op, node.address)]
    names = (name for name, _ in lower(graph).params())
    prefix = f"{node.address}."
    below = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return list(dict.fromkeys(map(_numbered, below)))


def _is_example(op: OpSpec, address: str) -> bool:
    return op.name in ROUTERS or (address.startswith("head.") and address.endswith("1"))


def _numbered(name: str) -> str:
    """`layer.0.1.weight` as `layer.i.j.weight`."""
    letters = iter("ijk")
    return re.sub(r"(?<=\.)\d+(?=\.)", lambda _: next(letters), name)


# ------------------------------------------------------------------------------------ tables


def _overview(ops: Iterable[OpSpec]) -> str:
    rows = [
        (f"`{op.name}`", op.doc, _code(op.example), _takes(op), ", ".join(map(_code, owned(op))))
        for op in ops
    ]
    return _table(("", "what it gives", "example", "takes", "owns"), rows)


def _takes(op: OpSpec) -> str:
    return ", ".join(map(_port, op.inputs)) or "nothing"


def _port(port: Port) -> str:
    if port.optional:
        return f"`{port.name} =` {port.doc}"
    if port.variadic:
        return "values" if port.least == 1 else f"{port.least} or more values"
    return f"integers `{port.name}`" if port.dtype is DType.I64 else f"`{port.name}`"


def _attributes(ops: Iterable[OpSpec]) -> Iterator[str]:
    rows = [
        (f"`{op.name}`" if first else "", f"`{attr.name}`", _default(attr), _meaning(attr))
        for op in ops
        for first, attr in _marked(op)
    ]
    if rows:
        yield _table(("", "attribute", "default", "is"), rows)


def _marked(op: OpSpec) -> Iterator[tuple[bool, Attr]]:
    """The attributes that a person writes, the first of them marked."""
    hidden = ("outputs", "layers") if op.name in ROUTERS else ()
    shown = [attr for attr in op.attrs if attr.name not in hidden]
    for number, attr in enumerate(shown):
        yield number == 0, attr


def _meaning(attr: Attr) -> str:
    wanted = _WANTED.get(type(attr.kind), attr.kind.wanted)
    return f"{wanted}: {attr.doc}" if attr.doc else wanted


def _default(attr: Attr) -> str:
    if attr.default is REQUIRED:
        return ""
    return "none" if attr.default is None else _code(_written(attr.default))


def _written(value: AttrValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _code(text: str) -> str:
    return f"`{text}`"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads)]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Bring the tables of the files named up to date."""
    for path in map(Path, sys.argv[1:]):
        write_whole(path, rewritten(path.read_text("utf-8")))


if __name__ == "__main__":
    main()
