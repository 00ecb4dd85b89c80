"""ONNX files: whole or not at all, with tensors inside or beside."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_support import Net, random_inputs, random_weights

from xgraph.backends.onnx import check, files, save, to_onnx
from xgraph.diagnostics import DiagnosticError
from xgraph.runtime import Session

onnx = pytest.importorskip("onnx")


def model_and_run() -> tuple[Any, Any, Any]:
    net = Net()
    graph = net.output(net("linear", net.input("x", 64), at="a", units=32)).lowered()
    weights, inputs = random_weights(graph), random_inputs(graph, N=3)
    model = to_onnx(graph, weights)
    return model, inputs, inputs["x"] @ weights["a.weight"].T + weights["a.bias"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_file(tmp_path: Path) -> None:
    model, inputs, wanted = model_and_run()
    save(model, tmp_path / "net.onnx")
    assert names(tmp_path) == ["net.onnx"]
    found = Session(tmp_path / "net.onnx").run(inputs)["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_tensors_beside_it(tmp_path: Path) -> None:
    model, inputs, wanted = model_and_run()
    before = model.SerializeToString()
    save(model, tmp_path / "net.onnx", external=True)
    assert model.SerializeToString() == before
    assert names(tmp_path) == ["net.onnx", "net.onnx.data"]
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    found = Session(tmp_path / "net.onnx").run(inputs)["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    loaded = onnx.load(tmp_path / "net.onnx")
    assert loaded.graph.node == model.graph.node
    assert loaded.metadata_props == model.metadata_props


def test_many_tensors_go_beside_it_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 4096)
    model, inputs, wanted = model_and_run()
    save(model, str(tmp_path / "net"))
    assert names(tmp_path) == ["net", "net.data"]
    found = Session(tmp_path / "net").run(inputs)["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_tensors_beside_it_start_at_pages(tmp_path: Path) -> None:
    net = Net()
    y = net("linear", net.input("x", 40), at="a", units=30)
    graph = net.output(net("linear", y, at="b", units=300)).lowered()
    weights = random_weights(graph)
    save(to_onnx(graph, weights), tmp_path / "net.onnx", external=True)
    loaded = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    places = {
        t.name: int(e.value) for t in loaded.graph.initializer for e in t.external_data
        if e.key == "offset"
    }  # fmt: skip
    assert places == {"a.weight": 0, "b.weight": 8192, "b.bias": 45056}
    assert "a.bias" not in places  # small enough to stand in the model


def test_checking_never_needs_the_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models over 2 GB cannot be handed to the checker as they are."""
    model, _, _ = model_and_run()
    seen: list[int] = []
    inner = onnx.checker.check_model

    def spy(model: Any, **options: Any) -> None:
        seen.append(model.ByteSize())
        inner(model, **options)

    monkeypatch.setattr(onnx.checker, "check_model", spy)
    check(model)
    assert seen[0] < 1000 < model.ByteSize()


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "may write to")]
)
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, external: bool, number: int, advice: str
) -> None:
    model, _, _ = model_and_run()
    path = tmp_path / "net.onnx"
    save(model, path, external=external)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiagnosticError) as caught:
        save(model, path, external=external)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.id, diagnostic.origin) == ("cannot-write", str(path))
    assert advice in (diagnostic.help or "")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    model, _, _ = model_and_run()
    (tmp_path / "file").write_text("text")
    for path, advice in [
        (tmp_path / "none" / "net.onnx", "make the folder"),
        (tmp_path / "file" / "net.onnx", "is not a folder"),
        (tmp_path, "the name of a file"),
        (Path(os.devnull), "the name of a file"),
    ]:
        with pytest.raises(DiagnosticError, match=advice):
            save(model, path)
    assert names(tmp_path) == ["file"]


def test_a_link_keeps_pointing_to_the_file(tmp_path: Path) -> None:
    model, inputs, _ = model_and_run()
    (tmp_path / "real").mkdir()
    link = tmp_path / "net.onnx"
    link.symlink_to(tmp_path / "real" / "net.onnx")
    save(model, link)
    assert link.is_symlink()
    assert Session(tmp_path / "real" / "net.onnx").run(inputs)
