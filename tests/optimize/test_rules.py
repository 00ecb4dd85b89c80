"""What each rule makes of a small network, which computes the same."""

from __future__ import annotations

import numpy as np
import pytest
from test_equal import EXAMPLES, check
from test_passes import counted

from xgraph import lower, parse
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.ir.types import BATCH, evaluate
from xgraph.optimize.costs import Costs
from xgraph.optimize.levels import LEVELS, optimize
from xgraph.weights import initialise

HEAD = "network n\nmodality x: [4, 6, 6]\nmodality v: [6]\nmodality m: [3, 6]\n"


def made(text: str, told: str) -> tuple[Graph, Graph]:
    """A network before and after a pass."""
    low = lower(parse(HEAD + text + "\n"))
    return low, check(low, told, 3).graph


def left(text: str, told: str) -> dict[str, int]:
    """How many nodes of each op are left of a chain, inputs not counted."""
    found = counted(made(text, told)[1])
    return {name: count for name, count in found.items() if name != "input"}


def chain(source: str, body: str) -> str:
    return f"superlayer a({source}) {{ {body} }}\noutput y = a"


@pytest.mark.parametrize(
    "widths", [["conv(2, 3, groups = 2)", "conv(4, 3, groups = 2)", "conv(6, 3, groups = 2)"],
               ["depthwise(3)", "depthwise(3, multiplier = 2)", "depthwise(3, multiplier = 3)"]],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(4))
def test_groups_of_several_widths_stay_apart(widths: list[str], seed: int) -> None:
    """In a wider layer, groups would read channels of others."""
    parts = ", ".join(f"in -> {each}" for each in widths)
    low = lower(parse(HEAD + chain("x", f"concat({parts})") + "\n"))
    assert counted(check(low, "2", seed).graph)["conv"] == 3


STREAMS = "let a = in -> relu\nlet b = in -> tanh\n"
MIXES = {
    "gates of what a mix gave": STREAMS + """
        let g = concat(a, b) -> linear(2) -> softmax
        let f = add(mul(a, g -> slice(0, 1)), mul(b, g -> slice(1, 2)))
        let h = f -> linear(2) -> softmax
        add(mul(a, h -> slice(0, 1)), mul(b, h -> slice(1, 2)))""",
    "a gate of data beside a parameter": STREAMS + """
        add(mul(a, a -> linear(1) -> sigmoid), mul(b, parameter([1])))""",
    "gates of two shapes": STREAMS + """
        let m = in -> reshape(6, 1, 1)
        let c = m -> relu
        let d = m -> tanh
        let g = in -> linear(1) -> sigmoid -> reshape(1, 1, 1)
        add(mul(c, g), mul(d, m -> conv(1, 1) -> sigmoid))""",
    "parameters of two shapes": STREAMS + """
        let m = in -> reshape(6, 1, 1)
        add(mul(m -> relu, parameter([1]) -> reshape(1, 1, 1)),
            mul(m -> tanh, parameter([1, 1, 1])))""",
    "gates of data, and parameters": STREAMS + """
        let p = parameter([1])
        let f = add(mul(a, a -> linear(1) -> sigmoid), mul(b, b -> linear(1) -> sigmoid))
        add(f, add(mul(a, p), mul(b, p)))""",
}  # fmt: skip


@pytest.mark.parametrize("body", MIXES.values(), ids=MIXES)
@pytest.mark.parametrize("seed", range(4))
def test_mixes_of_the_same_streams(body: str, seed: int) -> None:
    check(lower(parse(HEAD + chain("v", body) + "\n")), "2", seed)


def test_slices_of_many_nested_concats() -> None:
    """More than Python calls within each other: one rule after the other, not one in the other."""
    deep = 600
    lines = ["let c0 = in"]
    for i in range(deep):
        lines.append(f"let c{i + 1} = concat(c{i}, in)")
        lines.append(f"let r{i + 1} = c{i + 1} -> reduce(sum, axis = 0, keep = true)")
    every = ", ".join(f"r{i + 1}" for i in range(deep))
    body = "\n".join([*lines, f"concat(c{deep} -> slice(0, 3), {every})"])
    low = lower(parse(f"network n\nmodality v: [6]\nsuperlayer a(v) {{ {body} }}\noutput y = a"))
    slices = [n for n in optimize(low, "simplify").graph.nodes() if n.op.name == "slice"]
    assert [node.inputs[0].node.op.name for node in slices] == ["input"]


SIMPLIFY = [
    ("v", "identity -> dropout(0.5) -> scale(1)", {}),
    ("v", "scale(2, offset = 1) -> scale(-3)", {"scale": 1}),
    ("v", "relu -> relu", {"relu": 1}),
    ("v", "sigmoid -> relu", {"sigmoid": 1}),
    ("v", "relu -> leakyrelu(0.1) -> elu -> prelu", {"relu": 1}),
    ("v", "leakyrelu(0.1) -> leakyrelu(0.1)", {"leakyrelu": 2}),
    ("v", "reshape(2, 3) -> reshape(3, 2) -> reshape(6, 1)", {"reshape": 1}),
    ("v", "reshape(2, 3) -> reshape(6)", {}),
    ("x", "transpose([1, 2, 0]) -> transpose([2, 0, 1])", {}),
    ("x", "transpose([1, 2, 0]) -> transpose([1, 2, 0])", {"transpose": 1}),
    ("x", "pad(0) -> upsample(1) -> maxpool(1) -> avgpool(1)", {}),
    ("x", "pad(1) -> pad([[0, 1], [2, 0]])", {"pad": 1}),
    ("x", "pad(1, value = 1) -> pad(1)", {"pad": 2}),
    ("x", "maxpool(1, stride = 2)", {"maxpool": 1}),
    ("v", "slice(0, 6) -> slice(0)", {}),
    ("v", "slice(1, 6) -> slice(-3, -1)", {"slice": 1}),
    ("x", "slice(1, 3) -> slice(1, 3, axis = 1)", {"slice": 2}),
    ("m", "slice(0, 1) -> reduce(mean, axis = 0)", {"slice": 1, "reshape": 1}),
    ("m", "slice(0, 1) -> reduce(max, axis = 0, keep = true)", {"slice": 1}),
    ("m", "reduce(mean, axis = 0)", {"reduce": 1}),
    ("v", "add(in -> tanh, add(in -> relu, in))", {"tanh": 1, "relu": 1, "add": 1}),
    ("v", "concat(in -> tanh, concat(in -> relu, in))", {"tanh": 1, "relu": 1, "concat": 1}),
    ("v", "mul(in, mul(in, in))", {"mul": 1}),
    ("v", "max(in, max(in, in))", {}),
    ("v", "add -> mul -> max -> concat", {}),
    ("v", "concat(in -> slice(0, 2), in -> slice(2, 4), in -> slice(4, 6))", {}),
    ("v", "concat(in -> slice(0, 2), in -> slice(2, 4), in -> tanh)",
     {"slice": 1, "tanh": 1, "concat": 1}),
    ("v", "concat(in -> slice(2, 4), in -> slice(0, 2))", {"slice": 2, "concat": 1}),
    ("v", "concat(in -> relu, in -> tanh) -> slice(6, 12)", {"tanh": 1}),
    ("v", "concat(in -> relu, in -> tanh) -> slice(7, 9)", {"tanh": 1, "slice": 1}),
    ("v", "concat(in, in -> relu, in -> tanh) -> slice(6)", {"relu": 1, "tanh": 1, "concat": 1}),
    ("v", "concat(in -> relu, in -> tanh) -> slice(5, 9)",
     {"relu": 1, "tanh": 1, "concat": 1, "slice": 1}),
    ("v", "mul(in, in -> linear(1) -> softmax)", {}),
    ("v", "add(in, in -> linear(1) -> logsoftmax)", {}),
    ("v", "mul(in, in -> linear(1) -> softmax -> scale(2) -> slice(0, 1))", {"scale": 1}),
    ("v", "linear(3) -> scale(2, offset = 1)", {"linear": 1}),
    ("v", "linear(3, bias = false) -> scale(2, offset = 1) -> scale(0.5)", {"linear": 1}),
    ("v", "linear(3) -> scale(0)", {"linear": 1, "scale": 1}),
    ("v", "linear(3) -> scale(0.00000000000001)", {"linear": 1, "scale": 1}),
    ("v", "scale(0.5) -> linear(3)", {"linear": 1}),
    ("v", "scale(0.5, offset = 1) -> linear(3)", {"scale": 1, "linear": 1}),
    ("x", "scale(0.5) -> conv(3, 3)", {"conv": 1}),
    ("x", "conv(6, 3, groups = 2) -> scale(0.5, offset = 1)", {"conv": 1}),
    ("x", "deconv(6, 2, groups = 2, bias = false) -> scale(0.5, offset = 1)", {"deconv": 1}),
    ("x", "bn -> scale(0.5, offset = 1)", {"bn": 1}),
    ("x", "pad([[1, 0], [0, 2]]) -> conv(3, 3)", {"conv": 1}),
    ("x", "pad(1, value = 1) -> conv(3, 3)", {"pad": 1, "conv": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "body", "after"), SIMPLIFY)
def test_simplify(source: str, body: str, after: dict[str, int]) -> None:
    assert left(chain(source, body), "simplify") == after


def test_what_another_reads_stays() -> None:
    text = "superlayer a(v) { l: linear(3)\n scale(2) }\noutput y = a\noutput z = a.l"
    assert left(text, "simplify") == {"linear": 1, "scale": 1}
    text = "superlayer a(v) { s: add(in, in -> relu)\n add(s, in) }\noutput y = a\noutput z = a.s"
    assert left(text, "simplify") == {"relu": 1, "add": 2}


def test_readers_are_counted_as_they_go() -> None:
    """Two scales behind a layer, one of which no output needs in the end."""
    body = "l: linear(3) -> scale(2)\n concat(l, in) -> slice(0, 3) -> scale(3)"
    assert left(chain("v", body), "simplify") == {"linear": 1}


def test_an_axis_keeps_its_name() -> None:
    text = (
        "dim T = 3\nsuperlayer p(m) { reshape(9, 2) -> reshape(T, 6) }\n"
        "each T { superlayer e(p) { relu } }\noutput y = e"
    )
    assert left(text, "simplify") == {"reshape": 1, "each_in": 1, "relu": 1, "each_out": 1}


def test_steps_in_a_row() -> None:
    text = (
        "dim T\nmodality s: [T, 6]\neach T { superlayer e(s) { linear(2) } }\n"
        "each T { superlayer f(e) { relu } }\noutput y = f"
    )
    assert left(text, "simplify") == {"each_in": 1, "linear": 1, "relu": 1, "each_out": 1}


CONSTANTS = [
    ("mul(in, parameter([2, 6]) -> slice(1, 2) -> reshape(6))", {"parameter": 1, "mul": 1}),
    ("mul(in, parameter([6], init = normal(1)) -> sigmoid -> scale(2))",
     {"parameter": 1, "mul": 1}),
    ("mul(in, parameter([6], init = normal(1)) -> tanh)", {"parameter": 1, "mul": 1}),
    ("mul(in, parameter([6]) -> softmax)", {"parameter": 1, "mul": 1}),
    ("mul(in, concat(parameter([2]), parameter([4])))", {"parameter": 1, "mul": 1}),
    ("mul(in, add(parameter([6], init = normal(1)), parameter([6])))", {"parameter": 1, "mul": 1}),
    ("mul(in, parameter([6]) -> relu)", {"parameter": 1, "relu": 1, "mul": 1}),
    ("mul(in, parameter([6, 1]) -> transpose([1, 0]) -> reshape(6))", {"parameter": 1, "mul": 1}),
    ("mul(in, parameter([6]) -> scale(0))", {"parameter": 1, "scale": 1, "mul": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "after"), CONSTANTS)
def test_constants(body: str, after: dict[str, int]) -> None:
    assert left(chain("v", body), "fold-constants") == after


def test_what_is_lost_is_not_lost_to_others() -> None:
    """Of shares alone the parameter, which is read by itself too, cannot be told."""
    body = "let p = parameter([6], init = normal(1))\n add(mul(in, p -> softmax), mul(in, p))"
    assert left(chain("v", body), "fold-constants")["softmax"] == 1
    body = "let p = parameter([6], init = normal(1))\n add(mul(in, p -> sigmoid), mul(in, p))"
    assert left(chain("v", body), "fold-constants,fold-constants")["sigmoid"] == 1
    body = "let p = parameter([6], init = normal(1))\n mul(in, p -> reshape(6) -> sigmoid)"
    assert "sigmoid" not in left(chain("v", body), "fold-constants,fold-constants")


NORMS = [
    ("x", "deconv(3, 2) -> bn", {"deconv": 1}),
    ("x", "deconv(4, 2, groups = 2) -> bn", {"deconv": 1, "bn": 1}),
    ("x", "bn -> bn", {"bn": 1}),
    ("x", "bn(affine = false) -> bn", {"bn": 2}),
    ("x", "conv(3, 3) -> bn(affine = false) -> bn", {"conv": 1}),
    ("x", "bn -> conv(3, 1)", {"conv": 1}),
    ("x", "bn(affine = false) -> conv(4, 3, groups = 2, pad = valid)", {"conv": 1}),
    ("x", "bn -> conv(3, 3)", {"bn": 1, "conv": 1}),
    ("x", "bn -> conv(3, 1, bias = false)", {"bn": 1, "conv": 1}),
    ("v", "bn -> linear(3)", {"linear": 1}),
    ("m", "bn -> linear(3)", {"bn": 1, "linear": 1}),
    ("m", "bn(axis = 1) -> linear(3)", {"linear": 1}),
    ("x", "bn -> flatten -> linear(3)", {"reshape": 1, "linear": 1}),
    ("x", "bn(axis = 1) -> flatten -> linear(3)", {"bn": 1, "reshape": 1, "linear": 1}),
    ("x", "concat(in -> conv(3, 3), in -> conv(2, 1, bias = false)) -> bn",
     {"conv": 2, "concat": 1}),
    ("x", "concat(in -> conv(3, 3), in -> relu) -> bn",
     {"conv": 1, "relu": 1, "concat": 1, "bn": 1}),
    ("x", "concat(in -> conv(4, 3), in -> conv(4, 1), axis = 1) -> bn",
     {"conv": 2, "concat": 1, "bn": 1}),
    ("x", "add(in -> conv(3, 3), in -> conv(3, 1, bias = false), in -> conv(3, 1)) -> bn",
     {"conv": 3, "add": 1}),
    ("x", "add(in -> conv(3, 3), in -> globalavgpool -> linear(3) -> reshape(3, 1, 1)) -> bn",
     {"conv": 1, "reduce": 1, "linear": 1, "reshape": 1, "add": 1}),
    ("x", "add(in -> globalavgpool -> linear(3) -> reshape(3, 1, 1), in -> conv(3, 3)) -> bn",
     {"conv": 1, "reduce": 1, "linear": 1, "reshape": 1, "add": 1}),
    ("x", "add(in -> conv(3, 3), in -> conv(1, 1)) -> bn", {"conv": 2, "add": 1, "bn": 1}),
    ("x", "conv(3, 3) -> globalavgpool -> bn", {"conv": 1, "reduce": 1}),
    ("x", "conv(3, 3) -> globalmaxpool -> bn", {"conv": 1, "reduce": 1, "bn": 1}),
    ("x", "conv(3, 3) -> avgpool(2, stride = 1, pad = same) -> upsample(2, mode = linear) -> bn",
     {"conv": 1, "avgpool": 1, "upsample": 1}),
    ("x", "conv(3, 3) -> slice(1, 3, axis = 1) -> transpose([1, 0, 2]) -> bn(axis = 1)",
     {"conv": 1, "slice": 1, "transpose": 1}),
    ("x", "conv(3, 6, pad = valid) -> flatten -> bn", {"conv": 1, "reshape": 1}),
    ("x", "conv(3, 3) -> flatten -> bn", {"conv": 1, "reshape": 1, "bn": 1}),
    ("x", "conv(3, 3) -> maxpool(2) -> bn", {"conv": 1, "maxpool": 1, "bn": 1}),
    ("x", "relu -> bn", {"relu": 1, "bn": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "body", "after"), NORMS)
def test_norms(source: str, body: str, after: dict[str, int]) -> None:
    assert left(chain(source, body), "fold-norms") == after


def test_norms_in_layers_of_several_paths() -> None:
    text = "superlayer p[2](v) { linear(4) -> relu -> linear(5) -> bn }\noutput y = concat(p[*])"
    assert "bn" not in left(text, "join-paths,fold-norms")


CONCATS = [
    ("v", "linear(3) -> linear(9) -> linear(2)", {"linear": 1}),
    ("v", "linear(2) -> linear(6)", {"linear": 2}),
    ("v", "linear(9, bias = false) -> linear(2, bias = false)", {"linear": 1}),
    ("v", "linear(9) -> linear(2, bias = false)", {"linear": 2}),
    ("v", "linear(9) -> relu -> linear(2)", {"linear": 2, "relu": 1}),
    ("m", "linear(9) -> linear(2)", {"linear": 1}),
    ("x", "conv(8, 3) -> conv(2, 1)", {"conv": 1}),
    ("x", "conv(8, 3, stride = 2) -> conv(2, 1, stride = 2)", {"conv": 1}),
    ("x", "conv(8, 1, bias = false) -> conv(8, 3)", {"conv": 1}),
    ("x", "conv(8, 1) -> conv(8, 3)", {"conv": 2}),
    ("x", "conv(8, 1) -> conv(8, 3, pad = valid)", {"conv": 1}),
    ("x", "conv(8, 1, stride = 2, bias = false) -> conv(8, 3)", {"conv": 2}),
    ("x", "conv(8, 3) -> conv(8, 3)", {"conv": 2}),
    ("x", "conv(8, 1, groups = 2) -> conv(2, 1)", {"conv": 2}),
    ("v", "concat(in -> linear(9), in -> relu) -> linear(2)",
     {"relu": 1, "concat": 1, "linear": 1}),
    ("v", "concat(in -> linear(2), in -> linear(8, bias = false)) -> linear(2)", {"linear": 1}),
    ("v", "concat(in -> linear(9), in -> relu, in -> linear(9)) -> linear(2)",
     {"relu": 1, "concat": 1, "linear": 1}),
    ("v", "concat(in -> linear(1), in -> relu) -> linear(9)",
     {"relu": 1, "concat": 1, "linear": 2}),
    ("v", "concat(in -> relu, in, in -> relu) -> linear(2)",
     {"relu": 2, "concat": 1, "linear": 1}),
    ("v", "concat(in, in, in) -> linear(2)", {"linear": 1}),
    ("m", "concat(in -> linear(9), in -> relu, axis = 1) -> linear(2)",
     {"relu": 1, "concat": 1, "linear": 1}),
    ("m", "concat(in -> linear(9), in -> linear(9)) -> linear(2)", {"concat": 1, "linear": 3}),
    ("x", "concat(in -> conv(9, 1, bias = false), in -> relu) -> conv(2, 3)",
     {"relu": 1, "concat": 1, "conv": 1}),
    ("x", "concat(in, in) -> conv(4, 3, groups = 2)", {"concat": 1, "conv": 1}),
    ("v", "linear(9) -> slice(2, 5)", {"linear": 1}),
    ("x", "conv(9, 3) -> slice(-3)", {"conv": 1}),
    ("x", "conv(9, 3) -> slice(0, 2, axis = 1)", {"conv": 1, "slice": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "body", "after"), CONCATS)
def test_concats(source: str, body: str, after: dict[str, int]) -> None:
    before, found = made(chain(source, body), "fold-concats")
    told = {name: n for name, n in counted(found).items() if name != "input"}
    assert told == after
    assert work(found) <= work(before)


def work(graph: Graph) -> int:
    """Multiply-accumulates for one sample."""
    return sum(
        evaluate(
            node.op.macs(node.input_types, tuple(v.type for v in node.outputs), node.resolved),
            {BATCH: 1},
        )
        for node in graph.live()
    )


@pytest.mark.parametrize("layer", ["scale(0.5, offset = 1)", "bn", "linear(6)", "add(in)", "relu"])
def test_long_chains(layer: str) -> None:
    """What parameters are made of does not nest without end, and can be told back."""
    body = f"linear(6) -> {' -> '.join([layer] * 300)}"
    low = lower(parse(HEAD + chain("v", body)))
    found = optimize(low, ",".join(LEVELS["1"] * 2))
    weights = initialise(low, 0)
    back = found.undone(found.weights(weights))
    assert back.keys() == weights.keys()
    assert all(np.isfinite(value).all() for value in back.values())


@pytest.mark.parametrize(
    "body",
    ["let p = parameter([6], init = constant(20)); add(mul(in, p -> tanh), mul(in, p))",
     "let p = parameter([6], init = constant(0.5))\n"
     "add(mul(in, p -> scale(1, offset = 100000000)), mul(in, p))"],
)  # fmt: skip
def test_what_others_read_is_told_back(body: str) -> None:
    low = lower(parse(HEAD + chain("v", body) + "\n"))
    weights = initialise(low, 0)
    found = optimize(low, "2")
    back = found.undone(found.weights(weights))
    assert all(np.array_equal(back[name], value) for name, value in weights.items())


def test_a_large_eps_stays() -> None:
    assert left(chain("x", "conv(4, 3) -> bn(eps = 100000000)"), "fold-norms")["bn"] == 1


def test_strides_whose_product_is_too_large() -> None:
    text = "network n\nmodality x: [4, 64, 64]\nsuperlayer a(x) { conv(8, 1, stride = 65536)"
    low = lower(parse(f"{text} -> conv(2, 1, stride = 65536) }}\noutput y = a\n"))
    assert counted(optimize(low, "2").graph)["conv"] == 2


class TestWeights:
    def test_missing_ones(self) -> None:
        low = lower(parse(EXAMPLES / "basecnn_cc.xg", {"paths": 2}))
        found, weights = optimize(low, "2"), initialise(low, 0)
        with pytest.raises(DiagnosticError, match="there is no `path"):
            found.undone(weights)
        with pytest.raises(DiagnosticError, match="there is no `"):
            found.weights({})

    def test_what_was_trained_between_paths(self) -> None:
        low = lower(parse(EXAMPLES / "basecnn_cc.xg", {"paths": 2}))
        found = optimize(low, "2", costs=Costs("torch", joins="always"))
        own = found.weights(initialise(low, 0))
        found.undone(own)
        name = next(n for n, a in own.items() if a.ndim == 2 and n.startswith("cc_path_d1"))
        own[name] = own[name] + np.float32(0.1)
        with pytest.raises(DiagnosticError, match="holds what the network as it was written"):
            found.undone(own)
