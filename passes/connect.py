"""`connect`: connections between streams of any rank, after XFlow (Cangea et al., "XFlow:
cross-modal dataflow neural networks for audiovisual classification", 2017, section 2).

The form follows from the two shapes, a sample's, channels first:

    vector to vector   linear -> act
    maps to vector     conv(same, 1) -> act -> norm -> flatten -> linear -> act
    vector to maps     linear -> act -> norm -> dropout -> reshape -> deconv(pad = valid) -> act
    maps to maps       mean over axes too many -> resize -> conv(filters, 1) -> act

so that what arrives has just the size of its target: a transposed convolution of kernel k makes k -
1 positions more. A residual connection is added: maps are pooled before they are flattened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, final

from xgraph.build.names import written
from xgraph.diagnostics import DiagnosticError, did_you_mean, fail
from xgraph.ir.graph import Graph
from xgraph.ir.scope import Each, Fusion, SuperLayer
from xgraph.ir.types import Axis, Dim, Expr
from xgraph.passes.contract import Pass, option, options, register
from xgraph.passes.redeclare import declarations, redeclared, with_declarations

_NONE = ("none", "")
_USED = {
    "vector to vector": {"units", "act"},
    "maps to vector": {"units", "act", "norm"},
    "residual maps to vector": {"units", "act", "pool", "dropout"},
    "vector to maps": {"filters", "kernel", "act", "norm", "dropout", "end"},
    "maps to maps": {"filters", "act"},
    "layers of your own": set[str](),
}
"""The options that each form looks at."""
_OPTIONS = set[str]().union(*_USED.values())


@register
@final
@dataclass(frozen=True)
class ConnectStreams(Pass):
    """Connect places of two streams, or every pair of several, whatever their ranks."""

    name = "connect"
    example = "connect{between=[cnn.p1, mlp.f1] units=64 kernel=8}"
    between: tuple[str, ...] = option((), "places of which each is connected to each other")
    source: str | None = option(None, "in place of `between`: the one place that is read")
    target: str | None = option(None, "and the one into which it merges")
    by: Literal["concat", "add", "mul", "max"] | None = option(
        None, "how it merges; `concat`, or `add` if it is residual"
    )
    via: str | None = option(None, "the layers; by default they follow from the shapes")
    residual: bool = option(False, "made of a raw input: maps are pooled, not convolved")
    units: int | None = option(None, "length of the vector that arrives at a vector", low=1)
    filters: int | None = option(None, "channels of the maps that arrive at maps", low=1)
    kernel: int | None = option(None, "of the transposed convolution towards maps", low=1)
    pool: str = option("maxpool(4)", "how a residual connection makes maps smaller")
    act: str = option("prelu(per = element)", "the activation")
    norm: str = option("bn", "the normalisation, or none")
    end: str = option("none", "a normalisation behind what arrives at maps, or none")
    dropout: float = option(0.5, "rate of dropout; 0 is none", low=0, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_way = (self.source is not None, self.target is not None)
        if any(one_way) == bool(self.between) or (any(one_way) and not all(one_way)):
            raise fail(
                "bad-option", "`connect` takes `between`, or both `source` and `target`",
                origin="connect", help=f"for example `{self.example}`",
            )  # fmt: skip
        if self.between and (len(self.between) < 2 or len(set(self.between)) < len(self.between)):
            raise fail(
                "bad-option", "`between` needs two different places or more", origin="connect"
            )

    def apply(self, graph: Graph) -> Graph:
        ends = _Ends(graph)
        forms: list[str] = []
        lines = [self._line(ends, a, b, forms) for a, b in self._pairs()]
        self._check_used(forms)
        new = declarations("\n".join(lines) + "\n", self.name)
        return redeclared(graph, lambda d: with_declarations(d, new), self.name, ends.labels)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        if self.source is not None and self.target is not None:
            yield self.source, self.target
        for source in self.between:
            yield from ((source, target) for target in self.between if target != source)

    def _check_used(self, forms: Sequence[str]) -> None:
        """An option that plays no part in any of the connections would be a silent mistake."""
        used = {name for form in forms for name in _USED[form]}
        for known in options(type(self)):
            name = known.name
            if name in _OPTIONS - used and getattr(self, name) != known.default:
                told = f"`{name}` plays no part in a connection of {forms[0]}"
                listed = ", ".join(f"`{n}`" for n in sorted(used)) or "none of them"
                raise fail(
                    "bad-option", told, origin=f"connect{{{name}}}", help=f"it looks at {listed}"
                )

    def _line(self, ends: _Ends, source: str, target: str, forms: list[str]) -> str:
        read, merged = ends.address(source), ends.address(target)
        by = self.by or ("add" if self.residual else "concat")
        have, want = ends.seen(read, merged), ends.sizes(merged)
        forms.append("layers of your own" if self.via else self._kind(have, want))
        via = self.via or " -> ".join(self._form(have, want, by, (source, target)))
        how = f" by {by}" if by != "concat" else ""
        return f"connect {written(read)} -> {written(merged)}{how} via {via}"

    # ------------------------------------------------------------------------------- forms

    def _kind(self, have: Sequence[Dim], want: Sequence[Dim]) -> str:
        source, target = ("vector" if len(dims) == 1 else "maps" for dims in (have, want))
        residual = self.residual and (source, target) == ("maps", "vector")
        return f"{'residual ' if residual else ''}{source} to {target}"

    def _form(
        self, have: Sequence[Dim], want: Sequence[Dim], by: str, places: tuple[str, str]
    ) -> list[str]:
        source, target = ([int(d) for d in ds if not isinstance(d, Expr)] for ds in (have, want))
        if len(source) < len(have) or len(target) < len(want):
            raise fail(
                "open-size", f"`{places[0]}` or `{places[1]}` has a size that is not known",
                origin=self.name, help="write the layers yourself: `via=\"...\"`",
            )  # fmt: skip
        if not source or not target:
            raise fail(
                "unfit-network", "a place without an axis cannot be connected", origin=self.name
            )
        if len(target) == 1:
            units = self.units or (target[0] if by != "concat" else max(1, target[0] // 2))
            return self._to_vector(len(source), units)
        filters = self.filters or target[0]
        if len(source) == 1:
            return self._to_maps(filters, target[1:])
        return [*_resized(source[1:], target[1:], filters), f"conv({filters}, 1)", *self._act]

    def _to_vector(self, rank: int, units: int) -> list[str]:
        dense = [f"linear({units})", *self._act]
        if rank == 1:
            return dense
        if self.residual:
            return [*_given(self.pool), *self._drop, "flatten", *dense]
        return ["conv(same, 1)", *self._act, *_given(self.norm), "flatten", *dense]

    def _to_maps(self, filters: int, size: list[int]) -> list[str]:
        kernel = self.kernel or max(1, min(size) // 4)
        if kernel > min(size):
            raise fail(
                "bad-option", f"a kernel of {kernel} is larger than maps of {min(size)}",
                origin="connect{kernel}", help=f"at most {min(size)} here",
            )  # fmt: skip
        grid = [length - kernel + 1 for length in size]
        return [
            f"linear({prod(grid)})", *self._act, *_given(self.norm), *self._drop,
            f"reshape({', '.join(map(str, [1, *grid]))})",
            f"deconv({filters}, {kernel}, pad = valid)", *self._act, *_given(self.end),
        ]  # fmt: skip

    @property
    def _act(self) -> list[str]:
        return _given(self.act)

    @property
    def _drop(self) -> list[str]:
        return [f"dropout({self.dropout:g})"] if self.dropout else []


def _given(text: str) -> list[str]:
    return [] if text in _NONE else [text]


def _resized(have: list[int], want: list[int], filters: int) -> Iterator[str]:
    """Layers that bring maps of one size to another, exactly."""
    over = len(have) - len(want)
    if over > 0:
        yield f"reduce(mean, axis = [{', '.join(str(1 + i) for i in range(over))}])"
        have = have[over:]
    elif over < 0:
        have = [1] * -over + have
        yield f"reshape({', '.join(map(str, [-1, *have]))})"
    if all(h % w == 0 for h, w in zip(have, want, strict=True)):
        steps = [h // w for h, w in zip(have, want, strict=True)]
        if any(step > 1 for step in steps):
            yield f"maxpool([{', '.join(map(str, steps))}])"
        return
    smaller = [max(h - w, 0) + 1 for h, w in zip(have, want, strict=True)]
    larger = [max(w - h, 0) + 1 for h, w in zip(have, want, strict=True)]
    if any(k > 1 for k in smaller):
        yield f"conv({filters}, [{', '.join(map(str, smaller))}], pad = valid)"
    if any(k > 1 for k in larger):
        yield f"deconv({filters}, [{', '.join(map(str, larger))}], pad = valid)"


# ------------------------------------------------------------------------------------- places


@final
class _Ends:
    """What is to be known of the places that a graph's connections join."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made = {n.address: n.output for n in graph.nodes() if len(n.outputs) == 1}
        self._holders = {
            scope.address.partition(".")[0]: scope
            for scope in graph.scopes
            if isinstance(scope, (SuperLayer, Fusion))
        }
        self.labels: list[str] = []
        """Layers that were named and have no label of their own yet."""

    def address(self, place: str) -> str:
        """The address of a place that was named."""
        address = place.replace("[", ".").replace("]", "")
        if address not in self._graph.points:
            if address not in self._made:
                raise self._unknown(place)
            self.labels.append(address)
        return address

    def _unknown(self, place: str) -> DiagnosticError:
        known = [written(a) for a in self._graph.points if "[" not in a]
        listed = ", ".join(f"`{a}`" for a in known if "." not in a)
        return fail(
            "unknown-place", f"the network has no place `{place}`", origin="connect",
            help=did_you_mean(place, known) or f"it has {listed} and their labels",
        )  # fmt: skip

    def sizes(self, address: str) -> tuple[Dim, ...]:
        """The shape of a sample's value."""
        own = self._graph.points.get(address)
        value = self._graph.own(own) if own is not None else self._made[address]
        return tuple(value.type.features)

    def seen(self, source: str, target: str) -> tuple[Dim, ...]:
        """The shape of a value as the target sees it: within `each`, without that axis."""
        entered = self._axes(target) - self._axes(source)
        return tuple(d for d in self.sizes(source) if _name(d) not in entered)

    def _axes(self, address: str) -> set[str]:
        """The axes of `each` that a place stands within."""
        holder = self._holders.get(address.partition(".")[0])
        around = holder.chain() if holder else ()
        return {scope.axis for scope in around if isinstance(scope, Each)}


def _name(dim: Dim) -> str | None:
    return dim.name if isinstance(dim, Axis) else str(dim) if isinstance(dim, Expr) else None
