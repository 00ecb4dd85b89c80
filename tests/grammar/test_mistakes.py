"""What is said of a text that makes no sense: which fault, in what words, where."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import SYSTEMS

from xgraph.diagnostics import Diagnostic, Report, render
from xgraph.grammar import format_document, parse
from xgraph.grammar.explain import stuck_at
from xgraph.grammar.mistakes import MISTAKES, Mistake
from xgraph.source import Source


def found_in(text: str) -> list[Diagnostic]:
    report = Report()
    parse(Source("net.xg", text), report)
    return list(report)


def place(found: Diagnostic) -> str:
    assert found.label is not None
    return f"{found.label.span.line}:{found.label.span.column}"


def in_body(text: str) -> str:
    return f"block f() {{\n{text}\n}}"


# A text, and the place and the words of all that is said of it.
TOP = [
    ("modality image [3, 32]", "1:16 there is no `:` after the modality's name"),
    ("modality image = [3]", "1:16 a shape follows `:`, not `=`"),
    ("modality image: 3, 32", "1:17 a shape in brackets must follow"),
    ("modality image: [3, 32 32]", "1:24 there is no comma before this"),
    ("modality image:\nlet x = 1", "1:16 a shape in brackets must follow"),
    ("let x: 3", "1:6 a value follows `=`, not `:`"),
    ("param x == 3", "1:9 a value follows `=`; `==` compares"),
    ("let x", "1:6 `x` has no value"),
    ("let x =", "1:7 no value follows this `=`"),
    ("let x 3", "1:7 there is no `=` before this value"),
    ("let x = 1 +", "1:11 nothing follows this `+`"),
    ("let x = image ->", "1:15 nothing follows this `->`"),
    ("let x = f(a: 3)", "1:12 a value follows `=`, not `:`"),
    ("let x = f(3, b: 3)", "1:15 a value follows `=`, not `:`"),
    ("let x = f(a b)", "1:13 there is no comma before this"),
    ("let x = f(a,, b)", "1:13 there is nothing between the commas"),
    ("let x = f(a; b)", "1:12 `;` ends a statement, but a bracket is still open"),
    ("let x = a < b < c", "1:15 comparisons do not chain"),
    ("let x = a[0:2]", "1:12 a range is written with `..`"),
    ("let x = a[]", "1:11 there is no index between the brackets"),
    ("let x = 1 ..", "1:13 a range has two ends"),
    ("let x = 1 .. 2 .. 3", "1:16 a range has two ends, and here is a third"),
    ("let x = f(1 .., 2)", "1:15 a range has two ends"),
    ("let x = a.[]", "1:12 names of points stand between these brackets"),
    ("let x = a.[b, 0]", "1:15 names of points stand between these brackets"),
    ("fusion f(a) = mfas", "1:19 the kind of space and its settings must follow this `=`"),
    ("fusion f(a) = { b }", "1:15 the kind of space and its settings must follow this `=`"),
    ("fusion f(a) = mfas { layers = 3 }", "1:29 a setting of a space is given with `:`"),
    ("fusion f(a) = mfas { layers: 3; then = b }", "1:38 a setting of a space is given"),
    ("superlayer f(a) = r { cells: }", "1:28 no value follows this `:`"),
    ("superlayer f(a) = r { cells 3 }", "1:29 a space holds settings"),
    ("let x = .5", "1:9 a number begins with a digit"),
    ("let x = 5.", "1:9 a digit must follow `5.`"),
    ("let x = 3x", "1:9 `3x` is neither a number nor a name"),
    ("let x = a.", "1:11 a name must follow `.`"),
    ("let x = if a then b", "1:20 an `if` that chooses a value has an `else`"),
    ("let x = if a { 1 } else { 2 }", "1:14 the two forms of `if` are mixed"),
    ("let x = if a then b -> c else d", "1:21 a chain in a branch of `if` stands in parentheses"),
    ("let each = 3", "1:5 `each` is a word of the language, not a name"),
    ("let x = a.repeat", "1:11 `repeat` is a word of the language, not a name"),
    ("let a, b = c", "1:6 one declaration, one name"),
    ("x = conv(3)", "1:1 `x` is given a value without `let` or `param`"),
    ("b1: conv(3)", "1:1 this stands outside of any declaration"),
    ("image -> conv(3)", "1:1 this stands outside of any declaration"),
    ("superlayr y(x) { a }", "1:1 `superlayr` begins no declaration"),
    ("superlayer y { a }", "1:14 a super-layer says what it reads"),
    ("superlayer (x) { a }", "1:12 this `superlayer` has no name"),
    ("superlayer y[](x) { a }", "1:14 the number of copies is missing"),
    ("superlayer y(x)", "1:16 a body in braces must follow"),
    ("superlayer y(x):\n  a", "1:16 a body in braces must follow"),
    ("block f { a }", "1:9 a block has a list of parameters, if an empty one"),
    ("block f(3) { a }", "1:9 a parameter is a name, or `name = default`"),
    ("fusion head { a }", "1:13 a fusion says what it reads"),
    ("connect a", "1:10 this connection has no target"),
    ("connect a ->", "1:11 no target follows this `->`"),
    ("connect a, b -> c", "1:10 a connection has one source"),
    ("connect a to c", "1:11 there is no `->` between source and target"),
    ("connect a.b c.d", "1:13 there is no `->` between source and target"),
    ("connect a -> b -> c", "1:16 a connection joins points, not layers"),
    ("connect conv(3) -> b", "1:13 a connection joins points, not layers"),
    ("connect a -> b weight = 1", "1:16 a connection goes on with `by`, `with` or `via`"),
    ("connect a -> b by", "1:18 `by` needs the way to merge"),
    ("connect a -> b via\nnetwork a", "1:19 `via` needs the layers on the way"),
    ("connect a -> b with", "1:20 `with` needs `key = value`"),
    ("connect a -> b with w", "1:22 `with` needs `key = value`"),
    ("connect a -> b with w =", "1:23 no value follows this `=`"),
    ("connect a -> b by x by y", "1:21 `by` is written twice"),
    ("route image -> p[*].in", "1:13 the kind of router is missing"),
    ("route p[*].c2", "1:8 the kind of router is missing"),
    ("route cc a by add", "1:12 a route has no `by`"),
    ("output", "1:7 this `output` has no name"),
    ("output = head", "1:8 this `output` has no name"),
    ("output logits: head", "1:14 a value follows `=`, not `:`"),
    ("use blocks.xg", "1:5 the path of a file stands in quotes"),
    ("xgraph 1.0", "1:8 the version is a whole number"),
    ("network a {\n  let b = 1 c\n}", "1:11 a network has a name and no body | 2:13 there is no"),
    ("network a modality x: [3]", "1:11 a new statement begins here on the same line"),
    ("each T: modality x: [3]", "1:7 a body in braces must follow"),
    ("repeat { let a = 1 }", "1:8 `repeat` says how often"),
    ("if a then let b = 1", "1:6 the two forms of `if` are mixed"),
    ("if { let b = 1 }", "1:4 no condition follows `if`"),
    ("def pair(filters):", "1:1 `def` means nothing here"),
    ("import torch", "1:1 `import` means nothing here"),
    ("class Net:", "1:1 `class` means nothing here"),
    ("let f = lambda x: x", "1:9 `lambda` means nothing here"),
    ('network "a"', "1:9 a name stands here, without quotes"),
    ("network a-b", "1:10 a name has no `-` in it"),
]
BODY = [
    ("conv(3, 3) relu", "2:12 there is no `->` before this"),
    ("relu relu", "2:6 there is no `->` before this"),
    ("a: b c -> d", "2:6 there is no `->` before this"),
    ("a: conv(3) b: relu", "2:12 a new statement begins here on the same line"),
    ("conv(3) => relu", "2:9 `=>` means nothing here"),
    ("conv(3) | relu", "2:9 `|` means nothing here"),
    ("conv(3) > relu", "2:1 this chains no layers"),
    ("conv(3).relu()", "2:1 this chains no layers"),
    ("conv(3) → relu", "2:9 `→` is no character of the language"),
    ("conv(3) ->", "2:9 nothing follows this `->`"),
    ("a ->\nb: c", "2:3 nothing follows this `->`"),
    ("a -> -> b", "2:6 there are two arrows in a row"),
    ("-> a", "2:1 nothing comes before this `->`"),
    ("a:\nb: c", "2:2 no layer follows this label"),
    ("a: ", "2:2 no layer follows this label"),
    ("a -> b: c", "2:7 a label stands at the beginning of a statement"),
    ("a.b: c", "2:1 a label is a name"),
    ("x = conv(3)", "2:3 a label ends with `:`, not `=`"),
    ("a, b", "2:2 `,` separates only what stands in brackets"),
    ("output: relu", "2:1 `output` is a word of the language, not a name"),
    ("connect a -> b", "2:1 `connect` stands in a body"),
    ("if a: relu", "2:5 a body in braces must follow"),
    ("if a then { relu }", "2:11 the two forms of `if` are mixed"),
    ("if a { b } else c", "2:17 a body in braces must follow"),
    ("else { a }", "2:1 there is no `if` this `else` belongs to"),
    ("if a { b } elif c { d }", "2:12 `elif` means nothing here"),
    ("repeat 3 i { a }", "2:10 only `as` and a name may stand between count and body"),
    ("for i in 3 { a }", "2:1 `for` means nothing here"),
    ("return x", "2:1 `return` means nothing here"),
    ("lett x = 3", "2:1 `lett` begins no statement"),
    ("conv(3, bias = True)", "2:16 `True` means nothing here"),
    ("if a && !b || c { d }", "2:6 `&&` means | 2:9 `!` means | 2:12 `||` means"),
    ("conv(2 ^ 3)", "2:8 `^` means nothing here"),
    ("conv(3, pad='same')", "2:13 strings stand in double quotes"),
    ('conv(3, pad="same)', "2:13 this string is never closed"),
    ('conv("a\\n")', "2:6 this string has an unknown escape"),
    ("conv(3) // the stem", "2:9 `//` divides, a comment begins with `#`"),
    ("// the stem", "2:1 a comment begins with `#`"),
    ("/* the stem */ a", "2:1 a comment begins with `#`"),
    ('"""The stem."""', "2:1 a comment begins with `#`"),
    ("größe", "2:1 `größe` is not a name"),
    ("a \u00d7 2", "2:3 `\u00d7` is no character of the language"),
    ("a \\\n -> b", "2:3 `\\` is no character of the language"),
    ("conv(3)\u00a0-> a", "2:8 `\\xa0` is no character of the language"),
    ("let x += 3", "2:7 `+` cannot stand here"),
]
BRACKETS = [
    ("block f() { conv(3 }", "1:17 `(` is never closed"),
    ("block f() { conv(3] }", "1:19 `(` is closed by `]`"),
    ("block f() { conv(3} -> relu }", "1:19 `(` is closed by `}`"),
    ("block f() { conv(3)) }", "1:20 `)` closes nothing"),
    ("block f() { conv(3) } }", "1:23 `}` closes nothing"),
    ("block f() { conv 3) }", "1:19 `)` closes nothing"),
    ("block f(a { a }\nlet x = 1", "1:8 `(` is never closed"),
    ("block f() {\n  conv(3\n  relu\n}\nlet x = 1", "2:7 `(` is never closed"),
    ("block f() {\n  a\n\nblock g() {\n  a\n}", "1:11 `{` is never closed"),
    ("modality x: [3, 32\nsuperlayer y(x) { a }", "1:13 `[` is never closed"),
    ("superlayer y(x)\n  a: b\n  c\n}", "1:16 the body of this `superlayer` is not opened"),
    ("superlayer y(x)\n  with w = 1\n  a: b\n}", "2:13 the body of this `superlayer` is not"),
    ("block f() {\n  a\n  }\n  b\n}\nlet x = 1", "3:3 `}` closes nothing"),
    ("if a {\n  let b = 1\nelse {\n  let b = 2\n}", "1:6 `{` is never closed"),
    ("block f() {\n  conv({3)\n}", "2:8 `{` opens no body here"),
]


@pytest.mark.parametrize(
    ("text", "said"),
    TOP + [(in_body(text), said) for text, said in BODY] + BRACKETS,
    ids=[text for text, _ in TOP + BODY + BRACKETS],
)
def test_every_mistake_has_its_words(text: str, said: str) -> None:
    found = [f"{place(each)} {each.message}" for each in found_in(text)]
    expected = said.split(" | ") if said.count(" | ") else [said]
    assert len(found) == len(expected), found
    for one, other in zip(found, expected, strict=True):
        assert one.startswith(other)


def test_every_diagnostic_says_what_to_do() -> None:
    for text, _ in [*TOP, *BRACKETS]:
        assert all(found.help for found in found_in(text))


def test_a_message_as_a_person_sees_it() -> None:
    (found,) = found_in("superlayer y(image {\n  a\n}")
    assert render(found) == (
        "error[unclosed-bracket]: `(` is never closed\n"
        " --> net.xg:1:13\n"
        "  |\n"
        "1 | superlayer y(image {\n"
        "  |                    - `)` is missing before this\n"
        "  |             ^\n"
        "help: close it with `)`"
    )


def test_one_run_shows_all() -> None:
    text = (
        "modality image [3]\n"
        "superlayr y(image) {\n"
        "  a: conv(3) relu\n"
        "  b: pool(2) ->\n"
        "  c: relu\n"
        "}\n"
        "connect y.a\n"
        "output = y\n"
    )
    assert [place(found) for found in found_in(text)] == [
        "1:16",
        "2:1",
        "3:14",
        "4:14",
        "7:12",
        "8:8",
    ]


def test_the_fallback_names_what_could_stand_there() -> None:
    (found,) = found_in("modality a: [3] = 2")
    assert (found.id, found.message) == ("unexpected-token", "`=` cannot stand here")
    assert found.help == "here could stand: the end of the line, `with`"


class TestExamples:
    @pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.id)
    def test_an_example_leads_to_its_mistake(self, mistake: Mistake) -> None:
        for example in mistake.examples():
            said = {found.id for found in found_in(example)}
            assert said & {mistake.id, *_SAID_BEFORE}, example

    def test_no_two_mistakes_look_alike(self) -> None:
        keys: dict[object, object] = {}
        for mistake in MISTAKES:
            for example in mistake.examples():
                assert keys.setdefault(stuck_at(example).key, mistake) is mistake, example


# An example is cut short where it makes its point, so something else may be said of it first.
_SAID_BEFORE = ("unclosed-bracket", "unknown-keyword")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_lost_bracket_is_one_mistake(system: str) -> None:
    text = re.sub(" *#.*|  if .*\n", "", SYSTEMS[system])
    for i, character in enumerate(text):
        if character in "()[]{}":
            found = found_in(text[:i] + text[i + 1 :])
            assert len(found) == 1, (text[i - 20 : i], text[i + 1 :][:20], found)


_PIECES = [
    *"(){}[];:,.=*<-\n\"'#^|é\0",
    *["->", "..", "//", "/*", "**", "let ", "if ", " then ", " else ", "repeat 2", "with ", "via "],
    *["connect ", "superlayer ", "xgraph 1", "True", "0.", "1e999", '"""', "\ufeff", "→"],
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SYSTEMS)), st.integers(0, 2**32))
def test_no_damage_is_more_than_a_mistake(system: str, seed: int) -> None:
    """Whatever happens to a text, it is read or explained, and what was read prints."""
    dice = random.Random(seed)
    text = SYSTEMS[system]
    for _ in range(dice.randint(1, 6)):
        at, length = dice.randrange(len(text)), dice.choice([0, 0, 1, 5])
        text = text[:at] + dice.choice(["", *_PIECES]) + text[at + length :]
    report = Report()
    document = parse(Source("net.xg", text), report)
    assert all(render(found) for found in report)
    printed = format_document(document)
    again = Report()
    assert parse(Source("net.xg", printed), again) == document
    assert not len(again)
