"""Weights: their first values, their files, whether they fit, and what is inherited."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from xgraph.diagnostics import Diagnostic, DiagnosticError
from xgraph.ir.attrs import INITIALISERS, Init
from xgraph.ir.graph import Graph
from xgraph.ir.types import symbol
from xgraph.ops import OPS
from xgraph.passes import lower
from xgraph.weights import check, inherit, initialise, load, save
from xgraph.weights.initial import _INITIALISERS, Array, Weights


def network(*extra: str, filters: int = 4) -> Graph:
    """conv, bn, and a linear layer for each of `extra` labels; lowered."""
    graph = Graph("net")
    x = graph.add(OPS["input"], attrs={"shape": (symbol("N"), 3, 8, 8)}, address="image").output
    y = graph.add(OPS["conv"], [x], {"filters": filters, "kernel": 3}, address="net.conv").output
    y = graph.add(OPS["bn"], [y], address="net.bn").output
    for label in extra:
        y = graph.add(OPS["linear"], [y], {"units": 8}, address=label).output
    graph.outputs["y"] = y
    return lower(graph)


def drawn(init: str, shape: tuple[int, ...], *args: float, seed: int = 0, **more: Any) -> Any:
    """The value of one tensor of `shape`."""
    graph = Graph("t")
    attrs = {"shape": shape, "init": Init(init, args)}
    graph.add(OPS["parameter"], attrs=attrs, address=more.get("address", "p"))
    graph.level = "tensor"
    (value,) = initialise(graph, seed).values()
    return value


def f32(values: list[Any]) -> Array:
    return np.array(values, np.float32)


def refused(act: Callable[[], object]) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticError) as caught:
        act()
    return caught.value.diagnostics


# ------------------------------------------------------------------------------- initialise


GOLDEN_UNIFORM = [
    [1.0045990943908691, 0.1648428589105606, -0.7481890916824341],
    [0.9371153116226196, -0.36700868606567383, 0.910089910030365],
]
GOLDEN_NORMAL = [-0.8140414953231812, -1.5009400844573975, 0.22892238199710846, 1.120582938194275]


class TestInitialise:
    def test_every_parameter_by_address(self) -> None:
        weights = initialise(network("fc"))
        assert {name: (value.shape, str(value.dtype)) for name, value in weights.items()} == {
            "net.conv.weight": ((4, 3, 3, 3), "float32"),
            "net.conv.bias": ((4,), "float32"),
            "net.bn.weight": ((4,), "float32"),
            "net.bn.bias": ((4,), "float32"),
            "net.bn.running_mean": ((4,), "float32"),
            "net.bn.running_var": ((4,), "float32"),
            "net.bn.num_batches_tracked": ((), "int64"),
            "fc.weight": ((8, 8), "float32"),
            "fc.bias": ((8,), "float32"),
        }
        assert not weights["net.conv.bias"].any()
        assert (weights["net.bn.running_var"] == 1).all()
        assert weights["net.bn.num_batches_tracked"] == 0

    def test_the_same_in_every_run_and_on_every_machine(self) -> None:
        assert drawn("glorot_uniform", (2, 3)).tolist() == GOLDEN_UNIFORM
        assert drawn("he_normal", (2, 2)).ravel().tolist() == GOLDEN_NORMAL

    def test_the_seed_and_the_address_make_the_stream(self) -> None:
        one = drawn("normal", (50,), 1.0)
        assert (one == drawn("normal", (50,), 1.0)).all()
        for other in (
            drawn("normal", (50,), 1.0, seed=1),
            drawn("normal", (50,), 1.0, seed=-1),
            drawn("normal", (50,), 1.0, address="q"),
        ):
            assert not np.isclose(one, other).any()

    def test_what_is_added_elsewhere_changes_nothing_here(self) -> None:
        before, after = initialise(network("fc")), initialise(network("extra", "fc", "more"))
        for name, value in before.items():
            assert (value == after[name]).all()

    def test_there_is_a_rule_for_every_initialiser(self) -> None:
        assert set(_INITIALISERS) == set(INITIALISERS)
        for name, count in INITIALISERS.items():
            value = drawn(name, (8, 8), *[0.5, 0.25][:count])
            assert value.shape == (8, 8)
            assert value.dtype == np.float32

    def test_an_architecture_is_refused(self) -> None:
        with pytest.raises(ValueError, match="`lower` it first"):
            initialise(Graph())

    @pytest.mark.parametrize("init", ["diagonal", "orthogonal"])
    def test_a_vector_has_no_diagonal(self, init: str) -> None:
        (d,) = refused(lambda: drawn(init, (4,), *[1.0, 0.0][: INITIALISERS[init]]))
        assert d.id == "bad-attribute"
        assert "needs a shape of 2 axes, and `p.weight` has [4]" in d.message

    def test_numbers_beyond_f32_are_refused(self) -> None:
        (d,) = refused(lambda: drawn("normal", (64,), 3e38))
        assert d.message == "`normal(3e+38)` gives `p.weight` numbers that f32 cannot hold"


FAN_IN, FAN_OUT = 20 * 9, 30 * 9


class TestDistributions:
    """On `[30, 20, 3, 3]`: fan-in 180, fan-out 270."""

    SHAPE = (30, 20, 3, 3)

    @pytest.mark.parametrize(
        ("init", "limit"),
        [
            ("glorot_uniform", sqrt(6 / (FAN_IN + FAN_OUT))),
            ("he_uniform", sqrt(6 / FAN_IN)),
            ("lecun_uniform", sqrt(3 / FAN_IN)),
        ],
    )
    def test_uniform(self, init: str, limit: float) -> None:
        value = drawn(init, self.SHAPE)
        assert np.abs(value).max() <= np.float32(limit)
        assert np.abs(value).max() > 0.99 * limit
        assert value.std() == pytest.approx(limit / sqrt(3), rel=0.03)
        assert abs(value.mean()) < 0.03 * limit

    @pytest.mark.parametrize(
        ("init", "std"),
        [
            ("glorot_normal", sqrt(2 / (FAN_IN + FAN_OUT))),
            ("he_normal", sqrt(2 / FAN_IN)),
            ("lecun_normal", sqrt(1 / FAN_IN)),
        ],
    )
    def test_normal(self, init: str, std: float) -> None:
        value = drawn(init, self.SHAPE)
        assert value.std() == pytest.approx(std, rel=0.03)
        assert abs(value.mean()) < 0.05 * std
        assert (np.abs(value) > 2 * std).mean() == pytest.approx(0.0455, abs=0.01)

    def test_with_numbers_of_their_own(self) -> None:
        value = drawn("uniform", (5000,), -1.0, 3.0)
        assert (value.min() >= -1, value.max() <= 3) == (True, True)
        assert value.mean() == pytest.approx(1, abs=0.1)
        assert drawn("normal", (5000,), 0.1).std() == pytest.approx(0.1, rel=0.05)
        assert (drawn("constant", (3,), 0.25) == 0.25).all()

    def test_fans_of_vectors_and_scalars_are_their_size(self) -> None:
        assert np.abs(drawn("glorot_uniform", (48,))).max() <= sqrt(6 / 96)
        assert abs(drawn("glorot_uniform", ())) <= sqrt(3)

    def test_fans_that_an_op_states(self) -> None:
        graph = Graph()
        x = graph.add(OPS["input"], attrs={"shape": (1, 64, 4, 4)}, address="x").output
        attrs = {"filters": 2, "kernel": 3, "init": "he_uniform"}
        graph.add(OPS["deconv"], [x], attrs, address="d")
        graph.level = "tensor"
        weight = initialise(graph)["d.weight"]
        limit = sqrt(6 / (64 * 9))
        assert weight.shape == (64, 2, 3, 3)
        assert 0.98 * limit < np.abs(weight).max() <= np.float32(limit)

    @pytest.mark.parametrize("shape", [(6, 6), (12, 5), (4, 3, 3, 3), (5, 12)])
    def test_orthogonal(self, shape: tuple[int, ...]) -> None:
        flat = drawn("orthogonal", shape).reshape(shape[0], -1)
        product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
        assert product == pytest.approx(np.eye(len(product)), abs=1e-5)

    def test_diagonal_and_forget_gate(self) -> None:
        value = drawn("diagonal", (2, 3, 2), 0.9, 0.1)
        assert (value[:, :, 0] == f32([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1]])).all()
        assert (value[:, :, 0] == value[:, :, 1]).all()
        assert drawn("forget_gate", (8,)).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


# ------------------------------------------------------------------------------------ files

DTYPES = ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    names = draw(st.lists(st.text(min_size=1, max_size=6), max_size=5, unique=True))
    names = [name for name in names if name != "__metadata__" and name.isprintable()]
    shapes = st.lists(st.integers(0, 3), max_size=3)
    return {
        name: (np.arange(27).reshape(3, 3, 3) * 0.5).astype(draw(st.sampled_from(DTYPES)))[
            tuple(slice(size) for size in draw(shapes))
        ]
        for name in names
    }


class TestFiles:
    @settings(max_examples=50, deadline=None)
    @given(given_=weights())
    def test_come_back_and_are_what_the_library_reads(
        self, tmp_path_factory: pytest.TempPathFactory, given_: Weights
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "w.safetensors"
        save(path, given_, {"b": "1", "a": "2"})
        for found in (load(path), load_file(path)):
            assert set(found) == set(given_)
            for name, value in given_.items():
                assert found[name].dtype == value.dtype
                assert found[name].shape == value.shape
                assert (found[name] == value).all()
        with safe_open(path, "np") as file:
            assert file.metadata() == {"a": "2", "b": "1"}

    def test_equal_weights_are_equal_bytes(self, tmp_path: Path) -> None:
        one = initialise(network("fc"))
        other = dict(reversed(one.items()))
        meta = {name: name for name in "hgfedcba"}
        save(tmp_path / "a", one, meta)
        save(tmp_path / "b", other, dict(reversed(meta.items())))
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_the_form_of_the_bytes(self, tmp_path: Path) -> None:
        save(tmp_path / "a", {"b": f32([1]), "a": f32([2]), "n": np.array(3, np.int64)})
        data = (tmp_path / "a").read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        assert size % 8 == 0
        assert list(json.loads(data[8 : 8 + size])) == ["n", "a", "b"], "wider types first"
        assert data[8 + size :] == struct.pack("<qff", 3, 2.0, 1.0)

    def test_views_and_foreign_byte_orders_are_written_right(self, tmp_path: Path) -> None:
        base = np.arange(6, dtype=np.float32).reshape(2, 3)
        save(tmp_path / "a", {"t": base.T, "big": base.astype(">f4"), "every": base[:, ::2]})
        found = load(tmp_path / "a")
        assert found["t"].tolist() == base.T.tolist()
        assert found["big"].tolist() == base.tolist()
        assert found["every"].tolist() == base[:, ::2].tolist()

    def test_what_is_loaded_may_be_changed(self, tmp_path: Path) -> None:
        save(tmp_path / "a", {"a": np.zeros(3, np.float32)})
        value = load(tmp_path / "a")["a"]
        value += 1
        assert value.tolist() == [1, 1, 1]

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (d,) = refused(lambda: save(tmp_path / "no" / "a", {}))
        assert d.id == "cannot-write"

    def test_bfloat16_becomes_float32(self, tmp_path: Path) -> None:
        values = f32([1.0, -2.5, 0.0, 3.140625])
        raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        (tmp_path / "a").write_bytes(_file({"w": ("BF16", [2, 2], raw)}))
        found = load(tmp_path / "a")["w"]
        assert (str(found.dtype), found.shape) == ("float32", (2, 2))
        assert (found.ravel() == values).all()

    def test_an_element_type_that_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(_file({"w": ("F8_E4M3", [2], b"\0\0")}))
        (d,) = refused(lambda: load(path))
        assert (d.id, d.origin) == ("bad-weight-dtype", f"{path}: w")
        assert d.message == "its element type F8_E4M3 is not read; convert it to F32"


def _file(entries: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    header, body = {}, b""
    for name, (dtype, shape, raw) in entries.items():
        offsets = [len(body), len(body) + len(raw)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        body += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


GOOD = _file({"w": ("F32", [2], b"\0" * 8)})


class TestBadFiles:
    def bad(self, path: Path) -> Diagnostic:
        (d,) = refused(lambda: load(path))
        assert (d.id, d.origin) == ("bad-weights", str(path))
        return d

    def test_missing_and_directory(self, tmp_path: Path) -> None:
        assert self.bad(tmp_path / "no").message == "there is no such file"
        assert self.bad(tmp_path).message == "this is a directory, not a file"

    @pytest.mark.parametrize(
        "data",
        [
            b"", b"abc", GOOD[:5], GOOD[:20], GOOD[:-1], GOOD + b"\0", b"\xff" * 64, b"{}",
            struct.pack("<Q", 3) + b"{}x", struct.pack("<Q", 2**63) + b"{}",
            GOOD.replace(b"[2]", b"[9]"), GOOD.replace(b"F32", b"F33"), GOOD.replace(b"8]", b"9]"),
            b"graph net tensor {\n}\n",
        ],
    )  # fmt: skip
    def test_no_whole_safetensors_file(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "a.safetensors"
        path.write_bytes(data)
        assert self.bad(path).message.startswith("this is no whole safetensors file: ")

    def test_a_pickle_is_not_opened(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(tmp_path / "sprung"),)

        path = tmp_path / "model.pt"
        path.write_bytes(pickle.dumps(Trap()))
        d = self.bad(path)
        assert d.message == "this is a PyTorch pickle, and weights are read from safetensors only"
        assert d.help is not None
        assert "safetensors.torch.save_file(torch.load(" in d.help
        assert "weights_only=True" in d.help
        assert "model.safetensors" in d.help
        assert not (tmp_path / "sprung").exists()

    def test_archives_are_named_for_what_they_are(self, tmp_path: Path) -> None:
        for name in ("w.npz", "w.pth", "w.safetensors"):
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.writestr("a", "b")
        assert self.bad(tmp_path / "w.npz").message.startswith("this is a numpy archive")
        assert "numpy.load" in str(self.bad(tmp_path / "w.npz").help)
        assert self.bad(tmp_path / "w.pth").message.startswith("this is a PyTorch pickle")
        assert self.bad(tmp_path / "w.safetensors").message.startswith("this is a pickle or an")

    def test_a_header_whose_length_looks_like_a_pickle(self, tmp_path: Path) -> None:
        """0x280 bytes: the file begins as pickles of protocol 2 do."""
        for length in range(560, 640):
            save(tmp_path / "w.safetensors", {"a": np.zeros(1, np.float32)}, {"k": "x" * length})
            begins = (tmp_path / "w.safetensors").read_bytes()[:2]
            assert list(load(tmp_path / "w.safetensors")) == ["a"]
            if begins == b"\x80\x02":
                return
        pytest.fail("no header had this length")

    def test_a_safetensors_file_may_have_any_name(self, tmp_path: Path) -> None:
        path = tmp_path / "pytorch_model.bin"
        path.write_bytes(GOOD)
        assert list(load(path)) == ["w"]


# ------------------------------------------------------------------------------------ check


class TestCheck:
    def told(self, given_: Weights, graph: Graph | None = None) -> list[tuple[str, str | None]]:
        found = refused(lambda: check(graph or network(), given_, "w.safetensors"))
        return [(d.id, d.origin) for d in found]

    def test_what_fits_comes_back(self) -> None:
        weights = initialise(network("fc"))
        assert check(network("fc"), weights, "w") == weights

    @pytest.mark.parametrize("dtype", ["float64", "float16"])
    def test_other_floats_are_converted(self, dtype: str) -> None:
        graph = network()
        wide = {name: value.astype(dtype) for name, value in initialise(graph).items()}
        wide["net.bn.num_batches_tracked"] = np.array(3, np.int32)
        ready = check(graph, wide)
        assert {str(value.dtype) for value in ready.values()} == {"float32", "int64"}
        assert ready["net.bn.num_batches_tracked"] == 3

    def test_a_missing_counter_is_zero(self) -> None:
        weights = initialise(network())
        del weights["net.bn.num_batches_tracked"]
        ready = check(network(), weights)
        assert ready["net.bn.num_batches_tracked"].dtype == np.int64
        assert ready["net.bn.num_batches_tracked"] == 0

    def test_every_mistake_is_told(self) -> None:
        weights = initialise(network())
        weights["net.conv.wieght"] = weights.pop("net.conv.weight")
        weights["net.conv.bias"] = np.zeros((5,), np.float32)
        weights["net.bn.weight"] = np.zeros((4,), np.int64)
        weights["net.bn.bias"] = f32([0, np.nan, np.inf, 1])
        weights["net.bn.running_var"] = np.array([1e300, 1, 1, 1])
        weights["net.bn.num_batches_tracked"] = np.array(1.5)
        found = refused(lambda: check(network(), weights, "w"))
        assert [(d.id, d.origin, d.message) for d in found] == [
            ("missing-weight", "w: net.conv.weight",
             "there is no `net.conv.weight`, which the network needs in shape [4, 3, 3, 3]"),
            ("misshapen-weight", "w: net.conv.bias",
             "its shape is [5], and the network needs [4]"),
            ("bad-weight-dtype", "w: net.bn.weight",
             "its element type is int64, and the network needs float32"),
            ("not-finite", "w: net.bn.bias",
             "2 of its 4 numbers are infinite or not a number"),
            ("not-finite", "w: net.bn.running_var",
             "1 of its 4 numbers are too large for float32"),
            ("bad-weight-dtype", "w: net.bn.num_batches_tracked",
             "its element type is float64, and the network needs int64"),
            ("unknown-weight", "w: net.conv.wieght", "the network has no `net.conv.wieght`"),
        ]  # fmt: skip

    def test_an_unknown_one_is_told_its_likely_name(self) -> None:
        weights = initialise(network())
        weights["net.cnov.weight"] = weights.pop("net.conv.weight")
        found = refused(lambda: check(network(), weights, "w"))
        assert [d.help for d in found] == [None, "did you mean `net.conv.weight`?"]

    def test_two_mistakes_of_one_entry_are_two(self) -> None:
        weights = initialise(network())
        weights["net.bn.bias"] = np.zeros((5,), np.int64)
        assert self.told(weights) == [
            ("misshapen-weight", "w.safetensors: net.bn.bias"),
            ("bad-weight-dtype", "w.safetensors: net.bn.bias"),
        ]

    def test_the_list_is_capped(self) -> None:
        weights = {f"a.{i}": np.zeros(1, np.float32) for i in range(50)}
        found = refused(lambda: check(network(), weights, "w"))
        assert len(found) == 21
        assert (found[-1].id, found[-1].origin) == ("more-misfits", "w")
        assert found[-1].message == "36 more entries do not fit the network"


# ---------------------------------------------------------------------------------- inherit


class TestInherit:
    def test_by_address_and_shape(self) -> None:
        old, new = initialise(network("a", "b"), 1), initialise(network("a", "c", filters=4), 2)
        done = inherit(old, new)
        assert done.missing == ("c.weight", "c.bias")
        assert done.unused == ("b.weight", "b.bias")
        assert done.misshapen == ()
        assert (done.weights["a.weight"] == old["a.weight"]).all()
        assert (done.weights["c.weight"] == new["c.weight"]).all()
        assert list(done.weights) == list(new)
        assert done.summary() == "9 of 11 inherited, 2 new, 2 left behind"

    def test_another_shape_stays_as_it_was(self) -> None:
        old, new = initialise(network(), 1), initialise(network(filters=6), 2)
        done = inherit(old, new)
        assert done.matched == ("net.bn.num_batches_tracked",)
        assert set(done.misshapen) == set(new) - set(done.matched)
        assert done.summary() == "1 of 7 inherited, 6 of another shape"
        assert (done.weights["net.conv.weight"] == new["net.conv.weight"]).all()

    def test_the_new_element_type_is_kept(self) -> None:
        done = inherit({"a": np.array([1.5])}, {"a": np.zeros(1, np.float32)})
        assert done.weights["a"].dtype == np.float32
        assert done.weights["a"] == 1.5
        kinds = inherit({"a": np.array(1.5)}, {"a": np.array(0)})
        assert kinds.misshapen == ("a",)

    def test_nothing_given_is_changed(self) -> None:
        old, new = {"a": np.ones(1)}, {"a": np.zeros(1), "b": np.zeros(1)}
        inherit(old, new)
        assert (new["a"].tolist(), list(new), list(old)) == ([0], ["a", "b"], ["a"])

    def test_from_nothing_to_nothing(self) -> None:
        assert inherit({}, {}).summary() == "0 of 0 inherited"
