"""Which modules, classes and loops the source has, whatever the layers are called."""

from __future__ import annotations

import ast

import pytest
import torch
from torch import nn
from torch_support import Net, check, weights_of

from xgraph.backends.torch import to_module, to_source
from xgraph.backends.torch.names import MODULE_NAMES
from xgraph.diagnostics import InternalError
from xgraph.ir.graph import Graph, Value
from xgraph.ir.scope import Call
from xgraph.ir.types import symbol

T = symbol("T")


def chain(net: Net, x: Value, *addresses: str) -> Value:
    """Linear layers of 6 features, one after the other."""
    for address in addresses:
        x = net.add("linear", x, address=address, units=6)
    return x


def line(*addresses: str) -> Net:
    net = Net()
    net.output("y", chain(net, net.input("x", 6), *addresses))
    return net


def assert_runs(graph: Graph, *shapes: tuple[int, ...]) -> nn.Module:
    """The module runs, and TorchScript and `torch.compile` give the same."""
    network = to_module(graph, weights_of(graph)).eval()
    inputs = [torch.randn(shape) for shape in shapes]
    wanted = network(*inputs)
    torch._dynamo.reset()
    for other in (
        torch.jit.script(network),
        torch.compile(network, backend="eager", fullgraph=True),
    ):
        torch.testing.assert_close(other(*inputs), wanted)
    return network


# -------------------------------------------------------------------------------------- names

NASTY = [
    "lambda", "class", "None", "train", "training", "forward", "type", "half", "T", "modules",
    "state_dict", "_modules", "__x", "self", "torch", "nn", "F", "Tensor", "float", "graph", "code",
    "values", "train_", "0", "1", "07", "Parameter", "mask", "été",
]  # fmt: skip


@pytest.mark.parametrize("place", ["{}", "net.{}", "net.{}.fc", "{}.fc", "net.a{}.{}"])
def test_nasty_layers(place: str) -> None:
    net = line(*(place.format(*[name] * place.count("{}")) for name in NASTY))
    graph = net.lowered()
    check(graph)
    assert_runs(graph, (3, 6))


def test_nasty_layers_that_are_run_from_outside() -> None:
    net = Net()
    x = net.input("x", 6)
    for index, name in enumerate(("train", "lambda", "0")):
        y = chain(net, x, f"{name}.type", f"between.c{index}", f"{name}.class.fc")
        x = chain(net, y, f"between.d{index}.0", f"{name}.0")
    net.output("y", x)
    check(net.lowered())
    assert_runs(net.lowered(), (3, 6))


def test_nasty_modalities_and_outputs() -> None:
    net = Net("class")
    names = [
        "self",
        "torch",
        "F",
        "nn",
        "lambda",
        "x",
        "mask",
        "Outputs",
        "net",
        "self_",
        "forward",
    ]
    inputs = [net.input(name, 6) for name in names]
    total = net.add("add", *inputs, address="net.add1")
    hidden = [chain(net, value, f"net.{value.node.address}") for value in inputs]
    for name in ("count", "index", "def", "_x", "Tensor"):
        net.output(name, net.add("add", total, *hidden, address=f"{name}.add1"))
    source = check(net.lowered())
    assert "def forward(\n        self,\n        self_: Tensor,\n        torch_: Tensor," in source
    assert_runs(net.lowered(), *[(2, 6)] * len(names))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("two_tower", "TwoTower"), ("torch", "Torch"), ("tensor", "Tensor_"), ("2x", "Net2x"),
     ("class", "Class"), ("", "Net"), ("none", "None_"), ("mask \"'\\\n", "Mask"),
     ("exception", "Exception_"), ("LSTM", "LSTM_")],
)  # fmt: skip
def test_name_of_the_network(name: str, wanted: str) -> None:
    net = line("net.fc")
    net.graph.name = name
    check(net.lowered())
    assert type(to_module(net.lowered())).__name__ == wanted


def test_names_that_modules_have_are_known() -> None:
    assert {name for name in dir(nn.Module()) if not name.startswith("_")} <= MODULE_NAMES


# ------------------------------------------------------------------------------------ classes


def pair(net: Net, x: Value, address: str, filters: int) -> Value:
    net.scope = Call(address=address, block="pair")
    for step in (1, 2):
        x = net.add("conv", x, address=f"{address}.conv{step}", filters=filters, kernel=3)
        x = net.add("relu", x, address=f"{address}.relu{step}")
    return x


def test_blocks_that_differ_in_numbers_share_a_class() -> None:
    net = Net()
    x = net.input("x", 3, 8, 8)
    for index, filters in enumerate((32, 64)):
        x = pair(net, x, f"net.pair{index}", filters)
    net.output("y", x)
    source = check(net.lowered())
    assert source.count("class ") == 3
    assert "def __init__(self, in_channels: int, out_channels: int) -> None:" in source
    assert "self.pair0 = Pair(3, 32)\n        self.pair1 = Pair(32, 64)" in source


def test_identical_paths_share_a_class() -> None:
    net = Net()
    x = net.input("x", 6)
    ends = [chain(net, x, f"path.{i}.fc1", f"path.{i}.fc2") for i in range(3)]
    net.output("y", net.add("concat", *ends, address="y.concat1"))
    source = check(net.lowered())
    assert source.count("class ") == 2
    assert "self.path = nn.ModuleList(Path() for _ in range(3))" in source
    assert "path0, path1, path2 = [path(x) for path in self.path]" in source
    assert_runs(net.lowered(), (3, 6))


def test_modules_in_a_row_become_a_loop() -> None:
    net = line("net.u.0.fc", "net.u.1.fc", "net.u.2.fc", "net.v.0", "net.v.1", "net.out")
    source = check(net.lowered())
    assert "        for u in self.u:\n            x = u(x)\n" in source
    assert "        for v in self.v:\n            x = v(x)\n" in source
    assert_runs(net.lowered(), (3, 6))


def test_a_row_with_something_between_is_no_loop() -> None:
    net = line("net.u.0.fc", "net.u.1.fc", "net.other", "net.u.2.fc")
    assert "for u in" not in check(net.lowered())
    assert_runs(net.lowered(), (3, 6))


def test_numbers_with_a_gap() -> None:
    net = line("path.0.fc", "path.2.fc", "u.1", "mixed.0", "mixed.fc")
    source = check(net.lowered())
    assert 'self.path = nn.ModuleDict({"0": Path(), "2": Path()})' in source
    assert 'self.path["2"]' in source
    assert_runs(net.lowered(), (3, 6))


def test_what_leaves_and_comes_back_is_run_from_outside() -> None:
    net = Net()
    x = chain(net, net.input("x", 6), "y.b1.fc")
    y = net.add("add", x, chain(net, x, "to.fc"), address="to.add1")
    net.output("y", chain(net, y, "y.b2.fc"))
    source = check(net.lowered())
    assert "y = self.y.b1(x)" in source
    assert "whose parts are run one by one" in source
    assert_runs(net.lowered(), (3, 6))


def test_a_layer_without_weights_stays_with_those_it_serves() -> None:
    net = Net()
    hidden = chain(net, net.input("x", 6), "cc.gate.0.fc1")
    hidden = net.add("tanh", net.add("relu", hidden, address="cc.relu1"), address="cc.tanh1")
    net.output("y", chain(net, hidden, "cc.gate.0.fc2"))
    assert "x = torch.tanh(F.relu(self.fc1(x)))\n        return self.fc2(x)" in check(net.lowered())


def test_a_layer_that_others_read_stays_where_it_is() -> None:
    net = Net()
    hidden = net.add("relu", chain(net, net.input("x", 6), "cc.gate.fc1"), address="cc.relu1")
    inner = chain(net, net.add("tanh", hidden, address="cc.tanh1"), "cc.gate.fc2")
    net.output("y", net.add("add", hidden, inner, address="cc.add1"))
    check(net.lowered())
    assert_runs(net.lowered(), (3, 6))


# --------------------------------------------------------------------------- inputs and outputs


def test_sizes_are_read_off_the_inputs_and_handed_on() -> None:
    net = Net()
    video = net.input("video", T, 6)
    steps = net.add("each_in", video, address="video_per_T", axis="T")
    y = chain(net, steps, "net.fc")
    y = net.add("each_out", y, address="net.video_over_T", size="T")
    net.output("y", chain(net, y, "net.out"))
    source = check(net.lowered())
    assert "def forward(self, x: Tensor, t: int) -> Tensor:" in source
    assert "t = video.shape[1]\n        return self.net(video.flatten(0, 1), t)" in source
    assert_runs(net.lowered(), (3, 5, 6))


def test_sizes_that_are_computed() -> None:
    net = Net()
    sound = net.input("sound", 2, T * 4)
    y = net.add("maxpool", sound, address="net.maxpool1", kernel=3)
    y = net.add("conv", y, address="net.conv1", filters=2, kernel=1)
    size = y.type.features[1]
    y = net.add("reshape", y, address="net.reshape1", shape=(size, 2, 1))
    y = net.add("reshape", y, address="net.reshape2", shape=(1, size, 2))
    net.output("y", y)
    check(net.lowered())
    assert_runs(net.lowered(), (3, 2, 20))


def test_an_output_may_be_an_input_and_stand_twice() -> None:
    net = Net()
    x = net.input("x", 6)
    net.input("unused", 6)
    y = chain(net, x, "net.fc")
    for name, value in {"a": x, "b": y, "c": y}.items():
        net.output(name, value)
    source = check(net.lowered())
    assert "return Outputs(x, b, b)" in source
    assert_runs(net.lowered(), (3, 6), (3, 6))


def test_layers_that_no_output_needs_keep_their_weights() -> None:
    net = line("net.fc")
    low = net.lowered()
    spare = low.inputs["x"]
    low.add(low.nodes()[1].op, [spare], {"units": 3}, address="net.spare.fc")
    low.add(low.nodes()[1].op, [spare], {"units": 3}, address="net.left")
    assert "spare.fc.weight" in check(low) or "net.spare.fc.weight" in to_module(low).state_dict()
    assert_runs(low, (3, 6))


def test_nodes_may_be_older_than_what_they_read() -> None:
    net = Net()
    x = net.input("x", 6)
    late, early = chain(net, x, "net.b.fc1"), chain(net, x, "net.a.fc2")
    net.graph.replace_input(late.node, 0, early)
    net.output("y", net.add("tanh", late, address="net.b.tanh1"))
    low = net.lowered()
    source = check(low)
    assert "x = self.a(x)\n        return self.b(x)" in source
    assert_runs(low, (3, 6))


def test_two_owners_of_one_name_are_refused() -> None:
    with pytest.raises(InternalError, match=r"`net\.fc\.a` and `net\.fc` cannot both own"):
        to_source(line("net.fc", "net.fc.a").lowered())


def test_an_architecture_level_graph_is_refused() -> None:
    with pytest.raises(InternalError, match="not lowered"):
        to_source(line("net.fc").graph)


# ---------------------------------------------------------------------------------- large ones


def test_large_networks_do_not_nest() -> None:
    net = Net()
    x = net.input("x", 6)
    for index in range(400):
        y = net.add("tanh", x, address=f"net.tanh{index}")
        x = net.add("add", x, y, y, address=f"net.add{index}")
        x = chain(net, x, f"net.fc{index}")
    many = [net.add("scale", x, address=f"net.s{i}", factor=i / 7) for i in range(300)]
    total = net.add("add", *many, address="net.total")
    net.output("y", net.add("max", total, *many, address="net.most"))
    tree = ast.parse(check(net.lowered()))
    assert _depth(tree) < 20
    assert_runs_plain(net.lowered())


def _depth(node: ast.AST) -> int:
    return 1 + max(map(_depth, ast.iter_child_nodes(node)), default=0)


def assert_runs_plain(graph: Graph) -> None:
    assert to_module(graph)(torch.randn(2, 6)).shape == (2, 6)
