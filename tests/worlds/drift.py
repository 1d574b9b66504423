"""A point in the unit square steers to a goal: continuous actions, a dict as observation, an episode that only time ends."""

from typing import Annotated, NamedTuple

import gymnasium as gym
import numpy as np

import rewardscape
from rewardscape.envs.core import Array, Rules, rule, uniform
from rewardscape.rewards import declare_fact

STEPS = 8

declare_fact("drift_gap", (), "float", "", "larger of the two coordinate distances between point and goal")
declare_fact("drift_push", (2,), "float", "", "the step as it was taken, after the action was made safe")


class State(NamedTuple):
    best: Annotated[Array, "float64"]  # how close the point has come: 1 - the smallest gap seen, where the start counts 0
    first: Annotated[Array, "float64"]


class Facts(NamedTuple):
    drift_gap: Annotated[Array, "float64"]
    drift_push: Annotated[Array, "float32", 2]


class Observation(NamedTuple):
    point: Annotated[Array, "float32", 2]
    goal: Annotated[Array, "float32", 2]


class Settings(NamedTuple):
    reach: float


@rule
def gap(w, i):
    o = w.observation
    return max(abs(np.float64(o.point[i, 0]) - o.goal[i, 0]), abs(np.float64(o.point[i, 1]) - o.goal[i, 1]))


@rule
def reset(w, i):
    for axis in range(2):
        w.observation.point[i, axis] = 0.25 * uniform(w, i)
        w.observation.goal[i, axis] = 0.75 + 0.25 * uniform(w, i)
        w.facts.drift_push[i, axis] = 0.0
    w.state.first[i] = gap(w, i)
    w.state.best[i] = 0.0
    w.facts.drift_gap[i] = w.state.first[i]


@rule
def step(w, i):
    for axis in range(2):
        push = w.action[i, axis] * np.float32(w.settings.reach)
        w.facts.drift_push[i, axis] = push
        w.observation.point[i, axis] = min(max(w.observation.point[i, axis] + push, np.float32(0)), np.float32(1))
    now = gap(w, i)
    w.facts.drift_gap[i] = now
    w.state.best[i] = max(w.state.best[i], 1 - now / w.state.first[i])
    w.episode.objective[i] = min(max(w.state.best[i], 0.0), 1.0)
    if w.episode.step[i] + 1 >= STEPS:
        w.episode.terminated[i] = True


@rule
def observe(w, i):
    pass  # the rules write the observation as they go


class Drift(Rules):
    """Steer a point to a goal."""

    State, Facts, Observation, Settings = State, Facts, Observation, Settings
    reset, step, observe = staticmethod(reset), staticmethod(step), staticmethod(observe)
    success_threshold = 0.99
    observation_keys = ("point", "goal")

    def __init__(self, reach: float = 0.5):
        self.settings, self.extents = Settings(float(reach)), {}
        self.observation_space = gym.spaces.Dict({key: gym.spaces.Box(0, 1, (2,), np.float32) for key in ("point", "goal")})
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def expert(self, world, row):
        away = world.observation.goal[row] - world.observation.point[row]
        return np.clip(away / self.settings.reach, -1, 1).astype(np.float32)

    def draw(self, world, row):
        picture = np.full((32, 32, 3), 255, np.uint8)
        for place, colour in ((world.observation.goal[row], (60, 160, 60)), (world.observation.point[row], (40, 90, 200))):
            x, y = (place * 28).astype(int)
            picture[y : y + 4, x : x + 4] = colour
        return picture

    def describe(self, world, row):
        return f"point {world.observation.point[row]}, goal {world.observation.goal[row]}"


rewardscape.register_world("rewardscape-tests/Drift-v0", f"{__name__}:Drift")
