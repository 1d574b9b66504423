"""Agents as functions ``act(observation) -> actions``: those that do not learn, what a trained one is measured against, and policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.envs.gui.vocabulary import INTERACTIVE, ROLE_ID

Actor = Callable[[Any], np.ndarray]


def random_agent(envs: Any, seed: int = 0) -> Actor:
    """Actions drawn evenly from the action space."""
    space, shape, rng = envs.single_action_space, envs.action_space.shape, np.random.default_rng(seed)
    if isinstance(space, gym.spaces.Box):
        return lambda _: rng.uniform(space.low, space.high, shape).astype(space.dtype)
    if isinstance(space, gym.spaces.Discrete):
        return lambda _: rng.integers(space.start, space.start + space.n, shape)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return lambda _: rng.integers(space.start, space.start + space.nvec, shape)
    raise TypeError(f"no random agent for {space}")


def expert_agent(envs: Any) -> Actor:
    """The world's own expert, who knows everything."""
    return lambda _: envs.expert_actions()


def constant_agent(envs: Any, action: np.ndarray) -> Actor:
    """The same action always, of every agent."""
    actions = np.array(np.broadcast_to(np.asarray(action, envs.single_action_space.dtype), envs.action_space.shape))
    return lambda _: actions


class PolicyActor:
    """A policy with SB3's ``predict`` as an actor. What it remembers of an episode is dropped in the rows given to `ended`."""

    def __init__(self, policy: Any, deterministic: bool):
        self.policy, self.deterministic = policy, deterministic
        self.memory: Any = None
        self.starts: Any = None

    def __call__(self, observation: Any) -> np.ndarray:
        actions, self.memory = self.policy.predict(
            observation, state=self.memory, episode_start=self.starts, deterministic=self.deterministic
        )
        return actions

    def ended(self, rows: np.ndarray) -> None:
        """The episodes of these rows (bool ``[row]``) have ended."""
        self.starts = rows


# -------------------------------------------------------------------------------------------------- guesses in GUI worlds


def click_at(boxes: np.ndarray, parts: int) -> np.ndarray:
    """Actions of ``parts`` numbers that click the middles of ``boxes`` ``[row, 4]``, in the world's four kinds of action."""
    middles = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    if parts == 2:
        return middles.astype(np.float32)
    if parts == 3:
        return np.concatenate([middles, np.ones((len(boxes), 1))], 1).astype(np.float32)
    if parts == 4:
        return boxes.astype(np.float32)
    return np.concatenate([*[boxes] * ((parts - 2) // 4), middles], 1).astype(np.float32)


def role_agent(envs: Any, role: str, which: str = "any", seed: int = 0) -> Actor:
    """Clicks an element of ``role`` ("any", the "first" or the "last" of them), without reading the instruction.

    On a screen without that role: any interactive element.
    """
    parts, rng, wanted = envs.single_action_space.shape[0], np.random.default_rng(seed), ROLE_ID[role]
    interactive = np.array([ROLE_ID[name] for name in INTERACTIVE])

    def act(observation: Any) -> np.ndarray:
        roles = observation["roles"]
        fits = roles == wanted
        fits = np.where(fits.any(1, keepdims=True), fits, np.isin(roles, interactive))
        position = np.arange(roles.shape[1])
        order = {"first": -position, "last": position}.get(which, rng.random(roles.shape))
        chosen = np.where(fits, order, -np.inf).argmax(1)
        return click_at(observation["boxes"][np.arange(len(roles)), chosen], parts)

    return act


def overlap_agent(envs: Any) -> Actor:
    """Clicks the element whose name shares most words with the instruction: the strongest guess that does not learn.

    Ties go to the element with the shorter name, then to interactive roles, then to the first.
    """
    parts = envs.single_action_space.shape[0]
    interactive = np.array([ROLE_ID[name] for name in INTERACTIVE])

    def act(observation: Any) -> np.ndarray:
        names, instruction = observation["names"], observation["instruction"]
        said = ((names[..., None] == instruction[:, None, None, :]) & (names > 0)[..., None]).any(-1).sum(-1)
        length = (names > 0).sum(-1)
        score = said - 0.01 * (length - said) + 0.001 * np.isin(observation["roles"], interactive)
        chosen = np.where(observation["roles"] > 0, score, -np.inf).argmax(1)
        return click_at(observation["boxes"][np.arange(len(names)), chosen], parts)

    return act
