"""Recipes: every mistake with its place, overrides, and text and back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import presets, read_recipe, write_recipe
from xgraph.source import Source


def read(text: str) -> object:
    return read_recipe(source=Source("r.yaml", text))


@pytest.mark.parametrize("name", presets())
def test_presets_are_recipes_that_come_back(name: str) -> None:
    recipe = read_recipe(name)
    assert read(write_recipe(recipe)) == recipe
    assert presets()[name].startswith("#")


def test_numbers_as_people_write_them() -> None:
    recipe = read_recipe(source=Source("r.yaml", "optimizer: {name: adam, lr: 1e-3}"))
    assert recipe.optimizer.lr == 1e-3


def test_overrides() -> None:
    recipe = read_recipe("multipath", ["optimizer.lr=0.5", "epochs=3", "inputs.image=[flip]"])
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.epochs) == ("sgd", 0.5, 3)
    assert recipe.inputs["image"].transforms[0].name == "flip"
    assert read_recipe(None, ["optimizer=nadam"]).optimizer.name == "nadam"


BAD = """\
epochs: 0
bacth: 3
optimizer: {name: admam, lr: 1}
schedule: {name: step, at: [a], factr: 2}
losses:
  logits: {kind: ce}
inputs:
  image: [{shfit: 2}, normalize]
"""

TOLD = """\
error[bad-value]: `epochs` must be at least 1, not 0
 --> r.yaml:1:9
  |
1 | epochs: 0
  |         ^

error[bad-value]: `admam` is not one of `sgd`, `adam`, `adamw`, `nadam`
 --> r.yaml:3:12
  |
3 | optimizer: {name: admam, lr: 1}
  |            ^^^^^^^^^^^^^^^^^^^^
help: did you mean `adam`?

error[bad-value]: `at` is a whole number, not 'a'
 --> r.yaml:4:29
  |
4 | schedule: {name: step, at: [a], factr: 2}
  |                             ^

error[unknown-key]: there is no key `factr` here
 --> r.yaml:4:33
  |
4 | schedule: {name: step, at: [a], factr: 2}
  |                                 ^^^^^
help: did you mean `factor`?

error[bad-value]: `ce` is not one of `cross-entropy`, `bce` or `mse`
 --> r.yaml:6:18
  |
6 |   logits: {kind: ce}
  |                  ^^
help: did you mean `bce`?

error[bad-value]: `shfit` is not one of `normalise`, `yuv`, `channels`, `scale`, `flip`, `shift`, \
`reshape`, `pad`, `mask`
 --> r.yaml:8:11
  |
8 |   image: [{shfit: 2}, normalize]
  |           ^^^^^^^^^^
help: did you mean `shift`?

error[bad-value]: `normalize` is not one of `normalise`, `yuv`, `channels`, `scale`, `flip`, \
`shift`, `reshape`, `pad`, `mask`
 --> r.yaml:8:23
  |
8 |   image: [{shfit: 2}, normalize]
  |                       ^^^^^^^^^
help: did you mean `normalise`?

error[unknown-key]: there is no key `bacth` here
 --> r.yaml:2:1
  |
2 | bacth: 3
  | ^^^^^
help: did you mean `batch`?"""


def test_every_mistake_has_its_place() -> None:
    with pytest.raises(DiagnosticError) as raised:
        read(BAD)
    assert str(raised.value) == TOLD


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "this is no YAML"),
        ("- 1", "a recipe is keys with values"),
        ("epochs: &x 1\nbatch: *x", "anchors, aliases and tags"),
        ("epochs: !!python/object:os.system x", "is a whole number, not 'x'"),
        ("epochs: !own 1", "anchors, aliases and tags"),
        ("epochs: 1\nepochs: 2", "`epochs` is given twice"),
        ("? [a]\n: 2", "a key is a word"),
        ("stages: [{epochs: 3}]\nepochs: 3", "leave one of the two out"),
        ("optimizer: {lr: 2}", "`optimizer` needs a `name`"),
        ("losses: {a: {kind: mse, smoothing: 0.1}}", "are for `cross-entropy`, not `mse`"),
        ("losses: {a: {target: x}}", "`kind` is missing"),
        ("batch: none", "`batch` is a whole number, not nothing"),
        ("inputs: " + "[" * 200 + "]" * 200, "nests too deep"),
        ("validation: 1", "`validation` must be less than 1, not 1"),
    ],
)
def test_what_is_no_recipe(text: str, told: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        read(text)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("x", "not of the form key=value"),
        ("lr=3", "there is no key `lr` here"),
        ("optimizer.lr=-1", "`lr` must be greater than 0, not -1"),
        ("epochs=[", "no YAML"),
        ("batch.x=3", "`batch`"),
    ],
)
def test_overrides_that_cannot_be(override: str, told: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        read_recipe(None, [override])
    assert told in str(raised.value)


@given(st.text(alphabet="abeo:{}[],- \n'\"&*!0.1~|>#", max_size=60))
def test_any_text_is_a_recipe_or_a_mistake(text: str) -> None:
    with contextlib.suppress(DiagnosticError):
        assert read(text)


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(DiagnosticError, match="did you mean `multipath`"):
        read_recipe("multipaht")
