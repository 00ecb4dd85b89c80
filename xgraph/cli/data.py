"""The commands on data sets: data get, data make, data list."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from xgraph.cli.common import guarded
from xgraph.files import named


@click.group(short_help="Get known data sets, and make AV-MNIST.")
def data() -> None:
    """Get known data sets, and make AV-MNIST."""


@contextmanager
def _stoppable(advice: str) -> Iterator[None]:
    """Say how to go on after Ctrl-C, which leaves nothing half done."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nstopped, and nothing was written; {advice}", err=True)
        raise click.Abort from None


@data.command("get", short_help="Download a data set, or read it from files at hand.")
@click.argument("name")
@click.option("-o", "--out", metavar="DIR", help="The folder to write; without it, NAME.")
@click.option(
    "--from", "source", metavar="FOLDER", help="Where the set's files are; nothing is downloaded."
)
@guarded
def get_(name: str, out: str | None, source: str | None) -> None:
    """Write the data set NAME to a folder of arrays, after a download or from files at hand.

    Example: xgraph data get mnist -o mnist
    """
    from xgraph.data.known import get

    folder = named(name if out is None else out, "folder")
    with _stoppable("run the same command again: a download goes on where it stopped"):
        get(
            name,
            folder,
            named(source, "folder") if source is not None else None,
            sys.stderr.isatty(),
        )
    click.echo(f"wrote {folder}")


@data.command("list", short_help="Print the data sets that are known.")
@guarded
def list_() -> None:
    """Print the data sets that are known: how much is downloaded, licence and address."""
    from xgraph.data.known import KNOWN

    for known in KNOWN.values():
        click.echo(f"{known.name:<20}{known.size / 1e6:>6.0f} MB  {known.title}")
        click.echo(f"{'':<31}{known.licence}; {known.home}")


@data.group(short_help="Compose a data set from others.")
def make() -> None:
    """Compose a data set from others."""


@make.command(short_help="Compose AV-MNIST.")
@click.option("-o", "--out", required=True, metavar="DIR", help="The folder to write.")
@click.option(
    "--parts",
    default=".",
    metavar="FOLDER",
    help="Where `data get` wrote mnist, free-spoken-digits and esc50; without it, here.",
)
@click.option("--train", default=55_000, show_default=True, help="Samples to train with.")
@click.option("--val", default=5_000, show_default=True, help="Samples to validate with.")
@click.option("--test", default=10_000, show_default=True, help="Samples to test with.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same samples.")
@click.option("--limit", type=int, metavar="N", help="Write the first N samples of each split.")
@click.option(
    "--image-energy", default=0.25, show_default=True, help="Share of the images' energy to keep."
)
@click.option(
    "--snr",
    nargs=2,
    type=float,
    default=(-18.0, 0.0),
    show_default=True,
    metavar="LO HI",
    help="Loudness of the speech against the noise, in dB.",
)
@guarded
def avmnist(
    out: str,
    parts: str,
    train: int,
    val: int,
    test: int,
    seed: int,
    limit: int | None,
    image_energy: float,
    snr: tuple[float, float],
) -> None:
    """Compose AV-MNIST: digits with most of their energy removed, and spoken in noise.

    Example: xgraph data make avmnist -o avmnist
    """
    from xgraph.data.known import make_avmnist

    with _stoppable("run the same command again"):
        make_avmnist(
            named(parts, "folder"),
            named(out, "folder"),
            train=train,
            val=val,
            test=test,
            seed=seed,
            limit=limit,
            image_energy=image_energy,
            snr=snr,
            progress=sys.stderr.isatty(),
        )
    click.echo(f"wrote {out}")
