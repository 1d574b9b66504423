"""What mazes of one agent and of several share: walls in words, and the view of an agent.

A row of the map is one int64 word: bit ``x`` of ``walls[y]`` is set where cell (x, y) is wall, and so are all bits from ``size``
on. Shifted arithmetically, a word brings in more walls, so that a view beyond the edge needs no test of its cells. The outermost
cells are always wall: nothing that moves needs to ask whether it leaves the map.

Directions are 0 north, 1 east, 2 south, 3 west. Rules here read the settings ``size``, ``lava`` and the state ``walls``, ``lava``.
"""

from __future__ import annotations

import numpy as np

from rewardscape.envs.core import rule

# Channel 0 of a view: the kind of thing in a cell. (Numbers of NumPy: for each Python constant Numba would compile rules anew.)
UNSEEN, WALL, FLOOR, GOAL, KEY, DOOR, LAVA, OBSTACLE, OTHER, AGENT = (np.int64(kind) for kind in range(10))
COMPASS = ("north", "east", "south", "west")

NONE = np.int64(0)
_ONE = np.int64(1)


@rule
def dx(direction):
    """Columns that a move in ``direction`` goes."""
    return (2 - direction) * (direction & 1)


@rule
def dy(direction):
    """Rows that a move in ``direction`` goes."""
    return (direction - 1) * (1 - (direction & 1))


@rule
def is_wall(w, i, x, y):
    """Is cell (x, y) of the map wall?"""
    return (w.state.walls[i, y] >> x) & 1 == 1


@rule
def is_lava(w, i, x, y):
    """Is cell (x, y) of the map lava?"""
    return (w.state.lava[i, y] >> x) & 1 == 1


@rule
def stretch(x1, x2):
    """A word with bits ``x1 .. x2`` set (at most 63 of them)."""
    return ((_ONE << (x2 - x1 + 1)) - _ONE) << x1


@rule
def carve(w, i, x1, y1, x2, y2):
    """Make floor of the cells from (x1, y1) to (x2, y2)."""
    for y in range(y1, y2 + 1):
        w.state.walls[i, y] &= ~stretch(x1, x2)


@rule
def build(w, i, x1, y1, x2, y2):
    """Make wall of the cells from (x1, y1) to (x2, y2)."""
    for y in range(y1, y2 + 1):
        w.state.walls[i, y] |= stretch(x1, x2)


# ------------------------------------------------------------------------------------------------------------------- view
#
# A window is a square of the map, `extent` cells wide, with (left, top) at its upper left, turned so that `facing` is up.


@rule
def paint_walls(w, i, out, left, top, extent, facing):
    """Paint walls and floor of a window into ``out`` (``[extent, extent, 3]``), channel 0."""
    last = w.settings.size - 1
    east, down = -dy(facing), -dx(facing)  # one column of the map further is so many columns and rows of the window further
    first_row = 0 if east + down > 0 else extent - 1
    first_column = 0 if east - down > 0 else extent - 1
    inside = max(left, 0)
    outside = max(-left, 0)
    beyond = (_ONE << outside) - _ONE
    for j in range(extent):
        y = min(max(top + j, 0), last)  # the outermost rows are wall, as is what lies beyond
        word = ((w.state.walls[i, y] >> inside) << outside) | beyond
        r, c = first_row + j * east, first_column - j * down
        for _ in range(extent):
            out[np.uint64(r), np.uint64(c), 0] = FLOOR - (word & 1)
            word = word >> 1
            r += down
            c += east


@rule
def paint_lava(w, i, out, left, top, extent, facing):
    """Paint the lava of a window."""
    size = w.settings.size
    for y in range(max(top, 0), min(top + extent, size)):
        for x in range(max(left, 0), min(left + extent, size)):
            if is_lava(w, i, x, y):
                paint(out, left, top, extent, facing, x, y, LAVA, NONE, NONE)


@rule
def paint(out, left, top, extent, facing, x, y, kind, colour, towards):
    """Paint one thing of the map, if it lies in the window: its three channels."""
    k, j = x - left, y - top
    if 0 <= k < extent and 0 <= j < extent:
        east, down = -dy(facing), -dx(facing)  # as in `paint_walls`
        r = np.uint64((0 if east + down > 0 else extent - 1) + j * east + k * down)
        c = np.uint64((0 if east - down > 0 else extent - 1) - j * down + k * east)
        out[r, c, 0] = kind
        out[r, c, 1] = colour
        out[r, c, 2] = towards
