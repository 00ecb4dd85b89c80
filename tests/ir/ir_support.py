"""Graphs that several tests of the IR use."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from xgraph.ir.attrs import Attrs, Init, Layer, Word
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.scope import (
    Argument,
    Call,
    Connect,
    Each,
    Fusion,
    Label,
    Let,
    Modality,
    Output,
    Route,
    SuperLayer,
)
from xgraph.ir.types import Axis, symbol
from xgraph.ops import OPS

N = symbol("N")


def add(graph: Graph, op: str, *inputs: Value, address: str = "", **attrs: Any) -> Node:
    """Apply an op by name, at an address made up unless given."""
    return graph.add(OPS[op], inputs, attrs, address=address or f"{op}_{len(graph)}")


def image(graph: Graph, name: str = "image", *shape: Any) -> Value:
    return add(graph, "input", address=name, shape=(N, *(shape or (3, 8, 8)))).output


def tower() -> Graph:
    """conv, bn, relu, then `add(r, r)`."""
    graph = Graph("tower")
    conv = add(graph, "conv", image(graph), address="y.conv", filters=4, kernel=3).output
    relu = add(graph, "relu", add(graph, "bn", conv, address="y.bn").output).output
    graph.outputs["y"] = add(graph, "add", relu, relu).output
    return graph


def two_paths() -> Graph:
    """Every kind of scope, a router, a merge, optional inputs, richer attributes."""
    graph = Graph("two paths")
    modality = Modality(address="image", meta={"informativeness": 0.785, "dim": True})
    counts = Modality(address="n")
    let = Let(address="planes")
    stream = SuperLayer(address="y", index=1, meta={"weight": 1})
    args = [Argument(address="y", index=i, parent=stream) for i in (0, 1)]
    label = Label(address="y.b1", parent=stream)
    call = Call(
        address="y.b1.unit1", parent=label, block="unit",
        args={
            "filters": 8, "how": Word("same"), "init": Init("constant", (0.1,)),
            "size": symbol("T") * 2, "part": (Layer("conv", Attrs(filters=3, kernel=(3, 3))),),
        },
    )  # fmt: skip
    route = Route(address="cp", sources=("y.b1",), targets=("y.b1", "a b"))
    connect = Connect(address="conn", source="y.b1", targets=("y.b1",), by="add")
    each = Each(address="y", parent=stream, axis="T")
    fusion, output = Fusion(address="head"), Output(address="logits")
    graph.scopes = [
        modality, counts, let, stream, *args, label, call, route, connect, each, fusion, output,
    ]  # fmt: skip

    def put(op: str, *inputs: Value, **more: Any) -> Node:
        return graph.add(OPS[op], inputs, more.pop("attrs", {}), **more)

    shape = (N, 3, Axis("T", 8), symbol("W"))
    x = put("input", attrs={"shape": shape}, address="image", scope=modality).output
    attrs: dict[str, Any] = {"shape": (N,), "dtype": "i64"}
    lengths = put("input", attrs=attrs, address="n", scope=counts).output
    attrs = {"filters": 4, "kernel": 3, "stride": [1, 2], "init": Init("uniform", (-1.0, 0.5))}
    conv = put("conv", x, attrs=attrs, address="y.b1.unit1.conv1", scope=call).output
    chain = (Layer("conv", Attrs(filters=5, kernel=1)), Layer("relu", Attrs()))
    attrs = {"outputs": 2, "layers": chain}
    streams = put(
        "cp", conv, attrs=attrs, address="cp", scope=route, rebinds=("y.b1", "a b")
    ).outputs
    merged = put("add", *streams, address="conn.add1", scope=connect, rebinds=("y.b1",)).output
    steps = put(
        "reduce", merged, attrs={"how": "mean", "axis": [2]}, address="y.r", scope=args[0]
    ).output
    steps = put("transpose", steps, attrs={"order": [1, 0]}, address="y.t", scope=each).output
    lstm = graph.add(
        OPS["lstm"], [steps, lengths], {"units": 6, "last": True},
        ports=("x", "lengths"), address="head.lstm1", scope=fusion,
    )  # fmt: skip
    graph.points = {"y.b1": conv, "a b": conv}
    graph.outputs = {"logits": lstm.output}
    graph.prelude = ("dim T = 8", "block unit(filters) {\n  conv(filters, 3)\n}")
    graph.digests = {"y.b1.unit1": "ab12"}
    return graph


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Small sound graphs, shared values and dead nodes among them."""
    graph = Graph(draw(st.sampled_from(["net", "a b", ""])))
    values = [image(graph), image(graph, "other"), image(graph, "0")]
    for _ in range(draw(st.integers(0, 12))):
        a, b = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        op = draw(st.sampled_from(["relu", "conv", "add", "cc", "dropout", "bn"]))
        match op:
            case "conv":
                kernel = draw(st.sampled_from([1, 3, (1, 3)]))
                values.append(add(graph, op, a, filters=3, kernel=kernel).output)
            case "add":
                values.append(add(graph, op, a, b).output)
            case "cc":
                values += add(graph, op, a, b, outputs=2, hidden=4).outputs
            case "dropout":
                values.append(add(graph, op, a, rate=draw(st.floats(0, 0.9))).output)
            case _:
                values.append(add(graph, op, a).output)
    names = draw(st.lists(st.text(max_size=5), min_size=1, max_size=3, unique=True))
    graph.outputs = {name: draw(st.sampled_from(values)) for name in names}
    graph.points = {name: draw(st.sampled_from(values)) for name in names}
    return graph
