"""Which places each rule takes, and why not others."""

from __future__ import annotations

import pytest
from pages import ROOT

import xgraph
from xgraph.diagnostics import DiagnosticError
from xgraph.passes import aligned, block_ends
from xgraph.passes.places import Places


def taken(example: str, rule: str) -> list[str]:
    graph = xgraph.parse(ROOT / "examples" / f"{example}.xg")
    return [place.name for place in block_ends(graph, "net", rule) if place.taken]


RESIDUAL = [f"group.{g}.r{r}" for g in range(4) for r in (1, 2, 3)]


@pytest.mark.parametrize(
    ("example", "rule", "names"),
    [
        # The reference's own test has one place on a network of one pooling before the last.
        ("kerasnet", "after-pooling", ["p1"]),
        ("kerasnet", "combined", ["p1"]),
        ("fitnet4", "after-pooling", ["p1", "p2"]),
        ("fitnet4", "combined", ["p1", "p2"]),
        # Semantics 1.8: the activation of the stem and the last layer of each of 12 blocks.
        ("ror", "residual", ["stem", *RESIDUAL]),
        # Sums of three are left out: every third block has one.
        ("ror", "resnet", ["stem", *[r for r in RESIDUAL[:-1] if "r3" not in r], RESIDUAL[-2]][:9]),
        ("ror", "combined", ["stem", "group.0", "group.1", "group.2"]),
        ("resnet_cifar", "stages", ["s1", "s2", "s3"]),
        ("basecnn", "combined", ["c2", "c4"]),
        ("basecnn", "labels", ["c2", "c4", "c6", "d1"]),
        ("vgg13", "after-pooling", ["p1", "p2", "p3", "p4"]),
    ],
)
def test_rule(example: str, rule: str, names: list[str]) -> None:
    assert taken(example, rule) == names


def test_reasons() -> None:
    graph = xgraph.parse(ROOT / "examples" / "resnet_cifar.xg")
    refused = {p.name: p.reason for p in block_ends(graph, "net", "combined") if not p.taken}
    beside = [name for name, reason in refused.items() if "other values run beside" in reason]
    assert [name.rpartition(".")[0] for name in beside] == ["s2.residual1"] * 2 + [
        "s3.residual1"
    ] * 2
    assert "nothing more of the super-layer follows" in refused["s3"]


def test_depths_count_what_is_taken() -> None:
    graph = xgraph.parse(ROOT / "examples" / "resnet_cifar.xg")
    depths = [place.depth for place in block_ends(graph, "net", "combined")]
    assert [d for d in depths if d] == list(range(1, 9))
    assert 0 in depths


UNEVEN = """network n
modality x: [3, 8, 8]
superlayer a(x) { p: conv(4, 3); q: conv(4, 3); relu }
superlayer b(x) { p: conv(4, 3); relu }
output y = add(a, b)
"""


def test_places_of_unequal_number() -> None:
    with pytest.raises(DiagnosticError) as raised:
        aligned(xgraph.parse(UNEVEN), ["a", "b"], "labels")
    assert raised.value.diagnostics[0].id == "uneven-places"


def test_names_are_found_and_others_refused() -> None:
    graph = xgraph.parse(UNEVEN)
    assert [p.name for p in block_ends(graph, "a", ("q", "p"))] == ["q", "p"]
    with pytest.raises(DiagnosticError) as raised:
        block_ends(graph, "a", "combind")
    assert raised.value.diagnostics[0].id == "unknown-place"


def test_a_value_of_several_parts_is_no_place() -> None:
    text = "network n\nmodality x: [4, 8, 8]\nsuperlayer a(x) {\n"
    text += "  split([1, 3]) -> concat -> maxpool(2)\n  p: conv(2, 3)\n  relu -> tanh\n}\n"
    text += "output a\n"
    places = Places(xgraph.parse(text))
    found = {rule: [p.name for p in places.of("a", rule)] for rule in ("combined", "labels")}
    assert found == {"combined": ["concat1", "maxpool1"], "labels": ["p"]}
