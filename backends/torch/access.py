"""Where modules stand: the attributes that hold them, and how the source reads these.

The state of a module must go by the names of the graph, whatever Python thinks of them. Most
can be attributes. A keyword, or a number among names, is registered under its own name and read
by `getattr`; what `nn.Module` has taken for itself gets another attribute, and the helper
`saved_as` puts the name into the state.
"""

from __future__ import annotations

from xgraph.backends.torch.code import literal
from xgraph.backends.torch.tree import Group, Member, member_name
from xgraph.ir.graph import Node


def renamed(group: Group) -> dict[str, str]:
    """Attributes of `group` with the names that they have in its state, where these differ."""
    return {held: name for name, held in group.attributes.items() if held and held != name}


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
    held = group.attributes[name]
    return f"{base}.{held}" if held else f"getattr({base}, {literal(name)})"
