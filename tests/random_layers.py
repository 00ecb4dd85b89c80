"""Random layers, drawn from the op table.

A stage is drawn blindly, attributes by their kind, and kept if the op takes it; so a new op is
drawn like all others. Only what hardly ever fits by chance is drawn with an eye on the shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from random import Random
from typing import Any, final

from random_chains import NOTHING, Block, Chain, Scene, Stage, Types, Var

from xgraph.ir import attrs as kinds
from xgraph.ir.op import REQUIRED, Attr, Fault, OpSpec
from xgraph.ir.types import Dim, DType, Expr, TensorType, axis_name
from xgraph.ops import OPS, layer_names

RISKY = frozenset(
    ["mul", "matmul", "einsum", "div", "bilinear", "lowrank_bilinear", "reduce", "logsoftmax"]
)
"""What may give large numbers; bounded right after, so that errors of rounding stay small."""

BOUNDED = ("tanh", "sigmoid")

_NEAR_EQUAL = ("layernorm", "groupnorm")
_EPS = (0.001, 0.01, 0.1)
"""What is added to a variance; not less, as that of near-equal numbers is all rounding."""

_INITS = (
    *map(kinds.Init, ("zeros", "ones", "glorot_uniform", "glorot_normal", "he_uniform")),
    *map(kinds.Init, ("he_normal", "lecun_uniform", "lecun_normal")),
    kinds.Init("constant", (0.1,)),
    kinds.Init("uniform", (-0.3, 0.3)),
    kinds.Init("normal", (0.2,)),
)
_MATRIX_INITS = (*_INITS, kinds.Init("orthogonal"), kinds.Init("diagonal", (0.9, 0.1)))
_NO_MATRIX = ("prelu", "parameter", "wsum")

_PAIRS = ("sub", "div", "matmul", "bilinear", "lowrank_bilinear")
_STRETCHING = ("add", "mul", "max", "sub", "div")
"""What takes sizes of 1 for any other."""

_VECTORS = ("bilinear", "lowrank_bilinear", "gmu")


def is_open(t: TensorType) -> bool:
    """Whether a size of its samples is known only when the network runs."""
    return any(isinstance(dim, Expr) for dim in t.features)


@final
class Layers:
    """Draws stages. Everything it draws fits what it is drawn for."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.names = layer_names()

    def coin(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def stages(self, scene: Scene, flow: Types, count: int) -> tuple[tuple[Stage, ...], Types]:
        """Some stages that `flow` goes through, and what comes out: one value."""
        found: list[Stage] = []
        for _ in range(count):
            stage, flow = self.stage(scene, flow)
            found.append(stage)
            if stage.name in RISKY:
                found.append(Stage(self.random.choice(BOUNDED)))
        if len(flow) > 1:
            stage, flow = self.stage(scene, flow, several=False)
            found.append(stage)
        return tuple(found), flow

    def stage(self, scene: Scene, flow: Types, *, several: bool = True) -> tuple[Stage, Types]:
        """A stage for `flow`, and what comes out."""
        for _ in range(200):
            name = self.random.choice([*self.names, *scene.blocks, *scene.blocks, *scene.blocks])
            try:
                stage = self._drawn(name, scene, flow)
                out = scene.stage(stage, flow)
            except Fault:
                continue
            if len(out) == 1 or several:
                return stage, out
        raise Fault("nothing fits")

    def _drawn(self, name: str, scene: Scene, flow: Types) -> Stage:
        if name in scene.blocks:
            return self._called(scene.blocks[name], scene, flow)
        op = OPS[name]
        values = self._others(op, scene, flow)
        attrs = self.attributes(op, flow, scene)
        if name == "einsum":
            types = [*flow, *(scene.chain(chain)[0] for chain in values)]
            attrs = (("equation", self._equation(types)),)
        named = self._optional(op, scene, flow)
        return Stage(name, attrs, values, named)

    def _called(self, block: Block, scene: Scene, flow: Types) -> Stage:
        if len(flow) != 1:
            raise Fault("blocks take one value")
        values = tuple(self.brought(scene, flow[0].features, flow[0].batch) for _ in block.values)
        attrs: list[tuple[str, Any]] = []
        by_name = False
        for name, default in block.constants:
            if default is not None and self.coin():
                by_name = True
                continue
            attrs.append((name if by_name else "", self.random.randint(1, 5)))
        return Stage(block.name, tuple(attrs), values)

    # -------------------------------------------------------------------------- further inputs

    def _others(self, op: OpSpec, scene: Scene, flow: Types) -> tuple[Chain, ...]:
        """The inputs of an op besides those that flow into it."""
        required = op.required_ports
        if not required:
            raise Fault("it begins a chain")
        if op.variadic:
            count = self.random.choice((0, 1, 1, 2)) if len(flow) > 1 else self.random.randint(1, 2)
            count = self.random.randint(0, 2) if op.name == "einsum" else count
        else:
            count = len(required) - len(flow)
        if op.name == "mask":
            return (self._lengths(scene, flow[0]),)
        return tuple(self._other(op, scene, flow[0]) for _ in range(count))

    def _other(self, op: OpSpec, scene: Scene, t: TensorType) -> Chain:
        features: list[Dim] = list(t.features)
        if op.name in _VECTORS:
            features = [self.random.randint(1, 6)]
        elif op.name == "matmul" and t.rank > 1:
            features[-2:] = [t.shape[-1], self.random.randint(1, 4)]
        elif op.name == "concat" and features:
            features[0] = self.random.randint(1, 4)
        elif op.name in ("einsum", "fuse"):
            return Chain(self._any(scene, t.batch))
        elif op.name in _STRETCHING and self.coin(0.3):
            features = [1 if self.coin() else dim for dim in features]
        if op.name in _STRETCHING and self.coin(0.2) and not is_open(t) and t.rank:
            chain = Chain(NOTHING, (self._parameter(tuple(map(int, features))),))
        else:
            chain = self.brought(scene, tuple(features), t.batch)
        if op.name == "div":
            away = Stage("scale", (("", 0.5), ("", 0.75)))
            return replace(chain, stages=(*chain.stages, Stage("sigmoid"), away))
        return chain

    def _parameter(self, shape: tuple[int, ...]) -> Stage:
        return Stage("parameter", (("", shape), ("init", self.random.choice(_INITS))))

    def _any(self, scene: Scene, batch: Dim) -> str:
        names = [k for k, t in scene.values.items() if t.batch == batch and t.dtype is DType.F32]
        if not names:
            raise Fault("there is nothing else")
        return self.random.choice(names)

    def brought(self, scene: Scene, features: tuple[Dim, ...], batch: Dim) -> Chain:
        """Some value in sight, brought to the shape wanted."""
        for _ in range(4):
            name = self._any(scene, batch)
            stages = self.adapter(scene.values[name], features)
            if stages is not None:
                return Chain(name, stages)
        raise Fault("nothing can be brought to this shape")

    def adapter(self, t: TensorType, wanted: tuple[Dim, ...]) -> tuple[Stage, ...] | None:
        """Stages from a value of type `t` to a sample of shape `wanted`, None if there are none."""
        have = tuple(t.features)
        if have == wanted:
            return ()
        if len(have) == len(wanted) and len(have) > 1 and have[1:] == wanted[1:]:
            return (Stage("conv", (("", wanted[0]), ("", 1))),)
        if len(have) == len(wanted) and have[:-1] == wanted[:-1]:
            return None if isinstance(wanted[-1], Expr) else (Stage("linear", (("", wanted[-1]),)),)
        if not wanted or any(isinstance(dim, Expr) for dim in wanted):
            return None
        return (*self.to_vector(t), *_from_vector(wanted))

    def to_vector(self, t: TensorType) -> tuple[Stage, ...]:
        """Stages that make a vector of known size of any value."""
        if t.rank == 0:
            return (Stage("reshape", (("", 1),)),)
        if isinstance(t.features[0], Expr) and t.rank == 2 and self.coin():
            return (Stage("lstm", (("", 3), ("last", True))),)
        if is_open(t):
            axes = tuple(i for i, dim in enumerate(t.features) if isinstance(dim, Expr))
            rest = t.with_features(*(d for d in t.features if not isinstance(d, Expr)))
            mean = Stage("reduce", (("", kinds.Word("mean")), ("axis", axes)))
            return (mean, *self.to_vector(rest))
        if 2 <= t.rank <= 4 and self.coin(0.3):
            return (Stage(self.random.choice(("globalavgpool", "globalmaxpool"))),)
        return () if t.rank == 1 else (Stage("flatten"),)

    def _lengths(self, scene: Scene, t: TensorType) -> Chain:
        found = [
            name
            for name, other in scene.values.items()
            if other.rank == 0 and other.dtype is DType.I64 and other.batch == t.batch
        ]
        if not found:
            raise Fault("there are no lengths")
        return Chain(self.random.choice(found))

    def _optional(self, op: OpSpec, scene: Scene, flow: Types) -> tuple[tuple[str, Chain], ...]:
        found = []
        for port in op.optional_ports:
            if self.coin(0.4):
                continue
            try:
                chain = (
                    self._lengths(scene, flow[0])
                    if port.name == "lengths"
                    else self._memory(scene, flow[0].batch)
                )
            except Fault:
                continue
            found.append((port.name, chain))
        return tuple(found)

    def _memory(self, scene: Scene, batch: Dim) -> Chain:
        for _ in range(4):
            name = self._any(scene, batch)
            if scene.values[name].rank == 2:
                return Chain(name)
        return self.brought(scene, (self.random.randint(1, 4), 3), batch)

    # ------------------------------------------------------------------------------ attributes

    def attributes(self, op: OpSpec, flow: Types, scene: Scene) -> tuple[tuple[str, Any], ...]:
        """Attributes as they are written: those needed, and some of the others."""
        t = flow[0]
        found: list[tuple[str, Any]] = []
        positional = True
        for attr in op.attrs:
            if attr.default is not REQUIRED and op.name not in _NEAR_EQUAL and self.coin(0.6):
                positional = False
                continue
            value = self.value(op, attr, t)
            if attr.rest:
                return tuple(("", part) for part in value)
            positional = positional and (attr.default is REQUIRED or self.coin(0.3))
            found.append(("" if positional else attr.name, self._spelled(value, scene)))
        return tuple(found)

    def _spelled(self, value: Any, scene: Scene) -> Any:
        """The value, or an expression in some constant that comes to it."""
        if type(value) is not int or value < 1 or not scene.constants or self.coin(0.7):
            return value
        name = self.random.choice(sorted(scene.constants))
        size = scene.constants[name]
        if type(size) is not int or not 0 < size <= value:
            return value
        return Var(name, value // size, value % size)

    def value(self, op: OpSpec, attr: Attr, t: TensorType) -> Any:
        kind, random = attr.kind, self.random
        special = self._special(op, attr.name, t)
        if special is not None:
            return special
        match kind:
            case kinds.Integer(words=words) if words and self.coin(0.2):
                return kinds.Word(random.choice(words))
            case kinds.Integer(low=low, high=high):
                return random.randint(max(low, -6), min(high, 6))
            case kinds.Sizes():
                return self._sizes(kind, attr.name, t.rank - 1)
            case kinds.Real(low=low, high=high):
                lowest = -1.5 if low is None else low
                return round(random.uniform(lowest, 1.5 if high is None else high - 0.1), 2)
            case kinds.Boolean():
                return self.coin()
            case kinds.Choice(words=words):
                return kinds.Word(random.choice(words))
            case kinds.Axes() if self.coin():
                return tuple(self._axis(t) for _ in range(random.randint(1, max(1, t.rank))))
            case kinds.Axes() | kinds.AxisRef():
                return self._axis(t)
            case kinds.Initialiser():
                plain = attr.name == "bias_init" or op.name in _NO_MATRIX
                return random.choice(_INITS if plain else _MATRIX_INITS)
        raise AssertionError(f"nothing is known of `{attr.name}` of `{op.name}`, a {kind}")

    def _special(self, op: OpSpec, name: str, t: TensorType) -> Any:
        """What hardly ever fits by chance."""
        random = self.random
        match op.name, name:
            case _, "eps":
                return random.choice(_EPS)
            case _, "groups":
                return self._divisor(t.shape[1] if t.rank else 1)
            case "attention", "heads":
                return self._divisor(t.shape[-1])
            case "embedding", "count":
                return random.randint(3, 9)
            case "split", "parts":
                return self._parts(t)
            case "transpose", "order":
                return tuple(random.sample(range(t.rank), t.rank))
            case "reshape", "shape":
                return self._shape(t)
            case "einsum", "equation":
                return ""
            case "parameter", "shape":
                return tuple(random.randint(1, 4) for _ in range(t.rank))
        return None

    def _divisor(self, size: Dim) -> int:
        divisors = [n for n in range(1, 7) if isinstance(size, int) and not size % n]
        return self.random.choice(divisors or [1])

    def _axis(self, t: TensorType) -> int | kinds.Word:
        if not t.rank:
            raise Fault("there is no axis")
        axis = self.random.randrange(-t.rank, t.rank)
        name = axis_name(t.features[axis])
        return kinds.Word(name) if name and self.coin() else axis

    def _sizes(self, kind: kinds.Sizes, name: str, axes: int) -> Any:
        """One number for all axes, one for each, or one before and one after each."""
        random = self.random
        low, high = kind.low, 3
        if name in ("stride", "dilation", "pad", "amount", "factor"):
            high = 2
        elif name == "output_pad":
            high = 1
        if kind.words and self.coin(0.4):
            return kinds.Word(random.choice(kind.words))
        if self.coin() or axes < 1:
            return random.randint(low, high)
        if name in ("pad", "amount") and self.coin():
            return tuple((random.randint(0, 2), random.randint(0, 2)) for _ in range(axes))
        return tuple(random.randint(low, high) for _ in range(axes))

    def _parts(self, t: TensorType) -> Any:
        size = t.shape[1] if t.rank else 1
        if not isinstance(size, int) or size < 2:
            raise Fault("nothing to part")
        if self.coin():
            return self.random.choice([n for n in range(2, size + 1) if not size % n])
        first = self.random.randint(1, size - 1)
        return (first, size - first)

    def _shape(self, t: TensorType) -> tuple[Any, ...]:
        """The same numbers in other axes; what is open stays an axis, as -1 or by name."""
        known = prod(int(dim) for dim in t.features if not isinstance(dim, Expr))
        opened = [dim for dim in t.features if isinstance(dim, Expr)]
        if len(opened) > 1:
            raise Fault("two open axes")
        sizes: list[Any] = list(self._factors(known, self.random.randint(1, 3)))
        if opened:
            name = axis_name(opened[0])
            rest: Any = opened[0] if name and self.coin() else -1
            sizes.insert(self.random.randint(0, len(sizes)), rest)
        elif self.coin(0.3):
            sizes[self.random.randrange(len(sizes))] = -1
        return tuple(sizes)

    def _factors(self, size: int, count: int) -> Iterator[int]:
        for _ in range(count - 1):
            factor = self.random.choice([n for n in range(1, size + 1) if not size % n])
            yield factor
            size //= factor
        yield size

    def _equation(self, types: Sequence[TensorType]) -> str:
        """A sum of products: axes of one size may have one letter."""
        letters: dict[str, Dim] = {}
        inputs = []
        for t in types:
            word = ""
            for dim in t.features:
                same = [a for a, size in letters.items() if size == dim and a not in word]
                word += self.random.choice(same) if same and self.coin(0.7) else _fresh(letters)
                letters[word[-1]] = dim
            inputs.append(word)
        if not all(inputs):
            raise Fault("an input needs a letter")
        kept = self.random.sample(sorted(letters), self.random.randint(0, min(3, len(letters))))
        return f"{','.join(inputs)}->{''.join(kept)}"


def _fresh(letters: Mapping[str, Dim]) -> str:
    return next(a for a in "ijklmnopqrstuvw" if a not in letters)


def _from_vector(wanted: Sequence[Dim]) -> tuple[Stage, ...]:
    dense = Stage("linear", (("", prod(map(int, wanted))),))
    if len(wanted) == 1:
        return (dense,)
    return (dense, Stage("reshape", tuple(("", int(dim)) for dim in wanted)))
