"""Recipes: how a network is trained, as YAML that is checked before anything runs."""

from xgraph.recipe.model import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    Group,
    Input,
    Loss,
    NAdam,
    Optimizer,
    Recipe,
    Schedule,
    Sgd,
    Stage,
    Step,
    Stop,
    WarmRestarts,
)
from xgraph.recipe.read import presets, read_recipe, read_section, write_recipe

__all__ = [
    "Adam", "AdamW", "Constant", "Cosine", "Group", "Input", "Loss", "NAdam", "Optimizer", "Recipe",
    "Schedule", "Sgd", "Stage", "Step", "Stop", "WarmRestarts", "presets", "read_recipe",
    "read_section", "write_recipe",
]  # fmt: skip
