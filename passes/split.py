"""`split`: one joint input becomes modalities, each with channels of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from xgraph.diagnostics import fail
from xgraph.grammar import SYNTHETIC
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph
from xgraph.passes.contract import Pass, option, register
from xgraph.passes.redeclare import expression, name, place_of, redeclared, replaced, sole


@register
@final
@dataclass(frozen=True)
class Split(Pass):
    """Part an input into modalities, which the network reads side by side as before."""

    name = "split"
    example = "split{into=[y, u, v] informativeness=[0.79, 0.62, 0.61]}"
    into: tuple[str, ...] = option(doc="names of the modalities, in the order of the channels")
    sizes: tuple[int, ...] = option((), "channels of each; by default equally many", low=1)
    informativeness: tuple[float, ...] = option((), "what was measured of each", low=0, high=1)
    input: str | None = option(None, "the modality; the only one if it is not named")

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("sizes", "informativeness"):
            given = getattr(self, key)
            if given and len(given) != len(self.into):
                told = f"`into` names {len(self.into)} modalities, and `{key}` has {len(given)}"
                raise fail("bad-option", told, origin=f"split{{{key}}}")
        if len(self.into) < 2 or len(set(self.into)) < len(self.into):
            told = "`into` takes two different names or more"
            raise fail("bad-option", told, origin="split{into}")

    def apply(self, graph: Graph) -> Graph:
        return redeclared(graph, lambda document: self._edit(graph, document), self.name)

    def _edit(self, graph: Graph, document: t.Document) -> t.Document:
        joint = sole(document, t.Modality, self.input, "split{input}", graph)
        channels = joint.shape.items[0] if joint.shape.items else None
        parts = [
            replace(
                joint, name=name(modality), span=SYNTHETIC, meta=self._meta(index),
                shape=t.List(items=(_number(size), *joint.shape.items[1:]), span=SYNTHETIC),
            )
            for index, (modality, size) in enumerate(
                zip(self.into, self._sizes(channels, joint, graph), strict=True)
            )
        ]  # fmt: skip
        joined = expression(f"concat({', '.join(self.into)})", self.name)
        let = t.Let(name=joint.name, value=joined, span=SYNTHETIC)
        return replaced(document, joint, *parts, let)

    def _sizes(
        self, channels: t.Expression | None, joint: t.Modality, graph: Graph
    ) -> tuple[int, ...]:
        total = channels.value if isinstance(channels, t.Number) else None
        count = len(self.into)
        if total is None:
            told = f"`{joint.name.name}` has no known number of channels"
        elif not self.sizes and total % count == 0:
            return (int(total) // count,) * count
        elif sum(self.sizes) == total:
            return self.sizes
        elif self.sizes:
            told = f"`{joint.name.name}` has {total} channels, and the parts {sum(self.sizes)}"
        else:
            told = f"{total} channels do not part into {count} equal ones"
        raise fail(
            "unfit-network",
            told,
            span=place_of(graph, joint),
            help="give `sizes=[...]` that add up to it",
        )

    def _meta(self, index: int) -> tuple[t.Entry, ...]:
        if not self.informativeness:
            return ()
        value = self.informativeness[index]
        number = t.Number(value=value, text=repr(value), span=SYNTHETIC)
        return (t.Entry(key=name("informativeness"), value=number, span=SYNTHETIC),)


def _number(value: int) -> t.Number:
    return t.Number(value=value, text=str(value), span=SYNTHETIC)
