"""AV-MNIST: digits with most of their energy removed, and the same digits spoken in noise.

Vielzeuf et al. (CentralNet) describe it and publish neither the data nor all of the choices;
docs/data-sets.md says which ones are made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any, final

import numpy as np

from xgraph.data.known.components import Components, read_components
from xgraph.data.known.folder import Appended, refuse_existing, whole_folder, write_about
from xgraph.data.known.record import Array
from xgraph.data.known.signals import CANVAS, Pca, mix, spectrograms
from xgraph.diagnostics import fail

TAKES = {"train": (15, 50), "val": (10, 15), "test": (0, 10)}
"""Which takes of the recordings are in which split; the official test takes are all in test."""
NOISE = {"test": (0.0, 0.2), "val": (0.2, 0.3), "train": (0.3, 1.0)}
"""Which share of the noise's sources."""
BATCH = 256
GUARANTEE = "no recording, noise clip or source of noise is shared between train, val and test"
_STREAMS = {"train": 10, "val": 11, "test": 12}


@final
@dataclass(frozen=True)
class Recipe:
    """The options of AV-MNIST."""

    train: int = 55_000
    val: int = 5_000
    test: int = 10_000
    seed: int = 0
    limit: int | None = None
    image_energy: float = 0.25
    snr: tuple[float, float] = (-18.0, 0.0)
    db_range: float = 60.0

    def check(self) -> None:
        """Refuse what no set can be made with."""
        low, high = self.snr
        for fits, told in (
            (self.train >= 1, "`train` is a number from 1"),
            (self.val >= 0 and self.test >= 0, "`val` and `test` are numbers from 0"),
            (0 <= self.seed < 2**32, "`seed` is a number from 0 to 4294967295"),
            (self.limit is None or self.limit >= 1, "`limit` is a number from 1"),
            (0 < self.image_energy <= 1, "`image_energy` is above 0 and at most 1"),
            (isfinite(low) and isfinite(high), "`snr` is two numbers of decibels"),
            (low <= high <= 200 and low >= -200, "`snr` is a low and a high one, -200 to 200"),
            (0 < self.db_range <= 1000, "`db_range` is above 0 and at most 1000"),
        ):
            if not fits:
                raise fail("bad-option", f"{told}", help="choose another value")


@final
@dataclass(frozen=True)
class Plan:
    """What each sample of a split is made of."""

    part: str
    """The part of MNIST that the images are of."""
    image: Array
    label: Array
    recording: Array
    noise: Array
    place: Array
    snr: Array


def make_avmnist(
    parts: Path,
    out: Path,
    *,
    train: int = 55_000,
    val: int = 5_000,
    test: int = 10_000,
    seed: int = 0,
    limit: int | None = None,
    image_energy: float = 0.25,
    snr: tuple[float, float] = (-18.0, 0.0),
    db_range: float = 60.0,
    progress: bool = False,
) -> Path:
    """Compose AV-MNIST from the components in the folder `parts` and write it to `out`.

    The same options give the same samples; `limit` keeps the first ones of each split.
    """
    recipe = Recipe(train, val, test, seed, limit, image_energy, snr, db_range)
    recipe.check()
    refuse_existing(out)
    components = read_components(parts)
    plans = _plans(components, recipe)
    pca = Pca.fit(components.images["train"][plans["train"].image], image_energy)
    counts = {name: min(len(p.label), limit or len(p.label)) for name, p in plans.items()}
    with whole_folder(out) as folder, ExitStack() as stack:
        bar = _bar(stack, sum(counts.values()), progress)
        for name, plan in plans.items():
            samples = _samples(components, plan, pca, counts[name], db_range)
            _write_split(folder / name, plan, counts[name], samples, bar)
        write_about(folder, _about(recipe, components, plans, pca, counts))
    return out


# ------------------------------------------------------------------------------- planning


def _plans(components: Components, recipe: Recipe) -> dict[str, Plan]:
    """Every random choice; each kind has a stream of its own, so that none moves another."""
    sizes = {name: len(labels) for name, labels in components.labels.items()}
    for wanted, part in ((recipe.train + recipe.val, "train"), (recipe.test, "test")):
        if wanted > sizes[part]:
            told = f"{wanted:,} images are wanted of the {sizes[part]:,} of MNIST's {part} set"
            raise fail("bad-option", told, help="ask for fewer: `train` and `val` share a set")
    order = np.random.RandomState([recipe.seed, 2]).permutation(sizes["train"])
    images = {
        "train": order[: recipe.train],
        "val": order[recipe.train : recipe.train + recipe.val],
        "test": np.random.RandomState([recipe.seed, 3]).permutation(sizes["test"])[: recipe.test],
    }
    pools = _noise_pools(components.noise_source, recipe.seed)
    return {
        name: _plan(name, chosen, components, pools[name], recipe)
        for name, chosen in images.items()
    }


def _noise_pools(source: Array, seed: int) -> dict[str, Array]:
    """The clips of each split: all that were cut from one recording stay together."""
    sources = np.unique(source)
    rank = np.empty(len(sources), int)
    rank[np.random.RandomState([seed, 1]).permutation(len(sources))] = np.arange(len(sources))
    share = rank[np.searchsorted(sources, source)] / len(sources)
    return {
        name: np.flatnonzero((share >= low) & (share < high)) for name, (low, high) in NOISE.items()
    }


def _plan(name: str, images: Array, components: Components, noise: Array, recipe: Recipe) -> Plan:
    random = np.random.RandomState([recipe.seed, _STREAMS[name]])
    part = "test" if name == "test" else "train"
    labels = components.labels[part][images].astype(np.int64)
    low, high = TAKES[name]
    usable = (components.take >= low) & (components.take < high)
    recordings = _recordings(name, labels, components.digit, usable, random)
    if not len(noise):
        raise _too_few(name, "noise clip")
    clips = noise[random.randint(len(noise), size=len(labels))]
    place = random.random_sample((len(labels), 2))
    least, most = recipe.snr
    snr = least + (most - least) * random.random_sample(len(labels))
    return Plan(part, images, labels, recordings, clips, place, snr)


def _recordings(
    name: str, labels: Array, digit: Array, usable: Array, random: np.random.RandomState
) -> Array:
    """One of the same digit for each image; all are used before one is used again."""
    chosen = np.empty(len(labels), np.int32)
    for label in range(10):
        pool = np.flatnonzero((digit == label) & usable)
        at = np.flatnonzero(labels == label)
        if not len(pool):
            raise _too_few(name, f"recording of the digit {label}")
        rounds = max(-(-len(at) // len(pool)), 1)
        chosen[at] = np.concatenate([random.permutation(pool) for _ in range(rounds)])[: len(at)]
    return chosen


def _too_few(name: str, what: str) -> Exception:
    return fail(
        "damaged-file", f"there is no {what} for `{name}`", help="get the components anew, whole"
    )


# -------------------------------------------------------------------------------- writing


def _samples(
    components: Components, plan: Plan, pca: Pca, count: int, db_range: float
) -> Iterator[tuple[Array, Array]]:
    """Images and spectrograms, a batch at a time."""
    images = components.images[plan.part]
    for start in range(0, count, BATCH):
        rows = range(start, min(start + BATCH, count))
        waves = np.empty((len(rows), CANVAS))
        for wave, row in zip(waves, rows, strict=True):
            speech = components.speech[plan.recording[row]].astype(np.float64)
            noise = components.heard(components.noise[plan.noise[row]])
            mix(speech, noise, plan.place[row], float(plan.snr[row]), wave)
        picture = pca.reduce(images[plan.image[rows.start : rows.stop]])
        yield picture, spectrograms(waves, db_range)


def _write_split(
    folder: Path, plan: Plan, count: int, samples: Iterator[tuple[Array, Array]], bar: Any
) -> None:
    folder.mkdir()
    with (
        Appended(folder / "image.npy", "|u1", (1, 28, 28)) as image,
        Appended(folder / "audio.npy", "|u1", (1, 112, 112)) as audio,
    ):
        for pictures, sounds in samples:
            image.append(pictures)
            audio.append(sounds)
            if bar is not None:
                bar.update(len(pictures))
    source = np.stack([plan.image, plan.recording, plan.noise], 1)
    with Appended(folder / "label.npy", "<i8") as file:
        file.append(plan.label[:count])
    with Appended(folder / "source.npy", "<i4", (3,)) as file:
        file.append(source[:count])


def _bar(stack: ExitStack, total: int, progress: bool) -> Any:
    if not progress or find_spec("tqdm") is None:
        return None
    from tqdm import tqdm

    return stack.enter_context(tqdm(total=total, unit=" samples", desc="avmnist"))


def _about(
    recipe: Recipe,
    components: Components,
    plans: Mapping[str, Plan],
    pca: Pca,
    counts: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "name": "avmnist",
        "title": "AV-MNIST: digits without most of their energy, and spoken in noise",
        "licence": "that of its components; with ESC-50's noise not for commercial use",
        "options": asdict(recipe),
        "pca": {"components": pca.components.shape[1], "energy": round(pca.kept, 6)},
        "splits": {
            name: {
                "rows": counts[name],
                "columns": ["image", "audio", "label", "source"],
                "recordings": len(np.unique(plan.recording[: counts[name]])),
                "noise_clips": len(np.unique(plan.noise[: counts[name]])),
            }
            for name, plan in plans.items()
        },
        "classes": list("0123456789"),
        "source": "MNIST image (for test, of its test set), recording, noise clip",
        "guarantee": GUARANTEE,
        "components": components.about,
    }
