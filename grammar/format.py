"""Syntax tree to text, in the one canonical form.

What an author may choose is kept: a body on one line if it fits, a blank line between statements,
comments. A tree that a pass has built has no such choices (its spans are `SYNTHETIC`): its bodies
are on one line if they are short, and a blank line parts declarations of different kinds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import final

from xgraph.grammar import tree
from xgraph.grammar.layout import (
    HARD,
    LINE,
    SOFT,
    TRAILING_COMMA,
    Choice,
    Doc,
    Remark,
    Row,
    group,
    indented,
    joined,
    render,
    row,
)
from xgraph.grammar.paragraphs import Item, breaks_before, is_short, joined_at_top
from xgraph.grammar.tree import Body, Comment, Document, Entry, Expression, Name, Tree
from xgraph.source import Source, Span

# How tightly an expression binds; xg.lark lists the same levels, loosest first.
_CHAIN, _REPEAT, _CONDITIONAL, _OR, _AND, _NOT, _COMPARISON = range(7)
_SUM, _PRODUCT, _NEGATIVE, _POWER, _POSTFIX = range(7, 12)

# The level of a binary operator, and what its operands need at least.
_BINARY = {
    "or": (_OR, _OR, _AND),
    "and": (_AND, _AND, _NOT),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), (_COMPARISON, _SUM, _SUM)),
    **dict.fromkeys(("+", "-"), (_SUM, _SUM, _PRODUCT)),
    **dict.fromkeys(("*", "/", "//", "%"), (_PRODUCT, _PRODUCT, _NEGATIVE)),
    "**": (_POWER, _POSTFIX, _NEGATIVE),
}

_TO_CLOSING_BRACE = re.compile(r"(?:[\s;]|#[^\n]*)*\}")
_TO_ELSE = re.compile(r"\}(?:\s|#[^\n]*)*else")


def format_document(document: Document) -> str:
    """The canonical text of a file."""
    text = _Writer(document.span.source, document.comments).document(document)
    return text + "\n" if text else ""


def format_tree(part: Tree) -> str:
    """The canonical text of any part of a tree, without a line break at its end."""
    if isinstance(part, Document):
        return format_document(part).rstrip("\n")
    return render(group(_Writer(part.span.source, ()).write(part)))


def _level(expression: Expression) -> int:
    match expression:
        case tree.Chain():
            return _CHAIN
        case tree.Repeat():
            return _REPEAT
        case tree.Conditional() | tree.Range():
            return _CONDITIONAL
        case tree.Binary(operator=operator):
            return _BINARY[operator][0]
        case tree.Unary(operator=operator):
            return _NOT if operator == "not" else _NEGATIVE
        case tree.Number(value=value) if value < 0:
            return _NEGATIVE
        case _:
            return _POSTFIX


@final
class _Writer:
    """Writes trees in the order of their text, and each comment when its place is passed.

    A comment that has no place of its own within a statement is put before the statement.
    """

    def __init__(self, source: Source, comments: Sequence[Comment]) -> None:
        self.source = source
        self.comments = sorted(comments, key=lambda comment: comment.span.start)
        self.passed = 0

    def write(self, part: Tree) -> Doc:
        writer: Callable[[Tree], Doc] = getattr(self, f"_{type(part).__name__.lower()}")
        return writer(part)

    # ------------------------------------------------------------------------------ comments

    def _is_read(self, span: Span) -> bool:
        return span.source is self.source and span.end > span.start

    def _take(self, end: int) -> list[Comment]:
        """The comments before `end` that are not written yet."""
        start = self.passed
        while self.passed < len(self.comments):
            if self.comments[self.passed].span.start >= end:
                break
            self.passed += 1
        return self.comments[start : self.passed]

    def _before(self, part: Tree) -> list[Comment]:
        return self._take(part.span.start) if self._is_read(part.span) else []

    def _remarks(self, part: Tree) -> list[Doc]:
        """The comments before `part`; a break must follow them."""
        return _remarks(self._before(part))

    # ------------------------------------------------------------------------------ sequences

    def document(self, document: Document) -> str:
        items: list[Item] = []
        if document.version is not None:
            span = document.span
            line = span.line if self._is_read(span) else None
            self._add_comments(items, self._before(document))
            items.append(Item(f"xgraph {document.version}", Document, line, line))
        self._add(items, document.declarations)
        self._add_comments(items, self._take(len(self.source.text) + 1))
        return joined_at_top(items)

    def _add(self, items: list[Item], parts: Iterable[Tree]) -> None:
        for part in parts:
            self._add_comments(items, self._before(part))
            doc = self.write(part)
            if not self._is_read(part.span):
                items.append(Item(doc, type(part)))
                continue
            first = part.span.line
            last = self.source.position(part.span.end - 1)[0]
            homeless = self._take(part.span.end)
            items += [Item(comment.text, Comment, first, first) for comment in homeless]
            items.append(Item(doc, type(part), first, last))
            self._add_comments(items, self._right_behind(part))

    def _right_behind(self, part: Tree) -> list[Comment]:
        """The comment that ends the line of `part`, if nothing else stands between."""
        if self.passed == len(self.comments):
            return []
        start = self.comments[self.passed].span.start
        between = self.source.text[part.span.end : start]
        return self._take(start + 1) if not between.strip(" \t;") else []

    def _add_comments(self, items: list[Item], comments: Iterable[Comment]) -> None:
        for comment in comments:
            line = comment.span.line
            if items and not comment.own_line and _takes_remark(items[-1], line):
                doc = row(items[-1].doc, Remark(comment.text))
                items[-1] = replace(items[-1], doc=doc, last=line, remarked=True)
            else:
                items.append(Item(comment.text, Comment, line, line))

    def _braces(self, parts: Sequence[Tree], flat: bool | None, end: int | None = None) -> Row:
        """`{ ... }`, on one line or several as the group it is in; `flat` is None if nobody chose.

        `end` is where `}` stands in the source.
        """
        items = [Item("{", Body)]
        self._add(items, parts)
        if end is not None:
            self._add_comments(items, self._take(end))
        opening, *inside = items
        if len(items) == 1 and not opening.remarked:
            return row("{}")
        if flat is None:
            flat = is_short(inside)
        if flat and not any(item.remarked or item.kind is Comment for item in items):
            separator = row(Choice(";", ""), LINE)
            statements = joined(separator, (item.doc for item in inside))
            return row("{", indented(LINE, statements), LINE, "}")
        lines = [row(*breaks_before(inside, i), item.doc) for i, item in enumerate(inside)]
        return row(opening.doc, indented(*lines), HARD, "}")

    def _is_flat(self, span: Span) -> bool | None:
        return "\n" not in span.text if self._is_read(span) else None

    def _body(self, body: Body) -> Row:
        end = body.span.end - 1 if self._is_read(body.span) else None
        return self._braces(body.statements, self._is_flat(body.span), end)

    def _declarations(self, parts: Sequence[Tree], whole: Span) -> Row:
        """The declarations in braces of a declaration that spans `whole`."""
        if not self._is_read(whole):
            return self._braces(parts, False)
        return self._braces(parts, self._is_flat(whole), self._closing_brace(parts))

    def _closing_brace(self, parts: Sequence[Tree]) -> int | None:
        """Where the `}` behind `parts` stands; no tree spans the braces of declarations."""
        ends = [part.span.end for part in parts if self._is_read(part.span)]
        rest = _TO_CLOSING_BRACE.match(self.source.text, max(ends)) if ends else None
        return rest.end() - 1 if rest else None

    # --------------------------------------------------------------------------- declarations

    def _network(self, part: tree.Network) -> Doc:
        return group(f"network {part.name.name}", indented(*self._clauses(part.meta)))

    def _param(self, part: tree.Param) -> Doc:
        return row(f"param {part.name.name} = ", self.write(part.default))

    def _dim(self, part: tree.Dim) -> Doc:
        return row(f"dim {part.name.name}", *self._value(part.size))

    def _use(self, part: tree.Use) -> Doc:
        return row("use ", self.write(part.path))

    def _modality(self, part: tree.Modality) -> Doc:
        dtype = f"{part.dtype.name} " if part.dtype else ""
        head = f"modality {part.name.name}: {dtype}"
        return group(head, self.write(part.shape), indented(*self._clauses(part.meta)))

    def _let(self, part: tree.Let) -> Doc:
        return row(f"let {part.name.name} = ", self.write(part.value))

    def _block(self, part: tree.Block) -> Doc:
        parameters = self._listed("(", part.parameters, ")")
        return row(f"block {part.name.name}", parameters, " ", group(self._body(part.body)))

    def _parameter(self, part: tree.Parameter) -> Doc:
        return row(part.name.name, *self._value(part.default))

    def _superlayer(self, part: tree.SuperLayer) -> Doc:
        count = row("[", self.write(part.count), "]") if part.count else ""
        return self._stream(row(f"superlayer {part.name.name}", count), part)

    def _fusion(self, part: tree.Fusion) -> Doc:
        return self._stream(f"fusion {part.name.name}", part)

    def _stream(self, head: Doc, part: tree.SuperLayer | tree.Fusion) -> Doc:
        inputs = self._listed("(", part.arguments, ")")
        header = group(head, inputs, indented(*self._clauses(part.meta)))
        return row(header, " ", group(self.write(part.body)))

    def _space(self, part: tree.Space) -> Doc:
        end = part.span.end - 1 if self._is_read(part.span) else None
        settings = self._braces(part.settings, self._is_flat(part.span), end)
        return row(f"= {part.kind.name} ", settings)

    def _setting(self, part: tree.Setting) -> Doc:
        first, *rest = (self.write(value) for value in part.values)
        values = group(first, indented(*(row(",", LINE, value) for value in rest)))
        return row(f"{part.key.name}: ", values)

    def _connect(self, part: tree.Connect) -> Doc:
        source = self.write(part.source)
        points = group(source, indented(LINE, "-> ", self._points(part.targets)))
        clauses = self._clauses(part.meta, part.by, part.via)
        return group("connect ", points, indented(*clauses))

    def _route(self, part: tree.Route) -> Doc:
        points = [self._points(part.sources)]
        if part.targets:
            points.append(self._points(part.targets))
        head = group(points[0], indented(*(row(LINE, "-> ", each) for each in points[1:])))
        clauses = self._clauses(part.meta, via=part.via)
        return group(f"route {part.router.name} ", head, indented(*clauses))

    def _points(self, points: Sequence[Expression]) -> Doc:
        first, *rest = (self.write(point) for point in points)
        return group(first, indented(*(row(",", LINE, point) for point in rest)))

    def _clauses(
        self, meta: tuple[Entry, ...], by: Name | None = None, via: Expression | None = None
    ) -> list[Doc]:
        clauses: list[Doc] = []
        if by:
            clauses += [*self._remarks(by), LINE, f"by {by.name}"]
        if meta:
            clauses += [*self._remarks(meta[0]), LINE, self._meta(meta)]
        if via:
            clauses += [*self._remarks(via), LINE, row("via ", self.write(via))]
        return clauses

    def _meta(self, meta: tuple[Entry, ...]) -> Doc:
        first, *rest = (self.write(entry) for entry in meta)
        return row("with ", group(first, indented(*(row(",", LINE, entry) for entry in rest))))

    def _entry(self, part: Entry) -> Doc:
        return row(f"{part.key.name} = ", self._at(_CONDITIONAL, part.value))

    def _each(self, part: tree.Each) -> Doc:
        body = self._declarations(part.declarations, part.span)
        return row(f"each {part.axis.name} ", group(body))

    def _output(self, part: tree.Output) -> Doc:
        return row(f"output {part.name.name}", *self._value(part.value))

    def _ifdecl(self, part: tree.IfDecl) -> Doc:
        return group(self._if_declarations(part))

    def _if_declarations(self, part: tree.IfDecl) -> Row:
        condition = self._at(_OR, part.condition)
        yes = self._declarations(part.yes, part.span)
        head = row("if ", condition, " ", yes)
        if not part.no:
            return head
        closed = self._closing_brace(part.yes)
        otherwise = _TO_ELSE.match(self.source.text, closed) if closed else None
        between = _before_else(self._take(otherwise.end()) if otherwise else [])
        if len(part.no) == 1 and isinstance(part.no[0], tree.IfDecl):
            return row(head, *between, "else ", self._if_declarations(part.no[0]))
        return row(head, *between, "else ", self._declarations(part.no, part.span))

    def _repeatdecl(self, part: tree.RepeatDecl) -> Doc:
        head = self._repetition(part)
        body = self._declarations(part.declarations, part.span)
        return row(head, group(body))

    # ------------------------------------------------------------------------------ statements

    def _stage(self, part: tree.Stage) -> Doc:
        label = [self.write(part.label), ": "] if part.label else []
        return row(*label, self.write(part.chain))

    def _label(self, part: tree.Label) -> Doc:
        index = ["[", self.write(part.index), "]"] if part.index else []
        return row(part.name.name, *index)

    def _if(self, part: tree.If) -> Doc:
        return group(self._if_statements(part))

    def _if_statements(self, part: tree.If) -> Row:
        head = row("if ", self._at(_OR, part.condition), " ", self._body(part.yes))
        if part.no is None:
            return head
        between = _before_else(self._before(part.no))
        match part.no.statements:
            case (tree.If() as no,):
                return row(head, *between, "else ", self._if_statements(no))
        return row(head, *between, "else ", self._body(part.no))

    # ----------------------------------------------------------------------------- expressions

    def _at(self, level: int, part: Expression) -> Doc:
        """`part` where something of `level` may stand, in parentheses if it binds less."""
        if _level(part) >= level:
            return self.write(part)
        return group("(", indented(SOFT, self.write(part)), SOFT, ")")

    def _value(self, part: Expression | None) -> list[Doc]:
        return [] if part is None else [" = ", self.write(part)]

    def _listed(
        self, opening: str, parts: Sequence[Tree], closing: str, end: int | None = None
    ) -> Doc:
        """`parts` between brackets, one on a line if they do not fit; `end` is the place of the
        closing bracket."""
        if not parts:
            return opening + closing
        inner: list[Doc] = []
        for part in parts:
            comma = [","] if inner else []
            inner += [*comma, *self._remarks(part), LINE if inner else SOFT, self.write(part)]
        rest = _remarks(self._take(end)) if end is not None else []
        return group(opening, indented(*inner, TRAILING_COMMA, *rest), SOFT, closing)

    def _end(self, span: Span) -> int | None:
        return span.end - 1 if self._is_read(span) else None

    def _chain(self, part: tree.Chain) -> Doc:
        first, *rest = part.stages
        docs: list[Doc] = []
        head = self._link(first)
        for stage in rest:
            docs += [*self._remarks(stage), LINE, "-> ", self._link(stage)]
        return group(head, indented(*docs))

    def _link(self, part: Expression) -> Doc:
        # A conditional would do without parentheses here, but not to the eye.
        return self._at(_REPEAT if isinstance(part, tree.Repeat) else _OR, part)

    def _repeat(self, part: tree.Repeat) -> Doc:
        return row(self._repetition(part), group(self._body(part.body)))

    def _repetition(self, part: tree.Repeat | tree.RepeatDecl) -> Doc:
        variable = f" as {part.variable.name}" if part.variable else ""
        is_range = isinstance(part.count, tree.Range)
        count = self.write(part.count) if is_range else self._at(_OR, part.count)
        return row("repeat ", count, f"{variable} ")

    def _conditional(self, part: tree.Conditional) -> Doc:
        condition = self._at(_OR, part.condition)
        yes, no = self._at(_OR, part.yes), self._at(_CONDITIONAL, part.no)
        return group("if ", condition, indented(LINE, "then ", yes, LINE, "else ", no))

    def _binary(self, part: tree.Binary) -> Doc:
        _, left, right = _BINARY[part.operator]
        head = row(self._at(left, part.left), f" {part.operator}")
        return group(head, indented(LINE, self._at(right, part.right)))

    def _unary(self, part: tree.Unary) -> Doc:
        if part.operator == "not":
            return row("not ", self._at(_NOT, part.operand))
        return row("-", self._at(_NEGATIVE, part.operand))

    def _call(self, part: tree.Call) -> Doc:
        function = self._at(_POSTFIX, part.function)
        return row(function, self._listed("(", part.arguments, ")", self._end(part.span)))

    def _argument(self, part: tree.Argument) -> Doc:
        name = f"{part.name.name} = " if part.name else ""
        return row(name, self.write(part.value))

    def _member(self, part: tree.Member) -> Doc:
        return row(self._at(_POSTFIX, part.base), f".{part.name.name}")

    def _members(self, part: tree.Members) -> Doc:
        names = self._listed("[", part.names, "]", self._end(part.span))
        return row(self._at(_POSTFIX, part.base), ".", names)

    def _index(self, part: tree.Index) -> Doc:
        return row(self._at(_POSTFIX, part.base), "[", self.write(part.index), "]")

    def _star(self, part: tree.Star) -> Doc:
        return "*"

    def _range(self, part: tree.Range) -> Doc:
        return row(self._at(_OR, part.low), " .. ", self._at(_OR, part.high))

    def _list(self, part: tree.List) -> Doc:
        return self._listed("[", part.items, "]", self._end(part.span))

    def _name(self, part: Name) -> Doc:
        return part.name

    def _number(self, part: tree.Number) -> Doc:
        kept = part.text and part.text.isdigit() == isinstance(part.value, int)
        if kept and float(part.text) == part.value:
            return part.text
        return repr(part.value)

    def _bool(self, part: tree.Bool) -> Doc:
        return "true" if part.value else "false"

    def _string(self, part: tree.String) -> Doc:
        return '"' + part.value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def _comment(self, part: Comment) -> Doc:
        return part.text


def _takes_remark(item: Item, line: int) -> bool:
    """Whether a comment behind something on `line` is about `item`."""
    return not item.remarked and (item.kind is Body or item.last == line)


def _remarks(comments: Iterable[Comment]) -> list[Doc]:
    """`comments` in the middle of a statement: the first may stay behind what it follows."""
    docs: list[Doc] = []
    for comment in comments:
        stays = not docs and not comment.own_line
        docs += [Remark(comment.text)] if stays else [HARD, comment.text]
    return docs


def _before_else(comments: Sequence[Comment]) -> list[Doc]:
    return [*_remarks(comments), HARD] if comments else [" "]
