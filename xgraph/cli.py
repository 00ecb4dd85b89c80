"""The `xgraph` command: reads flags, calls the driver, prints. The only room that prints or exits.

Exit codes: 0 done, 1 the input has errors, 2 wrong command line, 3 bug in xgraph.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from traceback import format_exc
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from xgraph import __version__
from xgraph.build import Limits, read_settings
from xgraph.diagnostics import (
    Diagnostic,
    DiagnosticError,
    InternalError,
    Report,
    did_you_mean,
    render,
)
from xgraph.ir.graph import Graph

if TYPE_CHECKING:
    from xgraph.driver import Compiled

F = TypeVar("F", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xgraph")
def main() -> None:
    """xgraph compiles cross-modal networks written in .xg to PyTorch and ONNX.

    \b
    xgraph check net.xg                    every mistake, with its place
    xgraph show net.xg                     shapes, parameters, MACs
    xgraph compile net.xg --to onnx        a model for ONNX Runtime
    xgraph run net.xg --input image=x.npy  outputs for inputs

    A FILE of `-` is the standard input. Shell completion: put
    `eval "$(_XGRAPH_COMPLETE=bash_source xgraph)"` into ~/.bashrc (or zsh_source, fish_source).
    """


def _colour() -> bool:
    return sys.stderr.isatty()


def _show(diagnostics: Iterable[Diagnostic]) -> None:
    for diagnostic in diagnostics:
        click.echo(render(diagnostic, colour=_colour()) + "\n", err=True)


def _apologise(text: str) -> None:
    click.echo(f"{text}\nThis is a bug in xgraph; please report it.", err=True)
    sys.exit(3)


def guarded(function: F) -> F:
    """Turn what goes wrong into printed text and an exit code."""

    @wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except DiagnosticError as error:
            _show(error.diagnostics)
            sys.exit(1)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
        except MemoryError as error:
            told = f"this needs more memory than there is: {error}".removesuffix(": ")
            _show([Diagnostic("too-large", told)])
            sys.exit(1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except InternalError as error:
            _apologise(f"{error}\n{error.graph_text}")
        except Exception:
            _apologise(format_exc())

    return cast(F, inner)


def _limits(texts: tuple[str, ...]) -> Limits:
    values = read_settings(texts)
    known = list(Limits.__dataclass_fields__)
    for name, value in values.items():
        if name not in known or not isinstance(value, int) or isinstance(value, bool) or value < 1:
            near = did_you_mean(name, known) or f"limits are {', '.join(known)}, integers from 1"
            raise click.UsageError(f"--limit {name}={value}: {near}")
    return Limits(**cast(dict[str, Any], values))


_file = click.argument("file", type=click.Path(path_type=str))
_set = click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param.")
_limit = click.option(
    "--limit", "limits", multiple=True, metavar="NAME=N",
    help="Raise a limit: nodes, steps, repeat, depth or weights.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_weights = click.option(
    "--weights", metavar="FILE", help="A safetensors file; without it, fresh weights."
)
_seed = click.option("--seed", default=0, show_default=True, help="Seed of fresh weights.")


def _graph(file: str, settings: tuple[str, ...], limits: tuple[str, ...]) -> Any:
    """The graph of a file; its warnings are printed, its errors raised."""
    from xgraph import driver

    source, folder = driver.read_source(file)
    graph, report = driver.check(
        source, read_settings(settings), folder=folder, limits=_limits(limits)
    )
    report.raise_errors()
    _show(report.warnings)
    return graph


@main.command("check")
@_file
@_set
@_limit
@_json
@guarded
def check_(file: str, settings: tuple[str, ...], limits: tuple[str, ...], as_json: bool) -> None:
    """Report every mistake of FILE.

    Example: xgraph check net.xg --set paths=4
    """
    from xgraph import driver

    try:
        source, folder = driver.read_source(file)
        graph, report = driver.check(
            source, read_settings(settings), folder=folder, limits=_limits(limits)
        )
    except DiagnosticError as error:
        if as_json:
            _show_json(error.diagnostics)
            sys.exit(1)
        raise
    if as_json:
        _show_json(report)
    else:
        _show(report)
        _sum_up(file, graph, report)
    if report.errors:
        sys.exit(1)


def _show_json(diagnostics: Iterable[Diagnostic]) -> None:
    click.echo(json.dumps([_plain(d) for d in diagnostics], indent=2))


def _sum_up(file: str, graph: Graph, report: Report) -> None:
    if report.errors:
        click.echo(_counted(report.errors, report.warnings), err=True)
        return
    outputs = ", ".join(f"{name}: {value.type}" for name, value in graph.outputs.items())
    noted = f" ({_counted([], report.warnings)})" if report.warnings else ""
    click.echo(f"{file}: network {graph.name}, {outputs}{noted}")


def _counted(errors: list[Diagnostic], warnings: list[Diagnostic]) -> str:
    parts = []
    for word, found in (("error", errors), ("warning", warnings)):
        if found:
            parts.append(f"{len(found)} {word}{'' if len(found) == 1 else 's'}")
    return ", ".join(parts)


def _plain(d: Diagnostic) -> dict[str, Any]:
    found: dict[str, Any] = {"severity": d.severity, "id": d.id, "message": d.message}
    if d.label:
        found["label"] = _place(d.label)
        found["notes"] = [_place(note) for note in d.notes]
    if d.origin:
        found["origin"] = d.origin
    if d.help:
        found["help"] = d.help
    return found


def _place(label: Any) -> dict[str, Any]:
    span = label.span
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "length": span.end - span.start,
        "text": label.text,
    }


@main.command(short_help="Bring FILES to the canonical form.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 if any would.")
@guarded
def fmt(files: tuple[str, ...], only_check: bool) -> None:
    """Bring FILES to the canonical form, in place; `-` from standard input to output.

    Example: xgraph fmt --check examples/*.xg
    """
    changed, failed = 0, False
    for file in files:
        try:
            changed += _format(file, only_check)
        except DiagnosticError as error:
            _show(error.diagnostics)
            failed = True
    if failed or (only_check and changed):
        sys.exit(1)


def _format(file: str, only_check: bool) -> bool:
    """Bring one file to the canonical form; whether it was not in it."""
    from xgraph.driver import read_source
    from xgraph.files import write_whole
    from xgraph.grammar import format_document, parse

    source, _ = read_source(file)
    report = Report()
    document = parse(source, report)
    report.raise_errors()
    formatted = format_document(document)
    if file == "-" and not only_check:
        click.echo(formatted, nl=False)
        return False
    if formatted == source.text:
        return False
    if only_check:
        click.echo(f"{file}: not in canonical form", err=True)
    else:
        write_whole(Path(file), formatted)
        click.echo(f"{file}: formatted")
    return True


@main.command(short_help="Print shapes, parameters and multiply-accumulates.")
@_file
@_set
@_limit
@_json
@guarded
def show(file: str, settings: tuple[str, ...], limits: tuple[str, ...], as_json: bool) -> None:
    """Print FILE's parts with shapes, parameters and multiply-accumulates per sample.

    Example: xgraph show net.xg --json
    """
    from xgraph.report import Summary

    summary = Summary(_graph(file, settings, limits))
    click.echo(json.dumps(summary.to_json(), indent=2) if as_json else summary.render())


@main.command("compile", short_help="Write PyTorch source, an ONNX model or IR text.")
@_file
@click.option(
    "--to",
    "target",
    type=click.Choice(["torch", "onnx", "ir"]),
    required=True,
    help="What to write.",
)
@click.option("-o", "--out", metavar="PATH", help="Where; by default FILE's name here.")
@_set
@_limit
@_weights
@_seed
@click.option("--opset", type=int, help="ONNX operator set, 17 or newer.")
@click.option(
    "--level", type=click.Choice(["architecture", "tensor"]), default="architecture",
    show_default=True, help="Of the IR text.",
)  # fmt: skip
@click.option("--no-verify", is_flag=True, help="Do not run the ONNX model against PyTorch.")
@_json
@guarded
def compile_(
    file: str,
    target: Any,
    out: str | None,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    weights: str | None,
    seed: int,
    opset: int | None,
    level: Any,
    no_verify: bool,
    as_json: bool,
) -> None:
    """Compile FILE to PyTorch source with weights beside it, an ONNX model, or IR text.

    Example: xgraph compile net.xg --to onnx -o net.onnx
    """
    from xgraph import driver
    from xgraph.files import named

    graph = _graph(file, settings, limits)
    stem = graph.name if file == "-" else Path(file).stem
    suffix = driver.SUFFIX[cast(driver.Target, target)]
    path = Path(stem + suffix) if out is None else named(out, "output")
    compiled = driver.compile(
        graph, target, path, weights=weights, seed=seed, opset=opset, level=level,
        verify=not no_verify,
    )  # fmt: skip
    if as_json:
        told = {
            "files": [str(path) for path in compiled.files],
            "difference": compiled.difference,
            "unverified": compiled.unverified,
        }
        click.echo(json.dumps(told, indent=2))
    else:
        _tell(compiled)


def _tell(compiled: Compiled) -> None:
    for written in compiled.files:
        click.echo(f"wrote {written}")
    if compiled.unverified is not None:
        told = f"the model was not run against PyTorch: {compiled.unverified}"
        _show([Diagnostic("not-compared", told, severity="warning")])
    if compiled.difference is not None:
        click.echo(f"PyTorch and ONNX Runtime differ by {compiled.difference:.1e} at most")


@main.command()
@_file
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=FILE",
    help="An .npy, .npz or picture for an input; or one .npz of arrays by name.",
)  # fmt: skip
@click.option("-o", "--out", metavar="PATH", help="An .npz for the outputs; else a summary.")
@_set
@_limit
@_weights
@_seed
@click.option("--backend", type=click.Choice(["onnx", "torch"]), default="onnx", show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--resize", is_flag=True, help="Bring pictures to the size the network takes.")
@_json
@guarded
def run(
    file: str,
    inputs: tuple[str, ...],
    out: str | None,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    weights: str | None,
    seed: int,
    backend: Any,
    device: Any,
    resize: bool,
    as_json: bool,
) -> None:
    """Run FILE, a .xg or an .onnx, on inputs.

    Example: xgraph run net.xg --input image=photo.png --resize
    """
    from xgraph import arrays, driver
    from xgraph.backends.runtime import Session, signature
    from xgraph.files import keep, named

    if out is not None and named(out, "output").suffix != ".npz":
        raise click.UsageError(f"-o {out}: outputs are written to an .npz file")
    if file.endswith(".onnx"):
        if settings or weights is not None or seed or backend != "onnx":
            raise click.UsageError(
                "an .onnx has its weights and params in it: --set, --weights, --seed and"
                " --backend torch are for a .xg"
            )
        network: Any = Path(file)
        wanted = Session(network, device=device).inputs
    else:
        network = _graph(file, settings, limits)
        wanted = signature(driver.tensor_graph(network).inputs)
    given = arrays.read_inputs(inputs, wanted, resize=resize)
    if out is not None:
        read = [file] if isinstance(network, Path) else driver.sources(network)
        keep(out, [*read, *arrays.input_files(inputs), *([weights] if weights is not None else [])])
    outputs = driver.run(network, given, weights=weights, seed=seed, backend=backend, device=device)
    if out is not None:
        arrays.write_outputs(Path(out), outputs)
    if as_json:
        shapes = {k: {"dtype": str(v.dtype), "shape": list(v.shape)} for k, v in outputs.items()}
        click.echo(json.dumps({"outputs": shapes, "files": [out] if out else []}, indent=2))
    elif out is not None:
        click.echo(f"wrote {out}")
    else:
        click.echo(arrays.summarise(outputs))


if __name__ == "__main__":
    main()
