"""`chunk-batch`: a large batch runs in chunks of so many samples that what one layer hands to the
next stays in the cache, on so many threads as were found to be fastest."""

from __future__ import annotations

from dataclasses import replace

from xgraph.ir.graph import CHUNK, THREADS, WORKERS, Graph
from xgraph.ir.types import BATCH, symbol
from xgraph.optimize.costs import Costs
from xgraph.optimize.network import Optimized


def chunk_batch(network: Optimized, costs: Costs) -> Optimized:
    """Note what was found to be fastest for this network, where its batch can be told apart."""
    found: dict[str, int | None] = {}
    if can_chunk(network.graph):
        workers = costs.workers if costs.target == "onnx" and costs.workers > 1 else None
        found = {CHUNK: costs.chunk, WORKERS: workers}
    if costs.target == "onnx":
        found[THREADS] = costs.threads
    told = {key: str(number) for key, number in found.items() if number is not None}
    if not told:
        return network
    graph = network.graph.copy()
    graph.meta |= told
    return replace(network, graph=graph)


def can_chunk(graph: Graph) -> bool:
    """Whether every input and output has a sample for each of the batch; no operation mixes them
    at inference."""
    ends = [*graph.inputs.values(), *graph.outputs.values()]
    return all(value.type.batch == symbol(BATCH) for value in ends)
