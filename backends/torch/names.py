"""Names in the generated source: which are taken, and how others are brought to fit."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable
from keyword import iskeyword

MODULE_NAMES = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
    ]
)
"""What `nn.Module` has already, so that no layer can be an attribute of this name."""

TAKEN = frozenset({"self", "torch", "nn", "F", "Tensor", "NamedTuple", "Final", *dir(builtins)})
"""What the source means by names of its own or of Python's."""


def is_taken(attribute: str) -> bool:
    """Whether `nn.Module` has, or may come to have, an attribute of this name."""
    return attribute in MODULE_NAMES or attribute.startswith("_")


def is_plain(name: str) -> bool:
    """Whether `name` can be written as it is."""
    return name.isascii() and name.isidentifier() and not iskeyword(name)


def identifier(name: str, taken: Iterable[str] = ()) -> str:
    """`name` as an identifier that means nothing else: `lambda_` for `lambda`."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("_") or "x"
    if text[0].isdigit():
        text = f"x{text}"
    while iskeyword(text) or text in TAKEN or text in taken:
        text += "_"
    return text


def camel(*names: str) -> str:
    """`two_tower` as the name of a class: `TwoTower`."""
    words = [word for name in names for word in re.split(r"[^0-9A-Za-z]+", name) if word]
    text = "".join(word[0].upper() + word[1:] for word in words)
    return text if text and not text[0].isdigit() else f"Net{text}"


def stem(name: str) -> str:
    """`name` without the number at its end."""
    return name.rstrip("0123456789").rstrip("_")


def printable(text: str) -> str:
    """`text` as it may stand in a docstring or comment."""
    return "".join(c if c.isprintable() and c not in '"\\`' else "?" for c in text)
