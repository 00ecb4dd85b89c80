"""`xgraph profile`: times by the names of a `.xg`, and sums that hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from click.testing import CliRunner

import xgraph
from xgraph import DiagnosticError, driver
from xgraph.cli import main
from xgraph.optimize.levels import optimize
from xgraph.profile import Profile, profile
from xgraph.profile.places import Line, Places
from xgraph.report import Summary

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PHOTO, PATHS = EXAMPLES / "photo.xg", EXAMPLES / "basecnn_cc.xg"

STEPS = """network steps
dim T
modality x: [T, 8]
modality y: [4]
each T {
  superlayer a(x) { b: linear(4) -> relu; linear(4) }
}
let s = a -> slice(-3, -1, axis = T)
output a = s -> flatten
output z = y -> relu
"""


def places(network: Path | str, level: str = "0") -> Places:
    graph = xgraph.parse(network)
    made = optimize(driver.tensor_graph(graph), level)
    return Places(Summary(graph).parts, made.graph)


def lines(found: Profile) -> Iterator[Line]:
    for top in found.lines:
        yield from (line for _, line in top.walk())


def by_title(found: Profile) -> dict[str, Line]:
    return {line.part.title: line for line in found.lines}


# ------------------------------------------------------------------------------ names of kernels


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("form.edges.unit1.relu1_nchwc", "form.edges"),
        ("form.edges.maxpool1", "form.edges"),
        ("form.edges", "form.edges"),
        ("form", "form"),
        ("fused head.gmu1.hidden.1", "head"),
        ("head.gmu1.scale1/Mul", "head"),
        ("cc_form_parts_colour_regions.mul1_2/Fusion", "cc_form_parts_colour_regions"),
        ("colour_patches_to_form_edges.concat1_2", "colour_patches_to_form_edges"),
        ("former.edges.relu1", None),
        ("form_nchwc", "form"),
        ("ReorderInput_token_5", None),
        ("Memcpy", None),
        ("", None),
    ],
)
def test_a_kernel_has_a_part(name: str, part: str | None) -> None:
    assert places(PHOTO).of(name) == part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("path_all.c2.unit1.conv1", "path_all.c2"),
        ("path_all.c4.unit2.relu1_nchwc", "path_all.c4"),
        ("path_all.linear1", "path_all"),
        ("path.1.d1.dense1.linear1", "path.1.d1"),
        ("fused cc_path_c2.gate_all.fc1", "cc_path_c2"),
        ("cc_path_c2.add1_all_4/MatmulTransposeFusion/", "cc_path_c2"),
        ("logits.scale1", "output logits"),
        ("logits.add1_2", "output logits"),
    ],
)
def test_a_kernel_of_several_paths_has_a_part_of_its_own(name: str, part: str) -> None:
    assert places(PATHS, "2").of(name) == part


def test_without_joint_layers_there_are_no_joint_parts() -> None:
    assert places(PATHS).of("path_all.c2.unit1.conv1") is None


def test_a_super_layer_may_have_the_name_of_a_joint_one() -> None:
    text = PATHS.read_text("utf-8")
    text = text.replace("output logits", "superlayer path_all(image) { conv(2, 1) }\noutput logits")
    found = profile(text + "output more = path_all\n", optimize="2", repeats=1)
    titles = [line.part.title for line in found.lines]
    assert titles.count("superlayer path_all") == 1
    assert "superlayer path[*]" not in titles


def test_an_output_is_not_the_super_layer_of_its_name() -> None:
    found = places(STEPS)
    assert found.of("a.b.linear1") == "a.b"
    assert found.of("a_2.reshape1") == "output a"
    assert found.of("x_per_T") == "each T"
    assert found.of("z_nchwc_2") == found.of("z") == "output z"


# ------------------------------------------------------------------------------------------ sums


@pytest.mark.parametrize("backend", ["onnx", "torch"])
@pytest.mark.parametrize(
    ("network", "level"), [(PHOTO, "0"), (PATHS, "2"), (STEPS, "0")], ids=["0", "2", "each"]
)
def test_all_times_add_up(
    network: Path | str, level: str, backend: Literal["onnx", "torch"]
) -> None:
    found = profile(network, optimize=level, backend=backend, repeats=3)
    tops = sum(line.seconds for line in found.lines)
    assert found.total == pytest.approx(tops + sum(found.rest.values()))
    assert 0 < tops < found.total
    assert all(took > 0 for took in found.rest.values())
    for line in lines(found):
        assert line.seconds >= sum(inner.seconds for inner in line.lines) - 1e-12
    assert found.plain > 0
    if backend == "onnx":
        assert set(found.rest) == {"between kernels"}


def test_super_layers_connections_routers_and_fusions_have_times() -> None:
    found = by_title(profile(PHOTO, repeats=3))
    for title in ("superlayer form", "superlayer colour", "fusion head",
                  "connect colour.patches -> form.edges  (by concat)",
                  "route form.parts, colour.regions  (cc)"):  # fmt: skip
        assert found[title].seconds > 0
    points = {line.part.name: line.seconds for line in found["superlayer form"].lines}
    assert points.keys() == {"edges", "parts", "whole"}
    assert min(points.values()) > 0
    assert found["modality luma"].seconds == 0


def test_paths_that_run_as_one_are_one_line() -> None:
    found = by_title(profile(PATHS, optimize="2", repeats=3))
    joint = found["superlayer path[*]"]
    assert joint.is_joint
    assert joint.seconds > found["superlayer path[0]"].seconds
    assert [line.part.name for line in joint.lines] == ["c2", "c4", "c6", "d1"]
    assert [line.part.name for line in found["superlayer path[0]"].lines] == ["d1"]
    apart = by_title(profile(PATHS, repeats=3))
    assert "superlayer path[*]" not in apart
    assert len(apart["superlayer path[0]"].lines) == 4


def test_reorders_are_told_by_where_they_stand() -> None:
    found = profile(PHOTO, repeats=3)
    assert found.layout > 0
    assert "other kernels" not in found.rest


def test_open_axes_have_a_size() -> None:
    assert profile(STEPS, repeats=1).sizes == {"T": 12}
    assert profile(STEPS, repeats=1, sizes={"T": 20}).sizes == {"T": 20}


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    profile(PHOTO, repeats=1)
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch": 0}, "`batch` is from 1 to"),
        ({"batch": 10**30}, "`batch` is from 1 to"),
        ({"batch": "many"}, "`batch` is an integer, not str 'many'"),
        ({"batch": None}, "`batch` is an integer, not None"),
        ({"repeats": 0}, "`repeats` is from 1 to"),
        ({"sizes": {"T": 0}}, "`T` is from 1 to"),
        ({"sizes": 3}, "`sizes` are numbers by axis, not int 3"),
        ({"optimize": 2}, "`optimize` is a text such as '2', not int 2"),
        ({"sizes": {"S": 3}}, "no open axis `S`"),
        ({"sizes": {"T": 1}}, "did not run"),
        ({"backend": "tf"}, "`backend` cannot be str 'tf'"),
        ({"device": "tpu"}, "`device` cannot be str 'tpu'"),
        ({"device": "cuda"}, "ONNX Runtime tells how long it takes to hand work"),
        ({"optimize": "9"}, "`9` is no optimisation"),
        ({"weights": "no.safetensors"}, "there is no such file"),
        ({"settings": {"k": 1}}, "no param `k`"),
    ],
    ids=str,
)
def test_a_mistake_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        profile(STEPS, **options)
    assert told in str(caught.value)
    assert "/tmp" not in str(caught.value)


def test_sizes_that_are_not_found_can_be_given() -> None:
    text = "network n\ndim T\nmodality x: [T - 5000, 2]\noutput y = x -> relu\n"
    with pytest.raises(DiagnosticError, match="give sizes to `T`"):
        profile(text)
    found = profile(text, sizes={"T": 5002}, repeats=1)
    assert found.sizes == {"T": 5002}
    assert found.total > 0
    with pytest.raises(DiagnosticError, match="inputs cannot be made"):
        profile(text, sizes={"T": 4999})


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_network_without_layers(backend: Literal["onnx", "torch"]) -> None:
    found = profile("network n\nmodality x: [3]\noutput y = x\n", backend=backend, repeats=2)
    assert found.total > 0


def test_only_a_network_with_parts() -> None:
    with pytest.raises(DiagnosticError, match="no parts to be told of"):
        profile(xgraph.lower(xgraph.parse(STEPS)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu() -> None:
    with pytest.raises(DiagnosticError, match="PyTorch finds no CUDA device"):
        profile(STEPS, backend="torch", device="cuda")


# ------------------------------------------------------------------------------------- the command


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["profile", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_prints_a_tree() -> None:
    told = run(PATHS, "-O2", "--batch", 2, "--repeats", 2).splitlines()
    assert told[0] == "network basecnn_cc, batch 2, onnx on cpu, -O 2"
    assert told[1].split() == ["ms", "%"]
    (total,) = [line for line in told if line.startswith("total")]
    assert total.split()[-1] == "100.0"
    assert told[-1].startswith("a run that is not measured takes ")


def test_json() -> None:
    told = json.loads(run(PHOTO, "--json", "--repeats", 2, "--backend", "torch"))
    assert {"backend": "torch", "batch": 1, "sizes": {}}.items() <= told.items()
    shares = [part["share"] for part in (*told["parts"], *told["rest"].values())]
    assert sum(shares) == pytest.approx(1)
    (form,) = [part for part in told["parts"] if part["name"] == "form"]
    assert [part["name"] for part in form["parts"]] == ["edges", "parts", "whole"]


@pytest.mark.parametrize(
    "args", [("--batch", "x"), ("--size", "T"), ("--size", "T=x"), ("--size", "=3")], ids=" ".join
)
def test_a_wrong_command_line(args: tuple[str, ...]) -> None:
    run(PHOTO, *args, code=2)


def test_a_network_with_mistakes(tmp_path: Path) -> None:
    (tmp_path / "n.xg").write_text("network n\nmodality x: [3]\noutput y = x -> linaer(3)\n")
    assert "unknown" in run(tmp_path / "n.xg", code=1)
