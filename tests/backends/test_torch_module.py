"""What is exported is what runs: the module made of the source, in Python's and torch's eyes."""

from __future__ import annotations

import copy
import inspect
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_torch_golden import crossed, routed
from torch_support import Net, run, weights_of

from xgraph.backends.torch import module as executed
from xgraph.backends.torch import to_module, to_source
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.types import symbol

IMAGE, AUDIO = (2, 1, 28, 28), (2, 64)


def everything() -> Net:
    """Helpers, symbols, sequences and several outputs in one network."""
    net = Net("everything")
    words, lengths = net.input("words", symbol("T"), dtype="i64"), net.input("n", dtype="i64")
    x = net.add("embedding", words, address="read.embedding1", count=20, units=8)
    x = net.add("lstm", x, address="read.lstm1", units=4, bidirectional=True, lengths=lengths)
    x = net.add("attention", x, address="read.attention1", heads=2, lengths=lengths)
    x = net.add("bn", x, address="read.bn1", axis=1)
    x = net.add("prelu", x, address="read.prelu1", per="shared")
    last = net.add("gru", x, address="read.gru1", units=6, last=True, lengths=lengths)
    maps = net.add("reshape", last, address="maps.reshape1", shape=(2, 3, 1))
    maps = net.add("upsample", maps, address="maps.upsample1", factor=[2, 5], mode="linear")
    maps = net.add("avgpool", maps, address="maps.avgpool1", kernel=2, stride=1, pad="same")
    maps = net.add("prelu", maps, address="maps.prelu1", per="element")
    maps = net.add("maxout", maps, address="maps.maxout1", units=4, kernel=3)
    maps = net.add("se", maps, address="maps.se1", ratio=2)
    parts = net.many("split", maps, address="maps.split1", parts=2)
    streams = net.many("stitch", *parts, address="stitch_maps", outputs=2, per="channel")
    streams = net.many("sluice", *streams, address="sluice_maps", outputs=2, subspaces=2)
    streams = net.many("nddr", *streams, address="nddr_maps", outputs=2)
    vectors = [net.add("flatten", s, address=f"vectors.flatten{i}") for i, s in enumerate(streams)]
    gmu = net.add("gmu", *vectors, last, address="head.gmu1", units=5)
    net.output("logits", net.add("wsum", gmu, last, address="head.wsum1"))
    net.output("steps", x)
    return net


def everything_in() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randint(0, 20, (3, 7)), torch.tensor([7, 0, 4])


CASES = [
    (routed, (torch.randn(2, 3, 32, 32),)),
    (crossed, (torch.randn(IMAGE), torch.randn(AUDIO))),
    (everything, everything_in()),
]


@pytest.mark.parametrize(("make", "inputs"), CASES)
def test_script_compile_and_copies(
    make: Callable[[], Net], inputs: tuple[torch.Tensor, ...]
) -> None:
    graph = make().lowered()
    network = to_module(graph, weights_of(graph)).eval()
    wanted = network(*inputs)
    torch._dynamo.reset()
    others: dict[str, Any] = {
        "script": torch.jit.script(network),
        "compile": torch.compile(network, backend="eager", fullgraph=True),
        "copy": copy.deepcopy(network),
    }
    for other in others.values():
        torch.testing.assert_close(other(*inputs), wanted)
    assert list(others["script"].state_dict()) == list(network.state_dict())


@pytest.mark.parametrize(("make", "inputs"), CASES)
def test_it_trains(make: Callable[[], Net], inputs: tuple[torch.Tensor, ...]) -> None:
    graph = make().lowered()
    network = to_module(graph, weights_of(graph)).train()
    given = network(*inputs)
    parts = [given] if torch.is_tensor(given) else list(given)
    loss = torch.stack([part.square().mean() for part in parts]).sum()
    loss.backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name


def test_several_outputs_have_names() -> None:
    given = run(crossed().lowered(), torch.randn(IMAGE), torch.randn(AUDIO))
    assert given._fields == ("logits", "heard")
    assert given.heard.shape == (2, 32)


def test_modules_of_one_graph_share_no_weights() -> None:
    graph = crossed().lowered()
    one, other = to_module(graph), to_module(graph, weights_of(graph))
    assert type(one) is type(other)
    assert not any(a is b for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_weights_arrive() -> None:
    graph = routed().lowered()
    weights = weights_of(graph)
    state = to_module(graph, weights).state_dict()
    assert set(state) == set(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(state[name], value)
    assert state["path.0.c2.unit1.bn1.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.linear1.bias"), "missing: `head.linear1.bias`"),
        (lambda w: w.update(more=np.zeros(1)), "not the network's: `more`"),
        (lambda w: w.update({"hear.b2.bias": np.zeros(3)}), "of another shape: `hear.b2.bias`"),
    ],
)
def test_weights_that_do_not_fit(change: Callable[..., object], message: str) -> None:
    graph = crossed().lowered()
    weights = weights_of(graph)
    change(weights)
    with pytest.raises(DiagnosticError) as caught:
        to_module(graph, weights)
    assert message in str(caught.value)
    assert caught.value.diagnostics[0].id == "weights-mismatch"


def test_the_source_is_found() -> None:
    graph = crossed().lowered()
    network = to_module(graph)
    source = to_source(graph)
    assert inspect.getsource(type(network)) in source
    assert inspect.getsource(sys.modules[type(network).__module__]) == source


def test_tracebacks_show_the_source() -> None:
    network = to_module(crossed().lowered())
    try:
        network(torch.randn(2, 1, 28, 28), torch.randn(2, 63))
    except RuntimeError as error:
        text = "".join(traceback.format_exception(error))
    assert "hear_b1 = self.hear.b1(audio)" in text


def test_old_sources_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executed, "KEPT", 2)
    networks = []
    for units in range(3, 9):
        net = Net()
        y = net.add("linear", net.input("x", 3), address="net.fc", units=units)
        net.output("y", y)
        networks.append(to_module(net.lowered()))
    known = [type(network).__module__ in sys.modules for network in networks]
    assert known == [False, False, False, False, True, True]
    assert networks[0](torch.zeros(1, 3)).shape == (1, 3)


def test_a_missing_torch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executed, "find_spec", lambda name: None)
    with pytest.raises(DiagnosticError, match=r"pip install 'xgraph\[torch\]'"):
        to_module(crossed().lowered())


WITHOUT_TORCH = """
import sys
sys.path[:0] = sys.argv[1:]
import xgraph.backends
from xgraph.backends.torch import to_source
from xgraph.ir.graph import Graph
from xgraph.ops import OPS
from xgraph.passes import lower

graph = Graph("t")
x = graph.add(OPS["input"], attrs={"shape": (2, 8)}, address="x").output
for name in ("b", "a", "c"):
    x = graph.add(OPS["se"], [x], address=f"net.{name}.se1").output
    x = graph.add(OPS["linear"], [x], {"units": 8}, address=name).output
graph.outputs["y"] = x
print(to_source(lower(graph)))
assert "torch" not in sys.modules
"""


def test_the_source_needs_no_torch_and_depends_on_the_graph_alone() -> None:
    found = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-c", WITHOUT_TORCH, *sys.path]
        done = subprocess.run(
            command, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
