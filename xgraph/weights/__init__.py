"""Weights: arrays by address (`image.b1.conv1.weight`), the same for every backend.

Made once from the declared initialisers and a seed, kept in safetensors files, checked against
a graph, and handed from one version of a network to the next by address and shape.
"""

from xgraph.weights.check import check
from xgraph.weights.file import INPUTS, OPTIMIZED, RECIPE, load, metadata, save
from xgraph.weights.inherit import Inherited, inherit
from xgraph.weights.initial import initialise

__all__ = [
    "INPUTS",
    "OPTIMIZED",
    "RECIPE",
    "Inherited",
    "check",
    "inherit",
    "initialise",
    "load",
    "metadata",
    "save",
]
