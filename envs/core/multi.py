"""The PettingZoo faces: one row of a world of several agents as a `pettingzoo.ParallelEnv`, and through it as an `AECEnv`."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import parallel_to_aec

from rewardscape.envs.core.actions import put
from rewardscape.envs.core.others import agent_space
from rewardscape.envs.core.single import OneRow, full_id, load_rules, revived
from rewardscape.envs.core.world import Rules


def parallel_env(
    id: str, reward: Any = None, render_mode: str | None = None, max_episode_steps: int | None = None, **settings: Any
) -> CompiledParallelEnv:
    """The world registered as ``id`` with all its agents learning, as a PettingZoo `ParallelEnv`; see `CompiledParallelEnv`.

    ``settings``: of the world. Raises ValueError for an unknown id, or a world with one agent.
    """
    spec = gym.spec(full_id(id))
    if "rules" not in spec.kwargs:
        raise ValueError(f"{id} is not a compiled world: it was not registered with rewardscape.register_world")
    settings = {**spec.kwargs, **settings}
    rules = load_rules(settings.pop("rules"))(**settings)
    return CompiledParallelEnv(rules, reward, render_mode, max_episode_steps)


def aec_env(
    id: str, reward: Any = None, render_mode: str | None = None, max_episode_steps: int | None = None, **settings: Any
) -> AECEnv:
    """The same as a PettingZoo `AECEnv`, where agents act in turn and the step is made after the last; ``env.unwrapped`` is the
    `CompiledParallelEnv`. Arguments and errors as of `parallel_env`."""
    return parallel_to_aec(parallel_env(id, reward, render_mode, max_episode_steps, **settings))


class CompiledParallelEnv(OneRow, ParallelEnv):
    """One row of ``rules`` with several agents, under ``reward`` (as of `CompiledEnv`). Seeded ``s`` it is, step for step, row 0
    of the vector seeded ``s``.

    Agents are called ``agent_0``, ``agent_1``, ... and stay until the episode ends for all. ``infos[agent]``: ``objective`` (of
    all, in [0, 1]), ``success``, ``agent_objective`` where the world scores each agent, ``invalid_action``, ``reward_terms`` (the
    agent's own values) and what the world adds. `state` is what all agents observe, ``[agent, ...]``.
    """

    def __init__(self, rules: Rules, reward: Any = None, render_mode: str | None = None, max_episode_steps: int | None = None):
        world, count = type(rules).__name__, rules.agents
        if count is None:
            raise ValueError(f"{world} has one agent: make it with gymnasium.make or gymnasium.make_vec")
        super().__init__(rules, reward, render_mode, max_episode_steps or 0)
        self.metadata = {**type(self).metadata, "name": world, "is_parallelizable": True}
        self.possible_agents = [f"agent_{k}" for k in range(count)]
        self.agents: list[str] = []
        self.state_space = rules.observation_space
        self.observation_spaces = {name: agent_space(rules.observation_space, k) for k, name in enumerate(self.possible_agents)}
        self.action_spaces = {name: copy.deepcopy(rules.action_space) for name in self.possible_agents}
        self._seats = {name: (0, k) for k, name in enumerate(self.possible_agents)}

    def observation_space(self, agent: str) -> gym.Space:
        """What ``agent`` may observe."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """What ``agent`` may do."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None):
        """Open an episode: the first of ``seed``, or without one the next of the seed in use. Returns ``(observations, infos)``."""
        self._open(seed)
        self.agents = self.possible_agents[:]
        return self._observe(), {name: self._report(at, True) for name, at in self._seats.items()}

    def step(self, actions: dict[str, Any]):
        """Act with all agents. Returns ``(observations, rewards, terminations, truncations, infos)``, each by agent.

        Raises ValueError unless there is an action, of its space's shape, for each agent and for nobody else.
        """
        if not self.agents:
            raise gym.error.ResetNeeded("call reset before step, and again once the episode has ended")
        if set(actions) != set(self.agents):
            raise ValueError(
                f"actions are to be for {', '.join(self.agents)}, not for {', '.join(map(str, actions)) or 'nobody'}"
            )
        for name, (row, k) in self._seats.items():
            put(self._stepper.raw[row, k, ...], actions[name])
        self._step()
        terminated, truncated = bool(self._terminated[0]), bool(self._truncated[0])
        reward = self._stepper.reward
        if terminated or truncated:
            self.agents = []
        return (
            self._observe(),
            {name: float(reward[at]) for name, at in self._seats.items()},
            dict.fromkeys(self.possible_agents, terminated),
            dict.fromkeys(self.possible_agents, truncated),
            {name: self._report(at, False) for name, at in self._seats.items()},
        )

    def _observe(self) -> dict[str, Any]:
        return {name: _copied(self._stepper.observation, at) for name, at in self._seats.items()}

    def state(self) -> Any:
        """What all agents observe, in `state_space`: ``[agent, ...]``, or a dict of such arrays."""
        return _copied(self._stepper.observation, (0,))

    def expert_actions(self) -> dict[str, Any]:
        """Actions that do the task together, knowing everything: for tests and for the upper end of curves."""
        joint = self.rules.expert(self._stepper.batch.world, 0)
        return {name: joint[k] for name, (_, k) in self._seats.items()}

    def get_state(self) -> dict[str, Any]:
        """Everything needed to come back to this moment: `set_state` undoes whatever happened since."""
        return super().get_state() | {"agents": self.agents[:]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Come back to the moment of `get_state`."""
        super().set_state(state)
        self.agents = state["agents"][:]

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledParallelEnv:
        """Another environment at the same moment, under the same reward; rules and their constants are shared."""
        layer = self.reward_layer
        twin = CompiledParallelEnv(self.rules, layer and layer.twin(), self.render_mode, self._stepper.batch.limit)
        twin.set_state(self.get_state())
        return twin

    def __reduce__(self) -> Any:
        arguments = self.rules, self.reward_layer, self.render_mode, self._stepper.batch.limit
        return revived, (type(self), arguments, self.get_state())


def _copied(observation: Any, at: tuple[int, ...]) -> Any:
    if isinstance(observation, dict):
        return {key: array[at].copy() for key, array in observation.items()}
    return observation[at].copy()
