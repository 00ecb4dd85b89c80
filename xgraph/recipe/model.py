"""What a recipe may say. Each class is a section of the YAML; its fields are the keys."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from xgraph.recipe.transforms import Step as Transform

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """The base of all sections: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _named(given: Any) -> Any:
    """`optimizer: adam` as `optimizer: {name: adam}`."""
    return {"name": given} if isinstance(given, str) else given


# ------------------------------------------------------------------------------------ optimisers


@final
class Sgd(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    lr: Positive = 0.1
    momentum: Share = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 0.0


class _Adaptive(Section):
    lr: Positive = 1e-3
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0


@final
class Adam(_Adaptive):
    """Adam (Kingma and Ba, 2015); weight decay adds to the gradient."""

    name: Literal["adam"] = "adam"


@final
class AdamW(_Adaptive):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"] = "adamw"
    weight_decay: NotNegative = 0.01


@final
class NAdam(_Adaptive):
    """Adam with Nesterov momentum (Dozat, 2016)."""

    name: Literal["nadam"] = "nadam"


Optimizer = Annotated[
    Sgd | Adam | AdamW | NAdam, Field(discriminator="name"), BeforeValidator(_named)
]

# ------------------------------------------------------------------------------------- schedules


@final
class Constant(Section):
    """The same rate throughout."""

    name: Literal["constant"] = "constant"


@final
class Step(Section):
    """The rate times `factor` at the begin of each of these epochs, counted from 0."""

    name: Literal["step"] = "step"
    at: list[Count] = Field(min_length=1)
    factor: Positive = 0.1


@final
class Cosine(Section):
    """Half a cosine down to `low` over the stage, step by step."""

    name: Literal["cosine"] = "cosine"
    low: NotNegative = 0.0


@final
class WarmRestarts(Section):
    """Half cosines of `first`, `first * times`, ... epochs, step by step (SGDR)."""

    name: Literal["warm-restarts"] = "warm-restarts"
    first: Count = 1
    times: Count = 2
    low: NotNegative = 0.0


Schedule = Annotated[
    Constant | Step | Cosine | WarmRestarts, Field(discriminator="name"), BeforeValidator(_named)
]

# ----------------------------------------------------------------------------------------- parts


def _loss(given: Any) -> Any:
    return {"kind": given} if isinstance(given, str) else given


@final
class Loss(Section):
    """What an output is held against."""

    kind: Literal["cross-entropy", "bce", "mse"]
    target: str | None = None
    """The column; by default the one that is called like the output, else `label`."""
    weight: NotNegative = 1.0
    """Of this loss in the sum over the outputs."""
    class_weight: Literal["balanced"] | list[NotNegative] | None = None
    """For `cross-entropy`: `balanced` weighs classes by the inverse of their frequency."""
    positive_weight: Literal["balanced"] | list[Positive] | Positive | None = None
    """For `bce`: of the positive examples of each label."""
    smoothing: Share = 0.0
    """For `cross-entropy`: the share of a target that is spread over all classes."""

    @model_validator(mode="after")
    def _fits(self) -> Loss:
        if self.kind != "cross-entropy" and (self.class_weight is not None or self.smoothing):
            raise ValueError(
                f"`class_weight` and `smoothing` are for `cross-entropy`, not `{self.kind}`"
            )
        if self.kind != "bce" and self.positive_weight is not None:
            raise ValueError(f"`positive_weight` is for `bce`, not `{self.kind}`")
        return self


Losses = dict[str, Annotated[Loss, BeforeValidator(_loss)]]


def _input(given: Any) -> Any:
    return {"transforms": given} if isinstance(given, list) else given


@final
class Input(Section):
    """Where an input of the network comes from."""

    column: str | None = None
    """By default the one of its name."""
    transforms: list[Transform] = []


@final
class Group(Section):
    """Other numbers for some of the weights."""

    match: str
    lr: Positive | None = None
    weight_decay: NotNegative | None = None


@final
class Stop(Section):
    """An end before the last epoch, where nothing gets better."""

    after: Count
    """Epochs without a better one."""
    delta: NotNegative = 0.0
    """What is no more than this is not better."""


@final
class Stage(Section):
    """A part of the training with its own optimiser; what it does not say, the recipe does."""

    epochs: Count
    train: list[str] | None = None
    """The weights that change: addresses, patterns, or `@fusion` for all of fusion layers."""
    freeze: list[str] = []
    """Weights that stay."""
    groups: list[Group] | None = None
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    outputs: list[str] | None = None
    """Whose losses count, by name or pattern; else all that the recipe tells."""


@final
class Recipe(Section):
    """How a network is trained."""

    epochs: Count | None = None
    """20 unless `stages` tell."""
    batch: Count = 64
    """Of all devices together."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the weights, the order of the examples, and what is drawn."""
    precision: Annotated[Literal["32", "bf16", "16"], BeforeValidator(str)] = "32"
    optimizer: Optimizer = Adam()
    schedule: Schedule = Constant()
    losses: Losses = {}
    """By output, or by a pattern of outputs; what none names is not trained on. Without any, each
    output is held against the column of its name, or `label`."""
    predict: list[str] = []
    """Outputs whose sum is the prediction; by default the first."""
    inputs: dict[str, Annotated[Input, BeforeValidator(_input)]] = {}
    """By input, or by a pattern of inputs."""
    train: list[str] | None = None
    """The weights that change, as in a stage; by default all."""
    freeze: list[str] = []
    groups: list[Group] = []
    stages: list[Stage] = []
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The share of the training split that is held out where there is no split `val`."""
    monitor: Literal["auto", "accuracy", "f1", "loss"] = "auto"
    """Of the validation: `auto` is the accuracy where there is one, else the loss."""
    keep: Literal["best", "last"] = "best"
    """Which weights are the result."""
    stop: Stop | None = None
    clip: Positive | None = None
    """The largest norm of the gradient."""

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        if self.stages and self.epochs is not None:
            raise ValueError("`epochs` are told by each of the `stages`: leave one of the two out")
        return self

    def each_stage(self) -> list[Stage]:
        """The stages with all that they leave to the recipe."""
        stages = self.stages or [Stage(epochs=self.epochs or 20)]
        return [
            Stage(
                epochs=stage.epochs,
                train=self.train if stage.train is None else stage.train,
                freeze=[*self.freeze, *stage.freeze],
                groups=self.groups if stage.groups is None else stage.groups,
                optimizer=stage.optimizer or self.optimizer,
                schedule=stage.schedule or self.schedule,
                outputs=stage.outputs,
            )
            for stage in stages
        ]


def find(patterns: dict[str, Any], name: str) -> Any:
    """What is said of a name: by itself, else by the first pattern that it matches; None."""
    if name in patterns:
        return patterns[name]
    return next((v for pattern, v in patterns.items() if fnmatchcase(name, pattern)), None)
