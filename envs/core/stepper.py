"""Rules and reward together: what every face of a compiled world drives."""

from __future__ import annotations

from typing import Any

import numpy as np

from rewardscape.envs.core.batch import Batch, seen_as
from rewardscape.envs.core.world import Rules, World, fields
from rewardscape.rewards import RewardLayer, get_reward

OUTPUTS = ("numpy", "torch")


class Stepper:
    """A `Batch` and a reward layer. After `reset` and `step` the results stand in ``facts``, ``reward`` and ``terms``.

    ``output``: the library of facts, observations and rewards: ``"numpy"`` or ``"torch"``. Tensors share the batch's memory.
    ``reward``: a preset's name, an expression, a YAML path, a `RewardLayer`, or None: then the increment of the objective.
    """

    def __init__(
        self, rules: Rules, rows: int, reward: Any = None, device: str = "cpu", output: str | None = None, limit: int = 0
    ):
        self.batch = Batch(rules, rows, device, limit)
        on_device = self.batch.device != "cpu" and not self.batch.simulated
        output = output or ("torch" if on_device else "numpy")
        if output not in OUTPUTS:
            raise ValueError(f"output={output!r}; allowed: {', '.join(OUTPUTS)}")
        if output == "numpy" and on_device:
            raise ValueError('output="numpy" needs device="cpu": on CUDA the buffers are torch tensors')
        self.rules, self.rows, self.output = rules, rows, output
        arrays = self.batch.arrays
        self.raw: Any = self.batch.raw
        if output == "torch" and not on_device:
            import torch

            arrays = {path: torch.from_numpy(array) for path, array in arrays.items()}
            self.raw = torch.from_numpy(self.batch.raw)
        self.episode = {name: arrays[f"episode/{name}"] for name in _EPISODE}
        keys = rules.observation_keys
        names = [n.split("/")[1] for n in arrays if n.startswith("observation/")]
        space: Any = rules.observation_space
        self.observation: Any = (
            {key: seen_as(arrays[f"observation/{key}"], space[key]) for key in keys}
            if keys is not None
            else seen_as(arrays[f"observation/{names[0]}"], space)
        )
        self.facts: dict[str, Any] = {n.split("/")[1]: a for n, a in arrays.items() if n.startswith("facts/")}
        self.facts |= {name: self.episode[name] for name in ("terminated", "truncated", "step", "seed", "objective")}
        self.facts |= {"action": arrays["action"], "action_valid": arrays["action_valid"]}
        self.facts |= {"observation": self.observation, "next_observation": self.observation}
        self._plain_reward: Any = self.episode["gain"]
        if rules.agents is not None:
            self._share(rules.agents)
        if not on_device:
            self.facts |= rules.lazy_facts(self.batch.world)
        self._started = False
        self.layer: RewardLayer | None = None
        self.terms: dict[str, Any] = {}
        self.reward: Any = self._plain_reward
        self.set_reward(reward)

    def _share(self, agents: int) -> None:
        """Let every fact of a row be a fact of each of its agents, as views: so terms meet one shape, ``[row, agent, ...]``."""
        own = fields(type(self.rules).Facts)

        def shared(array: Any) -> Any:
            shape = (array.shape[0], agents, *array.shape[1:])
            return np.broadcast_to(array[:, None], shape) if isinstance(array, np.ndarray) else array[:, None].expand(shape)

        for name in ("terminated", "truncated", "step", "seed", "objective", *own):
            if name not in own or own[name][1][:1] != ("agents",):
                self.facts[name] = shared(self.facts[name])
        self._plain_reward = shared(self._plain_reward)

    def set_reward(self, reward: Any) -> None:
        """Swap the reward. Raises ValueError if this world lacks a fact it needs."""
        layer = get_reward(reward)
        if layer is not None:
            layer.attach(tuple(self.facts), type(self.rules).__name__, self.rules.agents)
        self.layer = layer
        self._keep_observation = layer is not None and "observation" in layer.expression.facts()
        self.terms, self.reward = {}, self._plain_reward
        if layer is not None and self._started:
            layer.reset(self.facts)

    def reset(self, mask: Any) -> None:
        """Open the episode (seed, index) of every row in ``mask``."""
        self._started = True
        self.batch.reset(mask if self.output == "numpy" or self.batch.device != "cpu" else mask.numpy())
        if self.layer is not None:
            self.layer.reset(self.facts, mask)

    def step(self, autoreset: bool = False) -> None:
        """Step every row with the actions in ``raw``, then judge it. ``autoreset``: rows that had ended open an episode."""
        self.act(autoreset)
        self.judge(autoreset)

    def act(self, autoreset: bool = False) -> None:
        """The first half of `step`: what happens."""
        if self._keep_observation:
            self.facts["observation"] = copy_of(self.observation)
        self.batch.step(autoreset)

    def judge(self, autoreset: bool = False) -> None:
        """The second half of `step`: what it is worth."""
        if self.layer is None:
            self.terms = {}
            return
        fresh = self.episode["fresh"]
        if not autoreset or (self.batch.device == "cpu" and not fresh.any()):
            self.reward, self.terms = self.layer.step(self.facts)
        else:
            self.reward, self.terms = self.layer.step(self.facts, ~fresh)
            self.layer.reset(self.facts, fresh)

    def get_state(self) -> dict[str, Any]:
        """Copies of all arrays and of the layer's state."""
        return {"batch": self.batch.get_state(), "layer": None if self.layer is None else self.layer.get_state()}

    def set_state(self, state: dict[str, Any], rows: Any = None) -> None:
        """Write back what `get_state` gave, for all rows or those in ``rows`` (bool mask or indices)."""
        self.batch.set_state(state["batch"], rows)
        if self.layer is not None and state["layer"] is not None:
            self.layer.set_state(state["layer"], rows)

    def host_world(self) -> World:
        """The arrays as NumPy, for drawing and for texts: the live ones on the CPU, copies of a device's."""
        if self.batch.device == "cpu" or self.batch.simulated:
            return self.batch.world

        def host(array: Any) -> Any:
            return array.copy_to_host() if hasattr(array, "copy_to_host") else array

        parts = {
            name: type(group)(*map(host, group)) if isinstance(group, tuple) else host(group)
            for name, group in self.batch.world._asdict().items()
        }
        return World(**parts)


_EPISODE = ("seed", "index", "key", "step", "objective", "gain", "terminated", "truncated", "fresh")


def copy_of(value: Any) -> Any:
    """A copy of an array, tensor or `LiveTexts`, or of a dict of them."""
    if isinstance(value, dict):
        return {key: copy_of(part) for key, part in value.items()}
    return value.clone() if hasattr(value, "clone") else value.copy()
