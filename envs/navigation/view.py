"""What the agent of ``rewardscape/Maze-v0`` sees."""

from __future__ import annotations

import numpy as np

from rewardscape.envs.core import rule
from rewardscape.envs.navigation.grid import AGENT, DOOR, GOAL, KEY, NONE, OBSTACLE, dx, dy, paint, paint_lava, paint_walls
from rewardscape.envs.navigation.picture import TILES, tile_of

OBSERVATIONS = ("view", "map", "pixels")
VIEW, MAP, PIXELS = range(3)
TILE = TILES.shape[1]


@rule
def observe(w, i):
    """Write what the agent sees."""
    c, position = w.settings, w.facts.position
    out = w.state.seen[i] if c.observation == PIXELS else w.observation.image[i]
    if c.observation == MAP:
        look(w, i, out, NONE, NONE, c.size, NONE)
        return
    half = c.sight // 2
    facing = np.int64(w.state.direction[i]) if c.turn else NONE
    ahead = half if c.turn else 0
    left, top = position[i, 0] - half + ahead * dx(facing), position[i, 1] - half + ahead * dy(facing)
    look(w, i, out, left, top, c.sight, facing)
    if c.observation == PIXELS:
        draw_tiles(w, i)


@rule
def draw_tiles(w, i):
    """Draw the view in pixels."""
    c, seen, image = w.settings, w.state.seen, w.observation.image
    for row in range(c.sight):
        for column in range(c.sight):
            tile = tile_of(seen[i, row, column, 0], seen[i, row, column, 1], c.turn)
            for y in range(TILE):
                for x in range(TILE):
                    for channel in range(3):
                        image[i, row * TILE + y, column * TILE + x, channel] = w.shared.tiles[tile, y, x, channel]


@rule
def look(w, i, out, left, top, extent, facing):
    """Paint a window of the map, and all that is in it."""
    s, f, c = w.state, w.facts, w.settings
    if c.keys > 0 or c.observation == MAP:  # else all is 0 there but the agent's own cell, which is always the same
        for row in range(extent):
            for column in range(extent):
                out[row, column, 1] = 0
                out[row, column, 2] = 0
    if extent == 7:  # the usual one is compiled for itself, without loops
        paint_walls(w, i, out, left, top, 7, facing)
    else:
        paint_walls(w, i, out, left, top, extent, facing)
    if c.lava > 0:
        paint_lava(w, i, out, left, top, extent, facing)
    for g in range(s.goals.shape[1]):
        if (s.reached[i] >> g) & 1 == 0:
            paint(out, left, top, extent, facing, s.goals[i, g, 0], s.goals[i, g, 1], GOAL, NONE, NONE)
    for k in range(c.keys):
        if (s.held[i] >> k) & 1 == 0:
            paint(out, left, top, extent, facing, s.keys[i, k, 0], s.keys[i, k, 1], KEY, k + 1, NONE)
        if (s.opened[i] >> k) & 1 == 0:
            paint(out, left, top, extent, facing, s.doors[i, k, 0], s.doors[i, k, 1], DOOR, k + 1, NONE)
    for k in range(c.obstacles):
        if s.obstacles[i, k, 0] >= 0:
            paint(out, left, top, extent, facing, s.obstacles[i, k, 0], s.obstacles[i, k, 1], OBSTACLE, NONE, NONE)
    towards = s.direction[i] + 1 if c.turn else NONE
    paint(out, left, top, extent, facing, f.position[i, 0], f.position[i, 1], AGENT, np.int64(s.held[i]), towards)
