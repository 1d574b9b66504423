"""Intrinsic rewards: bonuses for what is new to the agent, learned beside it.

A node that learns reads its model in every step and improves it when the layer updates; in between, and in evaluation, it is a
fixed function. Here: what such nodes share, running statistics, and random network distillation.
"""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from rewardscape.rewards.core.arrays import array_namespace, is_numpy
from rewardscape.rewards.core.facts import FACTS, require_fact
from rewardscape.rewards.core.nodes import Context, Learning, Value
from rewardscape.rewards.core.operations import operation

# -------------------------------------------------------------------------------------------------------- nodes that learn


@dataclass(frozen=True)
class Intrinsic(Learning):
    """A node that pays a bonus by its model: subclasses have settings, `bonus`, `model`, `learn`, and read ``action_valid``,
    whose axes are the leading axes of all facts (those of an observation are the world's own)."""

    def bonus(self, model: Any, facts: dict[str, Any]) -> Any:
        """The bonus ``[...]`` of a step."""
        raise TypeError(f"{type(self).__name__} has no bonus")

    def recorded_as(self) -> str:
        return self.label  # type: ignore[attr-defined]

    def named(self, label: str) -> Any:
        """The bonus recorded, and its model kept, under another name."""
        return replace(self, label=label)  # type: ignore[call-arg]

    def evaluate(self, context: Context) -> Value:
        name = self.recorded_as()
        if name in context.done:
            return context.done[name]
        return context.record(name, self.bonus(context.models[name], context.facts), None)

    def __str__(self) -> str:
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        label = given.pop("label", None)
        shown = {name: v[0] if name == "on" and len(v) == 1 else v for name, v in given.items()}
        text = f"{type(self).label}({', '.join(f'{name}={v!r}' for name, v in shown.items())})"  # type: ignore[attr-defined]
        return text if label is None else f"{text}.named({label!r})"


def columns(facts: dict[str, Any], name: str) -> Any:
    """A fact with its own axes made one: ``[..., columns]``. ValueError for one that is no array."""
    value = facts[name]
    if isinstance(value, (dict, list)):
        kind = f"a dict of {', '.join(value)}" if isinstance(value, dict) else "a list of Python objects"
        raise ValueError(f"{name} is {kind} here, not an array: give another fact with on=...")
    return value.reshape((*facts["action_valid"].shape, -1))


def steps_that_count(batch: dict[str, Any]) -> Any:
    """The mask of a batch, bool, with the leading axes of its facts (an agent counts where its row does)."""
    mask, like = batch["mask"], batch["action_valid"]
    wide = mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim))
    return wide & (like | True)


# ------------------------------------------------------------------------------------------------------ running statistics


def _as(values: Any, like: Any) -> Any:
    return values.astype(like.dtype) if is_numpy(values) else values.to(like.dtype)


class RunningMeanStd:
    """Mean and variance of a stream, by batches: ``update(values)``, then ``mean``, ``var``, ``std``, ``count``.

    Chan, Golub and LeVeque 1979. It begins with mean 0 and variance 1, as if seen ``epsilon`` times. ``shape``: of one value;
    ``like``: an array that says where the statistics live (NumPy if None). ``unbiased``: a batch's variance divides by its
    number less 1 (then a batch of one has none, and the variance is NaN), else by its number.
    """

    def __init__(self, shape: tuple[int, ...] = (), like: Any = None, epsilon: float = 1e-4, unbiased: bool = False):
        xp = array_namespace(like)
        made = {"dtype": xp.float64} if xp is np else {"dtype": xp.float64, "device": like.device}
        self.mean, self.var, self.count = xp.zeros(shape, **made), xp.ones(shape, **made), xp.ones((), **made) * epsilon
        self.unbiased = unbiased

    @property
    def std(self) -> Any:
        return self.var**0.5

    def update(self, values: Any, weights: Any = None) -> None:
        """Take in ``values`` ``[n, *shape]``; ``weights`` ``[n]``, of 1 and 0: which of them (default: all)."""
        xp = array_namespace(values)
        flat = values.reshape((len(values), -1))
        weights = xp.ones_like(flat[:, 0]) if weights is None else weights
        weights = _as(weights, values)
        number = _as(weights.sum(), self.mean)
        some = xp.maximum(number, xp.ones_like(number))
        apart = flat - flat[0]  # squares of differences lose no digits, whatever the mean
        moved, square = (_as(weights @ part, self.mean).reshape(self.mean.shape) / some for part in (apart, apart * apart))
        shift = _as(values[0], self.mean) + moved - self.mean
        with np.errstate(divide="ignore", invalid="ignore"):
            var = (square - moved * moved) * (number / (number - 1) if self.unbiased else 1.0)
        total = self.count + number
        spread = xp.clip(var, 0.0, None) * number + self.var * self.count + shift * shift * self.count * number / total
        self.mean, self.var, self.count = self.mean + shift * number / total, spread / total, total

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "var": self.var, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean, self.var, self.count = (_moved(state[n], self.mean) for n in ("mean", "var", "count"))


def _moved(saved: Any, like: Any) -> Any:
    return saved if is_numpy(like) else saved.to(like.device)


class DiscountedSum:
    """``S_t = gamma * S_{t-1} + r_t`` for every row, from 0: the filter of intrinsic rewards of RND, arXiv:1810.12894."""

    def __init__(self, gamma: float):
        self.gamma = gamma
        self.sums: Any = None

    def update(self, values: Any, mask: Any = None) -> Any:
        """The sums ``[row]`` after the rewards ``values`` ``[row]``; rows that ``mask`` (bool) leaves out keep theirs."""
        xp = array_namespace(values)
        if self.sums is None or self.sums.shape != values.shape:
            self.sums = xp.zeros_like(values)
        sums = self.gamma * self.sums + values
        self.sums = sums if mask is None else xp.where(mask, sums, self.sums)
        return self.sums


class BonusScale:
    """Brings a stream of bonuses to a steady size: divides by a running standard deviation, of the bonuses' discounted sums
    (``by="return"``, as RND does), of the bonuses themselves (``"bonus"``), or by nothing (``"none"``)."""

    def __init__(self, by: Literal["return", "bonus", "none"], gamma: float = 0.99, like: Any = None, unbiased: bool = False):
        self.by, self.sums = by, DiscountedSum(gamma)
        self.spread = RunningMeanStd((), like, unbiased=unbiased)

    def update(self, bonuses: Any, mask: Any = None) -> None:
        """Take in bonuses ``[time, row]``; ``mask`` (bool ``[time, row]``): which of them (default: all)."""
        if self.by == "none":
            return
        xp = array_namespace(bonuses)
        mask = xp.ones_like(bonuses) > 0 if mask is None else mask
        if self.by == "return":
            bonuses = xp.stack([self.sums.update(step, kept) for step, kept in zip(bonuses, mask, strict=True)])
        self.spread.update(bonuses.reshape(-1), mask.reshape(-1))

    def __call__(self, bonuses: Any) -> Any:
        return bonuses if self.by == "none" else bonuses / _as(self.spread.std, bonuses)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums.sums, **self.spread.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spread.load_state_dict(state)
        self.sums.sums = None if state["sums"] is None else _moved(state["sums"], self.spread.mean)


# --------------------------------------------------------------------------------------------- random network distillation

MINIBATCH = 1024
CHUNK = 4096  # rows that are looked at together: they fit a processor's cache


class Distillation:
    """A fixed random network and one that learns to say the same: where they differ little, the agent has been often.

    Both are linear layers with ReLU between, orthogonally initialised; the predictor has one more (arXiv:1810.12894, A.4).
    """

    def __init__(self, inputs: int, settings: RND, device: Any):
        import torch

        self.settings = settings
        self.random = torch.Generator().manual_seed(settings.seed)
        hidden, features = settings.width, settings.features
        self.target = self._network(inputs, hidden, features, device=device)
        self.predictor = [w.requires_grad_() for w in self._network(inputs, hidden, hidden, features, device=device)]
        self.optimizer = torch.optim.Adam(self.predictor, lr=settings.learning_rate)
        self.seen = RunningMeanStd((inputs,), self.target[0])
        self.scale = BonusScale(settings.normalise, settings.gamma, self.target[0])

    def _network(self, *widths: int, device: Any) -> list[Any]:
        import torch

        weights = []
        for size, after in itertools.pairwise(widths):
            weight = torch.nn.init.orthogonal_(torch.empty(after, size), math.sqrt(2), generator=self.random)
            weights += [weight.to(device), torch.zeros(after, device=device)]
        return weights

    def normalised(self, observations: Any) -> Any:
        """Observations ``[n, inputs]`` brought to mean 0 and deviation 1 by those seen so far, clipped to ±5. Bytes count as
        shares of 255."""
        deviation = self.seen.var.clamp(min=1e-8).sqrt().float()
        return ((_floats(observations) - self.seen.mean.float()) / deviation).clamp_(-5, 5)

    def errors(self, observations: Any) -> Any:
        """Mean squared error of the predictor for normalised observations ``[n, inputs]``: ``[n]``."""
        import torch

        with torch.no_grad():
            wanted = forward(self.target, observations)
        return (forward(self.predictor, observations) - wanted).square().mean(-1)

    def learn(self, observations: Any, mask: Any) -> float:
        """One pass over observations ``[time, row, ..., inputs]``: statistics, then the predictor. ``mask`` (bool
        ``[time, row, ...]``): which count."""
        import torch

        flat, weights = observations.reshape(-1, observations.shape[-1]), mask.reshape(-1).float()
        with torch.no_grad():
            for part, counted in zip(flat.split(CHUNK), weights.split(CHUNK), strict=True):
                self.seen.update(_floats(part), counted)
            errors = torch.cat([self.errors(self.normalised(part)) for part in flat.split(CHUNK)])
            self.scale.update(errors.reshape(mask.shape), mask)
        order = torch.randperm(len(flat), generator=self.random)[: max(1, round(len(flat) * self.settings.proportion))]
        total, number = torch.zeros((), device=flat.device), 0
        for chosen in order.to(flat.device).split(MINIBATCH):
            counted = weights[chosen]
            loss = (self.errors(self.normalised(flat[chosen])) * counted).sum() / counted.sum().clamp(min=1)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total, number = total + loss.detach(), number + 1
        return float(total) / number

    def state_dict(self) -> dict[str, Any]:
        state = {
            "target": self.target, "predictor": [w.detach() for w in self.predictor], "optimizer": self.optimizer.state_dict(),
            "seen": self.seen.state_dict(), "scale": self.scale.state_dict(), "random": self.random.get_state(),
        }  # fmt: skip
        return copy.deepcopy(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for name in ("target", "predictor"):
                for mine, saved in zip(getattr(self, name), state[name], strict=True):
                    mine.copy_(saved)
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.seen.load_state_dict(state["seen"])
        self.scale.load_state_dict(state["scale"])
        self.random.set_state(state["random"].cpu())


def _floats(observations: Any) -> Any:
    return observations if observations.is_floating_point() else observations.float() / 255.0


def forward(weights: list[Any], inputs: Any) -> Any:
    """Linear layers ``[weight, bias, weight, bias, ...]`` with ReLU between."""
    from torch.nn import functional

    for k in range(0, len(weights), 2):
        inputs = functional.linear(inputs.relu() if k else inputs, weights[k], weights[k + 1])
    return inputs


@dataclass(frozen=True)
class RND(Intrinsic):
    """The error of a network that learns to imitate a fixed random one."""

    on: tuple[str, ...] = ("next_observation",)
    features: int = 128
    width: int = 128
    learning_rate: float = 1e-3
    proportion: float = 1.0
    normalise: Literal["return", "bonus", "none"] = "return"
    gamma: float = 0.99
    seed: int = 0
    label: str = "rnd"

    def own_facts(self) -> tuple[str, ...]:
        return ("action_valid", *self.on)

    def _observations(self, facts: dict[str, Any]) -> Any:
        """``[..., inputs]``, a tensor of bytes or float32."""
        import torch

        value = columns(facts, self.on[0])
        if is_numpy(value):
            value = torch.from_numpy(np.array(value, np.uint8 if value.dtype == np.uint8 else np.float32))
        return value if value.dtype is torch.uint8 else value.float()

    def model(self, context: Context) -> Distillation:
        observations = self._observations(context.facts)
        return Distillation(observations.shape[-1], self, observations.device)

    def bonus(self, model: Distillation, facts: dict[str, Any]) -> Any:
        import torch

        observations = self._observations(facts)
        with torch.no_grad():
            errors = model.errors(model.normalised(observations.reshape(-1, observations.shape[-1])))
            bonus = model.scale(errors).reshape(observations.shape[:-1]).double()
        return bonus.numpy() if is_numpy(facts["action_valid"]) else bonus

    def learn(self, model: Distillation, batch: dict[str, Any]) -> float:
        import torch

        mask = steps_that_count(batch)
        return model.learn(self._observations(batch), torch.from_numpy(mask) if is_numpy(mask) else mask)


@operation
def rnd(
    on: str = "next_observation",
    features: int = 128,
    width: int = 128,
    learning_rate: float = 1e-3,
    proportion: float = 1.0,
    normalise: Literal["return", "bonus", "none"] = "return",
    gamma: float = 0.99,
    seed: int = 0,
) -> RND:
    """Bonus for what the agent has seldom seen: how badly a learned network imitates a fixed random one (needs torch).

    Random network distillation (Burda et al., arXiv:1810.12894): the mean over ``features`` outputs of the squared difference,
    by networks with ``width`` hidden units, for the fact ``on``, an array with any axes of its own (bytes count as shares of
    255). It is normalised by running mean and deviation and clipped to ±5. The bonus is divided by the running deviation of its
    non-episodic return, discounted by ``gamma`` (``normalise="return"``, the paper's), of the bonus itself (``"bonus"``), or by
    nothing (``"none"``). When the layer updates, these statistics take in the steps and the predictor learns from a random
    ``proportion`` of them, in one pass (Adam, ``learning_rate``); before, they are mean 0 and deviation 1. ``seed`` makes all of
    it repeatable; no other generator is touched. (The paper draws a quarter of the steps in each of four passes, which comes to
    one pass over all; a quarter of them in one pass lets the bonus of places long known outlive the policy's search.) Recorded as ``rnd``; its loss is the predictor's. ValueError for an unknown
    fact or a setting out of range, and in a world where ``on`` is a dict.
    """
    require_fact(on, "rnd(on=...)")
    if FACTS[on.removeprefix("previous_")].dtype == "object":
        raise ValueError(f"rnd: {on} is a Python object a row, not an array")
    for name, value in (("features", features), ("width", width)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"rnd: {name}={value!r}; allowed: an integer of at least 1")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"rnd: seed={seed!r}; allowed: an integer of at least 0")
    if not 0 <= gamma <= 1:
        raise ValueError(f"rnd: gamma={gamma!r}; allowed: 0 to 1")
    for name, share in (("proportion", proportion), ("learning_rate", learning_rate)):
        if not 0 < share <= 1:
            raise ValueError(f"rnd: {name}={share!r}; allowed: above 0, at most 1")
    if normalise not in ("return", "bonus", "none"):
        raise ValueError(f"rnd: normalise={normalise!r}; allowed: 'return', 'bonus', 'none'")
    return RND((on,), features, width, float(learning_rate), float(proportion), normalise, float(gamma), seed)
