"""Terms that judge an action of several kinds (click, type, scroll ...), and what was looked at before it.

Kinds are numbers, so that terms stay arrays: 0 nothing valid, 1 click, 2 any other kind where a world does not tell them apart,
3 long press, 4 a bare point that names no kind; `kind_number` gives every further name a number of its own. The fact
``reference_kind`` says which kind is asked for; a world without it asks for clicks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from rewardscape.rewards.core.arrays import array_namespace, indicator
from rewardscape.rewards.core.terms import term
from rewardscape.rewards.gui import TINY, centre, iou, told_mask

NOTHING, CLICK, OTHER, LONG_PRESS, BARE_POINT = range(5)


def kind_number(name: str) -> int:
    """The number of a kind of action that has no fixed one: equal names, equal numbers, and the same ones in every run.

    Above `BARE_POINT` and below 2**48, so that a float64 holds it; `NOTHING` for "".
    """
    digest = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=6).digest()
    return BARE_POINT + 1 + int.from_bytes(digest, "big") % (2**48 - 8) if name else NOTHING


def swipe_direction(start: Sequence[float], end: Sequence[float]) -> str:
    """Where a swipe from ``start`` to ``end`` goes, y downwards: left, right, up or down, by the longer side of the way, up or
    down if both are equal. "" if it goes nowhere. Source: BTL-UI (xiaomi-research/btl-ui, reward_fn.py)."""
    across, along = end[0] - start[0], end[1] - start[1]
    if across == 0 and along == 0:
        return ""
    if abs(across) > abs(along):
        return "left" if across < 0 else "right"
    return "up" if along < 0 else "down"


@term(bounds=(0, 1), source="UI-R1, arXiv:2503.21620, action reward; lll6gg/UI-R1 grpo_json_action_coord.py")
def action_match(action_kind, reference_kind=None):
    """1 if the action is of the kind asked for (a click where a world asks for nothing else), else 0. Shape ``[...]``."""
    return indicator(_alike(action_kind, reference_kind))


def _alike(action_kind: Any, reference_kind: Any) -> Any:
    if reference_kind is None:
        return action_kind == CLICK
    return (action_kind == reference_kind) & (action_kind > NOTHING)


@term(bounds=(0, 1), source="UI-R1 (arXiv:2503.21620), GUI-R1 (arXiv:2504.10458), BTL-UI: their accuracy rewards")
def action_correct(
    action_kind,
    predicted_point,
    target_box,
    reference_kind=None,
    reference_point=None,
    target_given=None,
    text_agreement=None,
    screen_size=None,
    parsed=None,
    *,
    strict: bool = False,
    radius: float = 0.0,
    reach: float = 0.0,
    similarity: float = 0.5,
):
    """1 if the action is of the kind asked for and its arguments are right, else 0. Shape ``[...]``.

    A click or long press is right in the target box, and any other kind where ``text_agreement`` is at least ``similarity``
    (or nothing is known of a text). ``strict``: the box's edges do not count. ``radius``: where no target box is given, a click
    nearer than so many pixels to ``reference_point`` is right (GUI-R1: 140). ``reach``, if above 0: the click must also be
    nearer than that to ``reference_point`` (without one, the target's centre), with the screen scaled to 1 x 1 (BTL-UI: 0.14).
    A bare point that names no kind is judged by the box alone, whatever was asked (BTL-UI).
    """
    xp = array_namespace(predicted_point)
    low, high = predicted_point - target_box[..., :2], target_box[..., 2:] - predicted_point
    inside = (low > 0) & (high > 0) if strict else (low >= 0) & (high >= 0)
    placed = inside[..., 0] & inside[..., 1]
    aim = centre(target_box) if reference_point is None else reference_point
    if target_given is not None:
        near = _squared(predicted_point - aim) < (0.0 if reference_point is None else radius) ** 2
        placed = xp.where(target_given, placed, near)
    if parsed is not None:
        placed = placed & parsed
    right = placed
    if reach > 0 and screen_size is not None:
        right = placed & (xp.sqrt(_squared((predicted_point - aim) / xp.maximum(screen_size, TINY))) < reach)
    clicked, bare = (action_kind == CLICK) | (action_kind == LONG_PRESS), action_kind == BARE_POINT
    said = ~clicked if text_agreement is None else ~clicked & (text_agreement >= similarity)
    correct = _alike(action_kind, reference_kind) & ~bare & ((clicked & right) | said)
    return indicator(correct | (bare & placed))


def _squared(offset: Any) -> Any:
    squared = offset * offset
    return squared[..., 0] + squared[..., 1]


@term(bounds=(0, 1), source="BTL-UI (xiaomi-research/btl-ui, reward_fn.py), blink reward")
def blink(proposals, proposal_count, target_box, target_given=None, *, threshold: float = 0.5):
    """1 if a region looked at has an IoU above ``threshold`` with the target box and no two regions one of at least that with
    each other (non-maximum suppression removes none), else 0; 1 where the action has no target box. Shape ``[...]``."""
    xp = array_namespace(proposals)
    told = told_mask(proposals, proposal_count, xp)
    found = xp.any((iou.compute(proposals, target_box[..., None, :]) > threshold) & told, axis=-1)
    for shift in range(1, proposals.shape[-2]):
        twice = iou.compute(proposals[..., shift:, :], proposals[..., :-shift, :]) >= threshold
        found = found & ~xp.any(twice & told[..., shift:], axis=-1)
    return indicator(found if target_given is None else xp.where(target_given, found, True))


def dast(rewards: Any, lengths: Any, group_size: int, a: float = -0.5, b: float = 0.5, solved: float = 3.0) -> Any:
    """Difficulty-adaptive length shaping of UI-R1-E: rewards ``[row]`` (NumPy or torch) with a bonus for short correct answers.

    Every ``group_size`` consecutive rows answer one task; those paid ``solved`` are correct, a share p of the group. With the
    budget ``L = p * mean length of the correct + (1 - p) * longest`` and ``l = (length - L) / L``, a correct row is paid
    ``max(a l + b, 0.1)`` more and a wrong one ``min(0.9 l - 0.1, -0.1)``: easy tasks shorten answers, hard ones do not. It
    looks at a whole group, hence it is a step of the trainer and no term. Source: lll6gg/UI-R1 DAST_grpo_trainer.py.

    ValueError if the number of rows is no multiple of ``group_size``, or the lengths are not as many.
    """
    xp = array_namespace(rewards, lengths)
    rewards, lengths = (xp.asarray(value, dtype=xp.float64) for value in (rewards, lengths))
    if group_size < 1 or rewards.ndim != 1 or rewards.shape != lengths.shape or rewards.shape[0] % group_size:
        raise ValueError(
            f"dast: rewards {tuple(rewards.shape)} and lengths {tuple(lengths.shape)} are to be [row], whole groups of {group_size}"
        )
    paid, long = xp.reshape(rewards, (-1, group_size)), xp.reshape(lengths, (-1, group_size))
    right = paid == solved
    number = xp.sum(indicator(right), axis=-1)[:, None]
    mean = xp.sum(xp.where(right, long, 0.0), axis=-1)[:, None] / xp.where(number > 0, number, 1.0)
    share = number / group_size
    budget = share * mean + (1.0 - share) * xp.max(long, axis=-1)[:, None]
    over = xp.where(budget > 0, (long - budget) / xp.where(budget > 0, budget, 1.0), 0.0)
    bonus = xp.where(right, xp.clip(a * over + b, 0.1, None), xp.clip(0.9 * over - 0.1, None, -0.1))
    return xp.reshape(paid + bonus, (-1,))
