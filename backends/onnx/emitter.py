"""Writes one ONNX graph: operators, tensors, and names that are unique and can be read.

Names follow the addresses of the graph. A node is called `y.b1.conv1` and so is its value; a
parameter is called `y.b1.conv1.weight`; what a rule needs besides is called by the node and the
operator, `y.b1.gelu1/Erf`; constants say what they hold, `ints[0,-1]`. Where a name is taken, a
number is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt

from xgraph.diagnostics import did_you_mean, fail
from xgraph.ir.graph import Value
from xgraph.ir.op import Param
from xgraph.ir.types import Dim, DType, Expr, Floor, TensorType, axis_name, symbol

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]


@final
class Names:
    """The one owner of a set of names."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = {}

    def fresh(self, wanted: str) -> str:
        """`wanted`, or it with the first number that makes it new."""
        name = wanted
        numbers = self._numbers.setdefault(wanted, count(2))
        while name in self._taken:
            name = f"{wanted}.{next(numbers)}"
        self._taken.add(name)
        return name


@final
class Emitter:
    """What has been written so far. Rules see it through a `Site`."""

    def __init__(self, opset: int, weights: Mapping[str, Array]) -> None:
        self.opset = opset
        self.inputs: list[onnx.ValueInfoProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, Array] = {}
        self.types: dict[str, TensorType] = {}
        """The types of named values, for whoever reads the model."""
        self.values: dict[Value, str] = {}
        self.names = Names()
        self._operators = Names()
        self._weights = weights
        self._constants: dict[tuple[object, ...], str] = {}
        self._makers: dict[str, str] = {}
        self._sizes: dict[Dim, str] = {}
        self._axes: dict[Dim, tuple[str, int]] = {}

    def enter(self, value: Value, name: str) -> None:
        """Declare an input of the graph."""
        self.inputs.append(described(name, value.type))
        self.define(value, name)

    def define(self, value: Value, name: str) -> None:
        """Say that `name` holds `value`."""
        self.values[value] = name
        self.types.setdefault(name, value.type)
        for axis, dim in enumerate(value.type.shape):
            if isinstance(dim, Expr):
                self._axes.setdefault(dim, (name, axis))

    def operator(
        self, op: str, inputs: Sequence[str], name: str, *, skip: int = 0, **attrs: Any
    ) -> onnx.NodeProto:
        """Add an operator of one output that is read, after `skip` that are not."""
        import onnx.helper

        outputs = [""] * skip + [self.names.fresh(name)]
        node = onnx.helper.make_node(op, inputs, outputs, self._operators.fresh(name), **attrs)
        self.nodes.append(node)
        self._makers[node.output[-1]] = op
        return node

    def maker(self, name: str) -> str:
        """The operator that gives `name`; nothing for inputs and tensors."""
        return self._makers.get(name, "")

    def rename(self, node: onnx.NodeProto, name: str, output: str) -> None:
        """Give the last operator of a rule the names that are its graph node's."""
        node.name = self._operators.fresh(name)
        node.output[-1] = output
        self._makers[output] = node.op_type

    def weight(self, name: str, param: Param) -> Array:
        """The value of a parameter."""
        if name not in self._weights:
            raise fail(
                "missing-weight",
                f"there is no weight `{name}`",
                help=did_you_mean(name, self._weights),
            )
        array = np.asarray(self._weights[name])
        if array.shape != param.shape:
            raise fail(
                "weight-shape",
                f"weight `{name}` has shape {list(array.shape)}, and the network needs"
                f" {list(param.shape)}",
            )
        return array.astype(np.float32, copy=False)

    def tensor(self, name: str, array: Array) -> str:
        """Add a tensor to the model under exactly this name."""
        self.tensors[name] = array
        return name

    def constant(self, name: str, array: Array) -> str:
        """A tensor that is no parameter; equal ones are kept once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.tensor(self.names.fresh(name), array)
        return self._constants[key]

    def ints(self, values: Iterable[int]) -> str:
        """A constant list of integers: axes, shapes, offsets."""
        array = np.array([int(v) for v in values], np.int64)
        return self.constant(f"ints[{','.join(map(str, array))}]", array)

    def size(self, dim: Dim) -> str:
        """The size `dim` as a list of one integer, read from the running network if need be."""
        if not isinstance(dim, Expr):
            return self.ints((dim,))
        if dim not in self._sizes:
            self._sizes[dim] = self._read(dim) if dim in self._axes else self._compute(dim)
        return self._sizes[dim]

    def _read(self, dim: Expr) -> str:
        value, axis = self._axes[dim]
        node = self.operator("Shape", (value,), f"size[{dim}]", start=axis, end=axis + 1)
        return str(node.output[0])

    def _compute(self, dim: Expr) -> str:
        if axis_name(dim):
            raise fail(
                "unknown-size",
                f"the ONNX backend cannot tell the size `{dim}` when the network runs",
                help=f"give one modality an axis of size `{dim}`, or give the `dim` a size",
            )
        terms = [self._product((c, *monomial), dim) for monomial, c in dim.terms]
        return self._fold("Add", terms, dim)

    def _product(self, factors: Sequence[int | str | Floor], dim: Dim) -> str:
        sizes = [self._factor(f) for f in factors if f != 1]
        return self._fold("Mul", sizes or [self.ints((1,))], dim)

    def _factor(self, factor: int | str | Floor) -> str:
        if isinstance(factor, Floor):
            parts = (self.size(factor.numerator), self.ints((factor.divisor,)))
            return str(self.operator("Div", parts, f"size[{factor}]").output[0])
        return self.size(symbol(factor) if isinstance(factor, str) else factor)

    def _fold(self, op: str, parts: list[str], dim: Dim) -> str:
        whole = parts[0]
        for part in parts[1:]:
            whole = self.operator(op, (whole, part), f"size[{dim}]/{op}").output[0]
        return whole


def described(name: str, t: TensorType) -> onnx.ValueInfoProto:
    """The declaration of a value; sizes known only at run time stand as text."""
    import onnx.helper

    dims = [str(dim) if isinstance(dim, Expr) else int(dim) for dim in t.shape]
    return onnx.helper.make_tensor_value_info(name, _element(t.dtype), dims)


def fill(tensor: onnx.TensorProto, name: str, array: Array) -> None:
    """Set a tensor of the model, its bytes in the order that files have."""
    tensor.name = name
    tensor.dims.extend(array.shape)
    tensor.data_type = _element(DType.F32 if array.dtype.kind == "f" else DType.I64)
    tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _element(dtype: DType) -> int:
    import onnx.helper

    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype.numpy)))
