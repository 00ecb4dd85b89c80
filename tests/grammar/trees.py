"""Random syntax trees, none of which was read from a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from xgraph.grammar import SYNTHETIC, tree

Strategy = st.SearchStrategy[Any]

_WORDS = ["a", "conv", "in", "T", "b1", "_x", "a_rather_long_name_for_a_layer_to_have"]


def made(kind: Callable[..., Any], /, **fields: Strategy) -> Strategy:
    return st.builds(kind, span=st.just(SYNTHETIC), **fields)


def tuples(items: Strategy, least: int = 0, most: int = 3) -> Strategy:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


names = made(tree.Name, name=st.sampled_from(_WORDS))
_floats = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
_texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=5)
strings = made(tree.String, value=_texts)
_leaves = st.one_of(
    names,
    made(tree.Number, value=st.integers(0, 10**18 - 1)),
    made(tree.Number, value=_floats),
    made(tree.Bool, value=st.booleans()),
    strings,
)
_operators = ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or"]


def _subscripts(inner: Strategy) -> Strategy:
    return st.one_of(inner, made(tree.Star))


def _larger(inner: Strategy) -> Strategy:
    argument = made(tree.Argument, name=st.none() | names, value=inner)
    return st.one_of(
        made(tree.Member, base=inner, name=names),
        made(tree.Members, base=inner, names=tuples(names, 1)),
        made(tree.Index, base=inner, index=_subscripts(inner)),
        made(tree.Range, low=inner, high=inner),
        made(tree.Call, function=inner, arguments=tuples(argument)),
        made(tree.List, items=tuples(inner)),
        made(tree.Unary, operator=st.sampled_from(["-", "not"]), operand=inner),
        made(tree.Binary, operator=st.sampled_from(_operators), left=inner, right=inner),
        made(tree.Conditional, condition=inner, yes=inner, no=inner),
        made(tree.Chain, stages=tuples(inner, 2, 4)),
        made(
            tree.Repeat,
            count=inner,
            variable=st.none() | names,
            body=made(tree.Body, statements=tuples(_stages(inner))),
        ),
    )


def _stages(inner: Strategy) -> Strategy:
    index = inner.filter(lambda part: not isinstance(part, tree.Range))
    label = made(tree.Label, name=names, index=st.none() | index)
    return made(tree.Stage, label=st.none() | label, chain=inner.map(_as_layer))


def _as_layer(link: tree.Expression) -> tree.Expression:
    """`link` wrapped where it would be refused as a layer."""
    if isinstance(link, tree.Chain):
        return tree.Chain(stages=tuple(map(_as_layer, link.stages)), span=SYNTHETIC)
    if isinstance(link, tree.Binary | tree.Call | tree.Member):
        return tree.List(items=(link,), span=SYNTHETIC)
    return link


expressions = st.recursive(_leaves, _larger, max_leaves=8)
_small = st.recursive(_leaves, _larger, max_leaves=3)


def _nested_statements(inner: Strategy) -> Strategy:
    body = made(tree.Body, statements=tuples(inner))
    return made(tree.If, condition=_small, yes=body, no=st.none() | body)


statements = st.recursive(
    st.one_of(_stages(_small), made(tree.Let, name=names, value=_small)),
    _nested_statements,
    max_leaves=4,
)
bodies = made(tree.Body, statements=tuples(statements))
_points = st.recursive(
    names,
    lambda inner: (
        made(tree.Member, base=inner, name=names)
        | made(tree.Members, base=inner, names=tuples(names, 1))
        | made(tree.Index, base=inner, index=_subscripts(_leaves))
    ),
    max_leaves=2,
)
_entries = tuples(made(tree.Entry, key=names, value=_small), most=2)

_settings = made(tree.Setting, key=names, values=tuples(_small, 1))
_spaces = made(tree.Space, kind=names, settings=tuples(_settings))

_plain = st.one_of(
    made(tree.Network, name=names, meta=_entries),
    made(tree.Param, name=names, default=expressions),
    made(tree.Dim, name=names, size=st.none() | _small),
    made(tree.Use, path=strings),
    made(
        tree.Modality,
        name=names,
        dtype=st.none() | names,
        shape=made(tree.List, items=tuples(_small)),
        meta=_entries,
    ),
    made(tree.Let, name=names, value=expressions),
    made(
        tree.Block,
        name=names,
        parameters=tuples(made(tree.Parameter, name=names, default=st.none() | _small)),
        body=bodies,
    ),
    made(
        tree.SuperLayer,
        name=names,
        count=st.none() | _small,
        arguments=tuples(_small),
        body=bodies | _spaces,
        meta=_entries,
    ),
    made(tree.Fusion, name=names, arguments=tuples(_small), body=bodies | _spaces, meta=_entries),
    made(
        tree.Connect,
        source=_points,
        targets=tuples(_points, 1),
        by=st.none() | names,
        via=st.none() | _small,
        meta=_entries,
    ),
    made(
        tree.Route,
        router=names,
        sources=tuples(_points, 1),
        targets=tuples(_points),
        via=st.none() | _small,
        meta=_entries,
    ),
    made(tree.Output, name=names, value=st.none() | expressions),
)


def _nested_declarations(inner: Strategy) -> Strategy:
    parts = tuples(inner)
    return st.one_of(
        made(tree.Each, axis=names, declarations=parts),
        made(tree.IfDecl, condition=_small, yes=parts, no=parts),
        made(tree.RepeatDecl, count=_small, variable=st.none() | names, declarations=parts),
    )


declarations = st.recursive(_plain, _nested_declarations, max_leaves=4)
documents = made(
    tree.Document,
    version=st.sampled_from([None, 1]),
    declarations=tuples(declarations, most=4),
)
