"""Names that stand for nothing here: each is told once, with the nearest that would do.

What fails because another mistake was told already is silent (`Stop` without a report): a name
whose declaration had a mistake, one that was told before, and, after mistakes of syntax, one
that the text seems to declare in a part that could not be read.
"""

from __future__ import annotations

import re
from typing import NoReturn

from xgraph.build.model import BlockDef, PlaceArray, Stop
from xgraph.build.state import Context
from xgraph.diagnostics import Label, did_you_mean
from xgraph.grammar import tree as t
from xgraph.ops import ROUTERS, layer_names
from xgraph.source import Span

_FOREIGN = {
    "average": "mean", "averagepool": "avgpool", "averagepooling": "avgpool",
    "adaptiveavgpool": "globalavgpool", "adaptivemaxpool": "globalmaxpool",
    "batchnorm": "bn", "batchnormalization": "bn", "cat": "concat", "concatenate": "concat",
    "convolution": "conv", "convtranspose": "deconv", "dense": "linear",
    "depthwiseconv": "depthwise", "divide": "div", "fc": "linear", "gap": "globalavgpool",
    "globalaveragepooling": "globalavgpool", "globalmaxpooling": "globalmaxpool",
    "groupnormalization": "groupnorm", "interpolate": "upsample",
    "layernormalization": "layernorm", "maximum": "max", "maxpooling": "maxpool",
    "multiheadattention": "attention", "multiply": "mul", "permute": "transpose",
    "separableconv": "sepconv", "subtract": "sub", "sum": "add", "swish": "silu",
    "upsampling": "upsample", "view": "reshape", "zeropad": "pad", "zeropadding": "pad",
}  # fmt: skip
"""What other frameworks call a layer, in small letters and without `2d` and `_`."""

_SEEMS_DECLARED = re.compile(
    r"\b(?:param|dim|modality|let|block|superlayer|fusion|as) +(\w+)|(?:^|[{;])[ \t]*(\w+)",
    re.MULTILINE,
)


def seem_declared(text: str) -> frozenset[str]:
    """The names that `text` would declare if it could be read: those behind a keyword, and those
    that begin a statement, where a label stands."""
    return frozenset(word for pair in _SEEMS_DECLARED.findall(text) for word in pair if word)


def unknown_value(name: t.Name, ctx: Context, advice: str | None = None) -> NoReturn:
    """Report a name where a value, constant or word is wanted."""
    word = name.name
    if word in ROUTERS:
        router(name, ctx)
    if word in layer_names():
        ctx.state.stop(
            "not-a-value",
            f"`{word}` is a layer, and a value is needed here",
            name.span,
            help=f"give it a value: `value -> {word}`",
        )
    if name.span.text != word:  # it has characters that no name has, and that was told
        raise Stop
    check_told(word, ctx)  # before the near ones are looked for, which takes long
    near = did_you_mean(word, ctx.env.names())
    if ctx.state.calls and word in ctx.state.declared:
        near = "a block sees what it is given: make it a parameter, or take `in`, what flows in"
    _stop("unknown-name", f"nothing here is called `{word}`", name, ctx, near or advice)


def unknown_layer(name: t.Name, ctx: Context) -> NoReturn:
    """Report a name where a layer or block is wanted."""
    word = name.name
    if word in ROUTERS:
        router(name, ctx)
    check_told(word, ctx)
    bare = re.sub(r"[123]d|_", "", word.lower())
    own = bare if bare in layer_names() else _FOREIGN.get(bare)
    blocks = [known for known in ctx.env.names() if isinstance(ctx.env.get(known), BlockDef)]
    near = (
        f"it is called `{own}` here"
        if own
        else did_you_mean(word, [*layer_names(), *blocks]) or did_you_mean(word, ctx.env.names())
    )
    if ctx.state.blind and near is None:
        raise Stop
    _stop("unknown-op", f"no layer or block is called `{word}`", name, ctx, near)


def router(name: t.Name, ctx: Context) -> NoReturn:
    ctx.state.stop(
        "not-a-layer",
        f"`{name.name}` is a router, not a layer",
        name.span,
        help=f"a router hooks on at points: `route {name.name} points`",
    )


def _stop(id: str, message: str, name: t.Name, ctx: Context, advice: str | None) -> NoReturn:  # noqa: A002
    ctx.state.told.add(name.name)
    below = ctx.state.declared.get(name.name)
    if below is None or below.source is not name.span.source or below.start < name.span.start:
        ctx.state.stop(id, message, name.span, help=advice)
    ctx.state.stop(
        id,
        message,
        name.span,
        notes=[Label(below, "it is declared down here")],
        help="declare it above its first use",
    )


def check_told(word: str, ctx: Context) -> None:
    """Give up silently where the mistake about `word` was told, or lies in what was not read."""
    if word in ctx.state.told or word in ctx.state.lost:
        raise Stop


def needs_index(array: PlaceArray, span: Span, ctx: Context, member: str = "") -> NoReturn:
    """Report an array that stands where one of its elements, or all of them, must."""
    name, count = array.address, len(array.items)
    ctx.state.stop(
        "missing-index",
        f"`{name}` is an array of {count}",
        span,
        notes=[Label(array.declared, "declared here")] if array.declared else [],
        help=f"`{name}[*]{member}` is all of it, `{name}[0]{member}` the first",
    )
