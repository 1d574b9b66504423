"""Advantage: rollouts of one task compared with one another. The second stage of a trainer.

A stage takes `Credited` values ``[time, row]`` and gives one `Channel` or several. Values that were not judged (NaN) enter no
statistic and have the advantage 0. Deviations are unbiased.
"""

from __future__ import annotations

from typing import Any, Literal

from rewardscape.rewards.actions import dast
from rewardscape.rewards.core.arrays import array_namespace, copy_of
from rewardscape.rewards.core.stages import Channel, Comparison, Credited, advantage


@advantage
def group_relative(
    credited: Credited, scale: Literal["group", "batch", "none"] = "group", epsilon: float = 1e-4
) -> list[Channel]:
    """``A = (r - mean) / (deviation + epsilon)``, mean and deviation over the group: GRPO (arXiv:2402.03300, section 4.1.2).

    ``scale="batch"`` divides by the deviation over the whole batch (arXiv:2508.08221), ``"none"`` by nothing (Dr. GRPO,
    arXiv:2503.20783). Checked against TRL's GRPOTrainer, whose epsilon is the default here.
    """
    return [_channel("reward", 1.0, _relative(credited, credited.values, scale, epsilon), credited)]


@advantage
def leave_one_out(credited: Credited) -> list[Channel]:
    """``A_i = r_i - mean of the others`` of the group: RLOO (arXiv:2402.14740, eq. 8). 0 for a rollout alone in its group."""
    xp, values = array_namespace(credited.values), credited.values
    count, mean, _ = Comparison(credited).moments(values)
    return [_channel("reward", 1.0, (values - mean) * count / xp.clip(count - 1, 1.0, None), credited)]


@advantage
def decoupled(
    credited: Credited,
    epsilon: float = 1e-4,
    missing: Literal["skip", "zero"] = "skip",
    variant: Literal["paper", "code"] = "paper",
) -> list[Channel]:
    """Every addend of the reward is normalised in its own group, then they are summed with their weights and the sum is
    normalised over the batch: GDPO (arXiv:2601.05242; NVlabs/GDPO; TRL's ``normalize_then_sum``).

    So two addends that cancel in the sum still tell rollouts apart, and one of large variance does not drown the others.
    ``missing``: an addend that does not apply to a rollout is left out of it and of the statistics ("skip", as in TRL) or
    counts 0 ("zero", as in the released code). ``variant="code"``: a reward of one addend is only normalised in its group.
    """
    xp = array_namespace(credited.values)
    if not credited.parts or (variant == "code" and len(credited.parts) == 1):
        return group_relative.function(credited, epsilon=epsilon)
    total, judged = xp.zeros_like(credited.values), xp.zeros_like(credited.values) > 0
    for part in credited.parts.values():
        values = xp.where(xp.isnan(part.values), 0.0, part.values) if missing == "zero" else part.values
        known = ~xp.isnan(values)
        judged = judged | known
        total = total + xp.where(known, part.weight * _relative(credited, values, "group", epsilon), 0.0)
    mean, deviation = Comparison(credited).batch_moments(xp.where(judged, total, float("nan")))
    return [_channel("reward", 1.0, xp.where(judged, (total - mean) / (deviation + epsilon), 0.0), credited)]


@advantage(facts=("difficulty", "target_box", "screen_size"))
def difficulty_weighted(
    credited: Credited, scale: Literal["group", "batch", "none"] = "none", epsilon: float = 1e-4
) -> list[Channel]:
    """The group-relative advantage, weighted by how hard the task is: GUI-G1 (arXiv:2505.15810), which leaves out the division
    by the deviation (``scale="none"``), since it favours easy tasks.

    Hard means a small target: the weight is inversely proportional to the target's share of the screen's sides,
    ``sqrt(W H / (w h))``, scaled to a mean of 1 over the batch. The paper weighs by the relative size of the target's box; its
    code reads a ready number for each sample, so this formula is inferred. A fact ``difficulty`` is taken instead where
    there is one. ValueError if the rollouts bring neither it nor ``target_box`` and ``screen_size``.
    """
    xp, facts = array_namespace(credited.values), credited.facts
    if "difficulty" in facts:
        weight = facts["difficulty"] * 1.0
    elif {"target_box", "screen_size"} <= facts.keys():
        size, screen = facts["target_box"][..., 2:] - facts["target_box"][..., :2], facts["screen_size"]
        share = size[..., 0] * size[..., 1] / (screen[..., 0] * screen[..., 1])
        weight = 1.0 / xp.sqrt(xp.clip(share, 1e-6, None))
    else:
        raise ValueError(
            f"difficulty_weighted needs the fact difficulty, or target_box and screen_size; there are: {sorted(facts)}"
        )
    weight = weight / xp.mean(weight[credited.mask])
    values = _relative(credited, credited.values, scale, epsilon)
    return [_channel("reward", 1.0, xp.where(credited.mask, weight, 0.0) * values, credited)]


@advantage
def conditional(
    credited: Credited,
    part: str = "tool_efficiency",
    weight: float = 0.15,
    scale: Literal["group", "none"] = "group",
    epsilon: float = 1e-6,
) -> list[Channel]:
    """Two channels that are never summed: HDPO (Act Wisely; Accio-Lab/Metis).

    The addend ``part`` is compared only among the rollouts of the group where it is above 0 (at least two, else 0), and its
    loss, over those steps alone, is weighed by ``weight``. All other addends make the first channel, group-relative. So being
    cheap is worth nothing to a rollout that is wrong, and takes nothing from what being right is worth. ValueError if the
    reward has no addend of that name.
    """
    if part not in credited.parts:
        raise ValueError(f"conditional: the reward has no addend {part!r}; it has: {', '.join(credited.parts) or 'none'}")
    xp, chosen = array_namespace(credited.values), credited.parts[part]
    rest = credited.values - chosen.weight * xp.where(xp.isnan(chosen.values), 0.0, chosen.values)
    qualified = chosen.values > 0
    count, mean, deviation = Comparison(credited).moments(chosen.values, qualified)
    values = chosen.values - mean
    values = values / (deviation + epsilon) if scale == "group" else values
    cheap = _channel(part, weight, xp.where(qualified & (count >= 2), values, 0.0), credited)
    return [
        _channel("reward", 1.0, _relative(credited, rest, scale, epsilon), credited),
        cheap._replace(mask=cheap.mask & (cheap.values != 0)),
    ]


@advantage(facts=("completion_length",))
def length_adaptive(
    credited: Credited,
    a: float = -0.5,
    b: float = 0.5,
    solved: float = 3.0,
    scale: Literal["group", "batch", "none"] = "group",
    epsilon: float = 1e-4,
) -> list[Channel]:
    """Group-relative, after the returns were changed by the length of the answers: DAST of UI-R1-E (lll6gg/UI-R1).

    In easy tasks, which most rollouts of the group solve, short answers earn more; in hard ones long answers do. `dast` has the
    formula; a rollout is ``solved`` if its return is that. Needs ``credit="none"``. ValueError if the rollouts do not bring the
    fact ``completion_length``.
    """
    if "completion_length" not in credited.facts:
        raise ValueError(f"length_adaptive needs the fact completion_length; there are: {sorted(credited.facts)}")
    xp, group = array_namespace(credited.values), credited.group
    returns = credited.values[0]
    lengths = xp.max(xp.where(credited.mask, credited.facts["completion_length"], 0), axis=0)
    for number in xp.unique_values(group):
        rows = (group == number) & ~xp.isnan(returns)
        if xp.any(rows):
            changed = dast(returns[rows], lengths[rows], int(xp.sum(rows)), a, b, solved)
            returns = copy_of(returns)
            returns[rows] = changed
    values = xp.zeros_like(credited.values) + returns[None]
    return [_channel("reward", 1.0, _relative(credited, values, scale, epsilon), credited)]


def _relative(credited: Credited, values: Any, scale: str, epsilon: float) -> Any:
    """``values`` less their mean in the group, over the deviation that ``scale`` names; NaN stays."""
    comparison = Comparison(credited)
    _, mean, deviation = comparison.moments(values)
    if scale == "none":
        return values - mean
    if scale == "batch":
        deviation = comparison.batch_moments(values)[1]
    return (values - mean) / (deviation + epsilon)


def _channel(name: str, weight: float, values: Any, credited: Credited) -> Channel:
    xp = array_namespace(values)
    return Channel(name, weight, xp.where(credited.mask & ~xp.isnan(values), values, 0.0), credited.mask)
