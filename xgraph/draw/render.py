"""What is drawn, as a picture or a page. The JavaScript of the page draws both: for a picture, it
runs in an engine of our own."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, final

from xgraph.diagnostics import fail
from xgraph.draw.scene import Sheet
from xgraph.driver import require

_SECONDS = 120
"""How long Graphviz may think."""


@cache
def static(name: str) -> str:
    """A file that comes with this package."""
    return (files("xgraph.draw") / "static" / name).read_text("utf-8")


@final
@dataclass(frozen=True)
class Picture:
    """An SVG, and how many layers are in boxes that are closed there."""

    svg: str
    hidden: int

    @staticmethod
    def of(sheet: Sheet, *, expand: bool = False, within: str = "") -> Picture:
        """The picture, every box open if it is to `expand`. It is a file of its own, or stands
        `within` a page that is light or dark, under a name that no other picture there has.
        `DiagnosticError` where there are more boxes than can be drawn."""
        require("py_mini_racer")
        with ThreadPoolExecutor(1) as apart:  # the engine refuses threads of an event loop
            found = apart.submit(_drawn, sheet, expand, within).result()
        if "many" in found:
            raise fail(
                "too-large", f"{found['many']:,} boxes at once are too many to draw",
                origin=sheet.title, help="without `--expand`, blocks stay closed",
            )  # fmt: skip
        return Picture(found["svg"], found["hidden"])


def _drawn(sheet: Sheet, expand: bool, within: str) -> dict[str, Any]:
    from py_mini_racer import JSEvalException, MiniRacer

    given = f"{json.dumps(sheet.to_json())}, {json.dumps(expand)}"
    style = static("draw.css") if within else _plain(static("draw.css"))
    said = f"{json.dumps(style)}, {json.dumps(within)}"
    engine: Any = MiniRacer()
    try:
        for source in ("host.js", "viz.js", "draw.js"):
            engine.eval(static(source))
        engine.eval(f"begin({given})").get(timeout=_SECONDS)
        found: dict[str, Any] = json.loads(engine.eval(f"finish({said})", timeout_sec=_SECONDS))
    except JSEvalException as error:
        raise fail(
            "too-large", f"Graphviz could not draw it: {str(error).splitlines()[0]}",
            origin=sheet.title, help="without `--expand`, blocks stay closed",
        ) from None  # fmt: skip
    finally:
        engine.close()
    return found


def png(svg: str) -> bytes:
    """The picture in dots, two for each unit, on white."""
    require("resvg_py")
    require("matplotlib")
    import resvg_py
    from matplotlib.font_manager import FontProperties, findfont

    fonts = [
        str(findfont(FontProperties(family="DejaVu Sans", weight=w))) for w in ("normal", "bold")
    ]
    return bytes(
        resvg_py.svg_to_bytes(svg_string=svg, zoom=2, background="white", font_files=fonts)
    )


def page(sheet: Sheet, *, expand: bool = False) -> str:
    """A page that needs nothing but itself: to be opened, searched, zoomed and read as a table."""
    require("jinja2")
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    data = json.dumps(sheet.to_json() | {"expand": expand}, separators=(",", ":"))
    parts = {name: Markup(static(name)) for name in
             ("viz.js", "draw.js", "page.js", "draw.css", "page.css")}  # fmt: skip
    return environment.from_string(static("page.html.jinja")).render(
        sheet=sheet, data=Markup(data.replace("<", "\\u003c")), parts=parts
    )


def _plain(css: str) -> str:
    """Without custom properties, which viewers of pictures do not know: as it is in the light."""
    values = dict(re.findall(r"(--[a-z]+): light-dark\(([^,]+),[^;]+;", css))
    bare = re.sub(r"\s*--[a-z]+: [^;]+;", "", css)
    return re.sub(r"var\((--[a-z]+)\)", lambda found: values[found[1]], bare)
