"""Pools by rows and columns, channels last, wider layers and mixes of parameters: before and after,
and with the same outputs."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from agreement import TOLERANCE, distance, random_weights, torch_outputs

from xgraph import lower
from xgraph.backends.onnx import to_onnx
from xgraph.backends.torch import to_module, to_source
from xgraph.build import build_source
from xgraph.ir.graph import Graph
from xgraph.optimize.costs import Costs
from xgraph.optimize.levels import optimize
from xgraph.runtime import Session
from xgraph.samples import sample_inputs
from xgraph.source import Source


def network(text: str) -> Graph:
    head = "network n\nmodality x: [4, 8, 6]\n"
    return lower(build_source(Source("<test>", f"{head}{text}\n")))


def optimised(low: Graph, told: str, costs: Costs) -> Graph:
    """After the passes, which compute the same in both backends."""
    made, weights = optimize(low, told, costs=costs), random_weights(low, 3)
    own, inputs = made.weights(weights), sample_inputs(low, 3, 0)
    wanted = torch_outputs(to_module(low, weights).eval(), low, inputs)
    found = torch_outputs(to_module(made.graph, own).eval(), made.graph, inputs)
    assert distance(wanted, found) < TOLERANCE
    session = Session(to_onnx(made.graph, own).SerializeToString(), threads=1)
    assert distance(wanted, session.run(inputs)) < TOLERANCE
    return made.graph


def ops(graph: Graph) -> Counter[str]:
    return Counter(node.op.name for node in graph.nodes())


@pytest.mark.parametrize(
    ("pool", "is_parted"),
    [("maxpool(2)", True), ("maxpool(2, stride = 1)", False), ("maxpool(3, stride = 2)", False),
     ("pad(1) -> maxpool(2)", True), ("maxpool([2, 1])", False), ("avgpool(2)", False),
     ("maxpool(2) -> maxpool(2)", True)],
)  # fmt: skip
def test_pools_of_pairs(pool: str, is_parted: bool) -> None:
    low = network(f"output y = x -> {pool}")
    found = ops(optimised(low, "part-pools", Costs("torch")))
    assert (found["max"] > 0) == is_parted
    for costs in (Costs("onnx"), Costs("cuda"), Costs("torch", channels_last=True)):
        assert ops(optimize(low, "part-pools", costs=costs).graph) == ops(low)


def test_an_odd_row_is_left_out_by_the_pool_itself() -> None:
    low = network("output y = x -> slice(0, 7, axis = 1) -> maxpool(2)")
    assert ops(optimised(low, "part-pools", Costs("torch")))["max"] == 0


def test_weights_are_in_the_layout() -> None:
    low = network("output y = x -> conv(8, 3) -> relu -> conv(8, 3)")
    graph = optimised(low, "channels-last", Costs("torch", channels_last=True))
    module = to_module(graph, random_weights(low, 0))
    weights = [p for p in module.parameters() if p.dim() == 4]
    assert len(weights) == 2
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)


def test_parameters_of_five_axes_have_no_layout() -> None:
    """PyTorch cannot bring them into it with the others."""
    low = network(
        "let p = parameter([1, 4, 1, 8, 6]) -> reshape(4, 8, 6)\noutput y = add(x -> conv(4, 3), p)"
    )
    assert not optimised(low, "channels-last", Costs("torch", channels_last=True)).meta


def test_a_network_without_maps_has_no_layout() -> None:
    low = network("output y = x -> flatten -> linear(3)")
    assert not optimised(low, "channels-last", Costs("torch", channels_last=True)).meta


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("output y = x -> conv(4, 3) -> relu -> conv(2, 3) -> leakyrelu(0.2)", 2),
        ("output y = x -> bn -> silu -> flatten -> linear(3) -> elu(0.5)", 2),
        ("superlayer a(x) { conv(4, 3) }\noutput y = add(a, x) -> relu", 1),
        ("output y = x -> relu -> maxpool(2) -> relu -> transpose([1, 0, 2]) -> relu", 0),
        ("output y = x -> conv(4, 3) -> sigmoid", 0),
        ("output y = x -> transpose([0, 2, 1]) -> add -> relu", 0),
        ("output y = x -> mul -> relu\noutput z = x -> slice(0, 2) -> max -> relu", 0),
        ("output y = parameter([4, 3], init = ones) -> add -> relu", 0),
        ("superlayer a(x) { conv(4, 3) }\noutput y = a -> relu\noutput z = a", 0),
        ("superlayer a(x) { conv(4, 3) }\nsuperlayer b(a) { relu }\noutput y = add(a, b)", 0),
        ("superlayer a(x) { conv(4, 3) }\nsuperlayer b(a) { relu }\noutput y = b", 1),
    ],
)
def test_activations_write_over_what_nothing_else_reads(body: str, count: int) -> None:
    low = network(body)
    graph = optimised(low, "in-place", Costs("torch"))
    assert to_source(graph).count("inplace=True") == count
    assert to_source(optimize(low, "in-place", costs=Costs("inductor")).graph) == to_source(low)


def test_inputs_are_not_written_over() -> None:
    low = network("output y = x -> relu")
    module = to_module(optimize(low, "in-place", costs=Costs("torch")).graph, {}).eval()
    given = torch.full((2, 4, 8, 6), -1.0)
    module(given)
    assert bool((given == -1).all())


PATHS = "superlayer p[3](x) {{ c: conv(4, 3)\n d: conv(4, 3) }}\nroute {}\noutput y = mean(p[*])"


@pytest.mark.parametrize(
    ("route", "gathered"),
    [("cc x -> p[*].in", 0), ("cc p[*].c", 1), ("stitch p[*].c", 1),
     ("cp x -> p[*].c via conv(4, 3)", 0), ("cp p[*].c -> p[*].d via conv(4, 3)", 0)],
)  # fmt: skip
def test_streams_are_mixed_where_channels_lie(route: str, gathered: int) -> None:
    """Flat values would be copies. Products of matrices need them, which a compiler does not."""
    low = network(PATHS.format(route))
    for target, count in (("torch", gathered), ("inductor", 0)):
        costs = Costs(target, channels_last=True, joins="always")
        source = to_source(optimised(low, "2", costs))
        assert source.count(" @ ") == source.count("reshape") / 2 == count, source
        assert source.count("permute(0, 2, 3, 1)") == 1 - count


WIDE = "superlayer f(x) {{ globalavgpool }}\n{}output y = concat({})"


def test_layers_of_one_value_become_a_wider_one() -> None:
    layers = "".join(f"superlayer s{i}(f) {{ linear({i + 2}) }}\n" for i in range(4))
    low = network(WIDE.format(layers, "s0, s1, s2, s3"))
    found = ops(optimised(low, "join-paths", Costs(call=1e-5, byte=1e-11)))
    assert (ops(low)["linear"], found["linear"]) == (4, 1)
    assert ops(optimised(low, "join-paths", Costs(call=1e-9, byte=1e-9)))["linear"] == 4


def test_layers_that_differ_otherwise_stay() -> None:
    low = network(
        "superlayer a(x) { conv(4, 3) -> globalavgpool }\n"
        "superlayer b(x) { conv(5, 1) -> globalavgpool }\noutput y = concat(a, b)"
    )
    assert ops(optimised(low, "join-paths", Costs(call=1e-3)))["conv"] == 2


def test_shares_that_are_learned_mix_by_one_product() -> None:
    low = network(
        "superlayer p[3](x) { c: conv(4, 3)\n conv(4, 3) }\nroute stitch p[*].c\n"
        "output y = mean(p[*])"
    )
    found = ops(optimised(low, "join-paths", Costs()))
    assert (ops(low)["mul"], found["mul"], found["matmul"]) == (9, 0, 1)
