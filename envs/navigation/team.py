"""``rewardscape/MazeTeam-v0``: several agents in one maze, each in the way of the others."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import gymnasium as gym
import numpy as np

from rewardscape.envs.core import Array, Rules, World, choice, integer, joined, number, rule, uniform
from rewardscape.envs.navigation.distances import cell_of, clear_field, spread
from rewardscape.envs.navigation.generate import lay_out
from rewardscape.envs.navigation.grid import (
    AGENT,
    EIGHT_CELLS,
    GOAL,
    NONE,
    OTHER,
    dx,
    dy,
    is_wall,
    paint,
    paint_walls,
    words_of,
)
from rewardscape.envs.navigation.maze import common_settings
from rewardscape.envs.navigation.picture import describe_team, draw_team
from rewardscape.envs.navigation.plan import team_actions
from rewardscape.envs.navigation.rules import Ground

GOALS = ("shared", "own")


class Settings(NamedTuple):
    """Numbers the rules may read. A team's maze has neither keys nor lava."""

    generator: int
    size: int
    keys: int
    lava: float
    slip: float
    turn: bool
    sight: int
    time_limit: int
    own: bool  # every agent has a goal of its own


class Walks(NamedTuple):
    """What has become of the agents. Facts serve as state where they say the same."""

    direction: Annotated[Array, "int8", "agents"]
    arrived: Annotated[Array, "bool", "agents"]
    visits: Annotated[Array, "uint16", "agents", "cells"]  # but for the cell where the agent is: that is `visit_count`


State = joined("State", __name__, Ground, Walks)


class Facts(NamedTuple):
    """See the fact vocabulary; one of each for every agent."""

    position: Annotated[Array, "int32", "agents", 2]
    goal_distance: Annotated[Array, "float32", "agents"]
    goal_offset: Annotated[Array, "float32", "agents", 2]
    visit_count: Annotated[Array, "int32", "agents"]
    collision: Annotated[Array, "bool", "agents"]
    goal_reached: Annotated[Array, "bool", "agents"]
    effective_actions: Annotated[Array, "int32", "agents"]
    agent_objective: Annotated[Array, "float32", "agents"]


class Observation(NamedTuple):
    """What each agent sees, eight bytes in a word."""

    image: Annotated[Array, "uint64", "agents", "words"]


class Shared(NamedTuple):
    """What views are made of."""

    eight_cells: Array  # uint64 [bits, 3]


@rule
def goal_of(w, agent):
    """Index of an agent's goal, and of its layer in the field."""
    return agent if w.settings.own else 0


@rule
def reset(w, i):
    """A maze with its distances, and the agents at their starts."""
    s, f, c = w.state, w.facts, w.settings
    agents = s.direction.shape[1]
    lay_out(w, i)
    for g in range(s.goals.shape[1]):
        clear_field(w, i, g)
        spread(w, i, g, cell_of(w, i, s.goals, g))
    for a in range(agents):
        for cell in range(c.size * c.size):
            s.visits[i, a, cell] = 0
        s.direction[i, a] = integer(w, i, 0, 4) if c.turn else 0
        s.arrived[i, a] = False
        f.position[i, a, 0] = s.starts[i, a, 0]
        f.position[i, a, 1] = s.starts[i, a, 1]
        f.visit_count[i, a] = 1
        f.collision[i, a] = False
        f.goal_reached[i, a] = False
        f.effective_actions[i, a] = 0
        f.agent_objective[i, a] = 0
        locate(w, i, a)


@rule
def locate(w, i, a):
    """Facts that follow from where agent ``a`` is."""
    s, f = w.state, w.facts
    x, y, g = f.position[i, a, 0], f.position[i, a, 1], goal_of(w, a)
    f.goal_offset[i, a, 0] = s.goals[i, g, 0] - x
    f.goal_offset[i, a, 1] = s.goals[i, g, 1] - y
    f.goal_distance[i, a] = s.field[i, g, x + w.settings.size * y]


@rule
def agent_at(w, i, x, y):
    """Is an agent at (x, y)?"""
    for a in range(w.state.direction.shape[1]):
        if not w.state.arrived[i, a] and w.facts.position[i, a, 0] == x and w.facts.position[i, a, 1] == y:
            return True
    return False


@rule
def step(w, i):
    """The agents act one after the other, another one first in every step."""
    s, f = w.state, w.facts
    agents = s.direction.shape[1]
    first, arrived = w.episode.step[i] % agents, 0
    for k in range(agents):
        a = (first + k) % agents
        f.collision[i, a] = False
        f.goal_reached[i, a] = False
        if not s.arrived[i, a]:
            act(w, i, a)
    for a in range(agents):
        arrived += s.arrived[i, a]
    w.episode.objective[i] = arrived / agents
    if arrived == agents:
        w.episode.terminated[i] = True
    elif w.episode.step[i] + 1 >= w.settings.time_limit:
        w.episode.truncated[i] = True


@rule
def act(w, i, a):
    """Agent ``a`` turns or moves; at its goal it has arrived, and leaves the map."""
    s, f, c = w.state, w.facts, w.settings
    action = w.action[i, a]
    if c.turn and action < 2:
        s.direction[i, a] = (s.direction[i, a] + (3 if action == 0 else 1)) & 3
        f.effective_actions[i, a] += 1
        f.visit_count[i, a] += 1
        return
    heading = np.int64(s.direction[i, a]) if c.turn else action
    if c.slip > 0:
        u = uniform(w, i)
        if u < c.slip:
            heading = (heading + (1 if u < c.slip / 2 else 3)) & 3
    if not c.turn:
        s.direction[i, a] = heading
    x, y = f.position[i, a, 0] + dx(heading), f.position[i, a, 1] + dy(heading)
    if is_wall(w, i, x, y) or agent_at(w, i, x, y):
        f.collision[i, a] = True
    else:
        s.visits[i, a, f.position[i, a, 0] + c.size * f.position[i, a, 1]] = f.visit_count[i, a]
        f.position[i, a, 0] = x
        f.position[i, a, 1] = y
        f.visit_count[i, a] = s.visits[i, a, x + c.size * y]
        f.effective_actions[i, a] += 1
        locate(w, i, a)
        if f.goal_distance[i, a] == 0:
            s.arrived[i, a] = True
            f.goal_reached[i, a] = True
            f.agent_objective[i, a] = 1
    f.visit_count[i, a] += 1


@rule
def observe(w, i):
    """Write what each agent sees; one that has arrived sees nothing."""
    s, c, position = w.state, w.settings, w.facts.position
    for a in range(s.direction.shape[1]):
        out = w.observation.image[i, a]
        if s.arrived[i, a]:
            for n in range(out.shape[0]):
                out[n] = np.uint64(0)
            continue
        facing = np.int64(s.direction[i, a]) if c.turn else NONE
        ahead = c.sight // 2 if c.turn else 0
        x, y = position[i, a, 0] + ahead * dx(facing), position[i, a, 1] + ahead * dy(facing)
        paint_walls(w, i, out, x, y, c.sight, facing)
        g = goal_of(w, a)
        paint(out, x, y, c.sight, facing, s.goals[i, g, 0], s.goals[i, g, 1], GOAL, NONE, NONE)
        for b in range(s.direction.shape[1]):
            if not s.arrived[i, b]:
                kind = AGENT if a == b else OTHER
                towards = facing + 1 if a == b and c.turn else NONE
                paint(out, x, y, c.sight, facing, position[i, b, 0], position[i, b, 1], kind, NONE, towards)


class MazeTeam(Rules):
    """Several agents in one maze go to their goal and are in each other's way.

    An agent that arrives leaves the map, sees nothing more (zeros) and its actions do nothing. The objective is the share of
    agents that have arrived (``agent_objective``: 1 for one that has); the episode ends when all have. A cell holds one agent:
    they act one after the other, in step t beginning with agent t mod ``agents``, and one that would enter another's cell stays.
    In the corridors of a "perfect" maze, several agents with goals of their own may have no way past each other.

    Settings: ``agents`` (2 to 8); ``goals``: "shared" (one for all) or "own" (each sees and needs its own); ``generator``,
    ``size``, ``slip``, ``actions``, ``view`` as in `Maze`; ``time_limit``: 0 is twice what it is in `Maze`. Observations are views
    as in `Maze`, with other agents as kind 8.

    Players for the other seats: "expert" (shortest ways, stepping aside), "still" (action 0 for ever: it turns on the spot;
    four-way it goes north to the next wall and stays).
    """

    State, Facts, Observation, Settings, Shared = State, Facts, Observation, Settings, Shared
    reset, step, observe = staticmethod(reset), staticmethod(step), staticmethod(observe)
    strategies = ("expert", "still")
    default_others = "expert"

    def __init__(
        self,
        agents: int = 2,
        goals: str = "shared",
        generator: str = "four-rooms",
        size: int = 16,
        slip: float = 0.0,
        actions: str = "turn",
        view: int = 7,
        time_limit: int = 0,
    ):
        kind, size, turn, view, slip, limit = common_settings("MazeTeam", generator, size, actions, view, slip, time_limit)
        number("MazeTeam", "agents", agents, 2, 8, whole=True)
        own = choice("MazeTeam", "goals", goals, GOALS) == "own"
        self.agents = int(agents)
        self.settings = Settings(kind, size, 0, 0.0, slip, turn, view, time_limit or min(65_000, 2 * limit), own)
        count = self.agents if own else 1
        self.extents = {
            "agents": self.agents, "starts": self.agents, "goals": count, "layers": count, "keys": 0, "lava_rows": 0,
            "size": size, "cells": size * size, "words": words_of(view),
        }  # fmt: skip
        self.shared = Shared(EIGHT_CELLS)
        self.observation_space = gym.spaces.Box(0, AGENT, (self.agents, view, view, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(3 if turn else 4)

    def expert(self, world: World, row: int) -> np.ndarray:
        """Actions ``[agent]`` along shortest ways; who has less right of way steps aside."""
        return team_actions(world, row)

    def act_as(self, strategy: str, world: World) -> np.ndarray:
        choice("MazeTeam", "strategy", strategy, self.strategies)
        rows, agents = world.state.direction.shape
        if strategy == "still":
            return np.zeros((rows, agents), np.int64)
        return np.stack([team_actions(world, row) for row in range(rows)])

    def draw(self, world: World, row: int) -> np.ndarray:
        return draw_team(world, row)

    def describe(self, world: World, row: int) -> str:
        return describe_team(world, row)
