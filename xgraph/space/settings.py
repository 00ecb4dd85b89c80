"""The settings of a space: `key: value, value`, read with every mistake in them told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import final

from xgraph.diagnostics import Label, Report, did_you_mean
from xgraph.grammar import format_tree
from xgraph.grammar import tree as t

MOST = 64
"""The most layers, nodes or cells that a space may ask for."""


@final
class Settings:
    """Those of one space, which may have the keys `known`."""

    def __init__(self, space: t.Space, known: Sequence[str], report: Report) -> None:
        self._space = space
        self._known = known
        self._report = report
        self._found: dict[str, t.Setting] = {}
        for setting in space.settings:
            self._take(setting)

    def _take(self, setting: t.Setting) -> None:
        key = setting.key.name
        if key not in self._known:
            self._report.error(
                "unknown-key",
                f"`{self._space.kind.name}` knows no `{key}` here",
                setting.key.span,
                help=did_you_mean(key, self._known)
                or f"it may hold {', '.join(f'`{k}`' for k in self._known)}",
            )
        elif key in self._found:
            first = Label(self._found[key].key.span, "first here")
            told = f"`{key}` is given twice"
            self._report.error("duplicate-name", told, setting.key.span, notes=[first])
        else:
            self._found[key] = setting

    def _missing(self, key: str, example: str) -> None:
        self._report.error(
            "missing-setting",
            f"`{self._space.kind.name}` needs `{key}`",
            self._space.kind.span,
            help=f"for example `{key}: {example}`",
        )

    def _bad(self, key: str, wanted: str, span_of: t.Tree) -> None:
        told = f"`{key}` takes {wanted}, not `{format_tree(span_of)}`"
        self._report.error("bad-setting", told, span_of.span)

    def values(self, key: str, example: str) -> tuple[t.Expression, ...]:
        """One value or more, which must be there."""
        if key in self._found:
            return self._found[key].values
        self._missing(key, example)
        return ()

    def value(self, key: str) -> t.Expression | None:
        """The one value of a setting that may be missing."""
        if key not in self._found:
            return None
        value, *more = self._found[key].values
        if more:
            self._bad(key, "one value", more[0])
        return value

    def needed(self, key: str, example: str) -> t.Expression:
        """The one value of a setting that must be there."""
        found = self.value(key)
        if found is None:
            self._missing(key, example)
        return found or self._space.kind

    def bounds(self, key: str) -> tuple[int, int]:
        """`low .. high`, or one number for both."""
        found = self.needed(key, "1 .. 4")
        ends = (found.low, found.high) if isinstance(found, t.Range) else (found, found)
        low, high = (self._integer(key, end) for end in ends)
        if low > high:
            self._bad(key, "a range that goes up", found)
        return low, max(low, high)

    def integer(self, key: str, example: str) -> int:
        return self._integer(key, self.needed(key, example))

    def _integer(self, key: str, found: t.Expression) -> int:
        if found is self._space.kind:
            return 1
        whole = found.value if isinstance(found, t.Number) else None
        if isinstance(whole, int) and 1 <= whole <= MOST:
            return whole
        self._bad(key, f"a number from 1 to {MOST}, written out", found)
        return 1

    def chance(self, key: str) -> float:
        """A number from 0 to 1; a half where it is not given."""
        found = self.value(key)
        if found is None:
            return 0.5
        if isinstance(found, t.Number) and 0 <= found.value <= 1:
            return float(found.value)
        self._bad(key, "a number from 0 to 1, written out", found)
        return 0.5

    def truth(self, key: str, default: bool) -> bool:
        found = self.value(key)
        if isinstance(found, t.Bool):
            return found.value
        if found is not None:
            self._bad(key, "`true` or `false`", found)
        return default

    def word(self, key: str, *options: str) -> str:
        """One of several words; the first where it is not given."""
        found = self.value(key)
        if isinstance(found, t.Name) and found.name in options:
            return found.name
        if found is not None:
            self._bad(key, " or ".join(f"`{option}`" for option in options), found)
        return options[0]

    def layers(self, key: str, example: str) -> tuple[t.Expression, ...]:
        """Layers to choose from: names and calls."""
        found = self.values(key, example)
        for layer in found:
            if not isinstance(layer, t.Name | t.Call):
                self._bad(key, f"layers such as `{example}`", layer)
        return found

    def groups(self, key: str) -> tuple[tuple[t.Expression, ...], ...]:
        """One group of values for each modality."""
        example = "audio.[f1, f2, f3], image.[f1, f2]"
        found = tuple(self._group(key, value) for value in self.values(key, example))
        for feature in (feature for group in found for feature in group):
            self._check_free(feature)
        return found

    def _check_free(self, feature: t.Expression) -> None:
        """The layers of a fusion are called `h1`, `h2`, ..., and would hide such a feature."""
        root = feature
        while isinstance(root, (t.Member, t.Index)):
            root = root.base
        if isinstance(root, t.Name) and re.fullmatch(r"h\d+", root.name):
            self._report.error(
                "name-taken",
                f"`{root.name}` is what a layer of the fusion is called",
                root.span,
                help="give the feature another name: `let feature = ...`",
            )

    def _group(self, key: str, value: t.Expression) -> tuple[t.Expression, ...]:
        match value:
            case t.Members(base=base, names=names):
                return tuple(t.Member(base=base, name=n, span=n.span) for n in names)
            case t.List(items=items) if items:
                return items
            case t.Name() | t.Member() | t.Index():
                return (value,)
        self._bad(key, "names, lists of them and `name.[a, b]`", value)
        return (value,)
