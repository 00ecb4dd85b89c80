"""Trees of what a sample has in the place of a space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from xgraph.grammar import SYNTHETIC
from xgraph.grammar import tree as t
from xgraph.source import Span


@final
@dataclass(frozen=True)
class Maker:
    """Makes trees that stand at `span`. What a person wrote in the space stays where it is."""

    span: Span = SYNTHETIC

    def name(self, word: str) -> t.Name:
        return t.Name(name=word, span=self.span)

    def number(self, value: int) -> t.Number:
        return t.Number(value=value, span=self.span)

    def call(self, word: str, *arguments: t.Expression) -> t.Expression:
        """A layer; without arguments its name alone."""
        if not arguments:
            return self.name(word)
        given = tuple(t.Argument(name=None, value=a, span=self.span) for a in arguments)
        return t.Call(function=self.name(word), arguments=given, span=self.span)

    def stage(self, label: str | None, *links: t.Expression) -> t.Stage:
        """A statement: a chain of `links`, chains among them opened."""
        stages = [stage for link in links for stage in _opened(link)]
        named = t.Label(name=self.name(label), span=self.span) if label else None
        return t.Stage(label=named, chain=chained(stages, self.span), span=self.span)

    def fused(self, features: Sequence[t.Expression], before: str | None) -> list[t.Expression]:
        """What a fusion layer reads: features, and the layer before it if there is one."""
        last = [self.name(before)] if before else []
        if not features:
            return list(last)
        if len(features) + len(last) == 1:
            return [features[0], self.name("fuse")]
        return [self.call("fuse", *features, *last)]

    def body(self, statements: Sequence[t.Statement]) -> t.Body:
        return t.Body(statements=tuple(statements), span=self.span)

    def block(
        self, name: str, parameters: Sequence[str], statements: Sequence[t.Statement]
    ) -> t.Block:
        named = tuple(
            t.Parameter(name=self.name(word), default=None, span=self.span) for word in parameters
        )
        body = self.body(statements)
        return t.Block(name=self.name(name), parameters=named, body=body, span=self.span)


def _opened(link: t.Expression) -> tuple[t.Expression, ...]:
    return link.stages if isinstance(link, t.Chain) else (link,)


def chained(stages: Sequence[t.Expression], span: Span) -> t.Expression:
    """A chain, or its only stage."""
    if len(stages) == 1:
        return stages[0]
    return t.Chain(stages=tuple(stages), span=span)
