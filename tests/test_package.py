"""What is installed is what is here: packages, pins, and a wheel that works by itself."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def folder_of(package: str) -> Path:
    """Where a package stands in the checkout."""
    for name, folder in SETUPTOOLS["package-dir"].items():
        if package == name or package.startswith(f"{name}."):
            return ROOT / folder / package.removeprefix(name).replace(".", "/").lstrip("/")
    return ROOT / package.replace(".", "/")


def test_packages_are_all_listed() -> None:
    """A folder left out would be missing once installed."""
    listed = {folder_of(package) for package in SETUPTOOLS["packages"]}
    tops = [ROOT / name for name in ("xgraph", "grammar", "passes", "backends")]
    held = {p.parent for top in tops for p in top.rglob("*") if p.suffix in (".py", ".yaml", ".js")}
    assert listed == held


def test_constraints_pin_what_is_needed() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line)] == []
    project = PROJECT["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    needed = [*project["dependencies"], *extras]
    names = {re.split(r"[\[>=; ]", requirement)[0] for requirement in needed} - {"xgraph"}
    assert names <= {line.partition("==")[0] for line in pins}


@pytest.mark.long
def test_wheel_works_by_itself(tmp_path: Path) -> None:
    """Built and unpacked elsewhere, it finds its grammar and all of its rooms."""
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*build, "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = archive.namelist()
    assert "xgraph/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"xgraph"}
    code = "from xgraph.cli import main; main()"
    example = ROOT / "examples" / "photo.xg"
    for command in (["check", example], ["compile", example, "--to", "onnx", "--no-verify"]):
        subprocess.run(
            [sys.executable, "-c", code, *command], cwd=tmp_path / "installed", check=True
        )
