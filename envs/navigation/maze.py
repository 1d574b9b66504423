"""``rewardscape/Maze-v0``: find the goals of a maze; with keys and doors, lava, moving obstacles, or a deceptive wall."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.envs.core import LiveTexts, Rules, World, choice, number
from rewardscape.envs.navigation.events import caption
from rewardscape.envs.navigation.furnish import CAVES, GENERATORS, LOCKABLE, PERFECT
from rewardscape.envs.navigation.grid import AGENT, EIGHT_CELLS, words_of
from rewardscape.envs.navigation.picture import describe_maze, draw_maze
from rewardscape.envs.navigation.plan import Planner
from rewardscape.envs.navigation.rules import Facts, Observation, Settings, Shared, State, ahead, reset, step
from rewardscape.envs.navigation.view import OBSERVATIONS, PIXELS, TILE, TILE_WORDS, observe

ACTIONS = ("turn", "four-way")
SPLITS = ("train", "held-out")


def common_settings(
    world: str, generator: str, size: int, actions: str, view: int, slip: float, time_limit: int
) -> tuple[int, int, bool, int, float, int]:
    """The settings that all mazes have, checked; a time limit of 0 is replaced by the default (see `Maze`)."""
    choice(world, "generator", generator, GENERATORS)
    number(world, "size", size, 8, 64, whole=True)
    number(world, "view", view, 3, 15, whole=True)
    if view % 2 == 0:
        raise ValueError(f"{world}: view={view}; allowed: an odd number in [3, 15]")
    kind, turn = GENERATORS.index(generator), choice(world, "actions", actions, ACTIONS) == "turn"
    number(world, "time_limit", time_limit, 0, 65_000, whole=True)
    if time_limit == 0:
        time_limit = (16 if turn else 8) * size
        if kind in (CAVES, PERFECT):
            time_limit = max(time_limit, (size if turn else size // 2) * size)
    return kind, int(size), turn, int(view), number(world, "slip", slip, 0, 1), int(time_limit)


class Maze(Rules):
    """Find the goals of a maze, with keys and doors, lava, moving obstacles or a deceptive wall on the way.

    Reaching all goals ends the episode, and so do lava and obstacles (whoever moves); the objective is the share of goals
    reached. A key is taken by walking onto it; its door opens when one walks into it with the key. All mazes can be solved.

    Settings: ``generator``: "four-rooms", "rooms" (a lattice of rooms), "perfect" (corridors without loops), "caves", "u-trap"
    (start before the mouth of a U of walls, goal behind it: whatever only comes closer to the goal is caught); ``size`` (8 to 64):
    the map is square, its outermost cells are wall; ``goals`` (1 to 4); ``keys`` (0 to 2): so many locked doors, each of its own
    colour, on the way from the start to the first goal (not in a u-trap); ``obstacles`` (0 to 8): after each action every one
    goes to a free neighbour of chance; ``lava`` (0 to 0.5): share of the floor; ``slip``: probability that a move goes to the
    side instead (left or right alike); ``actions``: "turn" (0 left, 1 right, 2 forward) or "four-way" (north, east, south, west);
    ``time_limit``: steps after which the episode is cut off (truncated); 0 is 16 * size with turns (perfect mazes and caves: at
    least size²), half of it four-way, times ``goals + keys``; ``mazes``: 0 for a new maze in every episode, n for one of n fixed
    ones (start, goals and all included), the same for every seed; ``split``: "train" or "held-out", which has n others.

    ``observation``: "view": ``view`` x ``view`` cells (odd, 3 to 15), with turns what lies ahead, the agent at the bottom centre
    looking up; four-way what lies around, north up. "map": all of it, north up. "pixels": the view drawn, 8 pixels a cell. Views
    and maps are uint8 ``[row, column, 3]``. Channel 0: 1 wall (so is all outside the map), 2 floor, 3 goal not yet reached, 4 key,
    5 locked door, 6 lava, 7 obstacle, 9 the agent (0 unseen and 8 other agent do not occur). Channel 1: colour of a key or door
    (1 or 2); in the agent's cell the keys held, as bits. Channel 2: in the agent's cell, with turns, 1 + its direction (north,
    east, south, west).

    Facts: every step that ends in a cell, a bump or a turn too, counts as a visit of it. Distances ignore obstacles.
    """

    State, Facts, Observation, Settings, Shared = State, Facts, Observation, Settings, Shared
    reset, step, observe, ahead = staticmethod(reset), staticmethod(step), staticmethod(observe), staticmethod(ahead)

    def __init__(
        self,
        generator: str = "four-rooms",
        size: int = 16,
        goals: int = 1,
        keys: int = 0,
        obstacles: int = 0,
        lava: float = 0.0,
        slip: float = 0.0,
        actions: str = "turn",
        observation: str = "view",
        view: int = 7,
        time_limit: int = 0,
        mazes: int = 0,
        split: str = "train",
    ):
        kind, size, turn, view, slip, limit = common_settings("Maze", generator, size, actions, view, slip, time_limit)
        number("Maze", "goals", goals, 1, 4, whole=True)
        number("Maze", "keys", keys, 0, 2, whole=True)
        if keys > 0 and generator not in LOCKABLE:
            raise ValueError(f"Maze: keys={keys} with generator={generator!r}; keys are for {', '.join(LOCKABLE)}")
        number("Maze", "obstacles", obstacles, 0, 8, whole=True)
        number("Maze", "lava", lava, 0, 0.5)
        number("Maze", "mazes", mazes, 0, 2**31, whole=True)
        choice("Maze", "split", split, SPLITS)
        seen = OBSERVATIONS.index(choice("Maze", "observation", observation, OBSERVATIONS))
        limit = time_limit or min(65_000, limit * (goals + keys))
        self.settings = Settings(
            kind, size, int(keys), int(obstacles), float(lava), slip, turn, view, seen, limit, int(mazes), split == "held-out"
        )
        height = (view, size, TILE * view)[seen]
        self.extents = {
            "size": size, "cells": size * size, "layers": 1 << keys, "starts": 1, "goals": goals, "keys": keys, "obstacles": obstacles,
            "lava_rows": size if lava > 0 else 0, "glance": words_of(view) if seen == PIXELS else 0,
            "words": height * height * 3 // 8 if seen == PIXELS else words_of(height),
        }  # fmt: skip
        self.shared = Shared(EIGHT_CELLS, TILE_WORDS)
        self.observation_space = gym.spaces.Box(0, 255 if seen == PIXELS else AGENT, (height, height, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(3 if turn else 4)
        self._planner = Planner()

    def info(self, world: World, row: int) -> dict[str, Any]:
        return {"caption": caption(world.state.event[row])}

    def texts(self, world: World) -> dict[str, Any]:
        return {"caption": LiveTexts(caption, world.state.event)}

    def lazy_facts(self, world: World) -> dict[str, Any]:
        return {"caption": LiveTexts(caption, world.state.event)}

    def expert(self, world: World, row: int) -> int:
        """The next action of a shortest way (in actions, turns included) to the nearest goal, keys fetched; out of the way of
        obstacles, where there is a choice."""
        return self._planner.action(world, row)

    def draw(self, world: World, row: int) -> np.ndarray:
        return draw_maze(world, row)

    def describe(self, world: World, row: int) -> str:
        return describe_maze(world, row)
