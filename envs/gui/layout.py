"""Rules that lay out a screen: menu bars, toolbars, windows, panels, lists, dialogs, phones.

A screen is a list of elements in drawing order (state ``box``, ``role``, ``label``, ``parent``, ``look``, ``bits``, ``shown``).
Everything is drawn from the row's own randomness. Sizes follow the row's ``density``: 0 large (phones), 1 normal, 2 dense
(professional desktops); `style` picks it by the world's ``difficulty``.
"""

from __future__ import annotations

from rewardscape.envs.core import chance, integer, rule, uniform
from rewardscape.envs.gui.vocabulary import ROLE_ID, STATE_BIT
from rewardscape.envs.gui.words import KIND, KIND_COUNT, KIND_START

_START = tuple(int(v) for v in KIND_START)
_COUNT = tuple(int(v) for v in KIND_COUNT)
ICON, ACTION, MENU, MENUITEM = KIND["icon"], KIND["action"], KIND["menu"], KIND["menuitem"]
FIELD, OPTION, TAB, TITLE, ITEM = KIND["field"], KIND["option"], KIND["tab"], KIND["title"], KIND["item"]

WINDOW, DIALOG, TOOLBAR, NAVIGATION = ROLE_ID["window"], ROLE_ID["dialog"], ROLE_ID["toolbar"], ROLE_ID["navigation"]
CARD, LISTITEM, HEADING, BUTTON = ROLE_ID["card"], ROLE_ID["listitem"], ROLE_ID["heading"], ROLE_ID["button"]
LINK, TEXTBOX, CHECKBOX, RADIO = ROLE_ID["link"], ROLE_ID["textbox"], ROLE_ID["checkbox"], ROLE_ID["radio"]
SWITCH, COMBOBOX, MENU_ROLE, MENUITEM_ROLE = ROLE_ID["switch"], ROLE_ID["combobox"], ROLE_ID["menu"], ROLE_ID["menuitem"]
TAB_ROLE, SLIDER = ROLE_ID["tab"], ROLE_ID["slider"]
FIRST_INTERACTIVE, LAST_INTERACTIVE = BUTTON, SLIDER
CHECKED, SELECTED = STATE_BIT["checked"], STATE_BIT["selected"]

# How an element is drawn.
PLAIN, ICON_ONLY, PRIMARY, FLAT = 0, 1, 2, 3
CLOSE = _START[ICON]  # labels of the icons with a fixed place
MENU_ICON, BACK, ADD, MORE = CLOSE + 1, CLOSE + 9, CLOSE + 3, CLOSE + 25


@rule
def add(w, i, x1, y1, x2, y2, role, label, parent, look):
    """Append an element; its index, or -1 if it would not fit on the canvas, be under 5 pixels, or exceed the table."""
    s = w.state
    n = s.count[i]
    if n >= w.settings.elements or x1 < 0 or y1 < 0 or x2 > w.settings.width or y2 > w.settings.height:
        return -1
    if x2 - x1 < 5 or y2 - y1 < 5:
        return -1
    s.box[i, n, 0] = x1
    s.box[i, n, 1] = y1
    s.box[i, n, 2] = x2
    s.box[i, n, 3] = y2
    s.role[i, n] = role
    s.label[i, n] = label
    s.parent[i, n] = parent
    s.look[i, n] = look
    s.bits[i, n] = 0
    s.shown[i, n] = True
    s.count[i] = n + 1
    return n


@rule
def pick(w, i, kind):
    """A label of a kind. A hard screen repeats labels more often: an easy one tries again for one it does not show yet."""
    s = w.state
    label = _START[kind] + integer(w, i, 0, _COUNT[kind])
    if chance(w, i, 0.6 * w.settings.difficulty):
        return label
    for _ in range(4):
        repeated = False
        for n in range(s.count[i]):
            if s.label[i, n] == label:
                repeated = True
                break
        if not repeated:
            return label
        label = _START[kind] + integer(w, i, 0, _COUNT[kind])
    return label


@rule
def text_width(w, i, label):
    """Pixels that a label takes in the row's font."""
    return w.shared.label_length[label] * (4 if w.state.small_font[i] else 6) - 1


@rule
def metrics(w, i):
    """(row height, padding) of the row's density and canvas."""
    density = w.state.density[i]
    height = w.settings.height
    if density == 2 or height < 100:
        return 9, 1
    if density == 1:
        return max(12, min(18, height // 16)), 3
    return max(15, min(44, height // 9)), 4


@rule
def icons(w, i, x1, y1, x2, y2, parent, count):
    """Up to ``count`` icon buttons from the right edge leftwards."""
    size = y2 - y1
    for _ in range(count):
        if x2 - size < x1:
            return
        add(w, i, x2 - size, y1, x2, y2, BUTTON, pick(w, i, ICON), parent, ICON_ONLY)
        x2 -= size + 1


@rule
def buttons(w, i, x1, y1, x2, y2, parent, count):
    """Up to ``count`` text buttons from the left; the first may be the primary one."""
    primary = integer(w, i, -1, 2)
    for k in range(count):
        label = pick(w, i, ACTION)
        width = text_width(w, i, label) + 6
        if x1 + width > x2:
            return
        add(w, i, x1, y1, x1 + width, y2, BUTTON, label, parent, PRIMARY if k == primary else PLAIN)
        x1 += width + 3


@rule
def tabs(w, i, x1, y1, x2, y2, parent, count):
    """Up to ``count`` tabs, one of them selected."""
    selected = integer(w, i, 0, count)
    for k in range(count):
        label = pick(w, i, TAB)
        width = text_width(w, i, label) + 6
        if x1 + width > x2:
            return
        n = add(w, i, x1, y1, x1 + width, y2, TAB_ROLE, label, parent, PLAIN)
        if n >= 0 and k == selected:
            w.state.bits[i, n] = SELECTED
        x1 += width + 1


@rule
def list_item(w, i, x1, y1, x2, y2, parent):
    """An entry with its own icon buttons."""
    label = pick(w, i, ITEM)
    n = add(w, i, x1, y1, x2, y2, LISTITEM, label, parent, PLAIN)
    if n >= 0:
        left = x1 + text_width(w, i, label) + 4
        icons(w, i, left, y1 + 1, x2 - 1, y2 - 1, n, integer(w, i, 1, 4))


@rule
def control(w, i, x1, y1, x2, y2, parent):
    """One form row: a field, a box to tick, a slider, a choice."""
    u = integer(w, i, 0, 6)
    if u <= 1:
        role = TEXTBOX if u == 0 else COMBOBOX
        label = pick(w, i, FIELD)
        width = min(x2 - x1, max(text_width(w, i, label) + 12, (x2 - x1) * 3 // 4))
        if text_width(w, i, label) + 4 <= width:
            add(w, i, x1, y1, x1 + width, y2, role, label, parent, PLAIN)
        return
    label = pick(w, i, OPTION)
    width = text_width(w, i, label) + 14
    role = CHECKBOX if u == 2 else RADIO if u == 3 else SWITCH if u == 4 else SLIDER
    if role == SLIDER:
        width = min(x2 - x1, width + 40)
    if width <= x2 - x1:
        n = add(w, i, x1, y1, x1 + width, y2, role, label, parent, integer(w, i, 0, 100) if role == SLIDER else PLAIN)
        if n >= 0 and role != SLIDER and chance(w, i, 0.5):
            w.state.bits[i, n] = CHECKED


@rule
def panel(w, i, x1, y1, x2, y2, parent):
    """Rows of content from ``y1`` down; lists, forms or a mixture."""
    row, pad = metrics(w, i)
    character = integer(w, i, 0, 3)  # 0 list, 1 form, 2 mixed
    while y1 + row <= y2 and w.state.count[i] < w.settings.elements:
        u = integer(w, i, 0, 10)
        if character == 0 and u < 7:
            list_item(w, i, x1, y1, x2, y1 + row, parent)
        elif (character == 1 and u < 7) or u < 3:
            control(w, i, x1, y1, x2, y1 + row, parent)
        elif u < 5:
            list_item(w, i, x1, y1, x2, y1 + row, parent)
        elif u < 8:
            buttons(w, i, x1, y1, x2, y1 + row, parent, integer(w, i, 1, 4))
        elif u == 8:
            label = pick(w, i, ITEM)
            width = text_width(w, i, label) + 2
            if width <= x2 - x1:
                add(w, i, x1, y1, x1 + width, y1 + row, LINK, label, parent, PLAIN)
        else:
            tabs(w, i, x1, y1, x2, y1 + row, parent, integer(w, i, 2, 5))
        y1 += row + pad


@rule
def window(w, i, x1, y1, x2, y2, role, parent):
    """A titled area with a Close button, perhaps a toolbar, and a panel. Its index, or -1."""
    row, pad = metrics(w, i)
    title = pick(w, i, TITLE)
    n = add(w, i, x1, y1, x2, y2, role, title, parent, PLAIN)
    if n < 0:
        return -1
    if role != CARD:
        add(w, i, x2 - row, y1 + 1, x2 - 1, y1 + row, BUTTON, CLOSE, n, ICON_ONLY)
    top = y1 + row + 1 + pad
    if role != CARD and chance(w, i, 0.4):
        icons(w, i, x1 + pad, top, x2 - pad, top + row, n, integer(w, i, 2, 3 + (x2 - x1) // (3 * row)))
        top += row + pad
    bottom = y2 - pad
    if role == DIALOG:
        bottom -= row + pad
        buttons(w, i, x1 + pad + 1, bottom, x2 - pad, bottom + row, n, integer(w, i, 2, 4))
        bottom -= pad
    panel(w, i, x1 + pad + 1, top, x2 - pad - 1, bottom, n)
    return n


@rule
def desktop(w, i):
    """A menu bar, a toolbar, and one to four windows side by side."""
    row, pad = metrics(w, i)
    width, height = w.settings.width, w.settings.height
    top = 0
    if chance(w, i, 0.7):
        x = pad
        for _ in range(integer(w, i, 3, 9)):
            label = pick(w, i, MENU)
            size = text_width(w, i, label) + 6
            if x + size > width:
                break
            add(w, i, x, 0, x + size, row, MENUITEM_ROLE, label, -1, FLAT)
            x += size
        top = row + 1
    if chance(w, i, 0.6):
        n = add(w, i, 0, top, width, top + row + 2, TOOLBAR, pick(w, i, TITLE), -1, PLAIN)
        icons(w, i, 2, top + 1, width - 2, top + 1 + row, n, integer(w, i, 3, 4 + width // (2 * row)))
        top += row + 3
    columns = integer(w, i, 1, 2 + min(3, width // 110))
    if w.state.density[i] == 2 and width >= 240:
        columns = max(columns, 2)
    left = 0
    for k in range(columns):
        right = (
            width if k == columns - 1 else left + (width - left) // (columns - k) + integer(w, i, -width // 20, width // 20 + 1)
        )
        bottom = height - 1
        if height - top > 12 * row and chance(w, i, 0.5):  # two, one above the other
            middle = top + (height - top) * integer(w, i, 40, 61) // 100
            window(w, i, left + 1, top + 1, right - 1, middle, WINDOW, -1)
            window(w, i, left + 1, middle + 2, right - 1, bottom, WINDOW, -1)
        else:
            window(w, i, left + 1, top + 1, right - 1, bottom, WINDOW, -1)
        left = right


@rule
def phone(w, i):
    """An app bar, cards or a list, and a bottom navigation."""
    row, pad = metrics(w, i)
    width, height = w.settings.width, w.settings.height
    n = add(w, i, 0, 0, width, row + 2, TOOLBAR, pick(w, i, TITLE), -1, FLAT)
    add(w, i, 1, 1, 1 + row, 1 + row, BUTTON, BACK if chance(w, i, 0.5) else MENU_ICON, n, ICON_ONLY)
    icons(w, i, width // 2, 1, width - 1, 1 + row, n, integer(w, i, 1, 4))
    bottom = height
    if chance(w, i, 0.7):
        bottom = height - row - 4
        n = add(w, i, 0, bottom, width, height, NAVIGATION, pick(w, i, TITLE), -1, FLAT)
        count = integer(w, i, 3, 6)
        selected = integer(w, i, 0, count)
        for k in range(count):
            label = pick(w, i, TAB)
            m = -1
            if text_width(w, i, label) + 2 <= width // count:
                m = add(w, i, width * k // count, bottom, width * (k + 1) // count, height, TAB_ROLE, label, n, FLAT)
            if m >= 0 and k == selected:
                w.state.bits[i, m] = SELECTED
    top = row + 3 + pad
    if chance(w, i, 0.5):
        panel(w, i, pad, top, width - pad, bottom - pad, -1)
        return
    while top + 3 * row < bottom:
        size = row * integer(w, i, 3, 6)
        window(w, i, pad, top, width - pad, min(top + size, bottom - 1), CARD, -1)
        top += size + pad + 2


@rule
def cover(w, i, x1, y1, x2, y2):
    """Take what lies under the box out of the element table (it stays drawn, below)."""
    s = w.state
    for n in range(s.count[i]):
        if s.box[i, n, 0] < x2 and s.box[i, n, 2] > x1 and s.box[i, n, 1] < y2 and s.box[i, n, 3] > y1:
            container = s.role[i, n] < BUTTON and (
                s.box[i, n, 0] < x1 - 4 or s.box[i, n, 1] < y1 - 4 or s.box[i, n, 2] > x2 + 4 or s.box[i, n, 3] > y2 + 4
            )
            if not container:
                s.shown[i, n] = False


@rule
def open_dialog(w, i):
    """A dialog in the middle."""
    width, height = w.settings.width, w.settings.height
    row, _ = metrics(w, i)
    dw = max(min(width - 4, 60), width * integer(w, i, 40, 75) // 100)
    dh = min(height - 4, max(5 * row, height * integer(w, i, 35, 70) // 100))
    x1, y1 = (width - dw) // 2, (height - dh) // 2
    cover(w, i, x1, y1, x1 + dw, y1 + dh)
    w.state.overlay[i] = w.state.count[i]
    window(w, i, x1, y1, x1 + dw, y1 + dh, DIALOG, -1)


@rule
def open_menu(w, i):
    """A menu that has been opened somewhere."""
    width, height = w.settings.width, w.settings.height
    row, _ = metrics(w, i)
    count = integer(w, i, 3, 9)
    mw = min(width - 2, 90)
    x1 = integer(w, i, 0, max(1, width - mw))
    y1 = integer(w, i, row, max(row + 1, height // 2))
    count = min(count, (height - y1 - 2) // row)
    if count < 1:
        return
    cover(w, i, x1, y1, x1 + mw, y1 + count * row + 2)
    n = add(w, i, x1, y1, x1 + mw, y1 + count * row + 2, MENU_ROLE, pick(w, i, MENU), -1, PLAIN)
    if n >= 0:
        for k in range(count):
            label = pick(w, i, MENUITEM)
            if text_width(w, i, label) + 4 <= mw:
                add(w, i, x1 + 1, y1 + 1 + k * row, x1 + mw - 1, y1 + 1 + (k + 1) * row, MENUITEM_ROLE, label, n, PLAIN)


@rule
def style(w, i):
    """Theme, density and font of the row. The harder the world, the more dense desktops."""
    s = w.state
    s.theme[i] = integer(w, i, 0, w.shared.palette.shape[0])
    u = uniform(w, i)
    dense = 0.1 + 0.7 * w.settings.difficulty
    s.density[i] = 2 if u < dense else 1 if u < dense + (1 - dense) * 0.5 else 0
    s.small_font[i] = s.density[i] == 2 or w.settings.width < 160 or w.settings.height < 100
    return s.density[i]


@rule
def generate(w, i):
    """A new screen in row ``i``."""
    s = w.state
    s.count[i] = 0
    s.overlay[i] = -1
    density = style(w, i)
    if density == 0 or (density == 1 and chance(w, i, 0.25)):
        phone(w, i)
    else:
        desktop(w, i)
    room = w.settings.elements - s.count[i]
    if room >= 8:
        u = uniform(w, i)
        if u < 0.25:
            open_dialog(w, i)
        elif u < 0.45:
            open_menu(w, i)


@rule
def is_target(w, i, n):
    """May an instruction mean element ``n``?"""
    role = w.state.role[i, n]
    return w.state.shown[i, n] and FIRST_INTERACTIVE <= role <= LAST_INTERACTIVE


@rule
def targets(w, i):
    """How many elements an instruction may mean."""
    found = 0
    for n in range(w.state.count[i]):
        if is_target(w, i, n):
            found += 1
    return found
