"""What the language means: which value a reader gets, what labels name, what is shared.

Each case is small enough to be worked out by hand; networks without parameters are run on numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xgraph import apply, lower, parse, run, unbuild
from xgraph.build.writer import Writer
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.ir.verify import verify_or_raise

HEAD = "network t\nmodality x: [2]\nmodality z: [2]\n"


def names(text: str, **settings: object) -> list[str]:
    """The parameters of a network."""
    return [name for name, _ in lower(parse(text, settings)).params()]


def outputs(text: str, **arrays: Any) -> dict[str, list[Any]]:
    """The outputs on one sample, as lists."""
    given = {k: np.array([v], np.float32) for k, v in arrays.items()}
    found = run(parse(text), given)
    return {k: v[0].tolist() for k, v in found.items()}


# ------------------------------------------------------------------------- points and merges


def test_a_connection_reads_the_own_value_and_a_reader_the_stream() -> None:
    text = HEAD + (
        "superlayer a(x) { p: scale(10); scale(1) }\n"
        "superlayer b(z) { q: scale(1); scale(1) }\n"
        "connect b.q -> a.p by add\n"
        "connect a.p -> b.q by add\n"  # a.p before anything was merged there
        "output at = a.p\noutput a_end = a\noutput bt = b.q\n"
    )
    found = outputs(text, x=[1, 2], z=[100, 200])
    assert found["at"] == found["a_end"] == [110, 220]
    assert found["bt"] == [110, 220]


def test_merges_apply_in_the_order_of_the_text() -> None:
    merges = ["connect b -> a.p by add\n", "connect c -> a.p by mul\n"]
    text = HEAD + (
        "superlayer a(x) { p: scale(1) }\nsuperlayer b(z) { scale(1) }\n"
        "superlayer c(z) { scale(2) }\n{merges}output y = a\n"
    ).replace("{merges}", "{}")
    assert outputs(text.replace("{}", "".join(merges)), x=[1, 1], z=[3, 5])["y"] == [24, 60]
    assert outputs(text.replace("{}", "".join(merges[::-1])), x=[1, 1], z=[3, 5])["y"] == [9, 15]


def test_what_is_there_comes_first_in_a_concat() -> None:
    text = HEAD + "superlayer a(x) { p: scale(1) }\nconnect z -> a.p via scale(2)\noutput y = a\n"
    assert outputs(text, x=[1, 2], z=[3, 4])["y"] == [1, 2, 6, 8]


def test_several_targets_share_one_transformation() -> None:
    text = HEAD + (
        "superlayer a(x) { p: relu }\nsuperlayer b(x) { p: relu }\n"
        "connect z -> a.p, b.p via linear(3)\noutput y = concat(a, b)\n"
    )
    assert names(text) == ["z_to_a_p_b_p.linear1.weight", "z_to_a_p_b_p.linear1.bias"]


def test_merging_where_a_super_layer_begins_changes_what_its_layers_read() -> None:
    text = HEAD + "superlayer a(x) { p: scale(2) }\nconnect z -> a.in by add\noutput y = a\n"
    assert outputs(text, x=[1, 2], z=[10, 20])["y"] == [22, 44]


def test_a_router_replaces_streams_and_leaves_own_values() -> None:
    text = HEAD + (
        "superlayer p[2](x) { a: scale(1); scale(1) }\n"
        "superlayer q(z) { b: scale(1) }\n"
        "route stitch p[*].a with init = constant(1)\n"  # each stream becomes the sum of both
        "connect p[0].a -> q.b by add\n"
        "output y = p[1]\noutput w = q\n"
    )
    found = outputs(text, x=[1, 2], z=[0, 0])
    assert found["y"] == [2, 4]
    assert found["w"] == [1, 2]


def test_a_cross_prediction_stands_in_for_a_layer() -> None:
    text = HEAD + (
        "superlayer p[2](x) { a: linear(3); b: linear(4); relu }\n"
        "route cp p[*].a -> p[*].b via linear(4) with hidden = 5\noutput y = mean(p[*])\n"
    )
    found = names(text)
    assert "p.0.a.weight" in found
    assert not [name for name in found if name.startswith("p.0.b")]
    assert "cp_p_a_to_p_b.layer.0.1.weight" in found
    assert "b: linear(4)" in unbuild(parse(text))


# ------------------------------------------------------------------------------ chains, names


def test_a_statement_goes_on_unless_it_begins_with_a_value() -> None:
    text = HEAD + (
        "superlayer a(x) {\n"
        "  s: scale(2)\n  scale(3)\n"  # goes on: 6x
        "  t: in -> scale(5)\n"  # begins anew
        "  add(s, t)\n"
        "  -> add(in)\n}\n"
        "output y = a\n"
    )
    assert outputs(text, x=[1, 10], z=[0, 0])["y"] == [8, 80]


def test_labels_name_what_they_label() -> None:
    text = HEAD + (
        "block twice(f) { linear(f) -> relu -> linear(f) }\n"
        "superlayer a(x) {\n"
        "  one: linear(3)\n  two: linear(4) -> relu\n  b: twice(5)\n"
        "  twice(6)\n  u: repeat 2 { linear(7) }\n  linear(8)\n}\n"
        "output y = a\n"
    )
    assert [n for n in names(text) if n.endswith("weight")] == [
        "a.one.weight", "a.two.linear1.weight", "a.b.linear1.weight", "a.b.linear2.weight",
        "a.twice1.linear1.weight", "a.twice1.linear2.weight", "a.u.0.linear1.weight",
        "a.u.1.linear1.weight", "a.linear1.weight",
    ]  # fmt: skip


def test_no_layer_is_numbered_into_a_label() -> None:
    text = HEAD + "superlayer a(x) { linear(3); linear1: linear(4) }\noutput y = a\n"
    assert [n for n in names(text) if n.endswith("weight")] == [
        "a.linear2.weight", "a.linear1.weight",
    ]  # fmt: skip


def test_a_connection_makes_way_for_a_super_layer_of_its_name() -> None:
    text = HEAD + (
        "superlayer a(x) { p: relu }\nconnect z -> a.p via linear(3)\n"
        "superlayer z_to_a_p(a) { linear(4) }\noutput y = z_to_a_p\n"
    )
    assert names(text)[0] == "z_to_a_p_2.linear1.weight"


def test_one_value_left_alone_in_a_sum_is_a_mistake() -> None:
    from xgraph import DiagnosticError

    with pytest.raises(DiagnosticError, match="leaves out what flows here"):
        parse(HEAD + "superlayer a(x) { s: scale(2); scale(3); add(s) }\noutput y = a\n")


# ------------------------------------------------------------------------------- each, params


def test_each_shares_weights_over_steps_and_gives_the_axis_back() -> None:
    text = (
        "network t\ndim T\nmodality x: [3, T, 2]\n"
        "each T { superlayer a(x) { flatten -> linear(4) } }\noutput y = a\n"
    )
    graph = parse(text)
    assert str(graph.outputs["y"].type) == "f32[N, T, 4]"
    assert [p.shape for _, p in lower(graph).params()] == [(4, 6), (4,)]
    steps = np.arange(2 * 3 * 5 * 2, dtype=np.float32).reshape(2, 3, 5, 2)
    together = run(graph, {"x": steps})["y"]
    for step in range(5):
        alone = run(graph, {"x": steps[:, :, step : step + 1]})["y"]
        np.testing.assert_allclose(together[:, step], alone[:, 0], rtol=1e-5)


def test_params_choose_layers_routers_and_numbers() -> None:
    text = HEAD + (
        "param act = relu\nparam kind = cc\nparam wide = false\n"
        "let size = if wide then 4 else 2\n"
        "superlayer p[2](x) { a: linear(size) -> act }\nroute kind p[*].a\noutput y = mean(p[*])\n"
    )
    assert "relu" in ops(parse(text))
    changed = parse(text, {"act": "tanh", "kind": "stitch", "wide": True})
    assert "tanh" in ops(changed)
    assert "stitch" in ops(changed)
    assert changed.outputs["y"].type.shape[1] == 4


def ops(graph: Graph) -> set[str]:
    return {node.op.name for node in graph.nodes()}


def test_a_label_that_is_called_like_a_layer_of_an_argument() -> None:
    text = """network n

modality x: [3, 8, 8]

superlayer net(x -> conv(3, 3)) { conv1: conv(3, 3); relu }

output net
"""
    graph = parse(text)
    assert [node.address for node in graph.nodes()][1:3] == ["net.conv2", "net.conv1"]
    assert unbuild(graph) == text


# ------------------------------------------------------------------------------- names and words


def repeated(i: str) -> str:
    return f"repeat 2 as {i} {{ superlayer p[{i} .. {i}](x) {{ linear(2) }} }}\n"


def test_the_variable_of_a_repeat_is_gone_behind_it() -> None:
    with pytest.raises(DiagnosticError, match="`i`"):
        parse(HEAD + repeated("i") + "output y = x -> linear(i)\n")


def test_the_variable_of_a_repeat_is_a_new_name() -> None:
    with pytest.raises(DiagnosticError, match="`x` is declared twice"):
        parse(HEAD + repeated("x") + "output y = x\n")
    text = HEAD + "param n = 5\n" + repeated("n") + "output y = x -> linear(n)\n"
    assert str(parse(text).outputs["y"].type) == "f32[N, 5]"


def test_two_repeats_may_have_one_variable() -> None:
    twice = "repeat 2 as i { connect z -> s.p by add }\n"
    text = f"{HEAD}superlayer s(x) {{ p: scale(1); scale(1) }}\n{twice}{twice}output y = s\n"
    assert outputs(text, x=[1, 2], z=[1, 1])["y"] == [5, 6]


CONSTANTS = """network n
let w = normal(0.12345678)
let many = constant(1234567)
param eq = "ij,jk->ik"
let equation = "ij,jk->ik"
modality a: [2, 3]
modality b: [3, 4]
block unit(f) { linear(f, init = w, bias_init = many) }
block mix(l, r, how = "ij,jk->ik") { einsum(l, r, equation = how) }
superlayer s(a) { unit(8) -> unit(8) }
output y = einsum(a, b, equation = equation)
output z = mix(a, b, how = equation)
output u = mix(a, b, how = eq)
output v = s
"""


def test_constants_are_printed_as_they_are() -> None:
    graph = parse(CONSTANTS)
    printed = unbuild(apply(graph, "set{layer=s.unit2.linear1 attribute=bias value=false}"))
    assert "0.12345678" in printed
    assert "1234567" in printed
    assert unbuild(parse(printed)) == printed
    assert [str(v.type) for v in parse(printed).outputs.values()] == [
        str(v.type) for v in graph.outputs.values()
    ]


@pytest.mark.parametrize("let", ["let h = act(x)", "let l = [act(x), x]\nlet h = l[0]"])
def test_a_word_for_a_layer_makes_one_layer(let: str) -> None:
    text = f"network n\nparam act = relu\nmodality x: [8]\n{let}\nsuperlayer s(h) {{ linear(4) }}\n"
    graph = parse(f"{text}output s\n")
    verify_or_raise(graph, "build")
    assert [node.op.name for node in lower(graph).nodes()] == ["input", "relu", "linear"]


@pytest.mark.parametrize("depth", [0, 1])
def test_labels_in_a_repeat_of_one(depth: int) -> None:
    text = f"{HEAD}superlayer net(x) {{ linear(3); repeat {depth} {{ linear1: linear(3) }} }}\n"
    found = names(f"{text}output y = net\n")
    assert len(set(found)) == len(found) == 2 + 2 * depth


def test_what_is_numbered_anew_is_found_in_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a layer was taken out, and all behind it would get the names of others."""
    layers = "linear(4)\n" * 5 + "relu\n" + "linear(4)\n" * 5
    graph = parse(f"network n\nmodality x: [4]\nsuperlayer s(x) {{\n{layers}}}\noutput s\n")
    first = next(node for node in graph.nodes() if node.address == "s.linear1")
    graph.replace_uses(first.output, first.inputs[0])
    graph.prune()
    rounds = []
    plain = Writer.finish
    monkeypatch.setattr(Writer, "finish", lambda *args: rounds.append(0) or plain(*args))
    printed = unbuild(graph)
    assert len(rounds) <= 4
    assert "linear2: linear(4)" in printed
    assert "relu1" not in printed
    assert names(printed) == [name for name, _ in lower(graph).params()]


@pytest.mark.parametrize(
    "body",
    ["p1: in -> repeat 2 { scale(2) -> tanh }; scale(3) -> add(p1)",
     "p0: relu; p1: p0 -> repeat 3 { scale(2) }; tanh",
     "p1: in -> repeat 1 { scale(2) }; tanh -> add(p1)"],
)  # fmt: skip
def test_a_value_before_a_repeat_is_printed(body: str) -> None:
    text = f"{HEAD}superlayer p(x) {{ {body} }}\noutput y = p\noutput z = p.p1\n"
    printed = unbuild(parse(text))
    assert unbuild(parse(printed)) == printed
    assert outputs(printed, x=[1, 2], z=[0, 0]) == outputs(text, x=[1, 2], z=[0, 0])
