"""RLlib: the worlds in Ray Tune's registry, observations as its default networks take them, objectives in its results.

Needs ``pip install 'rewardscape[rllib]'``; for RLlib's new API stack. Remote workers need rewardscape installed too.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import gymnasium as gym
import numpy as np

try:
    from ray.rllib.callbacks.callbacks import RLlibCallback
    from ray.rllib.connectors.env_to_module.observation_preprocessor import SingleAgentObservationPreprocessor
    from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
    from ray.tune.registry import register_env
except ImportError as error:
    raise ModuleNotFoundError(f"RLlib needs: pip install 'rewardscape[rllib]' ({error})") from error

import rewardscape
from rewardscape.rewards import load_plugins


def register_worlds() -> list[str]:
    """Register every world of `rewardscape.WORLDS`, plug-ins' too, with Ray Tune under its id; returns the ids.

    ``env_config`` takes what ``gymnasium.make`` takes: ``reward``, ``max_episode_steps``, and the world's settings. A world of
    several agents becomes a `ParallelPettingZooEnv`, whose policies ``config.multi_agent`` names; with ``learner`` or ``others``
    it is the face of one of them. What is registered travels to the workers, the world's module is imported there.
    """
    load_plugins()
    for id, rules in rewardscape.WORLDS.items():
        register_env(id, functools.partial(_make, id, rules))
    return list(rewardscape.WORLDS)


def _make(id: str, rules: str, env_config: dict[str, Any]) -> Any:
    if id not in gym.registry:  # in a worker, where nobody has imported the world's module
        importlib.import_module(rules.partition(":")[0])
    if id not in gym.registry:  # it is registered from elsewhere
        rewardscape.register_world(id, rules)
    settings = dict(env_config)
    env: Any = gym.make(id, **settings)
    if env.unwrapped.rules.agents is None or not settings.keys().isdisjoint(("learner", "others")):
        return env
    return ParallelPettingZooEnv(rewardscape.parallel_env(id, **settings))


class ObjectiveCallback(RLlibCallback):
    """Logs of every episode that ends: ``objective`` and ``success``, as they were at its end, and, where the world scores each
    agent, ``agent_objective``, of several agents by name. They stand beside ``episode_return_mean`` in
    ``results["env_runners"]``, and in ``results["evaluation"]["env_runners"]``: means over the same number of episodes."""

    def on_episode_end(self, *, episode: Any, env_runner: Any = None, metrics_logger: Any = None, **rest: Any) -> None:
        window = env_runner.config.metrics_num_episodes_for_smoothing
        several = isinstance(episode, MultiAgentEpisode)
        agents = episode.agent_episodes if several else {None: episode}
        infos = {agent: of_one.get_infos(-1) for agent, of_one in agents.items()}
        info = next(iter(infos.values()))
        values: dict[Any, float] = {name: float(info[name]) for name in ("objective", "success")}
        for agent, own in infos.items():
            if "agent_objective" in own:
                values[("agent_objective", agent) if several else "agent_objective"] = float(own["agent_objective"])
        for name, value in values.items():
            metrics_logger.log_value(name, value, reduce="mean", window=window)


class FlatObservations(SingleAgentObservationPreprocessor):
    """A connector that makes of every observation one float32 vector for RLlib's default networks, which take neither a Dict nor
    cells of any height and width: the parts in the order of their keys, each scaled to [0, 1] by its bounds, if it has any.

    Given to ``config.env_runners(env_to_module_connector=flat_observations)``; works for one agent and for several.
    """

    def recompute_output_observation_space(self, input_observation_space: Any, input_action_space: Any) -> gym.Space:
        """The space of vectors; of several agents (both spaces are by agent), a Dict of them."""
        several = isinstance(input_action_space, gym.spaces.Dict)
        spaces = input_observation_space.spaces if several else {None: input_observation_space}
        self._scales = {agent: _Scale(space) for agent, space in spaces.items()}
        if not several:
            return self._scales[None].space
        return gym.spaces.Dict({str(agent): scale.space for agent, scale in self._scales.items()})

    def preprocess(self, observation: Any, episode: Any) -> np.ndarray:
        """One agent's observation as its vector."""
        return self._scales[episode.agent_id](observation)


def flat_observations(env: Any = None, spaces: Any = None, device: Any = None) -> FlatObservations:
    """A `FlatObservations`, with the signature that RLlib calls."""
    return FlatObservations()


class _Scale:
    """A space's elements, flattened as Gymnasium does, and each entry scaled to [0, 1] where it has bounds."""

    def __init__(self, space: gym.Space):
        self.original = space
        flat: Any = gym.spaces.flatten_space(space)
        low, high = (edge.astype(np.float64) for edge in (flat.low, flat.high))
        bounded = np.isfinite(low) & np.isfinite(high) & (low < high)
        self.low, self.span = np.where(bounded, low, 0.0), np.where(bounded, high - low, 1.0)
        self.space = gym.spaces.Box(
            *(((edge - self.low) / self.span).astype(np.float32) for edge in (low, high)), dtype=np.float32
        )

    def __call__(self, value: Any) -> np.ndarray:
        return ((gym.spaces.flatten(self.original, value) - self.low) / self.span).astype(np.float32)
