"""Credit: what each step of a finished rollout is worth. The first stage of a trainer.

Values are ``[time, row]``; NaN: not judged. Steps of one ``unit`` are compared across the rows of a group (see `Credited`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rewardscape.rewards.core.arrays import array_namespace, sum_by
from rewardscape.rewards.core.stages import Credited, Part, Rollouts, credit


@credit
def none(rollouts: Rollouts) -> Credited:
    """No assignment: every step is worth the undiscounted return of its whole rollout. What GRPO does with completions.

    A rollout of which no step was judged has no return and is left out of the comparison.
    """
    xp = array_namespace(rollouts.rewards)
    time = _time(rollouts)

    def assign(values: Any) -> Any:
        judged = rollouts.mask & ~xp.isnan(values)
        total = xp.sum(xp.where(judged, values, 0.0), axis=0)
        return xp.where(xp.any(judged, axis=0), total, math.nan)[None] + xp.zeros_like(values)

    return _credited(rollouts, assign, 0 * time, time == 0)


@credit
def reward_to_go(rollouts: Rollouts, gamma: float = 1.0) -> Credited:
    """Every step is worth the rewards from it on, discounted by ``gamma``; compared with the same step of the other rollouts.

    ``G_t = r_t + gamma * G_{t+1}`` (Sutton and Barto, Reinforcement Learning, 2nd edition, eq. 3.9). ValueError unless
    0 <= gamma <= 1.
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"reward_to_go: gamma={gamma!r}; allowed: 0 to 1")
    xp = array_namespace(rollouts.rewards)

    def assign(values: Any) -> Any:
        paid = xp.where(rollouts.mask & ~xp.isnan(values), values, 0.0)
        later = [paid[-1]]
        for reward in reversed(list(paid[:-1])):
            later.append(reward + gamma * later[-1])
        return xp.stack(later[::-1])

    return _credited(rollouts, assign, _time(rollouts), rollouts.mask)


@credit
def per_turn(rollouts: Rollouts) -> Credited:
    """Every step is worth the rewards of its turn; a turn is compared with the same turn of the other rollouts.

    The steps of a turn follow one another. Where every step is a turn (an instruction answered, a contextual bandit), a step
    is worth its own reward. A turn of which no step was judged is left out of the comparison.
    """
    xp, mask = array_namespace(rollouts.rewards), rollouts.mask
    turn = _time(rollouts) if rollouts.turn is None else rollouts.turn
    turns = int(xp.max(turn)) + 1
    ones = xp.ones_like(turn[0]).reshape(-1)
    row = (xp.cumsum(ones, 0) - 1).reshape(turn[0].shape)
    key = turn + turns * row[None]

    def assign(values: Any) -> Any:
        judged = mask & ~xp.isnan(values)
        total, number = (
            sum_by(xp.where(judged, v, 0.0), key, turns * ones.shape[0])[key] for v in (values, xp.ones_like(values))
        )
        return xp.where(number > 0, total, math.nan)

    opens = xp.concat([mask[:1], mask[1:] & ((turn[1:] != turn[:-1]) | ~mask[:-1])], axis=0)
    return _credited(rollouts, assign, turn, opens)


def _time(rollouts: Rollouts) -> Any:
    """Number of the step, int ``[time, row]``."""
    xp = array_namespace(rollouts.mask)
    return xp.cumsum(xp.where(rollouts.mask, 1, 1), 0) - 1


def _credited(rollouts: Rollouts, assign: Callable[[Any], Any], unit: Any, counted: Any) -> Credited:
    """``assign`` applied to the rewards and to each of their parts."""
    parts = {name: Part(part.weight, assign(part.values)) for name, part in rollouts.parts.items()}
    return Credited(assign(rollouts.rewards), parts, unit, counted, rollouts.mask, rollouts.group, rollouts.facts)
