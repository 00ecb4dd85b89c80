"""What xgraph tells a user who made a mistake: the facts of it, and how they are shown.

A `Diagnostic` is data. Stages collect them in a `Report` and go on, so that one run shows every
mistake; `DiagnosticError` carries them to the caller. A fault of xgraph itself is an
`InternalError`, never a diagnostic.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from typing import Literal, TypeAlias, final

from xgraph.source import Span

Severity = Literal["error", "warning"]


@final
@dataclass(frozen=True)
class Label:
    """A place and what is to be said of it."""

    span: Span
    text: str = ""


@final
@dataclass(frozen=True)
class Diagnostic:
    """One mistake.

    `id` names the fault (kebab-case), `message` is lower-case without a full stop, `label` is
    where it went wrong, `notes` are where the other facts were written, `help` says what to do.
    A mistake outside a text (a weights file, a flag) has an `origin` in place of a label.
    """

    id: str
    message: str
    label: Label | None = None
    notes: tuple[Label, ...] = ()
    help: str | None = None
    severity: Severity = "error"
    origin: str | None = None

    def __str__(self) -> str:
        return render(self)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(render(self))}</pre>"


class DiagnosticError(Exception):
    """The input has mistakes; `diagnostics` are all that were found."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "\n\n".join(render(d) for d in self.diagnostics)

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in place of a traceback."""
        return str(self).splitlines()


class InternalError(Exception):
    """A bug in xgraph: which stage failed, on what graph."""

    def __init__(self, stage: str, message: str, graph_text: str = "") -> None:
        super().__init__(f"internal error in {stage}: {message}")
        self.stage = stage
        self.graph_text = graph_text


@final
class Report:
    """A collector: the diagnostics of one run, in the order they were found, each once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, object], Diagnostic] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        where: object = diagnostic.origin
        if diagnostic.label:
            span = diagnostic.label.span
            where = (span.source.name, span.start, span.end)
        self._found.setdefault((diagnostic.id, diagnostic.message, where), diagnostic)

    def error(
        self,
        id: str,  # noqa: A002 - the field's own name
        message: str,
        span: Span | None,
        text: str = "",
        *,
        notes: Iterable[Label] = (),
        help: str | None = None,  # noqa: A002
        origin: str | None = None,
    ) -> None:
        label = Label(span, text) if span else None
        self.add(Diagnostic(id, message, label, tuple(notes), help, "error", origin))

    def warn(
        self,
        id: str,  # noqa: A002
        message: str,
        span: Span | None,
        text: str = "",
        *,
        help: str | None = None,  # noqa: A002
    ) -> None:
        label = Label(span, text) if span else None
        self.add(Diagnostic(id, message, label, (), help, "warning"))

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self if d.severity == "error"]

    @property
    def warnings(self) -> list[Diagnostic]:
        return [d for d in self if d.severity == "warning"]

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(sorted(self._found.values(), key=_order))

    def __len__(self) -> int:
        return len(self._found)

    def raise_errors(self) -> None:
        """Raise `DiagnosticError` if anything found is an error."""
        if self.errors:
            raise DiagnosticError(*self)


def _order(d: Diagnostic) -> tuple[str, int]:
    return (d.label.span.source.name, d.label.span.start) if d.label else ("", 0)


def fail(
    id: str,  # noqa: A002
    message: str,
    *,
    span: Span | None = None,
    text: str = "",
    origin: str | None = None,
    help: str | None = None,  # noqa: A002
) -> DiagnosticError:
    """A `DiagnosticError` of one diagnostic, to be raised."""
    label = Label(span, text) if span else None
    return DiagnosticError(Diagnostic(id, message, label, (), help, "error", origin))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A help text that names the known word nearest to `name`, if one is near."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near else None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known word that `name` is most likely a slip of."""
    if len(name) > 100:
        return None
    for word in get_close_matches(name, list(known), n=3, cutoff=0.6):
        # Short words are near to one another by chance: a poor match must begin alike.
        alike = word[0] == name[0] or (len(word) > 2 and word in name)
        if alike or SequenceMatcher(None, name, word).ratio() >= 0.75:
            return word
    return None


# ------------------------------------------------------------------------------- rendering

_COLOURS = {"error": "\033[1;31m", "warning": "\033[1;33m", "blue": "\033[1;34m"}
Paint: TypeAlias = Callable[[str, str], str]
_BOLD, _RESET = "\033[1m", "\033[0m"


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """The text a person sees: message, the lines concerned with carets, help."""

    def paint(text: str, code: str) -> str:
        return f"{code}{text}{_RESET}" if colour and text else text

    d = diagnostic
    head = paint(f"{d.severity}[{d.id}]", _COLOURS[d.severity])
    lines = [head + paint(f": {_fit(d.message)}", _BOLD)]
    if d.label is not None:
        notes = [n for n in d.notes if n.span.source is d.label.span.source]
        lines += _excerpt(d.label, notes, d.severity, paint)
        for note in d.notes:
            if note.span.source is not d.label.span.source:
                lines += _excerpt(note, [], "blue", paint)
    elif d.origin is not None:
        lines.append(paint("  --> ", _COLOURS["blue"]) + printable(d.origin))
    if d.help:
        lines.append(paint("help", _COLOURS["blue"]) + f": {_fit(d.help)}")
    return "\n".join(lines)


def _fit(text: str) -> str:
    """A message fit to be printed: without the middle of what is immoderately long."""
    short = text if len(text) <= 600 else f"{text[:300]} ... {text[-100:]}"
    return printable(short)


def _excerpt(label: Label, notes: list[Label], tone: str, paint: Paint) -> list[str]:
    rows: dict[int, list[tuple[Label, str]]] = {}
    for part in [label, *notes]:
        rows.setdefault(part.span.line, []).append((part, "^" if part is label else "-"))
    width = len(str(max(rows)))
    blue = _COLOURS["blue"]
    bar = paint(" " * width + " | ", blue)
    out = [paint(" " * width + "--> ", blue) + printable(str(label.span)), bar.rstrip(" ")]
    before = None
    for number in sorted(rows):
        if before is not None and number > before + 1:
            out.append(paint("...", blue))
        line = _Line.around(label.span.source.line(number), rows[number][0][0].span.column - 1)
        out.append(paint(f"{number:>{width}} | ", blue) + printable(line.text, tabs="    "))
        for part, mark in sorted(rows[number], key=lambda row: -row[0].span.column):
            if under := line.under(part, mark):
                out.append(bar + paint(under, _COLOURS[tone if mark == "^" else "blue"]))
        before = number
    return out


_WIDTH = 160
"""The most characters of a line that are shown."""


@final
@dataclass(frozen=True)
class _Line:
    """What is shown of a line: all, or of a very long one `text` with `...` where some is cut,
    before which `start` characters stand."""

    text: str
    start: int = 0

    @staticmethod
    def around(text: str, place: int) -> _Line:
        if len(text) <= _WIDTH:
            return _Line(text)
        start = max(0, place - 60)
        before, after = "..." if start else "", "..." if start + _WIDTH < len(text) else ""
        return _Line(before + text[start : start + _WIDTH] + after, start - len(before))

    def under(self, label: Label, mark: str) -> str | None:
        """Marks under a label's span and its text, None where it is not in sight."""
        begin = label.span.column - 1 - self.start
        if not 0 <= begin <= len(self.text):
            return None
        end = min(begin + label.span.end - label.span.start, begin + _WIDTH)
        marks = mark * max(1, _columns(self.text[begin:end]))
        return f"{' ' * _columns(self.text[:begin])}{marks} {label.text}".rstrip(" ")


def _columns(text: str) -> int:
    """How many terminal columns `text` takes once printed."""
    return sum(
        4 if c == "\t" else 2 if unicodedata.east_asian_width(c) in "WF" else len(printable(c))
        for c in text
        if not unicodedata.combining(c)
    )


def printable(text: str, tabs: str = "\\t") -> str:
    """`text` with control and direction characters made visible."""
    return "".join(
        tabs if c == "\t" else c if c.isprintable() or c == " " else repr(c)[1:-1] for c in text
    )
