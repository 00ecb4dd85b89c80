"""Looking for a network in a space, decision by decision.

What a network computes on its way is compared as a whole: the digests of its layers, each with all
that lies before it. Where decisions are right down to some layer, those above it agree; so, in the
order of the text, each decision is taken as most layers agree. What is found must be compared with
the network itself: the search may miss it, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import final

from xgraph.diagnostics import InternalError
from xgraph.ir.graph import Graph, Node
from xgraph.space.algebra import Leaf, Options, Pick, Product, Region, Repeated

TRIED = 1000
"""The most networks that are built to take every decision once."""


AT_ONCE = 64
"""The most alternatives, with those within them, that are tried each with each."""
PASSES = 3
"""How often all decisions are taken: what one shows may hang on one further down."""


@final
class TooMany(Exception):
    """The search would take too long."""


@final
class Search:
    """A search for `network`; `build` makes the graph of a pick, None where it makes no sense."""

    def __init__(self, network: Graph, build: Callable[[Pick], Graph | None]) -> None:
        self._wanted = layers(network)
        self._build = build
        self._rates: dict[Pick, tuple[int, int]] = {}

    def run(self, region: Region) -> Pick:
        """The pick whose network agrees most; `TooMany` if there is too much to try."""
        if tries(region) > TRIED:
            raise TooMany
        pick = region.cover(0)
        for _ in range(PASSES):
            pick = self._improved(region, pick, lambda pick: pick)
            if self._rate(pick) == (len(self._wanted), 0):
                break
        return pick

    def _rate(self, pick: Pick) -> tuple[int, int]:
        """How many layers agree, and how few do not."""
        if pick not in self._rates:
            graph = self._build(pick)
            found = layers(graph) if graph is not None else set()
            self._rates[pick] = len(found & self._wanted), -len(found - self._wanted)
        return self._rates[pick]

    def _best(self, picks: Iterable[Pick], whole: Callable[[Pick], Pick]) -> Pick:
        return max(picks, key=lambda pick: self._rate(whole(pick)))

    def _improved(self, region: Region, pick: Pick, whole: Callable[[Pick], Pick]) -> Pick:
        """`pick` of a region with every decision taken anew; `whole` makes a pick of the space of
        one of the region."""
        match region:
            case Leaf():
                return self._any(region, whole)
            case Options(size=size) if size <= AT_ONCE:
                return self._any(region, whole)
            case Options(options=options):
                now, below = pick
                first = [
                    (index, below if index == now else option.cover(0))
                    for index, option in enumerate(options)
                ]
                index, inner = self._best(first, whole)
                within = self._improved(options[index], inner, lambda new: whole((index, new)))
                return index, within
            case Product() if is_row(region):
                return self._any(region, whole)
            case Product(parts=parts):
                return self._each(parts, pick, whole)
            case Repeated(part=part, least=least, most=most):
                full = (*pick, *region.cover(0)[len(pick) :])
                rows = self._each((part,) * most, full, whole)
                return self._best([rows[:count] for count in range(least, most + 1)], whole)
        raise InternalError("space", f"{region} cannot be searched")

    def _any(self, region: Region, whole: Callable[[Pick], Pick]) -> Pick:
        return self._best(map(region.unrank, range(region.size)), whole)

    def _each(
        self, parts: tuple[Region, ...], pick: Pick, whole: Callable[[Pick], Pick]
    ) -> tuple[Pick, ...]:
        """A pick of several parts, one improved after the other."""
        found = list(pick)
        for index, part in enumerate(parts):
            before, after = tuple(found[:index]), tuple(found[index + 1 :])

            def all_of(new: Pick, before: Pick = before, after: Pick = after) -> Pick:
                return whole((*before, new, *after))

            found[index] = self._improved(part, found[index], all_of)
        return tuple(found)


def is_row(region: Product) -> bool:
    """Whether its decisions are taken together: those of one layer or node."""
    return not region.names and all(isinstance(part, Leaf) for part in region.parts)


def tries(region: Region) -> int:
    """How many picks are tried to take every decision of a region once."""
    match region:
        case Options(options=options, size=size) if size > AT_ONCE:
            return len(options) + max(map(tries, options))
        case Product(parts=parts) if not is_row(region):
            return sum(map(tries, parts))
        case Repeated(part=part, most=most):
            return most * tries(part) + most
    return region.size


def layers(graph: Graph) -> set[str]:
    """The digests of the layers, each with all that lies before it: also of those that no output
    needs, for those that will be are not known before the end of the search."""
    digests: dict[Node, str] = {}
    for node in graph.nodes():
        read = [f"{digests[value.node]}.{value.index}" for value in node.inputs]
        name = node.address if node.op.name == "input" else ""
        text = f"{name} {node.op.name} {node.ports} {read} {sorted(node.resolved.items())}"
        digests[node] = sha256(text.encode()).hexdigest()
    return set(digests.values())
