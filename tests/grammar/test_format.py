"""Syntax tree to text: the one form of a file, what it keeps, and what comes back from it."""

from __future__ import annotations

import random
from dataclasses import replace
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from systems import SYSTEMS
from trees import documents, expressions

from xgraph.diagnostics import Report
from xgraph.grammar import (
    SYNTHETIC,
    format_document,
    format_tree,
    parse,
    parse_expression,
    tree,
)
from xgraph.grammar.lexer import lex
from xgraph.source import Source


def read(text: str) -> tree.Document | None:
    """The tree of `text`, None if it has mistakes."""
    report = Report()
    document = parse(Source("net.xg", text), report)
    return None if len(report) else document


def formatted(text: str) -> str:
    document = read(text)
    assert document is not None
    return format_document(document)


def check_kept(document: tree.Document) -> str:
    """The text of `document`, once it is known to say the same and to be canonical."""
    text = format_document(document)
    again = read(text)
    assert again == document, text
    assert format_document(again) == text
    kept = [comment.text for comment in again.comments]
    assert sorted(kept) == sorted(comment.text for comment in document.comments), text
    return text


LONG = "a_name_that_is_rather_long"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("xgraph   1\nnetwork  a", "xgraph 1\nnetwork a\n"),
        ("param p=2;dim T ; dim S=39", "param p = 2\ndim T\ndim S = 39\n"),
        ('use "a.xg"', 'use "a.xg"\n'),
        ("let x=1..4;let y=(1 ..4)*2", "let x = 1 .. 4\nlet y = (1 .. 4) * 2\n"),
        ("let x=a .[ b,c, ]", "let x = a.[b, c]\n"),
        ("fusion f(a)=mfas{units:3;then:b->c}", "fusion f(a) = mfas { units: 3; then: b -> c }\n"),
        (
            "fusion f(a) = m {  # one\nunits:  3 # two\n\n# three\nlayers: 1..4}",
            "fusion f(a) = m {  # one\n  units: 3  # two\n\n  # three\n  layers: 1 .. 4\n}\n",
        ),
        ("modality x :i64[3,T,]", "modality x: i64 [3, T]\n"),
        ("modality n: []with w=.5".replace(".5", "0.50"), "modality n: [] with w = 0.50\n"),
        ("let x=f( a,b=2 ,)[ * ].c", "let x = f(a, b = 2)[*].c\n"),
        ("let x=p[0..n]", "let x = p[0 .. n]\n"),
        ("let x = ((a))->(b->c)", "let x = a -> (b -> c)\n"),
        ("let x=(a+b)*c-(d-(e-f))", "let x = (a + b) * c - (d - (e - f))\n"),
        ("let x=-(a**b)**(-c)", "let x = -(a ** b) ** -c\n"),
        ("let x=not(a and(b or c))", "let x = not (a and (b or c))\n"),
        ("let x=(a<b)==(c<d)", "let x = (a < b) == (c < d)\n"),
        (
            "let x=a->if b then(c->d)else e->f",
            "let x = a -> (if b then (c -> d) else e) -> f\n",
        ),
        ("connect a->b via c by d with w=1", "connect a -> b by d with w = 1 via c\n"),
        ("route cc a,b->c", "route cc a, b -> c\n"),
        ("block f(a,b=2){relu;bn}", "block f(a, b = 2) { relu; bn }\n"),
        ("block f(){\nrelu;bn\n}", "block f() {\n  relu\n  bn\n}\n"),
        ("block f(){}", "block f() {}\n"),
        ("block f() {\n\n}", "block f() {}\n"),
        ("superlayer y[2](x) with k=1 {a:b}", "superlayer y[2](x) with k = 1 { a: b }\n"),
        ("fusion g(a,)\n{\nb\n}", "fusion g(a) {\n  b\n}\n"),
        (
            "block f(){if a{b}else if c{d}else{e}}",
            "block f() { if a { b } else if c { d } else { e } }\n",
        ),
        (
            "block f() {\nif a {\nb } else { c } }",
            "block f() {\n  if a {\n    b\n  } else {\n    c\n  }\n}\n",
        ),
        (
            "block f() {u[i]:repeat 3 as i{a}->b\n}",
            "block f() {\n  u[i]: repeat 3 as i { a } -> b\n}\n",
        ),
        ("each T{let a=b}", "each T { let a = b }\n"),
        ("repeat 2 as i{let a=b;let c=d}", "repeat 2 as i { let a = b; let c = d }\n"),
        ("if a{let b=1}else{let b=2}", "if a { let b = 1 } else { let b = 2 }\n"),
    ],
)
def test_the_canonical_form(text: str, canonical: str) -> None:
    assert formatted(text) == canonical
    assert formatted(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (
            f"let x = {' -> '.join([LONG] * 4)}",
            f"""
            let x = {LONG}
              -> {LONG}
              -> {LONG}
              -> {LONG}
            """,
        ),
        (
            f"let x = f({', '.join([LONG] * 3)}, b = [1, 2])",
            f"""
            let x = f(
              {LONG},
              {LONG},
              {LONG},
              b = [1, 2],
            )
            """,
        ),
        (
            f"connect y.b1 -> u.b1, v.b1 by add with weight = 0.6 via {LONG} -> {LONG}",
            f"""
            connect y.b1 -> u.b1, v.b1
              by add
              with weight = 0.6
              via {LONG} -> {LONG}
            """,
        ),
        (
            f"superlayer y({LONG}) {{ a: {LONG}; b: {LONG} }}",
            f"""
            superlayer y({LONG}) {{
              a: {LONG}
              b: {LONG}
            }}
            """,
        ),
        (
            f"let x = if {LONG} then {LONG} else {LONG}",
            f"""
            let x = if {LONG}
              then {LONG}
              else {LONG}
            """,
        ),
        (
            f"let x = {LONG} + {LONG} + {LONG} * 2",
            f"""
            let x = {LONG} + {LONG} +
              {LONG} * 2
            """,
        ),
        (
            f"block f() {{\n  x: {LONG} -> repeat 3 as i {{\n a\n }} -> {LONG}\n}}",
            f"""
            block f() {{
              x: {LONG}
                -> repeat 3 as i {{
                  a
                }}
                -> {LONG}
            }}
            """,
        ),
    ],
)
def test_what_does_not_fit_breaks(text: str, canonical: str) -> None:
    canonical = dedent(canonical).lstrip("\n")
    assert formatted(text) == canonical
    assert formatted(canonical) == canonical
    assert max(map(len, canonical.splitlines())) <= 88


BLANK_LINES = """\
network a


modality x: [3]
modality y: [3]
block f() {

  a


  b
  c

}
let z = x
# about g,
# a block
block g() { a }
# about h
block h() {
  a
}
# the end
"""


def test_blank_lines_are_kept_one_by_one() -> None:
    assert formatted(BLANK_LINES) == dedent("""\
        network a

        modality x: [3]
        modality y: [3]

        block f() {
          a

          b
          c
        }

        let z = x
        # about g,
        # a block
        block g() { a }

        # about h
        block h() {
          a
        }

        # the end
        """)


COMMENTS = """\
# first

xgraph 1 # the version
superlayer y(x) { # opened
# of a
  a: conv(3)   # on a
  -> relu # on relu
# before bn
  -> bn
  f(1, # on one
    # before two
    2
    # after two
  )
  let n = 1 + # within
    2
  if p { b } # on the if
  # before else
  else { # opened
  }
  # last
} # closed
connect a -> b # on b
  via c
each T { # opened

  let a = b # on a
  # last of each
}
# at the end"""


def test_comments_stay_where_they_belong() -> None:
    document = read(COMMENTS)
    assert document is not None
    assert check_kept(document) == dedent("""\
        # first

        xgraph 1  # the version

        superlayer y(x) {  # opened
          # of a
          a: conv(3)  # on a
            -> relu  # on relu
            # before bn
            -> bn
          f(
            1,  # on one
            # before two
            2,
            # after two
          )
          # within
          let n = 1 + 2
          if p {
            b
          }  # on the if
          # before else
          else {  # opened
          }
          # last
        }  # closed

        connect a -> b  # on b
          via c

        each T {  # opened
          let a = b  # on a
          # last of each
        }

        # at the end
        """)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_systems_say_the_same(system: str) -> None:
    document = read(SYSTEMS[system])
    assert document is not None
    check_kept(document)


class TestBuilt:
    """Trees that were not read."""

    def test_layout_follows_from_length_and_kind(self) -> None:
        text = """
            network a
            modality x: [3]
            modality y: [3]
            superlayer s(x) { a: conv(3); b: relu }
            superlayer t(y) { a: conv(3); b: relu; c: bn }
            connect s.a -> t.a
            connect s.b -> t.b
            output o = t
            """
        document = read(text)
        assert document is not None
        assert format_document(unread(document)) == dedent("""\
            network a

            modality x: [3]
            modality y: [3]

            superlayer s(x) { a: conv(3); b: relu }

            superlayer t(y) {
              a: conv(3)
              b: relu
              c: bn
            }

            connect s.a -> t.a
            connect s.b -> t.b

            output o = t
            """)

    def test_what_a_pass_adds_stands_among_what_was_read(self) -> None:
        document = read("# on x\nmodality x: [3]\nmodality y: [3]  # on y\noutput o = x\n# end\n")
        assert document is not None
        added = unread(read("connect x -> y")).declarations  # type: ignore[arg-type]
        first, second, last = document.declarations
        both = replace(document, declarations=(first, second, *added, *added, last))
        assert format_document(both) == dedent("""\
            # on x
            modality x: [3]
            modality y: [3]  # on y

            connect x -> y
            connect x -> y

            output o = x
            # end
            """)

    @pytest.mark.parametrize(
        ("value", "text"), [(3, "3"), (0.5, "0.5"), (1e-05, "1e-05"), (-2, "-2"), (-0.5, "-0.5")]
    )
    def test_numbers_without_a_text(self, value: float, text: str) -> None:
        assert format_tree(tree.Number(value=value, span=SYNTHETIC)) == text

    def test_a_stale_text_is_not_printed(self) -> None:
        number = tree.Number(value=0.5, text="0.50", span=SYNTHETIC)
        assert format_tree(number) == "0.50"
        assert format_tree(replace(number, value=0.25)) == "0.25"

    def test_any_part_can_be_printed(self) -> None:
        (block,) = read("block f() { x[0]: conv(3, pad = same) }").declarations  # type: ignore[union-attr]
        assert isinstance(block, tree.Block)
        (stage,) = block.body.statements
        assert isinstance(stage, tree.Stage)
        assert isinstance(stage.label, tree.Label)
        assert isinstance(stage.chain, tree.Call)
        parts = [block.body, stage, stage.label, stage.chain, stage.chain.arguments[1]]
        assert [format_tree(part) for part in parts] == [
            "{ x[0]: conv(3, pad = same) }",
            "x[0]: conv(3, pad = same)",
            "x[0]",
            "conv(3, pad = same)",
            "pad = same",
        ]

    def test_a_negative_number_binds_like_a_minus(self) -> None:
        minus = tree.Number(value=-2, span=SYNTHETIC)
        power = tree.Binary(operator="**", left=minus, right=minus, span=SYNTHETIC)
        assert format_tree(power) == "(-2) ** -2"


def unread(document: tree.Document) -> tree.Document:
    """`document` as a pass would have built it."""

    def strip(part: object) -> object:
        if isinstance(part, tuple):
            return tuple(map(strip, part))
        if not isinstance(part, tree.Tree):
            return part
        fields = {name: strip(value) for name, value in vars(part).items()}
        return type(part)(**{**fields, "span": SYNTHETIC})  # type: ignore[arg-type]

    stripped = strip(replace(document, comments=()))
    assert isinstance(stripped, tree.Document)
    return stripped


slow = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(slow, max_examples=150)
@given(expressions)
def test_any_expression_comes_back(expression: tree.Expression) -> None:
    text = format_tree(expression)
    report = Report()
    again = parse_expression(Source("", text), report)
    assert not len(report), text
    assert again == expression, text
    assert format_tree(again) == text


@settings(slow, max_examples=150)
@given(documents)
def test_any_document_comes_back(document: tree.Document) -> None:
    check_kept(document)


@settings(slow, max_examples=100)
@given(st.sampled_from([COMMENTS, *SYSTEMS.values()]), st.integers(0, 2**32))
def test_no_comment_is_lost_wherever_it_stands(text: str, seed: int) -> None:
    dice = random.Random(seed)
    before = read(text)
    for number in range(dice.randint(1, 6)):
        tokens, _ = lex(Source("", text), Report())
        at = dice.choice([0, *(token.span.end for token in tokens)])
        added = dice.choice([" # {}\n", "\n# {}\n", "\n\n # {}\n\n", "\n", "\n\n\n", "#{}\n#\n"])
        longer = text[:at] + added.format(number) + text[at:]
        if read(longer) == before:
            text = longer
    document = read(text)
    assert document is not None
    check_kept(document)
