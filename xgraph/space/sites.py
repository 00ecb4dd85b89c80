"""The holes of a file as decisions: what each is called, and what there is to choose from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias, final

from xgraph.diagnostics import Report, did_you_mean
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t
from xgraph.grammar.holes import CHOICE, MAYBE, Hole, holes, is_call, open_parts
from xgraph.space.algebra import Leaf, Options, Product, Region
from xgraph.space.cells import read_cells
from xgraph.space.fusions import read_random_fusion
from xgraph.space.kind import Kind
from xgraph.space.mfas import read_mfas

Owners: TypeAlias = "dict[int, t.SuperLayer | t.Fusion]"
"""What has a space for a body, by the identity of that."""
Alternative: TypeAlias = "tuple[t.Expression | None, tuple[Site, ...]]"
"""What a choice may put in its place, None for nothing, and the holes within that."""


@final
@dataclass(frozen=True)
class Site:
    """One hole: its decision is called `name`."""

    name: str
    hole: Hole
    region: Region
    kind: Kind | None = None
    alternatives: tuple[Alternative, ...] = ()

    @property
    def title(self) -> str:
        """What sort of hole it is."""
        if isinstance(self.hole, t.Space):
            return self.hole.kind.name
        return self.name.rstrip("0123456789")

    @property
    def options(self) -> str:
        """What there is to choose from, in words."""
        if self.kind is not None:
            return self.kind.options
        if isinstance(self.hole, t.Range):
            return format_tree(self.hole)
        texts = (format_tree(part) if part else "nothing" for part, _ in self.alternatives)
        return " | ".join(" ".join(text.split()) for text in texts)


def group(sites: Iterable[Site]) -> Product:
    """The region of several holes, each with its name."""
    found = tuple(sites)
    return Product(tuple(site.region for site in found), tuple(site.name for site in found))


def every_site(sites: Iterable[Site]) -> Iterator[Site]:
    """`sites` and those within them, as they are written."""
    for site in sites:
        yield site
        for _, inner in site.alternatives:
            yield from every_site(inner)


@final
class Finder:
    """Reads the holes of a document; mistakes go to a report."""

    def __init__(self, report: Report, document: t.Document) -> None:
        self._report = report
        self._numbers: Counter[str] = Counter()
        self._declared = {each.name.name for each in _bodied(document)}

    def sites(self, part: t.Tree) -> tuple[Site, ...]:
        """The holes in `part`, without those within another."""
        owners = {id(each.body): each for each in _bodied(part)}
        return tuple(site for hole in holes(part) for site in self._sites(hole, owners))

    def _sites(self, hole: Hole, owners: Owners) -> Iterator[Site]:
        """A hole; behind a space, the holes in its settings, which each of its bodies has."""
        yield self._site(hole, owners)
        if isinstance(hole, t.Space):
            for setting in hole.settings:
                yield from self.sites(setting)

    def _site(self, hole: Hole, owners: Owners) -> Site:
        if isinstance(hole, t.Space):
            return self._space(hole, owners[id(hole)])
        if isinstance(hole, t.Range):
            return Site(self._numbered("range"), hole, self._range(hole))
        word = CHOICE if is_call(hole, CHOICE) else MAYBE
        name = self._numbered(word)
        given = tuple(self._alternatives(hole, word))
        alternatives = given if word == CHOICE else ((None, ()), *given)
        options = tuple(group(inner) for _, inner in alternatives)
        region = Options(options, first=int(word == CHOICE))
        return Site(name, hole, region, alternatives=alternatives)

    def _numbered(self, word: str) -> str:
        """The next name of a hole that nothing in the file has."""
        while True:
            self._numbers[word] += 1
            name = f"{word}{self._numbers[word]}"
            if name not in self._declared:
                return name

    def _alternatives(self, hole: t.Call, word: str) -> Iterator[Alternative]:
        count = len(hole.arguments)
        if count == 0 or (word == MAYBE and count != 1):
            needs = "one layer or chain" if word == MAYBE else "at least one alternative"
            help_ = "`maybe(bn)`" if word == MAYBE else "`choice(relu, tanh)`"
            told = f"`{word}` needs {needs}"
            self._report.error("wrong-arity", told, hole.span, help=f"write {help_}")
        for argument in hole.arguments:
            if argument.name is not None:
                told = f"an alternative of `{word}` has no name"
                help_ = f"take `{argument.name.name} =` away"
                self._report.error("misplaced-name", told, argument.name.span, help=help_)
            yield argument.value, self.sites(argument.value)

    def _range(self, hole: t.Range) -> Leaf:
        low, high = self._end(hole.low), self._end(hole.high)
        if low is not None and high is not None and low > high:
            help_ = f"write `{high} .. {low}`"
            self._report.error("bad-range", "this range holds nothing", hole.span, help=help_)
        return Leaf(1 + max(0, (high or 0) - (low or 0)), low or 0)

    def _end(self, part: t.Expression) -> int | None:
        """The integer that an end of a range is written as."""
        match part:
            case t.Number(value=int(value)):
                return value
            case t.Unary(operator="-", operand=t.Number(value=int(value))):
                return -value
        self._report.error(
            "bad-range",
            f"an end of a range is an integer, not `{format_tree(part)}`",
            part.span,
            help="write it out: `1 .. 4`",
        )
        return None

    def _space(self, space: t.Space, owner: t.SuperLayer | t.Fusion) -> Site:
        name = owner.name.name
        self._numbers[name] += 1
        self._numbers[f"{name}_"] = max(1, self._numbers[f"{name}_"])
        called = name if self._numbers[name] == 1 else self._numbered(f"{name}_")
        kind = self._kind(space, owner, called)
        return Site(called, space, kind.region if kind else Product(), kind)

    def _kind(self, space: t.Space, owner: t.SuperLayer | t.Fusion, name: str) -> Kind | None:
        word, fuses = space.kind.name, isinstance(owner, t.Fusion)
        if word == "mfas" and fuses:
            return read_mfas(space, self._report)
        if word == "randomnet":
            if fuses:
                return read_random_fusion(space, self._report)
            return read_cells(space, f"{name}_cell", self._report)
        known = ["mfas", "randomnet"] if fuses else ["randomnet"]
        what = "fusion" if fuses else "super-layer"
        self._report.error(
            "unknown-space",
            f"there is no space `{word}` for a {what}",
            space.kind.span,
            help=did_you_mean(word, known) or f"a {what} may be {' or '.join(map(_quoted, known))}",
        )
        return None


def _quoted(word: str) -> str:
    return f"`{word}`"


def _bodied(part: t.Tree) -> Iterator[t.SuperLayer | t.Fusion]:
    """The super-layers and fusions in a part."""
    if isinstance(part, t.SuperLayer | t.Fusion):
        yield part
    elif isinstance(part, t.Document | t.Each | t.IfDecl | t.RepeatDecl):
        for inner in open_parts(part):
            yield from _bodied(inner)


# -------------------------------------------------------------------- where nothing may stand


def check_places(part: t.Tree, report: Report, *, may_go: bool = False) -> None:
    """Report each `maybe` that stands where something must. `may_go` tells whether `part` may be
    left out itself."""
    if isinstance(part, t.Expression) and not may_go and (gone := _vanishing(part)):
        report.error(
            "misplaced-hole",
            "something must stand here, and `maybe` may leave nothing",
            gone.span,
            help="say what stands here otherwise: `choice(conv(8, 3), identity)`",
        )
        return
    for field in fields(part):
        value = getattr(part, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, t.Tree):
                check_places(item, report, may_go=_may_go(part, field.name, may_go))


def _may_go(part: t.Tree, field: str, inherited: bool) -> bool:
    """Whether what stands in a field of `part` may be left out."""
    match part:
        case t.Stage(label=None):
            return True
        case t.Connect():
            return field == "via"
        case t.Chain():
            return True
        case t.Call() if is_call(part, CHOICE) or is_call(part, MAYBE):
            return field == "arguments"
        case t.Argument():
            return inherited
    return False


def _vanishing(part: t.Expression) -> t.Call | None:
    """The `maybe` that may leave nothing of an expression."""
    if isinstance(part, t.Call) and is_call(part, MAYBE):
        return part
    if isinstance(part, t.Call) and is_call(part, CHOICE):
        found = [_vanishing(argument.value) for argument in part.arguments]
        return next((gone for gone in found if gone), None)
    if isinstance(part, t.Chain):
        found = [_vanishing(stage) for stage in part.stages]
        return found[0] if all(found) else None
    return None
