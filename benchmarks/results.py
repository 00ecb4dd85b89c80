"""The tables of docs/results.md: sets made of their parts, networks trained on them, three seeds.

    python benchmarks/results.py PARTS FOLDER [--only avmnist|cifar|refine|search]

PARTS has the files of the real sets (docs/data-sets.md, `--from`); FOLDER gets sets and runs.
What is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Row:
    """One network of a table: trained with `told`, once for each seed."""

    label: str
    network: Path
    told: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=[*TABLES, *OTHERS])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, rows in TABLES.items():
        if given.only in (None, name):
            print(f"\n{name}\n")
            table(name, rows(given.parts, given.folder), given.folder, given.jobs)
    for name, act in OTHERS.items():
        if given.only in (None, name):
            print(f"\n{name}\n")
            act(given.parts, given.folder, given.jobs)


def table(name: str, rows: Iterable[Row], folder: Path, jobs: int) -> None:
    rows = list(rows)
    runs = {(r.label, seed): folder / f"{name}-{i}-{seed}" for i, r in enumerate(rows)
            for seed in SEEDS}  # fmt: skip
    with ThreadPoolExecutor(jobs) as pool:
        each = [pool.submit(train, row, s, runs[row.label, s]) for row in rows for s in SEEDS]
        for one in each:
            one.result()
    show({row.label: [runs[row.label, seed] / "metrics.json" for seed in SEEDS] for row in rows})


def show(found: dict[str, list[Path]]) -> None:
    """A table of test accuracies, of files of metrics one for each seed."""
    print("| | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " | mean ± deviation | time |")
    print("|---|" + "---:|" * (len(SEEDS) + 2))
    for label, files in found.items():
        told = [json.loads(file.read_text()) for file in files]
        values = [one["test"]["metrics"]["accuracy"] for one in told]
        seconds = [float((file.parent / "seconds.txt").read_text()) for file in files]
        shown = " | ".join(f"{value:.1%}" for value in values)
        spread = f"{statistics.mean(values):.1%} ± {statistics.stdev(values) * 100:.1f}"
        print(f"| {label} | {shown} | {spread} | {min(seconds):.0f} s |")


def train(row: Row, seed: int, out: Path) -> None:
    timed("train", row.network, *row.told, "--seed", seed, "-o", out)


def timed(*told: object) -> None:
    """A command, the last word of which is the folder that it makes."""
    out = Path(str(told[-1]))
    if (out / "seconds.txt").exists():
        return
    began = time.monotonic()
    xgraph(*told)
    (out / "seconds.txt").write_text(f"{time.monotonic() - began:.1f}")


def xgraph(*told: object) -> None:
    """The command, with one thread, so that several run side by side."""
    subprocess.run(
        [sys.executable, "-m", "xgraph.cli", *map(str, told)],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


# ----------------------------------------------------------------------------------------- tables


def avmnist(parts: Path, folder: Path) -> Iterable[Row]:
    """LeNets on one modality each, and both with one linear layer over them."""
    data = folder / "sets" / "avmnist"
    if not data.exists():
        for name in ("mnist", "free-spoken-digits", "esc50"):
            xgraph("data", "get", name, "--from", parts, "-o", data.parent / name)
        sizes = ("--train", 20000, "--val", 2000, "--test", 4000)
        xgraph("data", "make", "avmnist", "--parts", data.parent, "-o", data, *sizes)
    told = (
        *("--set", "c=8", "--data", str(data), "--fraction", "0.5", "--epochs", "5"),
        *("--batch", "64", "--lr", "0.003", "--override", "schedule=cosine"),
        *("--override", "inputs={'*': [normalise]}", "--override"),
    )
    for label, outputs in {
        "image alone, LeNet-3": ["image_logits"],
        "spectrogram alone, LeNet-5": ["audio_logits"],
        "both, late fusion": ["logits", "image_logits", "audio_logits"],
    }.items():
        losses = ", ".join(f"{output}: cross-entropy" for output in outputs)
        yield Row(label, EXAMPLES / "avmnist_late.xg", (*told, f"losses={{{losses}}}"))


def cifar(parts: Path, folder: Path) -> Iterable[Row]:
    """KerasNet, its cross-modal form by hand, and the one that `xsertion` makes."""
    told = planes(parts, folder)
    made = folder / "made.xg"
    xgraph("apply", XSERTION, EXAMPLES / "kerasnet.xg", "-o", made)
    yield Row("KerasNet", EXAMPLES / "kerasnet.xg", told)
    yield Row("XKerasNet", EXAMPLES / "xkerasnet.xg", (*told[:-1], "inputs={image: [yuv]}"))
    yield Row("made of KerasNet by `xsertion`", made, told)


XSERTION = "xsertion{alpha=1 beta=2}"


def planes(parts: Path, folder: Path) -> tuple[str, ...]:
    """How 2,000 rows of CIFAR-10 are trained on; the planes of YCbCr as modalities come last."""
    data = folder / "sets" / "cifar10"
    if not data.exists():
        xgraph("data", "get", "cifar10", "--from", parts, "-o", data)
    inputs = ", ".join(
        f"{name}: {{column: image, transforms: [yuv, {{channels: [{number}]}}]}}"
        for number, name in enumerate(("luma", "blue", "red"))
    )
    return (
        *("--data", str(data), "--fraction", "0.04", "--override", "validation=0.2"),
        *("--epochs", "5", "--batch", "32", "--lr", "0.001", "--override", f"inputs={{{inputs}}}"),
    )


def refined(parts: Path, folder: Path, jobs: int) -> None:
    """KerasNet with its informativeness measured: what `xsertion` makes of it, and `refine`."""
    told = planes(parts, folder)
    climb = ("--iterations", "3", "--repeat", "1", "--pair-epochs", "3")

    def of(seed: int) -> None:
        measured, made = folder / f"measured-{seed}.xg", folder / f"measured-made-{seed}.xg"
        if not measured.exists():
            whole = ("measure", EXAMPLES / "kerasnet.xg", *told, "--seed", seed, "-o", measured)
            xgraph(*whole)
        xgraph("apply", XSERTION, measured, "-o", made)
        train(Row("", made, told), seed, folder / f"refine-0-{seed}")
        timed("refine", measured, *told, *climb, "--seed", seed, "-o", folder / f"refine-1-{seed}")

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(of, SEEDS))
    show({
        "made by `xsertion`": [folder / f"refine-0-{seed}" / "metrics.json" for seed in SEEDS],
        "made by `refine`": [folder / f"refine-1-{seed}" / "refine.json" for seed in SEEDS],
    })  # fmt: skip


def searched(parts: Path, folder: Path, jobs: int) -> None:
    """MFAS on AV-MNIST: test accuracies of the first five of each search, five seeds."""
    (*_, fusion) = avmnist(parts, folder)
    extractors = folder / "avmnist-2-0"
    train(fusion, 0, extractors)
    rows: dict[str, list[list[float]]] = {}
    for seed in range(5):
        out = folder / f"mfas-{seed}"
        if not (out / "report.html").exists():
            xgraph(
                "search", EXAMPLES / "spaces" / "avmnist_mfas.xg",
                *("--data", folder / "sets" / "avmnist", "--recipe", "mfas-search"),
                *("--override", "losses={logits: cross-entropy}"),
                *("--override", "inputs={'*': [normalise]}", "--set", "c=8", "--set", "units=16"),
                *("--init", extractors / "weights.safetensors", "--strategy", "mfas"),
                *("--option", "restart=false", "--option", "temperature=code"),
                *("--option", "sharing=shape", "--seed", seed, "-o", out),
            )  # fmt: skip
        for phase, found in tested(out).items():
            rows.setdefault(phase, []).append(found)
    print("| | " + " | ".join(f"seed {n}" for n in range(5)) + " | mean ± deviation |")
    print("|---|" + "---:|" * 6)
    for phase, each in rows.items():
        means = [statistics.mean(values) for values in each]
        shown = " | ".join(f"{mean:.1%}" for mean in means)
        every = [value for values in each for value in values]
        spread = f"{statistics.mean(every):.1%} ± {statistics.stdev(every) * 100:.1f}"
        print(f"| {phase} | {shown} | {spread} |")


def tested(run: Path) -> dict[str, list[float]]:
    """The accuracy on the test split of the first five networks of each part of a search."""
    from xgraph.search.folder import resume
    from xgraph.search.search import Search, ranked
    from xgraph.train.evaluate import evaluate

    opened = resume(run)
    plan = opened.evaluator.plan
    assert plan.test is not None
    search = Search(run, opened.space, opened.evaluator, 0, opened.about.limits, _Quiet())
    trials = search.study.trials
    found: dict[str, list[float]] = {}
    for phase in dict.fromkeys(trial.phase for trial in sorted(trials, key=lambda t: t.number)):
        for trial in ranked(trials, phase)[:5]:
            graph, weights = search.weights(trial)
            measured = evaluate(graph, weights, plan.feed, plan.test, backend="onnx", batch=32)
            found.setdefault(phase, []).append(measured.metrics["accuracy"])
    return found


class _Quiet:
    stop = False

    def phase(self, name: str, trials: int) -> None: ...

    def trials(self, trials: object, *, kept: bool) -> None: ...


TABLES: dict[str, Callable[[Path, Path], Iterable[Row]]] = {"avmnist": avmnist, "cifar": cifar}
OTHERS: dict[str, Callable[[Path, Path, int], None]] = {"refine": refined, "search": searched}


if __name__ == "__main__":
    main()
