"""What is minimised, and how good a network is: losses of torch, metrics of torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from fnmatch import fnmatchcase
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from xgraph.data.feed import Target
from xgraph.data.split import Split

Outputs = Mapping[str, Tensor]
ERRORS = ("loss", "mse", "mae")
"""Of what is measured, what is to be small."""


@final
class Objective:
    """The sum of the losses of all outputs that are held against something."""

    def __init__(self, targets: Sequence[Target], train: Split, device: torch.device) -> None:
        self.targets = tuple(targets)
        self._weights = {t.output: _weights(t, train, device) for t in targets}

    def of(self, outputs: Sequence[str] | None) -> Objective:
        """The sum of the losses of some outputs, by name or pattern; of all for None."""
        if outputs is None:
            return self
        part = copy(self)
        part.targets = tuple(
            t for t in self.targets if any(fnmatchcase(t.output, pattern) for pattern in outputs)
        )
        return part

    def __call__(self, outputs: Outputs, targets: Outputs) -> Tensor:
        losses = [
            t.loss.weight * self.loss(t, outputs[t.output], targets[t.output]) for t in self.targets
        ]
        return sum(losses[1:], losses[0])

    def loss(self, target: Target, given: Tensor, wanted: Tensor) -> Tensor:
        """The mean over the rows."""
        weights = self._weights[target.output]
        given = given.float()
        match target.loss.kind:
            case "cross-entropy":
                smooth = target.loss.smoothing
                return F.cross_entropy(given, wanted, weight=weights, label_smoothing=smooth)
            case "bce":
                return F.binary_cross_entropy_with_logits(given, wanted, pos_weight=weights)
            case "mse":
                return F.mse_loss(given, wanted)

    def of_each(self, outputs: Outputs, targets: Outputs) -> Tensor:
        """The same of several networks at once: the first axis of all is theirs, and of what is
        given back, [networks]."""
        losses = []
        for target in self.targets:
            given, wanted = outputs[target.output], targets[target.output]
            if target.loss.kind == "cross-entropy" and given.ndim == 3:
                weights, smooth = self._weights[target.output], target.loss.smoothing
                flat = wanted.flatten()
                each = F.cross_entropy(
                    given.flatten(0, 1), flat, weights, label_smoothing=smooth, reduction="none"
                ).view(wanted.shape)
                # The mean over the rows is by the weights of their classes.
                held = wanted.shape[1] if weights is None else weights[wanted].sum(1)
                found = each.sum(1) / held
            else:
                pairs = zip(given, wanted, strict=True)
                found = torch.stack([self.loss(target, g, w) for g, w in pairs])
            losses.append(target.loss.weight * found)
        return sum(losses[1:], losses[0])


def _weights(target: Target, train: Split, device: torch.device) -> Tensor | None:
    loss = target.loss
    given = loss.class_weight if loss.kind == "cross-entropy" else loss.positive_weight
    if given is None:
        return None
    if given != "balanced":
        return torch.tensor(given, dtype=torch.float32, device=device)
    labels = train.whole(target.column)
    if loss.kind == "bce":
        positive = np.maximum(labels.reshape(len(labels), -1).sum(0, dtype=np.float64), 1)
        balanced = ((len(labels) - positive) / positive).reshape(labels.shape[1:])
    else:
        counts = np.bincount(labels.ravel(), minlength=target.classes or 0)
        balanced = labels.size / (len(counts) * np.maximum(counts, 1))
    return torch.tensor(balanced, dtype=torch.float32, device=device)


def scores(target: Target, given: Tensor, wanted: Tensor) -> dict[str, float]:
    """The metrics of one output on all rows at once."""
    from torchmetrics.functional import classification as c
    from torchmetrics.functional import regression as r

    if target.loss.kind == "cross-entropy":
        classes = target.classes or 0
        options: dict[str, Any] = {"num_classes": classes}
        found = {
            "accuracy": c.multiclass_accuracy(given, wanted, average="micro", **options),
            "f1": c.multiclass_f1_score(given, wanted, average="macro", **options),
            "f1_weighted": c.multiclass_f1_score(given, wanted, average="weighted", **options),
        }
    elif target.loss.kind == "bce":
        labels = given.reshape(len(given), -1).shape[1]
        # Whether these are logits is guessed from their range unless they are none.
        flat = given.reshape(len(given), -1).sigmoid()
        truth = wanted.reshape(len(given), -1).int()
        if labels == 1:  # of which torchmetrics makes no multilabel scores
            f1 = c.binary_f1_score(flat, truth)
            found = {"accuracy": c.binary_accuracy(flat, truth), "f1": f1, "f1_weighted": f1}
        else:
            options = {"num_labels": labels}
            found = {
                "accuracy": c.multilabel_accuracy(flat, truth, average="micro", **options),
                "f1": c.multilabel_f1_score(flat, truth, average="macro", **options),
                "f1_weighted": c.multilabel_f1_score(flat, truth, average="weighted", **options),
            }
    else:
        flat, truth = given.reshape(-1), wanted.reshape(-1)
        found = {
            "mse": r.mean_squared_error(flat, truth),
            "mae": r.mean_absolute_error(flat, truth),
        }
    return {name: float(value) for name, value in found.items()}
