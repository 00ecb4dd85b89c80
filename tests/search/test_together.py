"""Networks that are trained as one computation end where they would alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xgraph
from xgraph.data.feed import Order, feed_of
from xgraph.data.split import ArrayColumn, Split
from xgraph.diagnostics import DiagnosticError
from xgraph.recipe import read_recipe
from xgraph.search.together import fit_together, reason_alone
from xgraph.train.fit import Fitted, fit
from xgraph.train.optim import make_optimizer
from xgraph.train.plan import Plan, prepared
from xgraph.weights import initialise

Arrays = dict[str, Any]
DEEP = "concat(a, b) -> linear(8) -> relu -> linear(8) -> sigmoid -> linear(8) -> tanh"
FLAT = "linear(8) -> sigmoid"
SHARED = """h1: concat(a, b) -> linear(8) -> relu
  h2: concat(b, h1) -> linear(8) -> leakyrelu(0.1)
  h3: concat(h1, a, h2) -> linear(8) -> elu
  """
NORMED = (
    "h1: concat(b, a) -> linear(8, bias = false) -> bn -> relu\n  add(h1, h1 -> linear(8)) -> gelu"
)


def network(body: str, inputs: str = "a, b") -> str:
    """Of vectors, with a linear layer to five classes at its end."""
    first = f"superlayer x(a) {{ {body} -> linear(5) }}" if inputs == "a" else ""
    fusion = f"fusion x(a, b) {{\n  {body}\n  linear(5)\n}}" if not first else ""
    return (
        f"network n\n\nmodality a: [6]\nmodality b: [9]\n\n{first or fusion}\n\noutput logits = x\n"
    )


BODIES = [
    network(DEEP), network(FLAT, "a"), network(SHARED), network(NORMED),
    network("mul(a -> linear(7), b -> linear(7)) -> silu"),
    network("concat(a -> relu, b) -> identity -> linear(8, bias = false)"),
]  # fmt: skip


def split(name: str, rows: int, target: str = "class") -> Split:
    rng = np.random.default_rng(len(name))
    label: Any = rng.integers(0, 5, rows)
    columns = {
        "a": rng.normal(size=(rows, 6)) + 0.4 * label[:, None],
        "b": rng.normal(size=(rows, 9)) - 0.4 * label[:, None],
    }
    if target == "tags":
        label = (rng.random((rows, 5)) < 0.3).astype(np.int64)
    if target == "numbers":
        label = rng.normal(size=(rows, 5)).astype(np.float32)
    arrays = {n: ArrayColumn(value.astype(np.float32)) for n, value in columns.items()}
    return Split.of(name, "made", {**arrays, "label": ArrayColumn(label)})


def plans(
    texts: Sequence[str], *told: str, rows: int = 101, target: str = "class"
) -> tuple[list[Plan], list[Arrays]]:
    train, val = split("train", rows, target), split("val", 40, target)
    found, weights = [], []
    for seed, text in enumerate(texts):
        low = xgraph.lower(xgraph.parse(text))
        recipe = read_recipe(None, ["epochs=3", "batch=16", f"seed={seed}", *told])
        made = prepared(low, recipe, feed_of(low, recipe, train), train, val)
        assert reason_alone(made) is None
        found.append(made)
        weights.append(initialise(low, seed))
    return found, weights


def fitted(found: Any) -> Fitted:
    assert isinstance(found, Fitted)
    return found


def agree(a: Fitted, b: Fitted, tolerance: float = 1e-5) -> None:
    assert a.weights.keys() == b.weights.keys()
    for name, array in a.weights.items():
        assert np.allclose(array, b.weights[name], atol=tolerance), name
    for one, other in zip(a.history, b.history, strict=True):
        assert one.keys() == other.keys()
        assert all(abs(one[k] - other[k]) < 1e-4 for k in one)
    assert a.best_epoch == b.best_epoch


@pytest.mark.parametrize(
    "told",
    [
        ("optimizer={name: adam, weight_decay: 0.01}", "schedule=cosine"),
        ("optimizer={name: sgd, lr: 0.05, nesterov: true}",),
        ("optimizer=adamw", "keep=last"),
        ("optimizer=nadam", "losses={logits: {kind: cross-entropy, smoothing: 0.1}}"),
        ("losses={logits: {kind: cross-entropy, class_weight: balanced, weight: 0.5}}",),
    ],
)
def test_alike_together_and_alone(told: tuple[str, ...]) -> None:
    """Mixed depths, activations and widths; `fit` is the plain loop over a module of each."""
    made, weights = plans(BODIES, *told)
    together = fit_together(made, weights)
    for one, own, found in zip(made, weights, together, strict=True):
        agree(fitted(found), fit(one, dict(own)))


def test_a_last_batch_of_one_row_is_left_out_in_both() -> None:
    made, weights = plans(BODIES[:3], rows=97)
    for one, own, found in zip(made, weights, fit_together(made, weights), strict=True):
        agree(fitted(found), fit(one, dict(own)))


@pytest.mark.parametrize("target", ["tags", "numbers"])
def test_other_losses(target: str) -> None:
    made, weights = plans(BODIES[:3], target=target)
    for one, own, found in zip(made, weights, fit_together(made, weights), strict=True):
        agree(fitted(found), fit(one, dict(own)))


WITH_DROPOUT = [
    network("concat(a, b) -> linear(8) -> relu -> dropout(0.5) -> linear(8) -> dropout(0.3)"),
    network("concat(a, b) -> linear(8) -> sigmoid -> dropout(0.5)"),
    network("linear(8) -> dropout(0.5) -> tanh", "a"),
]  # fmt: skip


def by_hand(plan: Plan, weights: Arrays) -> Arrays:
    """One network alone, as one would write it; each dropout layer draws from a stream of its
    own."""
    tensors = {n: torch.tensor(w, requires_grad=True) for n, w in weights.items()}
    stage = plan.recipe.each_stage()[0]
    optimizer = make_optimizer(stage, [{"params": list(tensors.values())}])
    nodes = plan.graph.nodes()
    for epoch in range(stage.epochs):
        order = Order(len(plan.train), plan.recipe.batch, plan.recipe.seed, epoch)
        streams = {
            node.address: np.random.default_rng(
                (plan.recipe.seed, epoch, crc32(node.address.encode()))
            )
            for node in nodes
        }
        for rows in order.rows():
            values: dict[Any, Any] = {}
            for node in nodes:
                x = [values[value.node] for value in node.inputs]
                if node.op.name == "input":
                    values[node] = torch.from_numpy(plan.train.take(node.address, rows))
                elif node.op.name == "linear":
                    w, b = (tensors[f"{node.address}.{n}"] for n in ("weight", "bias"))
                    values[node] = x[0] @ w.T + b
                elif node.op.name == "concat":
                    values[node] = torch.cat(x, 1)
                elif node.op.name == "dropout":
                    keep = 1 - node.resolved.rate
                    drawn = streams[node.address].random(tuple(x[0].shape), np.float32)
                    mask = torch.from_numpy((drawn < keep).astype(np.float32) / np.float32(keep))
                    values[node] = x[0] * mask
                else:
                    values[node] = getattr(torch, node.op.name)(x[0])
            target = torch.from_numpy(plan.train.take("label", rows))
            logits = values[plan.graph.outputs["logits"].node]
            loss = torch.nn.functional.cross_entropy(logits, target)
            optimizer.zero_grad()
            torch.autograd.backward([loss])
            optimizer.step()
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def test_dropout_and_order_are_each_network_s_own() -> None:
    made, weights = plans(WITH_DROPOUT, "keep=last", "optimizer={name: sgd, lr: 0.1}")
    together = fit_together(made, weights)
    for one, own, found in zip(made, weights, together, strict=True):
        (alone,) = fit_together([one], [own])
        agree(fitted(found), fitted(alone))
        for name, array in by_hand(one, own).items():
            assert np.allclose(array, fitted(found).weights[name], atol=1e-5), name


def test_what_is_put_together_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    made, weights = plans(WITH_DROPOUT)
    before = fit_together(made, weights)
    monkeypatch.setattr("xgraph.search.together._CHUNK", 1)
    for one, other in zip(before, fit_together(made, weights), strict=True):
        agree(fitted(one), fitted(other), 0)


PARTS = ["linear(8, bias = false)", "linear(4)", "relu", "tanh", "bn", "elu"]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4), min_size=2, max_size=4))
def test_random_chains(chains: list[list[str]]) -> None:
    """Plain gradient descent: Adam makes a step of what is rounding alone."""
    texts = [network(f"concat(a, b) -> {' -> '.join(chain)}") for chain in chains]
    made, weights = plans(texts, "epochs=1", "optimizer={name: sgd, lr: 0.05}")
    for one, own, found in zip(made, weights, fit_together(made, weights), strict=True):
        agree(fitted(found), fit(one, dict(own)))


def test_one_that_diverges_leaves_the_others() -> None:
    made, weights = plans(BODIES[:3])
    weights[1] = {name: array * np.float32(1e30) for name, array in weights[1].items()}
    weights[1]["x.linear2.bias"] = np.full(5, np.nan, np.float32)
    found = fit_together(made, weights)
    assert isinstance(found[1], DiagnosticError)
    assert found[1].diagnostics[0].id == "diverged"
    for number in (0, 2):
        agree(fitted(found[number]), fit(made[number], dict(weights[number])))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("stages=[{epochs: 1}, {epochs: 1}]", "several stages"),
        ("clip=1", "`clip`"),
        ("stop={after: 1}", "`stop`"),
        ("inputs={a: [normalise]}", "steps for its inputs"),
        ("freeze=[x.linear1]", "weights that do not change"),
    ],
)
def test_reasons_to_train_alone(told: str, reason: str) -> None:
    train, val = split("train", 30), split("val", 20)
    low = xgraph.lower(xgraph.parse(BODIES[1]))
    options = [told] if told.startswith("stages") else ["epochs=1", told]
    recipe = read_recipe(None, options)
    assert reason_alone(prepared(low, recipe, feed_of(low, recipe, train), train, val)) == reason
