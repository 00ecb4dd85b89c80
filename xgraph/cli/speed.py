"""The commands that measure: tune, bench."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from xgraph.cli.common import (
    device_option,
    file_argument,
    guarded,
    json_option,
    limit_option,
    read_graph,
    seed_option,
    set_option,
    size_option,
    weights_option,
)
from xgraph.diagnostics import fail

if TYPE_CHECKING:
    from xgraph.optimize.costs import Case, Target


@click.command(short_help="Measure what this machine is fast at, for -O2.")
@click.argument("files", nargs=-1, type=click.Path(path_type=str), metavar="[FILE]...")
@set_option
@limit_option
@click.option("--target", "targets", multiple=True,
              type=click.Choice(["onnx", "torch", "inductor", "cuda"]),
              help="What will run the networks: onnx and torch without. inductor is torch.compile,"
              " and takes minutes a FILE.")  # fmt: skip
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1, 4096), metavar="N",
              help="Samples at once, for cases of FILEs; 1, 8 and 64 without.")  # fmt: skip
@size_option
@guarded
def tune(
    files: tuple[str, ...],
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    targets: tuple[Any, ...],
    batches: tuple[int, ...],
    sizes: dict[str, int],
) -> None:
    """Measure, joined and apart, the layers of shapes that parallel paths have, and keep it for
    the passes of -O2. With FILEs, measure the layers of these networks, and which variant of each
    is fastest as a whole: -O2 will make that one.

    Example: xgraph tune net.xg --target onnx
    """
    from xgraph import driver
    from xgraph.samples import check_axes, sizes_at
    from xgraph.tune.cases import BATCHES, cases_of, grid
    from xgraph.tune.choose import choose
    from xgraph.tune.store import costs, keep_choice

    if batches and not files:
        raise fail(
            "bad-option", "sizes of batches are for cases of networks", origin="--batch",
            help="name files, or leave it out",
        )  # fmt: skip
    for target in targets or ("onnx", "torch"):
        driver.require("torch" if target in ("torch", "inductor") else "onnxruntime")
        if not files:
            if target == "inductor":
                raise fail(
                    "bad-option", "what torch.compile is fast at is measured of whole networks",
                    origin="--target inductor", help="name files, or measure `--target torch`",
                )  # fmt: skip
            _measure(target, grid())
        for file in files:
            low = driver.tensor_graph(read_graph(file, settings, limits))
            check_axes(low, sizes)
            at = sizes_at(low, max(batches or BATCHES), sizes)
            if target != "inductor":
                _measure(target, cases_of(low, batches or BATCHES))
            for batch in batches or BATCHES:
                chosen = choose(low, driver.initial_weights(low), costs(target, batch), at)
                keep_choice(low, chosen)
                where = "".join(f", {axis} = {size}" for axis, size in at.items())
                told = chosen.told or "as measured"
                click.echo(f"{file} on {target}, batch {batch}{where}: {told}")


def _measure(target: Target, cases: list[Case]) -> None:
    from xgraph.tune.measure import is_small, time_byte, time_call, time_case
    from xgraph.tune.store import costs, keep, path_of

    found = dict(
        costs(target, 1).cases
    )  # what comes with xgraph is not lost by a case of one's own
    todo = [case for case in cases if is_small(case)]
    with click.progressbar(todo, label=f"measuring {target}", file=sys.stderr) as each:
        for case in each:
            found[case] = time_case(case, target)
    keep(target, time_call(target), time_byte(target), found)
    apart = sum(joined > alone for joined, alone in (found[case] for case in todo))
    click.echo(
        f"{target}: {len(todo)} cases measured, {apart} of them faster apart; {path_of(target)}"
    )


@click.command("bench", short_help="Measure how fast a network runs, beside the alternatives.")
@file_argument
@set_option
@limit_option
@weights_option
@seed_option
@click.option("--batch", "batches", multiple=True, type=click.IntRange(min=1), metavar="N",
              help="Samples at once; 1, 8 and 64 without.")  # fmt: skip
@click.option("--compile", "compiled", is_flag=True,
              help="With torch.compile, which takes minutes.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=0.01), default=1.0, show_default=True,
              help="Of timing, for each row and batch.")  # fmt: skip
@size_option
@device_option
@json_option
@guarded
def bench(
    file: str,
    settings: tuple[str, ...],
    limits: tuple[str, ...],
    weights: str | None,
    seed: int,
    batches: tuple[int, ...],
    compiled: bool,
    seconds: float,
    sizes: dict[str, int],
    device: Any,
    as_json: bool,
) -> None:
    """Measure how fast FILE runs: as PyTorch, exported by PyTorch, and compiled by xgraph.

    Rows run in turns, and their medians are told: in milliseconds, as a multiple of PyTorch's
    speed, and as a share of the speed of a large product of matrices here.

    Example: xgraph bench net.xg --batch 1 --batch 64
    """
    from xgraph import driver
    from xgraph.bench.rows import rows_of
    from xgraph.bench.table import figures, peak, table, threads
    from xgraph.samples import check_axes, sizes_at

    for package in ("torch", "onnx", "onnxruntime", "onnxscript"):
        driver.require(package)
    driver.require_device(device)
    low = driver.tensor_graph(read_graph(file, settings, limits))
    arrays = driver.initial_weights(low, weights, seed)
    rows = rows_of(device, slow=compiled)
    most, found = peak(device), []
    sampled = batches or (1, 8, 64)
    check_axes(low, sizes)
    sizes = sizes_at(low, max(sampled), sizes)
    counts = threads()
    if not as_json:
        given = [f"{axis} = {size}" for axis, size in sizes.items()]
        if device == "cpu":
            given += [f"{name} on {n} thread{'s' * (n > 1)}" for name, n in counts.items()]
        click.echo(f"with {', '.join(given)}\n" if given else "")
    for each in figures(low, arrays, sampled, rows, seconds, device, sizes, observe=_tell_row):
        found += each
        if not as_json:
            click.echo(table(each, most) + "\n")
    if as_json:
        told = {"peak": most, "sizes": sizes, "threads": counts}
        told["figures"] = [figure.to_json() for figure in found]
        click.echo(json.dumps(told, indent=2))


def _tell_row(batch: int, row: str) -> None:
    """A line that the next takes the place of, for who waits at a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[Kbatch {batch}: {row}\r", err=True, nl=False)
