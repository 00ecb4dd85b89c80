"""A file that describes many networks, and the networks sampled from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count as forever
from math import log10
from pathlib import Path
from random import Random
from typing import Any, final

from xgraph.build import Limits, build_document, build_source, inlined
from xgraph.diagnostics import DiagnosticError, Label, Report, fail
from xgraph.files import read_network
from xgraph.given import integer, kind_of
from xgraph.grammar import SYNTHETIC, format_document, parse
from xgraph.grammar import tree as t
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph
from xgraph.ir.verify import verify_or_raise
from xgraph.source import Source
from xgraph.space import encoding as codes
from xgraph.space.algebra import Pick, Product
from xgraph.space.fill import filled
from xgraph.space.search import Search, TooMany
from xgraph.space.sites import Finder, Site, check_places, every_site, group

SEARCHED = 4096
"""The most encodings of a space that is looked through as a whole for a network without one."""
CHECKED, LAYERS = 16, 10_000
"""The most networks that `check` builds, and of how many layers in all it builds no further one."""
TOLD = 4
"""The most holes that are spoken of with a mistake."""
_FEW = 1_000
"""The most networks that are put in an order rather than drawn, where each may come once."""
_STALE = 500
"""So many draws in a row that bring no new network end the search for one."""
MAX_DIGITS = 1000
"""A longer size is told by its power of ten alone."""


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """One network of a space."""

    space: Space
    pick: Pick

    @cached_property
    def rows(self) -> codes.Encoding:
        """What each decision took, by its name: a number, or rows of numbers."""
        return codes.encoded(self.space.region, self.pick)

    @property
    def encoding(self) -> str:
        return codes.write(self.rows)

    @cached_property
    def document(self) -> t.Document:
        return self.space.filled(self.pick)

    @cached_property
    def text(self) -> str:
        """The `.xg` of the network, which decodes back to it."""
        return format_document(self.document)

    def graph(self, limits: Limits | None = None) -> Graph:
        """The architecture-level graph; `DiagnosticError` where it makes no sense."""
        return build_source(Source(f"<{self.space.name}>", self.text), limits=limits)

    def to_json(self) -> dict[str, Any]:
        return {
            "encoding": self.encoding,
            "vector": self.space.vector(self),
            "text": self.text,
        }

    def __repr__(self) -> str:
        return f"<sample {self.encoding!r} of {self.space.name}>"


@final
@dataclass(frozen=True)
class Membership:
    """Whether a network is of a space: the sample that it is, or the reason why it is none."""

    sample: Sample | None
    reason: str = ""

    def __bool__(self) -> bool:
        return self.sample is not None

    def to_json(self) -> dict[str, Any]:
        encoding = self.sample.encoding if self.sample else None
        return {"contained": bool(self), "encoding": encoding, "reason": self.reason or None}


@final
@dataclass(frozen=True, eq=False)
class Space:
    """A file with holes. Make one with `Space.load` or `Space.read`."""

    document: t.Document = field(repr=False)
    sites: tuple[Site, ...] = field(repr=False)
    region: Product = field(repr=False)

    @staticmethod
    def load(space: Path | str) -> Space:
        """The space of a file, or of a text (a string of several lines)."""
        if isinstance(space, str) and "\n" in space:
            return Space.read(Source("<text>", space), Path())
        return Space.read(read_network(Path(space)), Path(space).parent)

    @staticmethod
    def read(source: Source, folder: Path) -> Space:
        """The space of a text; `DiagnosticError` lists its mistakes."""
        report = Report()
        document = inlined(parse(source, report), folder, report)
        report.raise_errors()
        sites = Finder(report, document).sites(document)
        check_places(document, report)
        report.raise_errors()
        if not sites:
            raise fail(
                "not-a-space",
                "this file leaves nothing open: it is one network",
                origin=source.name,
                help="a hole is `choice(relu, tanh)`, `maybe(bn)`, `1 .. 4`, or a space",
            )
        return Space(document, sites, group(sites))

    @property
    def name(self) -> str:
        named = (d.name.name for d in self.document.declarations if isinstance(d, t.Network))
        return next(named, "net")

    @property
    def files(self) -> tuple[str, ...]:
        """The files it was read from."""
        return tuple({d.span.source.name: None for d in self.document.declarations})

    @property
    def size(self) -> int:
        """How many encodings there are: exact, however large."""
        return self.region.size

    @property
    def size_text(self) -> str:
        """The size for a person: `837,930 (10^5.9)`."""
        power = log10(self.size)
        if power < 4:
            return str(self.size)
        return f"{self.size:,} (10^{power:.1f})" if power < MAX_DIGITS else f"10^{power:.1f}"

    def to_json(self) -> dict[str, Any]:
        """What varies, for a program."""
        return {
            "name": self.name,
            "size": self.size if log10(self.size) < MAX_DIGITS else None,
            "log10": log10(self.size),
            "example": self._numbered(0).encoding,
            "decisions": [
                {
                    "name": site.name,
                    "kind": site.title,
                    "place": str(site.hole.span),
                    "options": site.options,
                    "size": site.region.size if log10(site.region.size) < MAX_DIGITS else None,
                }
                for site in every_site(self.sites)
            ],
        }

    # --------------------------------------------------------------------------- samples

    def sample(self, seed: int | Random = 0) -> Sample:
        """A network by chance."""
        rng = _random(seed)
        return Sample(self, self.region.draw(rng))

    def samples(self, count: int, seed: int = 0, *, unique: bool = False) -> Iterator[Sample]:
        """Networks by chance, the same for the same seed. `unique`: no two of them compute the
        same; `DiagnosticError` once the space has no other."""
        rng = _random(seed)
        if not unique:
            return (self.sample(rng) for _ in range(count))
        return self._unique(count, rng)

    def _unique(self, count: int, rng: Random) -> Iterator[Sample]:
        seen: set[str] = set()
        digests: dict[str, str] = {}
        stale, patience = 0, self.size if self._is_listed else _STALE
        for sample in self._candidates(rng):
            if len(seen) == count or stale == patience:
                break
            encoding = self.encode(sample)
            if encoding not in digests:
                digests[encoding] = canonical(sample.graph())
            stale += 1
            if digests[encoding] not in seen:
                seen.add(digests[encoding])
                stale = 0
                yield sample
        if len(seen) < count:
            raise fail(
                "too-few-networks",
                f"only {len(seen)} different networks were found, not {count}",
                origin=self.name,
                help=f"the space has {self.size_text} encodings, and several may be one network",
            )

    @property
    def _is_listed(self) -> bool:
        """Whether networks are taken one after the other rather than drawn."""
        return self.size <= _FEW and not self.region.is_weighted

    def _candidates(self, rng: Random) -> Iterator[Sample]:
        """Every network of a small space in a random order; draws from a large one."""
        if self._is_listed:
            numbers = list(range(self.size))
            rng.shuffle(numbers)
            return (self._numbered(number) for number in numbers)
        return (self.sample(rng) for _ in forever())

    def _numbered(self, number: int) -> Sample:
        return Sample(self, self.region.unrank(number))

    def enumerate(self) -> Iterator[Sample]:
        """Every network, one for each encoding."""
        number = 0
        while number < self.size:
            yield self._numbered(number)
            number += 1

    # ------------------------------------------------------------------------- encodings

    def encode(self, sample: Sample) -> str:
        """What `decode` makes the sample of again."""
        return codes.write(codes.encoded(self.region, self._own(sample).pick))

    def decode(self, encoding: str | codes.Encoding) -> Sample:
        """The network of an encoding; `DiagnosticError` if there is none."""
        try:
            return Sample(self, codes.decoded(self.region, codes.given(encoding)))
        except codes.Strange as why:
            raise fail(
                "bad-encoding",
                f"this is no encoding of the space: {why}",
                origin=self.name,
                help=f"one is `{self._numbered(0).encoding}`",
            ) from None

    def vector(self, sample: Sample) -> list[int]:
        """The encoding as integers, as many for every sample; 0 where nothing was decided."""
        return self.region.vector(self._own(sample).pick)

    def neighbours(self, sample: Sample) -> Iterator[Sample]:
        """Every network that differs in one decision."""
        return (Sample(self, pick) for pick in self.region.neighbours(self._own(sample).pick))

    def crossover(self, a: Sample, b: Sample, seed: int | Random = 0) -> Sample:
        """A network with each decision as in one of two."""
        picks = (self._own(a).pick, self._own(b).pick)
        return Sample(self, self.region.cross(*picks, _random(seed)))

    def _own(self, sample: Sample) -> Sample:
        if isinstance(sample, Sample) and sample.space.region == self.region:
            return sample
        what = f"of `{sample.space.name}`" if isinstance(sample, Sample) else kind_of(sample)
        raise fail("bad-option", f"a sample of `{self.name}` is wanted, and this is {what}")

    # ------------------------------------------------------------------------ membership

    def contains(self, network: Graph | str) -> Membership:
        """Whether a network (a graph, or the text of one) is of this space. One that carries its
        encoding is compared with what that says; `DiagnosticError` (`encoding-mismatch`) if it
        is another network."""
        graph = network if isinstance(network, Graph) else build_source(Source("<text>", network))
        if "encoding" in graph.meta:
            return self._as_it_says(graph)
        return self._searched(graph)

    def _searched(self, graph: Graph) -> Membership:
        """A network without an encoding: every one of a small space, else a likely one."""
        wanted = canonical(graph)
        why = "none of its networks computes the same"
        candidates = self.enumerate()
        if self.size > SEARCHED:
            why = "it carries no encoding, and a search did not find it"
            try:
                pick = Search(graph, self._built).run(self.region)
                candidates = iter([Sample(self, pick)])
            except TooMany:
                return Membership(None, "it carries no encoding, and the space is too large")
        for sample in candidates:
            built = self._built(sample.pick)
            if built is not None and canonical(built) == wanted:
                return Membership(sample)
        return Membership(None, why)

    def _built(self, pick: Pick) -> Graph | None:
        """The graph of a pick, None where its alternatives do not fit together."""
        try:
            return Sample(self, pick).graph()
        except DiagnosticError:
            return None

    def _as_it_says(self, graph: Graph) -> Membership:
        text = graph.meta["encoding"]
        try:
            sample = Sample(self, codes.decoded(self.region, codes.read(text)))
        except codes.Strange as why:
            return Membership(None, f"its encoding is of another space: {why}")
        if canonical(sample.graph()) != canonical(graph):
            raise fail(
                "encoding-mismatch",
                "this network is not the one that its encoding says",
                origin=graph.name,
                help="it was edited: take `with encoding = ...` away, or sample it again",
            )
        return Membership(sample)

    # -------------------------------------------------------------------------- documents

    def filled(self, pick: Pick, *, in_place: bool = False) -> t.Document:
        """The document of a pick, which carries its encoding. What was made for it stands nowhere,
        or `in_place` of the space."""
        document = filled(self.document, self.sites, pick, in_place=in_place)
        return _with_encoding(document, codes.write(codes.encoded(self.region, pick)))

    def check(
        self, settings: Mapping[str, object] | None = None, *, limits: Limits | None = None
    ) -> tuple[Graph, Report]:
        """The first network, and mistakes where they stand in the file: those of a few networks
        that between them take every option, up to the first that has any. What a network does
        not use is none: another does."""
        graphs = []
        errors = Report()
        for number in range(min(self.region.breadth, CHECKED)):
            report, pick = Report(), self.region.cover(number)
            document = self.filled(pick, in_place=True)
            graphs.append(build_document(document, settings, report=report, limits=limits))
            for error in report.errors:
                told = [] if error.id.startswith("unknown-") else self._told(pick)
                errors.add(replace(error, notes=(*error.notes, *told)))
            if errors.errors:
                break
            verify_or_raise(graphs[-1], "build")
            if sum(map(len, graphs)) > LAYERS:
                break
        return graphs[0], errors

    def _told(self, pick: Pick) -> list[Label]:
        """What stands in the holes of a network that has mistakes, if they are few."""
        rows = codes.encoded(self.region, pick)
        sites = [site for site in every_site(self.sites) if site.name in rows and not site.kind]
        told = [Label(site.hole.span, f"`{site.name}: {rows[site.name]}`") for site in sites]
        return told if len(told) <= TOLD else []


def _random(seed: int | Random) -> Random:
    """Python's generator takes the absolute value of a seed: -1 would be 1."""
    if isinstance(seed, Random):
        return seed
    number = integer("seed", seed)
    if number < 0:
        raise fail("bad-option", f"`seed` is 0 or more, not {number}")
    return Random(number)


def _with_encoding(document: t.Document, encoding: str) -> t.Document:
    entry = t.Entry(
        key=t.Name(name="encoding", span=SYNTHETIC),
        value=t.String(value=encoding, span=SYNTHETIC),
        span=SYNTHETIC,
    )
    declarations = list(document.declarations)
    for index, tree in enumerate(declarations):
        if isinstance(tree, t.Network):
            declarations[index] = replace(tree, meta=(entry,))
            return replace(document, declarations=tuple(declarations))
    name = t.Name(name="net", span=SYNTHETIC)
    network = t.Network(name=name, meta=(entry,), span=SYNTHETIC)
    return replace(document, declarations=(network, *declarations))
