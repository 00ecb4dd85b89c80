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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from math import ceil
from typing import TypeAlias, final

from xgraph.build.names import written
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.grammar import SYNTHETIC, format_tree, parts
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.op import Fault
from xgraph.ir.scope import Connect, Modality, Route, Scope, SuperLayer
from xgraph.passes.contract import Pass, option, register
from xgraph.passes.insert import Insert
from xgraph.passes.lower import lower
from xgraph.passes.places import SUMS, Place, aligned, block_ends, has_tail, superlayers
from xgraph.passes.redeclare import (
    body_of,
    declarations,
    document_of,
    expression,
    held,
    mentions,
    name,
    named,
    place_of,
    plain,
    reads,
    redeclared,
    renamed,
    replaced,
    with_declarations,
)
from xgraph.source import Span

_LAYER_BY_LAYER = ("bn", "dropout", "scale", "layernorm", "identity")
"""What may stand between the joint input and the super-layer: it keeps every channel apart."""

_CLOSE, _STEPS, _NARROW = 0.02, 50, 1e-5
"""Of the search for the lane scale: a difference of 2 % is near enough; so many steps at most."""


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
        net = _only(graph, options.net)
        if options.connection is not None:
            _check_block(graph, options.connection)
        document = document_of(graph)
        _check_plain(graph, net)
        _check_reads(graph, document, net)
        if f"{net}.in" not in graph.points:
            raise _unfit(graph, net)
        joint = graph.own(graph.points[f"{net}.in"])
        modalities = _modalities(graph, joint, net)
        _check_tail(graph, document, net)
        measured = tuple(1.0 if alike else _measured(graph, modality) for modality in modalities)
        names = options.to or tuple(f"{modality}_{net}" for modality in modalities)
        if len(names) != len(modalities):
            told = f"there are {len(modalities)} modalities, and `to` names {len(names)}"
            raise fail("bad-option", told, origin="xsertion{to}")
        inputs, let = _inputs(graph, document, net, joint, modalities)
        powers = [(n / max(measured)) ** options.alpha for n in measured]
        shares = tuple(power / sum(powers) for power in powers)
        lanes = Lanes(
            graph, net, tuple(modalities), names, inputs, let, measured, shares, options
        )  # fmt: skip
        if not options.match:
            return lanes
        scale = _lane_scale(graph, lanes)
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
        try:
            return redeclared(
                scaled,
                lambda d: self._normed(with_declarations(d, new), labels, scaled),
                options.name,
                labels,
            )
        except DiagnosticError:
            places = block_ends(self.graph, self.net, self._at)
            _check_sums(self.graph, [place for place in places if place.taken])
            raise

    def alone(self, lane: int) -> Graph:
        """The network of one super-layer."""
        return self._scaled((lane,))

    def widths(self) -> list[list[int]]:
        """How wide each super-layer is, at every depth at which there are connections."""
        rows = aligned(self._scaled(range(len(self.names))), self.names, self._at)
        return [[_width(place) for place in row] for row in rows]

    def _scaled(self, chosen: Sequence[int]) -> Graph:
        """The super-layers without connections."""
        joint = redeclared(self.graph, lambda d: self.declared(d, chosen), self.options.name)
        return _scaled(joint, {self.names[i]: self.scales[i] for i in chosen})

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
                    filters = filters_of(_width(source), weight)
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
            document = Insert(at=label, layers="bn(eps = 0.001)").edited(document, graph)
        return document

    def declared(self, document: t.Document, chosen: Sequence[int]) -> t.Document:
        """`document` with these super-layers in place of the joint one."""
        net = next(d for d in held(document, t.SuperLayer) if named(d) == self.net)
        names = [self.names[i] for i in chosen]
        body, tail = _parted(document, body_of(net))
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
            head = _free_name(document, "head", self.names)
            new.append(_fusion(head, names, tail))
            joined = name(head)
        document = replaced(document, net, *new)
        for fusion in held(document, t.Fusion):
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


def _free_name(document: t.Document, wanted: str, also: Iterable[str] = ()) -> str:
    taken = {*(named(d) for d in document.declarations), *also}
    return next(
        n for n in (wanted, "tail", *(f"{wanted}_{i}" for i in range(2, 99))) if n not in taken
    )


# ------------------------------------------------------------------------- the joint network


def _only(graph: Graph, net: str | None) -> str:
    found = superlayers(graph, net)
    if len(found) == 1:
        return found[0]
    raise fail(
        "unfit-network", f"`xsertion` takes one joint super-layer, and there are {len(found)}",
        origin=graph.name,
        help="name the one that reads all modalities, `xsertion{net=...}`; where every one has its "
        "own, there is none to part" if found
        else "it reads all modalities side by side: `superlayer net(concat(a, b)) { ... }`",
    )  # fmt: skip


def _check_plain(graph: Graph, net: str) -> None:
    """Connections of the joint super-layer do not say what they mean for several."""
    for scope in graph.scopes:
        ends = _joined_by(scope)
        if any(end == net or end.startswith(f"{net}.") for end in ends):
            raise fail(
                "unfit-network", f"`{net}` has connections or routers already", span=scope.span,
                help="apply `xsertion` first, then connect its super-layers",
            )  # fmt: skip


def _joined_by(scope: Scope) -> Sequence[str]:
    if isinstance(scope, Connect):
        return (scope.source, *scope.targets)
    return (*scope.sources, *scope.targets) if isinstance(scope, Route) else ()


def _check_block(graph: Graph, block: str) -> None:
    if any(part.split("(")[0].split()[:2] == ["block", block] for part in graph.prelude):
        return
    raise fail(
        "unknown-name", f"the file has no block `{block}`", origin="xsertion{connection}",
        help=f"declare it: `block {block}(filters) {{ conv(filters, 1) -> relu }}`",
    )  # fmt: skip


def _modalities(graph: Graph, joint: Value, net: str) -> list[str]:
    """The modalities that a joint input is made of, in the order of its channels."""
    value = joint
    while value.node.op.name in _LAYER_BY_LAYER:
        value = graph.own(value.node.inputs[0])
    node = value.node
    parts = [graph.own(v) for v in node.inputs] if node.op.name == "concat" else []
    by_channel = bool(parts) and node.resolved["axis"] == 0
    if by_channel and len(parts) > 1 and all(part.node.op.name == "input" for part in parts):
        return [part.node.address for part in parts]
    if node.op.name == "input":
        told = f"`{node.address}` is one input, and a modality needs one of its own"
        raise fail("unfit-network", told, span=node.span,
            help="part it first: `split{into=[y, u, v]},xsertion`")  # fmt: skip
    raise _unfit(graph, net)


def _unfit(graph: Graph, net: str) -> DiagnosticError:
    return fail(
        "unfit-network", f"`{net}` does not begin with modalities side by side",
        span=_place(graph, net),
        help="give it `concat(a, b)` of modalities, with at most a normalisation behind",
    )  # fmt: skip


def _place(graph: Graph, net: str) -> Span | None:
    return next((s.span for s in graph.scopes if s.address == net), None)


def _measured(graph: Graph, modality: str) -> float:
    scope = next(s for s in graph.scopes if isinstance(s, Modality) and s.address == modality)
    found = scope.meta.get("informativeness")
    if isinstance(found, (int, float)) and found > 0:
        return float(found)
    told = "is 0: nothing would be left of its super-layer" if found == 0 else "is not known"
    raise fail(
        "no-informativeness", f"the informativeness of `{modality}` {told}", span=scope.span,
        help="`xgraph measure` finds it; or write it, over 0: `with informativeness = 0.61`",
    )  # fmt: skip


def _inputs(
    graph: Graph, document: t.Document, net: str, joint: Value, modalities: Sequence[str]
) -> tuple[tuple[t.Expression, ...], t.Let | None]:
    """What each super-layer takes: its modality, or its part of what they were made into."""
    if joint.node.op.name == "concat":
        return tuple(map(name, modalities)), None
    (given,) = next(d for d in held(document, t.SuperLayer) if named(d) == net).arguments
    let = None
    if not isinstance(given, t.Name):
        let = t.Let(name=name(_free_name(document, "joint")), value=given, span=SYNTHETIC)
        given = let.name
    ends = [0]
    for modality in modalities:
        ends.append(ends[-1] + _channels(graph.inputs[modality], modality))
    return tuple(
        expression(f"{format_tree(given)} -> slice({a}, {b})", "xsertion")
        for a, b in pairwise(ends)
    ), let


def _parted(document: t.Document, body: t.Body) -> tuple[t.Body, t.Body | None]:
    """A body up to its tail, and the tail: from its last `flatten` on, or from its last `linear`
    where nothing is flattened. None if a fusion has it."""
    found = _calls_in(body, "flatten")
    elsewhere = [p for fusion in held(document, t.Fusion) for p in parts(fusion.body)]
    if not found and not {"flatten", "linear"} & set(map(_called, elsewhere)):
        found = _calls_in(body, "linear")
    if not found:
        return body, None
    i, j = found[-1]
    statement = body.statements[i]
    assert isinstance(statement, t.Stage)
    stages = _stages(statement.chain)
    before = (t.Stage(label=None, chain=_chain(stages[:j]), span=SYNTHETIC),) if j else ()
    after = t.Stage(label=statement.label, chain=_chain(stages[j:]), span=SYNTHETIC)
    return (
        replace(body, statements=(*body.statements[:i], *before), span=SYNTHETIC),
        replace(body, statements=(after, *body.statements[i + 1 :]), span=SYNTHETIC),
    )


def _check_tail(graph: Graph, document: t.Document, net: str) -> None:
    """A tail that stands within a block cannot be shared."""
    body = body_of(next(d for d in held(document, t.SuperLayer) if named(d) == net))
    main, tail = _parted(document, body)
    labels = [s.label.name.name for s in main.statements if isinstance(s, t.Stage) and s.label]
    lost = [label for label in ("in", *labels) if tail is not None and mentions(tail, label)]
    if lost:
        raise fail(
            "unfit-network", f"the tail of `{net}` reads `{lost[0]}`, and each modality has one",
            span=_place(graph, net),
            help="let the tail, from the last `flatten` on, read nothing but what flows in",
        )  # fmt: skip
    if has_tail(graph, net) and tail is None:
        raise fail(
            "unfit-network",
            f"the tail of `{net}`, from its last `flatten` or `linear` on, begins within a block",
            span=_place(graph, net),
            help="write that layer in the body of the super-layer, or of a fusion behind it",
        )
    if tail is None:
        _check_joined(graph, net)


def _check_reads(graph: Graph, document: t.Document, net: str) -> None:
    """What is within the super-layer will be within each of several."""
    for reader in parts(plain(document)):
        if not isinstance(reader, (t.Let, t.SuperLayer, t.Fusion, t.Output)):
            continue
        for inner in (spelt for spelt in reads(reader, net) if spelt != net):
            raise fail(
                "unfit-network",
                f"`{named(reader)}` reads `{inner}`, and each modality will have one",
                span=place_of(graph, reader) or _place(graph, net),
                help=f"let it read `{net}`, or leave it out",
            )


def _check_joined(graph: Graph, net: str) -> None:
    """Without a tail something behind must make one of all super-layers."""
    beside = {graph.points[net]}
    for node in graph.nodes():
        if beside & set(node.inputs) and not _sets_width(node):
            beside |= set(node.outputs)
    for output, value in graph.outputs.items():
        if value in beside:
            raise fail(
                "unfit-network",
                f"`{net}` has no tail, so what the super-layers of all modalities should be joined"
                f" by before `{output}` is not known",
                span=_place(graph, net),
                help=f"put its last layers in a fusion: `fusion head({net}) {{ conv(2, 1) }}`",
            )


def _check_sums(graph: Graph, places: Sequence[Place]) -> None:
    """What merges at a place makes it wider, also where a sum takes it as it is."""
    wider: dict[Value, Place] = {place.value: place for place in places}
    for node in graph.nodes():
        read = [wider.get(graph.own(value)) for value in node.inputs]
        place = next(filter(None, read), None)
        if place is None or _sets_width(node):
            continue
        if node.op.name in SUMS and len(set(read)) > 1:
            raise fail(
                "unfit-network",
                f"what merges at `{written(place.address)}` makes it wider, and"
                f" `{written(node.address)}` joins it, as it is, with what is not",
                span=node.span,
                help="name places behind which all is convolved, or a rule that takes such:"
                " `at=stages`",
            )
        for value in node.outputs:
            wider.setdefault(value, place)


def _sets_width(node: Node) -> bool:
    """Whether a layer says how wide it is, whatever flows in."""
    return any(isinstance(node.attrs.get(key), int) for key in ("filters", "units"))


def _calls_in(body: t.Body, layer: str) -> list[tuple[int, int]]:
    """Where a layer stands in the chains of a body: statements, and stages in them."""
    return [
        (i, j)
        for i, statement in enumerate(body.statements)
        if isinstance(statement, t.Stage)
        for j, stage in enumerate(_stages(statement.chain))
        if _called(stage) == layer
    ]


def _stages(chain: t.Expression) -> tuple[t.Expression, ...]:
    return chain.stages if isinstance(chain, t.Chain) else (chain,)


def _chain(stages: Sequence[t.Expression]) -> t.Expression:
    return stages[0] if len(stages) == 1 else t.Chain(stages=tuple(stages), span=SYNTHETIC)


def _called(stage: t.Tree) -> str | None:
    function = stage.function if isinstance(stage, t.Call) else stage
    return function.name if isinstance(function, t.Name) else None


# ------------------------------------------------------------------------------------ widths


def _rounded(width: float) -> int:
    """Filters are rounded up, but for what is hardly over."""
    return ceil(width - 1e-4)


def filters_of(width: int, weight: float) -> int:
    """How many filters a connection of this weight has behind so many channels; 0 is none."""
    return _rounded(width * weight)


def _width_of(filters: int, scale: float) -> int:
    """The width of a scaled layer, which always has a filter."""
    return max(1, _rounded(filters * scale))


def _widened(node: Node) -> str | None:
    """The attribute of a layer that says how many filters it has."""
    if isinstance(node.attrs.get("filters"), int):
        return "filters"
    return "units" if node.op.name == "maxout" and node.attrs.get("kernel") else None


def _scaled(graph: Graph, scales: dict[str, float]) -> Graph:
    """`graph` with the filters of each super-layer times its scale."""
    new = graph.copy()
    for node in new.nodes():
        scale = next((scales[s.address] for s in _holders(node) if s.address in scales), None)
        key = _widened(node)
        if scale is not None and key is not None:
            new.set_attrs(node, **{key: _width_of(node.attrs[key], scale)})
    try:
        new.infer()
    except Fault as fault:
        raise fail(
            "unfit-network", f"with scaled widths, {fault.message}", origin=graph.name,
            help="widths that must stay as they are cannot be scaled",
        ) from None  # fmt: skip
    return new


def _holders(node: Node) -> Iterator[SuperLayer]:
    for scope in node.scope.chain() if node.scope else ():
        if isinstance(scope, SuperLayer):
            yield scope


def _width(place: Place) -> int:
    """How many channels there are at a place."""
    return _channels(place.value, written(place.address))


def _channels(value: Value, name: str) -> int:
    channels = value.type.features[0] if value.type.features else None
    if isinstance(channels, int):
        return channels
    raise fail(
        "open-size", f"`{name}` has no known number of channels", span=value.node.span,
        help="`xsertion` needs to know how many there are",
    )  # fmt: skip


def _lane_scale(graph: Graph, lanes: Lanes) -> float:
    """By bisection, how much wider a super-layer is than its share: until one of k, alone, has a
    k-th of the parameters, or nearly."""
    count = len(lanes.names)
    single = redeclared(graph, lambda d: lanes.declared(d, (0,)), "xsertion")
    target = _parameters(graph) / count

    widths = sorted({node.attrs[key] for node in single.nodes() if (key := _widened(node))})
    found: dict[tuple[int, ...], float] = {}

    def over(scale: float) -> float:
        rounded = tuple(_width_of(width, scale / count) for width in widths)
        if rounded not in found:  # many scales come to the same widths
            lane = _scaled(single, {lanes.names[0]: scale / count})
            found[rounded] = _parameters(lane) - target
        return found[rounded]

    low, high = 1.0, 2.0
    at_low, at_high = over(low), over(high)
    if at_low * at_high > 0:
        return high
    middle = (low + high) / 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        there = over(middle)
        if -_CLOSE <= there / target < _CLOSE or (high - low) / 2 < _NARROW:
            break
        if (there > 0) == (at_low > 0):
            low, at_low = middle, there
        else:
            high = middle
    return middle


def _parameters(graph: Graph) -> int:
    """How many numbers a network trains."""
    found = 0
    for _, param in lower(graph).params():
        if param.kind == "parameter":
            size = 1
            for dim in param.shape:
                size *= int(dim)
            found += size
    return found
