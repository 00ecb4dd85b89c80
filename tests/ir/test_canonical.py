"""The canonical digest: the same for one network however it is written, different otherwise."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_support import N, add, graphs, image, tower, two_paths

from xgraph.ir.attrs import Attrs, Init, Layer
from xgraph.ir.canonical import canonical
from xgraph.ir.graph import Graph, Value
from xgraph.ir.text import dump, read
from xgraph.ir.types import Axis
from xgraph.ops import OPS
from xgraph.passes import lower


def shuffled(graph: Graph, seed: int) -> Graph:
    """The same network added in another order, under other names, with dead nodes."""
    rng = random.Random(seed)
    new = Graph("other")
    values: dict[Value, Value] = {}
    left = graph.nodes()
    while left:
        ready = [node for node in left if all(v in values for v in node.inputs)]
        node = rng.choice(ready)
        left.remove(node)
        address = node.address if node.op.name == "input" else f"x{len(new)}"
        inputs = [values[v] for v in node.inputs]
        twin = new.add(node.op, inputs, node.attrs, ports=node.ports, address=address)
        values.update(zip(node.outputs, twin.outputs, strict=True))
        add(new, "relu", rng.choice(list(values.values())))
    new.outputs = {name: values[v] for name, v in reversed(graph.outputs.items())}
    return new


@given(graphs(), st.integers())
def test_order_and_names_do_not_count(graph: Graph, seed: int) -> None:
    assert canonical(shuffled(graph, seed)) == canonical(graph)
    low = lower(graph)
    assert canonical(shuffled(low, seed)) == canonical(low)


@given(graphs())
def test_printing_and_copying_keep_it(graph: Graph) -> None:
    assert canonical(read(dump(graph), OPS)) == canonical(graph.copy()) == canonical(graph)


def test_scopes_points_and_rebinds_do_not_count() -> None:
    graph = two_paths()
    before = canonical(graph)
    graph.scopes, graph.points, graph.prelude = [], {}, ()
    for node in graph.nodes():
        node.scope, node.rebinds = None, ()
    assert canonical(graph) == before


def net(build: Callable[[Graph, Value], Value]) -> str:
    graph = Graph()
    graph.outputs["y"] = build(graph, image(graph))
    low = canonical(lower(graph))
    return f"{canonical(graph)} {low}"


def conv(graph: Graph, x: Value, **attrs: Any) -> Value:
    return add(graph, "conv", x, **({"filters": 3, "kernel": 3} | attrs)).output


def relu(graph: Graph, x: Value) -> Value:
    return add(graph, "relu", x).output


class TestSharing:
    def test_shared_weights_are_not_two_sets(self) -> None:
        def shared(g: Graph, x: Value) -> Value:
            y = conv(g, x)
            return add(g, "add", y, y).output

        def separate(g: Graph, x: Value) -> Value:
            return add(g, "add", conv(g, x), conv(g, x)).output

        assert net(shared) != net(separate)

    def test_who_reads_which_of_two_twins_counts(self) -> None:
        def straight(g: Graph, x: Value) -> Value:
            a, b = conv(g, x), conv(g, x)
            return add(g, "sub", add(g, "mul", a, a).output, add(g, "mul", b, b).output).output

        def crossed(g: Graph, x: Value) -> Value:
            a, b = conv(g, x), conv(g, x)
            return add(g, "sub", add(g, "mul", a, b).output, add(g, "mul", a, b).output).output

        assert net(straight) != net(crossed)

    def test_what_owns_nothing_may_be_written_twice(self) -> None:
        def shared(g: Graph, x: Value) -> Value:
            y = relu(g, x)
            return add(g, "add", y, y).output

        def twice(g: Graph, x: Value) -> Value:
            return add(g, "add", relu(g, x), relu(g, x)).output

        assert net(shared) == net(twice)

    def test_composites_own_what_their_parts_own(self) -> None:
        def made(op: str, twice: bool) -> str:
            def build(g: Graph, x: Value) -> Value:
                first = add(g, op, x).output
                return add(g, "add", first, add(g, op, x).output if twice else first).output

            return net(build)

        assert made("flatten", True) == made("flatten", False)
        assert made("se", True) != made("se", False)

    def test_two_dropouts_draw_twice(self) -> None:
        def shared(g: Graph, x: Value) -> Value:
            y = add(g, "dropout", x, rate=0.5).output
            return add(g, "add", y, y).output

        def twice(g: Graph, x: Value) -> Value:
            a, b = (add(g, "dropout", x, rate=0.5).output for _ in range(2))
            return add(g, "add", a, b).output

        assert net(shared) != net(twice)


SAME: list[tuple[Callable[[Graph, Value], Value], Callable[[Graph, Value], Value]]] = [
    (lambda g, x: conv(g, x), lambda g, x: conv(g, x, kernel=[3, 3], pad=1)),
    (
        lambda g, x: conv(g, x, init=Init("constant", (1,))),
        lambda g, x: conv(g, x, init=Init("constant", (1.0,))),
    ),
    (
        lambda g, x: add(g, "concat", x, x, axis=-1).output,
        lambda g, x: add(g, "concat", x, x, axis=2).output,
    ),
    (
        lambda g, x: add(g, "reshape", x, shape=[Axis("T", 3), 64]).output,
        lambda g, x: add(g, "reshape", x, shape=[3, 64]).output,
    ),
    (
        lambda g, x: add(g, "cp", x, outputs=1, layers=(Layer("softmax", Attrs()),)).output,
        lambda g, x: add(g, "cp", x, outputs=1, layers=(Layer("softmax", Attrs(axis=-1)),)).output,
    ),
]

DIFFERENT: list[tuple[Callable[[Graph, Value], Value], Callable[[Graph, Value], Value]]] = [
    (lambda g, x: relu(g, x), lambda g, x: add(g, "tanh", x).output),
    (lambda g, x: relu(g, x), lambda g, x: relu(g, relu(g, x))),
    (lambda g, x: conv(g, x), lambda g, x: conv(g, x, filters=4)),
    (lambda g, x: conv(g, x), lambda g, x: conv(g, x, init="he_normal")),
    (
        lambda g, x: add(g, "sub", relu(g, x), x).output,
        lambda g, x: add(g, "sub", x, relu(g, x)).output,
    ),
    (
        lambda g, x: add(g, "cc", relu(g, x), x, outputs=2).outputs[0],
        lambda g, x: add(g, "cc", relu(g, x), x, outputs=2).outputs[1],
    ),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_ways_of_writing_do_not_count(
    a: Callable[[Graph, Value], Value], b: Callable[[Graph, Value], Value]
) -> None:
    assert net(a) == net(b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_what_is_computed_counts(
    a: Callable[[Graph, Value], Value], b: Callable[[Graph, Value], Value]
) -> None:
    assert net(a).split()[0] != net(b).split()[0]
    assert net(a).split()[1] != net(b).split()[1]


def test_the_interface_counts() -> None:
    def made(name: str, output: str, *shape: int) -> str:
        graph = Graph()
        graph.outputs[output] = relu(graph, image(graph, name, *shape))
        return canonical(graph)

    one = made("image", "y", 3, 8, 8)
    assert one == made("image", "y")
    assert len({one, made("sound", "y"), made("image", "z"), made("image", "y", 3, 8, 9)}) == 4


def test_an_unused_input_is_part_of_the_interface() -> None:
    graph = tower()
    before = canonical(graph)
    image(graph, "more")
    assert canonical(graph) != before


def test_an_optional_input_is_not_a_further_one() -> None:
    def made(port: str) -> str:
        graph = Graph()
        x = image(graph, "x", 5, 4)
        n = image(graph, "m", 5, 4)
        if port == "lengths":
            n = graph.add(OPS["input"], attrs={"shape": (N,), "dtype": "i64"}, address="n").output
        node = graph.add(OPS["attention"], [x, n], {"heads": 2}, ports=("x", port), address="a")
        graph.outputs["y"] = node.output
        return canonical(graph)

    assert made("memory") != made("lengths")


def test_deep_graphs_need_no_deep_stack() -> None:
    graph = Graph()
    x = image(graph)
    for _ in range(5000):
        x = relu(graph, x)
    graph.outputs["y"] = x
    assert len(canonical(graph)) == 64
