"""Small synthetic data sets in the files of the real ones, and a server that gives them out."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import threading
import wave
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import numpy as np

from xgraph.data.known import KNOWN, Known

RANDOM = np.random.RandomState(0)
COUNTS = {
    "mnist": {"train": 30, "test": 10},
    "fashion-mnist": {"train": 20, "test": 10},
    "cifar10": {"train": 50, "test": 10},
    "cifar100": {"train": 20, "test": 10},
    "free-spoken-digits": {"train": 20, "test": 40},
    "esc50": {"all": 100},
}


@dataclass
class Made:
    """A set: its record and the bytes of its files by name; `truth` are columns by split."""

    known: Known
    files: dict[str, bytes]
    truth: dict[str, dict[str, Any]]

    def hashless(self, **files: bytes) -> Made:
        """The same without hashes, and with the first file replaced if one is given."""
        known = replace(self.known, files=tuple(replace(f, hash=None) for f in self.known.files))
        return Made(known, self.files | files, self.truth)

    def broken(self, content: bytes) -> Made:
        return self.hashless(**{self.known.files[0].name: content})

    def at(self, address: str) -> dict[str, Known]:
        """The table of known sets with this one only, whose files are at `address`."""
        files = tuple(replace(f, url=f"{address}/{f.name}") for f in self.known.files)
        return {self.known.name: replace(self.known, files=files)}

    def put(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder


def made(name: str) -> Made:
    counts = COUNTS[name]
    files, truth = {
        "mnist": _idx_files, "fashion-mnist": _idx_files, "cifar10": _cifar10,
        "cifar100": _cifar100, "free-spoken-digits": _digits, "esc50": _esc50,
    }[name](counts)  # fmt: skip
    names = [file.name for file in KNOWN[name].files]
    contents = dict(zip(names, files, strict=True))
    known = replace(
        KNOWN[name],
        counts=counts,
        manifest=None,
        files=tuple(
            replace(
                file,
                hash=f"md5:{hashlib.md5(contents[file.name]).hexdigest()}",
                size=len(contents[file.name]),
            )
            for file in KNOWN[name].files
        ),
    )
    return Made(known, contents, truth)


# ---------------------------------------------------------------------------------- images


def idx(array: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def _idx_files(counts: dict[str, int]) -> tuple[list[bytes], dict[str, Any]]:
    files, truth = [], {}
    for name, count in counts.items():
        images = RANDOM.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        files += [idx(images), idx(labels)]
        truth[name] = {"image": images[:, None], "label": labels}
    return files, truth


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _rows(count: int, labels: int, classes: int) -> tuple[bytes, dict[str, Any]]:
    images = RANDOM.randint(0, 256, (count, 3, 32, 32)).astype(np.uint8)
    label = (np.arange(count) % classes).astype(np.uint8)
    truth = {"image": images, "label": label}
    columns = [label[:, None], images.reshape(count, -1)]
    if labels == 2:
        truth["coarse"] = label // 5
        columns.insert(0, truth["coarse"][:, None])
    return np.concatenate(columns, 1).tobytes(), truth


def _cifar10(counts: dict[str, int]) -> tuple[list[bytes], dict[str, Any]]:
    train, truth = _rows(counts["train"], 1, 10)
    test, truth_test = _rows(counts["test"], 1, 10)
    size = len(train) // 5
    members = {
        f"cifar-10-batches-bin/data_batch_{i + 1}.bin": train[i * size : (i + 1) * size]
        for i in range(5)
    }
    members["cifar-10-batches-bin/test_batch.bin"] = test
    members["cifar-10-batches-bin/batches.meta.txt"] = "\n".join(KNOWN["cifar10"].classes).encode()
    return [tar(members)], {"train": truth, "test": truth_test}


def _cifar100(counts: dict[str, int]) -> tuple[list[bytes], dict[str, Any]]:
    train, truth = _rows(counts["train"], 2, 100)
    test, truth_test = _rows(counts["test"], 2, 100)
    names = "\n".join(f"class{i}" for i in range(100)).encode()
    members = {"train.bin": train, "test.bin": test, "fine_label_names.txt": names}
    archive = tar({f"cifar-100-binary/{name}": content for name, content in members.items()})
    return [archive], {"train": truth, "test": truth_test}


# ---------------------------------------------------------------------------------- sounds


def wav(samples: np.ndarray, rate: int = 8000, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _sound(count: int) -> np.ndarray:
    return RANDOM.randint(-30000, 30000, count).astype(np.int16)


def _digits(counts: dict[str, int]) -> tuple[list[bytes], dict[str, Any]]:
    """Two speakers, ten digits, takes 3, 4 and 12: of ann only the first two."""
    members: dict[str, bytes] = {"top/README.md": b"recordings"}
    truth: dict[str, Any] = {
        name: {"wave": [], "label": [], "speaker": [], "take": []} for name in counts
    }
    for digit in range(10):
        for speaker, who in enumerate(("ann", "bob")):
            for take in (3, 4, 12, 5)[: 2 + 2 * speaker]:
                sound = _sound(40 + RANDOM.randint(40))
                members[f"top/recordings/{digit}_{who}_{take}.wav"] = wav(sound)
    for name in sorted(
        (n for n in members if n.endswith(".wav")),
        key=lambda n: (n.split("_")[:2], int(n[:-4].split("_")[2])),
    ):
        digit, who, number = name.rpartition("/")[2].removesuffix(".wav").split("_")
        rows = truth["test" if int(number) < 5 else "train"]
        rows["wave"].append(np.frombuffer(members[name][44:], "<i2"))
        rows["label"].append(int(digit))
        rows["speaker"].append(("ann", "bob").index(who))
        rows["take"].append(int(number))
    return [zipped(members)], truth


def _esc50(counts: dict[str, int]) -> tuple[list[bytes], dict[str, Any]]:
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    rows: dict[str, list[Any]] = {"wave": [], "label": [], "fold": [], "source": []}
    members = {}
    for number in range(counts["all"]):
        fold, target, source = number % 5 + 1, number % 50, 1000 + number // 4
        name = f"{fold}-{source}-A-{number}.wav"
        lines.append(f"{name},{fold},{target},class{target},False,{source},A")
        rows["wave"].append(_sound(200))
        members[f"top/audio/{name}"] = wav(rows["wave"][-1], 44100)
        for key, value in (("label", target), ("fold", fold), ("source", source)):
            rows[key].append(value)
    members["top/meta/esc50.csv"] = "\n".join(lines).encode()
    return [zipped(members)], {"all": rows}


def parts(folder: Path, takes: int = 50) -> Path:
    """The `.npz` parts of AV-MNIST: 200 + 50 images, a speaker, 30 clips of 15 sources."""
    folder.mkdir()
    images = np.zeros((250, 28, 28), np.uint8)
    labels = (np.arange(250) % 10).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 6] = RANDOM.randint(100, 256, (6, 28))
    np.savez(
        folder / "mnist.npz",
        x_train=images[:200], y_train=labels[:200], x_test=images[200:], y_test=labels[200:],
    )  # fmt: skip
    sizes = RANDOM.randint(500, 9000, 10 * takes)
    np.savez(
        folder / "fsdd_8k.npz",
        wave=_sound(sizes.sum()),
        offset=np.concatenate([[0], np.cumsum(sizes)]),
        label=np.repeat(np.arange(10), takes).astype(np.uint8),
        speaker=np.zeros(10 * takes, np.uint8),
        take=np.tile(np.arange(takes), 10).astype(np.uint8),
        speaker_name=np.array(["ann"]),
    )
    for name, count, first in (("noise_esc10_8k.npz", 10, 0), ("noise_esc50_8k.npz", 20, 10)):
        np.savez(
            folder / name,
            wave=RANDOM.randint(0, 256, 9000 * count).astype(np.uint8),
            offset=np.arange(count + 1) * 9000,
            category=np.arange(count).astype(np.uint8),
            fold=np.ones(count, np.uint8),
            source=(first + np.arange(count) // 2).astype(np.int32),
            clip=np.array([f"1-{first + i}-A" for i in range(count)]),
            category_name=np.array([f"class{i}" for i in range(50)]),
        )
    return folder


# ---------------------------------------------------------------------------------- server


@dataclass
class Served:
    """What a server gives out, how badly, and what it was asked."""

    files: dict[str, bytes]
    address: str = ""
    drops: int = 0
    """How many answers break off in the middle."""
    ranges: bool = True
    lengths: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        served = cast(Any, self.server).served
        name = self.path.lstrip("/")
        wanted = self.headers["Range"]
        served.asked.append((name, wanted))
        self.close_connection = True
        if name not in served.files:
            self.send_error(404)
            return
        content = served.files[name]
        start = int(wanted[6:].rstrip("-")) if wanted and served.ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if served.lengths:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if served.drops:
            served.drops -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Served]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served = Served(files, f"http://127.0.0.1:{server.server_address[1]}")
    cast(Any, server).served = served
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
