"""Terms for finding a way: how far the goal is, what was reached, what was bumped into, how often a place was visited.

A distance alone is paid in every step and pays for standing near the goal; as a potential it changes no optimal policy:
``potential(goal_geodesic, gamma=0.99)``.
"""

from __future__ import annotations

from typing import Any, Literal

from rewardscape.rewards.core.arrays import array_namespace, indicator
from rewardscape.rewards.core.terms import term

CountForm = Literal["inverse_sqrt", "inverse", "first"]


@term
def goal_geodesic(goal_distance):
    """Minus the fewest moves to the goal, in cells: 0 there, else negative. Shape ``[...]``."""
    return -1.0 * goal_distance


@term
def goal_euclidean(goal_offset):
    """Minus the straight-line distance to the goal, in cells, through walls: 0 there, else negative. Shape ``[...]``."""
    squared = 1.0 * goal_offset * goal_offset
    return -((squared[..., 0] + squared[..., 1]) ** 0.5)


@term(bounds=(0, 1))
def goal_closeness(goal_distance, *, scale: float = 10.0):
    """Closeness to the goal: ``scale / (scale + d)``, d the fewest moves to it. Shape ``[...]``, range (0, 1].

    1 at the goal, ½ at a distance of ``scale`` cells. Paid in every step it is no potential: an agent may earn more by staying
    near the goal than by reaching it. ValueError unless ``scale`` is above 0.
    """
    check_scale("goal_closeness", scale)
    return scale / (scale + goal_distance)


@term(bounds=(0, 1))
def collided(collision):
    """1 if the agent tried to move and could not, else 0: weigh it with the price of a bump. Shape ``[...]``."""
    return indicator(collision)


@term(bounds=(0, 1))
def subgoal(subgoal_reached):
    """1 in a step that reaches a sub-goal (a key taken, a door opened), else 0. Shape ``[...]``."""
    return indicator(subgoal_reached)


@term(bounds=(0, 1))
def goal(goal_reached):
    """1 in a step that reaches a goal, else 0. Shape ``[...]``."""
    return indicator(goal_reached)


@term(bounds=(0, 1), source="WMAct, arXiv:2511.23476: R_scaled = R_outcome * N_eff / N")
def efficacy(effective_actions, step):
    """Share of the episode's actions that changed the world: ``N_eff / N``; 0 before the first. Shape ``[...]``, range [0, 1].

    A factor for an outcome: ``objective_gain * efficacy``.
    """
    xp = array_namespace(step)
    return xp.clip(indicator(effective_actions) / indicator(xp.clip(step, 1, None)), 0.0, 1.0)


def count_form(before: Any, form: CountForm, scale: float = 1.0) -> Any:
    """The bonus for a place with ``before`` earlier visits: 1 at none, then falling. Shape of ``before``, range (0, 1].

    With n = before + 1: "inverse_sqrt": ``1 / sqrt(n)`` (MBIE-EB: Strehl and Littman 2008); "inverse": ``1 / n`` (BEB: Kolter
    and Ng 2009); "first": 1 at the first visit, then 0 (as in NovelD: Zhang et al. 2021). ``scale`` is of the first form: it is
    ``scale / sqrt(scale² + before)``, which falls the later the larger it is (ExploRS: Devidze et al. 2022, with B_max = 1 and
    lambda = ``scale``).
    """
    before = indicator(before)
    if form == "first":
        return indicator(before == 0)
    return 1.0 / (before + 1.0) if form == "inverse" else scale * (scale**2 + before) ** -0.5


@term(bounds=(0, 1), source="Strehl and Littman 2008; Kolter and Ng 2009; counts within an episode as in NGU, arXiv:2002.06038")
def episodic_count(visit_count, *, form: CountForm = "inverse_sqrt", scale: float = 1.0):
    """Bonus for places seldom visited in this episode, by n, the visits to the present one with this included.

    ``form``: "inverse_sqrt": ``1 / sqrt(n)``; "inverse": ``1 / n``; "first": 1 at the first visit, then 0. ``scale`` is of the
    first: ``scale / sqrt(scale² + n - 1)`` falls the later the larger it is. Shape ``[...]``, range [0, 1]. ValueError unless
    ``scale`` is above 0.
    """
    check_scale("episodic_count", scale)
    return count_form(array_namespace(visit_count).clip(visit_count - 1, 0, None), form, scale)


def check_scale(owner: str, scale: float) -> None:
    """Raise ValueError unless ``scale`` is above 0."""
    if not scale > 0:
        raise ValueError(f"{owner}: scale={scale!r}; allowed: above 0")
