"""What the generated source defines for itself where PyTorch has nothing that fits.

Only the helpers that a network uses are written, in the order they stand here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Helper:
    """A definition, and the others it needs."""

    text: str
    needs: tuple[str, ...] = ()


_SAVED_AS = '''
def saved_as(module: nn.Module, names: dict[str, str]) -> None:
    """Let attributes of `module` go by other names in its state: those `nn.Module` has taken."""

    def rename(state: dict[str, Tensor], prefix: str, names: dict[str, str]) -> None:
        for old, new in names.items():
            for key in [key for key in state if key.startswith(f"{prefix}{old}.")]:
                state[f"{prefix}{new}{key[len(prefix + old) :]}"] = state.pop(key)

    def save(module: nn.Module, state: dict[str, Tensor], prefix: str, _: object) -> None:
        rename(state, prefix, names)

    def load(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        rename(state, prefix, {new: old for old, new in names.items()})

    module.register_state_dict_post_hook(save)
    module.register_load_state_dict_pre_hook(load)
'''

_PARAMETER = '''
class Parameter(nn.Module):
    """A trained tensor by itself, the same for every sample."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        return self.weight.unsqueeze(0)
'''

_PRELU = '''
class PReLU(nn.Module):
    """PReLU with a slope for each element of a sample."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.weight * x)
'''

_AVG_POOL = '''
def padded_avg_pool{n}d(x: Tensor, kernel: list[int], stride: list[int], pad: list[int]) -> Tensor:
    """Average pooling over real cells alone; `pad` is that of `F.pad`."""
    total = F.avg_pool{n}d(F.pad(x, pad), kernel, stride)
    real = F.avg_pool{n}d(F.pad(torch.ones_like(x[:1, :1]), pad), kernel, stride)
    return total / real
'''

_MASK = '''
def mask(x: Tensor, lengths: Tensor, dim: int, value: float) -> Tensor:
    """`value` in place of what lies past each sample's length along `dim`."""
    past = torch.arange(x.shape[dim], device=x.device) >= lengths.unsqueeze(1)
    shape = [1] * x.dim()
    shape[0], shape[dim] = past.shape[0], past.shape[1]
    return x.masked_fill(past.reshape(shape), value)
'''

_STEPS = '''
def reverse_steps(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The steps of each sample from its last to its first; what lies past them is of no use."""
    if lengths is None:
        return x.flip(1)
    order = lengths.unsqueeze(1) - 1 - torch.arange(x.shape[1], device=x.device)
    return x.gather(1, order.clamp(min=0).unsqueeze(2).expand(-1, -1, x.shape[2]))


def real_steps(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Zeros past the length of each sample."""
    return x if lengths is None else mask(x, lengths, 1, 0.0)


def final_step(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The last step of each sample; zeros where it has none."""
    if lengths is None:
        return x[:, -1]
    last = (lengths - 1).clamp(min=0).reshape(-1, 1, 1).expand(-1, 1, x.shape[2])
    return real_steps(x, lengths).gather(1, last).squeeze(1)
'''

_LSTM = '''
def lstm(x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> Tensor:
    """The states of an LSTM after each step."""
    state = x.new_zeros(1, x.shape[0], weight_hh.shape[1])
    weights = [weight_ih, weight_hh, bias, torch.zeros_like(bias)]
    training = torch.is_grad_enabled()
    return torch.lstm(x, [state, state], weights, True, 1, 0.0, training, False, True)[0]


class LSTM(nn.Module):
    """An LSTM over the steps of [N, T, F] with one bias for each direction.

    It gives every state or, with `last`, the final one. Steps past the lengths do not count.
    """

    bidirectional: Final[bool]
    last: Final[bool]

    def __init__(
        self, features: int, units: int, bidirectional: bool = False, last: bool = False
    ) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.last = last
        for direction in ["", "_reverse"] if bidirectional else [""]:
            for name, shape in {
                "weight_ih": (4 * units, features),
                "weight_hh": (4 * units, units),
                "bias": (4 * units,),
            }.items():
                values = torch.empty(shape).uniform_(-(units**-0.5), units**-0.5)
                self.register_parameter(name + direction, nn.Parameter(values))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        y = lstm(x, self.weight_ih, self.weight_hh, self.bias)
        y = final_step(y, lengths) if self.last else real_steps(y, lengths)
        if self.bidirectional:
            z = reverse_steps(x, lengths)
            z = lstm(z, self.weight_ih_reverse, self.weight_hh_reverse, self.bias_reverse)
            if self.last:
                z = final_step(z, lengths)
            else:
                z = real_steps(reverse_steps(z, lengths), lengths)
            y = torch.cat([y, z], dim=-1)
        return y
'''

_GRU = '''
def gru(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """The states of a GRU after each step."""
    state = x.new_zeros(1, x.shape[0], weight_hh.shape[1])
    weights = [weight_ih, weight_hh, bias_ih, bias_hh]
    training = torch.is_grad_enabled()
    return torch.gru(x, state, weights, True, 1, 0.0, training, False, True)[0]


class GRU(nn.Module):
    """A GRU over the steps of [N, T, F].

    It gives every state or, with `last`, the final one. Steps past the lengths do not count.
    """

    bidirectional: Final[bool]
    last: Final[bool]

    def __init__(
        self, features: int, units: int, bidirectional: bool = False, last: bool = False
    ) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.last = last
        for direction in ["", "_reverse"] if bidirectional else [""]:
            for name, shape in {
                "weight_ih": (3 * units, features),
                "weight_hh": (3 * units, units),
                "bias_ih": (3 * units,),
                "bias_hh": (3 * units,),
            }.items():
                values = torch.empty(shape).uniform_(-(units**-0.5), units**-0.5)
                self.register_parameter(name + direction, nn.Parameter(values))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        y = gru(x, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        y = final_step(y, lengths) if self.last else real_steps(y, lengths)
        if self.bidirectional:
            z = gru(
                reverse_steps(x, lengths),
                self.weight_ih_reverse,
                self.weight_hh_reverse,
                self.bias_ih_reverse,
                self.bias_hh_reverse,
            )
            if self.last:
                z = final_step(z, lengths)
            else:
                z = real_steps(reverse_steps(z, lengths), lengths)
            y = torch.cat([y, z], dim=-1)
        return y
'''

HELPERS: dict[str, Helper] = {
    "saved_as": Helper(_SAVED_AS),
    "Parameter": Helper(_PARAMETER),
    "PReLU": Helper(_PRELU),
    **{f"padded_avg_pool{n}d": Helper(_AVG_POOL.replace("{n}", str(n))) for n in (1, 2, 3)},
    "mask": Helper(_MASK),
    "reverse_steps": Helper(_STEPS, ("mask",)),
    "LSTM": Helper(_LSTM, ("reverse_steps",)),
    "GRU": Helper(_GRU, ("reverse_steps",)),
}

DEFINED = frozenset({*HELPERS, "lstm", "gru", "real_steps", "final_step"})
"""Every name that a helper may define."""


def closure(used: Iterable[str]) -> list[str]:
    """The texts of `used` and of all they need."""
    needed: set[str] = set()
    waiting = list(used)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += HELPERS[name].needs
    return [HELPERS[name].text.strip() for name in HELPERS if name in needed]
