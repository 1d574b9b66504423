"""The expert of a maze: shortest ways counted in actions."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from rewardscape.envs.core import World
from rewardscape.envs.navigation.grid import dx, dy

PLANS = 256  # mazes whose plan is remembered
FAR = np.iinfo(np.int32).max


class Planner:
    """Plans ways. What it has found out about a maze it remembers: with turns, costs take milliseconds to work out."""

    def __init__(self) -> None:
        self._plans: dict[bytes, np.ndarray] = {}

    def action(self, world: World, row: int) -> int:
        """The action that leads on along a shortest way; with an obstacle near, the safest one that does so best."""
        s, c = world.state, world.settings
        x, y = (int(v) for v in world.facts.position[row])
        direction, held = int(s.direction[row]), int(s.held[row])
        options: list[tuple[int, int, int, int]] = []
        for action in (2, 0, 1) if c.turn else range(4):
            heading, place = direction, (x, y)
            if c.turn and action < 2:
                heading = (direction + (3 if action == 0 else 1)) % 4
            else:
                to = x + dx(direction if c.turn else action), y + dy(direction if c.turn else action)
                if _open(s, row, held, *to):
                    place = to
            cost = self._cost(world, row, held, place, heading) if place == (x, y) or not _deadly(s, c, row, *place) else FAR
            options.append((_risk(s, c, row, place), cost, len(options), action))
        return min(options)[-1]

    def _cost(self, world: World, row: int, held: int, place: tuple[int, int], heading: int) -> int:
        """Actions that are left for one who stands at ``place``."""
        s, size = world.state, world.settings.size
        cell = place[0] + size * place[1]
        if not world.settings.turn:
            return _far(s.field[row, held, cell])
        known = b"".join(a[row].tobytes() for a in (s.walls, s.lava, s.goals, s.keys, s.doors, s.reached))
        if known not in self._plans:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            self._plans[known] = turning_costs(world, row)
        for k in range(world.settings.keys):
            if tuple(s.keys[row, k]) == place:
                held |= 1 << k
        return _far(self._plans[known][held, heading, cell])


def _far(cost: Any) -> int:
    return int(cost) if cost >= 0 else FAR


def _bit(words: np.ndarray, x: int, y: int) -> bool:
    return bool((int(words[y]) >> x) & 1)


def _open(s: Any, row: int, held: int, x: int, y: int) -> bool:
    """May one who holds these keys go to (x, y)?"""
    locked = any(tuple(s.doors[row, k]) == (x, y) and not (held >> k) & 1 for k in range(s.doors.shape[1]))
    return not locked and not _bit(s.walls[row], x, y)


def _deadly(s: Any, c: Any, row: int, x: int, y: int) -> bool:
    return c.lava > 0 and _bit(s.lava[row], x, y)


def _risk(s: Any, c: Any, row: int, place: tuple[int, int]) -> int:
    """0: no obstacle can come here in this step; 1: one can; 2: one is here."""
    apart = [int(np.abs(s.obstacles[row, k] - place).sum()) for k in range(c.obstacles)]
    return max((2 - d for d in apart if d < 2), default=0)


def turning_costs(world: World, row: int) -> np.ndarray:
    """Fewest actions (left, right, forward) to the nearest goal not yet reached: int32 ``[held, direction, cell]``, -1 if none.

    Breadth-first search backwards from the goals, over keys held, direction and cell.
    """
    s, c = world.state, world.settings
    size, keys = c.size, c.keys
    cells = size * size
    step = [dx(d) + size * dy(d) for d in range(4)]
    floor = [not _bit(s.walls[row], n % size, n // size) and not _deadly(s, c, row, n % size, n // size) for n in range(cells)]
    key = {int(s.keys[row, k, 0]) + size * int(s.keys[row, k, 1]): 1 << k for k in range(keys)}
    door = {int(s.doors[row, k, 0]) + size * int(s.doors[row, k, 1]): 1 << k for k in range(keys)}
    goals = [g for g in range(s.goals.shape[1]) if not (int(s.reached[row]) >> g) & 1]
    cost = [-1] * ((1 << keys) * 4 * cells)
    queue: deque[tuple[int, int, int]] = deque()

    def visit(held: int, direction: int, cell: int, value: int) -> None:
        """A state one action before one of cost ``value - 1``, if there can be such a state."""
        place = (held * 4 + direction) * cells + cell
        if cost[place] < 0 and not key.get(cell, 0) & ~held and not door.get(cell, 0) & ~held:
            cost[place] = value
            queue.append((held, direction, cell))

    for g in goals:
        for held in range(1 << keys):
            for direction in range(4):
                visit(held, direction, int(s.goals[row, g, 0]) + size * int(s.goals[row, g, 1]), 0)
    while queue:
        held, direction, cell = queue.popleft()
        value = cost[(held * 4 + direction) * cells + cell] + 1
        visit(held, (direction + 1) % 4, cell, value)
        visit(held, (direction + 3) % 4, cell, value)
        back = cell - step[direction]
        if floor[back] and not door.get(cell, 0) & ~held:
            visit(held, direction, back, value)
            if cell in key:  # it was taken on entering
                visit(held & ~key[cell], direction, back, value)
    return np.array(cost, np.int32).reshape(1 << keys, 4, cells)


# -------------------------------------------------------------------------------------------------------------------- team


def team_actions(world: World, row: int) -> np.ndarray:
    """Actions ``[agent]`` of a team: everyone goes a shortest way, and who has less right of way makes room.

    Priority inheritance (Okumura et al., "Priority inheritance with backtracking for iterative multi-agent path finding", 2019):
    agents choose their next cell in order of priority; one whose cell is wanted chooses next, and if it finds none, the other
    chooses again. Priority goes round among agents with goals of their own, so that whoever is stuck is at some time first;
    with a goal in common the nearest to it comes first.
    """
    s, f, c = world.state, world.facts, world.settings
    size, agents = c.size, s.direction.shape[1]
    active = [a for a in range(agents) if not s.arrived[row, a]]
    place = {a: int(f.position[row, a, 0]) + size * int(f.position[row, a, 1]) for a in active}
    field = {a: s.field[row, a if c.own else 0] for a in active}
    turn = int(world.episode.step[row]) // (6 * size)
    order = sorted(active, key=lambda a: ((a + turn) % agents,) if c.own else (field[a][place[a]], a))
    steps = [dx(d) + size * dy(d) for d in range(4)]
    at = {cell: a for a, cell in place.items()}
    chosen: dict[int, int] = {}  # agent -> cell
    way = set(_way(field[order[0]], place[order[0]], steps)) if order else set()

    def choose(a: int, pusher: int | None) -> bool:
        here = place[a]
        cells = [here + step for step in steps if field[a][here + step] >= 0]
        if pusher is None:
            cells.sort(key=lambda cell: (field[a][cell], at.get(cell, -1) >= 0))
        else:  # out of the way, then out of others' way
            cells.sort(key=lambda cell: (cell in way, at.get(cell, -1) >= 0, field[a][cell]))
        if pusher is None:
            cells = [cell for cell in cells if field[a][cell] < field[a][here]] + [here]
        for cell in cells:
            if cell in chosen.values() or (pusher is not None and cell == place[pusher]):
                continue
            chosen[a] = cell
            other = at.get(cell)
            if other is None or other == a or other in chosen or choose(other, a):
                return True
        chosen[a] = here
        return False

    for a in order:
        if a not in chosen:
            choose(a, None)
    actions = np.zeros(agents, np.int64)
    for a in active:
        moved = chosen[a] - place[a]
        actions[a] = _toward(c.turn, int(s.direction[row, a]), steps.index(moved)) if moved else _wait(world, row, a, steps)
    return actions


def _way(field: np.ndarray, cell: int, steps: list[int]) -> list[int]:
    """The cells of a shortest way from ``cell`` on."""
    found = [cell]
    while field[found[-1]] > 0:
        found.append(next(found[-1] + step for step in steps if field[found[-1] + step] == field[found[-1]] - 1))
    return found


def _toward(turn: bool, direction: int, heading: int) -> int:
    """The action that goes in direction ``heading``, or turns to it."""
    if not turn:
        return heading
    return (2, 1, 1, 0)[(heading - direction) % 4]


def _wait(world: World, row: int, a: int, steps: list[int]) -> int:
    """An action that leaves the agent where it is: a turn, or a step against a wall or, where there is none, another agent."""
    if world.settings.turn:
        return 0
    s, f = world.state, world.facts
    x, y = (int(v) for v in f.position[row, a])
    walls = [d for d in range(4) if _bit(s.walls[row], x + dx(d), y + dy(d))]
    others = {tuple(int(v) for v in f.position[row, b]) for b in range(len(s.direction[row])) if not s.arrived[row, b]}
    taken = [d for d in range(4) if (x + dx(d), y + dy(d)) in others]
    return (walls + taken + [0])[0]
