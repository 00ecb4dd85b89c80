"""Writes the `forward` of one group.

Steps are taken in order. The value of a step that is read once waits as an expression until its
reader is written, and becomes part of it; so chains of calls nest. What would grow too long or
too deep, what is read again, and what stands under the next layer with weights gets a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from xgraph.backends.torch.access import Paths
from xgraph.backends.torch.code import Bracket, Code, call, layout, variable
from xgraph.backends.torch.helpers import closure  # noqa: F401
from xgraph.backends.torch.plan import Driver, Plan
from xgraph.backends.torch.registry import RULES, Site
from xgraph.backends.torch.sizes import Sizes
from xgraph.backends.torch.tree import Group, Member
from xgraph.backends.torch.variables import Hints, Variables
from xgraph.ir.graph import Node, Value
from xgraph.ir.types import Dim
