"""What all commands share: options, diagnostics as printed text, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from pathlib import Path
from traceback import format_exc
from typing import Any, TypeVar, cast

import click

from xgraph.build import Limits, read_settings
from xgraph.diagnostics import Diagnostic, DiagnosticError, InternalError, did_you_mean, render
from xgraph.source import Source

F = TypeVar("F", bound=Callable[..., Any])


def _colour() -> bool:
    return sys.stderr.isatty()


def show_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
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
            show_diagnostics(error.diagnostics)
            sys.exit(1)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
        except MemoryError as error:
            told = f"this needs more memory than there is: {error}".removesuffix(": ")
            show_diagnostics([Diagnostic("too-large", told)])
            sys.exit(1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except InternalError as error:
            _apologise(f"{error}\n{error.graph_text}")
        except Exception:
            _apologise(format_exc())

    return cast(F, inner)


def read_limits(texts: tuple[str, ...]) -> Limits:
    values = read_settings(texts)
    known = list(Limits.__dataclass_fields__)
    for name, value in values.items():
        if name not in known or not isinstance(value, int) or isinstance(value, bool) or value < 1:
            near = did_you_mean(name, known) or f"limits are {', '.join(known)}, integers from 1"
            raise click.UsageError(f"--limit {name}={value}: {near}")
    return Limits(**cast(dict[str, Any], values))


file_argument = click.argument("file", type=click.Path(path_type=str))
set_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param."
)
limit_option = click.option(
    "--limit", "limits", multiple=True, metavar="NAME=N",
    help="Raise a limit: nodes, steps, repeat, depth or weights.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
weights_option = click.option(
    "--weights", metavar="FILE", help="A safetensors file; without it, fresh weights."
)
device_option = click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True
)
seed_option = click.option("--seed", default=0, show_default=True, help="Seed of fresh weights.")


def read_graph(file: str, settings: tuple[str, ...], limits: tuple[str, ...]) -> Any:
    """The graph of a file; its warnings are printed, its errors raised."""
    from xgraph import driver

    return graph_of(*driver.read_source(file), settings, limits)


def graph_of(
    source: Source, folder: Path, settings: tuple[str, ...], limits: tuple[str, ...]
) -> Any:
    """The graph of a text; its warnings are printed, its errors raised."""
    from xgraph import driver

    graph, report = driver.check(
        source, read_settings(settings), folder=folder, limits=read_limits(limits)
    )
    report.raise_errors()
    show_diagnostics(report.warnings)
    return graph


def _sizes(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for text in given:
        name, _equals, size = text.partition("=")
        if not name or not (size.isascii() and size.isdigit()):
            raise click.UsageError(f"--size {text}: an axis and its size are wanted, such as T=100")
        found[name] = int(size)
    return found


size_option = click.option(
    "--size", "sizes", multiple=True, metavar="AXIS=N", callback=_sizes,
    help="Size of an open axis, such as T; without, one at which the network runs.",
)  # fmt: skip


def only_resume(anew: Collection[str]) -> None:
    """Refuse with `--resume` what is given of other options than these: RUN holds it."""
    context = click.get_current_context()
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name not in anew and source is click.core.ParameterSource.COMMANDLINE:
            told = f"{option.opts[0]}: --resume goes on with what RUN holds: leave this out"
            raise click.UsageError(told)
