"""xgraph: a graph-IR compiler for cross-modal neural networks."""

from pathlib import Path as _Path

# In a checkout `grammar/`, `passes/` and `backends/` stand beside this folder; an installed
# package has them inside. Extending the path makes `xgraph.grammar` mean the same in both.
_beside = _Path(__file__).resolve().parent.parent
if (_beside / "pyproject.toml").is_file():
    __path__.append(str(_beside))

__version__ = "0.1.0"
