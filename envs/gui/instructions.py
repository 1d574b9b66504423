"""Instructions for the elements of a recorded screen: each names one element and no other."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from rewardscape.envs.gui.vocabulary import INTERACTIVE

ORDINALS = ("first", "second", "third", "fourth", "fifth")
CONTAINERS = ("dialog", "menu", "toolbar", "navigation", "card", "row", "listitem", "list")
_VERBS = {
    "textbox": ("type into", "click", "focus"),
    "checkbox": ("toggle", "check", "click"),
    "switch": ("toggle", "flip", "click"),
    "slider": ("adjust", "drag", "click"),
    "combobox": ("open", "click", "choose from"),
    "link": ("follow", "click", "open"),
    "tab": ("open", "switch to", "click"),
    "radio": ("select", "choose", "click"),
    "option": ("select", "choose", "click"),
    "menuitem": ("choose", "select", "click"),
}
_NOUNS = {"image": "icon", "textbox": "field", "combobox": "drop-down", "menuitem": "menu entry"}


def instruct(
    elements: Sequence[Any], size: tuple[int, int], roles: Sequence[str] = INTERACTIVE, shortest: float = 6.0
) -> list[tuple[int, str, str]]:
    """``[(index, instruction, "text" | "icon")]`` for the named elements of ``roles`` that lie wholly on a screen.

    ``elements``: objects with ``box``, ``role``, ``name`` and perhaps ``visible_text`` (False for a button that is an icon).
    Boxes narrower or lower than ``shortest`` pixels get none.
    An element that shares role and name with others is told apart by the container it alone lies in, or by its rank in
    reading order (row by row from the top, each row from the left); beyond the fifth it gets no instruction. The wording
    depends on nothing but the screen.
    """
    found = []
    width, height = size
    shown = [_shown(e, width, height, shortest) for e in elements]
    groups: dict[tuple[str, str], list[int]] = {}
    for index, element in enumerate(elements):
        if shown[index] and element.role in roles and 0 < len(element.name) <= 60:
            groups.setdefault((element.role, _plain(element.name)), []).append(index)
    for (role, _), members in groups.items():
        noun, name = _NOUNS.get(role, role), " ".join(elements[members[0]].name.split())
        order = _reading_order([elements[i].box for i in members])
        holders = [_containers(elements, i) for i in members]
        for rank, place in enumerate(order):
            index = members[place]
            verbs = _VERBS.get(role, ("click", "press", "tap"))
            verb = verbs[zlib.crc32(f"{name}/{elements[index].box}".encode()) % len(verbs)]
            if len(members) == 1:
                text = f"{verb} the {name} {noun}"
            elif (own := next((h for h in holders[place] if sum(h in other for other in holders) == 1), None)) is not None:
                text = f"{verb} the {name} {noun} in the {own}"
            elif rank < len(ORDINALS):
                text = f"{verb} the {ORDINALS[rank]} {name} {noun}"
            else:
                continue
            kind = "icon" if role == "image" or not getattr(elements[index], "visible_text", True) else "text"
            found.append((index, text, kind))
    return sorted(found)


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


def _shown(element: Any, width: float, height: float, shortest: float) -> bool:
    x1, y1, x2, y2 = element.box
    return x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height and min(x2 - x1, y2 - y1) >= shortest


def _containers(elements: Sequence[Any], index: int) -> list[str]:
    """What encloses the element, as "Export dialog", the smallest first."""
    x1, y1, x2, y2 = elements[index].box
    found = []
    for other, element in enumerate(elements):
        u1, v1, u2, v2 = element.box
        if other == index or element.role not in CONTAINERS or not 0 < len(element.name) <= 40:
            continue
        if u1 <= x1 and v1 <= y1 and x2 <= u2 and y2 <= v2:
            noun = "entry" if element.role == "listitem" else element.role
            found.append(((u2 - u1) * (v2 - v1), f"{' '.join(element.name.split())} {noun}"))
    return list(dict.fromkeys(label for _, label in sorted(found)))


def _reading_order(boxes: Sequence[tuple[float, float, float, float]]) -> list[int]:
    """Indices row by row: a box belongs to a row whose first box it overlaps by half its height."""
    left = sorted(range(len(boxes)), key=lambda i: (boxes[i][1] + boxes[i][3], boxes[i][0]))
    order: list[int] = []
    while left:
        top, bottom = boxes[left[0]][1], boxes[left[0]][3]
        row = [i for i in left if top <= (boxes[i][1] + boxes[i][3]) / 2 <= bottom]
        order += sorted(row, key=lambda i: boxes[i][0])
        left = [i for i in left if i not in row]
    return order
