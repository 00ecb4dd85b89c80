"""What each pass makes of small networks, before and after."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from xgraph import lower, parse
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.optimize.levels import optimize

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def ops(text: str, told: str) -> tuple[Counter[str], Counter[str]]:
    """How many nodes of each op there are, before and after."""
    low = lower(parse(f"network n\nmodality x: [4, 8, 8]\n{text}\n"))
    return counted(low), counted(optimize(low, told).graph)


def counted(graph: Graph) -> Counter[str]:
    return Counter(node.op.name for node in graph.nodes())


class TestTidy:
    def test_what_is_the_same_is_computed_once(self) -> None:
        before, after = ops(
            "superlayer a(x) { relu -> globalavgpool }\n"
            "superlayer b(x) { relu -> globalavgpool }\noutput y = add(a, b)", "tidy",
        )  # fmt: skip
        assert (before["relu"], before["reduce"]) == (2, 2)
        assert (after["relu"], after["reduce"]) == (1, 1)

    def test_layers_with_weights_of_their_own_stay_two(self) -> None:
        _, after = ops(
            "superlayer a(x) { conv(2, 3) }\nsuperlayer b(x) { conv(2, 3) }\n"
            "output y = add(a, b)", "tidy",
        )  # fmt: skip
        assert after["conv"] == 2

    def test_names_of_axes_are_something(self) -> None:
        text = (
            "dim T = 4\nsuperlayer p(x) { reshape(T, 64) }\neach T { superlayer e(p) { relu } }\n"
            "superlayer q(x) { reshape(4, 64) -> relu }\noutput y = e\noutput z = q"
        )
        assert ops(text, "tidy")[1]["reshape"] == 2


class TestSimplify:
    def test_what_does_nothing_goes(self) -> None:
        _, after = ops(
            "superlayer a(x) { dropout(0.5) -> identity -> scale(1.0) -> reshape(4, 8, 8) -> relu "
            "-> transpose([0, 1, 2]) }\noutput y = a", "simplify",
        )  # fmt: skip
        assert after == {"input": 1, "relu": 1}

    def test_an_output_may_be_an_input(self) -> None:
        _, after = ops("superlayer a(x) { dropout(0.5) }\noutput y = a", "simplify")
        assert after == {"input": 1}


class TestFoldNorms:
    @pytest.mark.parametrize("layer", ["conv(2, 3)", "conv(4, 3, groups = 2, bias = false)",
                                       "flatten -> linear(5)"])  # fmt: skip
    def test_behind_a_layer(self, layer: str) -> None:
        _, after = ops(f"superlayer a(x) {{ {layer} -> bn -> relu }}\noutput y = a", "fold-norms")
        assert after["bn"] == 0

    def test_not_where_another_reads_the_layer(self) -> None:
        text = "superlayer a(x) { c: conv(4, 3)\n bn }\noutput y = add(a, a.c)"
        assert ops(text, "fold-norms")[1]["bn"] == 1
        text = "superlayer a(x) { c: conv(4, 3)\n bn }\noutput y = a\noutput z = a.c"
        assert ops(text, "fold-norms")[1]["bn"] == 1

    def test_not_over_another_axis(self) -> None:
        text = "superlayer a(x) { conv(4, 3) -> bn(axis = 1) }\noutput y = a"
        assert ops(text, "fold-norms")[1]["bn"] == 1


class TestJoinPaths:
    def test_paths_stay_side_by_side(self) -> None:
        """Two convolutions of one value are one wide one, the next two one of two groups."""
        text = (
            "superlayer p[2](x) { conv(4, 3) -> bn -> relu -> conv(8, 3) -> maxpool(2) "
            "-> globalavgpool -> linear(3) -> softmax }\noutput y = mean(p[*])"
        )
        before, after = ops(text, "join-paths")
        for name in ("conv", "bn", "relu", "maxpool", "linear", "softmax"):
            assert before[name] == 2 * after[name], name
        assert after["slice"] == after["concat"] == 0

    def test_a_router_is_one_product(self) -> None:
        low = lower(parse(EXAMPLES / "basecnn_cc.xg", {"paths": 4}))
        after = counted(optimize(low, "2").graph)
        assert counted(low)["mul"] == 68
        assert (after["mul"], after["add"], after["matmul"]) == (1, 0, 4)
        assert len(optimize(low, "2").graph) < len(low) / 4

    def test_a_prediction_is_one_layer(self) -> None:
        """Of as many groups as there are outputs, normalised; that behind a gate stays."""
        low = lower(parse(EXAMPLES / "basecnn_cp.xg", {"paths": 4}))
        after = counted(optimize(low, "2").graph)
        assert counted(low)["conv"] == 4 + 16 + 16 + 12
        assert (after["conv"], after["bn"]) == (6, 1)
        assert len(optimize(low, "2").graph) < len(low) / 3

    def test_large_values_are_not_copied_for_it(self) -> None:
        text = (
            "modality z: [4, 64, 64]\nmodality w: [4, 64, 64]\nsuperlayer a(z) { relu }\n"
            "superlayer b(w) { relu }\noutput y = a\noutput v = b\noutput u = x"
        )
        assert ops(text, "join-paths")[1]["relu"] == 2

    def test_an_axis_with_a_name_keeps_it(self) -> None:
        text = (
            "dim T = 6\nmodality r: [5, 6, 3]\nmodality s: [5, T, 3]\n"
            "superlayer p(r) { relu }\nsuperlayer q(s) { relu }\n"
            "each T { superlayer e(q) { linear(2) } }\n"
            "output y = p\noutput z = e\noutput u = x"
        )
        before, after = ops(text, "2")
        assert before["relu"] == after["relu"] == 2

    def test_names_say_of_what_a_layer_is(self) -> None:
        low = lower(parse(EXAMPLES / "basecnn_cc.xg", {"paths": 2}))
        names = optimize(low, "2").sources
        assert "path_all.c2.unit1.conv1.weight" in names
        assert "cc_path_c2.gate_all.fc1.weight" in names


def test_a_name_that_is_none() -> None:
    low = lower(parse(EXAMPLES / "digits.xg"))
    with pytest.raises(DiagnosticError, match="`fold-norm` is no optimisation"):
        optimize(low, "tidy,fold-norm")
