"""Random networks in which there is much to fold: layers with little between them."""

from __future__ import annotations

import re
from random import Random

from xgraph import parse
from xgraph.diagnostics import DiagnosticError

_VECTORS = (
    "linear({n})", "linear({n}, bias = false)", "bn", "bn(affine = false)",
    "scale(-0.5, offset = 2)", "scale(0.25)", "scale(1)", "reshape({k}, 1)", "identity", "relu",
    "add($, $)", "reshape(1, {k})", "slice({a}, {b})", "concat($, $)", "elu", "leakyrelu(0.2)",
    "concat($ -> linear({n}), $)", "sigmoid -> relu", "max($, $)", "tanh -> dropout(0.5)",
    "concat($ -> linear({n}), $ -> linear(2, bias = false))",
    "add($ -> linear({n}), $ -> linear({n}))", "concat($ -> slice(0, 1), $ -> slice(1))",
    "mul($, $ -> linear(1) -> softmax)",
    "mul($, parameter([{k}], init = normal(1)) -> sigmoid)",
    "mul($, parameter([{k}, 1], init = normal(1)) -> softmax(axis = 0) -> reshape({k}))",
    "add($, parameter([3, {k}], init = normal(1)) -> slice(1, 2) -> reshape({k}) -> scale(2))",
    "add($ -> slice(0, 1), add($ -> slice(0, 1), $ -> slice(-1)))",
    "add($, add(parameter([{k}], init = normal(1)), parameter([{k}], init = normal(1))))",
)  # fmt: skip
_MATRICES = (
    "flatten", "linear({n})", "transpose([1, 0])", "bn", "bn(axis = 1)", "scale(2, offset = 1)",
    "transpose([1, 0]) -> transpose([1, 0])", "reduce(mean, axis = 1)", "reduce(mean, axis = 0)",
    "reshape({k}, {l}, 1)", "slice(0, 1, axis = 1)", "concat($, $ -> linear({n}), axis = 1)",
    "concat($, $)", "softmax(axis = 0)", "reduce(sum, axis = 1, keep = true)",
)  # fmt: skip
_MAPS = (
    "conv({n}, 1)", "conv({n}, 1, bias = false)", "conv({n}, 3)", "conv({n}, 2, pad = valid)", "bn",
    "conv({n}, 3, stride = 2)", "conv({n}, 1, stride = 2)", "conv({k}, 3, groups = {k})",
    "bn(axis = 1)", "avgpool(2)", "maxpool(2)", "maxpool(1)", "upsample(2)", "globalavgpool",
    "pad(1)", "pad(0)", "flatten", "pad([[1, 0], [0, 2]]) -> pad(1)", "scale(0.5)", "relu",
    "deconv({n}, 2, stride = 2)", "transpose([0, 2, 1])", "concat($ -> conv({n}, 1), $)",
    "concat($ -> conv({n}, 1), $ -> conv(2, 3), $ -> conv(1, 1))", "scale(-1, offset = 1)",
    "concat($ -> conv({n}, 3), $ -> conv(2, 3))", "slice({a}, {b})", "concat($, $)",
    "add($ -> conv({n}, 1), $ -> conv({n}, 3))", "concat($ -> bn, $ -> relu)",
    "prelu -> relu -> prelu", "conv({k}, 1) -> conv({n}, 3, bias = false)",
    "conv(8, 1) -> bn -> conv({n}, 1)",
)  # fmt: skip


def foldable_network(seed: int) -> str:
    """Its text; the same for the same seed."""
    random = Random(f"foldable {seed}")
    text = "network foldable\nmodality x: [4, 5, 6]\nmodality v: [6]\n"
    for name, source, shape in (("a", "x", [4, 5, 6]), ("b", "v", [6])):
        lines: list[str] = []
        for number in range(random.randint(5, 10)):
            line = _line(random, number, shape)
            whole = _superlayer(name, source, [*lines, line])
            try:
                graph = parse(f"{text}{whole}output y = {name}\n")
            except DiagnosticError:
                lines.append(f"p{number + 1}: p{number} -> scale(2)")
                continue
            lines.append(line)
            shape = [int(str(dim)) for dim in graph.outputs["y"].type.features]
        text += _superlayer(name, source, lines)
    return f"{text}output y = a\noutput z = b\n"


def _line(random: Random, number: int, shape: list[int]) -> str:
    """The next stage, of what the last gave."""
    table = (_VECTORS, _MATRICES, _MAPS)[len(shape) - 1]
    first = random.randint(0, shape[0] - 1)
    stage = random.choice(table).format(
        n=random.choice((1, 2, 3, 5, 9)), k=shape[0], l=shape[-1],
        a=first, b=random.randint(first + 1, shape[0]),
    )  # fmt: skip
    before = f"p{number}"
    called = re.sub(r"\$", before, stage) if "$" in stage else f"{before} -> {stage}"
    return f"p{number + 1}: {called}"


def _superlayer(name: str, source: str, lines: list[str]) -> str:
    body = "".join(f"  {line}\n" for line in ["p0: in -> identity", *lines])
    return f"superlayer {name}({source}) {{\n{body}}}\n"
