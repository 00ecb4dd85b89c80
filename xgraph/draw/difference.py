"""Two networks beside each other, with what changed from one to the other."""

from __future__ import annotations

from dataclasses import replace

from xgraph.compare import Difference, Part
from xgraph.draw.scene import Scene, Sheet, Told, box_id, scene, sign


def compared(difference: Difference) -> Sheet:
    """The networks of a difference; the boxes that it is about are signed."""
    before, after = (scene(summary.graph) for summary in (difference.a, difference.b))
    told = [
        Told(str(each), (_ids(before, each.parts_before), _ids(after, each.parts_after)))
        for each in difference.changes
    ]
    for index, drawn in enumerate((before, after)):
        sign(drawn, {
            box: change.sign
            for change, said in zip(difference.changes, told, strict=True)
            for box in said.boxes[index]
        })  # fmt: skip
    return Sheet(
        f"{before.name} => {after.name}",
        ", ".join([*(() if difference else ("alike",)), *difference.figures()]),
        (replace(before, name=f"before: {before.name}"),
         replace(after, name=f"after: {after.name}")),
        told,
    )  # fmt: skip


def _ids(drawn: Scene, parts: tuple[Part, ...]) -> list[str]:
    """Those of the boxes of parts; what holds nothing has none."""
    return [box_id(part) for part in parts if box_id(part) in drawn.ids]
