"""What both GUI worlds share in words: roles, states, and how text becomes token ids."""

from __future__ import annotations

import re
import zlib

# Index 0 is padding. Names follow ARIA.
ROLES = (
    "", "window", "dialog", "toolbar", "navigation", "card", "listitem", "row", "heading", "text", "image",
    "button", "link", "textbox", "checkbox", "radio", "switch", "combobox", "option", "tab", "menuitem", "slider",
    "cell", "list", "menu", "other",
)  # fmt: skip
ROLE_ID = {name: index for index, name in enumerate(ROLES)}
INTERACTIVE = ROLES[11:22]

STATES = ("disabled", "checked", "selected", "expanded", "focused", "pressed", "required", "invalid")
STATE_BIT = {name: 1 << index for index, name in enumerate(STATES)}

VOCABULARY = 4096  # token ids are 0 (padding) to 4095
_WORD = re.compile(r"[^\W_]+")

_SYNONYMS = {
    "searchbox": "textbox", "spinbutton": "textbox", "text_input": "textbox", "textfield": "textbox", "textarea": "textbox",
    "listbox": "list", "statictext": "text", "paragraph": "text", "label": "text", "labeltext": "text", "legend": "text",
    "img": "image", "graphics-symbol": "image", "svgroot": "image", "figure": "image", "pictogram": "image", "map": "image",
    "menuitemcheckbox": "menuitem", "menuitemradio": "menuitem", "radiobutton": "radio", "radio_button": "radio",
    "togglebutton": "button", "popupbutton": "button", "popuphint": "combobox", "comboboxmenubutton": "combobox",
    "comboboxselect": "combobox", "combobox_grouping": "combobox", "list_item": "listitem", "treeitem": "listitem",
    "articles": "card", "article": "card", "region": "card", "group": "card", "form": "card", "complementary": "card",
    "banner": "navigation", "navigation_bar": "navigation", "tablist": "navigation", "menubar": "menu", "alertdialog": "dialog",
    "gridcell": "cell", "columnheader": "cell", "rowheader": "cell", "table": "list", "grid": "list", "menulistoption": "option",
    "listboxoption": "option", "meter": "slider", "progressindicator": "other", "rootwebarea": "window", "main": "window",
}  # fmt: skip


def role_id(name: str) -> int:
    """Id of a role by its ARIA, Chromium or Android name; that of "other" if unknown."""
    name = name.strip().lower()
    return ROLE_ID.get(_SYNONYMS.get(name, name), ROLE_ID["other"])


def state_bits(names) -> int:
    """Bit set of the known ones among ``names``."""
    return sum(STATE_BIT.get(name, 0) for name in set(names))


def tokens(text: str, length: int | None = None) -> list[int]:
    """Token ids of the words of ``text``: ``1 + crc32(lower-case word) mod (VOCABULARY - 1)``, cut or padded to ``length``.

    A hash needs no word list, so any screen can be read; two words share an id once in 4,095.
    """
    found = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in _WORD.findall(text.lower())]
    return found if length is None else (found + [0] * length)[:length]
