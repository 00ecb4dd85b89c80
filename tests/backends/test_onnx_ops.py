"""Every primitive through ONNX Runtime against PyTorch's functions, for several opsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pytest
from onnx_support import Net, T, U, random_inputs, random_weights, run

from xgraph.backends.onnx import DEFAULT_OPSET, RULES, UNSUPPORTED
from xgraph.ir.types import Dim, evaluate
from xgraph.ops import OPS

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
F = torch.nn.functional

Tensors = list[Any]
Weights = dict[str, Any]


@final
@dataclass(frozen=True)
class Case:
    """An op on inputs of these sample shapes, and what it should give."""

    op: str
    shapes: tuple[tuple[Dim, ...], ...]
    oracle: Callable[[Tensors, Weights], Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def __str__(self) -> str:
        return f"{self.op}-{self.note}" if self.note else self.op


def case(op: str, *shapes: tuple[Dim, ...], oracle: Any, note: str = "", **attrs: Any) -> Any:
    made = Case(op, shapes, oracle, attrs, note)
    return pytest.param(made, id=str(made))


def elementwise(op: str, function: Any, **attrs: Any) -> Any:
    return case(op, (3, 4), oracle=lambda x, w: function(x[0]), **attrs)


def conv(x: Tensors, w: Weights, axes: int, pads: list[int], **attrs: Any) -> Any:
    function = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    return function(F.pad(x[0], pads), w["weight"], w.get("bias"), **attrs)


def deconv(x: Tensors, w: Weights, crop: tuple[slice, ...], **attrs: Any) -> Any:
    axes = x[0].dim() - 2
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
    return function(x[0], w["weight"], w.get("bias"), **attrs)[(..., *crop)]


def averages(x: Any, pads: list[int], kernel: Any, stride: Any) -> Any:
    """Sums over real cells by their number, by hand."""
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
    ones = torch.ones_like(x)
    total, share = (function(F.pad(v, pads), kernel, stride) for v in (x, ones))
    return total / share


def largest(x: Any, pads: list[int], kernel: Any, stride: Any) -> Any:
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3]
    return function(F.pad(x, pads, value=-torch.inf), kernel, stride)


def bn(axis: int) -> Any:
    def oracle(x: Tensors, w: Weights) -> Any:
        moved = x[0].movedim(axis + 1, 1)
        y = F.batch_norm(
            moved, w["running_mean"], w["running_var"], w.get("weight"), w.get("bias"), eps=1e-3
        )
        return y.movedim(1, axis + 1)

    return oracle


def enlarged(mode: str, factor: list[int]) -> Any:
    if mode == "linear":
        mode = ("linear", "bilinear", "trilinear")[len(factor) - 1]
    factors = tuple(map(float, factor))
    return lambda x, w: F.interpolate(x[0], scale_factor=factors, mode=mode)


def prelu(shape: tuple[int, ...]) -> Any:
    return lambda x, w: torch.where(x[0] > 0, x[0], w["weight"].reshape(shape) * x[0])


CASES = [
    elementwise("identity", lambda x: x),
    elementwise("dropout", lambda x: x, rate=0.5),
    elementwise("relu", F.relu),
    elementwise("gelu", F.gelu),
    elementwise("silu", F.silu),
    elementwise("sigmoid", torch.sigmoid),
    elementwise("tanh", torch.tanh),
    elementwise("leakyrelu", lambda x: F.leaky_relu(x, 0.2), slope=0.2),
    elementwise("elu", lambda x: F.elu(x, 0.7), alpha=0.7),
    elementwise("scale", lambda x: x * 0.3 + 2, factor=0.3, offset=2.0),
    elementwise("scale", lambda x: x, note="nothing"),
    elementwise("scale", lambda x: x - 1, note="offset", offset=-1.0),
    case("gelu", (), oracle=lambda x, w: F.gelu(x[0]), note="scalars"),
    case("softmax", (3, 4), oracle=lambda x, w: F.softmax(x[0], 2)),
    case("softmax", (3, 4), oracle=lambda x, w: F.softmax(x[0], 1), note="axis", axis=0),
    case("logsoftmax", (3, 4), oracle=lambda x, w: F.log_softmax(x[0], 2)),
    case("logsoftmax", (3, 4, 5), oracle=lambda x, w: F.log_softmax(x[0], 2), note="axis", axis=1),
    case("prelu", (3, 4, 5), oracle=prelu((1,)), note="shared", per="shared"),
    case("prelu", (3, 4, 5), oracle=prelu((3, 1, 1)), note="channel"),
    case("prelu", (6,), oracle=prelu((6,)), note="vector"),
    case("prelu", (3, 4, 5), oracle=prelu((3, 4, 5)), note="element", per="element"),
    # convolutions
    case("conv", (3, 9, 8), oracle=lambda x, w: conv(x, w, 2, [1] * 4), filters=5, kernel=3),
    case(
        "conv", (4, 9, 8), note="everything",
        oracle=lambda x, w: conv(x, w, 2, [1, 2, 0, 3], stride=(2, 1), dilation=(1, 2), groups=2),
        filters=6, kernel=[3, 2], stride=[2, 1], dilation=[1, 2], groups=2, bias=False,
        pad=[[0, 3], [1, 2]],
    ),
    case(
        "conv", (3, 7, 7), note="even-same", filters=2, kernel=4, stride=2,
        oracle=lambda x, w: conv(x, w, 2, [1, 2, 1, 2], stride=2),
    ),
    case("conv", (3, 9), note="1d", oracle=lambda x, w: conv(x, w, 1, [2, 2]), filters=4, kernel=5),
    case(
        "conv", (2, 5, 4, 6), note="3d", filters=3, kernel=3,
        oracle=lambda x, w: conv(x, w, 3, [1] * 6),
    ),
    case(
        "conv", (3, T), note="open", filters=4, kernel=3,
        oracle=lambda x, w: conv(x, w, 1, [1, 1]),
    ),
    case(
        "deconv", (4, 5, 6), note="valid", filters=3, kernel=4, pad="valid",
        oracle=lambda x, w: deconv(x, w, ()),
    ),
    case(
        "deconv", (4, 5, 6), note="even-same", filters=3, kernel=4, stride=2,
        oracle=lambda x, w: deconv(x, w, (slice(1, -2), slice(1, -2)), stride=2),
    ),
    case(
        "deconv", (4, 5, 6), note="even-same-stride-1", filters=3, kernel=2,
        oracle=lambda x, w: deconv(x, w, (slice(0, -1), slice(0, -1))),
    ),
    case(
        "deconv", (4, 5, 6), note="output-pad", filters=4, kernel=3, stride=2, output_pad=1,
        groups=2, bias=False, pad=1,
        oracle=lambda x, w: deconv(x, w, (), stride=2, padding=1, output_padding=1, groups=2),
    ),
    case(
        "deconv", (4, 7), note="1d-dilated", filters=4, kernel=3, stride=2, dilation=2, pad=1,
        output_pad=1,
        oracle=lambda x, w: deconv(x, w, (), stride=2, dilation=2, padding=1, output_padding=1),
    ),
    case(
        "deconv", (4, 7), note="output-pad-by-dilation", filters=4, kernel=3, dilation=2,
        pad="valid", output_pad=1,
        oracle=lambda x, w: deconv(x, w, (), dilation=2, output_padding=1),
    ),
    case(
        "deconv", (2, 3, 4, 3), note="3d", filters=2, kernel=2, stride=2, pad="valid",
        oracle=lambda x, w: deconv(x, w, (), stride=2),
    ),
    # dense
    case("linear", (6,), oracle=lambda x, w: F.linear(x[0], w["weight"], w["bias"]), units=4),
    case(
        "linear", (6,), note="no-bias", oracle=lambda x, w: F.linear(x[0], w["weight"]), units=4,
        bias=False,
    ),
    case(
        "linear", (T, 6), note="steps", units=4,
        oracle=lambda x, w: F.linear(x[0], w["weight"], w["bias"]),
    ),
    case(
        "linear", (2, 3, 6), note="rank-3-no-bias", units=4, bias=False,
        oracle=lambda x, w: F.linear(x[0], w["weight"]),
    ),
    # normalisation
    case("bn", (4,), note="vector", oracle=bn(0), eps=1e-3),
    case("bn", (4, 3, 5), note="maps", oracle=bn(0), eps=1e-3),
    case("bn", (4, 3, 5, 2), note="volumes", oracle=bn(0), eps=1e-3),
    case("bn", (4, 3), note="last", oracle=bn(1), eps=1e-3, axis=1),
    case("bn", (4, 3, 5), note="middle", oracle=bn(1), eps=1e-3, axis=1),
    case("bn", (4, 3, 5), note="third", oracle=bn(2), eps=1e-3, axis=-1),
    case("bn", (T, 3, 5), note="open-before", oracle=bn(1), eps=1e-3, axis=1),
    case("bn", (4, 3, T), note="open-after", oracle=bn(1), eps=1e-3, axis=1),
    case("bn", (4, 3), note="not-affine", oracle=bn(0), eps=1e-3, affine=False),
    case(
        "layernorm", (3, 6),
        oracle=lambda x, w: F.layer_norm(x[0], [6], w["weight"], w["bias"], 1e-5),
    ),
    case(
        "layernorm", (T, 3, 6), note="two-axes", axes=2, eps=1e-3,
        oracle=lambda x, w: F.layer_norm(x[0], [3, 6], w["weight"], w["bias"], 1e-3),
    ),
    case(
        "layernorm", (3, 6), note="not-affine", affine=False,
        oracle=lambda x, w: F.layer_norm(x[0], [6]),
    ),
    *(
        case(
            "groupnorm", shape, note=note, groups=2, eps=1e-3,
            oracle=lambda x, w: F.group_norm(x[0], 2, w["weight"], w["bias"], 1e-3),
        )
        for note, shape in {
            "maps": (6, 4, 5), "vector": (6,), "steps": (6, T), "open-maps": (6, T, U),
        }.items()
    ),
    case(
        "groupnorm", (6, 4), note="not-affine", groups=3, affine=False,
        oracle=lambda x, w: F.group_norm(x[0], 3),
    ),
    # pooling
    case("maxpool", (3, 8, 7), oracle=lambda x, w: F.max_pool2d(x[0], 2), kernel=2),
    case(
        "maxpool", (3, 8, 7), note="same", kernel=3, stride=1, pad="same",
        oracle=lambda x, w: F.max_pool2d(x[0], 3, 1, 1),
    ),
    case(
        "maxpool", (3, 8, 7), note="even-same", kernel=2, stride=1, pad="same",
        oracle=lambda x, w: largest(x[0], [0, 1, 0, 1], 2, 1),
    ),
    case(
        "maxpool", (3, 9), note="1d", kernel=3, stride=2,
        oracle=lambda x, w: F.max_pool1d(x[0], 3, 2),
    ),
    case("maxpool", (3, 4, 5, 6), note="3d", oracle=lambda x, w: F.max_pool3d(x[0], 2), kernel=2),
    case("avgpool", (3, 8, 7), oracle=lambda x, w: F.avg_pool2d(x[0], 2), kernel=2),
    case(
        "avgpool", (3, 8, 7), note="same", kernel=3, stride=2, pad="same",
        oracle=lambda x, w: F.avg_pool2d(x[0], 3, 2, 1, count_include_pad=False),
    ),
    case(
        "avgpool", (3, 8, 7), note="uneven", kernel=[4, 3], stride=[2, 1], pad=[[1, 2], [2, 0]],
        oracle=lambda x, w: averages(x[0], [2, 0, 1, 2], (4, 3), (2, 1)),
    ),
    case(
        "avgpool", (3, T), note="1d-even-same-open", kernel=4, stride=1, pad="same",
        oracle=lambda x, w: averages(x[0], [1, 2], 4, 1),
    ),
    case(
        "avgpool", (3, 4, 5, 6), note="3d", kernel=2, stride=1, pad="same",
        oracle=lambda x, w: averages(x[0], [0, 1] * 3, 2, 1),
    ),
    *(
        case("reduce", (3, 4, 5), note=f"{how}", oracle=oracle, how=how, axis=[0, -1])
        for how, oracle in {
            "mean": lambda x, w: x[0].mean((1, 3)),
            "sum": lambda x, w: x[0].sum((1, 3)),
            "max": lambda x, w: x[0].amax((1, 3)),
        }.items()
    ),
    case(
        "reduce", (3, T), note="keep", how="mean", axis=1, keep=True,
        oracle=lambda x, w: x[0].mean(2, keepdim=True),
    ),
    # arithmetic
    case("add", (3, 4), oracle=lambda x, w: x[0], note="one"),
    case("add", (3, 4), (3, 4), oracle=lambda x, w: x[0] + x[1]),
    case("add", (3, 4), (1, 4), (3, 1), oracle=lambda x, w: x[0] + x[1] + x[2], note="three"),
    case("mul", (3, 4), (1, 1), (3, 1), oracle=lambda x, w: x[0] * x[1] * x[2], note="three"),
    case("mul", (3, 4), oracle=lambda x, w: x[0], note="one"),
    case(
        "max", (3, 4), (3, 4), (1, 4),
        oracle=lambda x, w: torch.maximum(torch.maximum(*x[:2]), x[2]),
    ),
    case("max", (3, 4), oracle=lambda x, w: x[0], note="one"),
    case("sub", (3, 4), (1, 4), oracle=lambda x, w: x[0] - x[1]),
    case("div", (3, 4), (3, 1), oracle=lambda x, w: x[0] / x[1]),
    case("matmul", (2, 3, 4), (2, 4, 5), oracle=lambda x, w: x[0] @ x[1]),
    case(
        "einsum", (3, 4), (4, 5), equation="ij, jk -> ki",
        oracle=lambda x, w: torch.einsum("nij,njk->nki", *x),
    ),
    case(
        "einsum", (3, 3), note="diagonal", equation="nn->n",
        oracle=lambda x, w: torch.einsum("bnn->bn", *x),
    ),
    case(
        "einsum", (3, 4), (3,), (4,), note="scalar", equation="ij,i,j->",
        oracle=lambda x, w: torch.einsum("nij,ni,nj->n", *x),
    ),
    # shapes
    case("reshape", (3, 8), oracle=lambda x, w: x[0].reshape(-1, 2, 12), shape=(2, -1)),
    case("reshape", (3, 8), oracle=lambda x, w: x[0], note="same", shape=(3, 8)),
    case(
        "reshape", (T, 8), note="open", shape=(T, 2, 4),
        oracle=lambda x, w: x[0].unflatten(2, (2, 4)),
    ),
    case("reshape", (T, 8), oracle=lambda x, w: x[0].flatten(1), note="merged", shape=(-1,)),
    case(
        "reshape", (T, U, 6), note="two-open-merged", shape=(T * U, 6),
        oracle=lambda x, w: x[0].flatten(1, 2),
    ),
    case(
        "reshape", (T, U, 6), note="two-open-moved", shape=(6, T, U),
        oracle=lambda x, w: x[0].reshape(-1, 6, *x[0].shape[1:3]),
    ),
    case(
        "reshape", (T, U, 4), note="computed", shape=(2 * T, 2 * U),
        oracle=lambda x, w: x[0].reshape(-1, 2 * x[0].shape[1], 2 * x[0].shape[2]),
    ),
    case("transpose", (3, 4, 5), oracle=lambda x, w: x[0].permute(0, 3, 1, 2), order=[2, 0, 1]),
    case("slice", (5, 4), oracle=lambda x, w: x[0][:, 1:3], start=1, stop=3),
    case("slice", (5, 4), oracle=lambda x, w: x[0][:, :, -2:], note="end", start=-2, axis=1),
    case("slice", (T, 4), oracle=lambda x, w: x[0][:, -3:-1], note="open", start=-3, stop=-1),
    case("pad", (3, 4), oracle=lambda x, w: F.pad(x[0], (2, 2), value=0.5), amount=2, value=0.5),
    case(
        "pad", (2, 3, 4), oracle=lambda x, w: F.pad(x[0], (0, 3, 1, 2)), note="uneven",
        amount=[[1, 2], [0, 3]],
    ),
    *(
        case(
            "upsample", shape, note=f"{mode}-{len(shape) - 1}d", factor=factor, mode=mode,
            oracle=enlarged(mode, factor),
        )
        for mode in ("nearest", "linear")
        for shape, factor in (((2, 5), [3]), ((2, 4, 3), [2, 3]), ((2, 2, 3, 4), [2, 3, 2]))
    ),
    case("concat", (3, 4), (2, 4), oracle=lambda x, w: torch.cat(x, 1)),
    case("concat", (3, 4), (3, T), oracle=lambda x, w: torch.cat(x, 2), note="axis", axis=1),
    case("concat", (3, 4), oracle=lambda x, w: x[0], note="one"),
    case("each_in", (T, 3), oracle=lambda x, w: x[0].flatten(0, 1), axis="T"),
    case(
        "each_in", (3, T, 2), oracle=lambda x, w: x[0].movedim(2, 1).flatten(0, 1), note="inner",
        axis="T",
    ),
    case(
        "each_in", (T, U, 3), oracle=lambda x, w: x[0].flatten(0, 1), note="two-open", axis="T",
    ),
]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("opset", [17, 18, DEFAULT_OPSET])
@pytest.mark.parametrize("case", CASES)
def test_op(case: Case, opset: int, batch: int) -> None:
    net = Net()
    values = [net.input(f"x{i}", *shape) for i, shape in enumerate(case.shapes)]
    graph = net.output(net(case.op, *values, at="net.op", **case.attrs)).lowered()
    weights, inputs = random_weights(graph), random_inputs(graph, N=batch, T=5, U=7)
    found = run(graph, weights, inputs, opset)["y"]
    own = {name.removeprefix("net.op."): torch.from_numpy(w) for name, w in weights.items()}
    wanted = case.oracle([torch.from_numpy(x) for x in inputs.values()], own)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=2e-5, atol=2e-5)
    declared = graph.outputs["y"].type.shape
    assert found.shape == tuple(evaluate(dim, {"N": batch, "T": 5, "U": 7}) for dim in declared)


def test_every_primitive_has_a_rule_or_a_reason() -> None:
    primitives = {name for name, spec in OPS.items() if not spec.is_composite}
    assert RULES.keys() | UNSUPPORTED.keys() == primitives
    assert not RULES.keys() & UNSUPPORTED.keys()
