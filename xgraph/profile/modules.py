"""What PyTorch measured: operators by the modules of the generated source that ran them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from xgraph.diagnostics import fail
from xgraph.ir.graph import Graph
from xgraph.profile.runs import Array, Measured, Run, clocked

_MODULE, _RUN = "xgraph module ", "xgraph run"


def measure_modules(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    repeats: int,
    place: Callable[[str], str | None],
    device: str,
) -> Measured:
    """Runs of the module of a tensor-level graph; `place` tells the part of a name. On `cuda` the
    times of parts are those of the GPU's kernels."""
    import torch
    from torch.profiler import ProfilerActivity, record_function

    from xgraph.backends.torch import to_module

    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # it prints that it starts, and that it stops
    module = to_module(graph, weights).eval()

    def run() -> None:
        module(*given)
        if device == "cuda":
            torch.cuda.synchronize()

    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    try:
        with torch.inference_mode():
            module.to(device)
            given = [torch.from_numpy(inputs[name]).to(device) for name in graph.inputs]
            whole = clocked(run, repeats)
            _name_scopes(module)
            with torch.profiler.profile(activities=activities, acc_events=True) as found:
                for _ in range(repeats):
                    with record_function(_RUN):
                        run()
    except (IndexError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise fail("run-failed", f"the module did not run: {reason}", origin=graph.name) from None
    return Measured(_runs(found.events(), place, device), whole)


def _name_scopes(module: Any) -> None:
    """Have each module say when it begins and ends."""
    from torch.profiler import record_function

    open_scopes: list[Any] = []

    def enter(name: str) -> None:
        scope: Any = record_function(_MODULE + name)
        scope.__enter__()
        open_scopes.append(scope)

    def leave() -> None:
        open_scopes.pop().__exit__(None, None, None)

    for name, part in module.named_modules():
        if name:
            part.register_forward_pre_hook(lambda *_, name=name: enter(name))
            part.register_forward_hook(lambda *_: leave(), always_call=True)


def _runs(events: Any, place: Callable[[str], str | None], device: str) -> list[Run]:
    whole = [event for event in events if event.name == _RUN and event.cpu_parent is None]
    runs = {id(event): Run(total=event.cpu_time_total / 1e6) for event in whole}
    parts: dict[str, str | None] = {}
    for event in events:
        if event.name.startswith((_MODULE, _RUN)) or "CPU" not in str(event.device_type):
            continue
        scope, run = "", None
        around = event.cpu_parent
        while around is not None:
            if not scope and around.name.startswith(_MODULE):
                scope = around.name.removeprefix(_MODULE)
            run = runs.get(id(around))
            around = around.cpu_parent
        if run is None:
            continue
        if scope not in parts:
            parts[scope] = place(scope)
        run.add(parts[scope], _took(event, device) / 1e6)
    return list(runs.values())


def _took(event: Any, device: str) -> float:
    """Microseconds by itself."""
    if device == "cuda":
        return float(sum(kernel.duration for kernel in event.kernels))
    return float(event.self_cpu_time_total)
