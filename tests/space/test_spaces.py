"""The example spaces: sizes, samples that build, what samples share, membership.

`published`: the number in the paper. `arithmetic`: the product or sum of what it says there is to
choose from.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import islice
from math import prod
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner

from xgraph.build import build_file, build_source, unbuild
from xgraph.cli import main
from xgraph.diagnostics import DiagnosticError, Report
from xgraph.files import read_text
from xgraph.grammar import format_document, parse
from xgraph.ir.canonical import canonical
from xgraph.ir.data import from_json, to_json
from xgraph.ir.text import dump, read
from xgraph.ir.verify import verify_or_raise
from xgraph.ops import OPS
from xgraph.passes import lower
from xgraph.source import Source
from xgraph.space import Sample, Space
from xgraph.weights import inherit, initialise

SPACES = Path(__file__).parent.parent.parent / "examples" / "spaces"
NAMES = [path.stem for path in sorted(SPACES.glob("*.xg"))]
every_space = pytest.mark.parametrize("name", NAMES)

CELLS = 6**5 * 4**5 * 2**10
SIZES = {
    "digits_mfas": 18 + 18**2 + 18**3,
    "avmnist_mfas": 30 + 30**2 + 30**3 + 30**4,  # 30 a layer: published
    "mmimdb_mfas": 110_592,  # published
    "ntu_mfas": 5_308_416,  # published
    "avmnist_randomnet": CELLS**2 * 262_144,  # arithmetic
    "trimodal_randomnet": (4**4 * 2**4 * 2**6) * (3**3 * 2**3 * 2**3) * (2**3 * 2**3 * 2**3)
    * 2 ** (3 + 6) * 2**2,
    "own_space": 3 * 3 * (1 + 2) * 2 * 2 * 3 * 3 * 49 * 2,
}  # fmt: skip


@cache
def space(name: str) -> Space:
    return Space.load(SPACES / f"{name}.xg")


def samples(name: str, count: int, seed: int = 1) -> list[Sample]:
    return list(space(name).samples(count, seed))


def part(head: str, name: str) -> int:
    """The size of one decision of a space."""
    region = space(name).region
    return region.parts[region.names.index(head)].size


def test_sizes() -> None:
    assert CELLS == 8_153_726_976
    assert {name: space(name).size for name in NAMES} == SIZES
    assert part("image_net", "avmnist_randomnet") == CELLS
    assert part("head", "avmnist_randomnet") == 262_144


# ------------------------------------------------------------------------------------ samples


def built(sample: Sample) -> None:
    """A sample builds, is sound at both levels, and is the one its text says."""
    graph = sample.graph()
    verify_or_raise(graph, "build")
    verify_or_raise(lower(graph), "lower")
    assert graph.meta["encoding"] == sample.encoding
    again = sample.space.decode(graph.meta["encoding"])
    assert again.pick == sample.pick
    assert again.text == sample.text


@every_space
def test_samples_build(name: str) -> None:
    for sample in samples(name, 50):
        built(sample)


@pytest.mark.long
@every_space
def test_ten_thousand_samples_build(name: str) -> None:
    for sample in samples(name, 10_000, seed=2):
        built(sample)


@every_space
def test_samples_are_canonical_text(name: str) -> None:
    for sample in samples(name, 10):
        source = Source("sample", sample.text)
        assert format_document(parse(source, Report())) == sample.text


@every_space
def test_the_encoding_stays_with_the_network(name: str) -> None:
    (sample,) = samples(name, 1)
    graph = sample.graph()
    again = build_source(Source("again", unbuild(graph)))
    assert again.meta == graph.meta == lower(graph).meta == graph.copy().meta
    assert canonical(again) == canonical(graph)
    assert space(name).contains(again)
    assert read(dump(graph), OPS).meta == from_json(to_json(graph), OPS).meta == graph.meta


@every_space
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    again = Space.load(SPACES / f"{name}.xg")
    assert [s.text for s in samples(name, 5)] == [s.text for s in again.samples(5, 1)]
    assert [s.text for s in samples(name, 5)] != [s.text for s in samples(name, 5, seed=2)]


@every_space
def test_the_first_network_has_no_mistakes(name: str) -> None:
    graph, report = space(name).check()
    assert not list(report)
    assert graph.outputs["logits"].type.rank == 1


@every_space
def test_vectors_tell_samples_apart(name: str) -> None:
    found = [tuple(space(name).vector(s)) for s in samples(name, 30)]
    assert len({len(vector) for vector in found}) == 1
    assert len(set(found)) == len({s.encoding for s in samples(name, 30)})


@every_space
def test_neighbours_and_crossovers_are_networks(name: str) -> None:
    one, other = samples(name, 2)
    for near in islice(space(name).neighbours(one), 3):
        built(near)
        assert near.encoding != one.encoding
    built(space(name).crossover(one, other, Random(1)))


def test_enumeration_meets_every_network_once() -> None:
    small = Space.load(
        "network a\nmodality x: [8]\noutput y = x -> linear(1 .. 3) -> maybe(relu)\n"
    )
    found = [sample.encoding for sample in small.enumerate()]
    assert len(found) == len(set(found)) == small.size == 6
    assert found[0] == "range1: 1; maybe1: 0"


# ------------------------------------------------------------------------- the papers' facts


def parameters(sample: Sample, head: str) -> int:
    low = lower(sample.graph())
    kinds = [p for name, p in low.params() if name.startswith(head) and p.kind == "parameter"]
    return sum(prod(param.shape) for param in kinds)


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (((1, 0, 1), (0, 1, 1, 0, 1), (0, 0, 1, 1, 0, 0, 1)), 216_330),  # 5 connections: published
        (((1, 1, 1), (1, 1, 1, 0, 1), (0, 0, 1, 1, 1, 0, 1)), 265_482),  # 8 connections: published
    ],
)
def test_randomnet_fusions_have_as_many_parameters_as_published(
    rows: tuple[tuple[int, ...], ...], count: int
) -> None:
    (sample,) = samples("avmnist_randomnet", 1)
    fused = space("avmnist_randomnet").decode({**sample.rows, "head": rows})
    assert parameters(fused, "head.") == count


@pytest.mark.parametrize(
    ("found", "encoding"),
    [
        (1, "head: (5, 3, 1) (4, 2, 1) (5, 3, 1)"),
        (2, "head: (3, 3, 2) (5, 2, 1) (1, 3, 1) (1, 1, 2)"),
    ],
)
def test_mfas_writes_what_avmnist_found(found: int, encoding: str) -> None:
    """The published encodings of Table 1 give the networks that a person wrote out."""
    written = build_file(SPACES.parent / "avmnist_mfas.xg", {"found": found})
    assert canonical(space("avmnist_mfas").decode(encoding).graph()) == canonical(written)


def test_mfas_writes_what_ntu_found() -> None:
    """Row 3 of Table 5, whose count is published; its matrix is 0-based in the authors' code."""
    best = space("ntu_mfas").decode("head: (4, 2, 2) (2, 4, 1) (2, 2, 2) (4, 4, 1)")
    assert parameters(best, "head.h") == 2_163_712


def test_a_first_layer_without_features_takes_all_it_may() -> None:
    (sample,) = samples("avmnist_randomnet", 1)
    rows = ((0, 0, 1), (0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 0, 1))
    text = space("avmnist_randomnet").decode({**sample.rows, "head": rows}).text
    assert "h1: fuse(audio_net.c1, image_net.c1) -> linear(units) -> relu\n" in text
    assert "h2: h1 -> linear(units) -> relu\n" in text


# -------------------------------------------------------------------------- what is shared


def shared(name: str, a: str | Sample, b: str | Sample) -> set[str]:
    """The parameters that one network of a space inherits from another."""
    old, new = (
        initialise(lower((space(name).decode(each) if isinstance(each, str) else each).graph()), 0)
        for each in (a, b)
    )
    return set(inherit(old, new).matched)


def test_mfas_layers_share_by_index_and_size_alone() -> None:
    """Layer 1 agrees in features and not in its activation, layer 2 in the sum of widths, layer 3
    in neither."""
    a, b = "head: (1, 1, 1) (2, 3, 1) (1, 1, 1)", "head: (1, 1, 2) (2, 4, 2) (2, 1, 1)"
    a, b = (f"{each} (1, 1, 1)" for each in (a, b))
    found = {name.rpartition(".")[0] for name in shared("ntu_mfas", a, b) if ".h" in name}
    weights = {name for name in shared("ntu_mfas", a, b) if name.endswith("weight")}
    assert "head.h1.linear1.weight" in weights
    assert "head.h2.linear1.weight" in weights
    assert "head.h3.linear1.weight" not in weights
    assert "head.h4.linear1.weight" in weights
    assert found == {f"head.h{i}.linear1" for i in (1, 2, 3, 4)}  # of layer 3 the bias


def test_randomnet_nodes_share_by_place_and_operation() -> None:
    """Cells that differ in node 2's operation, node 3's activation and node 4's inputs."""
    name = "trimodal_randomnet"
    (sample,) = samples(name, 1)
    common = {**sample.rows, "head": ((1, 1, 1, 1), (1, 1, 1, 1, 1, 1, 1))}
    a = {**common, "frame_net": ((1, 1), (2, 1, 1), (3, 1, 1, 0), (2, 1, 0, 1, 0))}
    b = {**common, "frame_net": ((1, 1), (3, 1, 1), (3, 2, 1, 0), (2, 1, 1, 1, 1))}
    found = shared(name, space(name).decode(a), space(name).decode(b))
    low = lower(space(name).decode(b).graph())
    ours = {n for n, _ in low.params() if n.startswith("frame_net.c")}
    assert {n for n in ours if ".n2." in n}.isdisjoint(found)
    assert {n for n in ours if ".n2." not in n} <= found
    assert "frame_net.c2.n3.sepconv51.bn1.weight" in found


# -------------------------------------------------------------------------------- holes

HOLES = """\
network holes
modality x: [3, 16, 16]
modality z: [12]
superlayer net(x) = randomnet {
  cells: 2; layers: 2; width: 8 .. 16; ops: conv(3), maxpool(3)  # left behind
  activations: relu, choice(tanh, sigmoid)
  then: maybe(bn) -> relu
}
superlayer flat(z) { f1: linear(8); repeat 1 .. 2 { linear(8) -> relu }; maybe(relu) }
connect flat.f1 -> flat.out via maybe(relu)
fusion head(net, flat) = mfas {
  features: [choice(net.c1, net.c2), net.c2], flat
  layers: 1 .. 2; units: choice(16, 32); activations: relu
  then: maybe(dropout(0.5)) -> linear(10)
}
output y = head
"""


def test_holes_stand_in_spaces_and_clauses() -> None:
    holes = Space.load(HOLES)
    assert holes.region.names == (
        "net", "range1", "choice1", "maybe1", "range2", "maybe2", "maybe3", "head", "choice2",
        "choice3", "maybe4",
    )  # fmt: skip
    for sample in holes.samples(20):
        built(sample)
        assert "left behind" not in sample.text
    first = holes.decode(
        "net: (1, 2) (2, 1, 1); range1: 9; choice1: 2; maybe1: 0; range2: 2; maybe2: 0; maybe3: 0;"
        "head: (1, 1, 1); choice2: 2; choice3: 1; maybe4: 1"
    ).text
    assert "n1: in -> conv3(9) -> sigmoid" in first
    assert "connect flat.f1 -> flat.out\n" in first
    assert "  h1: fuse(net.c2, flat) -> linear(16) -> relu\n" in first
    assert "{ f1: linear(8); repeat 2 { linear(8) -> relu } }\n" in first


def test_a_hole_in_a_block_is_one_decision() -> None:
    block = "block unit() { linear(4 .. 5) }\n"
    shared = Space.load(f"network a\n{block}modality x: [8]\noutput y = x -> unit -> unit\n")
    assert shared.size == 2
    assert {str(s.graph().outputs["y"].type) for s in shared.enumerate()} == {
        "f32[N, 4]",
        "f32[N, 5]",
    }


def test_ranges_in_indices_are_no_holes() -> None:
    text = (
        "network a\nmodality x: [8]\nsuperlayer p[0 .. 1](x) { linear(4) }\n"
        "output y = add(p[0 .. 1]) -> linear(1 .. 3)\n"
    )
    assert Space.load(text).size == 3


# --------------------------------------------------------------------------- membership


def test_a_network_of_another_space_is_told_apart() -> None:
    (other,) = samples("mmimdb_mfas", 1)
    found = space("ntu_mfas").contains(other.text)
    assert not found
    assert "another space" in found.reason


def test_an_edited_sample_is_told() -> None:
    sample = space("ntu_mfas").decode("head: (1, 1, 1) (1, 1, 1) (1, 1, 1) (1, 1, 1)")
    edited = sample.text.replace("relu", "sigmoid", 1)
    with pytest.raises(DiagnosticError) as caught:
        space("ntu_mfas").contains(edited)
    assert [d.id for d in caught.value.diagnostics] == ["encoding-mismatch"]


SMALL = """\
network small
modality x: [8]
superlayer net(x) { choice(linear(8), linear(4) -> linear(8), identity) -> maybe(relu) }
output y = net -> choice(identity, relu)
"""


def test_a_small_space_finds_a_network_without_encoding() -> None:
    found = Space.load(SMALL).contains(
        "network b\nmodality x: [8]\nlet z = x -> linear(8) -> relu\noutput y = z\n"
    )
    assert found.sample is not None
    assert found.sample.rows["choice1"] == 1
    missing = Space.load(SMALL).contains("network b\nmodality x: [8]\noutput y = x -> tanh\n")
    assert missing.reason == "none of its networks computes the same"


@pytest.mark.parametrize("name", ["avmnist_mfas", "mmimdb_mfas", "own_space"])
def test_a_large_space_finds_a_network_without_encoding(name: str) -> None:
    for sample in samples(name, 2, seed=6):
        graph = sample.graph()
        graph.meta.clear()
        found = space(name).contains(graph)
        assert found.sample is not None
        assert canonical(found.sample.graph()) == canonical(graph)


def test_the_networks_that_a_paper_found_are_in_its_space() -> None:
    found = space("avmnist_mfas").contains(build_file(SPACES.parent / "avmnist_mfas.xg"))
    assert found.sample is not None
    assert found.sample.encoding == "head: (5, 3, 1) (4, 2, 1) (5, 3, 1)"


@pytest.mark.parametrize("name", ["avmnist_mfas", "avmnist_randomnet"])
def test_a_network_that_is_not_found_has_a_reason(name: str) -> None:
    other = build_file(SPACES.parent / "avmnist_late.xg")
    found = space(name).contains(other)
    assert not found
    assert found.reason.startswith("it carries no encoding, and ")


def test_unique_networks_compute_different_things() -> None:
    """Of 12 encodings, three pairs apply `relu` once, here or there."""
    small = Space.load(SMALL)
    everything = {canonical(sample.graph()) for sample in small.enumerate()}
    assert small.size == 12
    found = list(small.samples(len(everything), unique=True))
    assert {canonical(sample.graph()) for sample in found} == everything
    with pytest.raises(DiagnosticError) as caught:
        list(small.samples(len(everything) + 1, unique=True))
    assert [d.id for d in caught.value.diagnostics] == ["too-few-networks"]


@every_space
def test_unique_networks_of_a_large_space(name: str) -> None:
    found = list(space(name).samples(8, seed=3, unique=True))
    assert len({canonical(sample.graph()) for sample in found}) == 8


# ------------------------------------------------------------------------------- the command


def test_sample_writes_whole_files_and_overwrites_none(tmp_path: Path) -> None:
    file, out = str(SPACES / "ntu_mfas.xg"), str(tmp_path / "out")
    run = CliRunner().invoke
    assert run(main, ["sample", file, "-n", "3", "-o", out]).exit_code == 0
    written = sorted(path.name for path in Path(out).iterdir())
    assert written == [f"ntu_mfas_000{i}.xg" for i in range(3)]
    assert run(main, ["sample", file, "-n", "3", "-o", out]).exit_code == 0
    other = run(main, ["sample", file, "-n", "3", "--seed", "1", "-o", out])
    assert other.exit_code == 1
    assert "would-overwrite" in other.output
    assert run(main, ["check", f"{out}/ntu_mfas_0001.xg"]).exit_code == 0
    found = run(main, ["space", file, f"{out}/ntu_mfas_0001.xg", "--json"])
    assert json.loads(found.output)["contained"] is True


def test_sample_prints_one_or_json() -> None:
    file = str(SPACES / "own_space.xg")
    (sample,) = samples("own_space", 1, seed=7)
    printed = CliRunner().invoke(main, ["sample", file, "--seed", "7"])
    assert printed.output == sample.text
    listed = json.loads(CliRunner().invoke(main, ["sample", file, "-n", "2", "--json"]).output)
    assert np.array([one["vector"] for one in listed]).shape == (2, space("own_space").region.width)


@every_space
def test_space_files_are_canonical(name: str) -> None:
    source = read_text(SPACES / f"{name}.xg")
    assert format_document(parse(source, Report())) == source.text
