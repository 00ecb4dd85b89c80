"""What a user sees of every mistake: the exact text, the exit code, and what became of files.

A case of `cases/*.xgt` runs one command in an empty folder. Its parts:

    [case name]        then the text of `net.xg`
    [file name]        another file
    [setup]            Python that prepares the folder (`np` and `Path` are at hand)
    [run arguments]    the command, if it is not `check net.xg`
    [needs packages]   what must be installed
    [out]              what is printed, the exit code if it is not 0, and the files made or changed
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from click.testing import CliRunner
from text_cases import Case, read_cases

from xgraph.cli import main
from xgraph.diagnostics import InternalError

CASES = list(read_cases(Path(__file__).parent / "cases"))
SECONDS = 10.0
"""Of processor time: what takes longer hangs. It is no measure of speed."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_a_user_sees(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    command = prepare(case)
    before = snapshot(tmp_path)
    started = time.process_time()
    result = CliRunner().invoke(main, shlex.split(command), prog_name="xgraph")
    took = time.process_time() - started
    assert result.exit_code in (0, 1, 2), result.output
    shown = _shown(result.output, result.exit_code, before, snapshot(tmp_path))
    if request.config.getoption("--update"):
        case.update(shown)
    else:
        assert shown == case.expected
    assert took < SECONDS or any(part.kind == "needs" for part in case.parts)


def prepare(case: Case) -> str:
    """Make the files of a case in the folder at hand; the command to run."""
    command = "check net.xg"
    for part in case.parts:
        match part.kind:
            case "text" if part.text.strip():
                Path("net.xg").write_text(part.text, encoding="utf-8")
            case "file":
                Path(part.argument).parent.mkdir(exist_ok=True)
                Path(part.argument).write_text(part.text, encoding="utf-8")
            case "setup":
                exec(part.text, {"np": np, "Path": Path})
            case "run":
                command = part.argument
            case "needs":
                for package in part.argument.split():
                    pytest.importorskip(package)
            case _:
                pass
    return command


def snapshot(folder: Path) -> dict[str, str]:
    """Every file of a folder, with a digest of what it holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def _shown(output: str, code: int, before: dict[str, str], after: dict[str, str]) -> str:
    lines = [line.rstrip() for line in output.strip().splitlines()]
    lines += [f"exit {code}"] if code else []
    lines += [f"made {name}" for name in after if name not in before]
    lines += [f"changed {name}" for name in after if before.get(name, after[name]) != after[name]]
    lines += [f"removed {name}" for name in before if name not in after]
    return "\n".join(lines)


def test_a_bug_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3 and a request to report it, whatever went wrong."""
    (tmp_path / "net.xg").write_text("modality x: [8]\noutput out = x\n")
    for error in (KeyError("oops"), InternalError("build", "oops", "graph(...)"), RecursionError()):
        monkeypatch.setattr("xgraph.driver.check", Mock(side_effect=error))
        result = CliRunner().invoke(main, ["check", str(tmp_path / "net.xg")])
        assert result.exit_code == 3
        assert type(error).__name__ in result.output or "internal error in build" in result.output
        assert "This is a bug in xgraph; please report it." in result.output


def test_memory_that_runs_out_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.xg").write_text("modality x: [8]\noutput out = x\n")
    monkeypatch.setattr("xgraph.driver.check", Mock(side_effect=MemoryError()))
    result = CliRunner().invoke(main, ["check", str(tmp_path / "net.xg")])
    assert result.exit_code == 1
    assert result.output == "error[too-large]: this needs more memory than there is\n\n"


def test_standard_input_is_named() -> None:
    text = "modality x: [8]\noutput out = x -> rellu\n"
    result = CliRunner().invoke(main, ["check", "-"], input=text)
    assert result.exit_code == 1
    assert " --> <stdin>:2:19\n" in result.output


def test_every_case_has_a_name_of_its_own() -> None:
    assert not [name for name, count in Counter(map(str, CASES)).items() if count > 1]
