"""Differences between networks, in the terms of the language."""

from __future__ import annotations

from pages import ROOT

import xgraph
from xgraph.compare import Difference
from xgraph.ir.graph import Graph

BASE = """network n
modality x: [3, 8, 8]
superlayer a(x) { p: conv(4, 3) -> relu; maxpool(2) }
superlayer b(x) { p: conv(4, 3) -> relu; maxpool(2) }
connect a.p -> b.p by add via conv(4, 1)
output y = add(a, b)
"""


def changes(before: str, after: str) -> list[str]:
    found = Difference(xgraph.parse(before), xgraph.parse(after))
    return [f"{c.sign} {c.kind} {c.name}" for c in found.changes]


def test_alike() -> None:
    found = Difference(xgraph.parse(BASE), xgraph.parse(BASE))
    assert not found
    assert "alike" in found.render()


def test_a_connection_comes_and_goes() -> None:
    bare = "\n".join(line for line in BASE.splitlines() if "connect" not in line) + "\n"
    assert changes(bare, BASE) == ["+ connection a.p -> b.p"]
    assert changes(BASE, bare) == ["- connection a.p -> b.p"]


def test_a_connection_changes() -> None:
    assert changes(BASE, BASE.replace("by add", "by max")) == ["~ connection a.p -> b.p"]
    assert changes(BASE, BASE.replace("conv(4, 1)", "conv(4, 3)")) == ["~ connection a.p -> b.p"]


def test_a_router_a_label_a_layer_an_input() -> None:
    routed = BASE.replace("output", "route cc a.p, b.p\noutput")
    assert changes(BASE, routed) == ["+ router a.p, b.p"]
    assert changes(BASE, BASE.replace("relu; maxpool(2) }", "relu; q: maxpool(2) }", 1)) == [
        "~ output y", "+ label a.q", "- layer a.maxpool1", "+ layer a.q",
    ]  # fmt: skip
    assert "~ modality x" in changes(BASE, BASE.replace("[3, 8, 8]", "[1, 8, 8]"))


def test_what_only_one_has_is_one_line() -> None:
    more = BASE.replace(
        "output y", "superlayer c(x) { p: conv(4, 3); maxpool(2) }\noutput z = c\noutput y"
    )
    assert changes(BASE, more) == ["+ superlayer c", "+ output z"]


def test_costs() -> None:
    a, b = (network("basecnn_cc", routed=flag) for flag in (False, True))
    found = Difference(a, b).to_json()
    # 8,690 parameters are what two-path cross-connections add (semantics 4.4)
    assert found["parameters"] == {"before": 1_103_188, "after": 1_103_188 + 8_690}
    assert [c["kind"] for c in found["changes"]] == ["router"] * 5


def network(name: str, **settings: object) -> Graph:
    return xgraph.parse(ROOT / "examples" / f"{name}.xg", settings)


def test_whether_a_router_reads_what_was_merged() -> None:
    routed = BASE.replace("output", "route cc a.p, b.p\noutput")
    first = routed.replace("connect a.p -> b.p by add via conv(4, 1)\n", "").replace(
        "output", "connect a.p -> b.p by add via conv(4, 1)\noutput"
    )
    assert "~ router a.p, b.p" in changes(routed, first)


FRAMES = """network n
dim T = 8
dim U = 8
modality x: [T, U, 16]
each T { superlayer s(x) { lstm(16) } }
output y = s
"""


def test_what_runs_once_a_step() -> None:
    """Along which axis, if along any."""
    assert changes(FRAMES, FRAMES.replace("each T", "each U")) == ["~ superlayer s"]
    merged = FRAMES.replace("lstm(16)", "linear(16)")
    assert changes(merged, merged.replace("each T {", "").replace("} }", "}")) == ["~ superlayer s"]
