"""The commands that make networks of networks, and compare them: apply, passes, places, diff."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from xgraph.cli.common import (
    file_argument,
    guarded,
    json_option,
    limit_option,
    read_graph,
    set_option,
    show_diagnostics,
)
from xgraph.diagnostics import DiagnosticError, fail

if TYPE_CHECKING:
    from xgraph.ir.graph import Graph
    from xgraph.passes import Option, Pass


load_option = click.option(
    "--load", "loaded", metavar="PY", multiple=True, help="A Python file with passes of your own."
)


@click.command("apply", short_help="Apply passes to a network.")
@click.argument("pipeline")
@file_argument
@click.option("-o", "--out", metavar="PATH", help="A .xg to write; else it is printed.")
@load_option
@set_option
@limit_option
@click.option("--print-after-all", is_flag=True, help="Print the network after each pass.")
@click.option("--verify-each", is_flag=True, help="Also rebuild it from its text, and lower it.")
@click.option("--time", "timed", is_flag=True, help="Print how long each pass took.")
@guarded
def apply_(
    pipeline: str,
    file: str,
    out: str | None,
    loaded: tuple[str, ...],
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    print_after_all: bool,
    verify_each: bool,
    timed: bool,
) -> None:
    """Apply PIPELINE to FILE; the result is a .xg again.

    Example: xgraph apply 'multipath{paths=2},route{kind=cc}' net.xg -o paths.xg
    """
    from xgraph import driver
    from xgraph.build import unbuild
    from xgraph.files import keep, named, write_whole
    from xgraph.passes import Pipeline, load_passes, written

    if out is not None and named(out, "output").suffix != ".xg":
        raise click.UsageError(f"-o {out}: a network is written to a .xg file")
    for path in loaded:
        load_passes(path)
    steps = Pipeline.parse(pipeline)
    given = read_graph(file, settings, limits)
    if out is not None:
        keep(out, [*given.files, *loaded])

    def observe(step: Pass, graph: Graph, seconds: float) -> None:
        if verify_each:
            driver.verify_fully(graph, step.name)
        if timed:
            click.echo(f"{seconds * 1000:8.1f} ms  {written(step)}", err=True)
        if print_after_all:
            click.echo(f"# after {written(step)}\n{unbuild(graph)}", err=True)

    text = unbuild(steps.run(given, observe))
    if out is None:
        click.echo(text, nl=False)
    else:
        write_whole(out, text)
        click.echo(f"wrote {out}")


@click.command("passes", short_help="List the passes and their options.")
@click.argument("name", required=False)
@load_option
@json_option
@guarded
def passes_(name: str | None, loaded: tuple[str, ...], as_json: bool) -> None:
    """List the passes, or tell all of one: NAME.

    Example: xgraph passes xsertion
    """
    from xgraph.passes import find_pass, known_passes, load_passes

    for path in loaded:
        load_passes(path)
    if name is None:
        chosen = known_passes()
    else:
        kind, near = find_pass(name)
        if kind is None:
            raise fail("unknown-pass", f"no pass is called `{name}`", origin=name, help=near)
        chosen = {name: kind}
    if as_json:
        click.echo(json.dumps([_described(kind) for kind in chosen.values()], indent=2))
        return
    click.echo("\n\n".join(_told(kind) for kind in chosen.values()))


def _told(kind: type[Pass]) -> str:
    from xgraph.passes import options

    lines = [f"{kind.name}  {_first_line(kind)}"]
    width = max((len(option.name) for option in options(kind)), default=0)
    for option in options(kind):
        lines.append(f"  {option.name:<{width}}  {option.doc} ({_taken(option)})")
    return "\n".join([*lines, f"  example: xgraph apply '{kind.example}' net.xg"])


def _taken(option: Option) -> str:
    from xgraph.passes.contract import spelt

    default = "must be given" if option.required else f"default {spelt(option.default)}"
    return f"{option.wanted}; {default}"


def _first_line(kind: type[Pass]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _described(kind: type[Pass]) -> dict[str, Any]:
    from xgraph.passes import options

    return {
        "name": kind.name,
        "doc": _first_line(kind),
        "example": kind.example,
        "options": [
            {
                "name": option.name, "doc": option.doc, "takes": option.wanted,
                **({} if option.required else {"default": option.default}),
            }
            for option in options(kind)
        ],
    }  # fmt: skip


@click.command("places", short_help="Tell where connections may go.")
@file_argument
@click.option("--at", default="combined", show_default=True, help="A rule, or names: p1,p2.")
@click.option("--net", help="One super-layer or array; else all.")
@set_option
@limit_option
@json_option
@guarded
def places_(
    file: str,
    at: str,
    net: str | None,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell where connections may go in the super-layers of FILE, and why.

    Rules: combined, after-pooling, resnet, residual, stages, labels.

    Example: xgraph places net.xg --at stages
    """
    from xgraph.passes.places import block_ends, superlayers

    graph = read_graph(file, settings, limits)
    named = tuple(at.split(",")) if "," in at else at
    nets, found = superlayers(graph, net), []
    for name in nets:
        try:
            found += block_ends(graph, name, named)
        except DiagnosticError as error:
            if len(nets) == 1:
                raise
            show_diagnostics(error.diagnostics)  # the others may have some
    if as_json:
        click.echo(json.dumps([place.to_json() for place in found], indent=2))
    else:
        click.echo("\n".join(map(str, found)))


@click.command("diff", short_help="Tell what differs between two networks.")
@click.argument("a", type=click.Path(path_type=str))
@click.argument("b", type=click.Path(path_type=str))
@click.option("-o", "--out", metavar="PATH",
              help="An .svg, .png or .html to draw both in, beside each other.")  # fmt: skip
@click.option("--expand", is_flag=True, help="Draw what blocks hold, too.")
@json_option
@guarded
def diff_(a: str, b: str, out: str | None, expand: bool, as_json: bool) -> None:
    """Tell what network B has that A has not, and the other way round. Exit code 1 if they differ.

    Example: xgraph diff base.xg paths.xg -o diff.html
    """
    from xgraph.compare import Difference

    before, after = read_graph(a, (), ()), read_graph(b, (), ())
    found = Difference(before, after)
    if out is not None:
        from xgraph.draw import draw_diff

        drawn = draw_diff(before, after, out, expand=expand)
        click.echo(f"wrote {drawn.path}", err=True)
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else found.render())
    if found:
        sys.exit(1)
