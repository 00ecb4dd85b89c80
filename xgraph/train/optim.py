"""Which weights change, at what rate: torch's optimisers and schedules, from a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from xgraph.diagnostics import Diagnostic, DiagnosticError, did_you_mean, fail
from xgraph.ir.graph import Graph
from xgraph.ir.scope import Fusion
from xgraph.passes import lower
from xgraph.recipe.model import Recipe, Stage

if TYPE_CHECKING:
    import torch


def matches(pattern: str, address: str) -> bool:
    """Whether a pattern means an address: itself, what lies in it, or with `*`."""
    return address == pattern or address.startswith(f"{pattern}.") or fnmatchcase(address, pattern)


def spelt_out(graph: Graph, patterns: Iterable[str]) -> list[str]:
    """Patterns, with the fusion layers in the place of `@fusion`."""
    fusions = [scope.address for scope in graph.scopes if isinstance(scope, Fusion)]
    return [p for pattern in patterns for p in (fusions if pattern == "@fusion" else [pattern])]


def check_patterns(graph: Graph, recipe: Recipe) -> None:
    """`DiagnosticError` for patterns that mean no weights, and stages in which nothing changes."""
    low = graph if graph.level == "tensor" else lower(graph)
    addresses = [address for address, _ in low.params()]
    mistakes: list[Diagnostic] = []
    for key, pattern in _patterns(recipe):
        if any(matches(p, a) for p in spelt_out(graph, [pattern]) for a in addresses):
            continue
        parts = {a.rsplit(".", n)[0] for a in addresses for n in range(1, a.count(".") + 1)}
        mistakes.append(
            Diagnostic(
                "unknown-weights", f"`{pattern}` means no weights of `{graph.name}`",
                origin=f"recipe: {key}",
                help=did_you_mean(pattern, sorted(parts))
                or f"weights have addresses such as `{addresses[0] if addresses else 'none'}`",
            )
        )  # fmt: skip
    for number, stage in enumerate(recipe.each_stage()):
        if not mistakes and not any(is_trained(graph, stage, address) for address in addresses):
            what = f"stage {number + 1}" if recipe.stages else "the recipe"
            told = f"{what} freezes every weight, so there is nothing to train"
            mistakes.append(Diagnostic("nothing-to-train", told, origin="recipe"))
    if mistakes:
        raise DiagnosticError(*mistakes)


def check_stages(graph: Graph, recipe: Recipe, targets: Iterable[str]) -> None:
    """`DiagnosticError` for a stage that changes nothing that the outputs it is held against need,
    of those which are held against anything."""
    used = graph.copy() if graph.level == "tensor" else lower(graph)
    outputs = dict(used.outputs)
    held = [name for name in targets if name in outputs]
    for number, stage in enumerate(recipe.each_stage()):
        names = [n for n in held if any(fnmatchcase(n, p) for p in stage.outputs or ["*"])]
        used.outputs = {name: outputs[name] for name in names}
        addresses = [
            f"{node.address}.{param.name}"
            for node in used.live() for param in node.params if param.kind == "parameter"
        ]  # fmt: skip
        if not any(is_trained(graph, stage, address) for address in addresses):
            told = ", ".join(f"`{name}`" for name in names)
            what = f"stage {number + 1}" if recipe.stages else "the recipe"
            raise fail(
                "nothing-to-train", f"{what} changes no weight that {told} depends on",
                origin="recipe", help="train more of the network, or hold another output against"
                " something",
            )  # fmt: skip


def _patterns(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield from (("train", pattern) for pattern in recipe.train or [])
    yield from (("freeze", pattern) for pattern in recipe.freeze)
    yield from (("groups", group.match) for group in recipe.groups)
    for number, stage in enumerate(recipe.stages):
        yield from ((f"stages.{number}.train", pattern) for pattern in stage.train or [])
        yield from ((f"stages.{number}.freeze", pattern) for pattern in stage.freeze)
        yield from ((f"stages.{number}.groups", group.match) for group in stage.groups or [])


def is_trained(graph: Graph, stage: Stage, address: str) -> bool:
    """Whether a stage changes what is at an address."""
    if any(matches(p, address) for p in spelt_out(graph, stage.freeze)):
        return False
    return stage.train is None or any(matches(p, address) for p in spelt_out(graph, stage.train))


def freeze(graph: Graph, module: torch.nn.Module, stage: Stage) -> None:
    """Let only the weights of a stage change."""
    for address, parameter in module.named_parameters():
        parameter.requires_grad_(is_trained(graph, stage, address))


def train_mode(module: torch.nn.Module) -> None:
    """Training, but for parts all of whose weights are frozen: normalisation and dropout act there
    as they do in use."""
    module.train()
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            part.eval()


def optimizer_of(graph: Graph, module: torch.nn.Module, stage: Stage) -> torch.optim.Optimizer:
    """The optimiser of a stage over the weights that it changes, in their groups."""
    return make_optimizer(stage, _groups(graph, module, stage))


def make_optimizer(stage: Stage, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser of a stage over groups as torch takes them."""
    from torch import optim

    assert stage.optimizer is not None
    options = stage.optimizer.model_dump()
    kind = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW, "nadam": optim.NAdam}[
        options.pop("name")
    ]
    on_cpu = all(p.device.type == "cpu" for group in groups for p in group["params"])
    if on_cpu and kind is not optim.NAdam:
        options["fused"] = True  # one pass over all weights, which is not the default there
    made: torch.optim.Optimizer = kind(groups, **options)
    return made


def _groups(graph: Graph, module: torch.nn.Module, stage: Stage) -> list[dict[str, Any]]:
    """The weights by the first group that means them, those of none last."""
    groups = stage.groups or []
    found: list[dict[str, Any]] = [
        {"params": [], **group.model_dump(exclude={"match"}, exclude_none=True)} for group in groups
    ]
    rest: dict[str, Any] = {"params": []}
    for address, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        holder = next(
            (
                made
                for group, made in zip(groups, found, strict=True)
                if any(matches(p, address) for p in spelt_out(graph, [group.match]))
            ),
            rest,
        )
        holder["params"].append(parameter)
    return [group for group in (*found, rest) if group["params"]]


def schedule_of(
    optimizer: torch.optim.Optimizer, stage: Stage, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The schedule of a stage, to be stepped after every batch; `steps` make an epoch."""
    from torch.optim import lr_scheduler as s

    given = stage.schedule
    assert given is not None
    match given.name:
        case "step":
            return s.MultiStepLR(optimizer, [steps * epoch for epoch in given.at], given.factor)
        case "cosine":
            return s.CosineAnnealingLR(optimizer, steps * stage.epochs, given.low)
        case "warm-restarts":
            return s.CosineAnnealingWarmRestarts(
                optimizer, steps * given.first, given.times, given.low
            )
        case "constant":
            return s.ConstantLR(optimizer, factor=1.0, total_iters=0)
