"""The verifier: silent on sound graphs, and one plain sentence for each way to be unsound."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import pytest
from hypothesis import given
from ir_support import add, graphs, image, tower, two_paths

from xgraph.diagnostics import InternalError
from xgraph.ir.attrs import Attrs
from xgraph.ir.graph import Graph, Value
from xgraph.ir.scope import Label
from xgraph.ir.types import TensorType
from xgraph.ir.verify import Problem, verify, verify_or_raise
from xgraph.ops import OPS
from xgraph.passes import lower


def told(graph: Graph) -> list[str]:
    return [str(problem) for problem in verify(graph)]


@given(graphs())
def test_sound_graphs_are_sound_on_both_levels(graph: Graph) -> None:
    assert verify(graph) == []
    low = lower(graph)
    assert verify(low) == verify(low, "tensor") == []


def test_every_kind_of_scope_is_sound() -> None:
    graph = two_paths()
    assert verify(graph) == []
    assert verify(lower(graph)) == []


def test_a_graph_is_of_one_level() -> None:
    assert told(Graph()) == []
    assert [str(p) for p in verify(Graph(), "tensor")] == [
        "this is a graph of the architecture level, not of the tensor level"
    ]


# What spoils a tower, and what is said of it.
SPOILT: list[tuple[Callable[[Graph], object], str]] = []


def spoils(message: str) -> Callable[[Callable[[Graph], object]], None]:
    return lambda spoil: SPOILT.append((spoil, message))


@spoils("nodes read each other in a circle: y.bn -> relu_3")
def _(graph: Graph) -> None:
    bn, relu = graph.nodes()[2:4]
    graph.replace_input(bn, 0, relu.output)


@spoils(
    "add_4: it reads <value input#0.0: f32[N, 3, 8, 8]>, which is not in the graph",
)
def _(graph: Graph) -> None:
    stranger = Graph()
    value = stranger.add(OPS["input"], attrs={"shape": (3, 3, 8, 8)}).output
    value.type = graph.inputs["image"].type
    total = graph.nodes()[-1]
    total._inputs = (value, total.inputs[1])


@spoils("add_4: its edges [(3, 0), (3, 1)] do not follow its inputs")
def _(graph: Graph) -> None:
    total = graph.nodes()[-1]
    total._inputs = (total.inputs[0],)


@spoils("relu_3: its type is said to be f32[N, 5], and is f32[N, 4, 8, 8]")
def _(graph: Graph) -> None:
    value = graph.nodes()[3].output
    value.type = value.type.with_features(5)


@spoils("y.bn: `bn` has no axis 7 to work on")
def _(graph: Graph) -> None:
    graph.set_attrs(graph.nodes()[2], axis=7)


@spoils("y.conv: its rule fails, AttributeError: kernel")
def _(graph: Graph) -> None:
    graph.nodes()[1]._attrs = Attrs(filters=3)


@spoils("add_4: its ports ('x', 'x') are not those of `add`")
def _(graph: Graph) -> None:
    graph.nodes()[-1].ports = ("x", "x")


@spoils("y.bn: `bn` takes 1 value, not 2")
def _(graph: Graph) -> None:
    graph.replace_input(graph.nodes()[-1], 1, graph.inputs["image"])
    node = graph.nodes()[2]
    node._inputs = (*node._inputs, *node._inputs)


@spoils("conv#1: it owns parameters and has no address")
def _(graph: Graph) -> None:
    graph.nodes()[1].address = ""


@spoils("cc#5: it is a composite and has no address for its parts")
def _(graph: Graph) -> None:
    graph.add(OPS["cc"], [graph.inputs["image"]], {"outputs": 1})


@spoils("y.conv: another node has the same address")
def _(graph: Graph) -> None:
    graph.nodes()[2].address = "y.conv"


@spoils("y..conv: its address is not made of names with dots between")
def _(graph: Graph) -> None:
    graph.nodes()[1].address = "y..conv"


@spoils("path[0].c: its address is not made of names with dots between")
def _(graph: Graph) -> None:
    graph.nodes()[1].address = "path[0].c"


@spoils("output `y` is <value other.0: f32[N, 3, 8, 8]>, which is not in the graph")
def _(graph: Graph) -> None:
    graph.outputs["y"] = image(Graph(), "other")


@spoils("point `p` is <value relu_3.0: f32[N, 4, 8, 8]>, which is not in the graph")
def _(graph: Graph) -> None:
    node = graph.nodes()[3]
    graph.points["p"] = Value(node, 0, node.output.type)


@spoils("inputs are listed as image, x, and are image")
def _(graph: Graph) -> None:
    graph.inputs["x"] = graph.nodes()[1].output


@spoils("inputs are listed as , and are image")
def _(graph: Graph) -> None:
    graph.inputs.clear()


@spoils("add_4: it replaces the stream of `nowhere`, which is no point")
def _(graph: Graph) -> None:
    graph.nodes()[-1].rebinds = ("nowhere",)


@spoils("add_4: it replaces 2 streams with 1")
def _(graph: Graph) -> None:
    graph.points = {"a": graph.inputs["image"], "b": graph.inputs["image"]}
    graph.nodes()[-1].rebinds = ("a", "b")


@spoils("label `b` is listed before its parent")
def _(graph: Graph) -> None:
    outer = Label(address="a")
    graph.scopes = [Label(address="b", parent=outer), outer]


@spoils("label `a` is listed twice")
def _(graph: Graph) -> None:
    graph.scopes = [Label(address="a")] * 2


@spoils("y.conv: its scope is not one of the graph's")
def _(graph: Graph) -> None:
    graph.scopes = [Label(address="a")]


@pytest.mark.parametrize(("spoil", "message"), SPOILT)
def test_what_is_unsound_is_told(spoil: Callable[[Graph], object], message: str) -> None:
    graph = tower()
    spoil(graph)
    assert any(message in text for text in told(graph)), told(graph)
    with pytest.raises(InternalError) as caught:
        verify_or_raise(graph, "a test")
    assert message in str(caught.value)
    assert caught.value.graph_text.startswith("graph tower architecture {")


def test_the_tensor_level_has_primitives_only() -> None:
    graph = Graph("t", "tensor")
    x = image(graph)
    graph.points["p"] = x
    graph.add(OPS["cc"], [x], {"outputs": 1}, address="cc", rebinds=("p",))
    assert told(graph) == [
        "cc: `cc` is a composite, which this level has not",
        "cc: it replaces the streams of points, which this level has not",
    ]


def test_every_problem_is_told_with_its_node() -> None:
    graph = tower()
    conv, bn = graph.nodes()[1:3]
    conv.address = bn.address = "a b"
    assert verify(graph) == [
        Problem(conv, "its address is not made of names with dots between"),
        Problem(bn, "its address is not made of names with dots between"),
        Problem(bn, "another node has the same address"),
    ]


def test_the_error_names_the_stage_and_holds_the_graph() -> None:
    graph = tower()
    verify_or_raise(graph, "fold")
    graph.outputs["y"].type = TensorType((1, 2))
    with pytest.raises(InternalError) as caught:
        verify_or_raise(graph, "fold", "architecture")
    assert str(caught.value) == (
        "internal error in fold: the graph is not sound:\n"
        "  add_4: its type is said to be f32[1, 2], and is f32[N, 4, 8, 8]"
    )
    assert "%4 = add(%3, %3) : f32[1, 2] @add_4" in caught.value.graph_text


def test_a_graph_that_cannot_be_printed_is_still_told_of() -> None:
    graph = tower()
    graph.digests = {"a": object()}  # type: ignore[dict-item]
    graph.outputs.clear()
    graph.inputs.clear()
    with pytest.raises(InternalError) as caught:
        verify_or_raise(graph, "fold")
    assert "cannot be printed: TypeError" in caught.value.graph_text


def test_the_cost_is_linear() -> None:
    def chain(nodes: int) -> Graph:
        graph = Graph()
        value = image(graph)
        for _ in range(nodes):
            value = add(graph, "relu", value).output
        return graph

    def seconds(graph: Graph) -> float:
        start = perf_counter()
        assert verify(graph) == []
        return perf_counter() - start

    short, long = chain(300), chain(3000)
    assert min(seconds(long) for _ in range(3)) < 40 * min(seconds(short) for _ in range(3))
