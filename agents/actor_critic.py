"""The network of the on-device learner: an extractor, a memory if asked for, an actor and a critic; for one agent a row or several.

The parts before the heads are those `network_for` gives Stable-Baselines3, so that both learn with the same network.
"""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from torch import nn
from torch.nn import functional

from rewardscape.agents.networks import PointerPolicy, network_for

Critic = Literal["independent", "central"]


def each(function: Any, *observations: Any) -> Any:
    """``function`` of observations, or of every entry where they are dicts."""
    if isinstance(observations[0], dict):
        return {name: function(*(o[name] for o in observations)) for name in observations[0]}
    return function(*observations)


class Actions:
    """How a network's ``size`` numbers become actions: categories for whole numbers, a Gaussian for a bounded `Box`.

    ``draw`` gives actions as the learner keeps them (category numbers from 0; unclipped numbers in units of half the range), by
    what ``noise`` drew; ``for_world`` turns them into the space's own.
    """

    def __init__(self, space: gym.Space):
        self.box = isinstance(space, gym.spaces.Box)
        self.choices: tuple[int, ...] = ()
        if isinstance(space, gym.spaces.Box) and space.is_bounded():
            self.shape, self.size = space.shape, int(np.prod(space.shape))
            low, high = torch.as_tensor(space.low), torch.as_tensor(space.high)
            self.offset, self.half = (low + high) / 2, (high - low) / 2
        elif isinstance(space, gym.spaces.Discrete):
            self.shape, self.choices = (), (int(space.n),)
            self.offset = torch.tensor(int(space.start))
        elif isinstance(space, gym.spaces.MultiDiscrete):
            self.shape, self.choices = space.shape, tuple(int(n) for n in space.nvec.reshape(-1))
            self.offset = torch.as_tensor(space.start)
        elif isinstance(space, gym.spaces.MultiBinary):
            self.shape, self.choices = space.shape, (2,) * int(np.prod(space.shape))
            self.offset = torch.zeros(space.shape, dtype=torch.int64)
        else:
            raise ValueError(f"ppo-device acts in a bounded Box, Discrete, MultiDiscrete or MultiBinary, not in {space}")
        if not self.box:
            self.size = sum(self.choices)

    def noise(self, *leading: int, device: torch.device) -> torch.Tensor:
        """Chance for as many draws, ``[*leading, size]``: normal, or Gumbel's, whose greatest sum with logits is a draw by their
        softmax."""
        noise = torch.empty(*leading, self.size, device=device)
        return noise.normal_() if self.box else noise.exponential_().log_().neg_()

    def draw(self, numbers: torch.Tensor, log_std: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        """Actions ``[..., *shape]`` for ``numbers`` ``[..., size]``; without noise the likeliest."""
        if self.box:
            return (numbers if noise is None else numbers + log_std.exp() * noise).unflatten(-1, self.shape)
        parts = [part.argmax(-1) for part in (numbers if noise is None else numbers + noise).split(self.choices, -1)]
        return parts[0] if not self.shape else torch.stack(parts, -1).unflatten(-1, self.shape)

    def judge(self, numbers: torch.Tensor, log_std: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probability and entropy of each of ``actions``, both ``[...]``."""
        if self.box:
            flat = actions.reshape(numbers.shape)
            constant = 0.5 * float(np.log(2 * np.pi))
            log_prob = (-0.5 * ((flat - numbers) / log_std.exp()) ** 2 - log_std - constant).sum(-1)
            return log_prob, (log_std + constant + 0.5).sum().expand_as(log_prob)
        flat = actions.reshape(*numbers.shape[:-1], len(self.choices))
        log_prob = entropy = numbers.new_zeros(())
        for k, part in enumerate(numbers.split(self.choices, -1)):
            logs = functional.log_softmax(part, -1)
            log_prob = log_prob + logs.gather(-1, flat[..., k : k + 1])[..., 0]
            entropy = entropy - (logs.exp() * logs).sum(-1)
        return log_prob, entropy

    def for_world(self, actions: torch.Tensor) -> torch.Tensor:
        """The actions as the space counts them, those of a Box clipped to it."""
        if self.box:
            return self.offset.to(actions.device) + self.half.to(actions.device) * actions.clamp(-1, 1)
        return actions + self.offset.to(actions.device)


class ActorCritic(nn.Module):
    """Actor and critic for observations ``[..., *space]``, with an axis of agents before the space's where there are several.

    Agents share all parameters. ``critic``: "independent" values an agent by what it sees itself, "central" by what all agents
    of its row see, itself first. ``memory``: width of a GRU between extractor and heads; 0: none. ``normalize``: flat float
    observations are brought to mean 0 and deviation 1 by running statistics (kept with the weights), and clipped at 10.
    """

    def __init__(
        self,
        observation_space: gym.Space,
        action_space: gym.Space,
        agents: int | None = None,
        memory: int = 0,
        critic: Critic = "independent",
        normalize: bool = False,
    ):
        super().__init__()
        self.space, self.agents, self.memory, self.critic = observation_space, agents, memory, critic
        self.actions = Actions(action_space)
        kwargs = network_for(observation_space)["policy_kwargs"]
        self.extractor = _extractor(observation_space, kwargs)
        width = self.extractor.features_dim
        self.cell = nn.GRUCell(width, memory) if memory else None
        width = memory or width
        hidden = tuple(kwargs.get("net_arch", (64, 64)))
        self.actor = tower(width, hidden, self.actions.size, 0.01)
        self.value = tower(width * (agents or 1) if critic == "central" else width, hidden, 1, 1.0)
        self.log_std = nn.Parameter(torch.zeros(self.actions.size if self.actions.box else 0))
        self.normalize = normalize and isinstance(observation_space, gym.spaces.Box) and observation_space.dtype.kind == "f"
        if self.normalize:
            shape = observation_space.shape or ()
            self.seen: torch.Tensor
            self.mean: torch.Tensor
            self.square: torch.Tensor
            for name, value in (("seen", torch.zeros(())), ("mean", torch.zeros(shape)), ("square", torch.ones(shape))):
                self.register_buffer(name, value.double())

    @property
    def device(self) -> torch.device:
        return self.log_std.device

    def observe(self, count: torch.Tensor, mean: torch.Tensor, square: torch.Tensor) -> None:
        """Take ``count`` observations with this mean and mean square into the running statistics."""
        self.seen += count
        share = count / self.seen.clamp(min=1)
        self.mean += share * (mean - self.mean)
        self.square += share * (square - self.square)

    def features(self, observations: Any) -> torch.Tensor:
        """``[..., width]`` of observations ``[..., *space]``."""
        leading = _leading(self.space, observations)
        flat = each(lambda o: o.reshape(-1, *o.shape[len(leading) :]), observations)
        if self.normalize:
            deviation = (self.square - self.mean**2).clamp(min=1e-8).sqrt()
            flat = ((flat - self.mean) / deviation).clamp(-10, 10).float()
        return self.extractor(flat).unflatten(0, leading)

    def heads(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The actor's numbers ``[..., size]`` and values ``[...]``."""
        if self.critic == "central" and self.agents:
            turned = [torch.roll(features, -k, -2) for k in range(self.agents)]
            seen = torch.cat(turned, -1)  # each agent's own features first, then the others' in order
            return self.actor(features), self.value(seen)[..., 0]
        both = features  # of both towers: one product a layer, of weights side by side
        for k, (act, value) in enumerate(zip(self.actor, self.value, strict=True)):
            if isinstance(act, nn.Linear) and isinstance(value, nn.Linear):
                weights = act.weight, value.weight
                weight = torch.block_diag(*weights) if k else torch.cat(weights)
                both = functional.linear(both, weight, torch.cat([act.bias, value.bias]))
            else:
                both = torch.tanh_(both)
        numbers, values = both.split([self.actions.size, 1], -1)
        return numbers, values[..., 0]

    def remember(self, features: torch.Tensor, memory: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """The memory after one step; rows in ``start`` (bool ``[row]``) begin with none."""
        assert self.cell is not None
        kept = memory * (~start).reshape(start.shape + (1,) * (memory.ndim - 1))
        return self.cell(features.flatten(0, -2), kept.flatten(0, -2).to(features.dtype)).reshape(memory.shape)

    def start_memory(self, rows: int) -> torch.Tensor:
        """What is remembered at first, ``[row, (agent,) memory]``; of width 0 without a memory."""
        agents = () if self.agents is None else (self.agents,)
        return torch.zeros(rows, *agents, self.memory, device=self.device)

    def forward(
        self, observations: Any, memory: torch.Tensor, start: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One step of all rows: the actor's numbers, values, and the memory after it."""
        features = self.features(observations)
        if self.cell is not None:
            features = memory = self.remember(features, memory, start)
        return *self.heads(features), memory

    def unroll(self, observations: Any, memory: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Steps ``[time, row, ...]`` of observations from ``memory`` on: the actor's numbers and values."""
        features = self.features(observations)
        if self.cell is not None:
            kept = []
            for step, start in zip(features, starts, strict=True):
                memory = self.remember(step, memory, start)
                kept.append(memory)
            features = torch.stack(kept)
        return self.heads(features)

    def set_training_mode(self, mode: bool) -> None:
        """As SB3's policies: training or evaluation."""
        self.train(mode)

    @torch.no_grad()
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions for a batch of observations, as SB3's policies: ``(actions, state)``.

        ``state``: what the last call gave, None at first; ``episode_start``: bool ``[row]``. ``deterministic``: the likeliest.
        """
        tensors = each(lambda o: torch.as_tensor(np.asarray(o), device=self.device), observation)
        rows = len(next(iter(tensors.values())) if isinstance(tensors, dict) else tensors)
        memory = self.start_memory(rows) if state is None else torch.as_tensor(state, device=self.device)
        start = torch.zeros(rows, dtype=torch.bool) if episode_start is None else torch.as_tensor(episode_start)
        numbers, _, memory = self(tensors, memory, start.to(self.device))
        noise = None if deterministic else self.actions.noise(*numbers.shape[:-1], device=numbers.device)
        actions = self.actions.draw(numbers, self.log_std, noise)
        return self.actions.for_world(actions).cpu().numpy(), memory.cpu().numpy() if self.memory else None


def _leading(space: gym.Space, observations: Any) -> torch.Size:
    """The axes of observations before those of their space."""
    if isinstance(space, gym.spaces.Dict):
        name = next(iter(observations))
        return _leading(space[name], observations[name])
    return observations.shape[: observations.ndim - len(space.shape or ())]


def _extractor(space: gym.Space, kwargs: dict[str, Any]) -> Any:
    """The extractor that SB3 would take."""
    if network_for(space)["policy"] is PointerPolicy:
        raise ValueError("ppo-device has no pointing policy for GUI worlds: algo='ppo'")
    if "features_extractor_class" in kwargs:
        return kwargs["features_extractor_class"](space)
    if isinstance(space, gym.spaces.Dict):
        return CombinedExtractor(space)
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 3 and space.dtype == np.uint8:
        return _Images(space)
    return _Flat(space)


class _Flat(FlattenExtractor):
    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return super().forward(observations.float())


class _Images(nn.Module):
    """SB3's convolutional network on pictures ``[batch, height, width, 3]``."""

    def __init__(self, space: gym.spaces.Box):
        super().__init__()
        height, width, channels = space.shape
        self.network = NatureCNN(gym.spaces.Box(0, 255, (channels, height, width), np.uint8))
        self.features_dim = self.network.features_dim

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.network(pictures.permute(0, 3, 1, 2).float() / 255.0)


def tower(inputs: int, hidden: tuple[int, ...], outputs: int, gain: float) -> nn.Sequential:
    """Linear layers with tanh between, initialised orthogonally as SB3 does."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [_linear(inputs, width, 2**0.5), nn.Tanh()]
        inputs = width
    return nn.Sequential(*layers, _linear(inputs, outputs, gain))


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    made = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(made.weight, gain)
    nn.init.zeros_(made.bias)
    return made
