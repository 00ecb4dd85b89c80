"""A recurrent network that guesses how good a network is from its decisions (MFAS, section 3.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

Rows = Sequence[Sequence[float]]
_HIDDEN = 100


@final
class Surrogate:
    """Linear and sigmoid, LSTM, linear and sigmoid: 81,301 weights for rows of three. Adam over all
    that is known so far, the sequences of one length a step."""

    def __init__(self, width: int, seed: int, epochs: int, lr: float) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._net = _Net(width)
        self._optimizer = torch.optim.Adam(self._net.parameters(), lr)
        self._epochs = epochs

    def learn(self, known: Sequence[tuple[Rows, float]]) -> None:
        batches = [
            (torch.tensor([rows for rows, _ in part]), torch.tensor([score for _, score in part]))
            for part in _by_length(known)
        ]
        for _ in range(self._epochs):
            for rows, scores in batches:
                self._optimizer.zero_grad()
                loss = nn.functional.mse_loss(self._net(rows), scores)
                torch.autograd.backward([loss])
                self._optimizer.step()

    @torch.no_grad()
    def guess(self, asked: Sequence[Rows]) -> list[float]:
        found = dict[int, float]()
        for part in _by_length(list(zip(asked, range(len(asked)), strict=True))):
            guesses = self._net(torch.tensor([rows for rows, _ in part])).tolist()
            found |= {int(number): g for (_, number), g in zip(part, guesses, strict=True)}
        return [found[i] for i in range(len(asked))]


def _by_length(pairs: Sequence[tuple[Rows, float]]) -> list[list[tuple[Rows, float]]]:
    found = defaultdict[int, list[tuple[Rows, float]]](list)
    for rows, value in pairs:
        found[len(rows)].append((rows, value))
    return [found[length] for length in sorted(found)]


@final
class _Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, _HIDDEN)
        self.lstm = nn.LSTM(_HIDDEN, _HIDDEN, batch_first=True)
        self.last = nn.Linear(_HIDDEN, 1)
        for layer in (self.first, self.last):
            nn.init.uniform_(layer.weight, -0.1, 0.1)
            nn.init.constant_(layer.bias, 1.8)

    def forward(self, rows: Tensor) -> Tensor:
        """[networks, levels, width] to [networks]."""
        states, _ = self.lstm(torch.sigmoid(self.first(rows)))
        return torch.sigmoid(self.last(states[:, -1])).squeeze(-1)
