"""What happens to a column before it is an input: named steps, each with its options.

A step takes a batch, [rows, *shape], and gives a batch. Steps that draw (`flip`, `shift`) act in
training alone, and read the same numbers in every modality: two views of one picture stay aligned.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, final

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Array: TypeAlias = "np.ndarray[Any, Any]"

YUV = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""Planes of ITU-R BT.601 as JPEG has them, of RGB in [0, 1]; colour lies in [-0.5, 0.5]."""


@final
@dataclass(frozen=True)
class Around:
    """What a step may know of a batch besides its numbers."""

    draws: Array | None
    """Four numbers in [0, 1) a row; None where nothing is to be drawn."""
    other: Callable[[str], Array]
    """Another column of the same rows."""


class Transform(BaseModel):
    """The base of all steps; `main` is the option that `step: value` gives."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    main: ClassVar[str | None] = None
    moves: ClassVar[bool] = False
    """Whether it brings numbers elsewhere, or zeros, and changes none."""

    @abstractmethod
    def __call__(self, batch: Array, around: Around) -> Array: ...

    def fitted(self, batches: Iterable[Array]) -> Transform:
        """The same step with what it measures of the training data."""
        return self

    @property
    def is_fitted(self) -> bool:
        return True

    @property
    def draws(self) -> bool:
        """Whether it acts by chance, in training alone."""
        return False


@final
class Normalise(Transform):
    """Mean 0 and deviation 1 for each channel ([..., C, H, W]) or feature ([..., F]), measured on
    the training split unless given."""

    main = "mean"
    name: Literal["normalise"] = "normalise"
    mean: list[float] | None = None
    std: list[Annotated[float, Field(gt=0)]] | None = None

    @property
    def is_fitted(self) -> bool:
        return self.mean is not None and self.std is not None

    def fitted(self, batches: Iterable[Array]) -> Normalise:
        count, total, squares = 0, np.zeros(1), np.zeros(1)
        for batch in batches:
            channels = _by_channel(batch.astype(np.float64))
            count += channels.shape[1]
            total = total + channels.sum(1)
            squares = squares + (channels**2).sum(1)
        mean = total / count
        # A channel that is the same everywhere stays as it is, less its mean.
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        std = np.where(deviation > 1e-8, deviation, 1.0)
        return Normalise(
            mean=self.mean or [float(m) for m in mean], std=self.std or [float(s) for s in std]
        )

    def __call__(self, batch: Array, around: Around) -> Array:
        axes = (1,) * (batch.ndim - 1 - channel_axis(batch))
        mean = np.asarray(self.mean, np.float32).reshape(-1, *axes)
        std = np.asarray(self.std, np.float32).reshape(-1, *axes)
        return (batch - mean) / std


def channel_axis(batch: Array) -> int:
    """Of channels ([..., C, H, W]) or features ([..., F])."""
    return batch.ndim - 3 if batch.ndim >= 4 else batch.ndim - 1


def _by_channel(batch: Array) -> Array:
    axis = channel_axis(batch)
    return np.moveaxis(batch, axis, 0).reshape(batch.shape[axis], -1)


@final
class Yuv(Transform):
    """RGB planes, [3, H, W], to brightness and two of colour."""

    name: Literal["yuv"] = "yuv"

    def __call__(self, batch: Array, around: Around) -> Array:
        if batch.ndim < 4 or batch.shape[-3] != 3:
            raise ValueError(f"`yuv` takes three planes, and these are {list(batch.shape[1:])}")
        planes: Array = np.einsum("...chw,pc->...phw", batch, np.asarray(YUV, np.float32))
        return planes


@final
class Channels(Transform):
    """Some of the channels, in this order."""

    main = "keep"
    moves = True
    name: Literal["channels"] = "channels"
    keep: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)

    def __call__(self, batch: Array, around: Around) -> Array:
        axis = channel_axis(batch)
        if max(self.keep) >= batch.shape[axis]:
            raise ValueError(f"there is no channel {max(self.keep)}: there are {batch.shape[axis]}")
        return np.take(batch, self.keep, axis)


@final
class Scale(Transform):
    """Times a number, plus a number."""

    main = "by"
    name: Literal["scale"] = "scale"
    by: float = 1.0
    plus: float = 0.0

    def __call__(self, batch: Array, around: Around) -> Array:
        return batch * np.float32(self.by) + np.float32(self.plus)


@final
class Flip(Transform):
    """Left and right exchanged in half of the rows, in training."""

    moves = True
    name: Literal["flip"] = "flip"

    @property
    def draws(self) -> bool:
        return True

    def __call__(self, batch: Array, around: Around) -> Array:
        if around.draws is None:
            return batch
        chosen = around.draws[:, 0] < 0.5
        return np.where(chosen.reshape(-1, *(1,) * (batch.ndim - 1)), batch[..., ::-1], batch)


@final
class Shift(Transform):
    """Moved by up to so many pixels both ways, with zeros where nothing was, in training."""

    main = "by"
    moves = True
    name: Literal["shift"] = "shift"
    by: int = Field(4, ge=1)

    @property
    def draws(self) -> bool:
        return True

    def __call__(self, batch: Array, around: Around) -> Array:
        if batch.ndim < 3:
            raise ValueError(f"`shift` takes maps, and these are {list(batch.shape[1:])}")
        if around.draws is None:
            return batch
        room = ((0, 0),) * (batch.ndim - 2) + ((self.by, self.by),) * 2
        padded = np.pad(batch, room)
        moves = np.rint((2 * around.draws[:, 1:3] - 1) * self.by).astype(int) + self.by
        height, width = batch.shape[-2:]
        moved = [
            p[..., y : y + height, x : x + width] for p, (y, x) in zip(padded, moves, strict=True)
        ]
        return np.stack(moved)


@final
class Reshape(Transform):
    """The numbers of a row in another shape; one size may be -1."""

    main = "to"
    moves = True
    name: Literal["reshape"] = "reshape"
    to: list[Annotated[int, Field(ge=-1)]] = Field(min_length=1)

    def __call__(self, batch: Array, around: Around) -> Array:
        return batch.reshape(len(batch), *self.to)


@final
class Pad(Transform):
    """Sequences of one length: cut, or filled up with zeros behind."""

    main = "to"
    moves = True
    name: Literal["pad"] = "pad"
    to: int = Field(ge=1)

    def __call__(self, batch: Array, around: Around) -> Array:
        if batch.ndim < 2:
            raise ValueError("`pad` takes sequences, and these are single numbers")
        missing = self.to - batch.shape[1]
        if missing <= 0:
            return batch[:, : self.to]
        return np.pad(batch, ((0, 0), (0, missing), *((0, 0),) * (batch.ndim - 2)))


@final
class Mask(Transform):
    """Zeros from the length on that another column tells."""

    main = "lengths"
    name: Literal["mask"] = "mask"
    lengths: str

    def __call__(self, batch: Array, around: Around) -> Array:
        lengths = around.other(self.lengths)
        inside = np.arange(batch.shape[1]) < lengths.reshape(-1, 1)
        wide = inside.reshape(*inside.shape, *(1,) * (batch.ndim - 2))
        return np.where(wide, batch, np.zeros_like(batch))


KINDS: dict[str, type[Transform]] = {
    kind.model_fields["name"].default: kind
    for kind in (Normalise, Yuv, Channels, Scale, Flip, Shift, Reshape, Pad, Mask)
}


def _spelt_out(given: Any) -> Any:
    """`flip` as `{name: flip}`, and `shift: 4` as `{name: shift, by: 4}`."""
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, dict) and len(given) == 1:
        ((name, value),) = given.items()
        if name == "name":
            return given
        if name in KINDS:
            main = KINDS[name].main
            inner = (
                value if isinstance(value, dict) else {main: value} if main else {"value": value}
            )
            return {"name": name, **inner}
        return {"name": name}  # the mistake is then its name
    return given


Step = Annotated[
    Normalise | Yuv | Channels | Scale | Flip | Shift | Reshape | Pad | Mask,
    Field(discriminator="name"),
    BeforeValidator(_spelt_out),
]
