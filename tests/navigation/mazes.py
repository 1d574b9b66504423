"""Mazes as plain Python sees them: an own reading of the state, distances and views, to compare the rules with."""

from collections import deque

import numpy as np

from rewardscape.envs.core.batch import Batch, seen_as
from rewardscape.envs.navigation.maze import Maze

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # north, east, south, west


def batch_of(rules, rows, seed=0):
    """``rows`` rows of ``rules``, at the start of the first episode of ``seed``, ``seed + 1``, ..."""
    batch = Batch(rules, rows)
    batch.world.episode.seed[:] = np.arange(seed, seed + rows).astype(np.uint64)
    batch.reset(np.ones(rows, bool))
    return batch


def mazes(rows, seed=0, **settings):
    return batch_of(Maze(**settings), rows, seed)


def act(batch, actions):
    batch.raw[...] = actions
    batch.step(False)


def seen(batch):
    """What agents see: ``[row, (agent,) height, width, 3]``."""
    return seen_as(batch.world.observation.image, batch.rules.observation_space)


def experts(batch):
    return np.stack([batch.rules.expert(batch.world, row) for row in range(batch.rows)])


class Plan:
    """One row's maze: sets of places (x, y), and what the agent has done."""

    def __init__(self, batch, row):
        s, self.size = batch.world.state, batch.rules.settings.size

        def places(array):
            return [(int(x), int(y)) for x, y in array[row]]

        def cells(words):
            return {(x, y) for y in range(len(words)) for x in range(self.size) if (int(words[y]) >> x) & 1}

        self.walls, self.lava = cells(s.walls[row]), cells(s.lava[row])
        self.floor = {(x, y) for y in range(self.size) for x in range(self.size)} - self.walls
        self.starts, self.goals = places(s.starts), places(s.goals)
        self.keys, self.doors = places(s.keys), places(s.doors)

    def steps(self, place, held):
        """Places one move away for one who holds ``held``, and what is held there. Deadly places are left out."""
        for dx, dy in MOVES:
            to = place[0] + dx, place[1] + dy
            locked = any(to == door and k not in held for k, door in enumerate(self.doors))
            if to not in self.walls and to not in self.lava and not locked:
                yield to, held | {k for k, key in enumerate(self.keys) if key == to}

    def distance(self, place, held=frozenset(), reached=()):
        """Fewest moves to the nearest goal not reached, None if there is no way."""
        wanted = {goal for k, goal in enumerate(self.goals) if k not in reached}
        seen, queue = {(place, frozenset(held))}, deque([(place, frozenset(held), 0)])
        while queue:
            place, held, moves = queue.popleft()
            if place in wanted:
                return moves
            for to, holds in self.steps(place, held):
                if (to, frozenset(holds)) not in seen:
                    seen.add((to, frozenset(holds)))
                    queue.append((to, frozenset(holds), moves + 1))
        return None

    def actions_left(self, place, direction, held=frozenset()):
        """Fewest actions (left, right, forward) to the nearest goal."""
        start = (place, direction, frozenset(held))
        seen, queue = {start}, deque([(start, 0)])
        while queue:
            (place, direction, held), count = queue.popleft()
            if place in self.goals:
                return count
            ahead = place[0] + MOVES[direction][0], place[1] + MOVES[direction][1]
            found = [(place, (direction + 1) % 4, held), (place, (direction + 3) % 4, held)]
            found += [(to, direction, frozenset(holds)) for to, holds in self.steps(place, held) if to == ahead]
            for state in found:
                if state not in seen:
                    seen.add(state)
                    queue.append((state, count + 1))
        return None

    def reachable(self, place, without=()):
        """All floor that can be walked to, doors open but those of ``without``."""
        closed = {self.doors[k] for k in without}
        seen, queue = {place}, deque([place])
        while queue:
            x, y = queue.popleft()
            for dx, dy in MOVES:
                to = x + dx, y + dy
                if to in self.floor and to not in self.lava and to not in closed and to not in seen:
                    seen.add(to)
                    queue.append(to)
        return seen


def bits(value, count=8):
    return frozenset(k for k in range(count) if (int(value) >> k) & 1)
