"""The syntax mistakes people make, each with its own words, named by example.

An example is a text that goes wrong in the way meant. What it leaves the parser with (its last
states, the token it could not take, the bracket and the statement it is in) is looked up when a
user's text fails; so a new message needs an example and no code. Examples are separated by `|`,
which means nothing in the language; `V` in one stands for values of every kind. In messages
`$before` is the token before the one that did not fit, `$first` the first of the statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

# Values that end in different tokens.
_VALUES = ("a", "1", "0.5", '"a"', "true", "a(1)", "a[0]", "a.b", "[a]", "(a)", "-a", "a + b")


@final
@dataclass(frozen=True)
class Mistake:
    """`at` says where the caret goes: to the token that did not fit, or to the one before."""

    id: str
    message: str
    help: str
    written: str
    at: Literal["found", "before"] = "found"

    def examples(self) -> Iterator[str]:
        for example in self.written.split("|"):
            for value in _VALUES if "V" in example else ("",):
                yield example.replace("V", value).strip(" ")


_CONNECT = "a connection reads `connect source -> target`"
_IF = "`if a then b else c` chooses a value, `if a { ... } else { ... }` chooses statements"
_SUPERLAYER = "a super-layer reads `superlayer name(input) { ... }`"
_SPACE = "a space reads `fusion head(a, b) = mfas { layers: 1 .. 3 }`"
_SETTING = "write `key: value`; several values are separated by commas"
_RANGE = "write `name[0 .. 2]` (both ends included), or `name[*]` for all"
_REPEAT = "write `repeat 3 { ... }`, or `repeat 3 as i { ... }`"
_VALUE = "write `name = value`"

MISTAKES = (
    # --------------------------------------------------------------------- colon and equals
    Mistake(
        "missing-colon",
        "there is no `:` after the modality's name",
        "a modality reads `modality image: [3, 32, 32]`, or `modality tokens: i64 [T]`",
        "modality a [3] | modality a i64 [3] | modality a (3) | modality a | modality a 3"
        "| modality a {",
    ),
    Mistake(
        "equals-for-colon",
        "a shape follows `:`, not `=`",
        "write `modality image: [3, 32, 32]`",
        "modality a = [3]",
    ),
    Mistake(
        "equals-for-colon",
        "a label ends with `:`, not `=`",
        "write `label: layer`; a value that is no layer gets its name with `let name = value`",
        "block f() { x = a } | block f() { x[0] = a } | block f() { x.y = a }",
    ),
    Mistake(
        "colon-for-equals",
        "a value follows `=`, not `:`",
        "write `$before = ...`",
        "let x: 3 | param x: 3 | dim T: 3 | output x: y | let x = f(a: 3) | block f(a: 3) { b }"
        "| connect a -> b with w: 1 | connect a -> b with c = 1, w: 1"
        "| superlayer a(b) with w: 1 { c }"
        "| modality a: [3] with w: 1",
    ),
    Mistake(
        "comparison-for-equals",
        "a value follows `=`; `==` compares",
        "write `$before = ...`",
        "let x == 3 | param x == 3 | dim T == 3 | output x == y | block f(a == 3) { b }"
        "| connect a -> b with w == 1 | superlayer a(b) with w == 1 { c }",
    ),
    Mistake(
        "label-without-layer",
        "no layer follows this label",
        "write `label: layer`, or remove it",
        "block f() { a: } | block f() { a[0]: } | block f() { a:; b }| block f() {\n a:\n b: c\n}",
        "before",
    ),
    Mistake(
        "misplaced-label",
        "a label stands at the beginning of a statement",
        "put `label:` first, on a line of its own or behind `;`",
        "block f() { a: V: c } | block f() { a -> V: c } | block f() { let x = V: c }"
        "| block f() { 3 + V: c } | block f() { a[0]: V: c }",
    ),
    # ------------------------------------------------------------------------------- arrows
    Mistake(
        "arrow-to-nowhere",
        "nothing follows this `->`",
        "name the next layer, or remove the arrow",
        "block f() { a -> } | block f() { a ->; b } | block f() {\n a ->\n b: c\n}"
        "| block f() { c(a ->) } | block f() { c(a ->, b) } | let x = a -> | let x = [a ->]"
        "| let x = [a ->, b] | let x = a[b ->] | connect a -> b via c -> | let x = (a ->)",
        "before",
    ),
    Mistake(
        "arrow-to-nowhere",
        "there are two arrows in a row",
        "remove one of them",
        "block f() { a -> -> b } | block f() { c(a -> -> b) } | let x = a -> -> b"
        "| connect a -> -> b | route cc a -> -> b",
    ),
    Mistake(
        "arrow-from-nowhere",
        "nothing comes before this `->`",
        "begin with a layer or a value",
        "block f() { -> a } | block f() { x: -> a } | block f() { c(-> a) } | let x = -> a"
        "| block f() { c(x = -> a) } | block f() { c(1, -> a) } | let x = [-> a]"
        "| connect a -> b via -> c | connect -> b",
    ),
    # ------------------------------------------------------------------ connections and routes
    Mistake(
        "missing-target",
        "this connection has no target",
        _CONNECT,
        "connect a | connect a by b | connect a via b | connect a with b = 1 | connect a.b"
        "| connect a[0] | connect a.b via c | connect a[0] via c",
    ),
    Mistake(
        "missing-target",
        "no target follows this `->`",
        "name a point, as `u.b1`, or several, separated by commas",
        "connect a -> | connect a -> by b | connect a -> via b | connect a -> with b = 1"
        "| route cc a -> | route cc a -> via b | route cc a -> with b = 1",
        "before",
    ),
    Mistake(
        "missing-target",
        "no point follows this `,`",
        "name another point, or remove the comma",
        "connect a -> b, | connect a -> b, via c | connect a -> b, by c | route cc a,"
        "| route cc a, -> b | route cc a -> b, | connect a -> b,, c | connect a -> b, with c = 1",
        "before",
    ),
    Mistake(
        "missing-source",
        "this connection has no source",
        _CONNECT,
        "connect | connect via a | connect by a",
    ),
    Mistake(
        "several-sources",
        "a connection has one source",
        "write a `connect` for each of them; one source may have several targets",
        "connect a, b -> c | connect a.b, c -> d | connect a[0], c -> d",
    ),
    Mistake(
        "missing-arrow",
        "there is no `->` between source and target",
        _CONNECT,
        "connect a b | connect a.b c | connect a[0] c | connect a = b | connect a: b"
        "| connect a - b | connect a > b | connect a.b > c | connect a[0] > c"
        "| connect a.b - c | connect a[0] - c",
    ),
    Mistake(
        "not-a-point",
        "a connection joins points, not layers",
        "name points only, as `u.b1`; what lies between them stands behind `via`",
        "connect a(1) -> b | connect a.b(1) -> c | connect a[0](1) -> c | connect a -> b(1)"
        "| connect a -> b.c(1) | connect a -> b[0](1) | connect a -> b -> c"
        "| connect a -> b.c -> d | connect a -> b[0] -> d | connect a -> 3 | connect 3 -> a"
        "| connect (a) -> b | connect [a] -> b | connect a -> (b) | connect a -> [b]",
    ),
    Mistake(
        "missing-router",
        "the kind of router is missing",
        "a route reads `route cc path[*].c2`, or `route cc image -> path[*].in`",
        "route a -> b | route a[0].b | route a.b | route a, b -> c | route -> a | route"
        "| route a | route a with b = 1 | route a via b",
    ),
    Mistake(
        "unknown-clause",
        "a connection goes on with `by`, `with` or `via`",
        "write `by add`, `with weight = 0.6` or `via conv(16, 1) -> relu`",
        "connect a -> b c | connect a -> b.c d | connect a -> b[0] c | connect a -> b by c d"
        "| connect a -> b with c = V d | connect a -> b = c | connect a -> b.c = d"
        "| connect a -> b: c | connect a -> b.c: d | connect a -> b by c, d"
        "| connect a -> b by c(1) | connect a -> b by c -> d | connect a -> b by c = d",
    ),
    Mistake(
        "unknown-clause",
        "a route goes on with `->`, `with` or `via`",
        "write `-> target`, `with hidden = 16` or `via conv(64, 3)`",
        "route cc a b | route cc a.b c | route cc a[0] c | route cc a -> b c | route cc a = b"
        "| route cc a -> b.c d | route cc a -> b[0] c | route cc a with b = V c | route cc a: b",
    ),
    Mistake(
        "unknown-clause",
        "a route has no `by`",
        "it has `with key = value` and `via chain`",
        "route cc a by b | route cc a -> b by c | route cc a.b by c | route cc a[0] by c",
    ),
    Mistake(
        "missing-value",
        "`by` needs the way to merge",
        "write `by add` or `by concat`",
        "connect a -> b by | connect a -> b by via c | connect a -> b by with c = 1"
        '| connect a -> b by 3 | connect a -> b by "add" | connect a -> b by -> c',
    ),
    Mistake(
        "missing-value",
        "`via` needs the layers on the way",
        "write `via conv(16, 1) -> relu`",
        "connect a -> b via | connect a -> b via by c | connect a -> b via with c = 1",
    ),
    Mistake(
        "missing-value",
        "`with` needs `key = value`",
        "write `with weight = 0.6`; several are separated by commas",
        "connect a -> b with | connect a -> b with via c | connect a -> b with V"
        "| connect a -> b with w | connect a -> b with w via c | connect a -> b with w by c"
        "| connect a -> b with w V | connect a -> b with w, c = 1 | connect a -> b with {"
        "| superlayer a(b) with { c } | superlayer a(b) with w { c } | fusion a(b) with w { c }"
        "| superlayer a(b) with w V { c } | connect a -> b with w = 1,"
        "| modality a: [3] with w | modality a: [3] with w V | modality a: [3] with",
    ),
    Mistake(
        "missing-value",
        "no value follows this `=`",
        _VALUE,
        "connect a -> b with w = | connect a -> b with w = via c | let x = | param x = | dim T ="
        "| connect a -> b with w = , c = 1 | superlayer a(b) with w = { c } | output x ="
        "| block f(a =) { b } | block f(a = , b) { c } | let x = f(a =) | let x = f(a = , b)"
        "| block f() { let x = } | block f() { let x =; a } | let x = \nlet y = 1",
        "before",
    ),
    Mistake(
        "missing-value",
        "`$before` has no value",
        _VALUE,
        "let x | param x | block f() { let x }",
    ),
    Mistake(
        "missing-equals",
        "there is no `=` before this value",
        _VALUE,
        'let x y | let x 3 | let x "a" | let x [3] | let x true | param x y | param x 3'
        '| param x "a" | param x [3] | param x true | dim T 3 | dim T S | output x y'
        "| output x 3 | block f() { let x y } | block f() { let x 3 } | let x (3) | let x 0.5"
        "| param x (3) | param x 0.5 | block f() { let x (3) }",
    ),
    # -------------------------------------------------------------------- names and headers
    Mistake(
        "missing-name",
        "this `$first` has no name",
        "write the name behind `$first`",
        "network | param | param = 3 | dim | dim = 3 | modality | modality: [3] | modality [3]"
        "| modality = [3] | let | let = 3 | block | block (a) { b } | block { b } | superlayer"
        "| superlayer (a) { b } | superlayer [2](a) { b } | superlayer { b } | fusion"
        "| fusion (a) { b } | fusion { b } | output | output = a | output: a | each"
        "| each { let a = 1 }",
    ),
    Mistake(
        "not-a-name",
        "a name stands here, without quotes, and does not begin with a digit",
        "a name is made of letters, digits and `_`",
        'network "a" | network 3 | param "a" | param 3 | let "a" | let 3 | dim 3 | output "a"'
        '| output 3 | modality "a" | modality 3 | block "a" | block 3 | superlayer "a"'
        '| superlayer 3 | fusion "a" | fusion 3 | each 3 {',
    ),
    Mistake(
        "not-a-name",
        "a name has no `-` in it",
        "write `_`",
        "network a-b | param a-b = 1 | let a-b = 1 | dim a-b | modality a-b: [3] | block a-b() {"
        "| superlayer a-b(c) { | fusion a-b(c) { | output a-b | route a-b c",
    ),
    Mistake(
        "unknown-clause",
        "a network has a name and no body",
        "write `network name`; everything in the file belongs to it",
        "network a { | network a: b | network a = b | network a(b) | network a(b) {",
    ),
    Mistake(
        "several-names",
        "one declaration, one name",
        "write another `$first` for the other",
        "let a, b = 1 | param a, b = 1 | dim S, T | network a, b | modality a, b: [3]"
        "| output a, b | superlayer a, b(c) { d } | fusion a, b(c) { d } | each S, T {",
    ),
    Mistake(
        "missing-inputs",
        "a super-layer says what it reads",
        _SUPERLAYER,
        "superlayer a { b } | superlayer a | superlayer a = b | superlayer a: b"
        "| superlayer a[2] { b } | superlayer a[2] | superlayer a with b = 1 {"
        "| superlayer a -> b | superlayer a b",
    ),
    Mistake(
        "missing-inputs",
        "a fusion says what it reads",
        "a fusion reads `fusion name(a, b) { ... }`",
        "fusion a { b } | fusion a | fusion a = b | fusion a: b | fusion a[2](b) { c }"
        "| fusion a with b = 1 { | fusion a -> b | fusion a b",
    ),
    Mistake(
        "missing-count",
        "the number of copies is missing",
        "write `superlayer path[2](image) { ... }`",
        "superlayer a[](b) { c } | superlayer a[*](b) { c }",
    ),
    Mistake(
        "missing-parameters",
        "a block has a list of parameters, if an empty one",
        "write `block name() { ... }`",
        "block a { b } | block a | block a: b | block a = b | block a -> b | block a b",
    ),
    Mistake(
        "not-a-parameter",
        "a parameter is a name, or `name = default`",
        "write `block unit(filters, size = 3) { ... }`",
        'block f(3) { a } | block f("a") { a } | block f(a.b) { c } | block f(a(b)) { c }'
        "| block f([a]) { c } | block f(a b) { c } | block f(a -> b) { c } | block f(a, 3) { c }"
        "| block f(, a) { c } | block f(a,, b) { c } | block f(a[0]) { c }",
    ),
    Mistake(
        "missing-body",
        "a body in braces must follow",
        "a body stands between `{` and `}`; `:` and indentation open none",
        "block f() | block f(): a | block f() = a | block f() -> a | block f() a"
        "| superlayer a(b) | superlayer a(b): c | superlayer a(b) -> c"
        "| superlayer a(b) c | superlayer a(b) with c = 1 | superlayer a(b) with c = 1: d"
        "| fusion a(b) | fusion a(b): c | fusion a(b) -> c | fusion a(b) c"
        "| each T | each T: a | each T a | repeat V | repeat V: a | repeat 3 as i"
        "| repeat 3 as i: a | if V | if V: b | if a modality b: [3]"
        "| if a { let b = 1 } else: c | if a { let b = 1 } else"
        "| if a { let b = 1 } else let b = 2 | block f() { repeat V } | block f() { repeat V: a }"
        "| block f() { repeat 3 as i } | block f() { repeat 3 as i: a }"
        "| block f() { repeat V -> a } | block f() { if a { b } else }"
        "| block f() { if a { b } else: c } | block f() { if a { b } else V }"
        "| block f() { if V: b } | block f() { if V c } | block f() { if V }"
        "| block f() { if V -> b }",
    ),
    Mistake(
        "missing-count",
        "`repeat` says how often",
        _REPEAT,
        "repeat { a } | block f() { repeat { a } } | repeat | repeat as i { a }"
        "| block f() { repeat } | block f() { repeat as i { a } }",
    ),
    Mistake(
        "missing-name",
        "the name of the counter is missing",
        _REPEAT,
        "repeat 3 as { | block f() { repeat 3 as { a } } | repeat 3 as 4 {"
        "| block f() { repeat 3 as 4 { a } }",
    ),
    Mistake(
        "missing-as",
        "only `as` and a name may stand between count and body",
        _REPEAT,
        "repeat V i { | block f() { repeat V i { a } } | repeat V, i {"
        "| block f() { repeat V, i { a } } | block f() { a -> repeat V i { b } }",
    ),
    Mistake(
        "missing-shape",
        "a shape in brackets must follow",
        "write `modality image: [3, 32, 32]`; a single number has the shape `[]`",
        "modality a: | modality a: 3 | modality a: (3) | modality a: i64 | modality a: i64(3)"
        '| modality a: i64 3 | modality a: { | modality a: "f32" | modality a: i64, [3]'
        "| modality a: i64 -> b | modality a: i64: [3] | modality a: i64 = [3]"
        "| modality a: = [3] | modality a: : [3] | modality a: i64 b",
    ),
    Mistake(
        "missing-path",
        "the path of a file stands in quotes",
        'write `use "blocks.xg"`',
        "use | use blocks | use 3 | use ( | use . | use [",
    ),
    Mistake(
        "unknown-clause",
        "what another file brings keeps its names",
        'write `use "blocks.xg"` and nothing behind it',
        'use "a.xg" as b | use "a.xg", "b.xg" | use "a.xg" b | use "a.xg" with b = 1',
    ),
    Mistake(
        "missing-version",
        "the version is a whole number",
        "write `xgraph 1`",
        'xgraph | xgraph 1.0 | xgraph "1" | xgraph a | xgraph = 1 | xgraph: 1',
    ),
    Mistake(
        "unnamed-output",
        "the value of an output stands behind its name",
        "write `output name = value`",
        "output a -> b | output a(b) | output a[0] | output a.b | output a + b",
    ),
    # --------------------------------------------------------------------------- conditions
    Mistake(
        "missing-condition",
        "no condition follows `if`",
        _IF,
        "if { let a = 1 } | let x = if then a else b | block f() { if { a } } | if",
    ),
    Mistake(
        "missing-else",
        "an `if` that chooses a value has an `else`",
        _IF,
        "let x = if a then V | block f() { if a then V } | block f() { if a then V; c }"
        "| block f() { c(if a then V) } | block f() { c(if a then V, d) } | let x = (if a then V)"
        "| block f() { x: if a then V } | block f() { x: if a then V; c } | let x = [if a then V]",
    ),
    Mistake(
        "missing-parentheses",
        "a chain in a branch of `if` stands in parentheses",
        "write `if a then (b -> c) else d`",
        "let x = if a then V -> c else d | block f() { if a then V -> c else d }"
        "| block f() { x: if a then V -> c else d } | block f() { c(if a then V -> c else d) }",
    ),
    Mistake(
        "mixed-if",
        "the two forms of `if` are mixed",
        _IF,
        "let x = if V { b } | block f() { if V then { b } } | block f() { x: if V { b } }"
        "| block f() { x: if V: b } | block f() { x -> if V: b }"
        "| block f() { x -> if V { b } } | block f() { c(if V { b }) }"
        "| let x = if a then b else { c } | if V then let b = 1 | if V then { let b = 1 }"
        "| let x = if V c | let x = if V: c | block f() { if a then let b = 1 }"
        "| block f() { if a { b } else if c then { d } }",
    ),
    Mistake(
        "else-without-if",
        "there is no `if` this `else` belongs to",
        _IF,
        "block f() { else { a } } | block f() { V else { b } } | block f() { a; else { b } }"
        "| block f() { x: V else { b } } | else { let a = 1 } | let x = V else b"
        "| block f() { x -> V else { b } }",
    ),
    Mistake(
        "then-without-if",
        "there is no `if` this `then` belongs to",
        _IF,
        "block f() { then { a } } | block f() { V then b } | let x = V then b"
        "| block f() { x -> V then b }",
    ),
    # ---------------------------------------------------------------------------- expressions
    Mistake(
        "chained-comparison",
        "comparisons do not chain",
        "compare two by two: `a < b and b < c`; layers are chained with `->`",
        "let x = a < V < c | let x = a == V == c | let x = a > V > c | let x = a >= V >= c"
        "| let x = a <= V <= c | let x = a != V != c",
    ),
    Mistake(
        "missing-index",
        "there is no index between the brackets",
        "write `name[0]`, `name[*]` for all, or `name[0 .. 2]` for some",
        "let x = a[] | connect a[] -> b | connect a -> b[] | block f() { a[]: b }",
    ),
    Mistake(
        "foreign-range",
        "a range is written with `..`",
        _RANGE,
        "let x = a[V:2] | let x = a[:2] | let x = a[:] | connect a[V:2] -> b | connect a[:] -> b"
        "| connect c -> a[V:2] | superlayer a[V:2](b) { c } | let x = a[0 .. 2:3]",
    ),
    Mistake(
        "missing-end",
        "a range has two ends",
        _RANGE,
        "let x = a[..] | let x = a[.. 2] | let x = a[0 ..] | connect a[..] -> b"
        "| connect a[0 ..] -> b | superlayer a[0 ..](b) { c } | superlayer a[.. 2](b) { c }",
    ),
    Mistake(
        "several-indices",
        "an index is one value",
        "write `name[0][1]` for an element of an element, `name[0 .. 2]` for several",
        "let x = a[V, 1] | connect a[V, 1] -> b | superlayer a[V, 1](b) { c }",
    ),
    Mistake(
        "missing-end",
        "a range has two ends",
        "write `1 .. 4` (both ends included)",
        "let x = .. 2 | let x = f(.. 2) | block f() { .. } | let x = V .."
        "| let x = f(V ..) | block f() { V .. } | repeat V .. {"
        "| block f() { repeat V .. { a } } | let x = f(V .., 3) | let x = f(.., 3)"
        "| superlayer a(b) = c { d: 1 .. } | superlayer a(b) = c { d: .. }",
    ),
    Mistake(
        "several-ranges",
        "a range has two ends, and here is a third",
        "write `1 .. 4`, or `choice(1, 2, 4)` for numbers that are not in a row",
        "let x = 1 .. V .. 3 | let x = f(1 .. V .. 3) | let x = [1 .. V .. 3]"
        "| repeat 1 .. V .. 3 { | superlayer a(b) = c { d: 1 .. V .. 3 }",
    ),
    Mistake(
        "missing-space",
        "the kind of space and its settings must follow this `=`",
        _SPACE,
        "superlayer a(b) = | superlayer a(b) = c | superlayer a(b) = { c } | superlayer a(b) = 3"
        "| fusion a(b) = | fusion a(b) = c | fusion a(b) = { c } | fusion a(b) = 3"
        "| fusion a(b) = c() { d: 1 } | fusion a(b) = c -> d | superlayer a(b) = c: d",
    ),
    Mistake(
        "equals-for-colon",
        "a setting of a space is given with `:`",
        _SETTING,
        "superlayer a(b) = c { d = 1 } | superlayer a(b) = c { d: 1; e = 1 }"
        "| superlayer a(b) = c { then = 1 } | superlayer a(b) = c { d: 1; then = 1 }",
    ),
    Mistake(
        "missing-value",
        "no value follows this `:`",
        _SETTING,
        "superlayer a(b) = c { d: } | superlayer a(b) = c { d:; e: 1 }"
        "| superlayer a(b) = c {\n d:\n e: 1\n} | superlayer a(b) = c { d: , 1 }",
        "before",
    ),
    Mistake(
        "missing-colon",
        "a space holds settings",
        _SETTING,
        "superlayer a(b) = c { d } | superlayer a(b) = c { d e } | superlayer a(b) = c { d(1) }"
        "| superlayer a(b) = c { d 3 } | superlayer a(b) = c { d -> e } | superlayer a(b) = c { 3 }"
        "| superlayer a(b) = c { d: 1; e } | superlayer a(b) = c { d: 1; 3 }"
        "| superlayer a(b) = c { d.e: 1 } | superlayer a(b) = c { d[0]: 1 }",
    ),
    Mistake(
        "misplaced-star",
        "`*` for all stands only in an index",
        "write `name[*]`",
        "let x = a.* | connect a.* -> b | let x = *a | let x = f(*a) | connect * -> a"
        "| connect a -> * | let x = f(**a) | let x = [*a] | route cc * | superlayer a(*) { b }",
    ),
    Mistake(
        "missing-name",
        "a name must follow `.`",
        "an element is named with brackets: `path[0].c2`",
        "let x = a. | let x = a.0 | let x = f(a.) | let x = f(a., b)"
        "| let x = a.(b) | connect a. -> b | connect a.0 -> b"
        "| connect a -> b. | connect a -> b.0 | block f() { a. } | let x = a. -> b",
    ),
    Mistake(
        "not-a-name",
        "names of points stand between these brackets",
        "write `audio.[f1, f2]`",
        "let x = a.[] | let x = a.[0] | let x = a.[b.c] | let x = a.[b(1)] | let x = a.[b c]"
        "| let x = a.[b, 0] | let x = a.[[b]] | connect a.[] -> b | connect a.[0] -> b",
    ),
    Mistake(
        "bad-number",
        "a number begins with a digit",
        "write `0.5`",
        "let x = .5 | let x = f(.5) | let x = f(a, .5) | let x = f(a = .5) | let x = [.5]"
        "| let x = 1 + .5 | connect a -> b with w = .5 | block f(a = .5) { b } | let x = -.5",
    ),
    Mistake(
        "not-a-name",
        "the name of an argument is a plain name",
        _VALUE,
        'let x = f(3 = a) | let x = f("a" = 3) | let x = f(a.b = 3) | let x = f(a[0] = 3)',
    ),
    Mistake(
        "stray-comma",
        "there is nothing between the commas",
        "remove one of them",
        "let x = f(a,, b) | let x = [a,, b] | superlayer a(b,, c) { d } | let x = f(, a)"
        "| let x = [, a] | superlayer a(, b) { c } | let x = f(,) | let x = [,]",
    ),
    Mistake(
        "stray-comma",
        "`,` separates only what stands in brackets",
        "chain layers with `->`; put each statement on a line of its own, or `;` between them",
        "block f() { V, b } | block f() { x: V, b } | block f() { a -> V, b } | let x = V, b"
        "| let x = (V, b) | param x = V, b",
    ),
    Mistake(
        "open-bracket",
        "`;` ends a statement, but a bracket is still open",
        "separate what stands in brackets with `,`",
        "let x = f(V; b) | let x = [V; b] | let x = (V; b) | superlayer a(V; b) { c }"
        "| block f(a; b) { c }",
    ),
)
