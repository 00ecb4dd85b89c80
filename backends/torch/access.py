"""Where modules stand: the attributes that hold them, and how the source reads these.

The state of a module must go by the names of the graph, whatever Python thinks of them. Most
can be attributes. A keyword, or a number among names, is registered under its own name and read
by `getattr`; what `nn.Module` has taken for itself gets another attribute, and the helper
`saved_as` puts the name into the state.
"""

from __future__ import annotations

from xgraph.backends.torch.code import literal
from xgraph.backends.torch.names import identifier, is_plain, is_taken
from xgraph.backends.torch.tree import Group, Member, member_name
from xgraph.ir.graph import Node


def attribute(group: Group, name: str) -> str | None:
    """The attribute that holds a member; None where there can be none."""
    if not is_taken(name):
        return name if is_plain(name) else None
    text = identifier(name)
    while is_taken(text) or text in group.members:
        text += "_"
    return text


def renamed(group: Group) -> dict[str, str]:
    """Attributes of `group` with the names that they have in its state, where these differ."""
    found = {attribute(group, name): name for name in group.members if is_taken(name)}
    return {held: name for held, name in found.items() if held}


def module_path(item: Member, home: Group, driver: Group) -> str:
    """How the `forward` of `driver` reads the module of `item`, which stands in `home`."""
    text, around = "self", driver
    for group in home.chain(driver):
        text = _read(around, group.name, text)
        around = group
    return _read(around, member_name(item), text)


def home_of(item: Member, homes: dict[int, Group]) -> Group:
    """The group that an item stands in."""
    home = homes[item.id] if isinstance(item, Node) else item.parent
    assert home is not None
    return home


def _read(group: Group, name: str, base: str) -> str:
    if group.is_array:
        return f"{base}[{name if group.is_list else literal(name)}]"
    held = attribute(group, name)
    return f"{base}.{held}" if held else f"getattr({base}, {literal(name)})"
