"""Text to syntax tree: what is read, where it stands, and what no text can do."""

from __future__ import annotations

import logging
from dataclasses import fields, is_dataclass
from pathlib import Path

import lark
import pytest
from systems import SYSTEMS

from xgraph.diagnostics import Report
from xgraph.grammar import (
    KEYWORDS,
    SYNTHETIC,
    format_tree,
    machine,
    parse,
    parse_expression,
    tree,
)
from xgraph.source import Source


def read(text: str) -> tree.Document:
    """The tree of a text without mistakes."""
    report = Report()
    document = parse(Source("net.xg", text), report)
    assert not len(report), "\n".join(map(str, report))
    return document


def read_one(text: str) -> tree.Declaration:
    (declaration,) = read(text).declarations
    return declaration


def value_of(text: str) -> tree.Expression:
    declaration = read_one(f"let x = {text}")
    assert isinstance(declaration, tree.Let)
    return declaration.value


def body_of(text: str) -> tuple[tree.Statement, ...]:
    declaration = read_one(f"block f() {{{text}}}")
    assert isinstance(declaration, tree.Block)
    return declaration.body.statements


def faults(text: str) -> list[str]:
    report = Report()
    parse(Source("net.xg", text), report)
    return [found.id for found in report]


def name(word: str) -> tree.Name:
    return tree.Name(name=word, span=SYNTHETIC)


def number(value: float) -> tree.Number:
    return tree.Number(value=value, span=SYNTHETIC)


def explicit(part: tree.Expression) -> str:
    """`part` with every operation in parentheses."""
    match part:
        case tree.Binary(operator=operator, left=left, right=right):
            return f"({explicit(left)} {operator} {explicit(right)})"
        case tree.Unary(operator=operator, operand=operand):
            return f"({operator} {explicit(operand)})"
        case tree.Conditional(condition=condition, yes=yes, no=no):
            return f"({explicit(condition)} ? {explicit(yes)} : {explicit(no)})"
        case tree.Chain(stages=stages):
            return f"({' -> '.join(map(explicit, stages))})"
        case _:
            return format_tree(part)


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "meaning"),
        [
            ("a + b * c", "(a + (b * c))"),
            ("a * b + c", "((a * b) + c)"),
            ("a - b - c", "((a - b) - c)"),
            ("a // b % c / d", "(((a // b) % c) / d)"),
            ("(a + b) * c", "((a + b) * c)"),
            ("a ** b ** c", "(a ** (b ** c))"),
            ("-a ** b", "(- (a ** b))"),
            ("a ** -b", "(a ** (- b))"),
            ("--a", "(- (- a))"),
            ("-a * b", "((- a) * b)"),
            ("a + 1 < b * 2", "((a + 1) < (b * 2))"),
            ("not a == b", "(not (a == b))"),
            ("not a and b or c", "(((not a) and b) or c)"),
            ("a or b and c", "(a or (b and c))"),
            ("if a or b then c else d", "((a or b) ? c : d)"),
            ("if a then b else if c then d else e", "(a ? b : (c ? d : e))"),
            ("a -> if b then c else d -> e", "(a -> (b ? c : d) -> e)"),
            ("a -> b + c -> d", "(a -> (b + c) -> d)"),
            ("(a -> b) -> c", "((a -> b) -> c)"),
            ("-a.b[0](1)", "(- a.b[0](1))"),
        ],
    )
    def test_how_tightly_operators_bind(self, text: str, meaning: str) -> None:
        assert explicit(value_of(text)) == meaning

    def test_a_call_has_plain_and_named_arguments(self) -> None:
        call = value_of("conv(3, pad = same, x -> y,)")
        assert call == tree.Call(
            function=name("conv"),
            arguments=(
                tree.Argument(name=None, value=number(3), span=SYNTHETIC),
                tree.Argument(name=name("pad"), value=name("same"), span=SYNTHETIC),
                tree.Argument(name=None, value=value_of("x -> y"), span=SYNTHETIC),
            ),
            span=SYNTHETIC,
        )

    def test_an_index_is_a_value_a_range_or_a_star(self) -> None:
        indices = [value_of(text).index for text in ("p[i + 1]", "p[*]", "p[0 .. n]")]  # type: ignore[union-attr]
        assert indices == [
            value_of("i + 1"),
            tree.Star(span=SYNTHETIC),
            tree.Range(low=number(0), high=name("n"), span=SYNTHETIC),
        ]

    def test_a_range_is_a_value_too(self) -> None:
        one_to_four = tree.Range(low=number(1), high=number(4), span=SYNTHETIC)
        assert value_of("1 .. 4") == value_of("(1 .. 4)") == one_to_four
        chain = value_of("x -> linear(1 .. 4) -> repeat 1 .. 4 { relu }")
        assert isinstance(chain, tree.Chain)
        _, layer, repeated = chain.stages
        assert isinstance(layer, tree.Call)
        assert isinstance(repeated, tree.Repeat)
        assert layer.arguments[0].value == repeated.count == one_to_four

    def test_members_are_named_together(self) -> None:
        found = value_of("audio.[f1, f2,]")
        assert found == tree.Members(
            base=name("audio"), names=(name("f1"), name("f2")), span=SYNTHETIC
        )
        connection = read_one("connect a.b -> c.[d, e], f")
        assert isinstance(connection, tree.Connect)
        assert [type(target) for target in connection.targets] == [tree.Members, tree.Name]

    @pytest.mark.parametrize("text", ["0..1", "0 ..1", "0.. 1"])
    def test_a_range_needs_no_spaces(self, text: str) -> None:
        assert value_of(f"p[{text}]") == value_of("p[0 .. 1]")

    @pytest.mark.parametrize(
        ("text", "value"), [("3", 3), ("007", 7), ("0.25", 0.25), ("1e-3", 0.001), ("2E3", 2000.0)]
    )
    def test_numbers_keep_their_text(self, text: str, value: float) -> None:
        found = value_of(text)
        assert isinstance(found, tree.Number)
        assert (found.value, found.text, type(found.value)) == (value, text, type(value))

    def test_strings_have_two_escapes(self) -> None:
        assert value_of(r'"a \"b\" \\ # → c"') == tree.String(
            value='a "b" \\ # → c', span=SYNTHETIC
        )

    def test_lists_booleans_and_the_name_in(self) -> None:
        found = value_of("[true, false, in.in, []]")
        assert isinstance(found, tree.List)
        assert [type(item) for item in found.items] == [
            tree.Bool,
            tree.Bool,
            tree.Member,
            tree.List,
        ]

    def test_a_chain_is_flat_and_may_be_long(self) -> None:
        found = value_of(" -> ".join(["relu"] * 5000))
        assert isinstance(found, tree.Chain)
        assert len(found.stages) == 5000


class TestDeclarations:
    def test_a_header_and_every_kind(self) -> None:
        document = read(
            """
            xgraph 1
            network a; param p = 2; dim T; dim S = 39
            use "blocks.xg"
            modality x: [3, T]
            modality n: i64 [] with weight = 0.5, source = "a"
            let y = x -> bn
            block f(a, b = 2) { a }
            superlayer s(x) with k = 1 { f(1) }
            fusion g(s, x,) { concat }
            connect s.a -> g.b
            route cc s.a
            each T { let z = x }
            output o
            output q = g -> softmax
            if p == 2 { let a = 1 } else { let a = 2 }
            repeat p as i { superlayer r[i](x) { a } }
            """
        )
        assert document.version == 1
        kinds = [type(declaration).__name__ for declaration in document.declarations]
        assert " ".join(kinds) == (
            "Network Param Dim Dim Use Modality Modality Let Block SuperLayer Fusion"
            " Connect Route Each Output Output IfDecl RepeatDecl"
        )

    def test_a_modality_may_state_its_type(self) -> None:
        found = read_one("modality tokens: i64 [T, 2]")
        assert isinstance(found, tree.Modality)
        assert (found.dtype, len(found.shape.items)) == (name("i64"), 2)

    def test_clauses_come_in_any_order_and_on_following_lines(self) -> None:
        one = read_one("connect a.b -> c, d[0].e by add with w = 0.5, v = 1 via f(1) -> g")
        other = read_one(
            "connect a.b -> c,\n d[0].e\n via f(1)\n -> g\n with w = 0.5,\n v = 1\n by add"
        )
        assert one == other
        assert isinstance(one, tree.Connect)
        assert [entry.key.name for entry in one.meta] == ["w", "v"]

    def test_a_route_has_sources_and_perhaps_targets(self) -> None:
        found = read_one("route cp p[*].a, q -> p[*].b via conv(64, 3)")
        assert isinstance(found, tree.Route)
        assert (len(found.sources), len(found.targets)) == (2, 1)

    def test_an_array_is_declared_whole_or_by_elements(self) -> None:
        counts = [read_one(f"superlayer p{text}(x) {{ a }}") for text in ("", "[2]", "[0 .. 1]")]
        assert [type(found.count) for found in counts] == [type(None), tree.Number, tree.Range]  # type: ignore[union-attr]

    def test_a_body_may_be_a_space(self) -> None:
        text = (
            "fusion f(a) = mfas {\n  layers: 1 .. 4; activations: relu,\n  tanh\n  then: b -> c\n}"
        )
        found = read_one(text)
        assert isinstance(found, tree.Fusion)
        assert isinstance(found.body, tree.Space)
        keys = [(each.key.name, len(each.values)) for each in found.body.settings]
        assert keys == [("layers", 1), ("activations", 2), ("then", 1)]
        bare = read_one("superlayer f(a) = randomnet {}")
        assert isinstance(bare, tree.SuperLayer)
        assert bare.body == tree.Space(kind=name("randomnet"), settings=(), span=SYNTHETIC)

    def test_a_network_may_say_where_it_is_from(self) -> None:
        found = read_one('network a with encoding = "choice1: 2"')
        assert isinstance(found, tree.Network)
        assert found.meta[0].value == tree.String(value="choice1: 2", span=SYNTHETIC)

    def test_else_if_is_an_if_in_the_else(self) -> None:
        found = read_one("if a { let x = 1 }\nelse if b { let x = 2 }\nelse { let x = 3 }")
        assert isinstance(found, tree.IfDecl)
        (inner,) = found.no
        assert isinstance(inner, tree.IfDecl)
        assert len(inner.no) == 1


class TestStatements:
    def test_labels_lets_ifs_and_repeats(self) -> None:
        found = body_of(
            """
            a: conv(3) -> relu
            b[i + 1]: bn
            let n = 2
            if n > 1 { relu } else if n > 0 { tanh } else { }
            u: repeat n { conv(3) }
            x -> repeat n as j { conv(j) } -> relu
            """
        )
        kinds = [type(statement).__name__ for statement in found]
        assert kinds == ["Stage", "Stage", "Let", "If", "Stage", "Stage"]
        labels = [statement.label for statement in found if isinstance(statement, tree.Stage)]
        assert labels[1] == tree.Label(name=name("b"), index=value_of("i + 1"), span=SYNTHETIC)

    @pytest.mark.parametrize(
        "text",
        [
            "a -> b\nc",
            "a\n-> b\n\nc",
            "a ->\n\nb; c",
            ";;a -> b;\n;c;",
            "\n\na # x\n\n # y\n -> b # z\nc\n\n",
            "(a\n->\nb)\nc",
        ],
    )
    def test_where_a_line_break_separates(self, text: str) -> None:
        assert body_of(text) == body_of(" a -> b; c ")

    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("x = a +\nb", "x = a + b"),
            ("x = if a\nthen b\nelse c", "x = if a then b else c"),
            ("x = a\nand b\nor c", "x = a and b or c"),
            ("x =\n[a,\nb\n,]", "x = [a, b]"),
            ("x = f(\na\n,\nb = \n2\n)", "x = f(a, b = 2)"),
        ],
    )
    def test_where_a_statement_goes_on(self, text: str, same: str) -> None:
        assert read(f"let {text}") == read(f"let {same}")

    def test_a_brace_may_stand_on_a_line_of_its_own(self) -> None:
        assert read("block f()\n{\na\n}") == read("block f() { a }")

    def test_a_body_within_parentheses_has_lines_again(self) -> None:
        assert body_of("f(repeat 2 {\na\nb\n})") == body_of("f(repeat 2 { a; b })")


class TestPlaces:
    def test_a_span_is_the_text_of_its_tree(self) -> None:
        text = "superlayer y(a -> b) {\n  x: (a + 1) * f(2,)\n  if p { z } else { w }\n}"
        found = read_one(text)
        assert isinstance(found, tree.SuperLayer)
        stage, choice = found.body.statements
        assert isinstance(stage, tree.Stage)
        spans = [found, found.arguments[0], stage, stage.chain, choice, found.body]
        assert [part.span.text for part in spans] == [
            text,
            "a -> b",
            "x: (a + 1) * f(2,)",
            "(a + 1) * f(2,)",
            "if p { z } else { w }",
            text[text.index("{") :],
        ]
        assert (choice.span.line, choice.span.column) == (3, 3)

    def test_comments_are_kept_with_their_places(self) -> None:
        comments = read("# one\nlet x = 1 # two  \n\n  #three\n").comments
        assert [(c.text, c.own_line, c.span.line, c.span.column) for c in comments] == [
            ("# one", True, 1, 1),
            ("# two", False, 2, 11),
            ("#three", True, 4, 3),
        ]

    def test_the_signs_of_other_editors_do_not_matter(self) -> None:
        plain = read("block f() {\n\n  a\n  b\n}\n")
        assert read("\ufeffblock f() {\r\n\r\n\ta\r\n\tb\r\n}\r\n") == plain


class TestHeader:
    @pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", ";"])
    def test_an_empty_file_is_an_empty_document(self, text: str) -> None:
        assert read(text) == tree.Document(version=None, declarations=(), span=SYNTHETIC)

    def test_another_version_is_not_read(self) -> None:
        assert faults("xgraph 2\nnetwork a") == ["unknown-version"]

    def test_a_header_comes_first(self) -> None:
        assert faults("network a\nxgraph 1") == ["misplaced-header"]


class TestLimits:
    @pytest.mark.parametrize(
        "text",
        [
            "let x = " + "1+" * 10_000 + "1",
            "let x = " + "(" * 10_000 + "1" + ")" * 10_000,
            "let x = " + "f(" * 10_000 + "1" + ")" * 10_000,
            "let x = " + "[" * 10_000 + "]" * 10_000,
            "let x = " + "-" * 10_000 + "1",
            "let x = " + "not " * 10_000 + "a",
            "let x = " + "2 ** " * 10_000 + "2",
            "let x = a" + ".b" * 10_000,
            "let x = a" + "[0]" * 10_000,
            "let x = a" + "()" * 10_000,
            "let x = " + "if a then b else " * 10_000 + "c",
            "block f() { if a { b }" + " else if a { b }" * 10_000 + " }",
            "if a { let b = 1 }" + " else if a { let b = 1 }" * 10_000,
        ],
        ids=lambda text: text[:24],
    )
    def test_nesting_is_bounded(self, text: str) -> None:
        assert faults(text) == ["nested-too-deep"]

    @pytest.mark.parametrize(
        "text",
        [
            "block f() { " + "repeat 2 { " * 10_000 + "a" + " }" * 10_001,
            "each T { " * 10_000 + "}" * 10_000,
            "{" * 10_000,
            "(" * 10_000,
            ")" * 10_000,
            "block f() { a\n" * 2_000,
            "f(a -> " * 10_000,
        ],
        ids=lambda text: text[:16],
    )
    def test_no_nesting_exhausts_the_stack(self, text: str) -> None:
        assert 0 < len(faults(text)) <= 26

    @pytest.mark.parametrize(
        ("before", "middle", "after"),
        [
            ("f(a -> ", "a", ")"),
            ("[a -> ", "a", "]"),
            ("1 + ", "a", ""),
            ("if a then b else ", "c", ""),
            ("repeat 2 { a -> ", "a", "}"),
        ],
    )
    def test_what_is_read_can_be_walked_by_recursion(
        self, before: str, middle: str, after: str
    ) -> None:
        for count in range(70, 0, -1):
            text = f"let x = {before * count}{middle}{after * count}"
            if not faults(text):
                break
        assert count >= 30
        assert depth(read(text)) < 200
        assert format_tree(read(text))
        assert read(text) == read(text)

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("9" * 18, None),
            ("9" * 19, "number-too-large"),
            ("9" * 100_000, "number-too-large"),
            ("1e308", None),
            ("1e309", "number-too-large"),
            ("0." + "0" * 100_000, "number-too-large"),
        ],
        ids=lambda text: str(text)[:12],
    )
    def test_numbers_are_bounded(self, text: str, fault: str | None) -> None:
        assert faults(f"let x = {text}") == ([fault] if fault else [])

    def test_a_text_is_bounded(self) -> None:
        assert faults("#" * (4 * 1024 * 1024 + 1)) == ["file-too-large"]
        assert faults("a," * 300_000) == ["file-too-large"]


def depth(part: object) -> int:
    if isinstance(part, tuple):
        return max(map(depth, part), default=0)
    if not is_dataclass(part) or isinstance(part, type):
        return 0
    return 1 + max(depth(getattr(part, f.name)) for f in fields(part) if f.name != "span")


class TestRecovery:
    def test_what_makes_sense_is_read(self) -> None:
        report = Report()
        text = "network a\nlet = 3\nblock f() {\n  a\n  b c\n  d\n}\nmodality x [3]\noutput o"
        document = parse(Source("net.xg", text), report)
        assert [found.label.span.line for found in report if found.label] == [2, 5, 8]
        kinds = [type(declaration).__name__ for declaration in document.declarations]
        assert kinds == ["Network", "Block", "Output"]
        block = document.declarations[1]
        assert isinstance(block, tree.Block)
        assert len(block.body.statements) == 2

    def test_a_broken_header_does_not_hide_its_body(self) -> None:
        text = "each {\n  superlayr y(x) {\n    a b\n    c ->\n  }\n}"
        assert faults(text) == [
            "missing-name",
            "unknown-keyword",
            "missing-arrow",
            "arrow-to-nowhere",
        ]

    def test_a_dozen_is_enough(self) -> None:
        assert faults("let\n" * 100) == ["missing-name"] * 12
        assert faults("§\n" * 100) == ["bad-character"] * 12


class TestOneExpression:
    def test_it_is_all_of_the_text(self) -> None:
        report = Report()
        assert parse_expression(Source("--set x", " [1, 2] -> f "), report) == value_of(
            "[1, 2] -> f"
        )
        assert not len(report)

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "missing-value"),
            ("1 +", "missing-value"),
            ("a b", "missing-arrow"),
            ("(1", "unclosed-bracket"),
            ("a\nb", "unexpected-token"),
            ("let x = 1", "keyword-as-name"),
            ("§", "bad-character"),
        ],
    )
    def test_or_nothing_is_read(self, text: str, fault: str) -> None:
        report = Report()
        assert parse_expression(Source("--set x", text), report) is None
        assert [found.id for found in report] == [fault]


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_systems_are_read(system: str) -> None:
    assert read(SYSTEMS[system]).declarations


def test_a_keyword_is_no_name() -> None:
    for word in KEYWORDS - {"true", "false", "not", "if", "repeat"}:
        assert faults(f"let {word} = 1") == ["keyword-as-name"]
    assert "in" not in KEYWORDS


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """Lark settles a conflict without a word unless asked to debug."""
    grammar = Path(machine.__file__).with_name("xg.lark").read_text(encoding="utf-8")
    declared = f"{grammar}\n%declare {' '.join(machine.TERMINALS)}"
    with caplog.at_level(logging.DEBUG, logger="lark"):
        lark.Lark(declared, parser="lalr", lexer="basic", start=["line", "chain"], debug=True)
    assert "onflict" not in caplog.text
