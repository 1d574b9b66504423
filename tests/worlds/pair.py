"""Two agents who each name a number from 0 to 2, five times: the core with ``[batch, agent]`` actions, facts and rewards."""

from typing import Annotated, NamedTuple

import gymnasium as gym
import numpy as np

import rewardscape
from rewardscape.envs.core import Array, Rules, rule
from rewardscape.rewards import declare_fact

declare_fact("pair_payoff", (), "float", "points", "what each agent earned in the step")


class State(NamedTuple):
    last: Annotated[Array, "int32", "agents"]


class Facts(NamedTuple):
    pair_payoff: Annotated[Array, "float32", "agents"]


class Observation(NamedTuple):
    seen: Annotated[Array, "float32", "agents", "agents"]


@rule
def reset(w, i):
    for agent in range(w.state.last.shape[1]):
        w.state.last[i, agent] = 0
        w.facts.pair_payoff[i, agent] = 0


@rule
def step(w, i):
    agents = w.state.last.shape[1]
    total = 0
    for agent in range(agents):
        w.state.last[i, agent] = w.action[i, agent]
        total += w.action[i, agent]
    for agent in range(agents):
        w.facts.pair_payoff[i, agent] = total - 1.5 * w.action[i, agent]
    w.episode.objective[i] = min(w.episode.objective[i] + total / (2 * agents * 5), 1.0)
    if w.episode.step[i] == 4:
        w.episode.terminated[i] = True


@rule
def observe(w, i):
    agents = w.state.last.shape[1]
    for agent in range(agents):
        for other in range(agents):
            w.observation.seen[i, agent, other] = w.state.last[i, other]


class Pair(Rules):
    """A public good for two."""

    State, Facts, Observation = State, Facts, Observation
    reset, step, observe = staticmethod(reset), staticmethod(step), staticmethod(observe)

    def __init__(self, agents: int = 2):
        self.agents, self.extents = agents, {"agents": agents}
        self.observation_space = gym.spaces.Box(0, 2, (agents, agents), np.float32)
        self.action_space = gym.spaces.Discrete(3)


rewardscape.register_world("rewardscape-tests/Pair-v0", f"{__name__}:Pair")
