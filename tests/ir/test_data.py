"""Plain data and JSON: what a graph looks like, that it comes back, and that nothing is trusted."""

from __future__ import annotations

import copy
import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_support import add, graphs, image, tower, two_paths

from xgraph.diagnostics import Diagnostic, DiagnosticError
from xgraph.ir import data as data_module
from xgraph.ir import restore
from xgraph.ir.data import from_data, from_json, to_data, to_json
from xgraph.ir.graph import Graph
from xgraph.ir.scope import SCOPES, Scope
from xgraph.ir.text import dump
from xgraph.ir.verify import verify
from xgraph.ops import OPS
from xgraph.passes import lower


def refused(data: Any) -> Diagnostic:
    with pytest.raises(DiagnosticError) as caught:
        from_data(data, OPS)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.id == "malformed-graph"
    return diagnostic


class TestWriting:
    def test_form(self) -> None:
        assert to_data(tower()) == {
            "format": "xgraph-graph",
            "version": 1,
            "name": "tower",
            "level": "architecture",
            "nodes": [
                {
                    "op": "input",
                    "attrs": {"shape": [{"dim": "N"}, 3, 8, 8]},
                    "address": "image",
                    "types": ["f32[N, 3, 8, 8]"],
                },
                {
                    "op": "conv",
                    "inputs": [[0, 0]],
                    "attrs": {"filters": 4, "kernel": 3},
                    "address": "y.conv",
                    "types": ["f32[N, 4, 8, 8]"],
                },
                {
                    "op": "bn",
                    "inputs": [[1, 0]],
                    "address": "y.bn",
                    "types": ["f32[N, 4, 8, 8]"],
                },
                {
                    "op": "relu",
                    "inputs": [[2, 0]],
                    "address": "relu_3",
                    "types": ["f32[N, 4, 8, 8]"],
                },
                {
                    "op": "add",
                    "inputs": [[3, 0], [3, 0]],
                    "address": "add_4",
                    "types": ["f32[N, 4, 8, 8]"],
                },
            ],
            "outputs": {"y": [4, 0]},
        }

    @given(graphs())
    def test_json_comes_back(self, graph: Graph) -> None:
        for each in (graph, lower(graph)):
            text = to_json(each)
            again = from_json(text, OPS)
            assert to_json(again) == text
            assert dump(again) == dump(each)
            assert verify(again) == []

    def test_everything_comes_back(self) -> None:
        graph = two_paths()
        graph.source_text = "network two_paths\n"
        again = from_json(to_json(graph), OPS)
        assert to_data(again) == to_data(graph)
        assert again.source_text == graph.source_text
        assert again.scopes[7].args == graph.scopes[7].args  # type: ignore[attr-defined]

    def test_every_field_of_every_scope_comes_back(self) -> None:
        given: dict[str, Any] = {
            "str": "x", "int": 3, "int | None": 4, "bool": True, "tuple[str, ...]": ("a", "b"),
            "Meta": {"w": 0.5, "on": True}, "Mapping[str, object]": {"k": (1, 2)},
        }  # fmt: skip
        shared = {field.name for field in fields(Scope)}
        graph = Graph()
        for kind in SCOPES:
            own = {f.name: given[str(f.type)] for f in fields(kind) if f.name not in shared}
            graph.scopes.append(kind(address="a", **own))
        for before, after in zip(graph.scopes, from_data(to_data(graph), OPS).scopes, strict=True):
            assert type(before) is type(after)
            for field in fields(before):
                assert getattr(before, field.name) == getattr(after, field.name)


def spoilt(*path: Any, value: Any) -> Any:
    """The data of `two_paths` with one part replaced."""
    data = copy.deepcopy(to_data(two_paths()))
    part = data
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return data


MISTAKES: list[tuple[Any, str]] = [
    ([], "a graph must be an object"),
    ({}, 'its `format` is not "xgraph-graph"'),
    (spoilt("version", value=2), "this graph is of version 2, and version 1 is read"),
    (spoilt("level", value=["tensor"]), "a level is one of"),
    (spoilt("name", value=None), "the name must be a text"),
    (spoilt("nodes", value={}), "`nodes` must be a list"),
    (spoilt("node", value=[]), "a graph has no `node`"),
    (spoilt("nodes", 2, value=3), "a node must be an object"),
    (spoilt("nodes", 2, "op", value="convolution"), "there is no op `convolution`"),
    (spoilt("nodes", 2, "op", value=["conv"]), "an op must be a text"),
    (spoilt("nodes", 2, "color", value=1), "a node has no `color`"),
    (spoilt("nodes", 2, "inputs", value=[[2, 0]]), "there is no node 2 before this"),
    (spoilt("nodes", 2, "inputs", value=[[-1, 0]]), "there is no node -1 before this"),
    (spoilt("nodes", 2, "inputs", value=[[True, 0]]), "the number of a value must be an integer"),
    (spoilt("nodes", 2, "inputs", value=[[0, 7]]), "node 0 has no output 7"),
    (spoilt("nodes", 2, "inputs", value=[[0]]), "a value is the number of a node and that"),
    (spoilt("nodes", 2, "inputs", value=[[0, 0, "n"]]), "`conv` takes no `n` here"),
    (spoilt("nodes", 2, "inputs", value="00"), "`inputs` must be a list"),
    (spoilt("nodes", 7, "inputs", value=[[1, 0, "lengths"], [6, 0]]), "come after those without"),
    (
        spoilt("nodes", 7, "inputs", value=[[6, 0], [1, 0, "lengths"], [1, 0, "lengths"]]),
        "`lstm` takes no `lengths` here",
    ),
    (spoilt("nodes", 2, "attrs", value=[]), "attributes must be an object"),
    (spoilt("nodes", 2, "attrs", value={"filters": {}}), "a value is of no known kind"),
    (spoilt("nodes", 2, "attrs", "filters", value={"dim": 3}), "a value is of no known kind"),
    (spoilt("nodes", 2, "attrs", "filters", value={"dim": "a b"}), "not a size: 'a b'"),
    (spoilt("nodes", 2, "attrs", "filters", value=float("nan")), "a value is of no known kind"),
    (spoilt("nodes", 2, "attrs", "filters", value=10**30), "must be an integer from 1"),
    (spoilt("nodes", 2, "attrs", "init", value={"init": "he_best"}), "must be an initialiser"),
    (
        spoilt("nodes", 2, "attrs", "init", value={"init": "constant", "args": [1]}),
        "the number of an initialiser must be a number",
    ),
    (spoilt("nodes", 2, "attrs", "kernel", value=[[1, 1], [1, 1]]), "`kernel` of `conv` must be"),
    (spoilt("nodes", 2, "attrs", "kernel", value=None), "`kernel` of `conv` must be"),
    (
        spoilt("nodes", 3, "attrs", "layers", value=[{"layer": "linear", "attrs": {"label": "x"}}]),
        "`linear` has no `label`",
    ),
    (
        spoilt("nodes", 3, "attrs", "layers", value=[{"layer": "matmul", "attrs": {}}]),
        "`matmul` takes 2 values, not 1",
    ),
    (
        spoilt("nodes", 3, "attrs", "layers", value=[{"layer": "split", "attrs": {"parts": 2}}]),
        "`cp` cannot take these attributes",
    ),
    (spoilt("nodes", 2, "types", value=["f32[N]"]), "the type written is not the type it has"),
    (spoilt("nodes", 2, "address", value="a b"), "its address is not made of names"),
    (spoilt("nodes", 2, "address", value="cp"), "another node has the same address"),
    (spoilt("nodes", 1, "address", value="image"), "another node has the same address"),
    (spoilt("nodes", 2, "scope", value=99), "there is no scope 99 before this"),
    (spoilt("nodes", 2, "rebinds", value="a"), "`rebinds` must be a list"),
    (spoilt("nodes", 2, "rebinds", value=["a"]), "which is no point"),
    (spoilt("scopes", 4, "parent", value=4), "there is no scope 4 before this"),
    (spoilt("scopes", 4, "parent", value="y"), "the number of a scope must be an integer"),
    (spoilt("scopes", 0, "meta", value={"a": None}), "`meta` may hold numbers, texts"),
    (spoilt("scopes", 0, "loose", value=1), "`loose` must be true or false"),
    (spoilt("scopes", 3, "loose", value=True), "is listed before its parent"),
    (spoilt("points", value=[1]), "`points` must be an object"),
    (spoilt("points", "p", value=[0, 0, 0]), "a value is the number of a node and that"),
    (spoilt("outputs", "y", value=[70, 0]), "there is no node 70 before this"),
    (spoilt("digests", "y", value=1), "a digest must be a text"),
    (spoilt("prelude", value=[1]), "each of the prelude must be a text"),
]


class TestReading:
    @pytest.mark.parametrize(("data", "message"), MISTAKES)
    def test_a_mistake_is_told(self, data: Any, message: str) -> None:
        assert message in refused(data).message

    def test_the_place_is_named(self) -> None:
        diagnostic = refused(spoilt("nodes", 2, "op", value="konv"))
        assert diagnostic.origin == "graph data: nodes[2]"
        assert diagnostic.help == "did you mean `conv`?"
        assert refused(spoilt("outputs", "y", value=0)).origin == "graph data: outputs[y]"

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[" * 100_000, '{"a":' * 100_000, "9" * 5000, "NaN", '{"format": Infinity}',
         "\ud800", "null", '"x"'],
    )  # fmt: skip
    def test_what_is_no_json_of_a_graph(self, text: str) -> None:
        with pytest.raises(DiagnosticError) as caught:
            from_json(text, OPS, "g.json")
        assert caught.value.diagnostics[0].id == "malformed-graph"
        assert caught.value.diagnostics[0].origin == "g.json"

    def test_sizes_have_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        graph = Graph()
        x = image(graph)
        for _ in range(4):
            x = add(graph, "relu", x).output
        monkeypatch.setattr(restore, "MAX_NODES", 4)
        assert refused(to_data(graph)).message == "a graph may have 4 nodes, and this has 5"
        scopes = [{"kind": "let", "address": "a"}] * 5
        assert "may have 4 scopes" in refused({**to_data(Graph()), "scopes": scopes}).message
        monkeypatch.setattr(data_module, "MAX_JSON", 10)
        with pytest.raises(DiagnosticError, match="10 characters"):
            from_json(to_json(graph), OPS)

    def test_deep_values_have_a_limit(self) -> None:
        value: Any = 1
        for _ in range(900):
            value = [value]
        assert (
            "nest deeper than 16"
            in refused(spoilt("nodes", 2, "attrs", value={"a": value})).message
        )


def _paths(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(part, dict):
        return [path, *(p for k, v in part.items() for p in _paths(v, (*path, k)))]
    if isinstance(part, list):
        return [path, *(p for i, v in enumerate(part) for p in _paths(v, (*path, i)))]
    return [path]


PATHS = _paths(json.loads(to_json(two_paths())))[1:]
SCRAPS = st.one_of(
    st.sampled_from([
        None, True, -1, 0, 1, 3, 10**12, 0.5, 1e308, "", "x", "N", "f32[N]", "conv", "cp", "input",
        "split", "each_in", "each_out", [], [0, 0], [[0, 0]], {}, {"dim": "T*T"}, {"word": "same"},
        {"init": "zeros"}, {"axis": "T", "size": 3}, [{"layer": "relu", "attrs": {}}],
        {"dim": "(T+N)*(T+N)"}, {"dim": "a" * 1000},
    ]),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
        lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts),
        max_leaves=5,
    ),
)  # fmt: skip


class TestHostile:
    def test_sizes_cannot_grow_without_bound(self) -> None:
        sums = [{"dim": " + ".join(f"{letter}{i}" for i in range(40))} for letter in "abcdef"]
        data = to_data(Graph())
        data["nodes"] = [
            {"op": "input", "attrs": {"shape": [{"dim": "N"}, *sums]}, "address": "x"},
            {"op": "flatten", "inputs": [[0, 0]], "address": "f"},
        ]
        assert refused(data).message == "the sizes of `flatten` are too long an expression"

    @given(st.lists(st.tuples(st.sampled_from(PATHS), SCRAPS), min_size=1, max_size=3))
    def test_data_of_any_kind_is_a_graph_or_a_diagnostic(self, changes: list[Any]) -> None:
        data = to_data(two_paths())
        for path, scrap in changes:
            part: Any = data
            try:
                for key in path[:-1]:
                    part = part[key]
                part[path[-1]] = copy.deepcopy(scrap)
            except (LookupError, TypeError):
                continue
        try:
            graph = from_data(data, OPS)
        except DiagnosticError:
            return
        assert verify(graph) == []
        assert dump(graph)
