"""What mazes of one agent and of several share: walls in words, and the view of an agent.

A row of the map is one int64 word: bit ``x`` of ``walls[y]`` is set where cell (x, y) is wall, and so are all bits from ``size``
on. Shifted arithmetically, a word brings in more walls, so that a view beyond the edge needs no test of its cells. The outermost
cells are always wall: nothing that moves needs to ask whether it leaves the map. ``columns`` says the same by columns, from the
south: bit ``size - 1 - y`` of ``columns[x]``.

Directions are 0 north, 1 east, 2 south, 3 west. Rules here read the settings ``size``, ``lava`` and the state ``walls``,
``columns``, ``lava``.
"""

from __future__ import annotations

import numpy as np

from rewardscape.envs.core import inlined, rule

# Channel 0 of a view: the kind of thing in a cell. (Numbers of NumPy: for each Python constant Numba would compile rules anew.)
UNSEEN, WALL, FLOOR, GOAL, KEY, DOOR, LAVA, OBSTACLE, OTHER, AGENT = (np.int64(kind) for kind in range(10))
COMPASS = ("north", "east", "south", "west")

NONE = np.int64(0)
_ONE = np.int64(1)
_ALL, _CELL = np.uint64(2**64 - 1), np.uint64(0xFFFFFF)
# Numbers of bits, and masks of every other group of so many.
_SWAPS = tuple((np.uint64(shift), np.uint64((2**64 - 1) // (2**shift + 1))) for shift in (1, 2, 4, 8, 16, 32))


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


@rule
def draw_columns(w, i):
    """Write the state ``columns``: the walls once more, column by column, for agents that look east or west."""
    size = w.settings.size
    for x in range(size):
        word = -_ONE
        for y in range(size):
            word ^= (((w.state.walls[i, y] >> x) & 1) ^ 1) << (size - 1 - y)
        w.state.columns[i, x] = word


# ------------------------------------------------------------------------------------------------------------------- view
#
# A view is a square of the map, `extent` cells wide, turned so that `facing` is up. (x, y) is the cell in its middle. It is written
# cell after cell, three bytes each, into words of 8 bytes: what is wall and floor goes eight cells at a time.


def words_of(extent: int) -> int:
    """Words that a view takes, whole groups of eight cells."""
    return 3 * (-(-extent * extent // 8))


def _eight_cells() -> np.ndarray:
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    cells = np.stack([FLOOR - bits, 0 * bits, 0 * bits], -1).astype(np.uint8)
    return cells.reshape(256, 24).view(np.uint64)


EIGHT_CELLS = _eight_cells()  # uint64 [bits, 3]: bit k says that the k-th of eight cells is wall


@inlined
def reversed_bits(word):
    """The bits of a uint64, last first."""
    for shift, mask in _SWAPS:
        word = ((word >> shift) & mask) | ((word & mask) << shift)
    return word


@inlined
def line(lines, k, left, extent):
    """``extent`` cells of the ``k``-th line of walls from ``left`` on; what lies beyond the map is wall, as its edge is."""
    edge = lines.shape[0] - 1
    outside = max(-left, 0)
    word = (lines[np.uint64(min(max(k, 0), edge))] >> max(left, 0) << outside) | ((_ONE << outside) - _ONE)
    return np.uint64(word) & (_ALL >> np.uint64(64 - extent))


@inlined
def paint_walls(w, i, out, x, y, extent, facing):
    """Paint walls and floor of a view, and nothing else, into ``out`` (uint64 ``[words_of(extent)]``)."""
    across, half = facing & 1, extent // 2
    lines = w.state.columns[i] if across == 1 else w.state.walls[i]
    left = x + across * (w.settings.size - 1 - y - x) - half  # no branch: a processor cannot guess where agents look
    top = y + across * (x - y) - half
    backwards = (facing + 1) & 2 == 2  # east and south; as they stand, the lines are what one sees looking north and west
    if extent <= 8:
        word = np.uint64(0)
        for k in range(extent):
            word |= line(lines, top + k, left, extent) << np.uint64(extent * k)
        turned = reversed_bits(word) >> np.uint64(64 - extent * extent)
        word = turned if backwards else word
        for group in range((extent * extent + 7) // 8):
            eight = (word >> np.uint64(8 * group)) & np.uint64(255)
            for part in range(3):
                out[np.uint64(3 * group + part)] = w.shared.eight_cells[eight, np.uint64(part)]
        return
    for n in range(out.shape[0]):
        out[n] = np.uint64(0)
    for row in range(extent):
        word = line(lines, top + (extent - 1 - row if backwards else row), left, extent)
        for column in range(extent):
            bit = np.uint64(extent - 1 - column if backwards else column)
            put_cell(out, row * extent + column, FLOOR - np.int64((word >> bit) & np.uint64(1)))


@inlined
def put_cell(out, cell, what):
    """Write a cell of a view, three bytes: what is there, its colour, where it looks, lowest first."""
    byte, what = 3 * cell, np.uint64(what)
    n, shift = np.uint64(byte >> 3), np.uint64(8 * (byte & 7))
    out[n] = (out[n] & ~(_CELL << shift)) | (what << shift)
    if byte & 7 > 5:  # the rest is in the next word
        rest = np.uint64(64) - shift
        out[n + np.uint64(1)] = (out[n + np.uint64(1)] & ~(_CELL >> rest)) | (what >> rest)


@rule
def byte_of(out, n):
    """Byte ``n`` of a view."""
    return np.int64((out[n >> 3] >> np.uint64(8 * (n & 7))) & np.uint64(255))


@rule
def paint_lava(w, i, out, x, y, extent, facing):
    """Paint the lava of a view."""
    size, half = w.settings.size, extent // 2
    for row in range(max(y - half, 0), min(y + half + 1, size)):
        for column in range(max(x - half, 0), min(x + half + 1, size)):
            if is_lava(w, i, column, row):
                paint(out, x, y, extent, facing, column, row, LAVA, NONE, NONE)


@inlined
def paint(out, x, y, extent, facing, column, row, kind, colour, towards):
    """Paint one thing of the map, at (column, row), if it lies in the view: its three channels."""
    right, down = column - x, row - y
    east, south = -dy(facing), -dx(facing)  # one column of the map further is so many columns, and rows, of the view further
    half = extent // 2
    r, c = half + down * east + right * south, half + right * east - down * south
    if 0 <= r < extent and 0 <= c < extent:
        put_cell(out, r * extent + c, kind | (colour << 8) | (towards << 16))
