"""What a search is held against: late fusion, and each modality alone.

A report that leaves these out is worth nothing: in one later re-run, the search gained 0.01 points
over late fusion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import final

from xgraph.grammar import format_document, format_tree
from xgraph.grammar import tree as t
from xgraph.grammar.holes import holes
from xgraph.space.fusions import RandomFusion
from xgraph.space.making import Maker
from xgraph.space.mfas import Mfas
from xgraph.space.space import Sample


@final
@dataclass(frozen=True)
class Baseline:
    """A network beside the space."""

    name: str
    text: str = field(repr=False)


def baselines(sample: Sample) -> Iterator[Baseline]:
    """One linear layer over what all streams of a fusion end in, and over each by itself. Nothing,
    where the space is not of one fusion."""
    searched = [
        d.name.name
        for d in sample.space.document.declarations
        if isinstance(d, t.Fusion) and any(True for _ in holes(d))
    ]
    size = next(iter(sample.graph().outputs.values())).type.features
    if len(searched) != 1 or len(size) != 1 or not isinstance(size[0], int):
        return
    fusion = next(
        d
        for d in sample.document.declarations
        if isinstance(d, t.Fusion) and d.name.name == searched[0]
    )
    if len(fusion.arguments) < 2:
        return
    ends = _ends(sample, fusion)
    yield Baseline("late fusion", _with(sample, fusion, fusion.arguments, ends, size[0]))
    for stream, end in zip(fusion.arguments, ends, strict=True):
        text = _with(sample, fusion, (stream,), (end,), size[0])
        yield Baseline(f"{format_tree(stream)} alone", text)


def _ends(sample: Sample, fusion: t.Fusion) -> tuple[t.Expression, ...]:
    """The last feature of each stream that the space may fuse: what lies behind it is a head of
    the stream's own. Else the streams themselves."""
    for site in sample.space.sites:
        if site.name == fusion.name.name and isinstance(site.kind, Mfas | RandomFusion):
            last = {format_tree(g[-1]).partition(".")[0]: g[-1] for g in site.kind.groups}
            return tuple(last.get(format_tree(stream), stream) for stream in fusion.arguments)
    return fusion.arguments


def _with(
    sample: Sample,
    fusion: t.Fusion,
    streams: tuple[t.Expression, ...],
    ends: tuple[t.Expression, ...],
    units: int,
) -> str:
    """The sample's text with a linear layer over the ends of some streams."""
    maker = Maker()
    read = maker.fused(ends, None)
    body = maker.body([maker.stage(None, *read, maker.call("linear", maker.number(units)))])
    other = replace(fusion, arguments=streams, body=body)
    document = sample.document
    alone = len(streams) == 1
    changed = tuple(
        replace(d, meta=()) if isinstance(d, t.Network) else other if d is fusion else d
        for d in document.declarations
        if not (alone and isinstance(d, t.Connect | t.Route))  # by which others flow in
    )
    return format_document(replace(document, declarations=changed))
