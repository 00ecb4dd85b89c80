"""The commands on one network: check, fmt, show, compile, run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from xgraph.build import read_settings
from xgraph.cli.common import (
    device_option,
    file_argument,
    guarded,
    json_option,
    limit_option,
    read_graph,
    read_limits,
    seed_option,
    set_option,
    show_diagnostics,
    weights_option,
)
from xgraph.cli.precision import calibration_of, precision_options, told_scores
from xgraph.diagnostics import Diagnostic, DiagnosticError, Report
from xgraph.ir.graph import Graph

if TYPE_CHECKING:
    from xgraph.driver import Compiled
    from xgraph.optimize.network import Optimized
    from xgraph.runtime import Signature
    from xgraph.space import Space


@click.command("check")
@file_argument
@set_option
@limit_option
@json_option
@guarded
def check_(file: str, settings: tuple[str, ...], limits: tuple[str, ...], as_json: bool) -> None:
    """Report every mistake of FILE.

    Example: xgraph check net.xg --set paths=4
    """
    from xgraph import driver

    try:
        source, folder = driver.read_source(file)
        graph, report = driver.check(
            source, read_settings(settings), folder=folder, limits=read_limits(limits)
        )
        space = driver.space_of(source, folder, report)
        if space is not None:
            graph, report = space.check(read_settings(settings), limits=read_limits(limits))
    except DiagnosticError as error:
        if as_json:
            _show_json(error.diagnostics)
            sys.exit(1)
        raise
    if as_json:
        _show_json(report)
    else:
        show_diagnostics(report)
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


@click.command(short_help="Bring FILES to the canonical form.")
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
            show_diagnostics(error.diagnostics)
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


@click.command(short_help="Print shapes, parameters and multiply-accumulates.")
@file_argument
@set_option
@limit_option
@json_option
@guarded
def show(file: str, settings: tuple[str, ...], limits: tuple[str, ...], as_json: bool) -> None:
    """Print FILE's parts with shapes, parameters and multiply-accumulates per sample.

    Example: xgraph show net.xg --json
    """
    from xgraph.report import Summary

    summary = Summary(read_graph(file, settings, limits))
    click.echo(json.dumps(summary.to_json(), indent=2) if as_json else summary.render())


@click.command("compile", short_help="Write PyTorch source, an ONNX model or IR text.")
@file_argument
@click.option(
    "--to",
    "target",
    type=click.Choice(["torch", "onnx", "ir"]),
    required=True,
    help="What to write.",
)
@click.option("-o", "--out", metavar="PATH", help="Where; by default FILE's name here.")
@set_option
@limit_option
@weights_option
@seed_option
@click.option("--opset", type=int, help="ONNX operator set, 17 or newer.")
@click.option(
    "--level", type=click.Choice(["architecture", "tensor"]), default="architecture",
    show_default=True, help="Of the IR text.",
)  # fmt: skip
@click.option("-O", "optimize", default="0", show_default=True, metavar="LEVEL",
              help="Optimise for inference: 0, 1, 2, or tidy,fold-norms,join-paths.")  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True,
              help="Samples at once that -O2 has in mind.")  # fmt: skip
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True,
              help="Where they run, for -O2.")  # fmt: skip
@click.option("--inductor", is_flag=True,
              help="torch.compile runs the PyTorch source, for -O2.")  # fmt: skip
@precision_options
@click.option("--no-verify", is_flag=True, help="Do not run the ONNX model against PyTorch.")
@json_option
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
    optimize: str,
    batch: int,
    device: Any,
    inductor: bool,
    precision: Any,
    max_error: float | None,
    data: str | None,
    no_verify: bool,
    as_json: bool,
) -> None:
    """Compile FILE to PyTorch source with weights beside it, an ONNX model, or IR text.

    Example: xgraph compile net.xg --to onnx -o net.onnx
    """
    from xgraph import driver
    from xgraph.files import named

    graph = read_graph(file, settings, limits)
    stem = graph.name if file == "-" else Path(file).stem
    suffix = driver.SUFFIX[cast(driver.Target, target)]
    path = Path(stem + suffix) if out is None else named(out, "output")
    if out is None and target == "torch":
        driver.check_generated(path)
    rows = calibration_of(graph, target, precision, max_error, data, weights, seed, path)
    compiled = driver.compile(
        graph, target, path, weights=weights, seed=seed, opset=opset, level=level,
        verify=not no_verify, optimize=optimize, batch=batch, device=device, inductor=inductor,
        observe=None if as_json else _tell_pass, precision=precision, max_error=max_error,
        calibration=rows.batches() if rows else None,
    )  # fmt: skip
    scores = rows.scores(path) if rows else None
    if as_json:
        told: dict[str, Any] = {
            "files": [str(path) for path in compiled.files],
            "difference": compiled.difference,
            "unverified": compiled.unverified,
        }
        if compiled.reduced is not None:
            told |= {"reduced": compiled.reduced.to_json(), "scores": scores}
        click.echo(json.dumps(told, indent=2))
    else:
        _tell(compiled)
        if scores is not None:
            click.echo(told_scores(scores))


def _tell_pass(name: str, before: Optimized, after: Optimized) -> None:
    if after.likeness != before.likeness:
        click.echo(f"{name}: {len(before.graph):,} nodes, now {len(after.graph):,}")


def _tell(compiled: Compiled) -> None:
    for written in compiled.files:
        click.echo(f"wrote {written}")
    if compiled.unverified is not None:
        told = f"the model was not run against PyTorch: {compiled.unverified}"
        show_diagnostics([Diagnostic("not-compared", told, severity="warning")])
    if compiled.difference is not None:
        where = "in float32, " if compiled.reduced else ""
        apart = f"{compiled.difference:.1e} at most"
        click.echo(f"{where}PyTorch and ONNX Runtime differ by {apart}")
    if compiled.reduced is not None:
        click.echo(compiled.reduced.render())


@click.command()
@file_argument
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=FILE",
    help="An .npy, .npz or picture for an input; or one .npz of arrays by name.",
)  # fmt: skip
@click.option("-o", "--out", metavar="PATH", help="An .npz for the outputs; else a summary.")
@set_option
@limit_option
@weights_option
@seed_option
@click.option("--backend", type=click.Choice(["onnx", "torch"]), default="onnx", show_default=True)
@device_option
@click.option("--resize", is_flag=True, help="Bring pictures to the size the network takes.")
@json_option
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
    from xgraph.files import keep, named
    from xgraph.runtime import signature
    from xgraph.weights import INPUTS, metadata

    if out is not None and named(out, "output").suffix != ".npz":
        raise click.UsageError(f"-o {out}: outputs are written to an .npz file")
    if file.endswith(".onnx"):
        if settings or weights is not None or seed or backend != "onnx":
            raise click.UsageError(
                "an .onnx has its weights and params in it: --set, --weights, --seed and"
                " --backend torch are for a .xg"
            )
        network: Any = Path(file)
        wanted, said = _of_model(network, device)
    else:
        network = read_graph(file, settings, limits)
        wanted = signature(driver.tensor_graph(network).inputs)
        said = metadata(weights) if weights is not None else {}
    given = arrays.read_inputs(inputs, wanted, resize=resize)
    if out is not None:
        read = [file] if isinstance(network, Path) else network.files
        keep(out, [*read, *arrays.input_files(inputs), *([weights] if weights is not None else [])])
    _warn_of_raw(said.get(INPUTS), file if weights is None else weights)
    report = Report()
    outputs = driver.run(network, given, weights=weights, seed=seed, backend=backend, device=device,
                         report=report)  # fmt: skip
    show_diagnostics(report)
    if out is not None:
        arrays.write_outputs(Path(out), outputs)
    if as_json:
        shapes = {k: {"dtype": str(v.dtype), "shape": list(v.shape)} for k, v in outputs.items()}
        click.echo(json.dumps({"outputs": shapes, "files": [out] if out else []}, indent=2))
    elif out is not None:
        click.echo(f"wrote {out}")
    else:
        click.echo(arrays.summarise(outputs))


def _of_model(path: Path, device: Any) -> tuple[Signature, dict[str, str]]:
    """What a model takes, and what it says of itself; its memory is free again after."""
    from xgraph.runtime import Session

    session = Session(path, device=device)
    return session.inputs, session.metadata


def _warn_of_raw(said: str | None, origin: str) -> None:
    """Warn where the inputs of a training went through steps that a run knows nothing of."""
    try:
        made = json.loads(said or "{}")
        steps = {k: [t["name"] for t in given["transforms"]] for k, given in made.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return  # it is not ours
    told = [f"{name}: {', '.join(names)}" for name, names in steps.items() if names]
    if told:
        show_diagnostics(
            [
                Diagnostic(
                    "raw-inputs",
                    f"these weights were trained on inputs that were prepared ({'; '.join(told)}),"
                    " and a run takes them as they are given",
                    severity="warning", origin=origin,
                    help="prepare them alike: the numbers are in the `recipe.yaml` of the training",
                )
            ]
        )  # fmt: skip
