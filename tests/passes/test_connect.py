"""Connections between streams of any rank: what arrives has just the size of its target."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xgraph
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.scope import Connect

shapes = st.lists(st.integers(1, 7), min_size=1, max_size=4)


def two_streams(a: list[int], b: list[int], *, each: bool = False) -> str:
    """Two super-layers of these shapes, with a place `p` in each."""
    front = "T, " if each else ""
    streams = [f"superlayer {name}({name}_in) {{ p: relu; tanh }}" for name in ("a", "b")]
    body = ["each T {", *streams, "}"] if each else streams
    return (
        "\n".join(
            [
                "network n",
                *(["dim T = 3"] if each else []),
                f"modality a_in: [{front}{', '.join(map(str, a))}]",
                f"modality b_in: [{front}{', '.join(map(str, b))}]",
                *body,
                "output y = a",
                "output z = b",
            ]
        )
        + "\n"
    )


@settings(max_examples=60, deadline=None)
@given(shapes, shapes, st.booleans(), st.booleans())
def test_any_two_shapes_meet(a: list[int], b: list[int], residual: bool, each: bool) -> None:
    base = xgraph.parse(two_streams(a, b, each=each))
    for source, target, have, want in (("a", "b", a, b), ("b", "a", b, a)):
        pooled = " pool=none" if len(have) > 1 and len(want) == 1 else ""
        how = f"residual=true{pooled}" if residual else "by=concat"
        made = xgraph.apply(base, f"connect{{source={source}.p target={target}.p {how}}}")
        (scope,) = (s for s in made.scopes if isinstance(s, Connect))
        (merge,) = (n for n in made.nodes() if n.scope is scope and n.rebinds)
        arrived = list(merge.inputs[1].type.features)
        assert arrived[1:] == want[1:]
        assert not residual or arrived == want
        assert xgraph.unbuild(xgraph.parse(xgraph.unbuild(made))) == xgraph.unbuild(made)


def test_every_pair_of_several() -> None:
    text = two_streams([3, 8, 8], [5]).replace(
        "output y", "superlayer c(a_in) { p: conv(4, 3, stride = 2); relu }\noutput x = c\noutput y"
    )
    made = xgraph.apply(text, "connect{between=[a.p, b.p, c.p]}")
    pairs = [(s.source, s.targets[0]) for s in made.scopes if isinstance(s, Connect)]
    names = ["a.p", "b.p", "c.p"]
    assert pairs == [(a, b) for a in names for b in names if a != b]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("units=7", "linear(7) -> prelu(per = element)"),
        ("units=7 norm=none act=relu", "conv(same, 1) -> relu -> flatten -> linear(7) -> relu"),
        ('via="globalavgpool"', "via globalavgpool"),
        ("residual=true dropout=0", "by add via maxpool(4) -> flatten -> linear(5)"),
    ],
)
def test_forms_follow_options(options: str, text: str) -> None:
    made = xgraph.apply(two_streams([3, 8, 8], [5]), f"connect{{source=a.p target=b.p {options}}}")
    printed = " ".join(xgraph.unbuild(made).split())
    assert text in printed


@pytest.mark.parametrize("kernel", [1, 3, 8])
def test_a_transposed_convolution_meets_its_target(kernel: int) -> None:
    options = f"kernel={kernel} filters=2"
    made = xgraph.apply(two_streams([3, 8, 8], [5]), f"connect{{source=b.p target=a.p {options}}}")
    assert str(made.points["a"].type) == "f32[N, 5, 8, 8]"


def test_a_kernel_larger_than_the_maps() -> None:
    with pytest.raises(DiagnosticError, match="larger than maps"):
        xgraph.apply(two_streams([3, 8, 8], [5]), "connect{source=b.p target=a.p kernel=9}")
