"""Passes: each a function of the graph that gives a graph, one file a pass.

Those that work on the architecture are known by name and can be put in a row (`pipeline`); `lower`
leads from there to the tensor level.
"""

from xgraph.passes.connect import ConnectStreams
from xgraph.passes.contract import (
    FunctionPass,
    Option,
    Pass,
    PassLike,
    PassResult,
    find_pass,
    known_passes,
    load_passes,
    option,
    options,
    register,
)
from xgraph.passes.insert import Insert
from xgraph.passes.lower import lower
from xgraph.passes.multipath import Multipath
from xgraph.passes.pipeline import Pipeline, written
from xgraph.passes.places import Place, aligned, block_ends
from xgraph.passes.route import RouteStreams
from xgraph.passes.set import SetAttribute
from xgraph.passes.split import Split
from xgraph.passes.xsertion import Xsertion

__all__ = [
    "ConnectStreams", "FunctionPass", "Insert", "Multipath", "Option", "Pass", "PassLike",
    "PassResult", "Pipeline", "Place", "RouteStreams", "SetAttribute", "Split", "Xsertion",
    "aligned", "block_ends", "find_pass", "known_passes", "load_passes", "lower", "option",
    "options", "register", "written",
]  # fmt: skip
