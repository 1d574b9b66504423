"""Rewards over agents: what the others earn becomes part of what one is paid.

Each operation evaluates its value to ``[..., agent]`` and joins the last axis. What does not apply to an agent is left out of
means, minima and comparisons; what is paid to a team applies to all its agents as soon as it applies to one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rewardscape.rewards.core.nodes import Constant, Context, Node, Schedule, Value, as_node
from rewardscape.rewards.core.operations import operation


@dataclass(frozen=True)
class OverAgents(Node):
    """A node that joins the values of a row's agents. Subclasses have `join` and ``__str__``."""

    over_agents: ClassVar[bool] = True
    node: Node

    def children(self) -> tuple[Node, ...]:
        return (self.node,)

    def evaluate(self, context: Context) -> Value:
        key = str(self)
        if key not in context.done:
            value, applicable = self.node.evaluate(context)
            if hasattr(value, "dtype"):  # a number is the same for all, and joined it stays what it is
                xp = context.xp
                mask = None if applicable is None else xp.broadcast_to(applicable, context.shape)
                value, applicable = self.join(xp.broadcast_to(1.0 * value, context.shape), mask, context)
            context.done[key] = value, applicable
        return context.done[key]

    def join(self, value: Any, mask: Any, context: Context) -> Value:
        """``value``: float ``[..., agent]``; ``mask``: bool, where it applies, or None for everywhere."""
        raise TypeError(f"{type(self).__name__} does not join")


def _mean(value: Any, mask: Any, weights: Any, xp: Any) -> Value:
    """The weighted mean over agents, for all of them. ``weights``: like ``value``."""
    if mask is not None:
        value, weights = xp.where(mask, value, 0.0), xp.where(mask, weights, 0.0)
        mask = xp.broadcast_to(xp.any(mask, axis=-1, keepdims=True), value.shape)
    total = xp.sum(weights, axis=-1, keepdims=True)
    mean = xp.sum(weights * value, axis=-1, keepdims=True) / xp.where(total > 0, total, 1.0)
    return xp.broadcast_to(mean, value.shape), mask


@dataclass(frozen=True)
class TeamMean(OverAgents):
    """The mean over agents, paid to each."""

    def join(self, value: Any, mask: Any, context: Context) -> Value:
        return _mean(value, mask, context.xp.ones_like(value), context.xp)

    def __str__(self) -> str:
        return f"team_mean({self.node})"


@operation
def team_mean(value: Any) -> TeamMean:
    """Pays every agent the mean of ``value`` over the agents: the utilitarian team reward, divided by the number of agents."""
    return TeamMean(as_node(value))


@dataclass(frozen=True)
class TeamWeighted(OverAgents):
    """The weighted mean over agents, paid to each."""

    weights: tuple[float, ...]

    def join(self, value: Any, mask: Any, context: Context) -> Value:
        if value.shape[-1] != len(self.weights):
            raise ValueError(f"{self} has {len(self.weights)} weights, and there are {value.shape[-1]} agents")
        xp = context.xp
        weights = xp.stack([xp.full_like(value[..., k], weight) for k, weight in enumerate(self.weights)], axis=-1)
        return _mean(value, mask, weights, xp)

    def __str__(self) -> str:
        return f"team_weighted({self.node}, weights={self.weights!r})"


@operation
def team_weighted(value: Any, weights: Any) -> TeamWeighted:
    """Pays every agent the weighted mean ``sum_j w_j x_j / sum_j w_j`` of ``value`` over the agents.

    ``weights``: one number an agent, not negative, not all 0; else a ValueError. When it judges, as many as there are agents.
    """
    try:
        kept = tuple(float(weight) for weight in weights)
    except (TypeError, ValueError):
        kept = ()
    if not kept or not all(weight >= 0 and math.isfinite(weight) for weight in kept) or not sum(kept):
        raise ValueError(f"team_weighted: weights are finite numbers of at least 0, not all 0, one an agent; not {weights!r}")
    return TeamWeighted(as_node(value), kept)


@dataclass(frozen=True)
class Rawlsian(OverAgents):
    """The least over agents, paid to each."""

    def join(self, value: Any, mask: Any, context: Context) -> Value:
        xp = context.xp
        if mask is None:
            return xp.broadcast_to(xp.min(value, axis=-1, keepdims=True), value.shape), None
        applies = xp.broadcast_to(xp.any(mask, axis=-1, keepdims=True), value.shape)
        least = xp.min(xp.where(mask, value, math.inf), axis=-1, keepdims=True)
        return xp.where(applies, xp.broadcast_to(least, value.shape), 0.0), applies

    def __str__(self) -> str:
        return f"rawlsian({self.node})"


@operation
def rawlsian(value: Any) -> Rawlsian:
    """Pays every agent the least ``value`` of any agent: the welfare of the worst off (Rawls, A Theory of Justice, 1971)."""
    return Rawlsian(as_node(value))


@dataclass(frozen=True)
class TeamSpirit(OverAgents):
    """Between one's own and the mean over agents."""

    tau: Constant | Schedule

    def children(self) -> tuple[Node, ...]:
        return (self.node, self.tau)

    def join(self, value: Any, mask: Any, context: Context) -> Value:
        xp = context.xp
        tau = self.tau.value if isinstance(self.tau, Constant) else self.tau.weight(context.steps)
        mean, applies = _mean(value, mask, xp.ones_like(value), xp)
        own = value if mask is None else xp.where(mask, value, 0.0)
        return (1 - tau) * own + tau * mean, applies

    def __str__(self) -> str:
        return f"team_spirit({self.node}, {self.tau})"


@operation
def team_spirit(value: Any, tau: Any) -> TeamSpirit:
    """Pays agent i ``(1 - tau) * x_i + tau * mean_j x_j`` (OpenAI et al., "Dota 2 with Large Scale Deep Reinforcement Learning",
    arXiv:1912.06680, where tau rises in training).

    ``tau``: a number in [0, 1], or ``scheduled(...)`` through such numbers; else a ValueError. What does not apply to an agent
    counts 0 as its own.
    """
    node = as_node(tau)
    weights = [node.value] if isinstance(node, Constant) else [w for _, w in node.points] if isinstance(node, Schedule) else []
    if not isinstance(node, (Constant, Schedule)) or not all(0 <= weight <= 1 for weight in weights):
        raise ValueError(f"team_spirit: tau={tau}; allowed: a number in [0, 1], or scheduled(...) through such numbers")
    return TeamSpirit(as_node(value), node)


@dataclass(frozen=True)
class InequityAverse(OverAgents):
    """One's own, less envy of those who have more and guilt towards those who have less."""

    alpha: float
    beta: float
    decay: float

    def own_facts(self) -> tuple[str, ...]:
        return ("terminated",) if self.decay else ()

    def start(self, context: Context, rows: Any) -> None:
        if not self.decay:
            return
        xp, key = context.xp, str(self)
        known = context.state.get(key)
        if known is None or rows is None:
            device = {} if xp is np else {"device": context.facts["terminated"].device}
            context.state[key] = xp.zeros(context.shape, dtype=xp.float64, **device)
        else:
            context.state[key] = xp.where(rows.reshape(rows.shape + (1,) * (known.ndim - rows.ndim)), 0.0 * known, known)

    def join(self, value: Any, mask: Any, context: Context) -> Value:
        xp, compared = context.xp, value
        if self.decay:
            earned = value if mask is None else xp.where(mask, value, 0.0)
            context.state[str(self)] = compared = self.decay * context.state[str(self)] + earned
        more = compared[..., None, :] - compared[..., :, None]  # [..., i, j]: by how much j has more than i
        others: Any = max(value.shape[-1] - 1, 1)
        if mask is not None:
            more = xp.where(mask[..., None, :] & mask[..., :, None], more, 0.0)
            others = xp.clip(xp.sum(1.0 * mask, axis=-1, keepdims=True) - 1, 1.0, math.inf)
        envy = xp.sum(xp.where(more > 0, more, 0.0), axis=-1) / others
        guilt = xp.sum(xp.where(more < 0, -more, 0.0), axis=-1) / others
        return value - self.alpha * envy - self.beta * guilt, mask

    def __str__(self) -> str:
        decay = f", decay={self.decay!r}" if self.decay else ""
        return f"inequity_averse({self.node}, alpha={self.alpha!r}, beta={self.beta!r}{decay})"


@operation
def inequity_averse(value: Any, alpha: float = 5.0, beta: float = 0.05, decay: float = 0.0) -> InequityAverse:
    """Pays agent i ``x_i - alpha/(n-1) sum_j max(e_j - e_i, 0) - beta/(n-1) sum_j max(e_i - e_j, 0)``.

    With ``decay`` 0, e is x itself: Fehr and Schmidt, "A Theory of Fairness, Competition, and Cooperation", Quarterly Journal of
    Economics 1999, eq. 1. Else e is what was earned lately, ``e(t) = decay * e(t-1) + x(t)`` from 0 at the episode's start: Hughes
    et al., "Inequity aversion improves cooperation in intertemporal social dilemmas", arXiv:1803.08884, whose ``decay`` is
    gamma * lambda, and whose alpha and beta are the defaults. n counts the agents to which ``value`` applies; the others are
    not compared. ValueError unless alpha and beta are finite and 0 <= decay < 1.
    """
    numbers = {"alpha": alpha, "beta": beta, "decay": decay}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise ValueError(f"inequity_averse: {name}={number!r} is to be a finite number")
    if not 0 <= decay < 1:
        raise ValueError(f"inequity_averse: decay={decay!r}; allowed: at least 0 and below 1")
    return InequityAverse(as_node(value), float(alpha), float(beta), float(decay))
