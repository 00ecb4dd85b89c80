"""Two small networks and the source that a person might have written for them."""

from __future__ import annotations

import pytest
from torch_support import Net, check

import xgraph
from xgraph.ir.graph import Value
from xgraph.ir.scope import Call, Connect, Fusion, Route, Scope, SuperLayer


def routed() -> Net:
    """Two paths with a `cc` router between their stages."""
    net = Net("basecnn_2_cc")
    image = net.input("image", 3, 32, 32)
    paths = [SuperLayer(address=f"path.{i}", index=i) for i in range(2)]
    streams = [image, image]
    for stage, filters in (("c2", 32), ("c4", 64)):
        for i, path in enumerate(paths):
            streams[i] = _stage(net, streams[i], path, f"path.{i}.{stage}", filters)
        points = tuple(f"path.{i}.{stage}" for i in range(2))
        net.scope = Route(address=f"cc_path_{stage}", sources=points, targets=points)
        streams = list(net.many("cc", *streams, address=f"cc_path_{stage}", outputs=2, hidden=16))
    for i, path in enumerate(paths):
        net.scope = path
        streams[i] = net.add("flatten", streams[i], address=f"path.{i}.flatten1")
        streams[i] = net.add("linear", streams[i], address=f"path.{i}.linear1", units=10)
    net.scope = None
    net.output("logits", net.add("mean", *streams, address="logits.mean1"))
    return net


def _stage(net: Net, x: Value, path: Scope, address: str, filters: int) -> Value:
    for unit in (f"{address}.unit1", f"{address}.unit2"):
        net.scope = Call(address=unit, parent=path, block="unit")
        x = net.add("conv", x, address=f"{unit}.conv1", filters=filters, kernel=3, bias=False)
        x = net.add("bn", x, address=f"{unit}.bn1")
        x = net.add("relu", x, address=f"{unit}.relu1")
    net.scope = path
    return net.add("maxpool", x, address=f"{address}.maxpool1", kernel=2)


ROUTED = '''\
from torch import Tensor, nn
from torch.nn import functional as F


class Gate(nn.Module):
    """The layers of `cc_path_c2.gate.0`, `cc_path_c2.gate.1` and 2 more."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, 16)
        self.fc2 = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.fc1(x))
        return self.fc2(x)


class CcPath(nn.Module):
    """The routers `cc_path_c2` and `cc_path_c4`."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.gate = nn.ModuleList(Gate(in_features) for _ in range(2))

    def forward(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        gate0 = F.softmax(self.gate[0](x0.mean((2, 3))), dim=1)
        gate1 = F.softmax(self.gate[1](x1.mean((2, 3))), dim=1)
        y0 = x0 * gate0[:, 0:1, None, None] + x1 * gate1[:, 0:1, None, None]
        y1 = x0 * gate0[:, 1:2, None, None] + x1 * gate1[:, 1:2, None, None]
        return y0, y1


class Unit(nn.Module):
    """The block `unit`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv1(x)))


class Stage(nn.Module):
    """The layers of `path.0.c2`, `path.0.c4` and 2 more."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.unit1 = Unit(in_channels, out_channels)
        self.unit2 = Unit(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.unit1(x)
        return F.max_pool2d(self.unit2(x), 2)


class Path(nn.Module):
    """The super-layers `path.0` and `path.1`, whose parts are run one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.c2 = Stage(3, 32)
        self.c4 = Stage(32, 64)
        self.linear1 = nn.Linear(4096, 10)


class Basecnn2Cc(nn.Module):
    """The network `basecnn_2_cc`.

    Inputs:
        image: f32[N, 3, 32, 32]

    Outputs:
        logits: f32[N, 10]
    """

    def __init__(self) -> None:
        super().__init__()
        self.path = nn.ModuleList(Path() for _ in range(2))
        self.cc_path_c2 = CcPath(32)
        self.cc_path_c4 = CcPath(64)

    def forward(self, image: Tensor) -> Tensor:
        x0 = self.path[0].c2(image)
        x1 = self.path[1].c2(image)
        x0, x1 = self.cc_path_c2(x0, x1)
        x0 = self.path[0].c4(x0)
        x1 = self.path[1].c4(x1)
        x0, x1 = self.cc_path_c4(x0, x1)
        x0 = self.path[0].linear1(x0.flatten(1))
        x1 = self.path[1].linear1(x1.flatten(1))
        return (x0 + x1) / 2
'''


def crossed() -> Net:
    """A picture and a sound, each a super-layer, with a connection either way."""
    net = Net("crossed")
    image, audio = net.input("image", 1, 28, 28), net.input("audio", 64)
    net.scope = see = SuperLayer(address="see")
    x = net.add("conv", image, address="see.b1.conv1", filters=16, kernel=5)
    x = net.add("relu", x, address="see.b1.relu1")
    x = net.add("maxpool", x, address="see.b1.maxpool1", kernel=2)
    net.scope = hear = SuperLayer(address="hear")
    y = net.add("linear", audio, address="hear.b1.linear1", units=49)
    y = net.add("relu", y, address="hear.b1.relu1")
    x, y = _see_to_hear(net, x, y), _hear_to_see(net, x, y)
    net.scope = see
    y = net.add("conv", y, address="see.b2.conv1", filters=32, kernel=4, stride=2)
    y = net.add("relu", y, address="see.b2.relu1")
    net.scope = hear
    x = net.add("linear", x, address="hear.b2", units=32)
    net.scope = Fusion(address="head")
    joint = net.add("fuse", y, x, address="head.fuse1")
    joint = net.add("dropout", joint, address="head.dropout1", rate=0.5)
    joint = net.add("linear", joint, address="head.linear1", units=10)
    net.output("logits", joint)
    net.output("heard", x)
    return net


def _see_to_hear(net: Net, see: Value, hear: Value) -> Value:
    address = "see_b1_to_hear_b1"
    net.scope = Connect(address=address, source="see.b1", targets=("hear.b1",), by="add")
    z = net.add("reduce", see, address=f"{address}.reduce1", how="mean", axis=[1, 2])
    z = net.add("linear", z, address=f"{address}.linear1", units=49)
    return net.add("add", hear, z, address=f"{address}.add1")


def _hear_to_see(net: Net, see: Value, hear: Value) -> Value:
    address = "hear_b1_to_see_b1"
    net.scope = Connect(address=address, source="hear.b1", targets=("see.b1",), by="concat")
    z = net.add("reshape", hear, address=f"{address}.reshape1", shape=(1, 7, 7))
    z = net.add(
        "deconv", z, address=f"{address}.deconv1", filters=4, kernel=2, stride=2, pad="valid"
    )
    return net.add("concat", see, z, address=f"{address}.concat1")


CROSSED = '''\
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SeeB1(nn.Module):
    """The layers of `see.b1`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.conv1(x)), 2)


class B2(nn.Module):
    """The layers of `see.b2`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(20, 32, 4, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv1(F.pad(x, (1, 2, 1, 2))))


class See(nn.Module):
    """The super-layer `see`, whose parts are run one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.b1 = SeeB1()
        self.b2 = B2()


class HearB1(nn.Module):
    """The layers of `hear.b1`."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(64, 49)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.linear1(x))


class Hear(nn.Module):
    """The super-layer `hear`, whose parts are run one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.b1 = HearB1()
        self.b2 = nn.Linear(49, 32)


class SeeB1ToHearB1(nn.Module):
    """The connection `see_b1_to_hear_b1`."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(16, 49)

    def forward(self, source: Tensor, stream: Tensor) -> Tensor:
        return stream + self.linear1(source.mean((2, 3)))


class HearB1ToSeeB1(nn.Module):
    """The connection `hear_b1_to_see_b1`."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv1 = nn.ConvTranspose2d(1, 4, 2, stride=2)

    def forward(self, source: Tensor, stream: Tensor) -> Tensor:
        return torch.cat([stream, self.deconv1(source.unflatten(1, (1, 7, 7)))], dim=1)


class Head(nn.Module):
    """The fusion `head`."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(64, 10)

    def forward(self, see: Tensor, hear: Tensor) -> Tensor:
        x = torch.cat([see.mean((2, 3)), hear], dim=1)
        return self.linear1(F.dropout(x, 0.5, self.training))


class Outputs(NamedTuple):
    """What the network gives."""

    logits: Tensor
    heard: Tensor


class Crossed(nn.Module):
    """The network `crossed`.

    Inputs:
        image: f32[N, 1, 28, 28]
        audio: f32[N, 64]

    Outputs:
        logits: f32[N, 10]
        heard: f32[N, 32]
    """

    def __init__(self) -> None:
        super().__init__()
        self.see = See()
        self.hear = Hear()
        self.see_b1_to_hear_b1 = SeeB1ToHearB1()
        self.hear_b1_to_see_b1 = HearB1ToSeeB1()
        self.head = Head()

    def forward(self, image: Tensor, audio: Tensor) -> Outputs:
        see_b1 = self.see.b1(image)
        hear_b1 = self.hear.b1(audio)
        see = self.hear_b1_to_see_b1(hear_b1, see_b1)
        hear = self.see_b1_to_hear_b1(see_b1, hear_b1)
        hear_b2 = self.hear.b2(hear)
        see = self.see.b2(see)
        return Outputs(self.head(see, hear_b2), hear_b2)
'''


@pytest.mark.parametrize(("net", "body"), [(routed(), ROUTED), (crossed(), CROSSED)])
def test_source(net: Net, body: str) -> None:
    head = f"# Network `{net.graph.name}`, written by xgraph {xgraph.__version__}.\n\n"
    assert check(net.lowered()) == head + body
