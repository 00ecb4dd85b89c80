"""Imports run one way, and heavy libraries stay in the room that needs them.

The arrows are read from the source, those inside functions and behind `TYPE_CHECKING` too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("xgraph", "grammar", "passes", "backends")

BASE = {"source", "diagnostics", "collector"}
CORE = BASE | {"files", "given", "ir", "ops", "weights"}
ARROWS: dict[str, set[str]] = {
    "source": set(),
    "collector": set(),
    "diagnostics": {"source"},
    "files": {"source", "diagnostics"},
    "claim": {"diagnostics", "files"},
    "given": {"diagnostics"},
    "grammar": {"source", "diagnostics"},
    "ir": BASE,
    "ops": BASE | {"ir"},
    "weights": BASE | {"files", "ir", "ops"},
    "samples": {"diagnostics", "ir"},
    "build": CORE | {"grammar"},
    "space": BASE | {"files", "given", "grammar", "build", "ir", "ops"},
    "passes": CORE | {"grammar", "build"},
    "backends": CORE,
    "runtime": BASE | {"given", "ir"},
    "optimize": CORE,
    "timing": set(),
    "tune": CORE | {"build", "passes", "backends", "runtime", "optimize", "samples", "timing"},
    "bench": CORE
    | {"tune", "driver", "optimize", "backends", "runtime", "samples", "report", "timing"}
    | {"precision"},
    "precision": CORE | {"backends", "runtime", "samples"},
    "memory": {"ir", "ops"},
    "report": CORE | {"memory", "passes"},
    "compare": CORE | {"build", "report"},
    "view": {"ir", "report", "space", "draw", "explain"},
    "reference": CORE | {"build", "passes"},
    "driver": CORE
    | {"grammar", "build", "passes", "backends", "runtime", "samples"}
    | {"report", "space", "optimize", "tune", "precision"},
    "draw": CORE | {"build", "compare", "driver", "grammar", "report", "space"},
    "pages": BASE,
    "explain": CORE | {"build", "compare", "passes", "backends", "data", "train", "pages"},
    "arrays": CORE | {"driver"},
    "profile": CORE | {"backends", "runtime", "driver", "optimize", "report", "samples"},
    "recipe": BASE | {"files"},
    "data": CORE | {"recipe"},
    "train": CORE | {"data", "recipe", "build", "passes", "backends", "runtime", "driver", "pages"},
    "search": CORE
    | {"samples", "pages", "draw"}
    | {"grammar", "build", "space", "passes", "data", "recipe", "train", "driver", "report"},
    "serve": CORE | {"pages", "driver", "draw", "claim", "search"},
    "cli": CORE
    | {"grammar", "build", "space", "backends", "runtime", "report", "driver", "arrays"}
    | {"passes", "compare", "data", "recipe", "train", "search", "optimize", "tune", "bench"}
    | {"precision", "profile", "draw", "samples", "explain", "claim", "serve"},
}
"""Each room, and those it may import: the front end, passes and backends never each other."""

HOMES = {
    "click": {"cli"},
    "lark": {"grammar"},
    "networkx": {"ir"},
    "onnx": {"backends.onnx", "profile.kernels"},
    "onnxruntime": {"runtime", "backends.onnx.quantize", "profile.kernels"},
    "ml_dtypes": {"backends.onnx.precision"},
    "safetensors": {"weights"},
    "PIL": {"arrays"},
    "pooch": {"data.known"},
    "requests": {"data.known"},
    "scipy": {"data.known", "train"},
    "tqdm": {"data.known", "cli"},
    "torch": {"backends.torch", "driver", "profile.modules", "train", "search", "tune", "bench"}
    | {"explain.extremes"},
    "lightning_fabric": {"train", "search"},
    "torchmetrics": {"train"},
    "matplotlib": {"pages.plots", "search.figures", "draw.render"},
    "jinja2": {"pages.page", "draw.render"},
    "markupsafe": {"draw.render"},
    "py_mini_racer": {"draw.render"},
    "resvg_py": {"draw.render"},
    "pyarrow": {"search.table"},
    "sklearn": {"data", "explain.explain"},
    "datasets": {"data"},
    "pydantic": {"recipe", "train", "search"},
    "optuna": {"search.study"},
    "platformdirs": {"tune"},
    "ray": {"search.workers"},
    "starlette": {"serve.app"},
    "uvicorn": {"serve.app"},
    "yaml": {"recipe"},
}
"""Libraries, and the only rooms that import them."""


def modules() -> dict[str, Path]:
    """The package's modules by their installed names."""
    found = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            name = ".".join(parts if parts[0] == "xgraph" else ["xgraph", *parts])
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in {path}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """`ir` of `xgraph.ir.graph`; "" of the package itself."""
    return module.partition(".")[2].partition(".")[0]


def arrows() -> Iterator[tuple[str, str, str]]:
    """Importing module, room it imports from, and the name imported."""
    for module, path in MODULES.items():
        for name in imported(path):
            top, _, rest = name.partition(".")
            known = f"{top}.{rest.partition('.')[0]}"
            if known in MODULES and room(name) != room(module):
                yield module, room(name), name


def test_every_room_has_its_arrows() -> None:
    assert {room(module) for module in MODULES} - {""} == set(ARROWS)


def test_no_arrow_is_new() -> None:
    new = [
        f"{module} imports {name}"
        for module, target, name in arrows()
        if room(module) and target not in ARROWS[room(module)]
    ]
    assert not new


def test_arrows_have_no_circle() -> None:
    graph = nx.DiGraph((start, end) for start, ends in ARROWS.items() for end in ends)
    assert nx.is_directed_acyclic_graph(graph)


def test_modules_have_no_circle() -> None:
    """Not within a room either, where an import happens as a module is read."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for module, path in MODULES.items():
        for name in top_level(path):
            target = name if name in MODULES else name.rpartition(".")[0]
            if target in MODULES and not module.startswith(f"{target}."):
                graph.add_edge(module, target)
    circles = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles


def top_level(path: Path) -> Iterator[str]:
    """The names that a file imports as it is read."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("library", HOMES)
def test_library_stays_in_its_room(library: str) -> None:
    users = {
        module
        for module, path in MODULES.items()
        if any(name.split(".")[0] == library for name in imported(path))
    }
    homes = tuple(f"xgraph.{home}" for home in HOMES[library])
    assert not [module for module in users if not module.startswith(homes)]


HEAVY = {
    "PIL", "jinja2", "matplotlib", "onnx", "onnxruntime", "pooch", "py_mini_racer", "requests",
    "resvg_py", "scipy", "starlette", "torch", "uvicorn",
}  # fmt: skip

PROBE = """
import sys
sys.argv = ["xgraph", *{args!r}]
from xgraph.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("|".join(sorted({heavy!r} & set(sys.modules))))
"""


def loaded(command: list[str], heavy: set[str]) -> str:
    """Which of these libraries a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(args=command, heavy=heavy)], cwd=ROOT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("command", [["check"], ["fmt", "--check"], ["show"]], ids=" ".join)
def test_start_is_light(command: list[str]) -> None:
    assert loaded([*command, str(ROOT / "examples" / "xkerasnet.xg")], HEAVY) == ""


def test_help_is_lighter() -> None:
    assert loaded(["--help"], HEAVY | {"numpy"}) == ""
