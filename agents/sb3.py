"""Learners of Stable-Baselines3: PPO and A2C on a compiled vector environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rewardscape.agents.networks import network_for
from rewardscape.agents.runs import Config, check_shaping, make_envs
from rewardscape.agents.vec_env import SB3VecEnv
from rewardscape.envs.core.random import base_seed
from rewardscape.rewards import RewardLayer

ALGORITHMS: dict[str, type[OnPolicyAlgorithm]] = {"ppo": PPO, "a2c": A2C}


class SB3Learner:
    """See `rewardscape.agents.runs.Learner`. ``algorithm_settings`` go to SB3's constructor."""

    def __init__(self, config: Config):
        self.vec_env = make_envs(config, base_seed(config.seed, "train"))
        self.model = make_model(config, self.vec_env)
        check_reward(self.vec_env.envs.reward_layer, self.model.gamma)
        self.model.set_logger(Logger(None, []))
        _, self.callback = self.model._setup_learn(config.steps, _Nothing(), True, "run", False)
        self.callback.on_training_start(locals(), globals())
        self.total = config.steps

    @property
    def policy(self) -> Any:
        return self.model.policy

    @property
    def steps(self) -> int:
        return self.model.num_timesteps

    def update(self) -> dict[str, float]:
        model = self.model
        assert model.env is not None
        model.collect_rollouts(model.env, self.callback, model.rollout_buffer, n_rollout_steps=model.n_steps)
        model._update_current_progress_remaining(model.num_timesteps, self.total)
        model.train()
        logged = model.logger.name_to_value
        losses = {k.removeprefix("train/"): float(v) for k, v in logged.items() if k.startswith("train/")}
        logged.clear()
        return losses

    def get_state(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.policy.optimizer.state_dict(),
            "counters": {name: getattr(self.model, name) for name in _COUNTERS},
            "last_obs": self.model._last_obs,
            "last_episode_starts": self.model._last_episode_starts,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.policy.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["counters"].items():
            setattr(self.model, name, value)
        self.model._last_obs, self.model._last_episode_starts = state["last_obs"], state["last_episode_starts"]

    @staticmethod
    def build_policy(config: Config) -> Any:
        batch = {"batch_size": 2} if config.algo == "ppo" else {}
        small = replace(config, n_envs=1, algorithm_settings={**config.algorithm_settings, "n_steps": 2, **batch})
        return make_model(small, make_envs(small, 0, reward=None)).policy


_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_episode_num",
    "_current_progress_remaining",
    "_total_timesteps",
    "_num_timesteps_at_start",
)


class _Nothing(BaseCallback):
    def _on_step(self) -> bool:
        return True


def defaults_for(config: Config, space: gym.Space) -> dict[str, Any]:
    """Settings of the algorithm where the config is silent. In GUI worlds each instruction is answered at once: gamma is 0."""
    gui = isinstance(space, gym.spaces.Dict) and "instruction" in space.spaces
    common: dict[str, Any] = {"gamma": 0.0 if gui else 0.99, "gae_lambda": 0.0 if gui else 0.95}
    if config.algo == "a2c":
        return common | {"n_steps": 8, "learning_rate": 1e-3}
    rollout = 16
    batch = max(min(2048, config.n_envs * rollout), 2)
    return common | {
        "n_steps": rollout, "batch_size": batch, "n_epochs": 4, "learning_rate": 1.5e-3 if gui else 3e-4, "ent_coef": 0.0,
    }  # fmt: skip


def make_model(config: Config, vec_env: SB3VecEnv) -> OnPolicyAlgorithm:
    """The SB3 algorithm of a config on ``vec_env``."""
    network = network_for(vec_env.observation_space)
    settings = {**defaults_for(config, vec_env.observation_space), **config.algorithm_settings}
    kwargs = {**network["policy_kwargs"], **settings.pop("policy_kwargs", {})}
    policy = settings.pop("policy", network["policy"])
    seed = base_seed(config.seed, "train") % 2**31
    try:
        return ALGORITHMS[config.algo](policy, vec_env, policy_kwargs=kwargs, seed=seed, device="cpu", **settings)
    except TypeError as error:
        raise ValueError(f"algorithm_settings: {error}") from None


def check_reward(layer: RewardLayer | None, gamma: float) -> None:
    """ValueError if SB3 cannot learn soundly under this reward."""
    if layer is None:
        return
    for kind, stage in (("credit", layer.credit), ("advantage", layer.advantage)):
        if stage is not None:
            raise ValueError(
                f"this reward asks for {kind}={str(stage)!r}, and SB3 estimates advantages in its own way: algo='grpo'"
            )
    check_shaping(layer, gamma)
