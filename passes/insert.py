"""`insert`: layers behind a label of a super-layer, in all that flows on from there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, final

from xgraph.diagnostics import did_you_mean, fail
from xgraph.grammar import SYNTHETIC
from xgraph.grammar import tree as t
from xgraph.grammar.rewrite import parts
from xgraph.ir.graph import Graph
from xgraph.passes.contract import Pass, option, register
from xgraph.passes.redeclare import (
    body_of,
    expression,
    held,
    named,
    place_of,
    redeclared,
    replaced,
    root,
)
from xgraph.source import Span


@register
@final
@dataclass(frozen=True)
class Insert(Pass):
    """Insert layers behind a label, or as the last of those that it names."""

    name = "insert"
    example = 'insert{at=cnn.p1 layers="bn -> dropout(0.5)"}'
    at: str = option(doc="the label: `cnn.p1`, of a super-layer or fusion")
    layers: str = option(doc="a chain of layers")
    where: Literal["behind", "within"] = option(
        "behind", "behind what merges at the label, or within what it names"
    )

    def apply(self, graph: Graph) -> Graph:
        edit = partial(self.edited, graph=graph)
        made = redeclared(graph, edit, self.name, renumbered(graph, self.at, self.layers))
        if len(made.live()) == len(graph.live()):
            raise fail(
                "no-effect", f"nothing flows on from `{self.at}` to what follows it",
                origin=self.name, help="what follows reads other values by name",
            )  # fmt: skip
        return made

    def edited(self, document: t.Document, graph: Graph) -> t.Document:
        """The text of `graph` with the layers."""
        stages = expression(self.layers, "layers")
        owner, label = self._owner(document)
        index = self._index(owner, label, place_of(graph, owner))
        body = body_of(owner)
        statements = body.statements
        if self.where == "behind":
            new = t.Stage(label=None, chain=stages, span=SYNTHETIC)
            changed = (*statements[: index + 1], new, *statements[index + 1 :])
        else:
            stage = statements[index]
            assert isinstance(stage, t.Stage)
            longer = replace(stage, chain=_joined(stage.chain, stages), span=SYNTHETIC)
            changed = (*statements[:index], longer, *statements[index + 1 :])
        changed_body = replace(body, statements=changed, span=SYNTHETIC)
        return replaced(document, owner, replace(owner, body=changed_body))

    def _owner(self, document: t.Document) -> tuple[t.SuperLayer | t.Fusion, str]:
        owner, _, label = self.at.partition(".")
        owner, indexed, index = owner.partition("[")
        if indexed and index != "*]":
            raise fail(
                "bad-option", "the copies of an array have one body: nothing goes into one of them",
                origin=f"insert{{at={self.at}}}", help=f"`at={owner}[*].{label}` is all of them",
            )  # fmt: skip
        found: list[t.SuperLayer | t.Fusion] = [
            *held(document, t.SuperLayer),
            *held(document, t.Fusion),
        ]
        chosen = [d for d in found if named(d) == owner]
        if len(chosen) == 1:
            return chosen[0], label
        names = [named(d) or "" for d in found]
        near = did_you_mean(owner, names) or f"there are {', '.join(f'`{n}`' for n in names)}"
        told = f"`{owner}` is not one super-layer or fusion"
        raise fail("unknown-name", told, origin=f"insert{{at={self.at}}}", help=near)

    def _index(self, owner: t.SuperLayer | t.Fusion, label: str, span: Span | None) -> int:
        labels = [
            s.label.name.name if isinstance(s, t.Stage) and s.label else ""
            for s in body_of(owner).statements
        ]
        if label in labels and label:
            return labels.index(label)
        listed = ", ".join(f"`{name}`" for name in labels if name) or "no label"
        told = f"`{named(owner)}` has no label `{label}`"
        near = did_you_mean(label, filter(None, labels)) or f"it has {listed}"
        if root(label) in labels and label != root(label):
            told = (
                f"`{label}` is within `{root(label)}`: layers go where `{named(owner)}` has a label"
            )
            near = f"`at={named(owner)}.{root(label)}`, or write them into the body or block there"
        raise fail("unknown-place", told, span=span, help=near)


def renumbered(graph: Graph, at: str, layers: str) -> list[str]:
    """The layers behind a label that would get other numbers if these came there: they are to keep
    their names, by which weights are known."""
    owner, _, label = at.partition(".")
    owner = owner.removesuffix("[*]")
    kinds = {part.name for part in parts(expression(layers, "layers")) if isinstance(part, t.Name)}
    # Of an array of super-layers or of a repeat that has the label: `path.0.c1`, `net.c1.0`.
    pattern = re.compile(rf"({re.escape(owner)}(?:\.\d+)?)\.{re.escape(label)}(?:\.\d+)?")
    ids: dict[str, int] = {}
    for address, value in graph.points.items():
        if found := pattern.fullmatch(address):
            ids[found[1]] = max(ids.get(found[1], 0), graph.own(value).node.id)
    later: dict[str, None] = {}
    for node in graph.nodes():
        names = node.address.split(".")
        for depth in (1, 2):  # one of an array has its number behind its name
            holder, name = ".".join(names[:depth]), "".join(names[depth : depth + 1])
            if node.id > ids.get(holder, node.id) and name.rstrip("0123456789") in kinds:
                later[f"{holder}.{name}"] = None
    return list(later)


def _joined(chain: t.Expression, more: t.Expression) -> t.Chain:
    stages = [
        stage
        for part in (chain, more)
        for stage in (part.stages if isinstance(part, t.Chain) else (part,))
    ]
    return t.Chain(stages=tuple(stages), span=SYNTHETIC)
