"""Random networks hold what every network must: through the language, the IR and both backends."""

from __future__ import annotations
