"""Values given to `param`s from outside: `paths=4`."""

from __future__ import annotations

from collections.abc import Iterable

from xgraph.build.expressions import EVERY_WORD, constant
from xgraph.build.flow import chain_alone
from xgraph.build.model import Env, Halt, Limits, Stop
from xgraph.build.names import Names
from xgraph.build.state import Context, State
from xgraph.diagnostics import Report, fail
from xgraph.grammar import parse_expression
from xgraph.source import Source


def read_settings(texts: Iterable[str]) -> dict[str, object]:
    """`name=value` texts as settings; `DiagnosticError` where one is not of that form."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier() or not value.strip():
            raise fail(
                "bad-setting",
                f"`{text}` is not of the form name=value",
                origin=f"--set {text}",
                help="for example `--set paths=4`",
            )
        if name in found:
            raise fail("bad-setting", f"`{name}` is set twice", origin=f"--set {text}")
        found[name] = _value(name, value.strip())
    return found


def _value(name: str, text: str) -> object:
    report = Report()
    tree = parse_expression(Source(f"--set {name}", text), report)
    report.raise_errors()
    assert tree is not None
    context = Context(State(report, Limits()), Env(), "", None, Names(), (), chain_alone)
    try:
        return constant(tree, context, words=EVERY_WORD)
    except (Stop, Halt):
        report.raise_errors()
        raise
