"""The data sets that are known by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from xgraph.data.known.images import (
    DIGITS,
    read_cifar10,
    read_cifar10_parts,
    read_cifar100,
    read_mnist,
    read_mnist_parts,
)
from xgraph.data.known.record import File, Known, Parts
from xgraph.data.known.sounds import (
    read_digits,
    read_digits_parts,
    read_esc50,
    read_esc50_parts,
)

_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_THINGS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_CIFAR = "https://www.cs.toronto.edu/~kriz/"

# Commits, because a branch moves and a tag can be moved.
_DIGITS_COMMIT = "d6938f9bf1545aa66d8489fc9f1385a7abd64282"  # v1.0.10
_ESC50_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"


def _idx(address: str, hashes: tuple[str, ...], sizes: tuple[int, ...]) -> tuple[File, ...]:
    names = (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )
    return tuple(
        File(name, address + name, f"md5:{digest}", size)
        for name, digest, size in zip(names, hashes, sizes, strict=True)
    )


MNIST = Known(
    name="mnist",
    title="MNIST: 70,000 handwritten digits, 28 x 28",
    home="https://ossci-datasets.s3.amazonaws.com/mnist/",
    licence="CC BY-SA 3.0",
    files=_idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        (9_912_422, 28_881, 1_648_877, 4_542),
    ),
    read=read_mnist,
    counts={"train": 60_000, "test": 10_000},
    parts=Parts(("mnist.npz",), read_mnist_parts),
    classes=DIGITS,
)

FASHION = Known(
    name="fashion-mnist",
    title="Fashion-MNIST: 70,000 pieces of clothing, 28 x 28",
    home="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    files=_idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        (26_421_880, 29_515, 4_422_102, 5_148),
    ),
    read=read_mnist,
    counts={"train": 60_000, "test": 10_000},
    classes=_CLOTHES,
)

CIFAR10 = Known(
    name="cifar10",
    title="CIFAR-10: 60,000 photographs of 10 classes, 32 x 32",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated; cite Krizhevsky (2009)",
    files=(
        File(
            "cifar-10-binary.tar.gz",
            f"{_CIFAR}cifar-10-binary.tar.gz",
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
            170_052_171,
        ),
    ),
    read=read_cifar10,
    counts={"train": 50_000, "test": 10_000},
    parts=Parts(("cifar10_dct.npz",), read_cifar10_parts),
    classes=_THINGS,
)

CIFAR100 = Known(
    name="cifar100",
    title="CIFAR-100: 60,000 photographs of 100 classes, 32 x 32",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated; cite Krizhevsky (2009)",
    files=(
        File(
            "cifar-100-binary.tar.gz",
            f"{_CIFAR}cifar-100-binary.tar.gz",
            "md5:03b5dce01913d631647c71ecec9e9cb8",
            168_513_733,
        ),
    ),
    read=read_cifar100,
    counts={"train": 50_000, "test": 10_000},
    class_count=100,
)

# No hash of this archive is published, and GitHub does not promise that packing the commit again
# gives the same bytes. So what it holds is checked: the manifest was made from the commit itself.
SPOKEN_DIGITS = Known(
    name="free-spoken-digits",
    title="Free Spoken Digit Dataset: 3,000 recordings of 6 speakers, 8 kHz",
    home="https://github.com/Jakobovski/free-spoken-digit-dataset",
    licence="CC BY-SA 4.0",
    files=(
        File(
            "free-spoken-digit-dataset-1.0.10.zip",
            f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_DIGITS_COMMIT}.zip",
            None,
            16_400_000,
        ),
    ),
    read=read_digits,
    counts={"train": 2_700, "test": 300},
    parts=Parts(("fsdd_8k.npz",), read_digits_parts),
    classes=DIGITS,
    manifest="8dd4cec632507842ba5923cf478bf1c132e7fea112a3b9bb34fcfd6a4da80b4d",
)

# The hash is one that several people who downloaded this commit published; the authors give none.
# The list of clips is checked besides, and each clip's form.
ESC50 = Known(
    name="esc50",
    title="ESC-50: 2,000 environmental sounds of 50 classes, 44.1 kHz",
    home="https://github.com/karolpiczak/ESC-50",
    licence="CC BY-NC 3.0: not for commercial use",
    files=(
        File(
            f"ESC-50-{_ESC50_COMMIT}.zip",
            f"https://github.com/karolpiczak/ESC-50/archive/{_ESC50_COMMIT}.zip",
            "sha256:661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
            645_832_161,
        ),
    ),
    read=read_esc50,
    counts={"all": 2_000},
    parts=Parts(("noise_esc10_8k.npz", "noise_esc50_8k.npz"), read_esc50_parts, needs_all=False),
    class_count=50,
    manifest="ca660da60191a97de289983a05821c9382d852a38a2ba8428980816b68cf6246",
)

KNOWN: Mapping[str, Known] = MappingProxyType(
    {known.name: known for known in (MNIST, FASHION, CIFAR10, CIFAR100, SPOKEN_DIGITS, ESC50)}
)
