"""Terms that judge a completion as text, whatever it says: its form, its length, its repetitions."""

from __future__ import annotations

import math
import re

from rewardscape.rewards.core.arrays import array_namespace
from rewardscape.rewards.core.operations import where_applicable
from rewardscape.rewards.core.terms import term

_THOUGHT = re.compile(r"<think>(?!.*<think>)(.*?)</think>", re.DOTALL)


@term(rowwise=True, bounds=(0, 1), source="DeepSeek-R1, arXiv:2501.12948, format reward; TRL think_format_reward")
def think_format(completion):
    """1 if the completion begins with one ``<think>`` that is closed before the answer, and no other follows, else 0."""
    return 1.0 if isinstance(completion, str) and _THOUGHT.match(completion) else 0.0


@term(bounds=(-1, 0), source="DAPO, arXiv:2503.14476, eq. 13; TRL get_soft_overlong_punishment")
def overlong(completion_length, *, longest: int = 4096, tolerance: int = 512):
    """0 up to ``longest - tolerance`` tokens, falling evenly to -1 at ``longest``, -1 beyond. Shape ``[...]``."""
    xp = array_namespace(completion_length)
    over = (longest - tolerance - xp.asarray(completion_length, dtype=xp.float64)) / max(tolerance, 1)
    return xp.where(completion_length > longest, -1.0, xp.clip(over, -1.0, 0.0))


@term(rowwise=True, bounds=(-1, 0), source="Demystifying Long Chain-of-Thought Reasoning, arXiv:2502.03373, appendix C.2; TRL")
def repetition(completion_ids, *, size: int = 3):
    """Minus the share of n-grams of ``size`` tokens that were said before: ``-(1 - different / all)``. 0 if there are none."""
    ids = list(completion_ids)
    grams = [tuple(ids[i : i + size]) for i in range(len(ids) - size + 1)]
    return len(set(grams)) / len(grams) - 1.0 if grams else 0.0


@term(bounds=(-1, 1), source="Demystifying Long Chain-of-Thought Reasoning, arXiv:2502.03373, cosine reward; TRL, open-r1")
def cosine_length(
    answer_correct,
    completion_length,
    *,
    longest: int = 4096,
    short_right: float = 1.0,
    long_right: float = 0.5,
    short_wrong: float = -1.0,
    long_wrong: float = -0.5,
):
    """Right answers are worth more when short, wrong ones cost more: from ``short_...`` at no tokens to ``long_...`` at ``longest``
    and beyond, along half a cosine. An answer counts as right above one half; where ``answer_correct`` is NaN (nobody could
    tell) the term does not apply. Shape ``[...]``."""
    xp = array_namespace(answer_correct)
    length = xp.asarray(completion_length, dtype=xp.float64)
    share = 0.5 + 0.5 * xp.cos(math.pi * xp.clip(length / longest, 0.0, 1.0))
    right, wrong = long_right + (short_right - long_right) * share, long_wrong + (short_wrong - long_wrong) * share
    return where_applicable(~xp.isnan(answer_correct), xp.where(answer_correct > 0.5, right, wrong))
