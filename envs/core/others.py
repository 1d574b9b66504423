"""One learner among others: who plays the seats that do not learn, and what one agent has of a row's spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.envs.core import random
from rewardscape.envs.core.actions import put
from rewardscape.envs.core.batch import action_bounds
from rewardscape.envs.core.stepper import Stepper
from rewardscape.envs.core.world import Rules

_KEY = np.uint64(0x6F74686572730A01)  # parts the others' randomness from that of the episode


class Others:
    """The players of every seat but ``learner``'s in a world of several agents.

    ``others``: one player for all of them, or a list with one for each other seat in order; None: the world's default. A
    player is the name of one of the world's ``strategies``; ``"random"``, whose actions are drawn evenly by a key of their
    own, so that they depend on seed, episode, step and seat only; an object with ``predict(observation, deterministic=True)``
    as of Stable-Baselines3 (without memory; NumPy arrays); or a function of observations ``[row, ...]`` that returns
    actions ``[row, ...]``. Policies and functions are given what their own seat observes. Frozen policies act greedily, and
    touch nobody's random generator. Raises ValueError naming what is allowed.
    """

    def __init__(self, rules: Rules, others: Any = None, learner: int | None = 0):
        world, agents = type(rules).__name__, rules.agents
        if agents is None:
            raise ValueError(f"{world} has one agent: others= and learner= are for worlds of several")
        learner = 0 if learner is None else learner
        if isinstance(learner, bool) or not isinstance(learner, (int, np.integer)) or not 0 <= learner < agents:
            raise ValueError(f"{world}: learner={learner!r}; allowed: an integer in [0, {agents - 1}]")
        others = rules.default_others if others is None else others
        players = list(others) if isinstance(others, (list, tuple)) else [others] * (agents - 1)
        if len(players) != agents - 1:
            raise ValueError(f"{world}: {len(players)} players in others= for {agents - 1} seats beside the learner's")
        self.rules, self.learner = rules, int(learner)
        seats = [seat for seat in range(agents) if seat != self.learner]
        self.players = {seat: _player(rules, player) for seat, player in zip(seats, players, strict=True)}
        self._scripted = {p for p in self.players.values() if isinstance(p, str) and p != "random"}
        self._low, self._high, self._dtype = action_bounds(rules.action_space)

    def act(self, stepper: Stepper) -> None:
        """Write the actions of every seat but the learner's into ``stepper.raw``, given the moment that ``stepper`` is in."""
        named = any(isinstance(player, str) for player in self.players.values())
        world: Any = stepper.host_world() if named else None  # copied from a GPU only if somebody looks at it
        planned = {name: self.rules.act_as(name, world) for name in self._scripted}
        if "random" in self.players.values():
            planned["random"] = self._drawn(world)
        for seat, player in self.players.items():
            actions = planned[player][:, seat] if isinstance(player, str) else player(part(stepper.observation, seat))
            put(stepper.raw[:, seat], actions)

    def _drawn(self, world: Any) -> np.ndarray:
        """Actions ``[row, agent, ...]`` drawn evenly, by the key of the episode and the step."""
        key, step = np.asarray(world.episode.key), np.asarray(world.episode.step).astype(np.uint64)
        mix = getattr(random.mix, "py_func", random.mix)
        size = (self.rules.agents or 1) * self._low.size
        counter = step[:, None] * np.uint64(size) + np.arange(1, size + 1, dtype=np.uint64)
        bits = mix(mix(key ^ _KEY)[:, None] + counter * random.GOLDEN)
        share = ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(len(key), -1, self._low.size)
        whole = np.dtype(self._dtype).kind in "iu"
        low, span = self._low.astype(float), self._high.astype(float) - self._low + (1 if whole else 0)
        drawn = low + (np.floor(share * span) if whole else share * span)
        return drawn.astype(self._dtype).reshape(len(key), -1, *(self.rules.action_space.shape or ()))


def _player(rules: Rules, player: Any) -> str | Callable[[Any], Any]:
    if isinstance(player, str) and player in ("random", *rules.strategies):
        return player
    if hasattr(player, "predict"):
        return lambda observation: player.predict(_numpy(observation), deterministic=True)[0]
    if not isinstance(player, str) and callable(player):
        return player
    named = ", ".join(map(repr, ("random", *rules.strategies)))
    raise ValueError(
        f"{type(rules).__name__}: others={player!r}; allowed: {named}, a policy with predict(...), a function of observations, "
        f"or a list of these"
    )


def part(value: Any, agent: int) -> Any:
    """One agent's column of arrays ``[row, agent, ...]``, as views."""
    return {key: array[:, agent] for key, array in value.items()} if isinstance(value, dict) else value[:, agent]


def _numpy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numpy(array) for key, array in value.items()}
    return value if isinstance(value, np.ndarray) else value.cpu().numpy()


def agent_space(space: gym.Space, agent: int = 0) -> gym.Space:
    """One agent's part of a row's observation space, whose leading axis is the agents'. TypeError for other kinds of space."""
    if isinstance(space, gym.spaces.Dict):
        return gym.spaces.Dict({key: agent_space(inner, agent) for key, inner in space.spaces.items()})
    if isinstance(space, gym.spaces.Box):
        return gym.spaces.Box(space.low[agent], space.high[agent], dtype=space.dtype.type)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return gym.spaces.MultiDiscrete(space.nvec[agent], dtype=space.dtype.type, start=space.start[agent])
    if isinstance(space, gym.spaces.MultiBinary):
        return gym.spaces.MultiBinary(space.shape[1:])
    raise TypeError(f"agents observe a Box, MultiDiscrete, MultiBinary or a Dict of them, not {space}")
