"""Recipes as YAML text: read with the place of every value, and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from xgraph.diagnostics import Diagnostic, DiagnosticError, Label, did_you_mean, fail
from xgraph.files import read_text
from xgraph.recipe.model import Recipe, Section
from xgraph.source import Source, Span

Place: TypeAlias = "tuple[str | int, ...]"
DEEPEST = 20


def read_recipe(
    recipe: str | Path | None = None, overrides: Sequence[str] = (), source: Source | None = None
) -> Recipe:
    """A recipe: of a file, a preset's name, or the default; with `key=value` overrides, such as
    `optimizer.lr=0.01`. `DiagnosticError` lists every mistake with its place."""
    return _validated(_Reader(source or _source(recipe)), Recipe, overrides)


S = TypeVar("S", bound=Section)


def read_section(kind: type[S], overrides: Sequence[str], origin: str, flag: str) -> S:
    """A section of which all is told by `key=value` texts, given with `flag`."""
    return _validated(_Reader(Source(origin, ""), kind, flag), kind, overrides)


def _validated(reader: _Reader, kind: type[S], overrides: Sequence[str]) -> S:
    plain = reader.read()
    for override in overrides:
        _override(plain, override, reader)
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        raise DiagnosticError(*map(reader.told, error.errors())) from None


@cache
def presets() -> dict[str, str]:
    """The recipes that come with xgraph, by name: their texts."""
    folder = files("xgraph.recipe") / "presets"
    found = {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def write_recipe(recipe: Recipe) -> str:
    """The YAML of a recipe, with every key that is not as it would be by itself."""
    default = Recipe().model_dump(mode="json", exclude_none=True)
    plain = {
        key: value
        for key, value in recipe.model_dump(mode="json", exclude_none=True).items()
        if value != default.get(key) or key in ("optimizer", "schedule", "seed", "batch")
    }
    text: str = yaml.dump(
        plain, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes a text that would be read back as something else."""


def _quoted(dumper: _Dumper, text: str) -> Any:
    plain = _scalar(yaml.ScalarNode("tag:yaml.org,2002:str", text))
    style = None if plain == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def _source(recipe: str | Path | None) -> Source:
    if recipe is None:
        return Source("<default recipe>", "")
    name = str(recipe)
    if name in presets():
        return Source(f"<recipe {name}>", presets()[name])
    if not Path(name).exists() and Path(name).suffix not in (".yaml", ".yml"):
        listed = ", ".join(presets())
        raise fail(
            "unknown-recipe", f"no recipe is called `{name}`, and there is no such file",
            origin=name, help=did_you_mean(name, presets()) or f"there are {listed}",
        )  # fmt: skip
    return read_text(name)


class _Reader:
    """The plain values of a YAML text, and where they stand."""

    def __init__(
        self, source: Source, root: type[Section] = Recipe, flag: str = "--override"
    ) -> None:
        self._source = source
        self._root = root
        self.flag = flag
        """Which brings values from outside the text."""
        self._places: dict[Place, Span] = {}
        self._keys: dict[Place, Span] = {}
        self._seen: set[int] = set()
        self.origins: dict[Place, str] = {}
        """The flags that brought values."""

    def read(self) -> dict[str, Any]:
        try:
            node = yaml.compose(self._source.text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise self._unread(error) from None
        except (yaml.YAMLError, RecursionError) as error:
            told = str(error).splitlines()[0]
            raise fail("bad-recipe", f"this is no YAML: {told}", origin=self._source.name) from None
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise self._at(node, "a recipe is keys with values, such as `epochs: 20`")
        plain: dict[str, Any] = self._plain(node, ())
        return plain

    def _plain(self, node: Any, place: Place) -> Any:
        self._places[place] = self._span(node)
        if id(node) in self._seen or node.tag.startswith("!"):
            raise self._at(node, "anchors, aliases and tags of YAML are not read here")
        if len(place) > DEEPEST:
            raise self._at(node, "this nests too deep")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(part, (*place, i)) for i, part in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: Any, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._at(key, "a key is a word")
            if key.value in found:
                raise self._at(key, f"`{key.value}` is given twice")
            self._keys[*place, key.value] = self._span(key)
            found[key.value] = self._plain(value, (*place, key.value))
        return found

    def _span(self, node: Any) -> Span:
        start, end = node.start_mark.index, node.end_mark.index
        text = self._source.text[start:end]
        first = text.split("\n", 1)[0] if text else ""
        return Span(self._source, start, start + len(first.rstrip()))

    def _at(self, node: Any, message: str) -> DiagnosticError:
        return fail("bad-recipe", message, span=self._span(node))

    def _unread(self, error: yaml.MarkedYAMLError) -> DiagnosticError:
        told = error.problem or "it cannot be read"
        mark = error.problem_mark or error.context_mark
        if mark is None:
            return fail("bad-recipe", f"this is no YAML: {told}", origin=self._source.name)
        at = min(mark.index, len(self._source.text))
        return fail("bad-recipe", f"this is no YAML: {told}", span=Span(self._source, at, at))

    # ----------------------------------------------------------------------------- mistakes

    def told(self, error: Any) -> Diagnostic:
        """A mistake that pydantic found, at the place where it was written."""
        place, fields = _walked(error["loc"], self._root)
        at: Place = ()
        for part in place:  # a short form leaves some of them out
            at = (*at, part) if self._has((*at, part)) else at
        key = str(next((part for part in reversed(place) if isinstance(part, str)), ""))
        id_, message, help_ = _said(error, key, fields)
        unknown = id_ == "unknown-key"
        span = self._keys.get(at) if unknown else self._places.get(at)
        if at in self.origins or span is None:
            return Diagnostic(
                id_, message, None, (), help_, origin=self.origins.get(at, self._source.name)
            )
        return Diagnostic(id_, message, Label(span), (), help_)

    def _has(self, place: Place) -> bool:
        flags = any(flag[: len(place)] == place for flag in self.origins)
        return place in self._places or flags


def _scalar(node: Any) -> Any:
    """A plain word is a number where it looks like one: YAML 1.1 takes `1e-3` for a text."""
    if node.style is not None:
        return node.value
    text = node.value
    if text in ("", "~", "null", "none"):
        return None
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _override(plain: dict[str, Any], text: str, reader: _Reader) -> None:
    path, equals, value = text.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise fail(
            "bad-option", f"`{text}` is not of the form key=value", origin=f"{reader.flag} {text}",
            help="for example `optimizer.lr=0.01`",
        )  # fmt: skip
    try:
        node = yaml.compose(value, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise fail("bad-option", "this value is no YAML", origin=f"{reader.flag} {text}") from None
    held: Any = plain
    for i, key in enumerate(keys[:-1]):
        if isinstance(held, list):
            held = _item(held, keys[: i + 1], f"{reader.flag} {text}")
            continue
        inner = held.get(key)
        if isinstance(inner, str) and key in ("optimizer", "schedule"):
            inner = held[key] = {"name": inner}
        elif inner is None:
            inner = held[key] = _default_section(key)
        if isinstance(inner, list):
            held = inner
            continue
        if not isinstance(inner, dict):
            told = f"`{'.'.join(keys[: i + 1])}` has no keys of its own"
            raise fail("bad-option", told, origin=f"{reader.flag} {text}")
        held = inner
    if not isinstance(held, dict):
        told = f"`{'.'.join(keys[:-1])}` is a list: tell which item, from 0, and its key"
        raise fail("bad-option", told, origin=f"{reader.flag} {text}")
    held[keys[-1]] = None if node is None else _Reader(Source("", value))._plain(node, ())
    reader.origins[tuple(int(k) if k.isdecimal() else k for k in keys)] = f"{reader.flag} {text}"


def _item(held: list[Any], keys: list[str], origin: str) -> Any:
    """The item that the last key numbers, from 0."""
    *path, number = keys
    if number.isdecimal() and int(number) < len(held) and isinstance(held[int(number)], dict):
        return held[int(number)]
    told = f"`{'.'.join(path)}` has items 0 to {len(held) - 1}, and `{number}` is none with keys"
    raise fail("bad-option", told, origin=origin)


def _default_section(key: str) -> dict[str, Any]:
    """What `optimizer.lr` changes where the recipe names no optimiser."""
    default: Any = getattr(Recipe.model_fields.get(key), "default", None)
    return {"name": default.name} if hasattr(default, "name") else {}


def _walked(loc: Sequence[str | int], root: type[Section]) -> tuple[Place, list[str]]:
    """The place in the text that pydantic's `loc` means, which also names alternatives of unions;
    and the keys of the section it lies in."""
    place: list[str | int] = []
    kinds: list[Any] = [root]
    fields: list[str] = []
    for part in loc:
        models = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        tagged = [k for k in models if getattr(k.model_fields.get("name"), "default", None) == part]
        if tagged:
            kinds = tagged
            continue
        if isinstance(part, str) and any(part == _kind_name(kind) for kind in kinds):
            continue
        fields = sorted({field for model in models for field in model.model_fields})
        inner = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        others = [arg for kind in kinds for arg in _inside(kind)]
        kinds = [k for a in (inner or others) for k in _alternatives(a)]
        place.append(part)
    return tuple(place), fields


def _kind_name(kind: Any) -> str:
    """What pydantic calls an alternative in `loc`."""
    if get_origin(kind) is list:
        return f"list[{getattr(get_args(kind)[0], '__name__', '')}]"
    return getattr(kind, "__name__", str(kind))


def _alternatives(kind: Any) -> Iterator[Any]:
    """The kinds of a union, without annotations."""
    args = get_args(kind)
    if hasattr(kind, "__metadata__"):
        yield from _alternatives(args[0])
    elif get_origin(kind) in (list, dict, tuple, Literal) or not args:
        yield kind
    else:
        for arg in args:
            yield from _alternatives(arg)


def _inside(kind: Any) -> Iterator[Any]:
    if get_origin(kind) in (list, dict, tuple):
        yield get_args(kind)[-1]


_BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def _said(error: Any, key: str, fields: list[str]) -> tuple[str, str, str | None]:
    """Id, message and help for a mistake of pydantic's."""
    kind, given, ctx = error["type"], error["input"], error.get("ctx", {})
    bound = next((f"{word} {ctx[b]:g}" for b, word in _BOUNDS.items() if b in ctx), None)
    if kind == "extra_forbidden":
        listed = ", ".join(f"`{field}`" for field in fields)
        return (
            "unknown-key",
            f"there is no key `{key}` here",
            did_you_mean(key, fields) or f"keys are {listed}",
        )
    if kind == "missing":
        return "missing-key", f"`{key}` is missing", None
    if kind in ("literal_error", "union_tag_invalid"):
        words = str(ctx.get("expected", ctx.get("expected_tags", ""))).replace("'", "`")
        tag = ctx.get("tag", given)
        near = did_you_mean(
            str(tag), [w.strip("` ") for w in words.replace(" or ", ",").split(",")]
        )
        return "bad-value", f"`{tag}` is not one of {words}", near
    if kind == "union_tag_not_found":
        return "missing-key", f"`{key}` needs a `name`", None
    if kind == "value_error":
        return "bad-value", str(error["ctx"]["error"]), None
    if bound:
        return "bad-value", f"`{key}` must be {bound}, not {given}", None
    if kind.startswith("int_"):
        return "bad-value", f"`{key}` is a whole number, not {_short(given)}", None
    if kind.startswith("float_"):
        return "bad-value", f"`{key}` is a number, not {_short(given)}", None
    told = str(error["msg"])
    return "bad-value", f"`{key}`: {told[0].lower()}{told[1:]}, and this is {_short(given)}", None


def _short(given: Any) -> str:
    text = "nothing" if given is None else repr(given)
    return text if len(text) < 40 else text[:37] + "..."
