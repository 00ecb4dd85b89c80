"""Runs on CUDA: buffers, buckets, captured runs and where nodes are, asked of a stand-in."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx_support import Array, Net, T, random_weights
from refusals import refused
from stand_in import Machine

import xgraph
from xgraph.backends.onnx import to_onnx
from xgraph.cli import main
from xgraph.runtime import Placement, Session


def model(*shape: Any, mixed: bool = False) -> bytes:
    """`y` of `x` and the embedding of `ids`; `mixed`: less the mean of the batch."""
    net = Net()
    x, ids = net.input("x", *(shape or (3,))), net.input("ids", *shape[:-1], dtype="i64")
    both = net("add", x, net("embedding", ids, at="e", count=5, units=3))
    graph = net.output(net("relu", both), "y").output(both, "sum").lowered()
    made = to_onnx(graph, random_weights(graph))
    if mixed:
        (node,) = [n for n in made.graph.node if "sum" in n.output or n.op_type == "Add"]
        axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [0])
        mean = onnx.helper.make_node("ReduceMean", [node.output[0]], ["mean"], keepdims=1)
        mean.input.append("axes")
        less = onnx.helper.make_node("Sub", [node.output[0], "mean"], ["less"])
        made.graph.initializer.append(axes)
        made.graph.node.extend([mean, less])
        value = onnx.helper.make_tensor_value_info("less", onnx.TensorProto.FLOAT, ["N", 3])
        made.graph.output.append(value)
    written: bytes = made.SerializeToString()
    return written


def inputs(rows: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 3)).astype(np.float32)
    return {"x": x, "ids": rng.integers(0, 5, rows)}


def right(session: Session, *sizes: int) -> None:
    """Hold runs against those on the CPU."""
    plain = Session(model())
    for seed, rows in enumerate(sizes):
        given = inputs(rows, seed)
        wanted, found = plain.run(given), session.run(given)
        assert list(found) == list(wanted)
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])


# ------------------------------------------------------------------------------------ buffers


def test_options_of_the_provider(gpu: Machine) -> None:
    Session(model(), device="cuda", threads=3)
    Session(model(), device="cuda", tf32=True)
    Session(model(), device="cuda", buckets=[2])
    asked = [session.providers for session in gpu.opened]
    assert [providers[1] for providers in asked] == ["CPUExecutionProvider"] * 3
    assert [providers[0] for providers in asked] == [
        ("CUDAExecutionProvider", {"use_tf32": "0"}),
        ("CUDAExecutionProvider", {"use_tf32": "1"}),
        ("CUDAExecutionProvider", {"use_tf32": "0", "enable_cuda_graph": "1"}),
    ]
    assert gpu.opened[0].options.intra_op_num_threads == 3


def test_buffers_are_of_runs_alike(gpu: Machine) -> None:
    session = Session(model(), device="cuda")
    right(session, 4, 4, 4)
    assert gpu.buffers == [
        ((4, 3), "float32"), ((4,), "int64"), ((4, 3), "float32"), ((4, 3), "float32"),
    ]  # fmt: skip
    right(session, 2)
    assert len(gpu.buffers) == 8
    session.run(inputs(2), ["sum"])
    assert len(gpu.buffers) == 11
    assert {graph for _, graph in gpu.runs} == {None}


def test_what_came_out_stays(gpu: Machine) -> None:
    """The next run writes elsewhere."""
    session = Session(model(), device="cuda")
    first = session.run(inputs(2, 0))["y"]
    kept = first.copy()
    session.run(inputs(2, 1))
    np.testing.assert_array_equal(first, kept)


def test_outputs_of_sizes_nobody_knows(gpu: Machine) -> None:
    """ONNX Runtime makes room for those itself, anew for each run."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("NonZero", ["x"], ["y"])], "g",
        [value("x", onnx.TensorProto.FLOAT, ["N"])], [value("y", onnx.TensorProto.INT64, [1, "M"])],
    )  # fmt: skip
    made = onnx.helper.make_model(graph, ir_version=9)
    made.opset_import[0].version = 20
    session = Session(made.SerializeToString(), device="cuda")
    for values in ([0, 1, 1], [1, 0, 0], [1, 1, 1]):
        found = session.run({"x": np.array(values, np.float32)})["y"]
        np.testing.assert_array_equal(found, [np.flatnonzero(values)])
    assert gpu.buffers == [((3,), "float32")]


def test_threads_wait_for_each_other(gpu: Machine) -> None:
    session = Session(model(), device="cuda", buckets=[4])
    threads = [Thread(target=right, args=(session, 3, 4, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gpu.runs) >= 12


# ------------------------------------------------------------------------------------ buckets


def test_a_batch_is_filled_up_to_the_next_bucket(gpu: Machine) -> None:
    session = Session(model(), device="cuda", buckets=(8, 1, 4))
    right(session, 1, 2, 4, 3, 8, 5, 1)
    assert dict(gpu.runs) == {1: "1", 4: "2", 8: "3"}
    assert not session.notes
    assert len(gpu.buffers) == 3 * 4


def test_what_a_bucket_is_filled_up_with_counts_for_nothing(gpu: Machine) -> None:
    """That is looked at once a bucket: two runs more of the first batch that shows it."""
    session = Session(model(), device="cuda", buckets=[4])
    session.run(inputs(3))
    assert len(gpu.runs) == 3
    session.run(inputs(2))
    assert len(gpu.runs) == 4


def test_rows_that_know_of_each_other(gpu: Machine) -> None:
    session = Session(model(mixed=True), device="cuda", buckets=[4])
    session.run(inputs(4))
    diagnostic = refused(lambda: session.run(inputs(3)))
    assert diagnostic.id == "unfit-buckets"
    assert "a row of output `less` depends on the rows beside it" in diagnostic.message


def test_a_batch_beyond_the_buckets_is_served_with_a_note(gpu: Machine) -> None:
    session = Session(model(), device="cuda", buckets=[1, 2])
    right(session, 5, 6, 2)
    assert [graph for _, graph in gpu.runs] == ["-1", "-1", "1"]
    (note,) = session.notes
    assert (note.id, note.severity) == ("outside-buckets", "warning")
    assert "more than 2" in note.message


def test_only_the_outputs_named(gpu: Machine) -> None:
    """The captured run has all of them."""
    session = Session(model(), device="cuda", buckets=[2])
    both = session.run(inputs(2))
    assert list(session.run(inputs(2), ["sum"])) == ["sum"]
    np.testing.assert_array_equal(session.run(inputs(2), ["sum"])["sum"], both["sum"])


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((T, 3), "input `x` has shape [N, T, 3], where `T` is open besides the batch"),
        ((7, 3), ""),
    ],
)
def test_axes_that_buckets_need(gpu: Machine, shape: Any, told: str) -> None:
    if told:
        diagnostic = refused(lambda: Session(model(*shape), device="cuda", buckets=[4]))
        assert diagnostic.id == "unfit-buckets"
        assert diagnostic.message == f"this model cannot run in buckets: {told}"
    else:
        Session(model(*shape), device="cuda", buckets=[4])


@pytest.mark.parametrize("dims", [[2, 3], ["M", 3], [], ["?", 3]])
def test_outputs_without_the_batch(gpu: Machine, dims: list[Any]) -> None:
    changed = onnx.ModelProto.FromString(model())
    shape = changed.graph.output[0].type.tensor_type.shape
    del shape.dim[:]
    for dim in dims:
        shape.dim.add(**({"dim_value": dim} if isinstance(dim, int) else {"dim_param": dim}))
    diagnostic = refused(lambda: Session(changed.SerializeToString(), device="cuda", buckets=[4]))
    assert diagnostic.id == "unfit-buckets"
    assert "its first axis is not the batch of all" in diagnostic.message


@pytest.mark.parametrize("buckets", [[0], [-3, 4], "8", 8, [1.5], ["1"], None])
def test_buckets_that_are_none(gpu: Machine, buckets: Any) -> None:
    assert refused(lambda: Session(model(), device="cuda", buckets=buckets)).id == "bad-option"


@pytest.mark.parametrize("option", [{"buckets": [4]}, {"tf32": True}])
def test_options_of_cuda_alone(option: Any) -> None:
    diagnostic = refused(lambda: Session(model(), **option))
    assert diagnostic.id == "bad-option"
    assert "is for `cuda`" in diagnostic.message


def test_a_model_whose_runs_cannot_be_captured(gpu: Machine) -> None:
    gpu.refuses = (
        "This session cannot use the graph capture feature as requested by the user as the model"
        " has control flow nodes which can't be supported by CUDAExecutionProvider"
    )
    diagnostic = refused(lambda: Session(model(), device="cuda", buckets=[4]))
    assert diagnostic.id == "unfit-buckets"
    assert "control flow nodes" in diagnostic.message


# ---------------------------------------------------------------------------------- placement


def test_nothing_is_elsewhere(gpu: Machine) -> None:
    session = Session(model(), device="cuda")
    assert session.placement() == Placement()
    assert not session.warnings()
    assert len(gpu.opened) == 1


def test_nothing_is_elsewhere_on_the_cpu() -> None:
    assert Session(model()).placement() == Placement()


def test_nodes_elsewhere_and_copies(gpu: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    gpu.elsewhere = [("net.shape", "Shape"), ("net.odd", "NonZero")]
    gpu.copies = [
        "t.cc:310 AddCopyNode] Add MemcpyToHost before net.a for CUDAExecutionProvider",
        "t.cc:310 AddCopyNode] Add MemcpyFromHost after x y for CUDAExecutionProvider",
    ]
    session = Session(model(), device="cuda")
    cpu = "CPUExecutionProvider"
    assert session.placement() == Placement(
        (("net.shape", "Shape", cpu), ("net.odd", "NonZero", cpu)),
        (("net.a", "to host"), ("x y", "from host")),
    )
    assert [s.options.log_severity_level for s in gpu.opened] == [2, 1]
    (warning,) = session.warnings()
    assert (warning.id, warning.severity) == ("fallback", "warning")
    assert f"2 on {cpu}, `net.shape` (Shape), `net.odd` (NonZero)" in warning.message
    assert "copied across the bus: `net.a` to host" in warning.message
    assert capfd.readouterr() == ("", "")


def test_copies_that_are_not_named(gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu.copies = ["something else"]
    session = Session(model(), device="cuda")
    assert session.placement().copies == (("?", "to or from host"),)
    gpu.refuses = "CUDA failure 2: out of memory"
    assert session.placement().copies == (("?", "to or from host"),)


def test_many_nodes_elsewhere_are_counted(gpu: Machine) -> None:
    gpu.elsewhere = [(f"n{i}", "Shape") for i in range(30)]
    (warning,) = Session(model(), device="cuda").warnings()
    assert "30 on" in warning.message
    assert "and 22 more" in warning.message


def test_a_runtime_that_does_not_tell(gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("stand_in.Session.get_provider_graph_assignment_info")
    session = Session(model(), device="cuda")
    assert refused(session.placement).id == "old-runtime"
    (warning,) = session.warnings()
    assert (warning.id, warning.severity) == ("old-runtime", "warning")


def test_onnx_runtime_tells_where_nodes_are() -> None:
    """The real one, of the CPU, with the entry that a session on CUDA is opened with."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(model(), options, providers=["CPUExecutionProvider"])
    parts = session.get_provider_graph_assignment_info()
    assert {part.ep_name for part in parts} == {"CPUExecutionProvider"}
    nodes = [(node.name, node.op_type) for part in parts for node in part.get_nodes()]
    assert "Relu" in {op for _, op in nodes}


def test_the_command_lists_what_is_elsewhere(gpu: Machine, tmp_path: Path) -> None:
    gpu.elsewhere = [("net.shape", "Shape")]
    (tmp_path / "net.onnx").write_bytes(model())
    np.savez(tmp_path / "in.npz", **inputs(2))
    given = ["run", str(tmp_path / "net.onnx"), "--input", str(tmp_path / "in.npz")]
    on_gpu = CliRunner().invoke(main, [*given, "--device", "cuda"])
    assert on_gpu.exit_code == 0, on_gpu.output
    assert "warning[fallback]" in on_gpu.stderr
    assert "`net.shape` (Shape)" in on_gpu.stderr
    assert "fallback" not in on_gpu.stdout
    assert not CliRunner().invoke(main, given).stderr


def test_a_network_runs_on_cuda(gpu: Machine) -> None:
    """Through the driver, which asks for no report."""
    text = "network n\nmodality x: [3]\noutput y = x -> linear(2)\n"
    found = xgraph.run(text, {"x": np.ones((2, 3), np.float32)}, device="cuda")
    assert found["y"].shape == (2, 2)


# ------------------------------------------------------------------------------------- memory


def test_the_batch_that_fits(gpu: Machine) -> None:
    gpu.holds = 700
    session = Session(model(), device="cuda")
    diagnostic = refused(lambda: session.run(inputs(4096)))
    assert (diagnostic.id, diagnostic.origin) == ("out-of-memory", "<model>")
    assert diagnostic.message == "a batch of 4096 does not fit in memory; 512 fit"
    assert diagnostic.help == "give as many at a time; `--batch 512`, where a command has it"
    assert [rows for rows, _ in gpu.runs] == [4096, 2048, 1024, 512]
    right(session, 512, 3)


def test_the_bucket_that_fits(gpu: Machine) -> None:
    """A run that failed is not the one that is played again."""
    gpu.holds = 10
    session = Session(model(), device="cuda", buckets=[8, 64])
    diagnostic = refused(lambda: session.run(inputs(60)))
    assert diagnostic.message == "a batch of 60 does not fit in memory; 7 fit"
    gpu.holds = 100
    right(session, 60, 7)


def test_a_single_row_that_does_not_fit(gpu: Machine) -> None:
    gpu.holds = 0
    session = Session(model(), device="cuda")
    found = [refused(lambda rows=rows: session.run(inputs(rows))).message for rows in (1, 4)]
    assert found == [
        "a batch of 1 does not fit in memory",
        "a batch of 4 does not fit in memory, nor does any half of it",
    ]
