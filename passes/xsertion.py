"""`xsertion`: from a network of one joint stream to a cross-modal one (Karazija et al., "Automatic
inference of cross-modal connection topologies for X-CNNs", 2018).

Every modality gets a super-layer of its own, a copy of the joint one with filters scaled by how
informative the modality is (Eq. 1), and at every block end each pair of super-layers is connected
both ways, by as many filters as the connection weight says (Eq. 2):

    s_i  = lane scale * n_i^alpha / sum_j n_j^alpha           scale of super-layer i
    w_ij = n_i^beta / (n_i^beta + n_j^beta)                   weight of the connection i -> j
    filters(i -> j) = ceil(F_i * w_ij), F_i the scaled width of i at that place

The lane scale, which the paper leaves out and its implementation has, makes one stream in k of
about a k-th of the parameters of the joint network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TypeAlias, final

from xgraph.build.names import written
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.grammar import SYNTHETIC
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph
from xgraph.passes.contract import Pass, option, register
from xgraph.passes.insert import Insert, renumbered
from xgraph.passes.joint import (
    check_block,
    check_sums,
    check_tail,
    free_name,
    inputs_of,
    joint_of,
    measured_of,
    modalities_of,
    only,
    parted,
)
from xgraph.passes.places import Place, aligned, block_ends
from xgraph.passes.redeclare import (
    body_of,
    declarations,
    document_of,
    expression,
    held,
    mentions,
    name,
    named,
    plain,
    redeclared,
    renamed,
    replaced,
    with_declarations,
)
from xgraph.passes.widths import filters_of, lane_scale, parameters, scaled, width_at

_NORM = "bn(eps = 0.001)"


@register
@final
@dataclass(frozen=True)
class Xsertion(Pass):
    """Make a cross-modal network of one with a joint input."""

    name = "xsertion"
    example = "xsertion{alpha=1 beta=2}"
    alpha: float = option(1.0, "how much informativeness counts for widths", low=0, high=100)
    beta: float = option(2.0, "and for the weights of connections", low=0, high=100)
    at: str | tuple[str, ...] = option("combined", "a rule for places, or their names")
    connection: str | None = option(
        None, "a block of the file with one parameter, filters, for the layers of a connection"
    )
    dropout: float = option(0.25, "rate of dropout of a connection; 0 is none", low=0, high=1)
    match: bool = option(True, "scale super-layers so that parameters stay about as many")
    normed: bool = option(False, "normalise behind what merges")
    net: str | None = option(None, "the super-layer; the only one if it is not named")
    to: tuple[str, ...] = option((), "names of the new super-layers; by default `luma_net`")

    def apply(self, graph: Graph) -> Graph:
        lanes = Lanes.of(graph, self)
        return lanes.network(lanes.weights())


Weights: TypeAlias = Mapping[tuple[int, int], float]
"""Of connections, by the numbers of the super-layers from and to which they lead."""


@final
@dataclass(frozen=True)
class Lanes:
    """What there is to be made of a network: a super-layer for each modality, all or some of
    which make a network."""

    graph: Graph
    net: str
    modalities: tuple[str, ...]
    names: tuple[str, ...]
    """Of the super-layers."""
    inputs: tuple[t.Expression, ...]
    let: t.Let | None
    informativeness: tuple[float, ...]
    scales: tuple[float, ...]
    """Eq. 1"""
    options: Xsertion

    @staticmethod
    def of(graph: Graph, options: Xsertion, *, alike: bool = False) -> Lanes:
        """All that is known of a network's lanes; `alike` takes all modalities as equally
        informative, whatever was measured."""
        net = only(graph, options.net)
        if options.connection is not None:
            check_block(graph, options.connection)
        document = document_of(graph)
        joint = joint_of(graph, document, net)
        modalities = modalities_of(graph, joint, net)
        check_tail(graph, document, net)
        measured = tuple(1.0 if alike else measured_of(graph, modality) for modality in modalities)
        names = options.to or tuple(f"{modality}_{net}" for modality in modalities)
        if len(names) != len(modalities):
            told = f"there are {len(modalities)} modalities, and `to` names {len(names)}"
            raise fail("bad-option", told, origin="xsertion{to}")
        inputs, let = inputs_of(graph, document, net, joint, modalities)
        powers = [(n / max(measured)) ** options.alpha for n in measured]
        shares = tuple(power / sum(powers) for power in powers)
        lanes = Lanes(
            graph, net, tuple(modalities), names, inputs, let, measured, shares, options
        )  # fmt: skip
        if not options.match:
            return lanes
        single = redeclared(graph, lambda d: lanes.declared(d, (0,)), options.name)
        scale = lane_scale(single, names[0], len(names), parameters(graph) / len(names))
        return replace(lanes, scales=tuple(scale * share for share in shares))

    def weights(self) -> dict[tuple[int, int], float]:
        """Eq. 2"""
        return {(i, j): self._weight(i, j) for i, j in permutations(range(len(self.names)), 2)}

    def _weight(self, i: int, j: int) -> float:
        most = max(self.informativeness[i], self.informativeness[j])  # no power of it is 0
        a, b = (float((self.informativeness[k] / most) ** self.options.beta) for k in (i, j))
        return a / (a + b)

    def network(self, weights: Weights, only: Sequence[int] | None = None) -> Graph:
        """The network of these super-layers, or of all, with connections of these weights; one
        whose weight is not given, or comes to no filter, is left out."""
        options = self.options
        chosen = range(len(self.names)) if only is None else only
        block_ends(self.graph, self.net, self._at)  # what is refused shows its own text
        scaled = self._scaled(chosen)
        rows = aligned(scaled, [self.names[i] for i in chosen], self._at)
        lines = list(self._lines(rows, chosen, weights))
        if not lines and not options.normed:
            return scaled
        new = declarations("\n".join(lines) + "\n", options.name)
        labels = [place.address for row in rows for place in row]
        kept = [a for label in labels * options.normed for a in renumbered(scaled, label, _NORM)]
        try:
            return redeclared(
                scaled,
                lambda d: self._normed(with_declarations(d, new), labels, scaled),
                options.name,
                [*labels, *kept],
            )
        except DiagnosticError:
            places = block_ends(self.graph, self.net, self._at)
            check_sums(self.graph, [place for place in places if place.taken])
            raise

    def alone(self, lane: int) -> Graph:
        """The network of one super-layer."""
        return self._scaled((lane,))

    def widths(self) -> list[list[int]]:
        """How wide each super-layer is, at every depth at which there are connections."""
        rows = aligned(self._scaled(range(len(self.names))), self.names, self._at)
        return [[width_at(place) for place in row] for row in rows]

    def _scaled(self, chosen: Sequence[int]) -> Graph:
        """The super-layers without connections."""
        joint = redeclared(self.graph, lambda d: self.declared(d, chosen), self.options.name)
        return scaled(joint, {self.names[i]: self.scales[i] for i in chosen})

    @property
    def _at(self) -> str | tuple[str, ...]:
        """Places as they are called within the new super-layers."""
        at = self.options.at
        if isinstance(at, str):
            return at
        return tuple(place.removeprefix(f"{self.net}.") for place in at)

    def _lines(
        self, rows: Sequence[Sequence[Place]], chosen: Sequence[int], weights: Weights
    ) -> Iterator[str]:
        for row in rows:
            for j, target in zip(chosen, row, strict=True):
                for i, source in zip(chosen, row, strict=True):
                    weight = weights.get((i, j), 0.0)
                    filters = filters_of(width_at(source), weight)
                    if filters:
                        yield (
                            f"connect {written(source.address)} -> {written(target.address)}"
                            f" with weight = {weight:.6g} via {self._layers(filters)}"
                        )

    def _layers(self, filters: int) -> str:
        if self.options.connection is not None:
            return f"{self.options.connection}({filters})"
        first = f"dropout({self.options.dropout:g}) -> " if self.options.dropout else ""
        return f"{first}conv({filters}, 1) -> relu"

    def _normed(self, document: t.Document, labels: Sequence[str], graph: Graph) -> t.Document:
        """With a normalisation behind what merges, where it is asked for."""
        for label in labels if self.options.normed else ():
            if label.count(".") > 1:
                raise fail(
                    "unfit-network",
                    f"`normed` needs places that are labels of the super-layer, not `{label}`",
                    origin="xsertion{normed}", help="label them, and name them: `at=[p1, p2]`",
                )  # fmt: skip
            net, _, place = label.partition(".")
            body = next(body_of(d) for d in held(document, t.SuperLayer) if named(d) == net)
            if any(mentions(statement, place) for statement in body.statements):
                raise fail(
                    "unfit-network",
                    f"`normed` goes where all flows on, and `{label}` is read by name too",
                    origin="xsertion{normed}",
                    help="name it nowhere in the super-layer, or choose other places",
                )  # fmt: skip
            document = Insert(at=label, layers=_NORM).edited(document, graph)
        return document

    def declared(self, document: t.Document, chosen: Sequence[int]) -> t.Document:
        """`document` with these super-layers in place of the joint one."""
        net = next(d for d in held(document, t.SuperLayer) if named(d) == self.net)
        names = [self.names[i] for i in chosen]
        body, tail = parted(document, body_of(net))
        lanes = [
            replace(
                net, name=name(self.names[i]), arguments=(self.inputs[i],), body=body,
                meta=_meta(self.scales[i]),
            )
            for i in chosen
        ]  # fmt: skip
        new: list[t.Declaration] = [*([self.let] if self.let else []), *lanes]
        joined: t.Expression = expression(f"concat({', '.join(names)})", "xsertion")
        if len(names) == 1:
            joined = name(names[0])
        if tail is not None:
            head = free_name(document, "head", self.names)
            new.append(_fusion(head, names, tail))
            joined = name(head)
        document = replaced(document, net, *new)
        # Behind a tail there is one stream, which what follows reads as before.
        for fusion in held(document, t.Fusion) if tail is None else ():
            if fusion.arguments == (net.name,) and not mentions(fusion.body, "in"):
                document = replaced(
                    document, fusion, _fusion(named(fusion) or "", names, body_of(fusion))
                )
        return renamed(self.graph, plain(document), {self.net: joined})


def _fusion(head: str, lanes: Sequence[str], body: t.Body) -> t.Fusion:
    """A fusion of all super-layers that goes on as the one did."""
    statements = body.statements
    if len(lanes) > 1:
        first = t.Stage(label=None, chain=name("concat"), span=SYNTHETIC)
        statements = (first, *statements)
    return t.Fusion(
        name=name(head), arguments=tuple(map(name, lanes)),
        body=t.Body(statements=statements, span=SYNTHETIC), span=SYNTHETIC,
    )  # fmt: skip


def _meta(scale: float) -> tuple[t.Entry, ...]:
    number = t.Number(value=float(f"{scale:.6g}"), text=f"{scale:.6g}", span=SYNTHETIC)
    return (t.Entry(key=name("scale"), value=number, span=SYNTHETIC),)
