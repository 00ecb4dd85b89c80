"""Networks on which passes once made something else than they say, or broke."""

from __future__ import annotations

import functools

import pytest
from pages import ROOT

import xgraph
from xgraph import driver
from xgraph.compare import Difference
from xgraph.diagnostics import DiagnosticError
from xgraph.ir.graph import Graph
from xgraph.ir.scope import Connect
from xgraph.passes import Insert, Pipeline, RouteStreams, Xsertion, lower

BASECNN = ROOT / "examples" / "basecnn.xg"


def network(body: str, rest: str = "output y = net", input: str = "[8, 16, 16]") -> str:  # noqa: A002
    return f"network n\nmodality x: {input}\nsuperlayer net(x) {{\n{body}\n}}\n{rest}\n"


def joint(body: str, rest: str = "output y = net") -> str:
    """A network of two modalities."""
    return (
        "network n\nmodality a: [1, 16, 16] with informativeness = 0.6\n"
        "modality b: [1, 16, 16] with informativeness = 0.6\nlet j = concat(a, b)\n"
        f"superlayer net(j) {{\n{body}\n}}\n{rest}\n"
    )


def refused(text: str, pipeline: str) -> str:
    """The id with which a pass refuses a network, in the text that the user wrote."""
    with pytest.raises(DiagnosticError) as raised:
        xgraph.apply(text, pipeline)
    return raised.value.diagnostics[0].id


def test_a_copy_changes_behind_a_place_where_a_connection_merges() -> None:
    text = """network n
modality image: [3, 8, 8]
modality other: [3, 8, 8]
block res(f) { deep: conv(f, 3) -> bn; add(in, deep) -> relu }
superlayer u(other) { s1: conv(3, 3) }
superlayer net(image) { s1: conv(3, 3); s2: res(3) -> res(3) }
connect u.s1 -> net.s1 by add
output net
"""
    made = xgraph.apply(text, "set{layer=net.s2.res2.deep.conv1 attribute=dilation value=2}")
    assert xgraph.unbuild(xgraph.parse(xgraph.unbuild(made))) == xgraph.unbuild(made)


def test_a_cross_prediction_of_a_later_layer_of_a_label() -> None:
    text = network("a: conv(4, 3) -> relu -> conv(8, 3) -> relu\nconv(4, 3)")
    printed = xgraph.unbuild(xgraph.apply(text, "multipath,route{kind=cp at=a.conv2}"))
    assert "route cp path[*].a.relu1 -> path[*].a.conv2 via conv(8, 3)" in printed


def test_streams_that_are_a_part_of_an_array() -> None:
    pipeline = "multipath{paths=3},route{streams=[path[0], path[1]] at=[c2]}"
    printed = xgraph.unbuild(xgraph.apply(BASECNN, pipeline))
    assert "route cc path[0].c2, path[1].c2" in printed


def test_layers_that_differ_have_no_router_in_their_place() -> None:
    text = """network r
modality x: [3, 16, 16]
superlayer a(x) { c1: conv(16, 3); c2: conv(32, 3); relu }
superlayer b(x) { c1: conv(16, 3); c2: conv(32, 5); relu }
output y = add(a, b)
"""
    assert refused(text, "route{kind=cp at=c2}") == "unfit-network"
    assert refused(text, "route{kind=nddr replace=true at=c2}") == "unfit-network"


@pytest.mark.parametrize("stem", ["stem", "x"])
def test_a_stem_that_what_follows_reads_past(stem: str) -> None:
    text = network("stem: conv(8, 3)\nx: conv(8, 3) -> relu\nadd(x, in) -> relu")
    assert refused(text, f"multipath{{stem={stem}}}") == "unfit-network"


def test_a_stem_that_leaves_nothing() -> None:
    assert refused(network("a: conv(8, 3)"), "multipath{stem=a}") == "unfit-network"


def test_a_trunk_that_others_read_keeps_its_meaning() -> None:
    rest = "fusion head(net) { globalavgpool -> linear(4) }\noutput y = head\noutput z = net"
    made = xgraph.apply(network("a: conv(8, 3)", rest), "multipath")
    assert str(made.outputs["z"].type) == "f32[N, 8, 16, 16]"


def test_widths_of_connections_are_those_of_the_place() -> None:
    body = """c0: conv(8, 3) -> relu
l: conv(4, 3) -> relu
r: c0 -> conv(32, 3) -> relu
concat(l, r)
p1: maxpool(2)
conv(16, 3) -> relu
conv(16, 3) -> relu
flatten -> linear(10)"""
    made = xgraph.apply(joint(body), "xsertion{match=false beta=1 at=p1}")
    # Two lanes at half the width: 2 + 16 channels, of which half go across.
    for scope in (s for s in made.scopes if isinstance(s, Connect)):
        (conv,) = (n for n in made.nodes() if n.scope is scope and n.op.name == "conv")
        assert conv.attrs["filters"] == 9


def test_a_tail_that_reads_the_super_layer() -> None:
    body = "c: conv(16, 3) -> relu\np1: maxpool(2)\nl: flatten -> linear(10)\n"
    body += "m: c -> globalavgpool -> linear(10)\nadd(l, m)"
    assert refused(joint(body), "xsertion{at=[p1]}") == "unfit-network"


def test_a_joint_network_that_is_connected_already() -> None:
    side = "superlayer side(a) { c: conv(4, 3); relu }\nconnect side.c -> net.c0\noutput y = net"
    body = "c0: conv(8, 3)\nrelu -> maxpool(2)\nconv(8, 3)\nflatten -> linear(3)"
    assert refused(joint(body, side), "xsertion{at=c0}") == "unfit-network"


def test_a_joint_input_as_several_arguments() -> None:
    text = """network n
modality a: [1, 8, 8] with informativeness = 0.6
modality b: [1, 8, 8] with informativeness = 0.6
superlayer net(a, b) { c: concat -> conv(8, 3); relu; flatten -> linear(3) }
output y = net
"""
    assert refused(text, "xsertion{at=c}") == "unfit-network"


def test_one_of_many_copies_has_no_body_of_its_own() -> None:
    assert refused(str(BASECNN), "multipath,insert{at=path[0].c2 layers=relu}") == "bad-option"
    made = xgraph.apply(BASECNN, "multipath,insert{at=path[*].c2 layers=relu}")
    assert "path[2]" in xgraph.unbuild(made)


def test_a_modality_is_no_layer() -> None:
    assert (
        refused(str(BASECNN), "set{layer=image attribute=shape value=[3, 64]}") == "unfit-network"
    )


def test_what_is_named_twice() -> None:
    assert refused(str(BASECNN), "multipath,route{at=[c2, c2]}") == "bad-option"
    with pytest.raises(DiagnosticError):
        Pipeline.parse("connect{between=[a.p, a.p]}")


def test_options_without_a_part_are_refused() -> None:
    text = network(
        "p: conv(4, 3)\nrelu", "superlayer b(x) { q: conv(4, 3); relu }\noutput y = add(net, b)"
    )
    assert refused(text, "connect{source=net.p target=b.q kernel=3}") == "bad-option"


@pytest.mark.parametrize("wrong", [3, functools.partial(lambda graph: None), RouteStreams])
def test_what_is_no_pass(wrong: object) -> None:
    with pytest.raises(DiagnosticError) as raised:
        xgraph.apply(BASECNN, wrong)  # type: ignore[arg-type]
    assert raised.value.diagnostics[0].id == "bad-pass"


def test_words_as_texts_come_back() -> None:
    for step in (RouteStreams(streams="none"), Xsertion(connection="true"), Insert("x", "none")):
        assert Pipeline.parse(str(Pipeline((step,)))).passes == (step,)


def test_differences_in_outputs_connections_and_their_order() -> None:
    base = network("a: conv(8, 3)", "output y = net -> conv(8, 3) -> relu -> globalavgpool")
    assert Difference(xgraph.parse(base), xgraph.parse(base.replace("relu", "tanh")))
    assert Difference(
        xgraph.parse(base), xgraph.parse(base.replace("(8, 3) -> relu", "(8, 5) -> relu"))
    )
    two = "block two(f) { a: conv(f, 3); b: relu; add(a, b) }\n"
    text = network(
        "p: conv(4, 3)\nrelu",
        "superlayer m(x) { p: conv(4, 3); relu }\nHOOKS\noutput y = add(net, m)",
    )
    via = two + "connect net.p -> m.p by add via two(4)"
    assert Difference(
        xgraph.parse(text.replace("HOOKS", via)),
        xgraph.parse(text.replace("HOOKS", via.replace("add(a, b)", "add(a, in)"))),
    )
    hooks = ["connect net.p -> m.p by add", "route stitch net.p, m.p"]
    assert Difference(
        xgraph.parse(text.replace("HOOKS", "\n".join(hooks))),
        xgraph.parse(text.replace("HOOKS", "\n".join(hooks[::-1]))),
    )


def test_modalities_are_side_by_side_by_channel() -> None:
    body = "p1: conv(8, 3) -> maxpool(2) -> conv(8, 3) -> relu\nflatten -> linear(2)"
    above = joint(body).replace("concat(a, b)", "concat(a, b, axis=1)")
    assert refused(above, "xsertion") == "unfit-network"
    assert "superlayer" in xgraph.unbuild(xgraph.apply(joint(body), "xsertion"))


def test_informativeness_to_a_high_power() -> None:
    text = joint(
        "p1: conv(8, 3) -> maxpool(2) -> conv(8, 3) -> relu\nflatten -> linear(2)"
    ).replace("0.6", "1e-200")
    assert "connect" in xgraph.unbuild(xgraph.apply(text, "xsertion{alpha=9 beta=9}"))


def test_the_same_value_changes_nothing() -> None:
    text = network("c1: conv(8, 3)")
    (step,) = Pipeline.parse("set{layer=net.c1 attribute=dilation value=1}").passes
    assert not step.run(xgraph.parse(text)).changed


STAGES = """p1: conv(8, 3) -> maxpool(2)
conv(8, 3) -> relu
flatten -> linear(2)"""


def test_a_place_at_the_end_of_a_lane() -> None:
    made = xgraph.apply(joint(STAGES), "xsertion{at=stages match=false}")
    assert "connect a_net.relu1 -> b_net.relu1" in xgraph.unbuild(made)
    head = made.points["head.in[0]"].node
    assert head.rebinds == ("a_net.relu1",)


REPEATED = (
    "r: repeat 2 { conv(8, 3) -> relu }\nmaxpool(2) -> conv(8, 3) -> relu\nflatten -> linear(2)"
)


def test_routers_at_elements_of_an_array_of_labels() -> None:
    printed = xgraph.unbuild(xgraph.apply(network(REPEATED), "multipath,route"))
    assert "route cc path[0].r[1], path[1].r[1]" in printed


def test_a_stem_that_ends_in_an_array_of_labels() -> None:
    text = network(REPEATED.replace("relu\nflatten", "relu -> add(r[1] -> avgpool(2))\nflatten"))
    printed = xgraph.unbuild(xgraph.apply(text, "multipath{stem=r},route{at=stages}"))
    assert "let r = x -> repeat 2 { conv(8, 3) -> relu }" in printed
    assert "in -> avgpool(2)" in printed
    assert refused(text.replace("r[1] ->", "r[0] ->"), "multipath{stem=r}") == "unfit-network"


def test_a_stem_that_reads_besides() -> None:
    text = network("stem: add(g, g)\nconv(8, 3)").replace(
        "superlayer", "let g = x -> bn\nsuperlayer"
    )
    assert refused(text, "multipath{stem=stem}") == "unfit-network"


VIDEO = """network v
dim T
modality video: [T, 3, 8, 8]
each T {
  superlayer cnn(video) { c: conv(4, 3) -> relu; flatten -> linear(5) }
}
fusion head(cnn) { lstm(6) -> last(T) -> linear(3) }
output y = head
"""


def test_the_head_of_paths_within_each_stays_outside() -> None:
    printed = xgraph.unbuild(xgraph.apply(VIDEO, "multipath"))
    assert "fusion head(mean(path[*])) { lstm(6) -> last(T) -> linear(3) }" in printed


def test_paths_within_each_are_joined_by_features_outside() -> None:
    made = xgraph.apply(VIDEO, "multipath{net=cnn merge=concat}")
    assert str(made.points["head.in"].type) == "f32[N, T, 10]"
    inside = VIDEO.replace("}\n}\n", "}\n  superlayer b(cnn) { linear(7) }\n}\n")
    made = xgraph.apply(inside, "multipath{net=cnn merge=concat}")
    printed = xgraph.unbuild(made)
    assert "superlayer b(concat(path[*]))" in printed
    assert "fusion head(concat(path[*], axis = 1))" in printed


def test_labels_of_the_one_path_that_others_read() -> None:
    rest = "superlayer aux(net.p) { globalavgpool }\n"
    rest += "output y = net\noutput mid = net.c[1]\noutput a = aux"
    text = network("c: repeat 2 { conv(8, 3) }\np: conv(4, 3) -> relu\nflatten -> linear(2)", rest)
    printed = xgraph.unbuild(xgraph.apply(text, "multipath{net=net}"))
    assert "superlayer aux(mean(path[*].p))" in printed
    assert "output mid = mean(path[0].c[1], path[1].c[1])" in printed
    printed = xgraph.unbuild(xgraph.apply(text, "multipath{net=net stem=c}"))
    assert "output mid = c\n" in printed
    assert refused(text, "multipath{net=net stem=p}") == "unfit-network"


def test_a_label_called_like_what_is_multiplied() -> None:
    rest = "superlayer aux(x) { net: conv(8, 3); conv(8, 5) -> add(net) }\noutput y = add(net, aux)"
    assert refused(network("conv(8, 3)", rest), "multipath{net=net}") == "unfit-network"


def test_a_head_with_a_label_of_the_trunk() -> None:
    rest = "fusion head(net) { a: globalavgpool; linear(4) }\noutput y = head"
    assert refused(network("a: conv(8, 3)", rest), "multipath") == "unfit-network"


def test_a_width_that_comes_to_nothing() -> None:
    text = joint(STAGES).replace("0.6", "0.3", 1)
    made = xgraph.apply(text, "xsertion{alpha=12}")
    convs = [n for n in made.nodes() if n.op.name == "conv" and n.address.startswith("a_net")]
    assert {n.attrs["filters"] for n in convs} == {1}


@pytest.mark.parametrize(
    "end", ["conv(2, 1)", "conv(2, 1) -> globalavgpool", "conv(4, 1) -> softmax"]
)
def test_super_layers_that_nothing_joins(end: str) -> None:
    body = f"p1: conv(8, 3) -> maxpool(2) -> conv(8, 3) -> relu\n{end}"
    assert refused(joint(body), "xsertion{match=false}") == "unfit-network"
    assert refused(joint(body, "output y = net -> relu"), "xsertion") == "unfit-network"


def test_super_layers_that_a_fusion_joins() -> None:
    rest = "fusion head(net) { conv(2, 1) }\noutput y = head"
    made = xgraph.apply(
        joint("p1: conv(8, 3) -> maxpool(2) -> conv(8, 3) -> relu", rest), "xsertion"
    )
    assert str(made.outputs["y"].type) == "f32[N, 2, 8, 8]"


@pytest.mark.parametrize(
    "reader",
    ["output mid = net.p1", "superlayer aux(net.p1) { linear(3) }", "let l = net.p1 -> relu"],
)
def test_what_is_within_the_joint_super_layer_is_not_read(reader: str) -> None:
    text = joint(f"{STAGES}", f"{reader}\noutput y = net")
    assert refused(text, "xsertion{net=net}") == "unfit-network"


def test_a_shortcut_that_adds_what_a_connection_makes_wider() -> None:
    split = "split{into=[r, g, b] informativeness=[0.5, 0.6, 0.4]}"
    with pytest.raises(DiagnosticError) as raised:
        xgraph.apply(ROOT / "examples" / "resnet_cifar.xg", f"{split},xsertion")
    (told,) = raised.value.diagnostics
    assert told.id == "unfit-network"
    assert "at=stages" in (told.help or "")


UNITS = "block unit(f) { conv(f, 3) -> bn -> relu }\n"
TWO = UNITS + "block two(f) { deep: unit(f) -> conv(f, 3); add(in -> conv(f, 1), deep) }\n"
CHANGED = "set{{layer={}.bn1 attribute=eps value=1e-3}}"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (TWO + network("a: two(8); c: two(8)"), "net.a.deep.unit1"),
        (UNITS + network("deep: unit(8) -> conv(8, 3); unit(8)"), "net.deep.unit1"),
        (
            UNITS + network("add(l, l)").replace("super", "let l = x -> unit(8) -> relu\nsuper"),
            "l.unit1",
        ),
    ],
)
def test_a_layer_keeps_its_name_where_its_block_changes(text: str, unit: str) -> None:
    made = xgraph.apply(text, CHANGED.format(unit))
    driver.verify_fully(made, "set")
    again = xgraph.parse(xgraph.unbuild(made))
    assert {a for a, _ in lower(made).params()} == {a for a, _ in lower(again).params()}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (network("relu").replace("net(x)", "net(x -> unit(8) -> relu)"), "net.unit1"),
        (network("relu", "output y = net -> unit(8) -> relu"), "y.unit1"),
    ],
)
def test_a_block_that_no_label_can_keep(text: str, unit: str) -> None:
    made = xgraph.apply(UNITS + text, CHANGED.format(unit))
    with pytest.raises(DiagnosticError) as raised:
        xgraph.unbuild(made)
    assert raised.value.diagnostics[0].id == "unfit-network"


def test_a_head_that_is_connected_stays_outside() -> None:
    rest = "superlayer side(x) { b: conv(4, 3); relu }\nfusion head(net) { k: conv(4, 3); relu }\n"
    rest += "connect side.b -> head.k\noutput y = head\noutput z = side"
    text = network("a: conv(4, 3) -> relu", rest)
    printed = xgraph.unbuild(xgraph.apply(text, "multipath{net=net}"))
    assert "fusion head(mean(path[*])) { k: conv(4, 3); relu }" in printed


def test_a_head_within_the_same_each_goes_into_the_paths() -> None:
    inside = VIDEO.replace("}\n}\n", "}\n  fusion h(cnn) { linear(7) }\n}\n")
    made = xgraph.apply(inside.replace("head(cnn)", "head(h)"), "multipath{merge=concat stem=c}")
    printed = xgraph.unbuild(made)
    assert "let c = video -> conv(4, 3) -> relu" in printed
    assert "fusion head(concat(path[*], axis = 1))" in printed


def test_a_tail_has_the_fusion_behind_it() -> None:
    body = "p1: conv(32, 3) -> maxpool(2); conv(32, 3) -> relu; conv(32, 3) -> relu; flatten"
    rest = "fusion head(net) { dropout(0.5) -> linear(10) }\noutput logits = head"
    made = xgraph.apply(joint(f"{body} -> linear(64) -> relu", rest), "xsertion")
    assert str(made.outputs["logits"].type) == "f32[N, 10]"
    assert "fusion head(tail)" in xgraph.unbuild(made)


SHARED = """network n
modality image: [3, 8, 8]
modality hint: [3, 8, 8]
superlayer path[2](image) { c1: conv(8, 3); g: hint -> conv(8, 3); add(c1, g) }
output y = mean(path[*])
"""


def test_a_cross_prediction_reads_what_the_layers_read() -> None:
    printed = xgraph.unbuild(xgraph.apply(SHARED, "route{kind=cp at=g}"))
    assert "route cp hint -> path[*].g via conv(8, 3)" in printed
    text = network("c1: conv(8, 3) -> relu\nc2: conv(8, 3)")
    made = xgraph.apply(text, "multipath,route{at=c2},route{kind=cp at=c1.conv1}")
    assert "route cp path[*].in -> path[*].c1.conv1" in xgraph.unbuild(made)


def test_normed_places_are_read_by_all_that_follows() -> None:
    body = "p1: conv(32, 3) -> maxpool(2)\na: conv(32, 3) -> relu\nconcat(p1, a) -> conv(32, 3)"
    assert refused(joint(body), "xsertion{at=p1 normed=true}") == "unfit-network"


@pytest.mark.parametrize("at", ["net.p1", "net.p2"])
def test_what_is_inserted_leaves_others_their_names(at: str) -> None:
    text = network("p1: conv(8, 3)\nconv(8, 3) -> bn -> relu\np2: conv(8, 3)\nbn -> relu")
    before = dict(lower(xgraph.parse(text)).params())
    made = dict(lower(xgraph.apply(text, f'insert{{at={at} layers="bn -> conv(8, 3)"}}')).params())
    assert before.items() <= made.items()
    assert len(made) == len(before) + 7


@pytest.mark.parametrize(
    ("layer", "setting"),
    [("net.split1", "attribute=parts value=4"), ("cc_net_c_other_c", "attribute=outputs value=3")],
)
def test_how_many_values_a_layer_gives_stays(layer: str, setting: str) -> None:
    body = "c: conv(8, 3)\nsplit(2) -> add"
    rest = "superlayer other(x) { c: conv(8, 3) }\nroute cc net.c, other.c\noutput y = net"
    assert refused(network(body, rest), f"set{{layer={layer} {setting}}}") == "bad-attribute"


def test_one_of_an_array_is_no_joint_super_layer() -> None:
    text = joint("conv(32, 3) -> relu").replace("superlayer net(j)", "superlayer net[1](j)")
    assert refused(text.replace("y = net", "y = net[0]"), "xsertion") == "unfit-network"


@pytest.mark.parametrize(
    ("body", "layers"),
    [("c1: u(8)\nu(8) -> u(8)\nbn", "u(8) -> bn"),
     ("c1: conv(8, 3)\nconv(8, 3) -> bn -> conv(8, 3)", "repeat 2 { conv(8, 3) -> bn }"),
     ("c1: conv(8, 3)\nconv(8, 3) -> bn -> conv(8, 3)", "if true then conv(8, 3) else bn"),
     ("c1: repeat 2 { conv(8, 3) -> bn }\nconv(8, 3) -> bn", "conv(8, 3)")],
)  # fmt: skip
def test_whatever_is_inserted_leaves_others_their_names(body: str, layers: str) -> None:
    text = "network n\nblock u(f) { conv(f, 3) -> bn }\n" + network(body).partition("\n")[2]
    graph = xgraph.parse(text)
    made = xgraph.apply(graph, f'insert{{at=net.c1 layers="{layers}"}}')
    ran = _convolutions(made)
    for address, before in _convolutions(graph).items():
        assert ran[address] - before in (0, _behind(made, graph))


def _convolutions(graph: Graph) -> dict[str, int]:
    """How many convolutions lie before each, itself counted."""
    low = lower(graph)
    found, count = {}, 0
    for node in low.nodes():
        if node.op.name == "conv":
            count += 1
            found[node.address] = count
    return found


def _behind(made: Graph, graph: Graph) -> int:
    return len(_convolutions(made)) - len(_convolutions(graph))
