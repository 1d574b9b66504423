"""Generators of mazes: all floor of a maze is connected.

Rules here read the settings ``size``, ``generator``, ``keys``, ``goals`` and write the state ``walls``, ``starts``, ``goals``,
``columns``, ``keys``, ``doors``; the first layer of ``field`` and the ``queue`` are their scratch space.
"""

from __future__ import annotations

import numpy as np

from rewardscape.envs.core import chance, integer, rule
from rewardscape.envs.core.random import draw
from rewardscape.envs.navigation.distances import OPEN, clear_field, spread
from rewardscape.envs.navigation.furnish import CAVES, FIRST, FOUR_ROOMS, PERFECT, ROOMS, furnish, keep_reached, put
from rewardscape.envs.navigation.grid import build, carve, draw_columns, dx, dy, stretch

ATTEMPTS = 20
VISITED = 16


@rule
def four_rooms(w, i):
    """Two walls that cross, each with a gap on either side; with locked doors one gap fewer, so that no way leads round them."""
    size, last = w.settings.size, w.settings.size - 2
    carve(w, i, 1, 1, last, last)
    x = integer(w, i, size * 3 // 8, size - size * 3 // 8)
    y = integer(w, i, size * 3 // 8, size - size * 3 // 8)
    build(w, i, x, 1, x, last)
    build(w, i, 1, y, last, y)
    closed = integer(w, i, 0, 4) if w.settings.keys > 0 else np.int64(4)
    for gap in range(4):  # north, east, south and west of the crossing
        upright = gap % 2 == 0
        crossing = y if upright else x
        u = integer(w, i, 1, crossing) if gap == 0 or gap == 3 else integer(w, i, crossing + 1, last + 1)
        if gap != closed and upright:
            carve(w, i, x, u, x, u)
        elif gap != closed:
            carve(w, i, u, y, u, y)


@rule
def spanning_tree(w, i, columns, rows):
    """A random tree over a lattice, by depth-first search. Bit d of ``field[0, row * columns + column]``: a way leads in direction d."""
    ways, stack = w.state.field[i, 0], w.state.queue[i]
    for n in range(columns * rows):
        ways[n] = 0
    stack[0] = integer(w, i, 0, columns * rows)
    ways[stack[0]] = VISITED
    depth = 1
    while depth > 0:
        n = stack[depth - 1]
        choices, chosen = 0, 0
        for direction in range(4):
            if _fresh(ways, n, direction, columns, rows):
                choices += 1
        if choices == 0:
            depth -= 1
            continue
        pick = integer(w, i, 0, choices)
        for direction in range(4):
            if _fresh(ways, n, direction, columns, rows):
                if pick == 0:
                    chosen = direction
                pick -= 1
        to = n + dx(chosen) + columns * dy(chosen)
        ways[n] |= 1 << chosen
        ways[to] = VISITED | (1 << ((chosen + 2) & 3))
        stack[depth] = to
        depth += 1


@rule
def _fresh(ways, n, direction, columns, rows):
    """Does a neighbour lie in ``direction`` of lattice point ``n`` that the tree has not reached?"""
    column, row = n % columns + dx(direction), n // columns + dy(direction)
    return 0 <= column < columns and 0 <= row < rows and ways[row * columns + column] == 0


@rule
def perfect(w, i):
    """Corridors without loops: the spanning tree of a lattice of every other cell."""
    size = w.settings.size
    n = (size - 1) // 2
    spanning_tree(w, i, n, n)
    left, top = integer(w, i, 1, 3 - size % 2), integer(w, i, 1, 3 - size % 2)
    for node in range(n * n):
        x, y = left + 2 * (node % n), top + 2 * (node // n)
        ways = w.state.field[i, 0, node]
        carve(w, i, x, y, x + ((ways >> 1) & 1), y)
        carve(w, i, x, y, x, y + ((ways >> 2) & 1))


@rule
def wall_line(w, i, k, lines, axis):
    """Where the ``k``-th of ``lines`` + 1 walls between rooms stands: even, give or take. The same each time it is asked."""
    last = w.settings.size - 1
    even = k * last // lines
    if k == 0 or k == lines:
        return even
    play = (last // lines - 3) // 2
    chosen = draw(w.episode.key[i], np.uint64(1 << 40) + np.uint64(64 * axis + k))
    return even - play + np.int64(chosen % np.uint64(2 * play + 1))


@rule
def rooms(w, i):
    """A lattice of rooms of many sizes, joined by gaps: a spanning tree, and loops where no door is to be locked."""
    size = w.settings.size
    columns = integer(w, i, max(2, size // 8), max(2, size // 5) + 1)
    rows = integer(w, i, max(2, size // 8), max(2, size // 5) + 1)
    spanning_tree(w, i, columns, rows)
    loops = 0.0 if w.settings.keys > 0 else 0.35
    for node in range(columns * rows):
        ways = w.state.field[i, 0, node]
        column, row = node % columns, node // columns
        x1, x2 = wall_line(w, i, column, columns, 0) + 1, wall_line(w, i, column + 1, columns, 0)
        y1, y2 = wall_line(w, i, row, rows, 1) + 1, wall_line(w, i, row + 1, rows, 1)
        carve(w, i, x1, y1, x2 - 1, y2 - 1)
        if (ways >> 1) & 1 == 1 or (column + 1 < columns and chance(w, i, loops)):
            y = integer(w, i, y1, y2)
            carve(w, i, x2, y, x2, y)
        if (ways >> 2) & 1 == 1 or (row + 1 < rows and chance(w, i, loops)):
            x = integer(w, i, x1, x2)
            carve(w, i, x, y2, x, y2)


@rule
def caves(w, i):
    """A cellular automaton from noise, of which the largest cave stays. False if that is less than half of the map.

    A cell becomes wall where 5 or more of the 9 cells around it are (Johnson, Yannakakis and Togelius, "Cellular automata for
    real-time generation of infinite cave levels", 2010).
    """
    s, size = w.state, w.settings.size
    noise = 0.45 - 1.2 / size  # less in small maps, whose edge closes them in anyway
    for y in range(1, size - 1):
        for x in range(1, size - 1):
            if not chance(w, i, noise):
                carve(w, i, x, y, x, y)
    for _ in range(3):
        above = s.walls[i, 0]
        for y in range(1, size - 1):
            here, below = s.walls[i, y], s.walls[i, y + 1]
            word = here
            for x in range(1, size - 1):
                count = 0
                for k in range(x - 1, x + 2):
                    count += ((above >> k) & 1) + ((here >> k) & 1) + ((below >> k) & 1)
                bit = stretch(x, x)
                word = word | bit if count >= 5 else word & ~bit
            s.walls[i, y] = word
            above = here
    clear_field(w, i, FIRST)
    largest, place = 0, 0
    for cell in range(size * size):
        if s.field[i, 0, cell] == OPEN:
            cells, _ = spread(w, i, FIRST, cell)
            if cells > largest:
                largest, place = cells, cell
    keep_reached(w, i, place)
    return 2 * largest >= (size - 2) * (size - 2)


@rule
def u_trap(w, i):
    """Open ground and a wall like a U, its mouth towards the start, the goal behind its bottom: the straight line leads into it.

    Start and goal lie between its arms, seen along its axis: whatever only comes closer to the goal ends inside.
    """
    size, last = w.settings.size, w.settings.size - 2
    carve(w, i, 1, 1, last, last)
    turn = integer(w, i, 0, 4)
    bottom = integer(w, i, size // 2, last)  # along the axis, from the start's side
    mouth = integer(w, i, 2, bottom - 1)
    low = integer(w, i, 2, size // 2 - 1)  # across it: the arms
    high = integer(w, i, low + 3, last)
    for along in range(mouth, bottom + 1):
        for across in range(low, high + 1):
            if along == bottom or across == low or across == high:
                x, y = turned(size, turn, across, along)
                build(w, i, x, y, x, y)
    x, y = turned(size, turn, integer(w, i, low + 1, high), integer(w, i, 1, mouth))
    put(w, i, w.state.starts, FIRST, x + size * y)
    x, y = turned(size, turn, integer(w, i, low + 1, high), integer(w, i, bottom + 1, last + 1))
    put(w, i, w.state.goals, FIRST, x + size * y)


@rule
def turned(size, turn, x, y):
    """(x, y) after ``turn`` quarter turns of the map."""
    if turn == 0:
        return x, y
    if turn == 1:
        return size - 1 - y, x
    if turn == 2:
        return size - 1 - x, size - 1 - y
    return y, size - 1 - x


@rule
def lay_out(w, i):
    """A new maze in row ``i``: walls, start, goals, doors, keys. Without lava, for which see `furnish.pour`."""
    s, size = w.state, w.settings.size
    for y in range(s.lava.shape[1]):
        s.lava[i, y] = 0
    attempt, fits = 0, False
    while not fits:
        attempt += 1
        for y in range(size):
            s.walls[i, y] = -1
        for things in (s.starts, s.goals, s.keys, s.doors):
            for k in range(things.shape[1]):
                things[i, k, 0] = -1
        generator = w.settings.generator if attempt <= ATTEMPTS else np.int64(FOUR_ROOMS)  # in which 49 of 50 fit
        fits = True
        if generator == FOUR_ROOMS:
            four_rooms(w, i)
        elif generator == ROOMS:
            rooms(w, i)
        elif generator == PERFECT:
            perfect(w, i)
        elif generator == CAVES:
            fits = caves(w, i)
        else:
            u_trap(w, i)
        fits = fits and furnish(w, i, generator)
    draw_columns(w, i)
