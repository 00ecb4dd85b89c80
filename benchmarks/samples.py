"""How fast networks of a space are drawn, written and built.

python benchmarks/samples.py [--count 50]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from xgraph.space import Sample, Space

SPACES = Path(__file__).parent.parent / "examples" / "spaces"


def rate(work: Callable[[Sample], object], samples: Iterable[Sample]) -> float:
    """How many samples a second `work` is done with."""
    start, count = time.perf_counter(), 0
    for sample in samples:
        work(sample)
        count += 1
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast networks of a space are sampled.")
    parser.add_argument("--count", type=int, default=50)
    count = parser.parse_args().count
    print(f"{'samples a second':24}{'encoded':>10}{'as text':>10}{'built':>10}")
    for path in sorted(SPACES.glob("*.xg")):
        space = Space.load(path)
        encoded = rate(lambda sample: sample.encoding, space.samples(100 * count))
        text = rate(lambda sample: sample.text, space.samples(count))
        built = rate(lambda sample: sample.graph(), space.samples(count))
        print(f"{path.stem:24}{encoded:10,.0f}{text:10,.0f}{built:10,.0f}")


if __name__ == "__main__":
    main()
