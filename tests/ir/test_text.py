"""The text of a graph: its form, that it reads back exactly, and what its reader refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_support import add, graphs, image, tower, two_paths

from xgraph.diagnostics import Diagnostic, DiagnosticError
from xgraph.ir.attrs import Init
from xgraph.ir.graph import Graph
from xgraph.ir.text import dump, read
from xgraph.ir.types import symbol
from xgraph.ir.verify import verify
from xgraph.ops import OPS
from xgraph.passes import lower


def refused(text: str) -> Diagnostic:
    with pytest.raises(DiagnosticError) as caught:
        read(text, OPS)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.id == "malformed-graph"
    return diagnostic


TOWER = """\
graph tower architecture {
  %image = input() {shape=[N, 3, 8, 8]} : f32[N, 3, 8, 8] @image
  %1 = conv(%image) {filters=4, kernel=3} : f32[N, 4, 8, 8] @y.conv
  %2 = bn(%1) : f32[N, 4, 8, 8] @y.bn
  %3 = relu(%2) : f32[N, 4, 8, 8] @relu_3
  %4 = add(%3, %3) : f32[N, 4, 8, 8] @add_4
  output y = %4
}
"""

TWO_PATHS = """\
graph "two paths" architecture {
  %image = input() {shape=[N, 3, T=8, W]} : f32[N, 3, T=8, W] @image in modality:image
  %n = input() {shape=[N], dtype="i64"} : i64[N] @n in modality:n
  %2 = conv(%image) {filters=4, kernel=3, stride=[1, 2], init=uniform(-1.0, 0.5)}\
 : f32[N, 4, 8, ((W - 1) // 2) + 1] @y.b1.unit1.conv1 in call:y.b1.unit1
  %3:2 = cp(%2) {outputs=2, layers=[conv{filters=5, kernel=1}, relu{}]}\
 : f32[N, 5, 8, ((W - 1) // 2) + 1], f32[N, 5, 8, ((W - 1) // 2) + 1] @cp\
 rebinds y.b1, "a b" in route:cp
  %4 = add(%3.0, %3.1) : f32[N, 5, 8, ((W - 1) // 2) + 1] @conn.add1 rebinds y.b1 in connect:conn
  %5 = reduce(%4) {how="mean", axis=[2]} : f32[N, 5, 8] @y.r in argument:y
  %6 = transpose(%5) {order=[1, 0]} : f32[N, 8, 5] @y.t in each:y
  %7 = lstm(%6, lengths=%n) {units=6, last=true} : f32[N, 6] @head.lstm1 in fusion:head
  output logits = %7
  point y.b1 = %2
  point "a b" = %2
  scope modality:image {meta={informativeness=0.785, dim=true}}
  scope modality:n
  scope let:planes
  scope superlayer:y {index=1, meta={weight=1}}
  scope argument:y in superlayer:y {index=0}
  scope argument:y#2 in superlayer:y {index=1}
  scope label:y.b1 in superlayer:y
  scope call:y.b1.unit1 in label:y.b1 {block="unit", args={filters=8, how='same,\
 init=constant(0.1), size=2*T, part=[conv{filters=3, kernel=[3, 3]}]}}
  scope route:cp {sources=["y.b1"], targets=["y.b1", "a b"]}
  scope connect:conn {source="y.b1", targets=["y.b1"], by="add"}
  scope each:y in superlayer:y {axis="T"}
  scope fusion:head
  scope output:logits
  digest y.b1.unit1 "ab12"
  prelude "dim T = 8"
  prelude "block unit(filters) {\\n  conv(filters, 3)\\n}"
}
"""


class TestDump:
    def test_a_plain_graph(self) -> None:
        assert dump(tower()) == TOWER

    def test_everything_a_graph_can_have(self) -> None:
        assert dump(two_paths()) == TWO_PATHS

    def test_scopes_that_only_nodes_know_are_loose(self) -> None:
        text = dump(lower(two_paths()))
        assert "  scope label:y.b1 in superlayer:y loose\n" in text
        assert "  scope argument:y in superlayer:y loose {index=0}\n" in text
        assert dump(read(text, OPS)) == text

    def test_numbers_do_not_show_how_a_graph_came_about(self) -> None:
        graph = Graph("tower")
        x = image(graph)
        graph.erase(add(graph, "tanh", x))
        conv = add(graph, "conv", x, address="y.conv", filters=4, kernel=3).output
        bn = add(graph, "bn", conv, address="y.bn").output
        relu = add(graph, "relu", bn, address="relu_3").output
        graph.outputs["y"] = add(graph, "add", relu, relu, address="add_4").output
        assert dump(graph) == TOWER

    def test_unsound_graphs_are_printed_too(self) -> None:
        graph = tower()
        _, _, bn, relu, total = graph.nodes()
        graph.replace_input(bn, 0, relu.output)
        total._inputs = (image(Graph(), "stranger"), relu.output)
        text = dump(graph)
        assert "%2 = bn(%3)" in text
        assert "add(%?stranger.0, %3)" in text


class TestRead:
    def test_is_the_inverse_of_dump(self) -> None:
        assert dump(read(TOWER, OPS)) == TOWER
        assert dump(read(TWO_PATHS, OPS)) == TWO_PATHS

    @given(graphs())
    def test_for_any_graph_on_both_levels(self, graph: Graph) -> None:
        for each in (graph, lower(graph)):
            text = dump(each)
            assert dump(read(text, OPS)) == text

    def test_gives_a_graph_that_works(self) -> None:
        graph = read(TWO_PATHS, OPS)
        cp = graph.nodes()[3]
        assert cp.scope is graph.scopes[8]
        assert cp.scope.span is None
        assert graph.own(cp.outputs[1]) is graph.points["a b"]
        assert graph.nodes()[7].input_types.get("lengths") is graph.inputs["n"].type
        assert graph.nodes()[2].attrs.init == Init("uniform", (-1.0, 0.5))

    def test_names_are_free_and_types_may_be_left_out(self) -> None:
        text = """
        graph small tensor {
          %in = input() {shape=[N, 3]} @x
          %hidden = linear(%in) {units=4} @fc
          %out = relu(%hidden)

          output y = %out
        }
        """
        assert dump(read(text, OPS)) == (
            "graph small tensor {\n"
            "  %x = input() {shape=[N, 3]} : f32[N, 3] @x\n"
            "  %1 = linear(%x) {units=4} : f32[N, 4] @fc\n"
            "  %2 = relu(%1) : f32[N, 4]\n"
            "  output y = %2\n"
            "}\n"
        )

    @pytest.mark.parametrize("name", ["none", "true", "in", "class", "N"])
    def test_sizes_with_names_of_other_things(self, name: str) -> None:
        graph = Graph()
        x = image(graph, "x", symbol(name), symbol(name) * 2)
        graph.outputs["y"] = add(graph, "relu", x).output
        again = read(dump(graph), OPS)
        assert again.outputs["y"].type == graph.outputs["y"].type
        assert dump(again) == dump(graph)

    @pytest.mark.parametrize("name", ["", "a b", '"', "\n", "\u2028", "%1", "ä", "0", "a.b", "}"])
    def test_any_name(self, name: str) -> None:
        graph = Graph(name)
        x = image(graph)
        graph.outputs[name] = graph.points[name] = x
        graph.prelude, graph.digests = (name,), {name: name}
        again = read(dump(graph), OPS)
        assert dump(again) == dump(graph)
        assert (again.name, list(again.outputs), again.prelude) == (name, [name], (name,))


MISTAKES = [
    ("conv(%image)", "conw(%image)", "there is no op `conw`", 3),
    ("conv(%image)", "conv(%imag)", "there is no value `%imag` before this", 3),
    ("bn(%1)", "bn(%2)", "there is no value `%2` before this", 4),
    ("bn(%1)", "bn(%1, %1)", "`bn` takes 1 value, not 2", 4),
    ("bn(%1)", "bn(%1, lengths=%1)", "`bn` takes no `lengths` here", 4),
    ("bn(%1)", "bn(%1.1)", "node 1 has no output 1", 4),
    ("bn(%1)", "bn(%1", "expected `)`", 4),
    ("kernel=3", "kernal=3", "`conv` has no attribute `kernal`", 3),
    ("kernel=3", "kernel=0", "`kernel` of `conv` must be an integer from 1", 3),
    ("kernel=3", "kernel", "expected `=`", 3),
    ("kernel=3", "kernel=[3", "expected `]`", 3),
    ("kernel=3", 'kernel="3', "this is no text: Unterminated string", 3),
    ("kernel=3", "kernel=" + "[" * 30, "values nest deeper than 16", 3),
    ("kernel=3", "kernel=" + "9" * 5000, "Exceeds the limit", 3),
    ("kernel=3", "kernel=3.5.1", "expected `}`", 3),
    ("kernel=3", "kernel=(a+b)*(c+d)", "not a size: '(a+b)*(c+d)'", 3),
    ("kernel=3", "kernel=nowhere{}", "there is no op `nowhere`", 3),
    ("kernel=3", "kernel=relu{slope=1}", "`relu` has no `slope`", 3),
    ("kernel=3", "kernel=T=0", "an axis must have a name and a size from 1", 3),
    (
        "f32[N, 4, 8, 8] @y.bn",
        "f32[N, 5, 8, 8] @y.bn",
        "the type written is not the type it has",
        4,
    ),
    ("@relu_3", "@y.bn", "y.bn: another node has the same address", 5),
    ("@relu_3", "@relu..3", "relu..3: its address is not made of names", 5),
    ("@relu_3", "@relu_3 rebinds p", "it replaces the stream of `p`, which is no point", 5),
    ("@relu_3", "@relu_3 in label:b", "there is no scope `label:b`", 5),
    ("@relu_3", "@relu_3 }", "this does not belong here", 5),
    ("%3 = relu", "%2 = relu", "`%2` is made twice", 5),
    ("%3 = relu", "relu", "expected a value or one of `output`, `point`", 5),
    ("output y = %4", "output y", "expected `=`", 7),
    ("output y = %4", "output y = %9", "there is no value `%9` before this", 7),
    ("output y = %4", "scope lable:a", "`lable` is no kind of scope", 7),
    ("output y = %4", "scope label:a {by=1}", "a scope of kind `label` has no `by`", 7),
    ("output y = %4", "scope each:a", "a scope of kind `each` needs `axis`", 7),
    ("output y = %4", "scope each:a {axis=1}", "`axis` must be a text", 7),
    ("output y = %4", "scope superlayer:a {index=true}", "`index` must be an integer", 7),
    ("output y = %4", "scope fusion:a {meta={w=[1]}}", "`meta` may hold numbers, texts", 7),
    ("output y = %4", "scope label:b in label:c", "there is no scope `label:c`", 7),
    ("output y = %4", "scope label:b in label:b", "there is no scope 0 before this", 7),
    ("output y = %4", "prelude dim T", "expected a quoted text", 7),
    ("graph tower", "graf tower", "expected `graph`", 1),
    ("architecture", "archtecture", "a level is one of architecture, tensor", 1),
    ("\n}\n", "\n", "expected `}`", 7),
]


class TestRefused:
    @pytest.mark.parametrize(("right", "wrong", "message", "line"), MISTAKES)
    def test_the_line_is_named(self, right: str, wrong: str, message: str, line: int) -> None:
        assert right in TOWER
        diagnostic = refused(TOWER.replace(right, wrong, 1))
        assert message in diagnostic.message
        assert diagnostic.label
        assert diagnostic.label.span.line == line

    @pytest.mark.parametrize(
        "text", ["", "\n\n", "graph", "graph a", "}", "graph a tensor {", "\0"]
    )
    def test_what_is_no_graph(self, text: str) -> None:
        assert refused(text).label

    @given(st.integers(0, len(TWO_PATHS)), st.integers(0, 12), st.text(max_size=6))
    def test_any_damage_is_a_graph_or_a_diagnostic(self, at: int, cut: int, put: str) -> None:
        text = TWO_PATHS[:at] + put + TWO_PATHS[at + cut :]
        try:
            graph = read(text, OPS)
        except DiagnosticError:
            return
        assert verify(graph) == []

    def test_help_names_the_nearest(self) -> None:
        assert refused(TOWER.replace("conv(", "conw(")).help == "did you mean `conv`?"
        assert refused(TOWER.replace("%image)", "%imag)")).help == "did you mean `%image`?"

    def test_an_output_of_several_must_be_said(self) -> None:
        diagnostic = refused(TWO_PATHS.replace("add(%3.0,", "add(%3,"))
        assert diagnostic.message == "`%3` has 2 outputs: say which, as in `%3.0`"

    def test_the_place_is_shown(self) -> None:
        assert str(refused(TOWER.replace("kernel=3", "kernel="))) == (
            "error[malformed-graph]: expected a value\n"
            " --> <dump>:3:40\n"
            "  |\n"
            "3 |   %1 = conv(%image) {filters=4, kernel=} : f32[N, 4, 8, 8] @y.conv\n"
            "  |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^"
        )
