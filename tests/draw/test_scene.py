"""What is drawn: every layer once, in the boxes that were declared, and every wire."""

from __future__ import annotations

from pathlib import Path

import pytest

import xgraph
from xgraph.build import build_source
from xgraph.draw.scene import MOST, Box, Scene, scene
from xgraph.source import Source

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.xg"))
TWO = """network two
modality a: [3, 8, 8]
block unit(f) { conv(f, 3) -> relu }
superlayer p[2](a) { one: unit(4) -> maxpool(2)
  two: unit(8) }
route cc p[*].one
fusion head(p[0], p[1]) { add -> globalavgpool }
output y = head
"""


def drawn(text: str) -> Scene:
    return scene(build_source(Source("<test>", text)))


def all_boxes(found: Scene) -> list[Box]:
    return [box for top in found.boxes for box in top.walk()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_layer_is_in_one_box(path: Path) -> None:
    graph = xgraph.parse(path)
    boxes = all_boxes(scene(graph))
    ids = [box.id for box in boxes]
    assert len(set(ids)) == len(ids)
    leaves = {box.id for box in boxes if not box.boxes}
    assert {f"node:{node.id}" for node in graph.nodes()} <= leaves
    ends = {end for wire in scene(graph).wires for end in wire}
    assert ends <= leaves
    assert len(leaves) == len(graph) + len(graph.outputs)


def test_boxes_are_what_was_declared() -> None:
    found = drawn(TWO)
    told = {box.id: (box.kind, box.title, box.text, box.shape) for box in all_boxes(found)}
    assert told["superlayer:p.0"] == ("superlayer", "p[0]", "", "8x4x4")
    assert told["label:p.0.one"] == ("label", "one", "", "4x4x4")
    assert told["call:p.1.two"] == ("call", "two", "unit", "8x4x4")
    assert ("route", "cc", "", "4x4x4") in told.values()
    assert sorted(box.kind for box in found.boxes) == [
        "fusion", "modality", "output", "route", "superlayer", "superlayer",
    ]  # fmt: skip


def test_a_label_of_a_layer_is_its_title() -> None:
    found = drawn(
        "network n\nmodality a: [4]\nsuperlayer p(a) { hi: linear(3)\n relu }\noutput y = p\n"
    )
    told = [(box.title, box.text) for box in all_boxes(found) if box.kind == "layer"]
    assert told == [("hi", "linear(3)"), ("relu", "")]


def test_figures_are_those_of_show() -> None:
    found = drawn(TWO)
    lane = next(box for box in found.boxes if box.title == "p[0]")
    assert lane.params == 3 * 4 * 9 + 4 + 4 * 8 * 9 + 8
    assert found.total.params == sum(box.params for box in found.boxes)


def test_many_lanes_come_in_runs() -> None:
    lanes = "\n".join(f"superlayer p{i}(a) {{ relu }}" for i in range(1_000))
    found = drawn(f"network n\nmodality a: [4]\n{lanes}\noutput y = p0\n")
    assert len(found.boxes) <= MOST
    assert sum(box.kind == "superlayer" for box in all_boxes(found)) == 1_000


def test_many_layers_come_in_runs() -> None:
    layers = " -> ".join(["linear(4)"] * (MOST * MOST + 5))
    found = drawn(f"network n\nmodality a: [4]\nsuperlayer p(a) {{ {layers} }}\noutput y = p\n")
    (lane,) = (box for box in found.boxes if box.kind == "superlayer")
    assert all(len(box.boxes) <= MOST for box in lane.walk())
    assert sum(box.kind == "layer" for box in lane.walk()) == MOST * MOST + 5
    whole = sum(box.macs for box in lane.walk() if box.kind == "layer")
    assert sum(box.macs for box in lane.boxes) == whole > 0
    assert all(box.kind == "run" for box in lane.boxes)
