"""The Gymnasium face: one row of a compiled world as a `gymnasium.Env`."""

from __future__ import annotations

import importlib
import secrets
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.envs.core.actions import put
from rewardscape.envs.core.others import Others, agent_space
from rewardscape.envs.core.random import as_seed
from rewardscape.envs.core.stepper import Stepper
from rewardscape.envs.core.world import Rules, World

RENDER_MODES = ("human", "rgb_array", "ansi")


def make(
    rules: str,
    reward: Any = None,
    render_mode: str | None = None,
    others: Any = None,
    learner: int | None = None,
    **settings: Any,
) -> gym.Env:
    """What `gymnasium.make` calls. ``rules``: ``"module:Class"``; ``others``, ``learner``: of a world of several agents;
    ``settings``: of the world."""
    return CompiledEnv(load_rules(rules)(**settings), reward, render_mode, others, learner)


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


def revived(face: Any, arguments: tuple[Any, ...], state: dict[str, Any], spec: Any = None) -> Any:
    """A pickled face, made anew at its moment: its arrays' addresses do not travel."""
    env = face(*arguments)
    env.set_state(state)
    if spec is not None:
        env.spec = spec
    return env


class OneRow:
    """What the faces of a single row share: where they are, what judges them, how they look."""

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # noqa: RUF012

    def __init__(self, rules: Rules, reward: Any = None, render_mode: str | None = None, limit: int = 0):
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode={render_mode!r}; allowed: {', '.join(RENDER_MODES)} or None")
        self.rules, self.render_mode = rules, render_mode
        self._stepper = Stepper(rules, 1, reward, limit=limit)
        self._one = np.ones(1, bool)
        self._seeded = False
        self._window: Any = None
        episode = self._stepper.batch.world.episode
        self._objective, self._terminated, self._truncated = episode.objective, episode.terminated, episode.truncated
        self._valid = self._stepper.batch.world.action_valid
        self._agent_objective = self._stepper.facts.get("agent_objective") if rules.agents is not None else None

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

    def _open(self, seed: int | None) -> None:
        """Open an episode: the first of ``seed``, or without one the next of the seed in use (at first, one of chance)."""
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

    def _step(self) -> None:
        """The actions are in place."""
        self._stepper.step()
        if self.render_mode == "human":
            self.render()

    def _report(self, at: tuple[int, ...], at_reset: bool) -> dict[str, Any]:
        """``info`` of the row, or of one of its agents; ``at``: where that stands in the arrays."""
        objective = float(self._objective[0])
        terms = {} if at_reset else self._stepper.terms
        info = {
            "objective": objective,
            "success": objective >= self.rules.success_threshold,
            "invalid_action": not (at_reset or self._valid[at]),
            "reward_terms": {name: (value if value.size == 1 else value[at]).item() for name, value in terms.items()},
        }
        if self._agent_objective is not None:
            info["agent_objective"] = float(self._agent_objective[at])
        info.update(self.rules.info(self._stepper.batch.world, 0))
        return info

    def get_state(self) -> dict[str, Any]:
        """Everything needed to come back to this moment: `set_state` undoes whatever happened since."""
        return self._stepper.get_state() | {"seeded": self._seeded}

    def set_state(self, state: dict[str, Any]) -> None:
        """Come back to the moment of `get_state`."""
        self._stepper.set_state(state)
        self._seeded = state["seeded"]

    def render(self) -> Any:
        """The screen as uint8 ``[height, width, 3]`` (rgb_array), as text (ansi), or in a window (human: None)."""
        if self.render_mode is None:
            gym.logger.warn("render() without a render_mode: pass render_mode when making the environment")
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


class CompiledEnv(OneRow, gym.Env):
    """One row of ``rules`` under ``reward`` (preset name, expression, YAML path, RewardLayer, or None).

    ``info``: ``objective`` (score of the episode so far, in [0, 1]), ``success``, ``invalid_action``, ``reward_terms``
    (raw value of every term) and what the world adds. An action of the wrong shape is a ValueError; a non-finite or
    out-of-range one is the agent's affair: it is replaced (see `engine.sanitise`) and ``invalid_action`` is True.

    In a world of several agents this is the face of one of them: ``learner`` (default 0) acts, observes and is paid, the
    other seats are played by ``others`` (see `Others`; default: the world's). The reward still judges all of them;
    ``info["agent_objective"]`` is the learner's own score.
    """

    def __init__(
        self,
        rules: Rules,
        reward: Any = None,
        render_mode: str | None = None,
        others: Any = None,
        learner: int | None = None,
    ):
        several = rules.agents is not None or others is not None or learner is not None
        self._others = Others(rules, others, learner) if several else None
        self._asked = others, learner
        super().__init__(rules, reward, render_mode)
        self.observation_space, self.action_space = rules.observation_space, rules.action_space
        self._at: tuple[int, ...] = (0,)
        if self._others is not None:
            self._at = (0, self._others.learner)
            self.observation_space = agent_space(rules.observation_space, self._others.learner)
        whole = *self._at, ...  # the dots keep a view of a single number
        self._raw = self._stepper.raw[whole]
        observation = self._stepper.observation
        self._parts = {k: array[self._at] for k, array in observation.items()} if isinstance(observation, dict) else None
        self._row: Any = None if self._parts is not None else observation[self._at]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Open an episode: the first of ``seed``, or without one the next of the seed in use (at first, one of chance)."""
        gym.Env.reset(self, seed=seed if seed is None else int(seed))
        self._open(seed)
        return self._observe(), self._report(self._at, True)

    def step(self, action: Any):
        """Act. Returns ``(observation, reward, terminated, truncated, info)``."""
        if not self._seeded:
            raise gym.error.ResetNeeded("call reset before step")
        put(self._raw, action)
        if self._others is not None:
            self._others.act(self._stepper)
        self._step()
        return (
            self._observe(),
            float(self._stepper.reward[self._at]),
            bool(self._terminated[0]),
            bool(self._truncated[0]),
            self._report(self._at, False),
        )

    def _observe(self) -> Any:
        if self._parts is None:
            return self._row.copy()
        return {key: array.copy() for key, array in self._parts.items()}

    def expert_action(self) -> Any:
        """An action that does the task, knowing everything: for tests and for the upper end of curves."""
        action = self.rules.expert(self._stepper.batch.world, 0)
        return action if self._others is None else action[self._others.learner]

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledEnv:
        """Another environment at the same moment, under the same reward; rules and their constants are shared."""
        layer = self.reward_layer
        twin = CompiledEnv(self.rules, layer and layer.twin(), self.render_mode, *self._asked)
        twin.set_state(self.get_state())
        twin.spec = self.spec
        return twin

    def __reduce__(self) -> Any:
        arguments = self.rules, self.reward_layer, self.render_mode, *self._asked
        return revived, (type(self), arguments, self.get_state(), self.spec)
