"""How long values live, and the most that they take, against a runtime that counts readers."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

import pytest
import torch
from random_networks import random_network
from torch.utils._python_dispatch import TorchDispatchMode

from xgraph import load, lower, parse
from xgraph.ir.graph import Graph, Node, Value
from xgraph.ir.types import BATCH, axis_name, evaluate
from xgraph.memory import IN_PLACE, VIEWS, buffers, bytes_of, peaks
from xgraph.ops import OPS
from xgraph.samples import sample_inputs

EXAMPLES = Path(__file__).parent.parent / "examples"


def made(*lines: str) -> Graph:
    return lower(parse("\n".join(["network n", *lines])))


def most(*lines: str) -> object:
    (peak,) = peaks(made(*lines))
    return peak.bytes


def test_a_chain_holds_what_is_read_and_what_is_written() -> None:
    assert most("modality x: [3]", "output y = x -> linear(10) -> linear(7)") == 4 * (3 + 10 + 7)


def test_an_elementwise_op_writes_over_its_input() -> None:
    assert most("modality x: [3]", "output y = x -> linear(10) -> relu -> tanh") == 4 * (3 + 10)


def test_not_over_an_input_of_the_network() -> None:
    assert most("modality x: [3]", "output y = x -> relu") == 4 * (3 + 3)
    assert most("modality x: [3]", "output y = x -> reshape(3, 1) -> relu") == 4 * (3 + 3)


def test_not_over_what_is_read_later() -> None:
    told = "modality x: [3]", "let a = x -> linear(5)", "let b = a -> relu", "output y = add(a, b)"
    assert most(*told) == 4 * (3 + 5 + 5)
    assert most(*told[:-1], "output y = b", "output z = a") == 4 * (3 + 5 + 5)


def test_not_where_the_shape_is_another() -> None:
    told = "modality x: [4]", "let a = x -> linear(4)", "let b = a -> reshape(2, 2)"
    assert most(*told, "output y = mul(b, b)") == 4 * (4 + 4)
    told = "modality x: [4]", "let a = x -> linear(4)"
    spread = "let b = a -> reshape(1, 4)", "let c = a -> reshape(4, 1)"  # of one buffer
    assert most(*told, *spread, "output y = mul(b, c)") == 4 * (4 + 4 + 16)
    wide = "let d = x -> linear(16) -> reshape(4, 4)", "let e = d -> slice(0, 1)"
    assert most(*told, *wide, "output y = mul(d, e)") == 4 * (4 + 16 + 4)


def test_a_view_takes_nothing_and_keeps_what_it_shows() -> None:
    flow = "x -> linear(6) -> reshape(2, 3) -> flatten -> identity"
    assert most("modality x: [3]", f"output y = {flow}") == 4 * (3 + 6)
    told = "modality x: [3]", "let a = x -> linear(6)", "let b = a -> reshape(2, 3)"
    assert most(*told, "output y = a -> relu", "output z = b") == 4 * (3 + 6 + 6)


def test_what_nothing_reads_is_not_kept() -> None:
    told = "modality x: [8]", "output y = split(x, 2, axis = 0) -> add", "output z = x -> linear(1)"
    assert isinstance(most(*told), int)


def test_types_have_their_sizes_and_parameters_none() -> None:
    assert most("modality x: i64 []", "output y = x -> embedding(9, 4)") == 8 + 4 * 4
    low = made("modality x: [3]", "let p = parameter([3])", "output y = add(x, p)")
    assert [bytes_of(n.output) for n in low.nodes() if n.op.name == "parameter"] == [0]
    assert [most.bytes for most in peaks(low)] == [4 * (3 + 3)]


def test_open_axes_stay() -> None:
    told = "dim T", "modality x: [T, 6]"
    assert str(most(*told, "output y = x -> linear(5)")) == "44*T"


def test_no_peak_is_told_that_others_are_above_everywhere() -> None:
    found = peaks(lower(parse(EXAMPLES / "picture_question.xg")))
    assert [str(peak.bytes) for peak in found] == ["8*T + 376840", "2312*T + 65544"]
    low = lower(parse(EXAMPLES / "picture_question.xg"))
    for size in (1, 134, 135, 136, 5000):
        (exact,) = peaks(low, {"T": size})
        assert exact.bytes == max(evaluate(peak.bytes, {"T": size}) for peak in found)


def test_within_each_step_counts() -> None:
    told = "dim T = 7", "modality x: [T, 6]", "each T {", "superlayer a(x) { linear(5) }", "}"
    assert most(*told, "output y = a") == 4 * 7 * (6 + 5)


def test_a_network_without_layers() -> None:
    assert most("modality x: [3]", "output y = x") == 12
    assert peaks(Graph("empty", "tensor")) == []


def test_ops_are_known() -> None:
    assert OPS.keys() >= VIEWS | IN_PLACE
    for name in IN_PLACE:
        assert not OPS[name].is_composite


# ------------------------------------------------------------------------- against counted readers


def counted(graph: Graph, sizes: dict[str, int]) -> int:
    """The peak of a runtime that gives a buffer back once nobody is left to read it."""
    order = graph.live()
    readers: Counter[int] = Counter()
    """Of each buffer, reads to come; an output and a caller read to the end."""
    home: dict[Value, int] = {}
    held: dict[int, int] = {}
    waiting = Counter(value for node in order for value in node.inputs)
    waiting.update(graph.outputs.values())
    locked: set[int] = set()

    def write(value: Value) -> None:
        home[value] = number = len(home)
        held[number] = size(value)

    def size(value: Value) -> int:
        return evaluate(bytes_of(value), sizes)

    for node in order:
        if node.op.name in ("input", "parameter"):
            write(node.output)
            readers[home[node.output]] = waiting[node.output] + 1
            locked.add(home[node.output])
    top = sum(held.values())
    for node in order:
        if node.op.name in ("input", "parameter"):
            continue
        target = over(node, home, readers, locked)
        for value in node.outputs:
            if target is None:
                write(value)
            else:
                home[value] = target
            readers[home[value]] += waiting[value]
        top = max(top, sum(held.values()))
        for value in node.inputs:
            readers[home[value]] -= 1
        for number in [n for n in held if readers[n] == 0]:
            del held[number]
    return top


def over(node: Node, home: dict[Value, int], readers: Counter[int], locked: set[int]) -> int | None:
    """The buffer that a node's output takes over."""
    if node.op.name in VIEWS:
        return home[node.inputs[0]]
    if node.op.name == "each_in":
        is_first = axis_name(node.inputs[0].type.features[0]) == node.resolved.axis
        return home[node.inputs[0]] if is_first else None
    if node.op.name not in IN_PLACE:
        return None
    for value in node.inputs:
        here = [v for v in node.inputs if home[v] == home[value]]
        is_last = readers[home[value]] == len(here) and home[value] not in locked
        shapes = {v.type.shape for v in (*here, node.output)}
        if is_last and len(shapes) == 1 and value.type.dtype is node.output.type.dtype:
            return home[value]
    return None


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_take_what_is_counted(seed: int) -> None:
    low = lower(parse(random_network(seed)))
    for size in (5, 37):
        sizes = {BATCH: 1, "T": size}
        (peak,) = peaks(low, sizes)
        assert peak.bytes == counted(low, sizes)
        assert peak.bytes == sum(evaluate(buffer.bytes, sizes) for buffer in peak.buffers)
        told = [evaluate(most.bytes, sizes) for most in peaks(low)]
        assert peak.bytes == max(told)


@pytest.mark.parametrize("seed", range(20))
def test_every_value_has_one_buffer(seed: int) -> None:
    low = lower(parse(random_network(seed)))
    found = [value for buffer in buffers(low) for value in buffer.values]
    assert Counter(found) == Counter(v for node in low.live() for v in node.outputs)
    assert all(0 <= b.first <= b.last <= len(low.live()) for b in buffers(low))


# ---------------------------------------------------------------------------------- against PyTorch


@final
class _Storages(TorchDispatchMode):
    """Counts the bytes of what operators allocate, as long as it is there."""

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self._ignored = {tensor.untyped_storage()._cdata for tensor in known}
        self._live: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, (tuple, list)) else (found,):
            self.see(tensor)
        return found

    def see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._ignored and key not in self._live:
            self._live[key] = storage.nbytes()
            weakref.finalize(storage, self._live.pop, key, None)
            self.peak = max(self.peak, sum(self._live.values()))


@pytest.mark.parametrize("name", ["photo", "ntu_mfas", "basecnn_cc"])
def test_pytorch_takes_as_much_and_not_thrice(name: str) -> None:
    """It writes over nothing, and keeps variables until they have another value."""
    low = lower(parse(EXAMPLES / f"{name}.xg"))
    module = load(EXAMPLES / f"{name}.xg").eval()
    given = [torch.from_numpy(array) for array in sample_inputs(low, 1).values()]
    with torch.inference_mode(), _Storages([*module.parameters(), *module.buffers()]) as seen:
        for tensor in given:
            seen.see(tensor)
        module(*given)
    (peak,) = peaks(low)
    assert isinstance(peak.bytes, int)
    assert peak.bytes <= seen.peak <= 3 * peak.bytes
