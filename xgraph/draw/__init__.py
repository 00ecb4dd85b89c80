"""Pictures of networks: what is drawn (`scene`), and as what (`render`, `static/`)."""

from xgraph.draw.files import Drawn, draw, draw_diff, page_of

__all__ = ["Drawn", "draw", "draw_diff", "page_of"]
