"""What the agent of ``rewardscape/Maze-v0`` sees."""

from __future__ import annotations

import numpy as np

from rewardscape.envs.core import inlined, rule
from rewardscape.envs.navigation.grid import (
    AGENT,
    DOOR,
    GOAL,
    KEY,
    NONE,
    OBSTACLE,
    byte_of,
    dx,
    dy,
    paint,
    paint_lava,
    paint_walls,
    put_cell,
)
from rewardscape.envs.navigation.picture import TILES, tile_of

OBSERVATIONS = ("view", "map", "pixels")
VIEW, MAP, PIXELS = range(3)
TILE = TILES.shape[1]
TILE_WORDS = np.ascontiguousarray(TILES).reshape(len(TILES), TILE, -1).view(np.uint64)  # [tile, row, 3]: a row is 24 bytes


@inlined
def observe(w, i):
    """Write what the agent sees."""
    c, position = w.settings, w.facts.position
    x, y = np.int64(position[i, 0]), np.int64(position[i, 1])
    if c.observation == MAP:
        look_wide(w, i, w.observation.image[i], c.size // 2, c.size // 2, c.size, NONE, y * c.size + x)
        return
    half = c.sight // 2
    own = (c.sight - 1 if c.turn else half) * c.sight + half
    facing = np.int64(w.state.direction[i]) if c.turn else NONE
    if c.turn:  # what lies ahead
        x, y = x + half * dx(facing), y + half * dy(facing)
    if c.observation == PIXELS:
        look_wide(w, i, w.state.seen[i], x, y, c.sight, facing, own)
        draw_tiles(w, i)
    elif c.sight == 7:  # the usual one is compiled for itself
        look(w, i, w.observation.image[i], x, y, 7, facing, own)
    else:
        look_wide(w, i, w.observation.image[i], x, y, c.sight, facing, own)


@rule
def draw_tiles(w, i):
    """Draw the view in pixels."""
    c, seen, image = w.settings, w.state.seen[i], w.observation.image[i]
    for cell in range(c.sight * c.sight):
        tile = tile_of(byte_of(seen, 3 * cell), byte_of(seen, 3 * cell + 1), c.turn)
        row, column = cell // c.sight, cell % c.sight
        for line in range(TILE):
            for part in range(3):
                image[((row * TILE + line) * c.sight + column) * 3 + part] = w.shared.tiles[tile, line, part]


@rule
def look_wide(w, i, out, x, y, extent, facing, own):
    """`look`, compiled for any extent."""
    look(w, i, out, x, y, extent, facing, own)


@inlined
def look(w, i, out, x, y, extent, facing, own):
    """Paint the view around (x, y), and all that is in it; ``own``: the agent's cell in it."""
    s, c = w.state, w.settings
    paint_walls(w, i, out, x, y, extent, facing)
    if c.lava > 0:
        paint_lava(w, i, out, x, y, extent, facing)
    for g in range(s.goals.shape[1]):
        if (s.reached[i] >> g) & 1 == 0:
            paint(out, x, y, extent, facing, s.goals[i, g, 0], s.goals[i, g, 1], GOAL, NONE, NONE)
    for k in range(c.keys):
        if (s.held[i] >> k) & 1 == 0:
            paint(out, x, y, extent, facing, s.keys[i, k, 0], s.keys[i, k, 1], KEY, k + 1, NONE)
        if (s.opened[i] >> k) & 1 == 0:
            paint(out, x, y, extent, facing, s.doors[i, k, 0], s.doors[i, k, 1], DOOR, k + 1, NONE)
    for k in range(c.obstacles):
        if s.obstacles[i, k, 0] >= 0:
            paint(out, x, y, extent, facing, s.obstacles[i, k, 0], s.obstacles[i, k, 1], OBSTACLE, NONE, NONE)
    towards = np.int64(s.direction[i]) + 1 if c.turn else NONE
    put_cell(out, own, AGENT | (np.int64(s.held[i]) << 8) | (towards << 16))
