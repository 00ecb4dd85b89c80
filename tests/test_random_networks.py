"""Random networks hold what every network must: through the language, the IR and both backends.

`pytest tests/test_random_networks.py --networks 5000` tests more of them, `--first-network 367
--networks 1` the one of that seed. A failure prints the network, made as short as it will be.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import final

import pytest
from agreement import TOLERANCE, differences, distance, random_weights, torch_outputs
from random_chains import SIZES
from random_networks import random_network
from shrink import shrunk

from xgraph.build import build_source, unbuild
from xgraph.diagnostics import Report
from xgraph.grammar import format_document, parse
from xgraph.ir.graph import Graph
from xgraph.ir.text import dump
from xgraph.ir.types import BATCH
from xgraph.ir.verify import verify
from xgraph.ops import OPS
from xgraph.passes import lower
from xgraph.samples import sample_inputs
from xgraph.source import Source

CHUNKS = 20
"""The networks are tested in so many parts, for parallel workers."""

COVERING = 100
"""In so many networks, of 300 by default, every op occurs."""


@final
class Broken(AssertionError):
    """What a network does not hold; two with the same first line are one mistake."""

    def __init__(self, what: str, detail: object = "") -> None:
        super().__init__(f"{what}\n{detail}")
        self.what = what


def check_network(text: str, seed: int) -> None:
    """Everything that must hold of a network; `Broken` says what does not."""
    graph = _built(text, "it does not build")
    if found := verify(graph):
        raise Broken("its graph is not sound", found)
    _check_format(text, graph)
    _check_unbuild(graph)
    low = lower(graph)
    if found := verify(low):
        raise Broken("its lowered graph is not sound", found)
    _check_backends(low, seed)


def _built(text: str, fault: str) -> Graph:
    report = Report()
    graph = build_source(Source("random.xg", text), report=report)
    if report.errors:
        raise Broken(fault, f"{report.errors[0]}\n{text}")
    return graph


def _check_format(text: str, graph: Graph) -> None:
    report = Report()
    once = format_document(parse(Source("once", text), report))
    if format_document(parse(Source("twice", once), report)) != once:
        raise Broken("formatting it twice is not formatting it once", once)
    if dump(_built(once, "formatted it does not build")) != dump(graph):
        raise Broken("formatting changes it", once)


def _check_unbuild(graph: Graph) -> None:
    text = unbuild(graph)
    again = _built(text, "what `unbuild` writes does not build")
    if found := differences(graph, again):
        raise Broken("what `unbuild` writes is another network", f"{found}\n{text}")
    if (second := unbuild(again)) != text:
        raise Broken("`unbuild` changes its own text", f"{text}\n{second}")
    if dump(_built(second, "what `unbuild` writes does not build")) != dump(again):
        raise Broken("`unbuild` has no fixed point", text)


def _check_backends(low: Graph, seed: int) -> None:
    from xgraph.backends.onnx import check, to_onnx
    from xgraph.backends.torch import to_module
    from xgraph.runtime import Session

    weights = random_weights(low, seed)
    module = to_module(low, weights).eval()
    if set(module.state_dict()) != {name for name, _ in low.params()}:
        raise Broken("its module has other parameters", sorted(module.state_dict()))
    model = to_onnx(low, weights)
    check(model)
    session = Session(model.SerializeToString(), threads=1)
    for sizes in SIZES:
        inputs = sample_inputs(low, sizes[BATCH], seed, {"T": sizes["T"]})
        apart = distance(torch_outputs(module, low, inputs), session.run(inputs))
        if not apart < TOLERANCE:
            raise Broken("the backends do not agree", f"{apart:.2e} apart at {sizes}")


def _fault(text: str, seed: int) -> str | None:
    """What is wrong with a network, in a line."""
    try:
        check_network(text, seed)
    except Broken as broken:
        return broken.what
    except Exception as error:  # any crash is a fault, and that is what it is called
        return f"{type(error).__name__} {error}".splitlines()[0]
    return None


def _report(seed: int) -> Iterator[str]:
    """The lines that tell of the fault of one network."""
    text = random_network(seed)
    fault = _fault(text, seed)
    yield f"the network of seed {seed}: {fault}"
    yield f"again: pytest tests/test_random_networks.py --first-network {seed} --networks 1\n"
    short = shrunk(text, lambda candidate: _fault(candidate, seed) == fault)
    yield short
    try:
        check_network(short, seed)
    except Exception as error:
        yield str(error)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_networks(chunk: int, request: pytest.FixtureRequest) -> None:
    first = request.config.getoption("--first-network")
    count = request.config.getoption("--networks")
    for seed in range(first + chunk, first + count, CHUNKS):
        if _fault(_network(seed), seed) is not None:
            pytest.fail("\n".join(_report(seed)), pytrace=False)


@cache
def _network(seed: int) -> str:
    return random_network(seed)


def test_every_op_and_router_occurs() -> None:
    used: set[str] = set()
    for seed in range(COVERING):
        used |= {node.op.name for node in _built(_network(seed), "it does not build").nodes()}
    assert not {name for name, op in OPS.items() if not op.hidden} - used


def test_a_failure_is_made_short() -> None:
    text = "modality x: [3]\nlet y = x -> relu -> tanh -> relu\nfusion z(x) {\n  relu\n}\n"
    assert shrunk(text, lambda candidate: "tanh" in candidate) == "let y = x -> tanh\n"


# ------------------------------------------------------------------- what such networks found

FOUND = {
    # ONNX Runtime merged the border into the pooling, where zeros do not count.
    "a border before a maximum": """
        network found
        modality x: [2, 6]
        superlayer y(x) { scale(-1, -9) -> pad([[1, 2]]) -> maxpool([2]) }
        output y
    """,
    # One copy was written by a name that the other reads past its connection.
    "copies that read one value by two names": """
        network found
        modality x: [4]
        superlayer y[2](x) { p: relu; q: repeat 1 { tanh -> add(p) }; q[0] -> add(x) }
        connect x -> y[1].in by add
        connect y[1].in -> y[1].q[0].in by add
        output y = mean(y[*])
    """,
    "a tensor of the network as its result": """
        network found
        modality x: [3]
        let own = x -> relu
        output y = parameter([3], init = ones)
        output z = own
    """,
    # Shapes that are computed, lists and several values in a chain had no text.
    "computed sizes": """
        network found
        dim T
        modality x: [2 * T, T // 2 + 1]
        output y = x -> scale(2)
    """,
    "lists of values": """
        network found
        modality x: [3]
        let l = [x, x]
        let m = [x -> tanh, x -> relu]
        output y = concat(l)
        output z = concat(m)
    """,
    "several values in an argument": """
        network found
        modality x: [3, 8, 8]
        output y = concat(split(x, [1, 2]))
    """,
    # The layer within the argument took a name at the top, and lost it in the text.
    "a layer called in an argument": """
        network found
        modality x: [6]
        output y = wsum(x, linear(x, 3))
    """,
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    check_network(FOUND[name], 1)
