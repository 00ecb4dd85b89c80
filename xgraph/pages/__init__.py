"""Reports: pages of one look that hold all they show, and load nothing."""

from xgraph.pages.page import Code, Drawing, Figure, Fold, Note, Part, Section, Table, page
from xgraph.pages.plots import Key

__all__ = ["Code", "Drawing", "Figure", "Fold", "Key", "Note", "Part", "Section", "Table", "page"]
