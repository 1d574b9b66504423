"""``rewardscape/GUIGrounding-v0``: click what the instruction names, on screens made by rules."""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any, NamedTuple

import numpy as np

from rewardscape.envs.core import Array, LiveTexts, World, integer, joined, rule
from rewardscape.envs.core.batch import Batch
from rewardscape.envs.gui import words
from rewardscape.envs.gui.common import GUIRules, Task, answer, pay_attention
from rewardscape.envs.gui.draw import FONT_3X5, FONT_5X7, ICON_BITS, PALETTE, draw_screen
from rewardscape.envs.gui.layout import (
    ACTION,
    BUTTON,
    CHECKBOX,
    ICON_ONLY,
    MENUITEM_ROLE,
    SLIDER,
    SWITCH,
    TEXTBOX,
    add,
    generate,
    is_target,
    pick,
    targets,
)
from rewardscape.envs.gui.picture import enlarge

PIECES = 8  # phrases of an instruction at most
_CLICK, _OPEN, _TYPE, _TOGGLE, _DRAG = (
    words.VERB_PHRASE + words.VERBS.index(v) for v in ("click", "open", "type into", "toggle", "drag")
)
_THE, _IN_THE = words.VERB_PHRASE + words.VERBS.index("the"), words.VERB_PHRASE + words.VERBS.index("in the")
_ICON = words.VERB_PHRASE + words.VERBS.index("icon")
_ROLE, _ORDINAL, _ORDINALS = words.ROLE_PHRASE, words.ORDINAL_PHRASE, len(words.ORDINALS)


class Layout(NamedTuple):
    """The screen: elements in drawing order, in pixels of the canvas."""

    box: Annotated[Array, "int16", "elements", 4]
    role: Annotated[Array, "int16", "elements"]
    label: Annotated[Array, "int16", "elements"]  # index into words.LABELS
    parent: Annotated[Array, "int16", "elements"]  # element that contains it, or -1
    look: Annotated[Array, "int16", "elements"]
    bits: Annotated[Array, "int16", "elements"]  # bits of STATES
    shown: Annotated[Array, "bool", "elements"]  # False: covered by a dialog or menu
    count: Annotated[Array, "int32"]
    overlay: Annotated[Array, "int32"]  # first element of an open dialog, or -1
    theme: Annotated[Array, "int32"]
    density: Annotated[Array, "int32"]  # 0 large, 1 normal, 2 dense
    small_font: Annotated[Array, "bool"]
    target: Annotated[Array, "int32", "instructions"]
    phrases: Annotated[Array, "int16", "instructions", 8]  # index into words.PHRASES; 0: none


State = joined("State", __name__, Task, Layout)


class Shared(NamedTuple):
    """Fonts, icons, colours and words."""

    label_chars: Array
    label_length: Array
    phrase_tokens: Array
    palette: Array
    small_font: Array
    large_font: Array
    icons: Array


@rule
def say(w, i, k, piece, phrase):
    """Write one phrase of instruction ``k``; the next free place."""
    w.state.phrases[i, k, piece] = phrase
    return piece + 1


@rule
def twins(w, i, t):
    """(as many elements share target ``t``'s name and role, its name, its name and role in its container; its rank)."""
    s = w.state
    same, named, within, rank = 0, 0, 0, 0
    for n in range(s.count[i]):
        if s.shown[i, n] and s.label[i, n] == s.label[i, t]:
            named += 1
            if s.role[i, n] == s.role[i, t]:
                same += 1
                if s.parent[i, n] == s.parent[i, t]:
                    within += 1
                if s.box[i, n, 1] < s.box[i, t, 1] or (s.box[i, n, 1] == s.box[i, t, 1] and s.box[i, n, 0] < s.box[i, t, 0]):
                    rank += 1
    return same, named, within, rank


@rule
def names_one(w, i, p):
    """Is element ``p`` the only one shown with its name and role?"""
    s = w.state
    for n in range(s.count[i]):
        if n != p and s.shown[i, n] and s.label[i, n] == s.label[i, p] and s.role[i, n] == s.role[i, p]:
            return False
    return True


@rule
def verb(role):
    """The phrase for acting on a role."""
    if role == TEXTBOX:
        return _TYPE
    if role == CHECKBOX or role == SWITCH:
        return _TOGGLE
    if role == SLIDER:
        return _DRAG
    if role == MENUITEM_ROLE:
        return _OPEN
    return _CLICK


@rule
def instruct(w, i, k, t):
    """Instruction ``k`` names element ``t`` and no other. False if no phrase does."""
    s = w.state
    same, named, within, rank = twins(w, i, t)
    role, label, parent = s.role[i, t], s.label[i, t], s.parent[i, t]
    what = _ICON if role == BUTTON and s.look[i, t] == ICON_ONLY else _ROLE + role
    for piece in range(PIECES):
        s.phrases[i, k, piece] = 0
    form = integer(w, i, 0, 3)
    if same == 1 and named == 1 and form == 0:
        say(w, i, k, 0, label)
        return True
    contained = parent >= 0 and within == 1 and s.shown[i, parent] and names_one(w, i, parent)
    if same > 1 and not contained and rank >= _ORDINALS:
        return False
    piece = 0
    if form != 1:
        piece = say(w, i, k, piece, verb(role))
        piece = say(w, i, k, piece, _THE)
    if same > 1 and not contained:
        piece = say(w, i, k, piece, _ORDINAL + rank)
    piece = say(w, i, k, piece, label)
    piece = say(w, i, k, piece, what)
    if same > 1 and contained:
        piece = say(w, i, k, piece, _IN_THE)
        piece = say(w, i, k, piece, s.label[i, parent])
        say(w, i, k, piece, _ROLE + s.role[i, parent])
    return True


@rule
def choose(w, i):
    """Targets and instructions of the screen: distinct targets as long as there are enough."""
    s = w.state
    instructions = w.settings.instructions
    for k in range(instructions):
        start = integer(w, i, 0, s.count[i])
        chosen = -1
        for again in range(2):  # first among the targets not taken yet
            for step in range(s.count[i]):
                n = (start + step) % s.count[i]
                if not is_target(w, i, n):
                    continue
                taken = False
                for earlier in range(k):
                    if s.target[i, earlier] == n:
                        taken = True
                if (again == 1 or not taken) and instruct(w, i, k, n):
                    chosen = n
                    break
            if chosen >= 0:
                break
        s.target[i, k] = chosen
        for j in range(4):
            s.target_box[i, k, j] = s.box[i, chosen, j]


@rule
def tabulate(w, i):
    """Write the element table: observation and facts."""
    s, o, f, c = w.state, w.observation, w.facts, w.settings
    name_tokens = min(o.names.shape[2], w.shared.phrase_tokens.shape[1])
    count = 0
    for n in range(s.count[i]):
        if s.shown[i, n]:
            for j in range(4):
                f.element_boxes[i, count, j] = s.box[i, n, j]
            if c.tables:
                o.boxes[i, count, 0] = 2 * s.box[i, n, 0] / np.float32(c.width) - 1
                o.boxes[i, count, 1] = 2 * s.box[i, n, 1] / np.float32(c.height) - 1
                o.boxes[i, count, 2] = 2 * s.box[i, n, 2] / np.float32(c.width) - 1
                o.boxes[i, count, 3] = 2 * s.box[i, n, 3] / np.float32(c.height) - 1
            o.roles[i, count] = s.role[i, n]
            o.states[i, count] = s.bits[i, n]
            for j in range(name_tokens):
                o.names[i, count, j] = w.shared.phrase_tokens[s.label[i, n], j]
            count += 1
    for n in range(count, max(count, f.element_count[i])):  # what the last screen left behind
        for j in range(4):
            f.element_boxes[i, n, j] = 0
            o.boxes[i, n, j] = 0
        o.roles[i, n] = 0
        o.states[i, n] = 0
        for j in range(name_tokens):
            o.names[i, n, j] = 0
    f.element_count[i] = count


@rule
def reset(w, i):
    """A new screen with its instructions."""
    s = w.state
    for _ in range(20):
        generate(w, i)
        if targets(w, i) > 0:
            break
    if targets(w, i) == 0:  # a canvas too small for chance: one button
        s.count[i] = 0
        add(w, i, 0, 0, w.settings.width, w.settings.height, BUTTON, pick(w, i, ACTION), -1, 0)
    choose(w, i)
    s.current[i] = 0
    s.hits[i] = 0
    s.zoom[i] = 1
    s.offset[i, 0] = 0
    s.offset[i, 1] = 0
    w.facts.screen_size[i, 0] = w.settings.width
    w.facts.screen_size[i, 1] = w.settings.height
    tabulate(w, i)
    pay_attention(w, i, True)
    if w.settings.pixels:
        draw_screen(w, i, w.observation.pixels, i)


@rule
def step(w, i):
    """The agent answers an instruction."""
    answer(w, i)


@rule
def observe(w, i):
    """Token ids of the current instruction."""
    s, out = w.state, w.observation.instruction
    place = 0
    for piece in range(PIECES):
        phrase = s.phrases[i, s.current[i], piece]
        if phrase > 0:
            for j in range(w.shared.phrase_tokens.shape[1]):
                token = w.shared.phrase_tokens[phrase, j]
                if token > 0 and place < out.shape[1]:
                    out[i, place] = token
                    place += 1
    for rest in range(place, out.shape[1]):
        out[i, rest] = 0


def sentence(phrases: np.ndarray) -> str:
    """The words of an instruction's phrases."""
    return " ".join(words.PHRASES[phrase] for phrase in phrases if phrase)


def _current(phrases: np.ndarray, current: np.ndarray) -> str:
    return sentence(phrases[current])


class GUIGrounding(GUIRules):
    """Click what the instruction names, on screens made by rules: windows, forms, lists, dialogs, menus, phones.

    Settings: ``observation`` ("elements": table of boxes, roles, name tokens and states; "pixels"; "both"); ``action``
    ("point", "box", "point+confidence", "attend"); ``instructions`` a screen; ``screen_size`` (width, height) of the canvas,
    from 48 pixels on; ``elements``, ``name_tokens``, ``instruction_tokens``: lengths of the tables; ``proposals`` of "attend";
    ``difficulty`` in [0, 1]: 0 shows mostly large elements with different names, 1 mostly dense desktops with tiny icons and
    repeated names. Instructions name one element only: by name, name and role, container, or rank in reading order.
    """

    State = State
    Shared = Shared
    reset = staticmethod(reset)
    step = staticmethod(step)
    observe = staticmethod(observe)
    parallel_from = 64

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.shared = Shared(
            words.LABEL_CHARS, words.LABEL_CHAR_COUNT, words.PHRASE_TOKENS, PALETTE, FONT_3X5, FONT_5X7, ICON_BITS
        )  # fmt: skip
        self._drawing: Batch | None = None

    def instruction(self, world: World, row: int, index: int) -> str:
        return sentence(world.state.phrases[row, index])

    def element_name(self, world: World, row: int, index: int) -> str:
        shown = np.flatnonzero(world.state.shown[row][: world.state.count[row]])
        return words.LABELS[world.state.label[row, shown[index]]]

    def texts(self, world: World) -> dict[str, Any]:
        return {"instruction": LiveTexts(_current, world.state.phrases, world.state.current)}

    def screen(self, world: World, row: int, scale: int = 1) -> np.ndarray:
        if self.settings.pixels:
            return super().screen(world, row, scale)
        twin = self._twin()
        for name in ("seed", "index"):
            getattr(twin.world.episode, name)[0] = getattr(world.episode, name)[row]
        twin.reset(np.ones(1, bool))
        return enlarge(twin.world.observation.pixels[0], scale)

    def _twin(self) -> Batch:
        """One row of the same world that also draws what it makes: by compiled kernels that lie in the cache already."""
        if self._drawing is None:
            rules = copy(self)
            rules.settings = self.settings._replace(pixels=True)
            rules.extents = {**self.extents, "pixel_height": self.settings.height, "pixel_width": self.settings.width}
            self._drawing = Batch(rules, 1)
        return self._drawing
