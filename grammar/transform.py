"""What the parser calls when a rule is complete: pieces become a syntax tree.

One method for each rule or alias of xg.lark. The parser builds from the leaves up and keeps its
own stack, so no input can exhaust Python's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias, final

from lark import Transformer, v_args

from xgraph.diagnostics import Diagnostic, Label
from xgraph.grammar import tree
from xgraph.grammar.lexer import Token
from xgraph.grammar.tree import Body, Declaration, Entry, Expression, Name, Statement, Tree
from xgraph.source import Span


@final
class Refused(Exception):
    """The grammar lets it pass, the language does not."""

    def __init__(self, id: str, message: str, span: Span, help: str, *notes: Label) -> None:  # noqa: A002
        super().__init__(message)
        self.diagnostic = Diagnostic(id, message, Label(span), notes, help)


@final
class Header(NamedTuple):
    """`xgraph 1`"""

    version: int
    span: Span


@final
class _Declarations(NamedTuple):
    items: tuple[Declaration, ...]
    span: Span


@final
class _By(NamedTuple):
    name: Name
    span: Span
    word: str = "by"


@final
class _Via(NamedTuple):
    chain: Expression
    span: Span
    word: str = "via"


@final
class _Meta(NamedTuple):
    entries: tuple[Entry, ...]
    span: Span
    word: str = "with"


_Clause: TypeAlias = _By | _Via | _Meta


@final
class _Clauses:
    """The `by`, `with` and `via` of a declaration, each at most once."""

    def __init__(self, clauses: Sequence[_Clause]) -> None:
        self.by: Name | None = None
        self.via: Expression | None = None
        self.meta: tuple[Entry, ...] = ()
        seen: dict[str, _Clause] = {}
        for clause in clauses:
            if clause.word in seen:
                _refuse_repeated(clause, seen[clause.word])
            seen[clause.word] = clause
            self._take(clause)

    def _take(self, clause: _Clause) -> None:
        if isinstance(clause, _By):
            self.by = clause.name
        elif isinstance(clause, _Via):
            self.via = clause.chain
        else:
            self.meta = clause.entries


def _refuse_repeated(clause: _Clause, first: _Clause) -> None:
    raise Refused(
        "repeated-clause",
        f"`{clause.word}` is written twice",
        clause.span,
        "keep one of them" + ("; entries are separated by commas" if clause.word == "with" else ""),
        Label(first.span, "first written here"),
    )


def _refuse_other_chaining(link: Expression) -> None:
    """`conv(3) > relu` and `conv(3).relu()`, which give no layer but could be read."""
    callee = link.function if isinstance(link, tree.Call) else link
    method = isinstance(callee, tree.Member) and isinstance(callee.base, tree.Call)
    if method or (isinstance(link, tree.Binary) and link.operator in _COMPARISONS):
        raise Refused(
            "foreign-syntax",
            "this chains no layers",
            link.span,
            "layers are chained with `->`",
        )


_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


@final
@v_args(inline=True)
class Builder(Transformer[Token, Tree]):
    # ------------------------------------------------------------------------ declarations

    def header(self, keyword: Token, version: Token) -> Header:
        return Header(int(version.text), keyword.span.to(version.span))

    def network(self, keyword: Token, name: Name, meta: _Meta | None) -> tree.Network:
        entries = meta.entries if meta else ()
        return tree.Network(name=name, meta=entries, span=keyword.span.to((meta or name).span))

    def param(self, keyword: Token, name: Name, default: Expression) -> tree.Param:
        return tree.Param(name=name, default=default, span=keyword.span.to(default.span))

    def dim(self, keyword: Token, name: Name, size: Expression | None) -> tree.Dim:
        return tree.Dim(name=name, size=size, span=keyword.span.to((size or name).span))

    def use(self, keyword: Token, path: tree.String) -> tree.Use:
        return tree.Use(path=path, span=keyword.span.to(path.span))

    def modality(
        self, keyword: Token, name: Name, dtype: Name | None, shape: tree.List, meta: _Meta | None
    ) -> tree.Modality:
        span = keyword.span.to((meta or shape).span)
        entries = meta.entries if meta else ()
        return tree.Modality(name=name, dtype=dtype, shape=shape, meta=entries, span=span)

    def let(self, keyword: Token, name: Name, value: Expression) -> tree.Let:
        return tree.Let(name=name, value=value, span=keyword.span.to(value.span))

    def block(
        self,
        keyword: Token,
        name: Name,
        _open: Token,
        parameters: tuple[tree.Parameter, ...],
        _close: Token,
        body: Body,
    ) -> tree.Block:
        span = keyword.span.to(body.span)
        return tree.Block(name=name, parameters=parameters, body=body, span=span)

    def parameters(self, *parameters: tree.Parameter) -> tuple[tree.Parameter, ...]:
        return parameters

    def parameter(self, name: Name, default: Expression | None) -> tree.Parameter:
        return tree.Parameter(name=name, default=default, span=name.span.to((default or name).span))

    def superlayer(
        self,
        keyword: Token,
        name: Name,
        count: Expression | None,
        inputs: tuple[Expression, ...],
        meta: _Meta | None,
        body: Body | tree.Space,
    ) -> tree.SuperLayer:
        return tree.SuperLayer(
            name=name,
            count=count,
            arguments=inputs,
            body=body,
            meta=meta.entries if meta else (),
            span=keyword.span.to(body.span),
        )

    def count(self, _open: Token, count: Expression, _close: Token) -> Expression:
        return count

    def inputs(self, _open: Token, *rest: Expression | Token) -> tuple[Expression, ...]:
        return tuple(each for each in rest if not isinstance(each, Token))

    def fusion(
        self,
        keyword: Token,
        name: Name,
        inputs: tuple[Expression, ...],
        meta: _Meta | None,
        body: Body | tree.Space,
    ) -> tree.Fusion:
        return tree.Fusion(
            name=name,
            arguments=inputs,
            body=body,
            meta=meta.entries if meta else (),
            span=keyword.span.to(body.span),
        )

    def space(self, kind: Name, opening: Token, *rest: tree.Setting | Token) -> tree.Space:
        settings = tuple(each for each in rest if not isinstance(each, Token))
        return tree.Space(kind=kind, settings=settings, span=kind.span.to(rest[-1].span))

    def setting(self, key: Name, *values: Expression) -> tree.Setting:
        return tree.Setting(key=key, values=values, span=key.span.to(values[-1].span))

    def then_key(self, keyword: Token) -> Name:
        return Name(name=keyword.text, span=keyword.span)

    def connect(
        self,
        keyword: Token,
        source: Expression,
        _arrow: Token,
        targets: tuple[Expression, ...],
        *written: _Clause,
    ) -> tree.Connect:
        clauses = _Clauses(written)
        return tree.Connect(
            source=source,
            targets=targets,
            by=clauses.by,
            via=clauses.via,
            meta=clauses.meta,
            span=keyword.span.to((written or targets)[-1].span),
        )

    def route(
        self,
        keyword: Token,
        router: Name,
        sources: tuple[Expression, ...],
        _arrow: Token | None,
        targets: tuple[Expression, ...] | None,
        *written: _Clause,
    ) -> tree.Route:
        clauses = _Clauses(written)
        return tree.Route(
            router=router,
            sources=sources,
            targets=targets or (),
            via=clauses.via,
            meta=clauses.meta,
            span=keyword.span.to((written or targets or sources)[-1].span),
        )

    def points(self, *points: Expression) -> tuple[Expression, ...]:
        return points

    def by(self, keyword: Token, name: Name) -> _By:
        return _By(name, keyword.span.to(name.span))

    def via(self, keyword: Token, chain: Expression) -> _Via:
        return _Via(chain, keyword.span.to(chain.span))

    def meta(self, keyword: Token, *entries: Entry) -> _Meta:
        return _Meta(entries, keyword.span.to(entries[-1].span))

    def entry(self, key: Name, value: Expression) -> Entry:
        return Entry(key=key, value=value, span=key.span.to(value.span))

    def each(self, keyword: Token, axis: Name, declarations: _Declarations) -> tree.Each:
        span = keyword.span.to(declarations.span)
        return tree.Each(axis=axis, declarations=declarations.items, span=span)

    def output(self, keyword: Token, name: Name, value: Expression | None) -> tree.Output:
        return tree.Output(name=name, value=value, span=keyword.span.to((value or name).span))

    def if_declaration(
        self,
        keyword: Token,
        condition: Expression,
        yes: _Declarations,
        _else: Token | None,
        no: _Declarations | tree.IfDecl | None,
    ) -> tree.IfDecl:
        otherwise: tuple[Declaration, ...] = ()
        if no is not None:
            otherwise = (no,) if isinstance(no, tree.IfDecl) else no.items
        span = keyword.span.to((no or yes).span)
        return tree.IfDecl(condition=condition, yes=yes.items, no=otherwise, span=span)

    def repeat_declaration(
        self,
        keyword: Token,
        count: Expression,
        _as: Token | None,
        variable: Name | None,
        declarations: _Declarations,
    ) -> tree.RepeatDecl:
        return tree.RepeatDecl(
            count=count,
            variable=variable,
            declarations=declarations.items,
            span=keyword.span.to(declarations.span),
        )

    def declarations(self, opening: Token, *rest: Declaration | Token) -> _Declarations:
        items = tuple(each for each in rest if not isinstance(each, Token))
        closing = rest[-1]
        return _Declarations(items, opening.span.to(closing.span))

    # -------------------------------------------------------------------------- statements

    def body(self, opening: Token, *rest: Statement | Token) -> Body:
        statements = tuple(each for each in rest if not isinstance(each, Token))
        return Body(statements=statements, span=opening.span.to(rest[-1].span))

    def stage(self, label: tree.Label | None, chain: Expression) -> tree.Stage:
        for link in chain.stages if isinstance(chain, tree.Chain) else [chain]:
            _refuse_other_chaining(link)
        span = (label or chain).span.to(chain.span)
        return tree.Stage(label=label, chain=chain, span=span)

    def label(self, target: Expression) -> tree.Label:
        if isinstance(target, Name):
            return tree.Label(name=target, span=target.span)
        match target:
            case tree.Index(base=Name() as name, index=index) if not isinstance(
                index, tree.Star | tree.Range
            ):
                return tree.Label(name=name, index=index, span=target.span)
        raise Refused(
            "not-a-label",
            "a label is a name",
            target.span,
            "write `name: ...`, or `name[i]: ...` for an element of an array of labels",
        )

    def if_statement(
        self,
        keyword: Token,
        condition: Expression,
        yes: Body,
        _else: Token | None,
        no: Body | tree.If | None,
    ) -> tree.If:
        if isinstance(no, tree.If):
            no = Body(statements=(no,), span=no.span)
        span = keyword.span.to((no or yes).span)
        return tree.If(condition=condition, yes=yes, no=no, span=span)

    # ------------------------------------------------------------------------- expressions

    def chain(self, first: Expression, *rest: Expression | Token) -> tree.Chain:
        stages = (first, *(each for each in rest if not isinstance(each, Token)))
        return tree.Chain(stages=stages, span=first.span.to(stages[-1].span))

    def repeat(
        self,
        keyword: Token,
        count: Expression,
        _as: Token | None,
        variable: Name | None,
        body: Body,
    ) -> tree.Repeat:
        span = keyword.span.to(body.span)
        return tree.Repeat(count=count, variable=variable, body=body, span=span)

    def conditional(
        self,
        keyword: Token,
        condition: Expression,
        _then: Token,
        yes: Expression,
        _else: Token,
        no: Expression,
    ) -> tree.Conditional:
        span = keyword.span.to(no.span)
        return tree.Conditional(condition=condition, yes=yes, no=no, span=span)

    def binary(self, left: Expression, operator: Token, right: Expression) -> tree.Binary:
        span = left.span.to(right.span)
        return tree.Binary(operator=operator.text, left=left, right=right, span=span)

    def unary(self, operator: Token, operand: Expression) -> tree.Unary:
        span = operator.span.to(operand.span)
        return tree.Unary(operator=operator.text, operand=operand, span=span)

    def member(self, base: Expression, name: Name) -> tree.Member:
        return tree.Member(base=base, name=name, span=base.span.to(name.span))

    def members(
        self, base: Expression, _open: Token, names: tuple[Name, ...], close: Token
    ) -> tree.Members:
        return tree.Members(base=base, names=names, span=base.span.to(close.span))

    def names(self, *names: Name) -> tuple[Name, ...]:
        return names

    def index(self, base: Expression, _open: Token, index: Expression, close: Token) -> tree.Index:
        return tree.Index(base=base, index=index, span=base.span.to(close.span))

    def call(
        self,
        function: Expression,
        _open: Token,
        arguments: tuple[tree.Argument, ...],
        close: Token,
    ) -> tree.Call:
        span = function.span.to(close.span)
        return tree.Call(function=function, arguments=arguments, span=span)

    def arguments(self, *arguments: tree.Argument) -> tuple[tree.Argument, ...]:
        return arguments

    def argument(self, name: Name | None, value: Expression) -> tree.Argument:
        return tree.Argument(name=name, value=value, span=(name or value).span.to(value.span))

    def parenthesised(self, opening: Token, inner: Expression, closing: Token) -> Expression:
        return replace(inner, span=opening.span.to(closing.span))

    def star(self, token: Token) -> tree.Star:
        return tree.Star(span=token.span)

    def range(self, low: Expression, _dots: Token, high: Expression) -> tree.Range:
        return tree.Range(low=low, high=high, span=low.span.to(high.span))

    def list(self, opening: Token, *rest: Expression | Token) -> tree.List:
        items = tuple(each for each in rest if not isinstance(each, Token))
        return tree.List(items=items, span=opening.span.to(rest[-1].span))

    def name(self, token: Token) -> Name:
        return Name(name=token.text, span=token.span)

    def number(self, token: Token) -> tree.Number:
        value = int(token.text) if token.type == "INT" else float(token.text)
        return tree.Number(value=value, text=token.text, span=token.span)

    def truth(self, token: Token) -> tree.Bool:
        return tree.Bool(value=token.type == "TRUE", span=token.span)

    def string(self, token: Token) -> tree.String:
        value = re.sub(r'\\(["\\])', r"\1", token.text[1:-1])
        return tree.String(value=value, span=token.span)
