"""The commands on search spaces: sample, space."""

from __future__ import annotations

import json

import click

from xgraph.cli.common import file_argument, guarded, json_option


@click.command(short_help="Write networks of a search space.")
@file_argument
@click.option(
    "-n", "count", type=click.IntRange(1, 1_000_000), default=1, show_default=True,
    help="How many.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True,
    help="The same seed gives the same networks.",
)  # fmt: skip
@click.option("-o", "--out", metavar="DIR", help="Where the files go: DIR/NAME_0000.xg and on.")
@click.option("--unique", is_flag=True, help="No two that compute the same.")
@json_option
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
    paths = write_samples(samples, out) if out is not None else []
    if as_json:
        found = [one.to_json() for one in samples]
        for one, path in zip(found, paths, strict=False):
            one["file"] = str(path)
        click.echo(json.dumps(found, indent=2))
    elif out is None:
        click.echo(samples[0].text, nl=False)
    else:
        click.echo(f"wrote {len(paths)} of {space.size_text} networks to {out}")


@click.command("space", short_help="Print what varies in a search space.")
@file_argument
@click.argument("network", required=False, type=click.Path(path_type=str))
@json_option
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
