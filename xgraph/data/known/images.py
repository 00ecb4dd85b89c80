"""Reading sets of images: MNIST and its like, CIFAR, and the parts that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from xgraph.data.known.archives import read_idx, read_npz, read_tar, reading
from xgraph.data.known.record import (
    Array,
    Content,
    Known,
    Split,
    check_count,
    check_labels,
    damaged,
)

DIGITS = tuple("0123456789")


def _images(known: Known, path: Path, name: str, images: Array, labels: Array) -> Split:
    """A split of images N,C,H,W and their labels, checked."""
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(labels):
        raise damaged(path, f"images and labels of `{name}` do not belong together")
    check_count(known, path, name, len(images))
    labels = check_labels(path, labels, known.class_count or len(known.classes))
    return Split(name, {"image": images, "label": labels})


def read_mnist(known: Known, files: Mapping[str, Path]) -> Content:
    """Four gzipped IDX files: images and labels of train and of test, in this order."""
    names = [file.name for file in known.files]
    splits = []
    for name, (images, labels) in zip(known.counts, (names[:2], names[2:]), strict=True):
        count = known.counts[name]
        pixels = read_idx(files[images], 3, count * 28 * 28)
        if pixels.shape[1:] != (28, 28):
            raise damaged(files[images], "its images are not of 28 x 28 pixels")
        numbers = read_idx(files[labels], 1, count)
        splits.append(_images(known, files[images], name, pixels[:, None], numbers))
    return Content(tuple(splits), {"classes": list(known.classes)})


def read_mnist_parts(known: Known, files: Mapping[str, Path]) -> Content:
    """`mnist.npz`, under our names of the arrays or those of Keras."""
    (path,) = files.values()
    arrays = read_npz(path)
    splits = []
    for name in known.counts:
        with reading(path):
            ours = f"{name}_images" in arrays
            images = arrays[f"{name}_images" if ours else f"x_{name}"]
            labels = arrays[f"{name}_labels" if ours else f"y_{name}"]
        if images.shape[1:] != (28, 28):
            raise damaged(path, "its images are not of 28 x 28 pixels")
        splits.append(_images(known, path, name, images[:, None], labels))
    return Content(tuple(splits), {"classes": list(known.classes)})


# ----------------------------------------------------------------------------------- CIFAR

_PIXELS = 3 * 32 * 32
_NAMES = 2**16


def read_cifar10(known: Known, files: Mapping[str, Path]) -> Content:
    """The binary version: a byte of label and 3,072 of planes a row, in batches of files."""
    batches = {
        "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
        "test": ["test_batch.bin"],
    }
    return _read_cifar(known, files, batches, ("label",), "batches.meta.txt")


def read_cifar100(known: Known, files: Mapping[str, Path]) -> Content:
    """As CIFAR-10, with two labels a row: that of the superclass comes first."""
    batches = {"train": ["train.bin"], "test": ["test.bin"]}
    return _read_cifar(known, files, batches, ("coarse", "label"), "fine_label_names.txt")


def _read_cifar(
    known: Known,
    files: Mapping[str, Path],
    batches: Mapping[str, list[str]],
    labels: tuple[str, ...],
    classes: str,
) -> Content:
    (path,) = files.values()
    row = len(labels) + _PIXELS
    wanted = {name: known.counts[split] * row for split in batches for name in batches[split]}
    data = read_tar(path, wanted | {classes: _NAMES})
    splits = []
    for split, names in batches.items():
        joined = b"".join(data[name] for name in names)
        if len(joined) != known.counts[split] * row:
            raise damaged(path, f"`{split}` has not {known.counts[split]:,} rows of {row:,} bytes")
        rows = np.frombuffer(joined, np.uint8).reshape(-1, row)
        images = rows[:, len(labels) :].reshape(-1, 3, 32, 32)
        done = _images(known, path, split, images, rows[:, len(labels) - 1])
        more = {name: rows[:, i].astype(np.int64) for i, name in enumerate(labels[:-1])}
        splits.append(Split(split, {**done.columns, **more}))
    with reading(path):
        words = data[classes].decode("ascii").split()
    if len(words) != (known.class_count or len(known.classes)):
        raise damaged(path, f"`{classes}` does not name the classes")
    return Content(tuple(splits), {"classes": words})


def read_cifar10_parts(known: Known, files: Mapping[str, Path]) -> Content:
    """`cifar10_dct.npz`: the coefficients of JPEG images, which are not quite the originals."""
    (path,) = files.values()
    arrays = read_npz(path)
    splits = []
    for name in known.counts:
        with reading(path):
            coefficients = _coefficients(arrays, name)
            images = np.concatenate(list(_decoded(coefficients, arrays["quant"])))
            labels = arrays[f"{name}_label"]
        splits.append(_images(known, path, name, images, labels))
    note = "decoded from JPEG of quality 75: these are not the lossless originals"
    return Content(tuple(splits), {"classes": list(known.classes), "note": note})


def _coefficients(arrays: Mapping[str, Array], split: str) -> Array:
    """Coefficient, block, sample; those too large for a byte are listed apart."""
    whole = arrays[f"{split}_coef"].astype(np.int16)
    whole.reshape(-1)[arrays[f"{split}_big_index"]] = arrays[f"{split}_big_value"]
    return whole


def _decoded(coefficients: Array, quant: Array) -> Iterator[Array]:
    """Images N,3,32,32 by batches: 16 blocks of luma, and 4 each of Cb and Cr at half size."""
    for start in range(0, coefficients.shape[2], 2000):
        blocks = coefficients[:, :, start : start + 2000].transpose(2, 1, 0)
        luma = _plane(blocks[:, :16], quant[0])
        blue, red = (_doubled(_plane(blocks[:, at : at + 4], quant[1])) - 128 for at in (16, 20))
        colours = (
            luma + 1.402 * red,
            luma - 0.344136 * blue - 0.714136 * red,
            luma + 1.772 * blue,
        )
        yield np.clip(np.rint(np.stack(colours, 1)), 0, 255).astype(np.uint8)


def _plane(blocks: Array, quant: Array) -> Array:
    """A square of 8 x 8 blocks (N, blocks, 64) by the inverse cosine transform."""
    wave = np.arange(8)
    basis = 0.5 * np.cos((2 * wave + 1) * wave[:, None] * np.pi / 16)
    basis[0] = np.sqrt(0.125)
    basis = basis.astype(np.float32)
    side = round(blocks.shape[1] ** 0.5)
    scaled = blocks.reshape(-1, side, side, 8, 8).astype(np.float32) * quant.astype(np.float32)
    pixels = (basis.T @ scaled @ basis).swapaxes(2, 3).reshape(-1, 8 * side, 8 * side)
    return np.clip(np.rint(pixels + 128), 0, 255).astype(np.int32)


def _doubled(plane: Array) -> Array:
    """Twice as high and wide, as JPEG does it: 3 parts of a pixel and 1 of its neighbour."""
    rows = np.pad(plane, ((0, 0), (1, 1), (0, 0)), mode="edge")
    tall = np.stack([3 * plane + rows[:, :-2], 3 * plane + rows[:, 2:]], 2)
    tall = tall.reshape(len(plane), -1, plane.shape[2])
    columns = np.pad(tall, ((0, 0), (0, 0), (1, 1)), mode="edge")
    left, right = 3 * tall + columns[:, :, :-2] + 8, 3 * tall + columns[:, :, 2:] + 7
    return np.stack([left >> 4, right >> 4], 3).reshape(len(plane), tall.shape[1], -1)
