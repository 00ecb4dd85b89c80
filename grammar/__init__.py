"""Text and syntax tree: `parse` one way, `format_document` the other.

The only room that imports lark.
"""

from xgraph.grammar.format import format_document, format_tree
from xgraph.grammar.lexer import KEYWORDS
from xgraph.grammar.parser import VERSION, parse, parse_expression
from xgraph.grammar.rewrite import parts, rewritten
from xgraph.grammar.tree import SYNTHETIC

__all__ = [
    "KEYWORDS",
    "SYNTHETIC",
    "VERSION",
    "format_document",
    "format_tree",
    "parse",
    "parse_expression",
    "parts",
    "rewritten",
]
