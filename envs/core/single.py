"""The Gymnasium face: one row of a compiled world as a `gymnasium.Env`."""

from __future__ import annotations

import importlib
import secrets
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.envs.core.random import as_seed
from rewardscape.envs.core.stepper import Stepper
from rewardscape.envs.core.world import Rules, World
from rewardscape.rewards import RewardLayer

RENDER_MODES = ("human", "rgb_array", "ansi")


def make(rules: str, reward: Any = None, render_mode: str | None = None, **settings: Any) -> gym.Env:
    """What `gymnasium.make` calls. ``rules``: ``"module:Class"``; ``settings``: of the world."""
    return CompiledEnv(load_rules(rules)(**settings), reward, render_mode)


def load_rules(path: str) -> type[Rules]:
    """The `Rules` class at ``"module:Class"``."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def full_id(env: str) -> str:
    """``env`` with its namespace; ``module:id`` imports the module first. ValueError with what there is if it is unknown."""
    from rewardscape.rewards import load_plugins

    load_plugins()
    module, colon, name = env.rpartition(":")
    if colon:
        importlib.import_module(module)
        return full_id(name)
    if env in gym.registry:
        return env
    name = f"rewardscape/{env}" if "/" not in env else env
    for candidate in (name, f"{name}-v0"):
        if candidate in gym.registry:
            return candidate
    known = sorted(i for i in gym.registry if i.startswith("rewardscape/"))
    raise ValueError(f"unknown environment {env!r}; there are: {', '.join(known)}")


class CompiledEnv(gym.Env):
    """One row of ``rules`` under ``reward`` (preset name, expression, YAML path, RewardLayer, or None).

    ``info``: ``objective`` (score of the episode so far, in [0, 1]), ``success``, ``invalid_action``, ``reward_terms``
    (raw value of every term) and what the world adds. An action of the wrong shape is a ValueError; a non-finite or
    out-of-range one is the agent's affair: it is replaced (see `engine.sanitise`) and ``invalid_action`` is True.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # noqa: RUF012

    def __init__(self, rules: Rules, reward: Any = None, render_mode: str | None = None):
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode={render_mode!r}; allowed: {', '.join(RENDER_MODES)} or None")
        if rules.agents is not None:
            raise ValueError(f"{type(rules).__name__} has {rules.agents} agents: make it with gymnasium.make_vec")
        self.rules, self.render_mode = rules, render_mode
        self.observation_space, self.action_space = rules.observation_space, rules.action_space
        self._stepper = Stepper(rules, 1, reward)
        self._raw = self._stepper.raw[0] if self._stepper.raw.ndim > 1 else self._stepper.raw.reshape(())
        self._shape = self._raw.shape
        self._one = np.ones(1, bool)
        self._seeded = False
        self._window: Any = None
        observation = self._stepper.observation
        self._parts = list(observation.items()) if isinstance(observation, dict) else None
        self._rows = [(key, array[0]) for key, array in self._parts] if self._parts else observation[0]
        episode = self._stepper.batch.world.episode
        self._objective, self._gain = episode.objective, episode.gain
        self._terminated, self._truncated = episode.terminated, episode.truncated
        self._valid = self._stepper.batch.world.action_valid

    @property
    def reward_layer(self):
        """The `RewardLayer` that judges, or None: then the increment of the objective is paid."""
        return self._stepper.layer

    @property
    def world(self) -> World:
        """The arrays as the rules see them, one row."""
        return self._stepper.host_world()

    @property
    def facts(self) -> dict[str, np.ndarray]:
        """What happened in the last reset or step, each with a leading axis of one. Views: copy what you keep."""
        return self._stepper.facts

    def set_reward(self, reward: Any) -> None:
        """Judge by another reward from the next reset on."""
        self._stepper.set_reward(reward)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Open an episode: the first of ``seed``, or without one the next of the seed in use (at first, one of chance)."""
        super().reset(seed=seed if seed is None else int(seed))
        episode = self._stepper.batch.world.episode
        if seed is not None or not self._seeded:
            episode.seed[0] = as_seed(secrets.randbits(63) if seed is None else seed)
            episode.index[0] = 0
            self._seeded = True
        else:
            episode.index[0] += np.uint64(1)
        self._stepper.reset(self._one)
        if self.render_mode == "human":
            self.render()
        return self._observe(), self._info(True)

    def step(self, action: Any):
        """Act. Returns ``(observation, reward, terminated, truncated, info)``."""
        if not self._seeded:
            raise gym.error.ResetNeeded("call reset before step")
        action = np.asarray(action)
        if action.shape != self._shape or action.dtype.kind not in "biuf":
            raise ValueError(
                f"an action is to be numbers of shape {self._shape}, as in {self.action_space}; "
                f"got {action.dtype} {action.shape}"
            )
        if action.dtype == self._raw.dtype:
            self._raw[...] = action
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                np.copyto(self._raw, as_kind(action, self._raw.dtype), casting="unsafe")
        stepper = self._stepper
        stepper.step()
        if self.render_mode == "human":
            self.render()
        return (
            self._observe(),
            float(stepper.reward[0]),
            bool(self._terminated[0]),
            bool(self._truncated[0]),
            self._info(False),
        )

    def _observe(self) -> Any:
        if self._parts is None:
            return self._rows.copy()
        return {key: row.copy() for key, row in self._rows}

    def _info(self, at_reset: bool) -> dict[str, Any]:
        objective = float(self._objective[0])
        info = {
            "objective": objective,
            "success": objective >= self.rules.success_threshold,
            "invalid_action": not (at_reset or self._valid[0]),
            "reward_terms": {} if at_reset else {name: value.item() for name, value in self._stepper.terms.items()},
        }
        info.update(self.rules.info(self._stepper.batch.world, 0))
        return info

    def expert_action(self) -> Any:
        """An action that does the task, knowing everything: for tests and for the upper end of curves."""
        return self.rules.expert(self._stepper.batch.world, 0)

    def get_state(self) -> dict[str, Any]:
        """Everything needed to come back to this moment: `set_state` undoes whatever happened since."""
        return self._stepper.get_state() | {"seeded": self._seeded}

    def set_state(self, state: dict[str, Any]) -> None:
        """Come back to the moment of `get_state`."""
        self._stepper.set_state(state)
        self._seeded = state["seeded"]

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledEnv:
        """Another environment at the same moment, under the same reward; rules and their constants are shared."""
        layer = self.reward_layer
        twin = CompiledEnv(self.rules, layer and RewardLayer(layer.expression, layer.on_error), self.render_mode)
        twin.set_state(self.get_state())
        twin.spec = self.spec
        return twin

    def render(self) -> Any:
        """The screen as uint8 ``[height, width, 3]`` (rgb_array), as text (ansi), or in a window (human: None)."""
        if self.render_mode is None:
            gym.logger.warn("render() without a render_mode: pass render_mode to gym.make")
            return None
        world = self._stepper.host_world()
        if self.render_mode == "ansi":
            return self.rules.describe(world, 0)
        picture = self.rules.draw(world, 0)
        if self.render_mode == "rgb_array":
            return picture
        from rewardscape.envs.core.window import Window

        if self._window is None:
            self._window = Window(type(self.rules).__name__, self.metadata["render_fps"])
        self._window.show(picture)
        return None

    def close(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None


def as_kind(action: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers ready to be cast to ``dtype``: for integers, what is not finite becomes a number out of any range."""
    if dtype.kind in "iu" and action.dtype.kind == "f":
        return np.where(np.isfinite(action), np.clip(action, -1e15, 1e15), -1e15)
    return action
