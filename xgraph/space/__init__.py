"""Search spaces: files with holes, how many networks they describe, and those networks.

space = Space.load("space.xg")
space.size                                  # an exact integer
sample = space.sample(seed=3)
sample.text, sample.encoding, sample.graph()
space.decode(sample.encoding)               # the same network
"""

from xgraph.space.output import answer, table, write_samples
from xgraph.space.space import Membership, Sample, Space

__all__ = ["Membership", "Sample", "Space", "answer", "table", "write_samples"]
