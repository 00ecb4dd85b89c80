"""PyTorch: a tensor-level graph as readable source, and as the module that this source defines.

    rules       layers, functions, shapes   one rule a primitive, in `registry.RULES`
    structure   tree, plan, runs            which addresses become modules, and what runs them
    writing     forward, sizes              the `forward` of one module
                variables, hints            its local variables
                classes, naming, source     classes that modules share where they are alike
                code, names, access         expressions, identifiers, attributes
                helpers                     what the source defines where torch has nothing
    running     module                      the source, executed

torch itself is imported when a module is made, not before.
"""

from xgraph.backends.torch.module import to_module
from xgraph.backends.torch.registry import RULES, UNSUPPORTED
from xgraph.backends.torch.source import to_source

__all__ = ["RULES", "UNSUPPORTED", "to_module", "to_source"]
