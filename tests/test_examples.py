"""Every example builds, and has exactly as many parameters as its network should.

A row's source names the section of the reference semantics (the design's page of facts) that the
count is from and, where one was published, the number in the paper. `verified`: a framework gave
the same count for a network rebuilt from those facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from typing import final

import pytest

from xgraph.build import build_file, build_source
from xgraph.diagnostics import Report
from xgraph.files import read_text
from xgraph.grammar import format_document, parse
from xgraph.ir.graph import Graph
from xgraph.passes import lower

EXAMPLES = Path(__file__).parent.parent / "examples"
Settings = dict[str, int | float | bool | str]


@final
@dataclass(frozen=True)
class Row:
    """What a network must count. `part` narrows it to the addresses that begin so."""

    file: str
    trainable: int
    statistics: int | None
    source: str
    settings: Settings = field(default_factory=dict)
    part: str = ""

    def __str__(self) -> str:
        changes = ",".join(f"{name}={value}" for name, value in self.settings.items())
        return "-".join(filter(None, [self.file, changes, self.part]))


HUNDRED: Settings = {"classes": 100}


def x_cnns() -> Iterator[Row]:
    """Hand-made cross-modal CNNs and their bases (X-CNN and Xsertion)."""
    source = "1.9, verified"
    yield Row("kerasnet", 4_460_112, 6, source)
    yield Row("kerasnet", 4_506_282, 6, source, HUNDRED)
    yield Row("xkerasnet", 4_336_144, 6, source)
    yield Row("xkerasnet", 4_382_314, 6, source, HUNDRED)
    yield Row("xkerasnet", 4_346_960, 6, "1.9, full graph", {"full": True})
    yield Row("xkerasnet", 4_393_130, 6, "1.9, full graph", {"full": True} | HUNDRED)
    yield Row("fitnet4", 2_745_988, 3_886, source)
    yield Row("fitnet4", 2_791_078, 3_886, source, HUNDRED)
    yield Row("xfitnet", 2_685_500, 5_890, source)
    yield Row("xfitnet", 2_730_590, 5_890, source, HUNDRED)
    yield Row("ror", 220_042, 4_864, "1.8, verified")
    yield Row("ror", 231_652, 4_864, "1.8, verified", HUNDRED)


def base_cnns() -> Iterator[Row]:
    """BaseCNN and its kin (Tissera et al., Tables 1 and 2)."""
    yield Row("basecnn", 551_594, 1_024, "4.4: 0.55 M")
    yield Row("basecnn", 1_673_034, 1_920, "4.4, WideCNN: 1.67 M", {"width": 64})
    yield Row("basecnn", 2_045_226, 2_816, "4.4, DeepCNN: 2.0 M", {"deep": True})
    unrouted: Settings = {"paths": 3, "routed": False}
    yield Row("basecnn_cc", 1_654_782, 3_072, "4.4, Ensemble of 3: 1.66 M", unrouted)
    yield Row("basecnn_cc", 1_111_878, 2_048, "4.4, verified: 1.11 M")
    yield Row("basecnn_cc", 1_667_989, 3_072, "4.4: 1.67 M", {"paths": 3})
    yield Row("basecnn_cc", 2_224_236, 4_096, "4.4: 2.22 M", {"paths": 4})
    yield Row("basecnn_cp", 1_294_498, 2_048, "4.4: 1.3 M")
    yield Row("basecnn_cp", 2_222_092, 3_072, "4.4: 2.23 M", {"paths": 3})
    yield Row("basecnn_cp", 3_336_604, 4_096, "4.4: 3.34 M", {"paths": 4})
    yield Row("basecnn_static", 1_103_188 + 16, 2_048, "4.3, Cr-Stitch2: 1.11 M in all")
    channels: Settings = {"router": "stitch", "per": "channel"}
    yield Row("basecnn_static", 1_103_188 + 1_024, 2_048, "4.3, a weight a channel", channels)
    yield Row("basecnn_static", 961_876, 2_048, "4.3, NDDR-CNN2: 0.96 M", {"router": "nddr"})


def residual_cnns() -> Iterator[Row]:
    """Multi-path ResNets and VGG (Tissera et al., Tables 3 and 4)."""
    deeper: Settings = {"n": 5}
    yield Row("resnet_cifar", 273_066, 1_376, "4.4, ResNet20: 0.27 M")
    yield Row("resnet_cifar", 467_946, 2_272, "4.3, ResNet32", deeper)
    yield Row("resnet_cifar_cc", 549_842, 2_720, "4.4: 0.55 M")
    yield Row("resnet_cifar_cc", 824_540, 4_064, "4.4: 0.82 M", {"paths": 3})
    yield Row("resnet_cifar_cc", 1_099_340, 5_408, "4.4: 1.1 M", {"paths": 4})
    yield Row("resnet_cifar_cc", 939_602, 4_512, "4.4, ResNet32-2-CC: 0.94 M", deeper)
    yield Row("resnet_cifar_cp", 594_238, 2_752, "4.4: 0.59 M")
    yield Row("resnet_cifar_cp", 926_131, 4_128, "4.4: 0.92 M", {"paths": 3})
    yield Row("resnet_cifar_cp", 1_281_228, 5_504, "4.4: 1.29 M", {"paths": 4})
    yield Row("resnet_imagenet_cc", 23_401_682, None, "4.4, ResNet18-2-CC: 23.4 M")
    fifty: Settings = {"layers": 50, "classes": 100}
    yield Row("resnet_imagenet_cc", 47_540_682, None, "4.3, arithmetic: 47.5 M", fifty)
    yield Row("vgg13_cc", 11_351_234, 7_936, "4.2, arithmetic")


def xflows() -> Iterator[Row]:
    """XFlow and its baselines (Cangea et al.)."""
    digits: Settings = {"digits": True}
    yield Row("xflow_baseline", 2_740_512, 1_142, "5.5, verified")
    yield Row("xflow_baseline", 5_664_054, 1_132, "5.5, verified", digits)
    yield Row("xflow", 8_852_962, 6_210, "5.5, verified")
    yield Row("xflow", 17_764_002, 4_392, "5.3, arithmetic", digits)
    yield Row("xflow_lstm_baseline", 353_494, 156, "5.5, verified")
    yield Row("xflow_lstm_baseline", 721_170, 232, "5.5, verified", digits)
    yield Row("xflow_lstm", 1_387_488, 156, "5.5, verified")
    yield Row("xflow_lstm", 2_967_388, 232, "5.4, arithmetic", digits)


def fusions() -> Iterator[Row]:
    """AV-MNIST and NTU RGB+D (Perez-Rua et al., Tables 1, 2 and 5)."""
    for c in (3, 6, 24):
        image, audio = 90 * c**2 + 79 * c + 10, 1530 * c**2 + 247 * c + 10
        width: Settings = {"c": c}
        yield Row("avmnist_late", image, 2 * 7 * c, "6.3", width, "image_net.")
        yield Row("avmnist_late", audio, 2 * 31 * c, "6.3", width, "audio_net.")
    yield Row("avmnist_late", 20 * 24 * 10 + 10, 0, "6.8, two-stream", part="head.")
    yield Row("avmnist_centralnet", 8 + 3 * 3 + 16 * 24 * 10 + 10, 0, "6.8", part="central.")
    gate, hidden = 480 * 128 + 128, 480 * 128 + 2 * 128
    yield Row("avmnist_gmu", gate + hidden + 1_290, 0, "6.8", part="head.")
    found = (480 + 240 + 64 + 480 + 64) * 64 + 3 * 64 + 650
    yield Row("avmnist_mfas", found, 0, "6.1, best of Table 1", part="head.")
    second = (192 + 432 + 64 + 120 + 64 + 48 + 64) * 64 + 4 * 64 + 650
    yield Row("avmnist_mfas", second, 0, "6.1, Table 1", {"found": 2}, "head.")
    yield Row("ntu_mfas", 2_229_248, 0, "6.2, Table 5: 2,229,248", {"row": 0}, "head.h")
    yield Row("ntu_mfas", 2_196_480, 0, "6.2, Table 5: 2,196,480", {"row": 1}, "head.h")
    yield Row("ntu_mfas", 2_163_712, 0, "6.2, Table 5: 2,163,712", {"row": 3}, "head.h")
    best: Settings = {"units": 128, "normed": True}
    yield Row("ntu_mfas", 1_032_704 + 1_024, 1_024, "6.2, best run", best, "head.h")


ROWS = [*x_cnns(), *base_cnns(), *residual_cnns(), *xflows(), *fusions()]

VARIANTS: list[tuple[str, Settings]] = [
    ("basecnn_static", {"router": "sluice"}),
    ("basecnn_static", {"router": "stitch", "paths": 3}),
    ("resnet_cifar_cp", {"n": 5, "paths": 3}),
    ("resnet_imagenet_cc", {"layers": 34}),
    ("resnet_imagenet_cc", {"layers": 101, "paths": 3}),
    ("vgg13_cc", {"paths": 3}),
    *((path.stem, {}) for path in sorted(EXAMPLES.glob("*.xg"))),
]


@cache
def _built(file: str, settings: tuple[tuple[str, object], ...]) -> Graph:
    return build_file(EXAMPLES / f"{file}.xg", dict(settings))


def built(file: str, settings: Settings) -> Graph:
    return _built(file, tuple(settings.items()))


def count(graph: Graph, kind: str, part: str = "") -> int:
    """How many numbers of `kind` there are under addresses that begin with `part`."""
    params = lower(graph).params()
    return sum(prod(p.shape) for name, p in params if p.kind == kind and name.startswith(part))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_parameters(row: Row) -> None:
    graph = built(row.file, row.settings)
    assert count(graph, "parameter", row.part) == row.trainable
    if row.statistics is not None:
        assert count(graph, "statistic", row.part) == row.statistics


@pytest.mark.parametrize(("file", "settings"), VARIANTS)
def test_is_clean(file: str, settings: Settings) -> None:
    report = Report()
    path = EXAMPLES / f"{file}.xg"
    graph = build_source(read_text(path), settings, report=report, folder=EXAMPLES)
    assert not list(report)
    assert graph.name == file
    assert graph.outputs["logits"].type.rank == 1


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.xg")), ids=lambda path: path.stem)
def test_is_canonical(path: Path) -> None:
    source = read_text(path)
    assert format_document(parse(source, Report())) == source.text


def test_avmnist_networks_share_their_unimodal_ones() -> None:
    """So weights trained once serve every fusion: names and shapes agree."""
    files = [path.stem for path in EXAMPLES.glob("avmnist_*.xg")]
    assert len(files) == 4
    assert len({unimodal(file) for file in files}) == 1


def unimodal(file: str) -> frozenset[tuple[str, tuple[int, ...]]]:
    params = lower(built(file, {})).params()
    nets = ("image_net.", "audio_net.")
    return frozenset((name, tuple(p.shape)) for name, p in params if name.startswith(nets))
