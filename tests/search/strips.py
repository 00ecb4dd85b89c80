"""A joint network of three overlapping strips of a digit, without and with what was measured, and
commands run on it."""

from __future__ import annotations

from click.testing import CliRunner

from xgraph.cli import main
from xgraph.train.fit import Silent

BASE = """# A comment that stays.
network strips

modality left: [1, 8, 4]  # the first four columns
modality middle: [1, 8, 4] with informativeness = 0.5
modality right: [1, 8, 4]

superlayer net(concat(left, middle, right)) {
  conv(12, 3) -> relu
  p1: maxpool(2)
  conv(12, 3) -> relu
  flatten -> linear(10)
}

output logits = net
"""

MEASURED = (
    BASE.replace("[1, 8, 4]  #", "[1, 8, 4] with informativeness = 0.6  #")
    .replace("right: [1, 8, 4]", "right: [1, 8, 4] with informativeness = 0.3")
)  # fmt: skip


def command(*arguments: str) -> tuple[int, str]:
    """The exit code of a command, and all that it prints."""
    found = CliRunner().invoke(main, list(arguments))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


class Ends(Silent):
    """Asks for an end after so many steps of all trainings."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, progress: object, loss: float | None) -> None:
        self.left -= 1
        self.stop = self.left <= 0
