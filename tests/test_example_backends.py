"""Every example through both backends: equal outputs, scripted and compiled modules, `unbuild`."""

from __future__ import annotations

import shutil
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import TOLERANCE, Arrays, differences, distance, random_weights, torch_outputs

from xgraph import lower, parse, unbuild
from xgraph.grammar import format_document
from xgraph.grammar import parse as parse_text
from xgraph.ir.graph import Graph
from xgraph.ir.text import dump
from xgraph.samples import sample_inputs

EXAMPLES = Path(__file__).parent.parent / "examples"
VARIANTS: list[tuple[str, dict[str, object]]] = [
    *((path.stem, {}) for path in sorted(EXAMPLES.glob("*.xg"))),
    ("xkerasnet", {"full": True}),
    ("basecnn", {"deep": True}),
    ("basecnn_cc", {"paths": 3}),
    ("basecnn_cc", {"paths": 4}),
    ("basecnn_cp", {"paths": 3}),
    ("basecnn_static", {"router": "nddr"}),
    ("basecnn_static", {"router": "sluice"}),
    ("basecnn_static", {"per": "channel"}),
    ("resnet_cifar_cc", {"paths": 4}),
    ("resnet_cifar_cc", {"n": 5}),
    ("resnet_cifar_cp", {"paths": 3}),
    ("resnet_imagenet_cc", {"layers": 50}),
    ("xflow", {"digits": True}),
    ("xflow_lstm", {"digits": True}),
    ("avmnist_mfas", {"found": 2}),
    ("ntu_mfas", {"row": 3}),
]
IDS = ["-".join([name, *(f"{k}={v}" for k, v in settings.items())]) for name, settings in VARIANTS]
every_example = pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=IDS)


@cache
def _made(name: str, settings: tuple[tuple[str, object], ...]) -> tuple[Graph, Graph, Arrays]:
    graph = parse(EXAMPLES / f"{name}.xg", dict(settings))
    low = lower(graph)
    return graph, low, random_weights(low, seed=3)


def made(name: str, settings: dict[str, object]) -> tuple[Graph, Graph, Arrays]:
    """The graph, its lowered form and weights that are no longer the initial ones."""
    return _made(name, tuple(settings.items()))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@every_example
def test_pytorch_and_onnx_runtime_agree(name: str, settings: dict[str, object]) -> None:
    from xgraph.backends.onnx import check, to_onnx
    from xgraph.backends.torch import to_module
    from xgraph.runtime import Session

    _, low, weights = made(name, settings)
    module = to_module(low, weights).eval()
    assert set(module.state_dict()) == {address for address, _ in low.params()}
    model = to_onnx(low, weights)
    check(model)
    session = Session(model.SerializeToString(), threads=1)
    for batch in (1, 3):
        inputs = sample_inputs(low, batch, seed=batch)
        found = session.run(inputs)
        assert all(np.isfinite(value).all() for value in found.values())
        assert distance(torch_outputs(module, low, inputs), found) < TOLERANCE


@every_example
def test_what_unbuild_prints_builds_the_same_graph(name: str, settings: dict[str, object]) -> None:
    graph, _, _ = made(name, settings)
    text = unbuild(graph)
    again = parse(text)
    assert not differences(graph, again)
    assert unbuild(again) == text
    assert dump(again) == dump(parse(unbuild(again)))


@every_example
def test_the_module_compiles_whole(name: str, settings: dict[str, object]) -> None:
    import torch

    from xgraph.backends.torch import to_module

    _, low, weights = made(name, settings)
    module = to_module(low, weights).eval()
    inputs = sample_inputs(low, 2)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    expected = torch_outputs(module, low, inputs)
    assert distance(expected, torch_outputs(compiled, low, inputs)) < TOLERANCE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(module)
    assert distance(expected, torch_outputs(scripted, low, inputs)) < TOLERANCE


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "settings"),
    [v for v in VARIANTS if not v[1]],
    ids=[v[0] for v in VARIANTS if not v[1]],
)
def test_the_module_compiles_to_machine_code(name: str, settings: dict[str, object]) -> None:
    import torch

    from xgraph.backends.torch import to_module

    if shutil.which("g++") is None:
        pytest.skip("PyTorch's compiler needs g++, and there is none")
    _, low, weights = made(name, settings)
    module: Any = to_module(low, weights).eval()
    inputs = sample_inputs(low, 2)
    torch._dynamo.reset()
    compiled = torch.compile(module)
    expected = torch_outputs(module, low, inputs)
    assert distance(expected, torch_outputs(compiled, low, inputs)) < TOLERANCE


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.xg")), ids=lambda path: path.stem)
def test_formatting_changes_nothing_twice(path: Path) -> None:
    from xgraph.diagnostics import Report
    from xgraph.source import Source

    report = Report()
    once = format_document(parse_text(Source(path.name, path.read_text()), report))
    assert not report.errors
    assert once == path.read_text()
    assert format_document(parse_text(Source(path.name, once), report)) == once
