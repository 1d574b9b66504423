"""Distances in a maze: breadth-first fields over its cells, one layer for each set of keys held.

A *cell* is ``y * size + x``; bit k of ``held`` says that key k is held. Rules here read the settings ``size``, ``keys``, ``lava``
and the state ``goals``, ``keys``, ``doors`` (``[..., 2]``), ``reached`` (bits: goals reached), and write the state ``field``
(``[layer, cell]``, int16) and ``queue`` (``[cell]``: scratch).
"""

from __future__ import annotations

import numpy as np

from rewardscape.envs.core import inlined, rule
from rewardscape.envs.navigation.grid import dx, dy, is_lava

# What a field says of a cell without a distance.
BLOCKED, OPEN, DEADLY = -1, -2, -3


@rule
def clear_field(w, i, layer):
    """Mark in the field where one may walk: `OPEN`, `DEADLY` (lava: a last step) or `BLOCKED`."""
    size = w.settings.size
    field = w.state.field[i, layer]
    for y in range(size):
        word = w.state.walls[i, y]
        for x in range(size):
            field[y * size + x] = OPEN + ((word >> x) & 1)
    if w.settings.lava > 0:
        for y in range(size):
            for x in range(size):
                if is_lava(w, i, x, y):
                    field[y * size + x] = DEADLY


@inlined
def enter(field, queue, cell, distance, tail):
    """One neighbour of `reach`. There are no branches: a processor would guess half of them wrong, and that takes longest."""
    found = field[cell]
    field[cell] = distance if found < BLOCKED else found
    queue[np.uint64(tail)] = cell
    return tail + (found == OPEN)


@inlined
def reach(w, i, layer, cell, tail):
    """Give the open neighbours of ``cell`` their distance and queue them; the queue's new end.

    Lava gets the distance of one who could walk out of it, and is not walked through.
    """
    size = w.settings.size
    field, queue = w.state.field[i, layer], w.state.queue[i]
    distance = field[cell] + 1
    tail = enter(field, queue, np.uint64(cell - size), distance, tail)
    tail = enter(field, queue, np.uint64(cell + 1), distance, tail)
    tail = enter(field, queue, np.uint64(cell + size), distance, tail)
    return enter(field, queue, np.uint64(cell - 1), distance, tail)


@rule
def spread(w, i, layer, cell):
    """Breadth-first distances from ``cell`` over a cleared field. (Cells reached, the farthest of them.)"""
    queue = w.state.queue[i]
    w.state.field[i, layer, cell] = 0
    queue[0] = cell
    head, tail = 0, 1
    while head < tail:
        tail = reach(w, i, layer, queue[head], tail)
        head += 1
    return tail, queue[tail - 1]


@rule
def toward(w, i, layer, cell):
    """The neighbour of ``cell`` that is one nearer in the field."""
    size = w.settings.size
    field = w.state.field[i, layer]
    for direction in range(4):
        to = cell + dx(direction) + size * dy(direction)
        if field[to] >= 0 and field[to] == field[cell] - 1:
            return to
    return cell


@rule
def cell_of(w, i, things, k):
    """The cell of the ``k``-th of ``things``."""
    return np.int64(things[i, k, 0]) + w.settings.size * np.int64(things[i, k, 1])


@rule
def measure(w, i):
    """Fewest moves to the nearest goal not yet reached, in layer ``held`` of the field for one who holds those keys.

    Whoever fetches a key goes on in a layer with more keys; so the layer of all keys comes first, and in another one a key not
    yet held is a place whose distance is known.
    """
    keys = w.settings.keys
    for missing in range(1 << keys):
        measure_layer(w, i, (1 << keys) - 1 - missing)


@rule
def measure_layer(w, i, held):
    """One layer of `measure`, those with more keys being done."""
    s, keys = w.state, w.settings.keys
    field, queue = s.field[i, held], s.queue[i]
    clear_field(w, i, held)
    for k in range(keys):
        if (held >> k) & 1 == 0:
            field[cell_of(w, i, s.doors, k)] = BLOCKED
            field[cell_of(w, i, s.keys, k)] = BLOCKED
    head, tail = 0, 0
    for g in range(s.goals.shape[1]):
        if (s.reached[i] >> g) & 1 == 0:
            queue[tail] = cell_of(w, i, s.goals, g)
            field[queue[tail]] = 0
            tail += 1
    missing = (1 << keys) - 1 - held
    while head < tail or missing > 0:
        nearest, distance = -1, 0
        for k in range(keys):
            if (missing >> k) & 1 == 1:
                there = s.field[i, held | (1 << k), cell_of(w, i, s.keys, k)]
                if there < 0:
                    missing ^= 1 << k  # with this key alone no goal can be reached
                elif nearest < 0 or there < distance:
                    nearest, distance = k, there
        if nearest >= 0 and (head == tail or distance <= field[queue[head]]):
            missing ^= 1 << nearest
            cell = cell_of(w, i, s.keys, nearest)
            field[cell] = distance
            tail = reach(w, i, held, cell, tail)
        elif head < tail:
            tail = reach(w, i, held, queue[head], tail)
            head += 1
