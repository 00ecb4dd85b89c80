"""A float32 model in half precision: its values stored in 16 bits, inputs and outputs as before.

ONNX Runtime's own tool (`onnxruntime.transformers.float16`) knows no bfloat16, and makes a model
that is not in order where two operators that stay float32 read one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from xgraph.backends.onnx.emitter import Array
from xgraph.diagnostics import fail

if TYPE_CHECKING:
    import onnx

Half: TypeAlias = Literal["fp16", "bf16"]

DELICATE = (
    "AveragePool", "BatchNormalization", "Erf", "Exp", "GlobalAveragePool", "InstanceNormalization",
    "LayerNormalization", "Log", "LogSoftmax", "ReduceMean", "ReduceSum", "Softmax",
)  # fmt: skip
"""What stays float32: sums of many values, and what makes much of small differences."""

_PLAIN = ("Cast", "ConstantOfShape", "Range")
"""What says in an attribute, or by integers, what type it gives."""

_SCALES = ("Resize", 2)
"""The input of an operator that is float32 whatever the others are."""

BF16_OPSET = 22
"""The first operator set with convolutions, pooling and recurrent layers in bfloat16."""

_FLOAT, _FLOAT16, _BFLOAT16 = 1, 10, 16  # TensorProto's numbers
_ELEMENT: dict[Half, int] = {"fp16": _FLOAT16, "bf16": _BFLOAT16}
_TYPE: dict[Half, str] = {"fp16": "tensor(float16)", "bf16": "tensor(bfloat16)"}


def halved(model: onnx.ModelProto, precision: Half) -> onnx.ModelProto:
    """The model in `precision`, `model` left as it is; float32 at its inputs and outputs.

    `DiagnosticError` where its operator set has no bfloat16. One message must hold the model.
    """
    import onnx

    opset = model.opset_import[0].version
    if precision == "bf16" and opset < BF16_OPSET:
        raise fail(
            "unsupported-opset", f"opset {opset} has no convolutions in bf16",
            help=f"give one from {BF16_OPSET}, or none",
        )  # fmt: skip
    made = onnx.ModelProto()
    made.CopyFrom(model)
    writer = _Writer(model, precision)
    nodes = [node for given in model.graph.node for node in writer.write(given)]
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(writer.tensors())
    for value in made.graph.value_info:
        if value.name in writer.half:
            value.type.tensor_type.elem_type = _ELEMENT[precision]
    return made


@final
class _Writer:
    """Writes operators again, and a cast where one reads a value in another type than it has."""

    def __init__(self, model: onnx.ModelProto, precision: Half) -> None:
        import onnx.shape_inference

        self._opset = model.opset_import[0].version
        self._precision = precision
        graph = onnx.shape_inference.infer_shapes(model).graph
        values = [*graph.input, *graph.output, *graph.value_info]
        self._exact = {tensor.name: tensor for tensor in model.graph.initializer}
        self._floats = {v.name for v in values if v.type.tensor_type.elem_type == _FLOAT}
        self._floats |= {name for name, t in self._exact.items() if t.data_type == _FLOAT}
        self._outputs = {value.name for value in graph.output}
        self._cast: set[str] = set()
        self.half: set[str] = set()
        """The names whose values are in 16 bits."""
        self._read = {name for node in graph.node for i, name in enumerate(node.input)
                      if not self._is_half(node, i)}  # fmt: skip
        self.half |= self._exact.keys() & self._floats - self._read

    def _is_half(self, node: onnx.NodeProto, index: int | None = None) -> bool:
        """Whether an operator, or one of its inputs, is in 16 bits where it is a number."""
        op = node.op_type
        return (
            op not in (*DELICATE, *_PLAIN)
            and (op, index) != _SCALES
            and _has(op, self._opset, self._precision)
        )

    def write(self, given: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """An operator between the casts that it needs."""
        import onnx

        node = onnx.NodeProto()
        node.CopyFrom(given)
        for i, name in enumerate(given.input):
            if name in self._floats and self._is_half(given, i) != (name in self.half):
                node.input[i] = f"{name}/half" if self._is_half(given, i) else f"{name}/wide"
                yield from self._casts(name, node.input[i])
        ends: list[onnx.NodeProto] = []
        for i, name in enumerate(given.output):
            if not self._is_half(given) or name not in self._floats:
                continue
            if name in self._outputs:  # these are float32
                node.output[i] = f"{name}/half"
                ends.append(_cast(node.output[i], name, _FLOAT))
                self._cast.add(node.output[i])
            self.half.add(node.output[i])
        yield node
        yield from ends

    def _casts(self, name: str, wanted: str) -> Iterator[onnx.NodeProto]:
        """The cast of a value, once."""
        if wanted not in self._cast and name not in self._exact:
            to = _FLOAT if name in self.half else _ELEMENT[self._precision]
            yield _cast(name, wanted, to)
        self._cast.add(wanted)

    def tensors(self) -> Iterator[onnx.TensorProto]:
        """The tensors of the model, in the types in which they are read: some in both."""
        for name, tensor in self._exact.items():
            if name in self.half:
                yield self._narrow(tensor, name)
                continue
            yield tensor
            if f"{name}/half" in self._cast:
                yield self._narrow(tensor, f"{name}/half")

    def _narrow(self, tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
        import ml_dtypes
        import numpy as np
        import onnx.numpy_helper

        exact: Array = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):  # infinity shows in the error
            array = exact.astype(np.float16 if self._precision == "fp16" else ml_dtypes.bfloat16)
        made = onnx.TensorProto(name=name, dims=tensor.dims, data_type=_ELEMENT[self._precision])
        made.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return made


def _cast(name: str, to: str, element: int) -> onnx.NodeProto:
    import onnx.helper

    return onnx.helper.make_node("Cast", [name], [to], f"{name}/to/{to}", to=element)


def _has(op: str, opset: int, precision: Half) -> bool:
    """Whether an operator is declared for the precision."""
    import onnx.defs

    schema = onnx.defs.get_schema(op, opset)
    kind = schema.outputs[0].type_str
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    return _TYPE[precision] in allowed.get(kind, [kind])


def rounding(model: onnx.ModelProto, precision: Half) -> onnx.ModelProto:
    """What a halved model computes, in operators that any machine has: each in float32, its
    inputs and its result rounded to `precision`.

    So do accelerators. ONNX Runtime has no bfloat16 on a CPU, and computes chains of float16
    operators in float32 there, which hides part of the error.
    """
    import onnx.shape_inference

    made = onnx.shape_inference.infer_shapes(model)
    nodes = list(_rounded(made.graph, _ELEMENT[precision]))
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


def _rounded(graph: onnx.GraphProto, element: int) -> Iterator[onnx.NodeProto]:
    import onnx

    half = {v.name for v in graph.value_info if v.type.tensor_type.elem_type == element}
    half |= {tensor.name for tensor in graph.initializer if tensor.data_type == element}
    widened: set[str] = set()
    for given in graph.node:
        if given.op_type == "Cast":
            yield given
            continue
        node = onnx.NodeProto()
        node.CopyFrom(given)
        for i, name in enumerate(given.input):
            if name in half:
                node.input[i] = f"{name}/float"
                if name not in widened:
                    yield _cast(name, node.input[i], _FLOAT)
                widened.add(name)
        results = [name for name in given.output if name in half]
        for i, name in enumerate(given.output):
            node.output[i] = f"{name}/exact" if name in half else name
        yield node
        for name in results:
            yield _cast(f"{name}/exact", name, element)
