"""Graph: order, edges, uses, copies, and that nothing changes but through its mutators."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from ir_support import N, add, graphs, image, tower

from xgraph.ir.attrs import Attrs
from xgraph.ir.graph import Graph
from xgraph.ir.op import Fault
from xgraph.ops import OPS


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes()]


def edges(graph: Graph) -> list[tuple[int, int, int]]:
    return sorted(graph.view.edges(keys=True))


class TestAdding:
    def test_infers_types_and_fills_attributes(self) -> None:
        graph = Graph()
        node = add(graph, "conv", image(graph), filters=4, kernel=3)
        assert str(node.output.type) == "f32[N, 4, 8, 8]"
        assert (node.attrs.stride, node.attrs.pad) == (1, "same")
        assert node.resolved.pad == ((1, 1), (1, 1))
        assert [param.name for param in node.params] == ["weight", "bias"]

    def test_parameters_are_those_of_what_it_is_now(self) -> None:
        graph = Graph()
        node = add(graph, "conv", image(graph), filters=4, kernel=3)
        assert node.params is node.params
        graph.set_attrs(node, filters=5)
        assert [param.shape[0] for param in node.params] == [5, 5]
        graph.replace_input(node, 0, image(graph, "b", 7, 8, 8))
        assert node.params[0].shape[1] == 7

    def test_a_fault_leaves_the_graph_as_it_was(self) -> None:
        graph = Graph()
        x = image(graph)
        with pytest.raises(Fault, match="needs inputs of one shape"):
            add(graph, "add", x, image(graph, "b", 4, 8, 8))
        with pytest.raises(Fault, match="no attribute `filter`"):
            add(graph, "conv", x, filter=4)
        with pytest.raises(Fault, match="takes 1 value, not 2"):
            add(graph, "relu", x, x)
        assert names(graph) == ["input", "input"]

    def test_inputs_are_listed_in_order(self) -> None:
        graph = Graph()
        values = [image(graph, name) for name in "cab"]
        assert list(graph.inputs) == ["c", "a", "b"]
        assert list(graph.inputs.values()) == values

    def test_an_op_may_read_a_value_twice(self) -> None:
        graph = tower()
        *_, relu, total = graph.nodes()
        assert edges(graph)[-2:] == [(relu.id, total.id, 0), (relu.id, total.id, 1)]
        assert graph.users(relu.output) == [(total, 0), (total, 1)]

    def test_optional_inputs_have_ports(self) -> None:
        graph = Graph()
        x = image(graph, "x", 5, 2)
        n = graph.add(OPS["input"], attrs={"shape": (N,), "dtype": "i64"}, address="n").output
        lstm = graph.add(OPS["lstm"], [x, n], {"units": 3}, ports=("x", "lengths"))
        assert lstm.input_types.get("lengths") is n.type
        assert lstm.input_types.get("memory") is None


class TestReading:
    def test_order_is_topological_and_older_first(self) -> None:
        graph = Graph()
        x = image(graph)
        late = add(graph, "relu", x)
        early = add(graph, "tanh", x)
        graph.replace_input(late, 0, early.output)
        free = add(graph, "sigmoid", x)
        assert graph.nodes() == [x.node, early, late, free]

    @given(graphs())
    def test_order_holds_for_any_graph(self, graph: Graph) -> None:
        place = {node: i for i, node in enumerate(graph.nodes())}
        assert len(place) == len(graph)
        assert all(place[v.node] < place[node] for node in place for v in node.inputs)

    @given(graphs())
    def test_edges_are_the_inputs(self, graph: Graph) -> None:
        expected = [
            (value.node.id, node.id, i)
            for node in graph.nodes()
            for i, value in enumerate(node.inputs)
        ]
        assert edges(graph) == sorted(expected)

    @given(graphs())
    def test_users_are_who_reads(self, graph: Graph) -> None:
        for node in graph.nodes():
            for value in node.outputs:
                expected = {
                    (user.id, i)
                    for user in graph.nodes()
                    for i, read in enumerate(user.inputs)
                    if read is value
                }
                assert {(user.id, i) for user, i in graph.users(value)} == expected

    def test_live_nodes_are_what_outputs_need_and_the_inputs(self) -> None:
        graph = tower()
        image(graph, "unused")
        add(graph, "tanh", graph.inputs["image"])
        live = [node.op.name for node in graph.live()]
        assert live == ["input", "conv", "bn", "relu", "add", "input"]

    def test_the_view_is_networkx_and_read_only(self) -> None:
        graph = tower()
        view = graph.view
        assert nx.is_directed_acyclic_graph(view)
        assert nx.dag_longest_path_length(view) == 4
        assert view.nodes[0]["node"] is graph.node(0)
        with pytest.raises(nx.NetworkXError):
            view.add_edge(4, 0)
        assert len(graph) == 5

    def test_the_view_follows_the_graph(self) -> None:
        graph = tower()
        view = graph.view
        add(graph, "tanh", graph.outputs["y"])
        assert len(view) == len(graph) == 6

    def test_own_is_the_value_before_merges_and_routers(self) -> None:
        graph = Graph()
        a, b = image(graph, "a"), image(graph, "b")
        graph.points = {"a.p": a, "b.p": b}
        router = graph.add(OPS["cc"], [a, b], {"outputs": 2}, address="cc", rebinds=("a.p", "b.p"))
        merge = graph.add(OPS["add"], [router.outputs[1], a], rebinds=("b.p",))
        assert graph.own(router.outputs[0]) is a
        assert graph.own(merge.output) is b
        assert graph.own(b) is b

    def test_parameters_have_full_addresses(self) -> None:
        graph = tower()
        graph.level = "tensor"
        assert [name for name, _ in graph.params()] == [
            "y.conv.weight", "y.conv.bias", "y.bn.weight", "y.bn.bias",
            "y.bn.running_mean", "y.bn.running_var", "y.bn.num_batches_tracked",
        ]  # fmt: skip

    def test_names(self) -> None:
        graph = Graph()
        x = image(graph)
        node = graph.add(OPS["relu"], [x])
        assert (x.node.name, node.name) == ("image", "relu#1")
        assert repr(node) == "<node relu#1 = relu>"
        assert repr(x) == "<value image.0: f32[N, 3, 8, 8]>"
        assert repr(graph) == "<architecture graph network: 2 nodes>"


class TestChanging:
    def test_inputs_and_attributes_name_their_mutators(self) -> None:
        node = tower().nodes()[1]
        with pytest.raises(AttributeError, match=r"Graph\.replace_input"):
            node.inputs = ()
        with pytest.raises(AttributeError, match=r"Graph\.set_attrs"):
            node.attrs.kernel = 5

    def test_replace_input_moves_one_edge(self) -> None:
        graph = tower()
        *_, relu, total = graph.nodes()
        other = add(graph, "tanh", relu.output)
        graph.replace_input(total, 1, other.output)
        assert total.inputs == (relu.output, other.output)
        assert edges(graph)[-3:] == [
            (relu.id, total.id, 0), (relu.id, other.id, 0), (other.id, total.id, 1),
        ]  # fmt: skip

    def test_replace_input_wants_an_input_and_a_value_that_are_there(self) -> None:
        graph = tower()
        node = graph.outputs["y"].node
        for index in (-1, 2, 5):
            with pytest.raises(ValueError, match="has no input"):
                graph.replace_input(node, index, graph.inputs["image"])
        with pytest.raises(ValueError, match="is not in <architecture graph"):
            graph.replace_input(node, 0, tower().inputs["image"])
        assert [v.node.op.name for v in node.inputs] == ["relu", "relu"]

    def test_a_circle_is_told_by_its_nodes(self) -> None:
        graph = tower()
        conv = next(node for node in graph.nodes() if node.op.name == "conv")
        graph.replace_input(conv, 0, graph.outputs["y"])
        with pytest.raises(ValueError, match=r"depend on themselves: .+ -> .+"):
            graph.infer()

    def test_replace_uses_moves_readers_and_outputs(self) -> None:
        graph = tower()
        total = graph.outputs["y"]
        graph.outputs["again"] = total
        scaled = add(graph, "scale", total).output
        graph.replace_uses(total, scaled, but=[scaled.node])
        assert graph.outputs == {"y": scaled, "again": scaled}
        assert scaled.node.inputs == (total,)
        graph.replace_uses(scaled, total)
        assert graph.outputs == {"y": total, "again": total}

    def test_replace_uses_of_one_of_several_outputs(self) -> None:
        graph = Graph()
        x = image(graph)
        a, b = add(graph, "cc", x, x, outputs=2).outputs
        reader = add(graph, "add", a, b)
        graph.replace_uses(a, x)
        assert reader.inputs == (x, b)

    def test_set_attrs_checks_and_infers_anew(self) -> None:
        graph = tower()
        conv = graph.nodes()[1]
        assert conv.resolved.kernel == (3, 3)
        graph.set_attrs(conv, filters=7, kernel=1)
        graph.infer()
        assert conv.resolved.kernel == (1, 1)
        assert str(graph.outputs["y"].type) == "f32[N, 7, 8, 8]"
        with pytest.raises(Fault, match="must be an integer from 1"):
            graph.set_attrs(conv, filters=0)

    def test_infer_adapts_the_number_of_outputs(self) -> None:
        graph = Graph()
        node = add(graph, "cc", image(graph), outputs=2)
        graph.set_attrs(node, outputs=3)
        graph.infer()
        assert len(node.outputs) == 3

    def test_erase_wants_no_readers(self) -> None:
        graph = tower()
        *_, relu, total = graph.nodes()
        graph.points = {"p": total.output}
        with pytest.raises(ValueError, match="still read"):
            graph.erase(relu)
        with pytest.raises(ValueError, match="still read"):
            graph.erase(total)
        graph.outputs["y"] = relu.output
        graph.erase(total)
        assert total not in graph
        assert relu in graph
        assert graph.points == {}
        assert graph.users(relu.output) == []

    def test_prune_leaves_what_outputs_need_and_inputs(self) -> None:
        graph = tower()
        *_, relu, total = graph.nodes()
        b = image(graph, "b")
        graph.points = {"p": relu.output, "q": total.output}
        graph.outputs = {"y": relu.output}
        graph.prune()
        assert total not in graph
        assert list(graph.points) == ["p"]
        assert b.node in graph
        assert graph.users(relu.output) == []

    def test_erasing_an_input_takes_it_off_the_list(self) -> None:
        graph = Graph()
        a = image(graph, "a")
        image(graph, "b")
        graph.erase(a.node)
        assert list(graph.inputs) == ["b"]


class TestCopy:
    def test_shares_nothing_that_changes(self) -> None:
        graph = tower()
        graph.prelude, graph.digests = ("dim T",), {"a": "b"}
        graph.points = {"p": graph.outputs["y"]}
        twin = graph.copy()
        assert names(twin) == names(graph)
        assert edges(twin) == edges(graph)
        assert (twin.prelude, twin.digests) == (graph.prelude, graph.digests)
        assert twin.points["p"] is twin.outputs["y"]
        before = names(graph)
        twin.set_attrs(twin.nodes()[1], filters=9)
        twin.infer()
        add(twin, "relu", twin.outputs["y"])
        twin.digests["c"] = "d"
        assert names(graph) == before
        assert graph.nodes()[1].attrs.filters == 4
        assert str(graph.outputs["y"].type) == "f32[N, 4, 8, 8]"
        assert graph.digests == {"a": "b"}

    @given(graphs())
    def test_values_are_its_own(self, graph: Graph) -> None:
        twin = graph.copy()
        for node, other in zip(graph.nodes(), twin.nodes(), strict=True):
            assert node.id == other.id
            assert node is not other
            assert all(value.node in twin for value in other.inputs)
            assert [str(v.type) for v in node.outputs] == [str(v.type) for v in other.outputs]
        assert all(value.node in twin for value in (*twin.outputs.values(), *twin.inputs.values()))

    def test_new_nodes_get_new_numbers(self) -> None:
        twin = tower().copy()
        assert add(twin, "relu", twin.outputs["y"]).id == 5


def test_attributes_given_as_attrs_are_taken_as_they_are() -> None:
    graph = Graph()
    attrs = OPS["conv"].check_attrs({"filters": 2, "kernel": 1})
    assert isinstance(attrs, Attrs)
    assert graph.add(OPS["conv"], [image(graph)], attrs).attrs is attrs
