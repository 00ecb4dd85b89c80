"""The network that `xsertion` takes: one super-layer that reads all modalities side by side. What
it must be, and what each modality's part of it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from xgraph.build.names import written
from xgraph.diagnostics import DiagnosticError, fail
from xgraph.grammar import SYNTHETIC, format_tree, parts
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import Connect, Modality, Route, Scope
from xgraph.passes.places import SUMS, Place, has_tail, superlayers
from xgraph.passes.redeclare import (
    body_of,
    expression,
    held,
    mentions,
    name,
    named,
    place_of,
    plain,
    reads,
)
from xgraph.passes.widths import channels_of
from xgraph.source import Span

_LAYER_BY_LAYER = ("bn", "dropout", "scale", "layernorm", "identity")
"""What may stand between the joint input and the super-layer: it keeps every channel apart."""


def only(graph: Graph, net: str | None) -> str:
    found = superlayers(graph, net)
    if len(found) == 1:
        if found[0].rpartition(".")[0]:
            raise fail(
                "unfit-network", f"`{written(found[0])}` is one of an array, which has one body",
                origin=graph.name, help="`xsertion` takes a super-layer of its own",
            )  # fmt: skip
        return found[0]
    raise fail(
        "unfit-network", f"`xsertion` takes one joint super-layer, and there are {len(found)}",
        origin=graph.name,
        help="name the one that reads all modalities, `xsertion{net=...}`; where every one has its "
        "own, there is none to part" if found
        else "it reads all modalities side by side: `superlayer net(concat(a, b)) { ... }`",
    )  # fmt: skip


def joint_of(graph: Graph, document: t.Document, net: str) -> Value:
    """What the joint super-layer reads."""
    _check_plain(graph, net)
    _check_reads(graph, document, net)
    if f"{net}.in" not in graph.points:
        raise _unfit(graph, net)
    return graph.own(graph.points[f"{net}.in"])


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


def check_block(graph: Graph, block: str) -> None:
    if any(part.split("(")[0].split()[:2] == ["block", block] for part in graph.prelude):
        return
    raise fail(
        "unknown-name", f"the file has no block `{block}`", origin="xsertion{connection}",
        help=f"declare it: `block {block}(filters) {{ conv(filters, 1) -> relu }}`",
    )  # fmt: skip


def modalities_of(graph: Graph, joint: Value, net: str) -> list[str]:
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


def measured_of(graph: Graph, modality: str) -> float:
    scope = next(s for s in graph.scopes if isinstance(s, Modality) and s.address == modality)
    found = scope.meta.get("informativeness")
    if isinstance(found, (int, float)) and found > 0:
        return float(found)
    told = "is 0: nothing would be left of its super-layer" if found == 0 else "is not known"
    raise fail(
        "no-informativeness", f"the informativeness of `{modality}` {told}", span=scope.span,
        help="`xgraph measure` finds it; or write it, over 0: `with informativeness = 0.61`",
    )  # fmt: skip


def inputs_of(
    graph: Graph, document: t.Document, net: str, joint: Value, modalities: Sequence[str]
) -> tuple[tuple[t.Expression, ...], t.Let | None]:
    """What each super-layer takes: its modality, or its part of what they were made into."""
    if joint.node.op.name == "concat":
        return tuple(map(name, modalities)), None
    (given,) = next(d for d in held(document, t.SuperLayer) if named(d) == net).arguments
    let = None
    if not isinstance(given, t.Name):
        let = t.Let(name=name(free_name(document, "joint")), value=given, span=SYNTHETIC)
        given = let.name
    ends = [0]
    for modality in modalities:
        ends.append(ends[-1] + channels_of(graph.inputs[modality], modality))
    return tuple(
        expression(f"{format_tree(given)} -> slice({a}, {b})", "xsertion")
        for a, b in pairwise(ends)
    ), let


def parted(document: t.Document, body: t.Body) -> tuple[t.Body, t.Body | None]:
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


def check_tail(graph: Graph, document: t.Document, net: str) -> None:
    """A tail that stands within a block cannot be shared."""
    body = body_of(next(d for d in held(document, t.SuperLayer) if named(d) == net))
    main, tail = parted(document, body)
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


def check_sums(graph: Graph, places: Sequence[Place]) -> None:
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


def free_name(document: t.Document, wanted: str, also: Iterable[str] = ()) -> str:
    taken = {*(named(d) for d in document.declarations), *also}
    return next(
        n for n in (wanted, "tail", *(f"{wanted}_{i}" for i in range(2, 99))) if n not in taken
    )
