"""Group-relative policy optimisation: several rollouts of one task, judged against one another; no critic.

An update plays ``episodes`` episodes in every row. Rows come in groups of ``group_size`` that share a seed, so a group meets the
same screen (maze, question ...) with different actions. The reward layer turns the rollouts into advantages by its two
trainer stages, and the policy is improved by PPO's clipped surrogate, one loss for each channel of advantages.
GRPO: arXiv:2402.03300, section 4.1; without its KL term, since the policy starts from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO

from rewardscape.agents.actor_critic import each
from rewardscape.agents.networks import network_for
from rewardscape.agents.runs import Config, check_shaping, discount_of, make_envs
from rewardscape.envs.core.random import base_seed
from rewardscape.rewards import RewardLayer, objective_gain
from rewardscape.rewards.core.stages import Channel, Part, Rollouts, get_stage


@dataclass
class Settings:
    """``algorithm_settings`` of a group-relative run."""

    group_size: int = 16
    episodes: int = 4  # played in every row between two updates
    longest: int = 1000  # steps of an episode that are learned from
    learning_rate: float = 1.5e-3
    n_epochs: int = 4
    batch_size: int = 2048  # steps
    clip_range: float = 0.2
    ent_coef: float = 0.0
    max_grad_norm: float = 0.5

    def __post_init__(self) -> None:
        for name, low in (("group_size", 2), ("episodes", 1), ("longest", 1), ("n_epochs", 1), ("batch_size", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"algorithm_settings: {name}={value!r}; allowed: an integer of at least {low}")


class Played(NamedTuple):
    """Episodes of all rows: rollouts, and tensors ``[time, row, ...]``; ``before``: log probabilities of the actions taken."""

    rollouts: Rollouts
    observations: Any
    actions: torch.Tensor
    before: torch.Tensor


class GroupLearner:
    """See `rewardscape.agents.runs.Learner`. Where a reward names no ``credit``, GUI worlds take `per_turn`, since every
    instruction is answered at once, and others `none`, the whole return."""

    def __init__(self, config: Config):
        known = {f.name for f in fields(Settings)}
        if unknown := set(config.algorithm_settings) - known:
            raise ValueError(f"algorithm_settings: unknown {sorted(unknown)}; allowed: {', '.join(sorted(known))}")
        self.settings = Settings(**config.algorithm_settings)
        size = self.settings.group_size
        if config.n_envs % size:
            raise ValueError(f"n_envs={config.n_envs} is to be a multiple of group_size={size}")
        self.base, self.opened, self.steps = base_seed(config.seed, "train"), 0, 0
        self.layer = config.layer() or RewardLayer(objective_gain)
        self.layer.keep_parts = True
        self.vec_env = make_envs(config, self.base, reward=self.layer)
        space = self.vec_env.observation_space
        if self.layer.credit is None:
            gui = isinstance(space, gym.spaces.Dict) and "instruction" in space.spaces
            self.layer.credit = get_stage("credit", "per_turn" if gui else "none")
        assert self.layer.credit is not None
        check_shaping(self.layer, discount_of(self.layer.credit))
        self.group = np.arange(config.n_envs) // size
        self.policy = _policy(self.vec_env, self.settings.learning_rate)
        self.observation = self._open()

    def _open(self) -> Any:
        """Fresh episodes in all rows, the same in all rows of a group."""
        groups = int(self.group[-1]) + 1
        self.vec_env.seed([int(self.base + self.opened * groups + g) for g in self.group])
        self.opened += 1
        return self.vec_env.reset()

    def update(self) -> dict[str, float]:
        played = [self._play() for _ in range(self.settings.episodes)]
        masks = [torch.from_numpy(episode.rollouts.mask) for episode in played]

        def steps(*arrays: torch.Tensor) -> torch.Tensor:
            """What was recorded ``[time, row, ...]`` of each episode, as one array over the steps taken."""
            return torch.cat([array[mask] for array, mask in zip(arrays, masks, strict=True)])

        found = [self.layer.advantages(episode.rollouts) for episode in played]
        channels = [
            first._replace(values=steps(*(torch.from_numpy(c[k].values) for c in found)),
                           mask=steps(*(torch.from_numpy(c[k].mask) for c in found)))
            for k, first in enumerate(found[0])
        ]  # fmt: skip
        observations = each(steps, *(episode.observations for episode in played))
        return self._learn(
            observations,
            steps(*(episode.actions for episode in played)),
            steps(*(episode.before for episode in played)),
            channels,
        )

    def _play(self) -> Played:
        """One episode in every row."""
        rows, space = self.vec_env.num_envs, self.vec_env.action_space
        alive, longest = np.ones(rows, bool), self.settings.longest
        observations: list[Any] = []
        actions, before = list[torch.Tensor](), list[torch.Tensor]()
        rewards, masks = list[np.ndarray](), list[np.ndarray]()
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self.layer.addends}
        facts: dict[str, list[np.ndarray]] = {}
        self.policy.set_training_mode(False)
        while alive.any() and len(rewards) < longest:
            observations.append(each(torch.as_tensor, self.observation))
            with torch.no_grad():
                distribution = self.policy.get_distribution(observations[-1])
                action = distribution.get_actions()
                before.append(distribution.log_prob(action))
            safe = action.numpy()
            if isinstance(space, gym.spaces.Box):
                safe = np.clip(safe, space.low, space.high)
            actions.append(action)
            self.observation, reward, done, _ = self.vec_env.step(safe)
            rewards.append(reward.astype(np.float64))
            masks.append(alive.copy())
            for name, values in self.layer.parts.items():
                parts[name].append(values)
            for name, values in self.layer.facts_kept.items():
                facts.setdefault(name, []).append(values)
            alive &= ~done
        self.steps += rows * len(rewards)
        if not done.all():  # else every row has just opened its next episode, the same in all rows of a group
            self.observation = self._open()
        kept = {name: Part(self.layer.addends[name][0], np.stack(values)) for name, values in parts.items()}
        rollouts = Rollouts(
            np.stack(rewards),
            np.stack(masks),
            self.group,
            kept,
            facts={name: np.stack(values) for name, values in facts.items()},
        )
        stacked = each(lambda *steps: torch.stack(steps), *observations)
        return Played(rollouts, stacked, torch.stack(actions), torch.stack(before))

    def _learn(self, observations: Any, actions: Any, before: Any, channels: list[Channel]) -> dict[str, float]:
        """Epochs of minibatches over all steps taken."""
        s, total = self.settings, len(actions)
        sums: dict[str, float] = {}
        batches = 0
        self.policy.set_training_mode(True)
        for _ in range(s.n_epochs):
            for chosen in torch.randperm(total).split(s.batch_size):
                distribution = self.policy.get_distribution(each(lambda array, chosen=chosen: array[chosen], observations))
                ratio = (distribution.log_prob(actions[chosen]) - before[chosen]).exp()
                entropy = distribution.entropy()
                entropy = ratio.new_zeros(()) if entropy is None else entropy.mean()
                loss = -s.ent_coef * entropy
                row = {"entropy": entropy.item(), "clip_fraction": float(((ratio - 1).abs() > s.clip_range).float().mean())}
                for channel in channels:
                    advantage, mask = channel.values[chosen].float(), channel.mask[chosen]
                    clipped = ratio.clamp(1 - s.clip_range, 1 + s.clip_range)
                    surrogate = -torch.minimum(ratio * advantage, clipped * advantage)
                    part = surrogate[mask].sum() / mask.sum().clamp(min=1)
                    loss = loss + channel.weight * part
                    row[f"{channel.name}_loss"] = part.item()
                self.policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), s.max_grad_norm)
                self.policy.optimizer.step()
                batches += 1
                for name, value in row.items():
                    sums[name] = sums.get(name, 0.0) + value
        return {name: value / batches for name, value in sums.items()}

    def get_state(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state_dict(), "optimizer": self.policy.optimizer.state_dict(),
            "observation": self.observation, "opened": self.opened, "steps": self.steps,
        }  # fmt: skip

    def set_state(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.policy.optimizer.load_state_dict(state["optimizer"])
        self.observation, self.opened, self.steps = state["observation"], state["opened"], state["steps"]

    @staticmethod
    def build_policy(config: Config) -> Any:
        envs = make_envs(config, 0, n_envs=1, reward=None)
        policy = _policy(envs, 0.0)
        envs.close()
        return policy


def _policy(vec_env: Any, learning_rate: float) -> Any:
    """SB3's policy for the world: its actor learns, its critic is not asked."""
    network = network_for(vec_env.observation_space)
    kind = network["policy"]
    kind = PPO.policy_aliases[kind] if isinstance(kind, str) else kind
    return kind(vec_env.observation_space, vec_env.action_space, lambda _: learning_rate, **network["policy_kwargs"])
