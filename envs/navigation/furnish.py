"""What is put into the walls of a maze: start, goals, locked doors with their keys, lava.

Every maze can be solved: a key can be fetched before its door is needed, and lava lies off a way that solves the maze. The first
goal lies behind all doors.

``starts``, ``goals``, ``keys``, ``doors`` (``[..., 2]``) are (column, row); a column of -1: not put yet.
"""

from __future__ import annotations

import numpy as np

from rewardscape.envs.core import chance, integer, rule
from rewardscape.envs.navigation.distances import BLOCKED, cell_of, clear_field, measure, spread, toward
from rewardscape.envs.navigation.grid import build, is_wall, stretch

GENERATORS = ("four-rooms", "rooms", "perfect", "caves", "u-trap")
FOUR_ROOMS, ROOMS, PERFECT, CAVES, U_TRAP = range(5)
LOCKABLE = GENERATORS[:4]  # where a door can part the maze in two

NOWHERE, FIRST, SECOND = np.int64(-1), np.int64(0), np.int64(1)  # layers of the field


@rule
def keep_reached(w, i, cell):
    """Fill in whatever cannot be reached from ``cell``; the field's first layer then holds distances from there."""
    size = w.settings.size
    clear_field(w, i, FIRST)
    spread(w, i, FIRST, cell)
    for other in range(size * size):
        if w.state.field[i, 0, other] < BLOCKED:
            build(w, i, other % size, other // size, other % size, other // size)


@rule
def open_cell(w, i):
    """A cell of chance that is not wall."""
    size = w.settings.size
    while True:
        x, y = integer(w, i, 1, size - 1), integer(w, i, 1, size - 1)
        if not is_wall(w, i, x, y):
            return y * size + x


@rule
def taken(w, i, cell):
    """Is something put on ``cell`` already?"""
    s, size = w.state, w.settings.size
    x, y = cell % size, cell // size
    for things in (s.starts, s.goals, s.keys, s.doors):
        for k in range(things.shape[1]):
            if things[i, k, 0] == x and things[i, k, 1] == y:
                return True
    return False


@rule
def put(w, i, things, k, cell):
    """Put the ``k``-th of ``things`` on ``cell``."""
    things[i, k, 0] = cell % w.settings.size
    things[i, k, 1] = cell // w.settings.size


@rule
def put_somewhere(w, i, things, k, reached):
    """Put the ``k``-th of ``things`` on a floor cell of chance that is free; with ``reached`` (a layer), one that has a distance
    there. False if there is none. Chosen evenly in 64 tries, else the next such cell of the map."""
    size = w.settings.size
    for attempt in range(64 + size * size):
        cell = integer(w, i, 0, size * size) if attempt < 64 else np.int64(attempt - 64)
        apart = reached >= 0 and w.state.field[i, reached, cell] < 0
        if not apart and not is_wall(w, i, cell % size, cell // size) and not taken(w, i, cell):
            put(w, i, things, k, cell)
            return True
    return False


@rule
def is_narrow(w, i, cell):
    """Has ``cell`` wall on both sides? In a maze without loops, a door there parts it in two."""
    size = w.settings.size
    x, y = cell % size, cell // size
    return (is_wall(w, i, x - 1, y) and is_wall(w, i, x + 1, y)) or (is_wall(w, i, x, y - 1) and is_wall(w, i, x, y + 1))


@rule
def lock(w, i, generator):
    """Start and first goal far apart, the doors between them, each with its key on the near side. False if it does not fit.

    The doors stand in narrow cells of the way. In caves, which have loops, one is dammed: all cells as far from the start as the
    door become wall.
    """
    s, keys = w.state, w.settings.keys
    clear_field(w, i, FIRST)
    _, start = spread(w, i, FIRST, open_cell(w, i))
    clear_field(w, i, FIRST)
    _, goal = spread(w, i, FIRST, start)
    put(w, i, s.starts, FIRST, start)
    put(w, i, s.goals, FIRST, goal)
    distance = np.int64(s.field[i, 0, goal])
    dammed = generator == CAVES
    places = 0  # where a door may stand, counted from the goal
    if dammed:
        places = max(0, distance - 1 - keys)
    else:
        cell = toward(w, i, FIRST, goal)
        while cell != start:
            places += is_narrow(w, i, cell)
            cell = toward(w, i, FIRST, cell)
    if places < keys:
        return False
    first = integer(w, i, 0, places - keys + 1)
    second = integer(w, i, first + 1, places) if keys == 2 else np.int64(-1)
    if dammed:
        second = second + (keys - 1)  # not side by side
    swap = integer(w, i, 0, keys)  # which of the keys is needed first
    placed, place = 0, 0
    cell = toward(w, i, FIRST, goal)
    while cell != start:
        if dammed or is_narrow(w, i, cell):
            if place == first or place == second:
                put(w, i, s.doors, placed ^ swap, cell)
                placed += 1
                if dammed:
                    dam(w, i, cell)
            place += 1
        cell = toward(w, i, FIRST, cell)
    if dammed:
        keep_reached(w, i, start)
    for nearer in range(keys - 1, -1, -1):  # the door nearer to the start first: its key has less room
        k = nearer ^ swap
        clear_field(w, i, SECOND)
        s.field[i, 1, cell_of(w, i, s.doors, k)] = BLOCKED
        spread(w, i, SECOND, start)
        if not put_somewhere(w, i, s.keys, k, SECOND):
            return False
    return True


@rule
def dam(w, i, door):
    """Wall off every cell as far as ``door`` in the field's first layer, but the door."""
    size = w.settings.size
    for cell in range(size * size):
        if cell != door and w.state.field[i, 0, cell] == w.state.field[i, 0, door]:
            build(w, i, cell % size, cell // size, cell % size, cell // size)


@rule
def furnish(w, i, generator):
    """Put start, goals, doors and keys into the walls. False if they do not fit."""
    s = w.state
    first = 1 if w.settings.keys > 0 or generator == U_TRAP else 0
    if w.settings.keys > 0 and not lock(w, i, generator):
        return False
    for things in (s.starts, s.goals):
        for k in range(first, things.shape[1]):
            if not put_somewhere(w, i, things, k, NOWHERE):
                return False
    return True


@rule
def pour(w, i):
    """Lava on floor of chance, but off the way of one who solves the measured maze by going to the nearest goal.

    The state ``visits`` is scratch space, 0 before and after.
    """
    s, size = w.state, w.settings.size
    goals = s.goals.shape[1]
    way = s.visits[i]
    cell = cell_of(w, i, s.starts, FIRST)
    held, floor, kept = 0, 0, 0
    while True:
        way[cell] = 1
        for k in range(s.keys.shape[1]):
            if cell_of(w, i, s.keys, k) == cell:
                held |= 1 << k
        for g in range(goals):
            if cell_of(w, i, s.goals, g) == cell and (s.reached[i] >> g) & 1 == 0:
                s.reached[i] |= 1 << g
                measure(w, i)
        if s.reached[i] == (1 << goals) - 1:
            break
        cell = toward(w, i, held, cell)
    s.reached[i] = 0
    for other in range(size * size):
        floor += not is_wall(w, i, other % size, other // size)
        kept += way[other]
    probability = w.settings.lava * floor / max(1, floor - kept)
    for other in range(size * size):
        x, y = other % size, other // size
        if way[other] == 0 and not is_wall(w, i, x, y) and chance(w, i, probability):
            s.lava[i, y] |= stretch(x, x)
        way[other] = 0
