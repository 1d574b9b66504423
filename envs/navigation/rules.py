"""The rules of ``rewardscape/Maze-v0``."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from rewardscape.envs.core import Array, fetch, inlined, integer, joined, rule, uniform
from rewardscape.envs.core.random import mix
from rewardscape.envs.navigation.distances import measure
from rewardscape.envs.navigation.events import (
    BEGAN,
    BUMPED,
    BURNED,
    LOCKED,
    MOVED,
    OPENED,
    RAN_INTO,
    REACHED,
    SLIPPED,
    TOOK,
    TURNED,
    WAS_HIT,
)
from rewardscape.envs.navigation.furnish import pour, put, taken
from rewardscape.envs.navigation.generate import lay_out
from rewardscape.envs.navigation.grid import (
    dx,
    dy,
    is_lava,
    is_wall,
)


class Settings(NamedTuple):
    """Numbers every rule of a maze may read."""

    generator: int  # index into GENERATORS
    size: int
    keys: int
    obstacles: int
    lava: float
    slip: float
    turn: bool  # actions are left, right, forward; else the four directions
    sight: int  # cells of a view along its side
    observation: int  # index into OBSERVATIONS
    time_limit: int
    mazes: int
    held_out: bool


class Ground(NamedTuple):
    """The maze. Part of the state of every maze world."""

    walls: Annotated[Array, "int64", "size"]  # bit x of word y
    columns: Annotated[Array, "int64", "size"]  # the same by columns
    lava: Annotated[Array, "int64", "lava_rows"]
    starts: Annotated[Array, "int16", "starts", 2]  # (column, row), as all places
    goals: Annotated[Array, "int16", "goals", 2]
    keys: Annotated[Array, "int16", "keys", 2]
    doors: Annotated[Array, "int16", "keys", 2]
    field: Annotated[Array, "int16", "layers", "cells"]  # fewest moves to the goal, by keys held
    queue: Annotated[Array, "int16", "cells"]


class Walk(NamedTuple):
    """What has become of the episode. Facts serve as state where they say the same: position, counts."""

    direction: Annotated[Array, "int8"]  # where the agent looks, or last went
    held: Annotated[Array, "int8"]  # bits: keys held
    opened: Annotated[Array, "int8"]  # bits: doors opened
    reached: Annotated[Array, "int8"]  # bits: goals reached
    obstacles: Annotated[Array, "int16", "obstacles", 2]
    visits: Annotated[Array, "uint16", "cells"]  # but for the cell where the agent is: that is the fact `visit_count`
    event: Annotated[Array, "int32"]
    seen: Annotated[Array, "uint64", "glance"]  # the view, where the observation is a picture of it


State = joined("State", __name__, Ground, Walk)


class Facts(NamedTuple):
    """See the fact vocabulary."""

    position: Annotated[Array, "int32", 2]
    goal_distance: Annotated[Array, "float32"]
    goal_offset: Annotated[Array, "float32", 2]
    visit_count: Annotated[Array, "int32"]
    collision: Annotated[Array, "bool"]
    subgoal_reached: Annotated[Array, "bool"]
    subgoals_done: Annotated[Array, "int32"]
    goal_reached: Annotated[Array, "bool"]
    hazard: Annotated[Array, "bool"]
    effective_actions: Annotated[Array, "int32"]


class Observation(NamedTuple):
    """What the agent sees: a view, the map, or a picture of the view, eight bytes in a word."""

    image: Annotated[Array, "uint64", "words"]


class Shared(NamedTuple):
    """What views are made of."""

    eight_cells: Array  # uint64 [bits, 3]
    tiles: Array  # uint64 [tile, row, 3]: pictures of single cells


@rule
def make_maze(w, i):
    """A maze with its distances, and the agent and obstacles in it."""
    s, f, c = w.state, w.facts, w.settings
    lay_out(w, i)
    measure(w, i)
    if c.lava > 0:
        pour(w, i)
        measure(w, i)
    s.direction[i] = integer(w, i, 0, 4) if c.turn else 0
    f.position[i, 0], f.position[i, 1] = s.starts[i, 0, 0], s.starts[i, 0, 1]
    put_obstacles(w, i)


@rule
def reset(w, i):
    """A new maze, or one of the fixed ones, and nothing done yet."""
    s, f, c, e = w.state, w.facts, w.settings, w.episode
    for cell in range(c.size * c.size):
        s.visits[i, cell] = 0
    s.reached[i] = 0
    if c.mazes == 0:
        make_maze(w, i)
    else:  # by a key and counter of the maze's own, the same in every row
        maze = np.uint64(integer(w, i, 0, c.mazes)) + (np.uint64(1 << 32) if c.held_out else np.uint64(0))
        key, counter = e.key[i], e.counter[i]
        e.key[i] = mix(maze + np.uint64(1))
        e.counter[i] = np.uint64(0)
        make_maze(w, i)
        e.key[i] = key
        e.counter[i] = counter
    s.held[i] = 0
    s.opened[i] = 0
    s.event[i] = BEGAN
    f.visit_count[i] = 1
    f.subgoals_done[i] = 0
    f.effective_actions[i] = 0
    f.collision[i] = False
    f.subgoal_reached[i] = False
    f.goal_reached[i] = False
    f.hazard[i] = False
    locate(w, i)


@rule
def put_obstacles(w, i):
    """Obstacles on free floor of chance, three moves or more from the start; one that finds no place in 64 tries is left out."""
    s, f, size = w.state, w.facts, w.settings.size
    for k in range(w.settings.obstacles):
        s.obstacles[i, k, 0] = -1
    for k in range(w.settings.obstacles):
        for _ in range(64):
            cell = integer(w, i, 0, size * size)
            x, y = cell % size, cell // size
            near = abs(x - f.position[i, 0]) + abs(y - f.position[i, 1]) < 3
            if not near and not taken(w, i, cell) and not obstructed(w, i, x, y) and thing_at(s.obstacles, i, x, y) < 0:
                put(w, i, s.obstacles, k, cell)
                break


@rule
def obstructed(w, i, x, y):
    """Is there wall or lava?"""
    return is_wall(w, i, x, y) or (w.settings.lava > 0 and is_lava(w, i, x, y))


@rule
def thing_at(things, i, x, y):
    """Which of row ``i``'s ``things`` is at (x, y), or -1."""
    for k in range(things.shape[1]):
        if things[i, k, 0] == x and things[i, k, 1] == y:
            return k
    return -1


@inlined
def step(w, i):
    """Turn or move; meet what is there; let the obstacles move."""
    s, f, c = w.state, w.facts, w.settings
    f.collision[i] = False
    f.subgoal_reached[i] = False
    f.goal_reached[i] = False
    f.hazard[i] = False
    action = w.action[i]
    if c.turn and action < 2:
        s.direction[i] = (s.direction[i] + (3 if action == 0 else 1)) & 3
        s.event[i] = TURNED + 16 * action
        f.effective_actions[i] += 1
    else:
        move(w, i, np.int64(s.direction[i]) if c.turn else action)
    f.visit_count[i] += 1
    if c.obstacles > 0 and not f.hazard[i]:
        move_obstacles(w, i)
    if f.hazard[i]:
        w.episode.terminated[i] = True
    elif w.episode.step[i] + 1 >= c.time_limit and not w.episode.terminated[i]:
        w.episode.truncated[i] = True


@rule
def ahead(w, i):
    """Fetch what a move looks up, and the lines that the view is made of. In large batches nothing else costs as much."""
    s, size = w.state, w.settings.size
    cell = w.facts.position[i, 0] + size * w.facts.position[i, 1]
    fetch(s.field, (i * s.field.shape[1] + s.held[i]) * size * size + cell)
    fetch(s.visits, i * size * size + cell)
    fetch(s.walls, i * size + w.facts.position[i, 1])
    fetch(s.columns, i * size + w.facts.position[i, 0])
    words = w.observation.image.shape[1]
    for n in range(0, min(words, 24), 8):
        fetch(w.observation.image, i * words + n)


@inlined
def move(w, i, heading):
    """The agent goes in direction ``heading``, if it does not slip and nothing is in the way."""
    s, f, c = w.state, w.facts, w.settings
    event = MOVED
    if c.slip > 0:
        u = uniform(w, i)
        if u < c.slip:
            heading = (heading + (1 if u < c.slip / 2 else 3)) & 3
            event = SLIPPED
    if not c.turn:
        s.direction[i] = heading
    x, y = f.position[i, 0] + dx(heading), f.position[i, 1] + dy(heading)
    door = thing_at(s.doors, i, x, y)
    if is_wall(w, i, x, y):
        f.collision[i] = True
        s.event[i] = BUMPED
    elif door >= 0 and (s.held[i] >> door) & 1 == 0:
        f.collision[i] = True
        s.event[i] = LOCKED + 16 * door
    else:
        # Only a move looks at the agent's cell in long arrays (see `ahead`).
        s.visits[i, f.position[i, 0] + c.size * f.position[i, 1]] = f.visit_count[i]
        f.position[i, 0] = x
        f.position[i, 1] = y
        f.visit_count[i] = s.visits[i, x + c.size * y]
        f.effective_actions[i] += 1
        s.event[i] = event + 16 * heading
        meet(w, i, x, y, door)
        locate(w, i)


@rule
def meet(w, i, x, y, door):
    """The agent has come to (x, y), where ``door`` is (or -1): doors, keys, goals, and what is deadly."""
    s, f, c = w.state, w.facts, w.settings
    if door >= 0 and (s.opened[i] >> door) & 1 == 0:
        s.opened[i] |= 1 << door
        s.event[i] = OPENED + 16 * door
        f.subgoal_reached[i] = True
    key = thing_at(s.keys, i, x, y)
    if key >= 0 and (s.held[i] >> key) & 1 == 0:
        s.held[i] |= 1 << key
        s.event[i] = TOOK + 16 * key
        f.subgoal_reached[i] = True
    if f.subgoal_reached[i]:
        f.subgoals_done[i] += 1
    goal = thing_at(s.goals, i, x, y)
    if goal >= 0 and (s.reached[i] >> goal) & 1 == 0:
        s.reached[i] |= 1 << goal
        goals, done = s.goals.shape[1], 0
        for g in range(goals):
            if (s.reached[i] >> g) & 1 == 1:
                done += 1
        s.event[i] = REACHED + 16 * done + 256 * goals
        f.goal_reached[i] = True
        w.episode.objective[i] = done / goals
        if done == goals:
            w.episode.terminated[i] = True
        else:
            measure(w, i)
    if c.lava > 0 and is_lava(w, i, x, y):
        s.event[i] = BURNED
        f.hazard[i] = True
    elif thing_at(s.obstacles, i, x, y) >= 0:
        s.event[i] = RAN_INTO
        f.hazard[i] = True


@rule
def locate(w, i):
    """Facts that follow from where the agent is."""
    s, f = w.state, w.facts
    x, y = f.position[i, 0], f.position[i, 1]
    nearest, column, row = -1, 0, 0
    for g in range(s.goals.shape[1]):
        if (s.reached[i] >> g) & 1 == 0:
            across, down = s.goals[i, g, 0] - x, s.goals[i, g, 1] - y
            if nearest < 0 or across * across + down * down < nearest:
                nearest, column, row = across * across + down * down, across, down
    f.goal_offset[i, 0] = column
    f.goal_offset[i, 1] = row
    f.goal_distance[i] = s.field[i, s.held[i], y * w.settings.size + x] if nearest >= 0 else 0


@rule
def move_obstacles(w, i):
    """Each obstacle goes to a free neighbour of chance, if it has one; the agent's cell is free to it."""
    s, f, size = w.state, w.facts, w.settings.size
    for k in range(w.settings.obstacles):
        x, y = np.int64(s.obstacles[i, k, 0]), np.int64(s.obstacles[i, k, 1])
        if x < 0:
            continue
        free = 0
        for direction in range(4):
            free += may_enter(w, i, x + dx(direction), y + dy(direction))
        pick = integer(w, i, 0, free)
        for direction in range(4):
            to_x, to_y = x + dx(direction), y + dy(direction)
            if may_enter(w, i, to_x, to_y):
                if pick == 0:
                    put(w, i, s.obstacles, k, to_x + size * to_y)
                    break
                pick -= 1
    if thing_at(s.obstacles, i, f.position[i, 0], f.position[i, 1]) >= 0:
        s.event[i] = WAS_HIT
        f.hazard[i] = True


@rule
def may_enter(w, i, x, y):
    """May an obstacle go to (x, y)? Not into walls, lava and doors, nor onto keys, goals and its like."""
    s = w.state
    if obstructed(w, i, x, y) or thing_at(s.obstacles, i, x, y) >= 0:
        return False
    return thing_at(s.goals, i, x, y) < 0 and thing_at(s.keys, i, x, y) < 0 and thing_at(s.doors, i, x, y) < 0
