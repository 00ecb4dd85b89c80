"""Groups of layers as torch modules on values of [members, rows, features]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from xgraph.diagnostics import InternalError
from xgraph.ir.graph import Node
from xgraph.search.lockstep import Group, Part, Place

Arrays = dict[str, np.ndarray[Any, Any]]


class Stacked(nn.Module):
    """A group. Its tensors hold the weights of all members, the first axis theirs."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    @property
    def width(self) -> int:
        """How many features a member reads by itself, at most."""
        return 0

    def features(self, row: int) -> Sequence[Part]:
        """Those that a member reads."""
        return ()

    def arrays(self, row: int) -> Arrays:
        """What a member has learnt, by address."""
        return {}


def stacked(group: Group, weights: Sequence[Arrays]) -> Stacked:
    """The module of a group, with the weights of its members from those of their networks."""
    match group.kind:
        case "linear":
            return Linear(group, weights)
        case "bn":
            return BatchNorm(group, weights)
        case "input":
            return Features(group)
        case "activation":
            return Activation(group)
    return Plain(group)


@final
class Linear(Stacked):
    """x W + b, where x is what a member reads of features, filled up, beside what is computed."""

    def __init__(self, group: Group, weights: Sequence[Arrays]) -> None:
        super().__init__(group)
        own = [weights[m.network] for m in group.members]
        addresses = [m.node.address for m in group.members]
        wide = [w[f"{a}.weight"].T for w, a in zip(own, addresses, strict=True)]
        units = wide[0].shape[1]
        read = np.zeros((len(own), self.width, units), np.float32)
        for row, matrix in enumerate(wide):
            for first, part in self._features(row):
                read[row, first : first + part.width] = matrix[part.columns]
        self.read = nn.Parameter(torch.from_numpy(read))
        each = zip(*(m.computed for m in group.members), strict=True)
        cut = [[w[p.columns] for w, p in zip(wide, parts, strict=True)] for parts in each]
        self.computed = nn.ParameterList(nn.Parameter(torch.from_numpy(np.stack(c))) for c in cut)
        self.bias = None
        if group.node.resolved.bias:
            biases = [w[f"{a}.bias"][None] for w, a in zip(own, addresses, strict=True)]
            self.bias = nn.Parameter(torch.from_numpy(np.stack(biases)))

    @property
    def width(self) -> int:
        return max(sum(part.width for part in m.features) for m in self.group.members)

    def features(self, row: int) -> Sequence[Part]:
        return self.group.members[row].features

    def _features(self, row: int) -> list[tuple[int, Part]]:
        """With the place of each in what is read."""
        found, first = [], 0
        for part in self.features(row):
            found.append((first, part))
            first += part.width
        return found

    def forward(self, read: list[Tensor], features: Tensor | None, mask: Tensor | None) -> Tensor:
        value: Tensor | None = self.bias
        pairs = list(zip(read, self.computed, strict=True))
        if features is not None:
            pairs.insert(0, (features, self.read))
        for x, weight in pairs:
            value = x @ weight if value is None else torch.baddbmm(value, x, weight)
        assert value is not None
        return value

    def arrays(self, row: int) -> Arrays:
        member = self.group.members[row]
        width = sum(part.width for part in member.parts)
        matrix = np.empty((width, features_of(self.group)), np.float32)
        for first, part in self._features(row):
            matrix[part.columns] = self.read.detach()[row, first : first + part.width]
        for part, weight in zip(member.computed, self.computed, strict=True):
            matrix[part.columns] = weight.detach()[row]
        found = {f"{member.node.address}.weight": np.ascontiguousarray(matrix.T)}
        if self.bias is not None:
            found[f"{member.node.address}.bias"] = self.bias.detach()[row, 0].numpy().copy()
        return found


@final
class BatchNorm(Stacked):
    """Over the rows of each member by itself."""

    def __init__(self, group: Group, weights: Sequence[Arrays]) -> None:
        super().__init__(group)
        for param in group.node.params:
            held = [weights[m.network][f"{m.node.address}.{param.name}"] for m in group.members]
            tensor = torch.from_numpy(np.stack(held))
            if param.kind == "parameter":
                self.register_parameter(param.name, nn.Parameter(tensor))
            else:
                self.register_buffer(param.name, tensor)

    def forward(self, read: list[Tensor], features: Tensor | None, mask: Tensor | None) -> Tensor:
        (x,) = read
        members, rows, width = x.shape
        held = {name: tensor.flatten() for name, tensor in self._tensors().items()}
        if self.training:
            held["num_batches_tracked"].add_(1)
        attrs = self.group.node.resolved
        given = F.batch_norm(
            x.transpose(0, 1).reshape(rows, members * width), held["running_mean"],
            held["running_var"], held.get("weight"), held.get("bias"), self.training,
            attrs.momentum, attrs.eps,
        )  # fmt: skip
        return given.view(rows, members, width).transpose(0, 1)

    def _tensors(self) -> dict[str, Tensor]:
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def arrays(self, row: int) -> Arrays:
        address = self.group.members[row].node.address
        return {
            f"{address}.{n}": t.detach()[row].numpy().copy() for n, t in self._tensors().items()
        }


@final
class Features(Stacked):
    """Features that something else than a linear layer reads."""

    @property
    def width(self) -> int:
        return features_of(self.group)

    def features(self, row: int) -> Sequence[Part]:
        return (Part(self.group.members[row].node.output, 0, self.width),)

    def forward(self, read: list[Tensor], features: Tensor | None, mask: Tensor | None) -> Tensor:
        assert features is not None
        return features


@final
class Activation(Stacked):
    """Activations that may differ from member to member."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        nodes = [member.node for member in group.members]
        kinds = [(node.op.name, tuple(node.resolved.items())) for node in nodes]
        self._kinds = [nodes[kinds.index(kind)] for kind in dict.fromkeys(kinds)]
        different = list(dict.fromkeys(kinds))
        for number, kind in enumerate(different[1:]):
            mask = torch.tensor([other == kind for other in kinds])[:, None, None]
            self.register_buffer(f"mask{number}", mask)

    def forward(self, read: list[Tensor], features: Tensor | None, mask: Tensor | None) -> Tensor:
        (x,) = read
        value = _activated(x, self._kinds[0])
        for node, chosen in zip(self._kinds[1:], self.buffers(), strict=True):
            value = torch.where(chosen, _activated(x, node), value)
        return value


def _activated(x: Tensor, node: Node) -> Tensor:
    match node.op.name:
        case "identity":
            return x
        case "relu":
            return F.relu(x)
        case "gelu":
            return F.gelu(x)
        case "silu":
            return F.silu(x)
        case "sigmoid":
            return torch.sigmoid(x)
        case "tanh":
            return torch.tanh(x)
        case "leakyrelu":
            return F.leaky_relu(x, node.resolved.slope)
        case "elu":
            return F.elu(x, node.resolved.alpha)
        case name:
            raise InternalError("search", f"`{name}` is no activation")


@final
class Plain(Stacked):
    """Dropout, sums, products and values side by side."""

    def forward(self, read: list[Tensor], features: Tensor | None, mask: Tensor | None) -> Tensor:
        match self.group.kind:
            case "dropout":
                return read[0] if mask is None else read[0] * mask
            case "concat":
                return torch.cat(read, -1)
        value = read[0]
        for other in read[1:]:
            value = value + other if self.group.kind == "add" else value * other
        return value


@final
class Gather:
    """Values of some members of groups as one, in the order wanted."""

    def __init__(self, places: Sequence[Place], groups: Sequence[Group]) -> None:
        sources: dict[int, list[int]] = {}
        for group, row in places:
            sources.setdefault(group, []).append(row)
        self._parts = [(g, _rows(rows, len(groups[g].members))) for g, rows in sources.items()]
        as_found = [(g, row) for g, rows in sources.items() for row in rows]
        order = [as_found.index(place) for place in places]
        self._order = None if order == sorted(order) else torch.tensor(order)

    def __call__(self, values: Sequence[Tensor]) -> Tensor:
        parts = [values[g] if rows is None else _some(values[g], rows) for g, rows in self._parts]
        whole = parts[0] if len(parts) == 1 else torch.cat(parts)
        return whole if self._order is None else whole.index_select(0, self._order)


def _rows(rows: list[int], size: int) -> slice | Tensor | None:
    """None for all."""
    if rows == list(range(size)):
        return None
    if rows == list(range(rows[0], rows[0] + len(rows))):
        return slice(rows[0], rows[0] + len(rows))
    return torch.tensor(rows)


def _some(value: Tensor, rows: slice | Tensor) -> Tensor:
    return value[rows] if isinstance(rows, slice) else value.index_select(0, rows)


def features_of(group: Group) -> int:
    size = group.node.output.type.features[0]
    assert isinstance(size, int)
    return size
