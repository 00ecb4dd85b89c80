"""Settings of the property tests: no time limit for one example, so that slow machines pass."""

from hypothesis import settings

settings.register_profile("xgraph", deadline=None)
settings.load_profile("xgraph")
