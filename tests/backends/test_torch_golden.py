"""Two small networks and the source that a person might have written for them."""

from __future__ import annotations

from torch_support import Net, check

from xgraph.ir.graph import Value
from xgraph.ir.scope import Call, Connect, Fusion, Scope, SuperLayer


def routed() -> Net:
    """Two paths with a `cc` router between their stages."""
    net = Net("basecnn_2_cc")
    image = net.input("image", 3, 32, 32)
    paths = [SuperLayer(address=f"path.{i}", index=i) for i in range(2)]
    streams = [image, image]
    for stage, filters in (("c2", 32), ("c4", 64)):
        for i, path in enumerate(paths):
            streams[i] = _stage(net, streams[i], path, f"path.{i}.{stage}", filters)
        net.scope = None
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
# Network `basecnn_2_cc`, written by xgraph 0.1.0.

from torch import Tensor, nn
from torch.nn import functional as F
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
'''


def test_paths_with_a_router() -> None:
    assert check(routed().lowered()) == ROUTED


def test_streams_with_connections() -> None:
    assert check(crossed().lowered()) == CROSSED


if __name__ == "__main__":
    print(check(routed().lowered()))
    print(check(crossed().lowered()))
