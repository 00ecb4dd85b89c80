"""`route`: routers between parallel streams.

Data-dependent ones (`cc`, `cp`) are those of Tissera et al., "End-to-end data-dependent routing in
multi-path neural networks", 2021, sections 3 and 4: a cross-connection mixes the streams behind a
place, a cross-prediction stands in for a layer and makes every stream predict every other.
Cross-stitch, NDDR and sluice routers mix with weights that do not look at the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, final

from xgraph.build.names import written
from xgraph.build.write import layer_text, value_text
from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph, Value
from xgraph.ops import OPS
from xgraph.passes.contract import Pass, option, register
from xgraph.passes.places import Place, Places, aligned, superlayers
from xgraph.passes.redeclare import declarations, redeclared, with_declarations

_PREDICTED = ("conv", "deconv", "linear", "depthwise", "sepconv", "maxout")
"""Layers that a cross-prediction can make between every pair of streams."""


@register
@final
@dataclass(frozen=True)
class RouteStreams(Pass):
    """Put routers between parallel streams, at places that are alike in each."""

    name = "route"
    example = "route{kind=cc at=[c2, c4] hidden=16}"
    kind: Literal["cc", "cp", "stitch", "nddr", "sluice"] = option("cc", "the router")
    at: str | tuple[str, ...] = option(
        "stages", "a rule for places, or their names; of `cp`, the layers that it replaces"
    )
    streams: str | tuple[str, ...] | None = option(
        None, "an array of super-layers, or their names; all if it is not given"
    )
    entry: bool | None = option(
        None, "a router from the shared input to all streams; `cc` has one unless it is `false`"
    )
    via: str | None = option(
        None, "layers of a `cp` that comes behind the places, in place of what stands there"
    )
    replace: bool = option(False, "`nddr` stands in for the layers of `at`, as `cp` does")
    hidden: int | None = option(None, "width of the gates of `cc` and `cp`", low=1)
    act: str | None = option(None, "activation behind `cp`")
    per: Literal["stream", "channel"] | None = option(None, "weights of `stitch`")
    subspaces: int | None = option(None, "parts of each stream for `sluice`", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = {attr.name for attr in OPS[self.kind].attrs}
        for key in ("hidden", "act", "per", "subspaces"):
            if getattr(self, key) is not None and key not in takes:
                told = f"`{self.kind}` takes no `{key}`"
                raise fail("bad-option", told, origin=f"route{{{key}}}")
        if self.via is not None and self.kind != "cp":
            told = f"`via` is for `cp`: `{self.kind}` has no layers"
            raise fail("bad-option", told, origin="route{via}")
        if self.replace and self.kind != "nddr":
            told = f"`replace` is for `nddr`: `{self.kind}` " + (
                "always replaces" if self.kind == "cp" else "never does"
            )
            raise fail("bad-option", told, origin="route{replace}")

    def apply(self, graph: Graph) -> Graph:
        chosen = self._streams(graph)
        rows = aligned(graph, chosen, self.at)
        labels = [place.address for row in rows for place in row]
        lines = list(self._lines(graph, chosen, rows, labels))
        new = declarations("\n".join(lines) + "\n", self.name)
        return redeclared(graph, lambda d: with_declarations(d, new), self.name, labels)

    @property
    def _stands_in(self) -> bool:
        """Whether the routers take the place of layers."""
        return self.replace or (self.kind == "cp" and self.via is None)

    def _streams(self, graph: Graph) -> list[str]:
        given = (self.streams,) if isinstance(self.streams, str) else self.streams
        found = (
            superlayers(graph)
            if given is None
            else [address for name in given for address in superlayers(graph, name)]
        )
        if len(found) < 2:
            raise fail(
                "unfit-network", "a router needs two streams or more, and there are fewer",
                origin=self.name, help="make paths first: `multipath{paths=2},route`",
            )  # fmt: skip
        return found

    # --------------------------------------------------------------------------- the text

    def _lines(
        self, graph: Graph, chosen: list[str], rows: list[list[Place]], labels: list[str]
    ) -> Iterator[str]:
        starred, places = _Starred(chosen, superlayers(graph)), Places(graph)
        entry = self.kind == "cc" if self.entry is None else self.entry
        if entry:
            yield self._line(_shared_input(graph, chosen), starred.all([f"{a}.in" for a in chosen]))
        for row in rows:
            targets = starred.all([place.address for place in row])
            if self._stands_in:
                _check_alike(row)
                yield self._line(_sources(places, row, starred, labels), targets, row)
            else:
                yield self._line(targets, "")

    def _line(self, sources: str, targets: str, replaced: Sequence[Place] = ()) -> str:
        arrow = f" -> {targets}" if targets and targets != sources else ""
        set_ = {
            key: value
            for key in ("hidden", "act", "per", "subspaces")
            if (value := getattr(self, key)) is not None
        }
        via = f" via {self.via}" if self.via is not None else ""
        if replaced and self.kind == "cp":
            via = f" via {layer_text(replaced[0].value.node)}"
        elif replaced:
            set_["filters"] = _width(replaced[0])
        given = ", ".join(f"{k} = {value_text(v)}" for k, v in set_.items())
        return f"route {self.kind} {sources}{arrow}" + (f" with {given}" if given else "") + via


def _check_alike(row: Sequence[Place]) -> None:
    """A router makes one kind of layer between all pairs of streams."""
    texts = [layer_text(place.value.node) for place in row]
    for place, text in zip(row, texts, strict=True):
        if text != texts[0]:
            raise fail(
                "unfit-network",
                f"`{written(place.address)}` is `{text}`, and `{written(row[0].address)}` is"
                f" `{texts[0]}`: one router cannot stand in for both",
                span=place.value.node.span, help="make them alike, or name other layers",
            )  # fmt: skip


def _shared_input(graph: Graph, chosen: Sequence[str]) -> str:
    """The name of the one value that enters all streams."""
    values = {graph.own(graph.points[f"{a}.in"]) for a in chosen if f"{a}.in" in graph.points}
    return _name_of(graph, values)


def _name_of(graph: Graph, values: set[Value]) -> str:
    """The name of a value on the top level, if these are one and it has one."""
    named = [a for a, v in graph.points.items() if "." not in a and "[" not in a and {v} == values]
    if named:
        return named[0]
    raise fail(
        "unfit-network", "the streams do not read one value that has a name",
        origin="route{entry}",
        help="give them one (`let stem = ...`), or no router there: `entry=false`",
    )  # fmt: skip


def _sources(places: Places, row: Sequence[Place], starred: _Starred, labels: list[str]) -> str:
    """What flows into the layers of a row, which a router replaces."""
    for place in row:
        if place.value.node.op.name not in _PREDICTED:
            raise fail(
                "unfit-network",
                f"`{written(place.address)}` is `{place.value.node.op.name}`, and a router stands"
                " in for convolutions and dense layers only",
                span=place.value.node.span,
                help="name the layer itself: `at=[c1, c3]`",
            )
    read = [place.value.node.inputs[0] for place in row]
    if len(set(read)) == 1:
        return _name_of(places.graph, set(read))
    names = [places.name(p.superlayer, v) for v, p in zip(read, row, strict=True)]
    labels += names
    return starred.all(names)


def _width(place: Place) -> int:
    attrs = place.value.node.attrs
    return int(attrs["filters"] if "filters" in attrs else attrs["units"])


@final
class _Starred:
    """Writes places of all streams together: `path[*].c2` where they are an array."""

    def __init__(self, chosen: Sequence[str], known: Sequence[str]) -> None:
        self._chosen = chosen
        heads = {a.rpartition(".")[0] for a in chosen}
        whole = [a for a in known if a.rpartition(".")[0] in heads]
        self._array = next(iter(heads)) if len(heads) == 1 and whole == list(chosen) else ""

    def all(self, addresses: Sequence[str]) -> str:
        rests = {a.removeprefix(f"{s}.") for a, s in zip(addresses, self._chosen, strict=True)}
        rest = written(min(rests))
        if self._array and len(rests) == 1 and "[" not in rest:  # it would pick one of the array
            return f"{self._array}[*].{rest}"
        return ", ".join(map(written, addresses))
