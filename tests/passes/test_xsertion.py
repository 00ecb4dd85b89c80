"""Xsertion from recorded accuracies: lane scales, widths and parameters to the integer.

The accuracies are means of runs that the authors stored; widths and counts follow from their code's
rules and were computed for KerasNet in Keras (design/semantics.md, 1.4, 1.8 and 1.10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import pytest
from pages import ROOT

import xgraph
from xgraph.ir.graph import Graph
from xgraph.ir.scope import Connect, SuperLayer

LANES = ("luma_net", "blue_net", "red_net")


@final
@dataclass(frozen=True)
class Row:
    """A row of the table of automatic networks."""

    base: str
    classes: int
    informativeness: tuple[float, float, float]
    alpha: float
    beta: float
    lanes: tuple[tuple[int, ...], ...]
    """The widths of each group of layers, of all super-layers."""
    connections: tuple[tuple[int, ...], ...]
    """The widths at each depth: 0>1, 0>2, 1>0, 1>2, 2>0, 2>1."""
    parameters: int
    scale: float


ROWS = [
    Row("kerasnet", 10, (0.7852, 0.6194, 0.6131), 1, 2, ((26, 21, 21), (52, 41, 41)),
        ((17, 17, 9, 11, 8, 11),), 4_524_254, 1.03125),
    Row("kerasnet", 10, (0.7852, 0.6194, 0.6131), 2, 4, ((30, 19, 19), (60, 37, 37)),
        ((22, 22, 6, 10, 6, 10),), 4_527_866, 1.03125),
    Row("kerasnet", 100, (0.4090, 0.2911, 0.2929), 1, 2, ((28, 20, 20), (55, 39, 39)),
        ((19, 19, 7, 10, 7, 11),), 4_537_211, 1.03125),
    Row("fitnet4", 10, (0.8423, 0.6646, 0.6522), 1, 2,
        ((21, 17, 16), (31, 25, 24), (51, 41, 40), (82, 65, 63)),
        ((20, 20, 10, 13, 9, 12), (32, 32, 16, 21, 15, 20)), 2_989_706, 1.625),
]  # fmt: skip


def text_of(base: str, informativeness: tuple[float, ...]) -> str:
    """A base network with other informativeness in its text."""
    lines = []
    for line in (ROOT / "examples" / f"{base}.xg").read_text("utf-8").splitlines():
        if line.startswith("modality"):
            number = informativeness[("luma", "blue", "red").index(line.split()[1].rstrip(":"))]
            line = f"{line.partition(' with')[0]} with informativeness = {number}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def widths(graph: Graph, superlayer: str) -> list[int]:
    """The widths of the groups of layers of a super-layer, in their order."""
    found = [
        node.attrs.get("filters") or node.attrs.get("units")
        for node in graph.nodes()
        if node.address.startswith(f"{superlayer}.") and node.op.name in ("conv", "maxout")
    ]
    return list(dict.fromkeys(found))


def sent(graph: Graph, source: str, target: str) -> list[int]:
    """The widths of the connections from one super-layer to another, by depth."""
    scopes = [s for s in graph.scopes if isinstance(s, Connect)]
    found = []
    for scope in scopes:
        if scope.source.startswith(f"{source}.") and scope.targets[0].startswith(f"{target}."):
            (conv,) = (n for n in graph.nodes() if n.scope is scope and n.op.name == "conv")
            found.append((scope.source, int(conv.attrs["filters"])))
    return [width for _, width in sorted(found)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.base}-{row.classes}-{row.alpha}")
def test_automatic_network(row: Row) -> None:
    base = xgraph.parse(text_of(row.base, row.informativeness), {"classes": row.classes})
    made = xgraph.apply(base, f"xsertion{{alpha={row.alpha} beta={row.beta}}}")
    assert xgraph.Summary(made).total.params == row.parameters
    for index, lane in enumerate(LANES):
        assert widths(made, lane) == [group[index] for group in row.lanes]
    pairs = [(a, b) for a in LANES for b in LANES if a != b]
    for place, (source, target) in enumerate(pairs):
        assert sent(made, source, target) == [depth[place] for depth in row.connections]
    scales = [s.meta["scale"] for s in made.scopes if isinstance(s, SuperLayer)]
    assert sum(map(float, scales)) == pytest.approx(row.scale, abs=1e-5)


def test_residual_in_residual_has_13_places_and_its_lane_scale() -> None:
    base = xgraph.parse(text_of("ror", (0.8, 0.6, 0.61)))
    made = xgraph.apply(base, "xsertion{at=residual}")
    assert len([s for s in made.scopes if isinstance(s, Connect)]) == 13 * 6
    scales = [s.meta["scale"] for s in made.scopes if isinstance(s, SuperLayer)]
    assert sum(map(float, scales)) == pytest.approx(1.6875, abs=1e-5)


def test_without_matching_the_scales_are_shares() -> None:
    made = xgraph.apply(ROOT / "examples" / "kerasnet.xg", "xsertion{match=false}")
    scales = [float(s.meta["scale"]) for s in made.scopes if isinstance(s, SuperLayer)]
    assert sum(scales) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("count", [2, 3, 8, 16])
def test_any_number_of_modalities(count: int) -> None:
    names = [f"m{i}" for i in range(count)]
    text = "network many\nmodality x: [16, 8, 8]\n"
    text += "superlayer net(x) { conv(32, 3) -> relu; p: maxpool(2); conv(32, 3) -> relu }\n"
    text += "fusion head(net) { flatten -> linear(4) }\noutput y = head\n"
    known = [round(0.9 - 0.05 * i, 2) for i in range(count)]
    sizes = [16 // count + (i < 16 % count) for i in range(count)]
    split = f"split{{into=[{', '.join(names)}] informativeness={known} sizes={sizes}}}"
    made = xgraph.apply(text, f"{split},xsertion{{at=p}}")
    assert len([s for s in made.scopes if isinstance(s, Connect)]) == count * (count - 1)
    assert len([s for s in made.scopes if isinstance(s, SuperLayer)]) == count


def test_a_connection_of_no_width_is_left_out() -> None:
    text = text_of("kerasnet", (0.9, 0.6, 0.0001))
    made = xgraph.apply(text, "xsertion{beta=4 match=false}")
    pairs = {(s.source, s.targets[0]) for s in made.scopes if isinstance(s, Connect)}
    assert ("red_net.p1", "luma_net.p1") not in pairs
    assert ("luma_net.p1", "red_net.p1") in pairs


def test_layers_of_connections_can_be_a_block_of_the_file() -> None:
    text = text_of("kerasnet", (0.8, 0.6, 0.6)).replace(
        "block pair", "block cross(f) { conv(f, 1, bias = false) -> bn -> elu }\n\nblock pair"
    )
    made = xgraph.apply(text, "xsertion{connection=cross}")
    printed = xgraph.unbuild(made)
    assert printed.count("via cross(") == 6
    assert "via dropout" not in printed


def test_the_tail_of_a_super_layer_is_shared() -> None:
    text = (ROOT / "examples" / "basecnn.xg").read_text("utf-8")
    made = xgraph.apply(
        text, "split{into=[r, g, b] informativeness=[0.5, 0.6, 0.4]},xsertion{at=[c2, c4]}"
    )
    printed = xgraph.unbuild(made)
    assert "fusion head(r_net, g_net, b_net) {\n  concat\n  d1: flatten -> dense(32)" in printed


def test_the_tail_begins_at_the_last_dense_layer_where_nothing_is_flattened() -> None:
    made = xgraph.apply(
        ROOT / "examples" / "resnet_cifar.xg",
        "split{into=[r, g, b] informativeness=[0.5, 0.6, 0.4]},xsertion{at=stages}",
    )
    printed = xgraph.unbuild(made)
    assert "fusion head(r_net, g_net, b_net) { concat -> linear(10) }" in printed
    assert str(made.outputs["logits"].type) == "f32[N, 10]"


def test_normalised_behind_what_merges() -> None:
    made = xgraph.apply(ROOT / "examples" / "kerasnet.xg", "xsertion{normed=true}")
    for lane in LANES:
        (norm,) = (n for n in made.nodes() if n.address == f"{lane}.bn1")
        assert norm.inputs[0].node.op.name == "concat"
