"""Terms that every world can pay."""

from __future__ import annotations

from rewardscape.rewards.core.arrays import indicator
from rewardscape.rewards.core.terms import term


@term(bounds=(-1, 1))
def objective_gain(objective, previous_objective):
    """Increment of the objective in this step: what ``reward=None`` pays. Shape ``[...]``, range [-1, 1]."""
    return objective - previous_objective


@term(bounds=(0, 1))
def success(objective, *, threshold: float = 1.0):
    """1 while the objective is at least ``threshold``, else 0. Shape ``[...]``."""
    return indicator(objective >= threshold)


@term(bounds=(0, 1))
def valid(action_valid):
    """1 if the action was finite and in range, else 0. Shape ``[...]``."""
    return indicator(action_valid)


@term(bounds=(-1, -1))
def step_cost(terminated):
    """-1 for every step: weigh it with the price of time. Shape ``[...]``."""
    return -indicator(terminated | True)
