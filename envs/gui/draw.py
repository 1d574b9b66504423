"""Rules that draw a screen: rectangles, letters, icons. ``out`` is uint8 ``[row, y, x, 3]``; everything is clipped."""

from __future__ import annotations

from rewardscape.envs.core import rule
from rewardscape.envs.gui.glyphs import FONT_3X5, FONT_5X7, ICON_BITS, PALETTE
from rewardscape.envs.gui.layout import (
    BUTTON,
    CARD,
    CHECKBOX,
    CHECKED,
    CLOSE,
    COMBOBOX,
    DIALOG,
    FLAT,
    ICON_ONLY,
    LINK,
    LISTITEM,
    MENU_ROLE,
    MENUITEM_ROLE,
    NAVIGATION,
    PRIMARY,
    RADIO,
    SELECTED,
    SLIDER,
    SWITCH,
    TAB_ROLE,
    TEXTBOX,
    TOOLBAR,
    WINDOW,
)

# Colours of a theme.
GROUND, PANEL, BORDER, INK, FAINT, ACCENT, ON_ACCENT, FIELD, BAR = range(9)


@rule
def fill(w, i, out, r, x1, y1, x2, y2, colour):
    """A filled rectangle, [x1, x2) by [y1, y2)."""
    t = w.state.theme[i]
    red, green, blue = w.shared.palette[t, colour, 0], w.shared.palette[t, colour, 1], w.shared.palette[t, colour, 2]
    for y in range(max(y1, 0), min(y2, out.shape[1])):
        for x in range(max(x1, 0), min(x2, out.shape[2])):
            out[r, y, x, 0] = red
            out[r, y, x, 1] = green
            out[r, y, x, 2] = blue


@rule
def frame(w, i, out, r, x1, y1, x2, y2, inside, edge):
    """A filled rectangle with an edge of one pixel and its corners cut."""
    fill(w, i, out, r, x1 + 1, y1, x2 - 1, y1 + 1, edge)
    fill(w, i, out, r, x1 + 1, y2 - 1, x2 - 1, y2, edge)
    fill(w, i, out, r, x1, y1 + 1, x1 + 1, y2 - 1, edge)
    fill(w, i, out, r, x2 - 1, y1 + 1, x2, y2 - 1, edge)
    fill(w, i, out, r, x1 + 1, y1 + 1, x2 - 1, y2 - 1, inside)


@rule
def dot(w, i, out, r, x, y, colour):
    """One pixel."""
    if 0 <= y < out.shape[1] and 0 <= x < out.shape[2]:
        t = w.state.theme[i]
        for j in range(3):
            out[r, y, x, j] = w.shared.palette[t, colour, j]


@rule
def write(w, i, out, r, x, y, label, colour):
    """A label's letters from their top left corner, in the row's font."""
    small = w.state.small_font[i]
    glyphs = w.shared.small_font if small else w.shared.large_font
    height, width = glyphs.shape[1], glyphs.shape[2]
    for place in range(w.shared.label_length[label]):
        code = w.shared.label_chars[label, place]
        left = x + place * (width + 1)
        for v in range(height):
            for u in range(width):
                if glyphs[code, v, u]:
                    dot(w, i, out, r, left + u, y + v, colour)


@rule
def icon(w, i, out, r, x1, y1, x2, y2, label, colour):
    """A label's icon in the middle of a box, as large as fits."""
    size = w.shared.icons.shape[1]
    room = min(x2 - x1, y2 - y1)
    zoom = max(1, (room - 2) // size)
    left = (x1 + x2 - size * zoom) // 2
    top = (y1 + y2 - size * zoom) // 2
    for v in range(size * zoom):
        for u in range(size * zoom):
            if w.shared.icons[label - CLOSE, v // zoom, u // zoom]:
                dot(w, i, out, r, left + u, top + v, colour)


@rule
def draw_element(w, i, out, r, n):
    """One element by its role."""
    s = w.state
    x1, y1, x2, y2 = s.box[i, n, 0], s.box[i, n, 1], s.box[i, n, 2], s.box[i, n, 3]
    role, label, look = s.role[i, n], s.label[i, n], s.look[i, n]
    letters = 5 if s.small_font[i] else 7
    middle = (y1 + y2 - letters) // 2
    marked = (s.bits[i, n] & (CHECKED | SELECTED)) != 0
    if role == WINDOW or role == DIALOG or role == CARD:
        frame(w, i, out, r, x1, y1, x2, y2, PANEL, BORDER)
        if role != CARD:
            fill(w, i, out, r, x1 + 1, y1 + 1, x2 - 1, y1 + letters + 4, ACCENT if role == DIALOG else BAR)
        write(w, i, out, r, x1 + 3, y1 + 2, label, ON_ACCENT if role == DIALOG else INK)
    elif role == TOOLBAR or role == NAVIGATION:
        fill(w, i, out, r, x1, y1, x2, y2, BAR)
        if role == TOOLBAR and look == FLAT:
            write(w, i, out, r, x1 + (y2 - y1) + 3, middle, label, INK)
    elif role == MENU_ROLE:
        frame(w, i, out, r, x1, y1, x2, y2, PANEL, BORDER)
    elif role == LISTITEM:
        fill(w, i, out, r, x1, y2 - 1, x2, y2, BORDER)
        write(w, i, out, r, x1 + 1, middle, label, INK)
    elif role == BUTTON and look == ICON_ONLY:
        frame(w, i, out, r, x1, y1, x2, y2, FIELD, FIELD)
        icon(w, i, out, r, x1, y1, x2, y2, label, INK)
    elif role == BUTTON:
        primary = look == PRIMARY
        frame(w, i, out, r, x1, y1, x2, y2, ACCENT if primary else FIELD, ACCENT if primary else BORDER)
        write(w, i, out, r, x1 + 3, middle, label, ON_ACCENT if primary else INK)
    elif role == LINK:
        write(w, i, out, r, x1 + 1, middle, label, ACCENT)
        fill(w, i, out, r, x1 + 1, middle + letters + 1, x2 - 1, middle + letters + 2, ACCENT)
    elif role == TEXTBOX or role == COMBOBOX:
        frame(w, i, out, r, x1, y1, x2, y2, FIELD, FAINT)
        write(w, i, out, r, x1 + 3, middle, label, FAINT)
        if role == COMBOBOX:
            for k in range(3):
                fill(w, i, out, r, x2 - 8 + k, middle + 1 + k, x2 - 3 - k, middle + 2 + k, INK)
    elif role == TAB_ROLE:
        write(w, i, out, r, (x1 + x2 - w.shared.label_length[label] * (4 if s.small_font[i] else 6)) // 2, middle, label,
              ACCENT if marked else INK)  # fmt: skip
        if marked:
            fill(w, i, out, r, x1, y2 - 1, x2, y2, ACCENT)
    elif role == MENUITEM_ROLE:
        write(w, i, out, r, x1 + 3, middle, label, INK)
    else:
        draw_option(w, i, out, r, n, middle, letters, marked)


@rule
def draw_option(w, i, out, r, n, middle, letters, marked):
    """Box, ring, switch or slider, with its label to the right."""
    s = w.state
    x1, y1, x2, y2 = s.box[i, n, 0], s.box[i, n, 1], s.box[i, n, 2], s.box[i, n, 3]
    role, label = s.role[i, n], s.label[i, n]
    top = middle - 1
    bottom = middle + letters + 1
    if role == CHECKBOX or role == RADIO:
        frame(w, i, out, r, x1, top, x1 + letters + 2, bottom, ACCENT if marked and role == CHECKBOX else FIELD, FAINT)
        if marked:
            fill(w, i, out, r, x1 + 2, top + 2, x1 + letters, bottom - 2, ON_ACCENT if role == CHECKBOX else ACCENT)
        write(w, i, out, r, x1 + 12, middle, label, INK)
    elif role == SWITCH:
        frame(w, i, out, r, x1, top, x1 + 11, bottom, ACCENT if marked else BORDER, ACCENT if marked else FAINT)
        knob = x1 + 6 if marked else x1 + 1
        fill(w, i, out, r, knob, top + 1, knob + 4, bottom - 1, ON_ACCENT)
        write(w, i, out, r, x1 + 13, middle, label, INK)
    elif role == SLIDER:
        text = w.shared.label_length[label] * (4 if s.small_font[i] else 6)
        write(w, i, out, r, x1 + 1, middle, label, INK)
        left = x1 + text + 4
        centre = (y1 + y2) // 2
        if left < x2 - 4:
            knob = left + (x2 - 4 - left) * s.look[i, n] // 100
            fill(w, i, out, r, left, centre, x2 - 1, centre + 1, FAINT)
            fill(w, i, out, r, left, centre, knob, centre + 1, ACCENT)
            fill(w, i, out, r, knob, centre - 2, knob + 3, centre + 3, ACCENT)


@rule
def dim(out, r):
    """Darken what has been drawn so far."""
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            for j in range(3):
                out[r, y, x, j] = out[r, y, x, j] // 2 + out[r, y, x, j] // 8


@rule
def draw_screen(w, i, out, r):
    """Draw row ``i``'s screen into picture ``r`` of ``out``."""
    fill(w, i, out, r, 0, 0, out.shape[2], out.shape[1], GROUND)
    for n in range(w.state.count[i]):
        if n == w.state.overlay[i]:
            dim(out, r)
        draw_element(w, i, out, r, n)


__all__ = ["FONT_3X5", "FONT_5X7", "ICON_BITS", "PALETTE", "draw_screen"]
