"""Exact tables of a world: every state reached from a start by saving and restoring it, and value iteration over them.

For questions that sampling cannot answer, such as whether a shaped reward has the very same optimal actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np


@dataclass
class Table:
    """A deterministic decision process. ``following`` int ``[state, action]``: the state an action leads to; ``rewards`` float and
    ``ended`` bool, the same shape; ``objective`` float: increments of the true objective. State 0 is the start. ``states``: what
    each state was told apart by."""

    states: list[Hashable]
    following: np.ndarray
    rewards: np.ndarray
    ended: np.ndarray
    objective: np.ndarray

    def values(self, gamma: float, tolerance: float = 1e-12) -> np.ndarray:
        """Optimal action values ``[state, action]`` of discounted reward, by value iteration. ValueError unless 0 <= gamma < 1."""
        if not 0 <= gamma < 1:
            raise ValueError(f"gamma={gamma!r}; allowed: from 0 to below 1")
        q = np.zeros(self.rewards.shape)
        while True:
            after = np.where(self.ended, 0.0, q.max(1)[self.following])
            new = self.rewards + gamma * after
            if np.abs(new - q).max() <= tolerance:
                return new
            q = new

    def best(self, gamma: float, tolerance: float = 1e-9) -> np.ndarray:
        """Which actions are optimal, bool ``[state, action]``."""
        q = self.values(gamma)
        return q >= q.max(1, keepdims=True) - tolerance

    def follow(self, q: np.ndarray, steps: int) -> tuple[float, float]:
        """Reward and objective gathered from the start by taking the best action of ``q`` (the first of several), undiscounted."""
        state, reward, objective = 0, 0.0, 0.0
        for _ in range(steps):
            action = int(q[state].argmax())
            reward += self.rewards[state, action]
            objective += self.objective[state, action]
            if self.ended[state, action]:
                break
            state = int(self.following[state, action])
        return reward, objective


def tabulate(env: Any, key: Callable[[Any], Hashable], limit: int = 100_000) -> Table:
    """The table of all states of ``env`` (after its reset) that can be reached from where it stands.

    ``env``: a compiled world made by `gymnasium.make`, whole-numbered actions, whose rules draw nothing while it runs. ``key`` of its
    unwrapped environment tells states apart: everything that decides how it goes on, and nothing else (no count of steps).
    Raises ValueError for other actions, or more than ``limit`` states.
    """
    env = env.unwrapped
    if not isinstance(env.action_space, gym.spaces.Discrete):
        raise ValueError(f"a table needs a Discrete action space, not {env.action_space}")
    actions = range(int(env.action_space.start), int(env.action_space.start + env.action_space.n))
    home = env.get_state()
    number: dict[Hashable, int] = {key(env): 0}
    waiting = deque([home])
    rows: list[list[tuple[int, float, bool, float]]] = []
    while waiting:
        state = waiting.popleft()
        found = []
        for action in actions:
            env.set_state(state)
            before = float(env.facts["objective"][0])
            _, reward, terminated, _, info = env.step(action)
            place = key(env)
            if place not in number and not terminated:
                if len(number) >= limit:
                    raise ValueError(f"more than limit={limit} states")
                number[place] = len(number)
                waiting.append(env.get_state())
            found.append((number.get(place, 0), reward, terminated, info["objective"] - before))
        rows.append(found)
    env.set_state(home)
    columns = [np.array([[entry[k] for entry in row] for row in rows]) for k in range(4)]
    return Table(list(number), columns[0].astype(int), columns[1], columns[2].astype(bool), columns[3])
