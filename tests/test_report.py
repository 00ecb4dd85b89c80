"""Parameters, statistics and multiply-accumulates, part by part."""

from __future__ import annotations

from xgraph import Summary, parse


def test_costs_are_those_of_one_sample() -> None:
    summary = Summary(
        parse(
            "network n\nmodality x: [3, 8, 8]\n"
            "superlayer a(x) { c: conv(4, 3, stride = 2) -> bn; flatten -> linear(10) }\n"
            "output y = a\n"
        )
    )
    assert summary.total.params == (3 * 4 * 9 + 4) + 2 * 4 + (64 * 10 + 10)
    assert summary.total.statistics == 2 * 4
    assert summary.total.macs == 4 * 4 * 4 * 3 * 9 + 64 * 10
    (_, layer, _) = summary.parts
    assert (layer.kind, layer.name, layer.shape) == ("superlayer", "a", "[N, 10]")
    (point,) = layer.parts
    assert (point.name, point.cost.params) == ("c", 3 * 4 * 9 + 4 + 8)


def test_open_axes_stay_in_the_costs() -> None:
    summary = Summary(
        parse(
            "network n\ndim T\nmodality x: [T, 6]\n"
            "let h = x -> linear(5)\noutput y = h -> last(T)\n"
        )
    )
    assert str(summary.total.macs) == "30*T"
    assert summary.to_json()["macs"] == "30*T"


def test_layers_within_each_are_counted_once_and_run_each_step() -> None:
    summary = Summary(
        parse(
            "network n\ndim T = 7\nmodality x: [T, 6]\n"
            "each T {\n superlayer a(x) { linear(5) }\n}\noutput y = a\n"
        )
    )
    assert summary.total.params == 35
    assert summary.total.macs == 7 * 30


def test_a_replaced_layer_costs_nothing() -> None:
    text = (
        "network n\nmodality x: [4, 8, 8]\n"
        "superlayer p[2](x) {{ c: conv(4, 3); globalavgpool }}\n{route}output y = mean(p[*])\n"
    )
    plain = Summary(parse(text.format(route="")))
    routed = Summary(parse(text.format(route="route cp x -> p[*].c via conv(4, 3)\n")))
    gate = 4 * 16 + 16 + 16 * 2 + 2
    assert routed.total.params == plain.total.params + gate
