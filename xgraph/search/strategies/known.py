"""The strategies by name, and their options as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, TypeAdapter

from xgraph.recipe import read_section
from xgraph.search.strategies.evolution import Evolution
from xgraph.search.strategies.mfas import Mfas
from xgraph.search.strategies.random import RandomSearch

STRATEGIES: dict[str, type[RandomSearch | Mfas | Evolution]] = {
    "random": RandomSearch,
    "mfas": Mfas,
    "evolution": Evolution,
}
AnyStrategy = Annotated[RandomSearch | Mfas | Evolution, Field(discriminator="name")]


def read_strategy(name: str, options: Sequence[str]) -> RandomSearch | Mfas | Evolution:
    """A strategy with `key=value` options; `DiagnosticError` lists every mistake."""
    return read_section(STRATEGIES[name], options, f"<strategy {name}>", "--option")


def stored_strategy(plain: object) -> RandomSearch | Mfas | Evolution:
    """A strategy as it was kept; pydantic's `ValidationError` if it is none."""
    adapter: TypeAdapter[RandomSearch | Mfas | Evolution] = TypeAdapter(AnyStrategy)
    return adapter.validate_python(plain)
