"""`set`: an attribute of a layer that is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from xgraph.build import read_settings
from xgraph.build.names import written
from xgraph.diagnostics import did_you_mean, fail
from xgraph.ir.graph import Graph, Node
from xgraph.ir.infer import infer_types
from xgraph.ir.op import Fault
from xgraph.passes.contract import Pass, option, register


@register
@final
@dataclass(frozen=True)
class SetAttribute(Pass):
    """Set an attribute of a layer."""

    name = "set"
    example = "set{layer=head.dropout1 attribute=rate value=0.5}"
    layer: str = option(doc="the layer, by its address as `xgraph diff` has it")
    attribute: str = option(doc="which one")
    value: str = option(doc="a constant of the language")

    def apply(self, graph: Graph) -> Graph:
        new = graph.copy()
        node = self._node(new)
        known = [attr.name for attr in node.op.attrs]
        if self.attribute not in known:
            listed = ", ".join(f"`{name}`" for name in known) or "none"
            raise fail(
                "unknown-attribute", f"`{node.op.name}` has no attribute `{self.attribute}`",
                span=node.span, help=did_you_mean(self.attribute, known) or f"it has {listed}",
            )  # fmt: skip
        value = read_settings((f"{self.attribute}={self.value}",))[self.attribute]
        if node.attrs[self.attribute] == value:
            return graph
        try:
            new.set_attrs(node, **{self.attribute: value})
            if len(infer_types(node.op, node.input_types, node.attrs)) != len(node.outputs):
                raise Fault(
                    f"`{self.attribute}` tells how many values `{written(node.address)}` gives, and"
                    " others read them: change the text", id="bad-attribute",
                )  # fmt: skip
            new.infer()
        except Fault as fault:
            raise fail(fault.id, fault.message, span=node.span) from None
        return new

    def _node(self, graph: Graph) -> Node:
        address = self.layer.replace("[", ".").replace("]", "")
        nodes = {node.address: node for node in graph.nodes() if node.address}
        if address in graph.inputs:
            raise fail(
                "unfit-network", f"`{address}` is a modality, not a layer", origin="set{layer}"
            )
        if address in nodes:
            return nodes[address]
        raise fail(
            "unknown-name", f"no layer has the address `{self.layer}`", origin="set{layer}",
            help=did_you_mean(address, nodes) or "`xgraph diff` of two networks shows addresses",
        )  # fmt: skip
