"""`multipath`: one super-layer becomes parallel paths with weights of their own (Tissera et al.,
"End-to-end data-dependent routing in multi-path neural networks", 2021, section 4).

What is read of the one is read of the mean of all. A fusion that takes nothing but the
super-layer goes into every path, so that the heads are averaged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal, final

from xgraph.build.names import written
from xgraph.diagnostics import fail
from xgraph.grammar import SYNTHETIC, parts, rewritten
from xgraph.grammar import tree as t
from xgraph.ir.graph import Graph
from xgraph.passes.contract import Pass, option, register
from xgraph.passes.redeclare import (
    body_of,
    expression,
    held,
    mentions,
    name,
    place_of,
    plain,
    reads,
    redeclared,
    renamed,
    replaced,
    root,
    sole,
    with_names,
)


@register
@final
@dataclass(frozen=True)
class Multipath(Pass):
    """Multiply a super-layer into parallel paths, and average what they give."""

    name = "multipath"
    example = "multipath{paths=2 stem=stem}"
    paths: int = option(2, "how many paths", low=1, high=10_000)
    net: str | None = option(None, "the super-layer; the only one if it is not named")
    to: str = option("path", "what the array of paths is called")
    stem: str | None = option(None, "a label: what is up to there is shared by all paths")
    merge: Literal["mean", "add", "max", "mul", "concat"] = option(
        "mean", "how the paths come together"
    )

    def apply(self, graph: Graph) -> Graph:
        return redeclared(graph, lambda document: self._edit(graph, document), self.name)

    def _edit(self, graph: Graph, document: t.Document) -> t.Document:
        document = plain(document)
        net = sole(document, t.SuperLayer, self.net, "multipath{net}", graph)
        _check_alone(graph, document, net)
        head = _head(document, net)
        path = replace(
            net, name=name(self.to), count=t.Number(value=self.paths, span=SYNTHETIC), meta=()
        )
        if head is not None:
            document = replaced(document, head)
            path = replace(path, body=_appended(graph, net, head))
        lets: tuple[t.Let, ...] = ()
        shared: dict[str, t.Expression] = {}
        if self.stem is not None:
            end = _end(graph, net, self.stem)
            stem, path = self._parted(graph, net, path, self.stem, end)
            lets, shared = (stem,), {f"{net.name.name}.{end}": stem.name}
        read = [
            spelt
            for owner in ((net,) if head is None else (net, head))
            for spelt in reads(document, owner.name.name)
        ]
        _check_reads(graph, net, path, [spelt for spelt in read if spelt not in shared])
        document = replaced(document, net, *lets, path)
        depth = 0

        def visit(part: t.Tree) -> t.Tree:
            nonlocal depth
            if isinstance(part, (t.Document, t.Each)) and path in held(part, t.SuperLayer):
                names = {spelt: self._joined(spelt, depth) for spelt in read}
                part, depth = renamed(graph, part, names | shared), depth + 1
            return part

        return rewritten(document, visit)

    def _joined(self, spelt: str, depth: int) -> t.Expression:
        """What stands for the value `net.c` of the one path, `depth` steps outside its `each`: its
        first axes are then those of the steps."""
        rest = spelt.removeprefix(root(spelt))
        every = f"{self.to}[*]{rest}"
        if "[" in rest:  # behind `[*]` it would pick one of the paths
            every = ", ".join(f"{self.to}[{i}]{rest}" for i in range(self.paths))
        axis = f", axis = {depth}" if depth and self.merge == "concat" else ""
        return expression(f"{self.merge}({every}{axis})", self.name)

    def _parted(
        self, graph: Graph, net: t.SuperLayer, path: t.SuperLayer, label: str, end: str
    ) -> tuple[t.Let, t.SuperLayer]:
        """The stem as a `let`, and the path without it, which reads its `end` by the label."""
        span = place_of(graph, net)
        body = body_of(path)
        statements = body.statements
        ends = [i + 1 for i, s in enumerate(statements) if _label(s) == label]
        chains = [s.chain for s in statements[: ends[0]] if isinstance(s, t.Stage)] if ends else []
        if not ends or len(chains) < ends[0] or len(path.arguments) != 1:
            raise fail(
                "unfit-network",
                f"the super-layer does not begin with a stem that ends at a label `{label}`",
                span=span,
                help="label the last of the layers that all paths share: `stem: conv(16, 3)`",
            )
        rest = replace(body, statements=statements[ends[0] :], span=SYNTHETIC)
        rest = with_names(rest, {end: name(label)})
        inner = [word for s in statements[: ends[0] - 1] if (word := _label(s))]
        lost = [
            read for word in ("in", *inner, label) for read in reads(rest, word) if read != label
        ]
        if lost or not rest.statements:
            told = (
                f"what follows `{label}` reads `{lost[0]}`, which is before it"
                if lost
                else (f"nothing follows `{label}`: nothing would be left of the paths")
            )
            raise fail("unfit-network", told, span=span, help="choose another label as the stem")
        values = {address.partition(".")[0] for address in graph.points}
        joins = [word for c in chains for v in ("in", *inner, *values) for word in reads(c, v)]
        if joins:
            raise fail(
                "unfit-network", f"the stem reads `{joins[0]}`, and not only what flows through it",
                span=span, help="choose a label above as the stem",
            )  # fmt: skip
        stages = [path.arguments[0], *chains]
        flat = [part for c in stages for part in (c.stages if isinstance(c, t.Chain) else (c,))]
        stem = t.Let(
            name=name(label), value=t.Chain(stages=tuple(flat), span=SYNTHETIC), span=SYNTHETIC
        )
        return stem, replace(path, arguments=(name(label),), body=rest)


def _label(statement: t.Statement) -> str | None:
    found = statement.label if isinstance(statement, t.Stage) else None
    return found.name.name if found is not None else None


def _hooks(document: t.Document) -> Sequence[t.Connect | t.Route]:
    return [*held(document, t.Connect), *held(document, t.Route)]


def _check_alone(graph: Graph, document: t.Document, net: t.SuperLayer) -> None:
    """Connections and routers of the one path do not say what they mean for many."""
    for hook in _hooks(document):
        if mentions(hook, net.name.name):
            raise fail(
                "unfit-network",
                f"`{net.name.name}` has connections or routers already",
                span=place_of(graph, net),
                help="multiply the plain network first, then connect its paths",
            )
    if net.count is not None:
        raise fail(
            "unfit-network", f"`{net.name.name}` is an array already", span=place_of(graph, net)
        )


def _head(document: t.Document, net: t.SuperLayer) -> t.Fusion | None:
    """The fusion beside the super-layer that takes nothing else, where nothing else reads the
    super-layer, and no connection or router the fusion."""
    for part in parts(document):
        if not isinstance(part, (t.Document, t.Each)) or net not in part.declarations:
            continue
        for head in part.declarations:
            if isinstance(head, t.Fusion) and head.arguments == (net.name,):
                others = replaced(replaced(document, net), head)
                joined = any(mentions(hook, head.name.name) for hook in _hooks(document))
                return None if joined or mentions(others, net.name.name) else head
    return None


def _end(graph: Graph, net: t.SuperLayer, label: str) -> str:
    """The name of what flows on from a label: of the last where it is an array."""
    count = 0
    while f"{net.name.name}.{label}.{count}" in graph.points:
        count += 1
    return f"{label}[{count - 1}]" if count else label


def _check_reads(graph: Graph, net: t.SuperLayer, path: t.SuperLayer, read: Sequence[str]) -> None:
    """What is read within the one must be one value of each path."""
    labels = set(map(_label, body_of(path).statements))
    single = {written(address) for address in graph.points}
    for spelt in read:
        inner = re.split(r"[.\[]", spelt)[1:]
        if inner and (inner[0] not in labels or spelt not in single):
            raise fail(
                "unfit-network",
                f"`{spelt}` is read elsewhere, and it is not one value within each path",
                span=place_of(graph, net),
                help="read the super-layer itself, or a label behind the stem",
            )


def _appended(graph: Graph, net: t.SuperLayer, head: t.Fusion) -> t.Body:
    """The body of the super-layer followed by that of its head, whose `in` is the end of it."""
    body, tail = body_of(net), body_of(head)
    labels = set(map(_label, body.statements))
    words = {root(p.name) for p in parts(tail) if isinstance(p, t.Name)}
    if clash := sorted(word for word in words - {"in"} if word in labels):
        raise fail(
            "unfit-network",
            f"`{clash[0]}` is a label of `{net.name.name}`, and stands in `{head.name.name}` too,"
            " which goes into each path",
            span=place_of(graph, head), help="rename one of them",
        )  # fmt: skip
    statements = body.statements
    if statements and mentions(tail, "in"):
        end = statements[-1]
        trunk = next(w for i in count() if (w := f"trunk{i or ''}") not in labels | words)
        label = _label(end) or trunk
        if isinstance(end, t.Stage) and end.label is None:
            end = replace(end, label=t.Label(name=name(label), span=SYNTHETIC))
        statements = (*statements[:-1], end)
        tail = with_names(tail, {"in": name(label)})
    return replace(body, statements=(*statements, *tail.statements), span=SYNTHETIC)
