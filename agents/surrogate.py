"""PPO's loss on a minibatch: the clipped surrogate of every channel of advantages, the critic's error, and entropy
(arXiv:1707.06347, equations 7 and 9).

`loss` says it in torch, which finds the gradient: some ninety operations, so small that cores wait for each other more than they
work. For actions that are whole numbers `gradient` does the same on the CPU in one pass over the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit, prange

from rewardscape.agents.actor_critic import Actions
from rewardscape.envs.core.compile import DEBUG

LOGGED = ("entropy", "value_loss", "clip_fraction", "approx_kl")  # and then the surrogate of every channel


class Batch(NamedTuple):
    """A minibatch: tensors ``[...]``, a number a step (and agent)."""

    actions: torch.Tensor
    before: torch.Tensor  # log probabilities of the actions when they were taken
    returns: torch.Tensor  # what the critic is to say
    weights: torch.Tensor  # of the steps in a mean
    advantages: torch.Tensor  # [..., channel]
    masks: torch.Tensor  # [..., channel]: weights


class Coefficients(NamedTuple):
    clip_range: float
    vf_coef: float
    ent_coef: float
    channels: Sequence[float]  # their weights


def loss(
    actions: Actions, numbers: torch.Tensor, values: torch.Tensor, log_std: torch.Tensor, batch: Batch, by: Coefficients
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of an actor's ``numbers`` ``[..., size]`` and a critic's ``values`` ``[...]``, and what is `LOGGED` of it."""
    log_prob, entropies = actions.judge(numbers, log_std, batch.actions)
    change = log_prob - batch.before
    ratio = change.exp()
    clipped = ratio.clamp(1 - by.clip_range, 1 + by.clip_range)
    entropy, error = _total(entropies, batch.weights), _total((values - batch.returns) ** 2, batch.weights)
    total = by.vf_coef * error - by.ent_coef * entropy
    surrogates = []
    for k, weight in enumerate(by.channels):
        advantage = batch.advantages[..., k]
        surrogates.append(-_total(torch.minimum(ratio * advantage, clipped * advantage), batch.masks[..., k]))
        total = total + weight * surrogates[-1]
    with torch.no_grad():
        outside, divergence = _total((ratio != clipped).float(), batch.weights), _total(ratio - 1 - change, batch.weights)
        return total, torch.stack([entropy, error, outside, divergence, *surrogates])


def backward(
    actions: Actions, numbers: torch.Tensor, values: torch.Tensor, log_std: torch.Tensor, batch: Batch, by: Coefficients
) -> torch.Tensor:
    """Add the gradient of `loss` to that of every parameter. What is logged."""
    if actions.choices and numbers.device.type == "cpu" and not DEBUG:
        d_numbers, d_values, logged = gradient(actions, numbers, values, batch, by)
        torch.autograd.backward([numbers, values], [d_numbers, d_values])
    else:
        total, logged = loss(actions, numbers, values, log_std, batch, by)
        total.backward()
    return logged


def _total(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return torch.dot(values.flatten(), weights.flatten())


def gradient(
    actions: Actions, numbers: torch.Tensor, values: torch.Tensor, batch: Batch, by: Coefficients
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradient of `loss` by ``numbers`` and by ``values``, and what is logged. For categories, on the CPU."""
    channels, parts = len(by.channels), torch.get_num_threads()
    d_numbers, d_values = torch.empty(numbers.shape), torch.empty(values.shape)
    logged = torch.zeros(parts, len(LOGGED) + channels)
    given = (
        _array(numbers, actions.size), _array(batch.actions, len(actions.choices)), _array(values), _array(batch.before),
        _array(batch.returns), _array(batch.weights), _array(batch.advantages, channels), _array(batch.masks, channels),
        _array(d_numbers, actions.size), _array(d_values), np.array(actions.choices), np.array(by.channels),
        by.clip_range, by.vf_coef, by.ent_coef,
    )  # fmt: skip
    if parts > 1:
        _parallel(parts, logged.numpy(), *given)
    else:
        _steps(0, values.numel(), logged[0].numpy(), *given)
    return d_numbers, d_values, logged.sum(0)


def _array(tensor: torch.Tensor, *width: int) -> Any:
    return tensor.detach().reshape(-1, *width).numpy()


@njit(error_model="numpy", nogil=True, cache=True)
def _steps(
    low: int, high: int, logged: Any, numbers: Any, actions: Any, values: Any, before: Any, returns: Any, weights: Any,
    advantages: Any, masks: Any, d_numbers: Any, d_values: Any, choices: Any, channels: Any,
    clip_range: float, vf_coef: float, ent_coef: float,
) -> None:  # fmt: skip
    """Steps ``low`` to ``high``: their gradients, and what they add to ``logged``."""
    entropy = error = outside = divergence = 0.0
    surrogates = np.zeros(len(channels))
    logs = np.empty(numbers.shape[1], np.float32)
    for i in range(low, high):
        weight, change, given, chances = weights[i], -before[i], numbers[i], d_numbers[i]
        first = 0
        for part in range(len(choices)):
            last = first + choices[part]
            most = given[first]
            for j in range(first + 1, last):
                most = max(most, given[j])
            total, mean = np.float32(0.0), np.float32(0.0)
            for j in range(first, last):
                chances[j] = math.exp(given[j] - most)
                total += chances[j]
            norm = most + math.log(total)
            for j in range(first, last):
                chances[j] /= total
                logs[j] = given[j] - norm
                mean += chances[j] * logs[j]
            change += logs[first + actions[i, part]]
            entropy -= weight * mean
            for j in range(first, last):
                logs[j] -= mean  # how the entropy changes with a chance
            first = last
        ratio = np.float64(math.exp(change))
        clipped = min(max(ratio, 1 - clip_range), 1 + clip_range)
        pull = 0.0  # the gradient by the action's log probability
        for k in range(len(channels)):
            gain, bound = ratio * advantages[i, k], clipped * advantages[i, k]
            surrogates[k] -= masks[i, k] * min(gain, bound)
            if gain <= bound:
                pull -= channels[k] * masks[i, k] * gain
        first = 0
        for part in range(len(choices)):
            last, taken = first + choices[part], first + actions[i, part]
            for j in range(first, last):
                chances[j] *= ent_coef * weight * logs[j] - pull
            chances[taken] += pull
            first = last
        off = values[i] - returns[i]
        d_values[i] = 2 * vf_coef * weight * off
        error += weight * off * off
        outside += weight * (ratio != clipped)
        divergence += weight * (ratio - 1 - change)
    for k, value in enumerate((entropy, error, outside, divergence)):
        logged[k] += value
    for k in range(len(channels)):
        logged[4 + k] += surrogates[k]


@njit(error_model="numpy", nogil=True, cache=True, parallel=True)
def _parallel(parts: int, logged: Any, numbers: Any, *more: Any) -> None:
    for p in prange(parts):
        _steps(len(numbers) * p // parts, len(numbers) * (p + 1) // parts, logged[p], numbers, *more)
