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
    from xgraph.space import Space

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
    xgraph sample space.xg -n 100 -o DIR   networks of a search space

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
        space = driver.space_of(source, folder, report)
        if space is not None:
            graph, report = space.check(read_settings(settings), limits=_limits(limits))
    except DiagnosticError as error:
        if as_json:
            _show_json(error.diagnostics)
            sys.exit(1)
        raise
    if as_json:
        _show_json(report)
    else:
        _show(report)
        _sum_up(file, graph, report, space)
    if report.errors:
        sys.exit(1)


def _show_json(diagnostics: Iterable[Diagnostic]) -> None:
    click.echo(json.dumps([_plain(d) for d in diagnostics], indent=2))


def _sum_up(file: str, graph: Graph, report: Report, space: Space | None) -> None:
    if report.errors:
        click.echo(_counted(report.errors, report.warnings), err=True)
        return
    outputs = ", ".join(f"{name}: {value.type}" for name, value in graph.outputs.items())
    noted = f" ({_counted([], report.warnings)})" if report.warnings else ""
    if space is None:
        click.echo(f"{file}: network {graph.name}, {outputs}{noted}")
    else:
        click.echo(f"{file}: space {space.name} of {space.size_text} networks, {outputs}")


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


@main.command()
@_file
@click.option(
    "-n", "count", type=click.IntRange(1, 1_000_000), default=1, show_default=True,
    help="How many.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same networks.")
@click.option("-o", "--out", metavar="DIR", help="Where the files go: DIR/NAME_0000.xg and on.")
@click.option("--unique", is_flag=True, help="No two that compute the same.")
@_json
@guarded
def sample(file: str, count: int, seed: int, out: str | None, unique: bool, as_json: bool) -> None:
    """Write networks of the search space FILE, chosen by chance.

    Example: xgraph sample space.xg -n 100 --seed 1 -o networks
    """
    from xgraph import driver
    from xgraph.space import write_samples

    if out is None and count > 1 and not as_json:
        raise click.UsageError("-n: say where the files go, with -o DIR")
    space = driver.space(*driver.read_source(file))
    samples = list(space.samples(count, seed, unique=unique))
    paths = write_samples(samples, Path(out)) if out is not None else []
    if as_json:
        found = [one.to_json() for one in samples]
        for one, path in zip(found, paths, strict=False):
            one["file"] = str(path)
        click.echo(json.dumps(found, indent=2))
    elif out is None:
        click.echo(samples[0].text, nl=False)
    else:
        click.echo(f"wrote {len(paths)} of {space.size_text} networks to {out}")


@main.command("space")
@_file
@click.argument("network", required=False, type=click.Path(path_type=str))
@_json
@guarded
def space_(file: str, network: str | None, as_json: bool) -> None:
    """Print what varies in the search space FILE; or whether NETWORK is of it.

    Example: xgraph space space.xg networks/avmnist_mfas_0000.xg
    """
    from xgraph import driver
    from xgraph.space import answer, table

    space = driver.space(*driver.read_source(file))
    if network is None:
        click.echo(json.dumps(space.to_json(), indent=2) if as_json else table(space))
        return
    source, folder = driver.read_source(network)
    graph, report = driver.check(source, folder=folder)
    report.raise_errors()
    found = space.contains(graph)
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else answer(network, space, found))


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 if any would.")
@guarded
def fmt(files: tuple[str, ...], only_check: bool) -> None:
    """Bring FILES to the canonical form, in place; `-` from standard input to output.

    Example: xgraph fmt --check examples/*.xg
    """
    from xgraph.driver import read_source
    from xgraph.files import write_whole
    from xgraph.grammar import format_document, parse

    changed, failed = 0, False
    for file in files:
        source, _ = read_source(file)
        report = Report()
        document = parse(source, report)
        if report.errors:
            _show(report)
            failed = True
            continue
        formatted = format_document(document)
        if file == "-" and not only_check:
            click.echo(formatted, nl=False)
        elif formatted != source.text:
            changed += 1
            if only_check:
                click.echo(f"{file}: not in canonical form", err=True)
            else:
                write_whole(Path(file), formatted)
                click.echo(f"{file}: formatted")
    if failed or (only_check and changed):
        sys.exit(1)


@main.command()
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


@main.command("compile")
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
) -> None:
    """Compile FILE to PyTorch source with weights beside it, an ONNX model, or IR text.

    Example: xgraph compile net.xg --to onnx -o net.onnx
    """
    from xgraph import driver

    graph = _graph(file, settings, limits)
    stem = graph.name if file == "-" else Path(file).stem
    path = Path(out) if out else Path(stem + driver.SUFFIX[cast(driver.Target, target)])
    compiled = driver.compile(
        graph, target, path, weights=weights, seed=seed, opset=opset, level=level,
        verify=not no_verify,
    )  # fmt: skip
    for written in compiled.files:
        click.echo(f"wrote {written}")
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
) -> None:
    """Run FILE, a .xg or an .onnx, on inputs.

    Example: xgraph run net.xg --input image=photo.png --resize
    """
    from xgraph import arrays, driver
    from xgraph.backends.runtime import Session, signature

    if out is not None and not out.endswith(".npz"):
        raise click.UsageError(f"-o {out}: outputs are written to an .npz file")
    if file.endswith(".onnx"):
        if settings or weights or seed or backend != "onnx":
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
    outputs = driver.run(network, given, weights=weights, seed=seed, backend=backend, device=device)
    if out is None:
        click.echo(arrays.summarise(outputs))
    else:
        arrays.write_outputs(Path(out), outputs)
        click.echo(f"wrote {out}")


if __name__ == "__main__":
    main()
