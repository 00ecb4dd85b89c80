"""Random networks as `.xg` texts: rank-correct, of every op and router, the same for one seed.

A network grows by a declaration at a time. The graph of what is written so far tells the types of
all values, so that the next fits: bodies are typed while they are drawn (`random_chains`), and a
connection or router that something further down cannot take is left out again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, final

from random_chains import (
    FLOW,
    NOTHING,
    Block,
    Branch,
    Chain,
    Line,
    Loop,
    Scene,
    Stage,
    Statement,
    Types,
    Var,
    braced,
    text,
)
from random_layers import Layers

from xgraph.build import build_source
from xgraph.diagnostics import Report
from xgraph.ir.attrs import Attrs
from xgraph.ir.graph import Graph
from xgraph.ir.infer import infer_types
from xgraph.ir.op import Args, Fault
from xgraph.ir.types import BATCH, Axis, Dim, DType, Expr, TensorType, symbol
from xgraph.ops import ENTER, LEAVE, OPS, ROUTERS
from xgraph.report import written
from xgraph.source import Source

N = symbol(BATCH)

_NAMES = ("image", "audio", "video", "motion", "depth", "touch")
_BLOCKS = ("unit", "cell", "pair")
_STREAMS = ("y", "u", "v", "w")


def random_network(seed: int) -> str:
    """A network as text; the same for the same seed."""
    for attempt in range(20):
        try:
            return _Author(Random(f"xgraph {seed} {attempt}")).write()
        except Fault:  # it came to where nothing fits
            continue
    raise AssertionError(f"no network for seed {seed}")


@final
class _Draft:
    """What is written so far, and its graph."""

    def __init__(self) -> None:
        self.lines = ["network random"]
        self.inside = False
        """Whether an `each` stands open."""
        self._graph: Graph | None = None

    def text(self) -> str:
        return "\n".join([*self.lines, *(["}"] if self.inside else [])]) + "\n"

    @property
    def graph(self) -> Graph:
        if self._graph is None:
            mistakes = self._build()
            assert not mistakes, f"{mistakes}\n\n{self.text()}"
        assert self._graph is not None
        return self._graph

    def write(self, declaration: str) -> None:
        """Add a declaration that is known to fit."""
        self.lines.append(declaration)
        self._graph = None

    def offer(self, declaration: str) -> bool:
        """Add a declaration if the builder takes it."""
        before = self.graph
        self.lines.append(declaration)
        if not self._build():
            return True
        self.lines.pop()
        self._graph = before
        return False

    def _build(self) -> str:
        """Make the graph; the mistakes, should there be any."""
        report = Report()
        self._graph = build_source(Source("random.xg", self.text()), report=report)
        return "\n".join(str(d) for d in report.errors if d.id != "no-output")

    def streams(self) -> dict[str, TensorType]:
        """What a reader of each point gets: its own value, or what was merged there."""
        found = {address: value.type for address, value in self.graph.points.items()}
        order = {scope: i for i, scope in enumerate(self.graph.scopes)}
        merges = [node for node in self.graph.nodes() if node.rebinds]
        for node in sorted(merges, key=lambda n: (order.get(n.scope, 0) if n.scope else 0, n.id)):
            found |= zip(node.rebinds, (v.type for v in node.outputs), strict=True)
        return found


@final
class _Author:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.layers = Layers(random)
        self.coin = self.layers.coin
        self.draft = _Draft()
        self.constants: dict[str, Any] = {}
        self.blocks: dict[str, Block] = {}
        self.steps: Dim | None = None
        """The axis `T`, if the network has one."""
        self.named: list[str] = []
        """Addresses of values that later declarations may read."""
        self.streams: list[str] = []
        """Addresses of super-layers that nothing reads yet."""
        self.labels = 0

    def write(self) -> str:
        self._constants()
        for name in _BLOCKS[: self.random.randint(0, 2)]:
            self._block(name)
        for name in self.random.sample(_NAMES, self.random.randint(1, 3)):
            self._modality(name)
        if self.coin(0.5):
            self._let("planes")
        for name in _STREAMS[: self.random.randint(1, 3)]:
            self._superlayer(name)
        if self.steps is not None and self.coin(0.8):
            self._each()
        self._hooks(self.random.randint(0, 4))
        self._fusion("head")
        self._hooks(self.random.randint(0, 1))
        self._outputs()
        assert self.draft.graph.outputs
        return self.draft.text()

    # ----------------------------------------------------------------------------- small things

    def _constants(self) -> None:
        if self.coin():
            self.constants["k"] = self.random.randint(1, 3)
            self.draft.write(f"param k = {self.constants['k']}")
        if self.coin(0.3):
            self.constants["wide"] = self.coin()
            self.draft.write(f"param wide = {text(self.constants['wide'])}")
        if self.coin(0.7):
            known = self.coin(0.4)
            self.steps = Axis("T", self.random.randint(2, 5)) if known else symbol("T")
            self.draft.write(f"dim T = {int(self.steps)}" if known else "dim T")

    def _sample(self) -> tuple[Dim, ...]:
        """The shape of one sample of a modality or block."""
        random = self.random
        rank = random.choice((1, 2, 2, 3, 3, 4))
        if rank == 1:
            return (random.randint(1, 6),)
        largest = (0, 0, 9, 7, 4)[rank]
        shape: list[Dim] = [random.randint(1, 4)]
        shape += [random.randint(2, largest) for _ in range(rank - 1)]
        if self.steps is not None and self.coin():
            shape[random.choice((0, -1))] = self.steps
        return tuple(shape)

    def _modality(self, name: str) -> None:
        shape = ", ".join(d.name if isinstance(d, Axis) else str(d) for d in self._sample())
        dtype = "i64 " if self.coin(0.2) else ""
        meta = f" with informativeness = {self.random.random():.2f}" if self.coin(0.2) else ""
        self.draft.write(f"modality {name}: {dtype}[{shape}]{meta}")
        self.named.append(name)
        if self.coin(0.3):
            self.draft.write(f"modality {name}_count: i64 []")
            self.named.append(f"{name}_count")

    def _block(self, name: str) -> None:
        """A block that fits values of some type, and perhaps of others."""
        flow = (TensorType((N, *self._sample())),)
        constants: list[tuple[str, int | None]] = [("f", None)] if self.coin(0.7) else []
        constants += [("g", self.random.randint(1, 3))] if self.coin(0.3) else []
        values = ("x",) if self.coin(0.2) else ()
        chosen = {key: value or 3 for key, value in constants}
        inside = {"in": flow[0], **dict.fromkeys(values, flow[0])}
        scene = Scene(inside, self.constants | chosen, dict(self.blocks))
        body, _ = self._body(scene, flow, self.random.randint(1, 3))
        block = Block(name, tuple(constants), values, tuple(body))
        self.draft.write(str(block))
        self.blocks[name] = block

    def _let(self, name: str) -> None:
        scene = self._scene()
        start = self._value(scene)
        flow = (scene.values[start],)
        stages, _ = self.layers.stages(scene, flow, self.random.randint(1, 2))
        self.draft.write(f"let {name} = {Chain(start, stages)}")
        self.named.append(name)

    # -------------------------------------------------------------------------- what is in sight

    def _scene(self) -> Scene:
        """Values as a body written now sees them."""
        streams = self.draft.streams()
        seen = {written(address): self._seen(streams[address]) for address in self.named}
        values = {name: t for name, t in seen.items() if t is not None}
        return Scene(values, dict(self.constants), dict(self.blocks))

    def _seen(self, t: TensorType) -> TensorType | None:
        """The type on this side of `each`; None if it cannot come here."""
        crossed = t.batch != N
        if crossed == self.draft.inside:
            return t
        op = LEAVE if crossed else ENTER
        attrs = Attrs(size=str(self.steps)) if crossed else Attrs(axis="T")
        try:
            return infer_types(op, Args((t,), ("x",)), attrs)[0]
        except Fault:
            return None

    def _value(self, scene: Scene) -> str:
        """Some value in sight, other than integers without axes."""
        names = [n for n, t in scene.values.items() if t.rank or t.dtype is DType.F32]
        if not names:
            raise Fault("there is no value")
        return self.random.choice(names)

    # ----------------------------------------------------------------------------------- bodies

    def _body(
        self, scene: Scene, flow: Types, count: int, first: Iterable[Statement] = ()
    ) -> tuple[list[Statement], Types]:
        """Statements that `flow` goes through, to one value; those of `first` stand above."""
        body = list(first)
        for number in range(count):
            last = number == count - 1
            statement, flow = self._statement(scene, flow, body, single=last)
            body.append(statement)
        if flow[0].dtype is DType.I64:
            embedding = Line(Chain(FLOW, (Stage("embedding", (("", 9), ("", 2))),)))
            body.append(embedding)
            flow = scene.statement(embedding, flow)
        return body, flow

    def _statement(
        self, scene: Scene, flow: Types, body: list[Statement], *, single: bool
    ) -> tuple[Statement, Types]:
        kinds: list[Callable[[Scene, Types, list[Statement]], Statement]] = [self._line]
        if len(flow) == 1:
            kinds = [self._line] * 7 + [self._loop, self._let_line, self._branch]
        for _ in range(30):
            kind = self._line if single else self.random.choice(kinds)
            try:
                statement = kind(scene, flow, body)
                found = scene.inner().statement(statement, flow)
            except Fault:
                continue
            if len(found) == 1 or not single:
                return statement, scene.statement(statement, flow)
        raise Fault("no statement fits")

    def _line(self, scene: Scene, flow: Types, body: list[Statement]) -> Statement:
        stages, _ = self.layers.stages(scene, flow, self.random.randint(1, 3))
        label = self._label() if self.coin() else ""
        if not stages[0].values:
            return Line(Chain(FLOW, stages), label)
        start = _flowing(body)
        return Line(Chain(start, stages), label if start != FLOW else "")

    def _label(self) -> str:
        self.labels += 1
        return f"p{self.labels}"

    def _let_line(self, scene: Scene, flow: Types, body: list[Statement]) -> Statement:
        start = self._value(scene)
        stages, found = self.layers.stages(scene, (scene.values[start],), 1)
        if len(found) != 1 or found[0].dtype is DType.I64:
            raise Fault("of no use")
        return Line(Chain(start, stages), self._label(), keyword=True)

    def _loop(self, scene: Scene, flow: Types, body: list[Statement]) -> Statement:
        """What keeps the type may be repeated; without a label nothing in it has one."""
        label = self._label() if self.coin() else ""
        inside = scene.inner(**{"in": flow[0]})
        if label:
            inner, _ = self._body(inside, flow, self.random.randint(1, 2))
        else:
            stages, _ = self.layers.stages(inside, flow, 1)
            inner = [Line(Chain("in" if stages[0].values else FLOW, stages))]
        if any(isinstance(statement, Branch) for statement in inner):
            raise Fault("kept simple")
        return Loop(self.random.randint(1, 3), tuple(inner), label)

    def _branch(self, scene: Scene, flow: Types, body: list[Statement]) -> Statement:
        if "wide" not in self.constants:
            raise Fault("there is nothing to choose by")
        stages, _ = self.layers.stages(scene, flow, 1)
        if stages[0].values:
            raise Fault("kept simple")
        taken, other = (Line(Chain(FLOW, stages)),), (Line(Chain(FLOW, (Stage("relu"),))),)
        yes, no = (taken, other) if self.constants["wide"] else (other, taken)
        return Branch("wide", yes, no)

    # ----------------------------------------------------------------------------- declarations

    def _superlayer(self, name: str) -> None:
        scene = self._scene()
        start = self._value(scene)
        count = self.random.choice((2, 3)) if self.coin(0.3) else None
        stages: tuple[Stage, ...] = ()
        flow: Types = (scene.values[start],)
        if self.coin(0.3):
            stages, flow = self.layers.stages(scene, flow, 1)
        inside = scene.inner(**{"in": flow[0]})
        first = []
        if count and self.coin(0.3) and flow[0].dtype is DType.F32:
            apart = Stage("scale", (("", Var("index", 1, 1)), ("", 0.5)))
            first = [Line(Chain("in", (apart, Stage("tanh"))))]
        body, _ = self._body(inside, flow, self.random.randint(1, 4), first)
        meta = f" with scale = {self.random.randint(1, 3)}" if self.coin(0.1) else ""
        head = f"{name}[{count}]" if count else name
        self.draft.write(f"superlayer {head}({Chain(start, stages)}){meta} {braced(body)}")
        self._declared([f"{name}.{i}" for i in range(count)] if count else [name], body)

    def _declared(self, addresses: Iterable[str], body: Iterable[Statement]) -> None:
        for address in addresses:
            self.streams.append(address)
            self.named.append(address)
            for statement in body:
                point = f"{address}.{getattr(statement, 'label', '')}"
                if point in self.draft.graph.points and not getattr(statement, "keyword", False):
                    self.named.append(point)

    def _each(self) -> None:
        """Super-layers that see one step of `T` at a time."""
        draft = self.draft
        draft.inside = True
        draft.lines.append("each T {")
        before = len(draft.lines)
        for name in ("s", "t")[: self.random.randint(1, 2)]:
            if any(t.rank or t.dtype is DType.F32 for t in self._scene().values.values()):
                self._superlayer(name)
        self._hooks(self.random.randint(0, 2))
        draft.inside = False
        if len(draft.lines) == before:
            draft.lines.pop()
        else:
            draft.lines.append("}")

    def _fusion(self, name: str) -> None:
        """Everything that nothing reads yet, brought together."""
        scene = self._scene()
        names = [written(address) for address in self.streams]
        inside = scene.inner()
        ends = ["in"] if len(names) == 1 else [f"in[{i}]" for i in range(len(names))]
        inside.values |= {end: scene.values[n] for end, n in zip(ends, names, strict=True)}
        parts = tuple(Chain(end, self.layers.to_vector(inside.values[end])) for end in ends)
        join = Stage(self.random.choice(("concat", "concat", "fuse", "wsum")), values=parts)
        if len(parts) > 1 and self.coin(0.2):
            units = (("units", self.random.randint(1, 4)),)
            join = Stage("gmu", units, parts)
        first = Line(Chain(NOTHING, (join,)), self._label() if self.coin() else "")
        if len(parts) == 1:
            first = Line(Chain("in", (*parts[0].stages, Stage("identity"))))
        flow = inside.statement(first, ())
        body, _ = self._body(inside, flow, self.random.randint(1, 3), [first])
        self.draft.write(f"fusion {name}({', '.join(names)}) {braced(body)}")
        self._declared([name], body)

    def _outputs(self) -> None:
        self.draft.write(self.random.choice(("output head", "output y = head")))
        if self.coin(0.4):
            scene = self._scene()
            start = self._value(scene)
            stages, found = self.layers.stages(scene, (scene.values[start],), 1)
            if found[0].dtype is DType.F32:
                self.draft.write(f"output side = {Chain(start, stages)}")
        if self.coin(0.3):
            self.draft.write(f"output raw = {self._value(self._scene())}")

    # ------------------------------------------------------------------- connections and routers

    def _hooks(self, count: int) -> None:
        for _ in range(count):
            draw = self._route if self.coin(0.4) else self._connect
            for _ in range(6):
                try:
                    if self.draft.offer(draw()):
                        break
                except Fault:
                    continue

    def _points(self) -> list[str]:
        """The points that can be named: no part of their address was made up."""
        made = re.compile(rf"({'|'.join(_BLOCKS)})\d+$")
        return [
            address
            for address, value in self.draft.graph.points.items()
            if "[" not in address
            and value.type.dtype is DType.F32
            and not any(made.match(part) for part in address.split("."))
        ]

    def _connect(self) -> str:
        points = self._points()
        if len(points) < 2:
            raise Fault("too few points")
        source, target = self.random.sample(points, 2)
        streams = self.draft.streams()
        stream = streams[target]
        have = self._across(self.draft.graph.points[source].type, stream)
        by = self.random.choice(("concat", "add", "mul", "max"))
        wanted = list(stream.features)
        if by == "concat" and wanted and not isinstance(wanted[0], Expr):
            wanted[0] = self.random.randint(1, 3)
        stages: tuple[Stage, ...] = ()
        scene = Scene({}, dict(self.constants), dict(self.blocks))
        if self.coin(0.3):
            stages, (have,) = self.layers.stages(scene, (have,), 1)
        more = self.layers.adapter(have, tuple(wanted))
        if more is None:
            raise Fault("no way from one to the other")
        stages += more
        if by == "mul":
            stages += (Stage("sigmoid"),)
        targets = self._alike(target, streams)
        text_ = f"connect {written(source)} -> {', '.join(map(written, targets))}"
        text_ += f" by {by}" if by != "concat" or self.coin(0.2) else ""
        text_ += f" with weight = {self.random.random():.3f}" if self.coin(0.2) else ""
        return f"{text_} via {_stages(stages)}" if stages else text_

    def _across(self, t: TensorType, target: TensorType) -> TensorType:
        """A source's type as it is seen where the target stands."""
        before = self.draft.inside
        self.draft.inside = target.batch != N
        found = self._seen(t)
        self.draft.inside = before
        if found is None:
            raise Fault("it cannot come here")
        return found

    def _alike(self, target: str, streams: dict[str, TensorType]) -> list[str]:
        """The target, and perhaps others of its type."""
        others = [p for p in self._points() if p != target and streams[p] == streams[target]]
        return [
            target,
            *self.random.sample(others, min(len(others), self.random.choice((0, 0, 1)))),
        ]

    def _route(self) -> str:
        router = self.random.choice(ROUTERS)
        streams = self.draft.streams()
        groups: dict[TensorType, list[str]] = {}
        for point in self._points():
            if streams[point].rank and not isinstance(streams[point].channels, Expr):
                groups.setdefault(streams[point], []).append(point)
        if not groups:
            raise Fault("there are no streams")
        several = [group for group in groups.values() if len(group) > 1]
        group = self.random.choice(several or list(groups.values()))
        sources = self.random.sample(group, self.random.randint(1, min(3, len(group))))
        targets = list(sources)
        if router != "sluice" and self.coin(0.4):
            targets = self.random.sample(group, self.random.randint(1, min(3, len(group))))
        if router == "cp":
            targets = self._alike(self.random.choice(self._points()), streams)
        text_ = f"route {router} {', '.join(map(written, sources))}"
        if targets != sources:
            text_ += f" -> {', '.join(map(written, targets))}"
        text_ += self._options(router, streams[sources[0]])
        return text_ + (self._via(streams, sources[0], targets[0]) if router == "cp" else "")

    def _options(self, router: str, t: TensorType) -> str:
        known = [a for a in OPS[router].attrs if a.name not in ("outputs", "layers")]
        chosen = [a for a in known if self.coin(0.4)]
        if not chosen:
            return ""
        values = [f"{a.name} = {text(self.layers.value(OPS[router], a, t))}" for a in chosen]
        return f" with {', '.join(values)}"

    def _via(self, streams: dict[str, TensorType], source: str, target: str) -> str:
        """The layers of a cross-prediction that takes the place of `target`."""
        have = self._across(streams[source], streams[target])
        stages = self.layers.adapter(have, tuple(self.draft.graph.points[target].type.features))
        if stages is None:
            raise Fault("no way from one to the other")
        return f" via {_stages(stages or (Stage('tanh'),))}"


def _stages(stages: Iterable[Stage]) -> str:
    return " -> ".join(map(str, stages))


def _flowing(body: list[Statement]) -> str:
    """How a statement goes on from `body` with a layer that takes further values.

    A line that begins with `->` belongs to the one above it, and to that one's label.
    """
    if not body:
        return "in"
    last = body[-1]
    if isinstance(last, Branch) or getattr(last, "keyword", False):
        raise Fault("a chain cannot go on from here")
    if not last.label:
        return FLOW
    return last.label if isinstance(last, Line) else f"{last.label}[{last.count - 1}]"
