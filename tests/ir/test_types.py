"""Sizes and tensor types: arithmetic agrees with evaluation, and what is printed reads back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xgraph.ir.types import (
    Axis,
    Dim,
    DType,
    Expr,
    TensorType,
    axis_name,
    divide,
    evaluate,
    parse_dim,
    parse_type,
    product,
    symbol,
)

NAMES = ("N", "T", "W_2", "class", "None")
SIZES = st.fixed_dictionaries({name: st.integers(1, 50) for name in NAMES})


@dataclass(frozen=True)
class Twin:
    """A size and the Python expression that it should equal."""

    dim: Dim
    code: str

    def value(self, sizes: dict[str, int]) -> int:
        return int(eval(self.code, {"s": sizes}))


def _both(operator: str, a: Twin, b: Twin) -> Twin:
    made = {"+": a.dim + b.dim, "-": a.dim - b.dim, "*": a.dim * b.dim}[operator]
    return Twin(made, f"({a.code} {operator} {b.code})")


def _deeper(twins: st.SearchStrategy[Twin]) -> st.SearchStrategy[Twin]:
    return st.one_of(
        st.builds(_both, st.sampled_from("+-*"), twins, twins),
        st.builds(lambda a, d: Twin(a.dim // d, f"({a.code} // {d})"), twins, st.integers(1, 5)),
    )


LEAVES = st.one_of(
    st.sampled_from([Twin(symbol(name), f"s[{name!r}]") for name in NAMES]),
    st.integers(-20, 20).map(lambda n: Twin(n, str(n))),
    st.integers(1, 20).map(lambda n: Twin(Axis("C", n), str(n))),
)
TWINS = st.recursive(LEAVES, _deeper, max_leaves=6)
DIMS = TWINS.map(lambda twin: twin.dim)


class TestArithmetic:
    @given(TWINS, SIZES)
    def test_is_that_of_integers(self, twin: Twin, sizes: dict[str, int]) -> None:
        assert evaluate(twin.dim, sizes) == twin.value(sizes)

    @given(DIMS, DIMS, DIMS)
    def test_laws(self, a: Dim, b: Dim, c: Dim) -> None:
        assert a + b == b + a
        assert a * b == b * a
        assert (a + b) + c == a + (b + c)
        assert a * (b + c) == a * b + a * c
        assert a - a == 0
        assert a + 0 == a
        assert a * 1 == a

    @given(DIMS, DIMS)
    def test_equal_ones_have_equal_hashes(self, a: Dim, b: Dim) -> None:
        assert hash(a + b) == hash(b + a)

    @given(DIMS, DIMS)
    def test_division_undoes_multiplication_by_one_term(self, a: Dim, b: Dim) -> None:
        assume(a != 0 and b != 0)
        assume(not isinstance(b, Expr) or len(b.terms) == 1)
        assert divide(a * b, b) == a

    @given(DIMS, DIMS, SIZES)
    def test_division_is_exact_or_none(self, a: Dim, b: Dim, sizes: dict[str, int]) -> None:
        quotient = divide(a, b)
        if quotient is not None:
            assert evaluate(quotient, sizes) * evaluate(b, sizes) == evaluate(a, sizes)

    def test_division_by_zero_and_by_sums(self) -> None:
        n, t = symbol("N"), symbol("T")
        assert divide(n, 0) is None
        assert divide(3, 2) is None
        assert divide(n, t) is None
        assert divide(n + t, n + t) == 1
        assert divide(n * n + n * t, n + t) is None

    def test_constants_collapse(self) -> None:
        n = symbol("N")
        assert n - n + 3 == 3
        assert isinstance(n - n + 3, int)
        assert 3 - n == -1 * n + 3
        assert -n == n * -1
        assert product([]) == 1
        assert product([n, 2, Axis("T", 3)]) == n * 6

    def test_floor_division_simplifies_where_exact(self) -> None:
        n = symbol("N")
        assert (n * 4 + 2) // 2 == n * 2 + 1
        assert n // 1 == n
        assert str((n + 1) // 2) == "((N + 1) // 2)"

    def test_symbols_are_found_under_floors(self) -> None:
        size = (symbol("N") * symbol("T") - 2) // 3 + symbol("W")
        assert isinstance(size, Expr)
        assert size.symbols == {"N", "T", "W"}

    def test_an_unknown_symbol_is_named(self) -> None:
        with pytest.raises(KeyError, match="T"):
            evaluate(symbol("N") + symbol("T"), {"N": 1})


class TestPrinting:
    @given(DIMS)
    def test_reads_back(self, dim: Dim) -> None:
        assert parse_dim(str(dim)) == dim

    @given(st.lists(st.one_of(DIMS, st.builds(Axis, st.sampled_from(NAMES), st.integers(1, 9)))))
    def test_a_type_reads_back(self, dims: list[Dim]) -> None:
        for dtype in DType:
            whole = TensorType((symbol("N"), *dims), dtype)
            again = parse_type(str(whole))
            assert again == whole
            assert list(map(axis_name, again.shape)) == list(map(axis_name, whole.shape))

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (symbol("N") * symbol("T"), "N*T"),
            (symbol("T") * 2 - 1, "2*T - 1"),
            (symbol("N") - symbol("T"), "N - 1*T"),
            (Axis("T", 39), "T=39"),
            (((symbol("T") - 3) // 2 + 1) // 2, "((((T - 3) // 2) + 1) // 2)"),
        ],
    )
    def test_form(self, size: Dim, text: str) -> None:
        assert str(size) == text

    @pytest.mark.parametrize(
        "text",
        ["", "a b", "1.5", "1e5", "'x'", "a\0", "a//0", "a//b", "a/2", "f(x)", "a.b", "1_0", "x=",
         "a=b", "(a+b)*(c+d)", "(" * 500, "-" * 100_000 + "1", "1+" * 100_000 + "1"],
    )  # fmt: skip
    def test_what_is_no_size(self, text: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - that it is no other error is the point
            parse_dim(text)

    @pytest.mark.parametrize("text", ["f32", "f32[", "f32[]", "f16[N]", "f32[N", "[N]"])
    def test_what_is_no_type(self, text: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            parse_type(text)


class TestAxis:
    def test_is_its_integer_with_a_name(self) -> None:
        axis = Axis("T", 39)
        assert axis == 39
        assert hash(axis) == hash(39)
        assert axis_name(axis) == "T"
        assert axis_name(axis + 1) is None

    def test_names_of_sizes(self) -> None:
        assert axis_name(symbol("T")) == "T"
        assert axis_name(symbol("T") * 2) is None
        assert axis_name(symbol("T") * symbol("N")) is None
        assert axis_name(symbol("T") // 2) is None
        assert axis_name(3) is None


class TestTensorType:
    def test_parts(self) -> None:
        n = symbol("N")
        t = TensorType((n, 3, 32, 30))
        assert (t.batch, t.features, t.channels, t.rank) == (n, (3, 32, 30), 3, 3)
        assert t.with_features(7).shape == (n, 7)
        assert t.with_shape(1, 2).shape == (1, 2)
        assert TensorType((n,), DType.I64).with_features(2).dtype is DType.I64

    def test_names_for_numpy(self) -> None:
        assert [d.numpy for d in DType] == ["float32", "int64", "bool"]
