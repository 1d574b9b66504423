"""A corridor: walk to its right end. The smallest world with everything: chance, an end, a fact, a picture, an expert."""

from typing import Annotated, NamedTuple

import gymnasium as gym
import numpy as np

import rewardscape
from rewardscape.envs.core import Array, Rules, integer, rule
from rewardscape.rewards import declare_fact

declare_fact("corridor_left", (), "float", "cells", "cells between the walker and the right end")


class State(NamedTuple):
    place: Annotated[Array, "int32"]


class Facts(NamedTuple):
    corridor_left: Annotated[Array, "float32"]


class Observation(NamedTuple):
    cells: Annotated[Array, "float32", "length"]


class Settings(NamedTuple):
    length: int


@rule
def look(w, i):
    w.facts.corridor_left[i] = w.settings.length - 1 - w.state.place[i]


@rule
def reset(w, i):
    w.state.place[i] = integer(w, i, 0, w.settings.length - 1)
    look(w, i)


@rule
def step(w, i):
    s, last = w.state, w.settings.length - 1
    s.place[i] = min(max(s.place[i] + (1 if w.action[i] == 1 else -1), 0), last)
    look(w, i)
    if s.place[i] == last:
        w.episode.objective[i] = 1
        w.episode.terminated[i] = True
    elif w.episode.step[i] >= 3 * last:
        w.episode.terminated[i] = True


@rule
def observe(w, i):
    for cell in range(w.settings.length):
        w.observation.cells[i, cell] = 1 if cell == w.state.place[i] else 0


class Corridor(Rules):
    """Walk to the right end of a corridor."""

    State, Facts, Observation, Settings = State, Facts, Observation, Settings
    reset, step, observe = staticmethod(reset), staticmethod(step), staticmethod(observe)

    def __init__(self, length: int = 6):
        self.settings, self.extents = Settings(length), {"length": length}
        self.observation_space = gym.spaces.Box(0, 1, (length,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def expert(self, world, row):
        return 1

    def draw(self, world, row):
        picture = np.full((8, 8 * self.settings.length, 3), 255, np.uint8)
        place = world.state.place[row]
        picture[:, 8 * place : 8 * place + 8] = (40, 90, 200)
        return picture

    def describe(self, world, row):
        return "." * world.state.place[row] + "@" + "." * (self.settings.length - 1 - world.state.place[row])


rewardscape.register_world("rewardscape-tests/Corridor-v0", f"{__name__}:Corridor")
