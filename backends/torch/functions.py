"""Rules for primitives without parameters."""

from __future__ import annotations

from xgraph.backends.torch.code import Code, binary, call, index, literal, method, negative, values
from xgraph.backends.torch.layers import Pads, border, is_even, short
from xgraph.backends.torch.registry import Site, rule
from xgraph.backends.torch.shapes import reshaped
from xgraph.ir.types import Expr, parse_dim
from xgraph.ops.common import axis_index

# ------------------------------------------------------------------------------- activations


@rule("identity")
@rule("input")
def unchanged(s: Site) -> Code:
    """The value; a modality is an argument of `forward`."""
    return s.x


@rule("relu")
def relu(s: Site) -> Code:
    return call("F.relu", s.x, **s.over)


@rule("gelu")
def gelu(s: Site) -> Code:
    return call("F.gelu", s.x)


@rule("silu")
def silu(s: Site) -> Code:
    return call("F.silu", s.x, **s.over)


@rule("sigmoid")
def sigmoid(s: Site) -> Code:
    return call("torch.sigmoid", s.x)


@rule("tanh")
def tanh(s: Site) -> Code:
    return call("torch.tanh", s.x)


@rule("leakyrelu")
def leakyrelu(s: Site) -> Code:
    return call("F.leaky_relu", s.x, literal(s.attrs.slope), **s.over)


@rule("elu")
def elu(s: Site) -> Code:
    return call("F.elu", s.x, *([] if s.attrs.alpha == 1.0 else [literal(s.attrs.alpha)]), **s.over)


@rule("softmax")
def softmax(s: Site) -> Code:
    return call("F.softmax", s.x, dim=s.attrs.axis + 1)


@rule("logsoftmax")
def logsoftmax(s: Site) -> Code:
    return call("F.log_softmax", s.x, dim=s.attrs.axis + 1)


@rule("dropout")
def dropout(s: Site) -> Code:
    return call("F.dropout", s.x, literal(s.attrs.rate), "self.training")


# -------------------------------------------------------------------------------- arithmetic


@rule("add", folds=True)
def add(s: Site) -> Code:
    return binary(s.xs[0], "+", s.xs[1])


@rule("mul", folds=True)
def mul(s: Site) -> Code:
    return binary(s.xs[0], "*", s.xs[1])


@rule("max", folds=True)
def maximum(s: Site) -> Code:
    return call("torch.maximum", s.xs[0], s.xs[1])


@rule("sub")
def sub(s: Site) -> Code:
    return binary(s.xs[0], "-", s.xs[1])


@rule("div")
def div(s: Site) -> Code:
    return binary(s.xs[0], "/", s.xs[1])


@rule("scale")
def scale(s: Site) -> Code:
    factor, offset = s.attrs.factor, s.attrs.offset
    if factor == -1.0 and offset:
        return binary(Code(_number(offset)), "-", s.x)
    y = s.x if factor == 1.0 else _scaled(s.x, factor)
    if not offset:
        return y
    return binary(y, "+" if offset > 0 else "-", Code(_number(abs(offset))))


def _scaled(x: Code, factor: float) -> Code:
    """Divided where that is the rounder number: `x / 3`, not `x * 0.3333333333333333`."""
    if factor == -1.0:
        return negative(x)
    divisor = round(1 / factor) if abs(factor) > 1e-9 else 0
    if abs(divisor) > 1 and 1 / divisor == factor:
        return binary(x, "/", Code(str(divisor)))
    return binary(x, "*", Code(_number(factor)))


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e6 else literal(value)


@rule("matmul")
def matmul(s: Site) -> Code:
    return binary(s.xs[0], "@", s.xs[1])


@rule("einsum")
def einsum(s: Site) -> Code:
    equation = s.attrs.equation
    letters = "nbmzNBMZ" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    batch = next(letter for letter in letters if letter not in equation)
    inputs, _, output = equation.partition("->")
    batched = ",".join(batch + part for part in inputs.split(","))
    return call("torch.einsum", literal(f"{batched}->{batch}{output}"), *s.xs)


@rule("mask")
def mask(s: Site) -> Code:
    axis, value = str(s.attrs.axis + 1), literal(s.attrs.value)
    return call(s.helper("mask"), *s.xs, axis, value)


# ------------------------------------------------------------------- pooling and reductions


def _is_module_padding(kernel: tuple[int, ...], pads: Pads) -> bool:
    """Whether PyTorch's pooling takes these pads: alike on both sides, to half the kernel."""
    return is_even(pads) and all(2 * pad[0] <= k for pad, k in zip(pads, kernel, strict=True))


def _window(s: Site) -> list[str]:
    """Kernel and, where it differs, stride."""
    kernel, stride = s.attrs.kernel, s.attrs.stride
    return [literal(short(size)) for size in ([kernel] if kernel == stride else [kernel, stride])]


def _padding(pads: Pads) -> dict[str, object]:
    sizes = tuple(before for before, _ in pads)
    return {"padding": short(sizes)} if any(sizes) else {}


@rule("maxpool")
def maxpool(s: Site) -> Code:
    kernel, pads = s.attrs.kernel, s.attrs.pad
    function = f"F.max_pool{len(kernel)}d"
    if _is_module_padding(kernel, pads):
        return call(function, s.x, *_window(s), **_padding(pads))
    padded = call("F.pad", s.x, border(pads), 'value=float("-inf")')
    return call(function, padded, *_window(s))


@rule("avgpool")
def avgpool(s: Site) -> Code:
    kernel, stride, pads = s.attrs.kernel, s.attrs.stride, s.attrs.pad
    name = f"avg_pool{len(kernel)}d"
    if _is_module_padding(kernel, pads) and not _is_refused(s):
        padding = _padding(pads)
        counted: dict[str, object] = {"count_include_pad": False} if padding else {}
        return call(f"F.{name}", s.x, *_window(s), **padding, **counted)
    cells = [str(list(map(int, size))) for size in (kernel, stride)]
    return call(s.helper(f"padded_{name}"), s.x, *cells, f"[{border(pads)[1:-1]}]")


def _is_refused(s: Site) -> bool:
    """Whether maps are, or may be, smaller than the window: `avg_pool3d` takes none such, and
    does not count the padding."""
    kernel, sizes = s.attrs.kernel, s.type.shape[2:]
    small = any(isinstance(d, Expr) or d < k for d, k in zip(sizes, kernel, strict=True))
    return len(kernel) == 3 and small and any(map(any, s.attrs.pad))


@rule("reduce")
def reduce(s: Site) -> Code:
    a = s.attrs
    function = {"mean": "mean", "sum": "sum", "max": "amax"}[a.how]
    axes = literal(short(tuple(axis + 1 for axis in a.axis)))
    return method(s.x, function, axes, **({"keepdim": True} if a.keep else {}))


# --------------------------------------------------------------------------------- movement


@rule("reshape")
def reshape(s: Site) -> Code:
    return reshaped(s, s.type.features, s.node.output.type.features)


@rule("transpose")
def transpose(s: Site) -> Code:
    order = s.attrs.order
    moved = [i for i, axis in enumerate(order) if i != axis]
    if not moved:
        return s.x
    if len(moved) == 2:
        return method(s.x, "transpose", *(str(i + 1) for i in moved))
    return method(s.x, "permute", "0", *(str(axis + 1) for axis in order))


@rule("slice")
def slice_(s: Site) -> Code:
    a = s.attrs
    if not a.start and a.stop is None:
        return s.x
    part = f"{a.start or ''}:{'' if a.stop is None else a.stop}"
    return index(s.x, (*(":",) * (a.axis + 1), f"0{part}" if part.startswith(":") else part))


@rule("pad")
def pad(s: Site) -> Code:
    value = [f"value={literal(s.attrs.value)}"] if s.attrs.value else []
    return call("F.pad", s.x, border(s.attrs.amount), *value)


@rule("upsample")
def upsample(s: Site) -> Code:
    """`nearest-exact`, for `nearest` picks wrong neighbours at some factors (41, 47, ...)."""
    factors = tuple(map(float, s.attrs.factor))
    scale_factor = factors[0] if len(set(factors)) == 1 else factors
    linear = ("linear", "bilinear", "trilinear")[len(factors) - 1]
    mode = linear if s.attrs.mode == "linear" else "nearest-exact"
    return call("F.interpolate", s.x, scale_factor=scale_factor, mode=mode)


@rule("concat")
def concat(s: Site) -> Code:
    return call("torch.cat", values(s.xs), dim=s.attrs.axis + 1)


# ---------------------------------------------------------------------------------- `each`


@rule("each_in")
def enter(s: Site) -> Code:
    axis = axis_index("each", s.attrs.axis, s.type)
    front = method(s.x, "movedim", str(axis + 1), "1") if axis else s.x
    return method(front, "flatten", "0", "1")


@rule("each_out")
def leave(s: Site) -> Code:
    return method(s.x, "unflatten", "0", f"(-1, {s.size(parse_dim(s.attrs.size))})")
