"""Rewards of whole episodes, paid at their end. (Potential-based shaping is the operation `potential`.)"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rewardscape.rewards.core.nodes import Context, Node, Value, as_node
from rewardscape.rewards.core.operations import operation

NEAR = 1e-9  # sums of a whole episode carry rounding errors: what is this near a threshold is on it


@dataclass(frozen=True)
class GatedAccumulation(Node):
    """Sums over the episode, highest priority first, each counted only where all above it reach their thresholds."""

    nodes: tuple[Node, ...]
    thresholds: tuple[float, ...]
    strict: bool = False
    label: str = "gated_accumulation"

    def children(self) -> tuple[Node, ...]:
        return self.nodes

    def own_facts(self) -> tuple[str, ...]:
        return ("terminated", "truncated")

    def recorded_as(self) -> str:
        return self.label

    def named(self, label: str) -> GatedAccumulation:
        """The same recorded under another name."""
        return replace(self, label=label)

    def start(self, context: Context, rows: Any) -> None:
        xp, known = context.xp, context.state.get(self.label)
        if known is None or rows is None:
            like = context.facts["terminated"]
            device = {} if xp is np else {"device": like.device}
            context.state[self.label] = xp.zeros((*context.shape, len(self.nodes)), dtype=xp.float64, **device)
        else:
            wide = rows.reshape(rows.shape + (1,) * (known.ndim - rows.ndim))
            context.state[self.label] = xp.where(wide, xp.zeros_like(known), known)

    def evaluate(self, context: Context) -> Value:
        if self.label in context.done:
            return context.done[self.label]
        xp, before = context.xp, context.state[self.label]
        steps = []
        for node in self.nodes:
            value, applicable = node.evaluate(context)
            value = value if applicable is None else xp.where(applicable, value, 0.0)
            steps.append(before[..., 0] * 0.0 + value)
        totals = before + xp.stack(steps, axis=-1)
        context.state[self.label] = totals
        paid, reached = totals[..., 0], True
        for k, threshold in enumerate(self.thresholds):
            above = totals[..., k] > threshold + NEAR if self.strict else totals[..., k] >= threshold - NEAR
            reached = reached & above
            paid = paid + xp.where(reached, totals[..., k + 1], 0.0)
        ended = context.facts["terminated"] | context.facts["truncated"]
        while ended.ndim < paid.ndim:  # one flag for all agents of a row
            ended = ended[..., None]
        return context.record(self.label, xp.where(ended, paid, 0.0), None)

    def __str__(self) -> str:
        threshold = self.thresholds[0] if len(self.thresholds) == 1 else self.thresholds
        text = f"gated_accumulation({', '.join(map(str, self.nodes))}, threshold={threshold!r}"
        text += ", strict=True)" if self.strict else ")"
        return text if self.label == "gated_accumulation" else f"{text}.named({self.label!r})"


@operation
def gated_accumulation(high: Any, *low: Any, threshold: Any = 0.0, strict: bool = False) -> GatedAccumulation:
    """Pays at the episode's end what ``high`` summed to, and what ``low`` summed to only if ``high`` reached ``threshold``.

    G-RA: ``R = R_high + 1[R_high >= threshold] * sum_t r_low`` at the end, terminated or truncated, and 0 before (Sun et al.,
    "Stabilizing Long-term Multi-turn Reinforcement Learning with Gated Rewards", arXiv:2508.10548). Several values go from
    the highest priority to the lowest, with one threshold for each but the last: a value counts where all above it reach
    theirs. ``strict``: they are to exceed them, as one implementation has it. What does not apply counts 0. Recorded as
    ``gated_accumulation``. The plain sum ``high + low`` is direct accumulation (D-RA), its baseline. ValueError unless the
    thresholds are finite numbers, one fewer than the values.
    """
    nodes = (as_node(high), *map(as_node, low))
    try:
        thresholds = tuple(float(t) for t in (threshold if isinstance(threshold, (tuple, list)) else (threshold,)))
    except (TypeError, ValueError):
        thresholds = ()
    if len(nodes) < 2 or len(thresholds) != len(nodes) - 1 or not all(map(math.isfinite, thresholds)):
        raise ValueError(
            f"gated_accumulation: {len(nodes)} values need {max(len(nodes) - 1, 1)} finite thresholds, not {threshold!r}"
        )
    return GatedAccumulation(nodes, thresholds, bool(strict))
