"""Filling the holes of a document as a pick says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar, final

from xgraph.grammar import SYNTHETIC
from xgraph.grammar import tree as t
from xgraph.grammar.holes import Hole
from xgraph.grammar.rewrite import rewritten
from xgraph.space.algebra import Pick
from xgraph.space.making import Maker, chained
from xgraph.space.sites import Site


def filled(
    document: t.Document, sites: tuple[Site, ...], pick: Pick, *, in_place: bool
) -> t.Document:
    """`document` with nothing left open. Comments within holes stay behind. What was made stands
    `in_place` of its space, or nowhere."""
    filler = _Filler(in_place)
    filler.take(sites, pick)
    declarations = tuple(filler.declarations(document.declarations))
    spans = [site.hole.span for site in sites]
    kept = (
        comment
        for comment in document.comments
        if not any(span.start <= comment.span.start < span.end for span in spans)
    )
    return replace(document, declarations=declarations, comments=tuple(kept))


T = TypeVar("T", bound=t.Tree)


@final
class _Filler:
    def __init__(self, in_place: bool) -> None:
        self._in_place = in_place
        self._taken: dict[int, tuple[Site, Pick]] = {}
        """What each hole takes, by the identity of its tree."""
        self._blocks: dict[str, t.Block] = {}
        self._written: set[str] = set()

    def take(self, sites: tuple[Site, ...], pick: Pick) -> None:
        for site, inner in zip(sites, pick, strict=True):
            self._taken[id(site.hole)] = site, inner
            if site.alternatives:
                self.take(site.alternatives[inner[0]][1], inner[1])

    def declarations(self, trees: tuple[t.Declaration, ...]) -> Iterator[t.Declaration]:
        """Declarations, each below the blocks that its spaces use."""
        for tree in trees:
            (new,) = self._filled(tree)
            yield from (b for name, b in self._blocks.items() if name not in self._written)
            self._written |= self._blocks.keys()
            yield new

    def _filled(self, part: Any) -> list[Any]:
        """What stands in the place of a part: itself, something else, or nothing."""
        if id(part) in self._taken:
            return self._hole(*self._taken[id(part)])
        changes = {}
        for field in fields(part):
            old = getattr(part, field.name)
            new = self._field(old)
            if new is not old:
                changes[field.name] = new
        return self._tidied(replace(part, **changes)) if changes else [part]

    def _field(self, value: Any) -> Any:
        if isinstance(value, t.Tree):
            found = self._filled(value)
            return found[0] if found else None
        if isinstance(value, tuple):
            items = [new for item in value for new in self._item(item)]
            same = len(items) == len(value) and all(
                a is b for a, b in zip(items, value, strict=True)
            )
            return value if same else tuple(items)
        return value

    def _item(self, item: Any) -> list[Any]:
        return self._filled(item) if isinstance(item, t.Tree) else [item]

    def _tidied(self, part: Any) -> list[Any]:
        """A part from which something may be gone."""
        match part:
            case t.Stage(chain=None):
                return []
            case t.Chain(stages=stages):
                opened = [link for stage in stages for link in _links(stage)]
                return [chained(opened, part.span)] if opened else []
        return [part]

    def _made(self, part: T) -> T:
        """What a space made of its settings, with the holes in those filled. It has no place in the
        text, unless mistakes are to be shown there."""
        (new,) = self._filled(part)
        made: T = new if self._in_place else rewritten(new, _anywhere)
        return made

    def _maker(self, hole: Hole) -> Maker:
        assert isinstance(hole, t.Space)
        return Maker(hole.kind.span) if self._in_place else Maker()

    def _hole(self, site: Site, pick: Pick) -> list[Any]:
        hole = site.hole
        if site.kind is not None:
            body, blocks = site.kind.filling(pick, self._maker(hole))
            self._blocks |= {block.name.name: self._made(block) for block in blocks}
            return [self._made(body)]
        if isinstance(hole, t.Range):
            value = t.Number(value=site.region.vector(pick)[0], span=hole.span)
            return [value]
        chosen, _ = site.alternatives[pick[0]]
        return [] if chosen is None else self._filled(chosen)


def _anywhere(part: t.Tree) -> t.Tree:
    return replace(part, span=SYNTHETIC)


def _links(stage: t.Expression) -> tuple[t.Expression, ...]:
    return stage.stages if isinstance(stage, t.Chain) else (stage,)
