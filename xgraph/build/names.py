"""Addresses that are made rather than written: numbered layers, connections, routers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import final


@final
class Names:
    """The names taken in one scope; hands out `conv1`, `conv2`, ..."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._kept: set[str] = set()
        self._count: dict[str, int] = {}

    def take(self, name: str) -> bool:
        """Claim a written name; False where it is taken already."""
        if name in self._taken:
            return False
        self._taken.add(name)
        return True

    def keep(self, name: str) -> None:
        """Leave a name to a declaration further down: `unique` makes no such."""
        self._kept.add(name)

    def put_back(self, base: str) -> None:
        """Let the last `fresh` name of a base be the next one again."""
        self._taken.remove(f"{base}{self._count[base]}")
        self._count[base] -= 1

    def fresh(self, base: str) -> str:
        """The next free `base` with a number."""
        while True:
            number = self._count[base] = self._count.get(base, 0) + 1
            if self.take(f"{base}{number}"):
                return f"{base}{number}"

    def unique(self, name: str) -> str:
        """`name`, or `name_2`, `name_3`, ... where it is taken."""
        number = 1
        candidate = name
        while candidate in self._kept or not self.take(candidate):
            number += 1
            candidate = f"{name}_{number}"
        return candidate


def connect_name(source: str, targets: Iterable[str]) -> str:
    """The address of a connection: `u_b1_to_y_b1`; of many targets, without their indices."""
    several = list(targets)
    ends = "_".join(map(_flat, several)) if len(several) <= 8 else _stem(several)
    return f"{_flat(source)}_to_{ends}"


def route_name(router: str, sources: Iterable[str], targets: Iterable[str]) -> str:
    """The address of a router: `cc_path_c2`, `cc_image_to_path_in`."""
    left, right = _stem(sources), _stem(targets)
    return f"{router}_{left}" if left == right else f"{router}_{left}_to_{right}"


def written(address: str) -> str:
    """An address as a `.xg` writes it: `path[0].c2`."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", address)


def _flat(address: str) -> str:
    return address.replace(".", "_")


def _stem(addresses: Iterable[str]) -> str:
    """The addresses without array indices, each once."""
    bare = ["_".join(p for p in address.split(".") if not p.isdigit()) for address in addresses]
    return "_".join(dict.fromkeys(bare))
