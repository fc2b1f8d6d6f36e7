"""Textures over colours, so that neighbours in a stack differ without them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from lxml import etree

_PREFIX = "texture-"
# Lines in the page's colour, within 6 by 6 pixels.
_LINES = (
    "",
    "M-1,7L7,-1M-1,1L1,-1M5,7L7,5",
    "M1.5,1.5h1v1h-1ZM4.5,4.5h1v1h-1Z",
    "M-1,-1L7,7M-1,5L1,7M5,-1L7,1",
    "M0,3H6",
    "M3,0V6M0,3H6",
)


def textured(tone: str, index: int) -> str:
    """The classes of a shape of this colour and texture."""
    index %= len(_LINES)
    return f"{tone} {_PREFIX}{index}" if index else tone


def apply(root: Any, name: str) -> None:
    """Lay its texture over each shape that has the class of one; `name` starts the textures' ids."""
    used: set[int] = set()
    for shape in list(root.iter("path")):
        classes = shape.get("class", "").split()
        found = next((each for each in classes if each.startswith(_PREFIX)), None)
        if found is None:
            continue
        classes.remove(found)
        shape.set("class", " ".join(classes))
        over = deepcopy(shape)
        over.tail = None
        over.attrib.pop("class")
        over.set("fill", f"url(#{name}-{found})")
        shape.addnext(over)
        used.add(int(found.removeprefix(_PREFIX)))
    if used:
        definitions = etree.Element("defs")
        definitions.extend(_pattern(name, index) for index in sorted(used))
        root.insert(2, definitions)


def _pattern(name: str, index: int) -> Any:
    pattern = etree.Element("pattern", id=f"{name}-{_PREFIX}{index}", width="6", height="6")
    pattern.set("patternUnits", "userSpaceOnUse")
    lines = etree.SubElement(pattern, "path", d=_LINES[index], stroke="currentColor", opacity="0.5")
    lines.set("stroke-width", "1.2")
    lines.set("class", "paper")
    return pattern
