"""Terms that judge an answer: right or wrong, a number, a free text, and what it cost in tool calls."""

from __future__ import annotations

import re
from typing import Any, Literal

from rewardscape.rewards.core.arrays import array_namespace, indicator
from rewardscape.rewards.core.terms import term
from rewardscape.rewards.gui import iou, told_mask

GROUNDING, MATCHING, NUMBER, OPEN = range(4)  # numbers of the fact ``task_kind``
LONGEST_ANSWER = 5_000  # characters; of a longer answer only the last are looked at

_WRAPPED = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}", r"\\text\{((?:[^{}]|\{[^{}]*\})*)\}",
        r"\$\$(.*?)\$\$", r"\$(.*?)\$", r"\\\[(.*?)\\\]", r"\\\((.*?)\\\)", r"\*\*(.*?)\*\*",
    )
)  # fmt: skip


def normalize_answer(answer: Any) -> str:
    r"""An answer without what only dresses it: ``\boxed{}``, ``\text{}``, ``$ $``, ``\[ \]``, ``\( \)``, ``** **``, commas
    between digits, spaces around it, upper case. Source: Accio-Lab/Metis metis.py."""
    text = str(answer)[-LONGEST_ANSWER:]
    for pattern in _WRAPPED:
        found = 1
        while found:
            text, found = pattern.subn(r"\1", text)
    return re.sub(r"(?<=\d),(?=\d)", "", text).strip().lower()


@term(rowwise=True, bounds=(0, 1), source="Mixed-R1, matching reward")
def exact_match(answer, reference_answer):
    """1 if the answer is the reference, both normalised (`normalize_answer`), else 0; one of them, if there are several.

    An answer that is missing or empty is never right.
    """
    said = "" if answer is None else normalize_answer(answer)
    allowed = reference_answer if isinstance(reference_answer, (list, tuple)) else [reference_answer]
    return float(said != "" and any(said == normalize_answer(one) for one in allowed if one is not None))


@term(rowwise=True, bounds=(0, 1), source="GUI-R1 (ritzz-ai/GUI-R1 r1gui.py), BTL-UI (xiaomi-research/btl-ui reward_fn.py)")
def token_set_f1(answer, reference_answer, *, variant: Literal["plain", "gui-r1"] = "plain"):
    """F1 of the sets of words of the answer and the reference, in lower case; 0 if one of them has none.

    ``variant="gui-r1"``: brackets are left out first, and of two single words that one contains the other is enough for 1.
    """
    said, asked = ("" if text is None else str(text)[-LONGEST_ANSWER:].lower() for text in (answer, reference_answer))
    if variant == "gui-r1":
        said, asked = (text.replace("[", "").replace("]", "") for text in (said, asked))
    mine, wanted = set(said.split()), set(asked.split())
    if variant == "gui-r1" and len(mine) == len(wanted) == 1:
        (one,), (other,) = mine, wanted
        if one in other or other in one:
            return 1.0
    return 2.0 * len(mine & wanted) / (len(mine) + len(wanted)) if mine and wanted else 0.0


@term(bounds=(0, 1), source="Mixed-R1, chart reward; the tolerance is inferred: 5 %, as usual for charts")
def numeric_tolerance(answer_number, reference_number, answer_number_given=None, *, tolerance: float = 0.05):
    """1 if the number is off by at most ``tolerance`` times the reference's size, else 0. Shape ``[...]``."""
    xp = array_namespace(answer_number)
    near = xp.abs(answer_number - reference_number) <= tolerance * xp.abs(reference_number)
    return indicator(near if answer_number_given is None else near & answer_number_given)


@term(bounds=(-1, 1), source="Mixed-R1, BMAS")
def bidirectional_similarity(answer_embeddings, answer_length, reference_embeddings, reference_length):
    """Bidirectional max-average similarity (BMAS) of two texts as embedded tokens. Shape ``[...]``, range [-1, 1], symmetric.

    ``½ [mean over a of max over b of cos(a, b) + mean over b of max over a of cos(a, b)]``; 0 if a text has no tokens. A token
    embedded as zeros is like no other.
    """
    xp = array_namespace(answer_embeddings)
    if 0 in (answer_embeddings.shape[-2], reference_embeddings.shape[-2]):
        return 0.0 * xp.sum(answer_embeddings, axis=(-2, -1))
    said, asked = told_mask(answer_embeddings, answer_length, xp), told_mask(reference_embeddings, reference_length, xp)
    a, b = _unit(answer_embeddings, xp), _unit(reference_embeddings, xp)
    cosines = xp.sum(a[..., :, None, :] * b[..., None, :, :], axis=-1)
    there = xp.max(xp.where(asked[..., None, :], cosines, -1.0), axis=-1)
    back = xp.max(xp.where(said[..., :, None], cosines, -1.0), axis=-2)
    value = 0.5 * (_mean(there, said, xp) + _mean(back, asked, xp))
    return xp.where((answer_length > 0) & (reference_length > 0), xp.clip(value, -1.0, 1.0), 0.0)


def _unit(vectors: Any, xp: Any) -> Any:
    largest = xp.max(xp.abs(vectors), axis=-1, keepdims=True)  # so that no square overflows
    scaled = vectors / xp.where(largest > 0, largest, 1.0)
    length = xp.sqrt(xp.sum(scaled * scaled, axis=-1, keepdims=True))
    return scaled / xp.where(length > 0, length, 1.0)


def _mean(values: Any, counted: Any, xp: Any) -> Any:
    number = xp.sum(indicator(counted, values), axis=-1)
    return xp.sum(xp.where(counted, values, 0.0), axis=-1) / xp.where(number > 0, number, 1.0)


@term(bounds=(-1, 1), source="Mixed-R1; how the kinds are weighed against each other is inferred: equally")
def task_reward(
    predicted_box,
    target_box,
    parsed=None,
    task_kind=None,
    answer_correct=None,
    answer_number=None,
    reference_number=None,
    answer_number_given=None,
    answer_embeddings=None,
    answer_length=None,
    reference_embeddings=None,
    reference_length=None,
    *,
    tolerance: float = 0.05,
):
    """One reward for tasks of several kinds, chosen by ``task_kind``. Shape ``[...]``, range [-1, 1].

    0 grounding: `iou`; 1 matching: ``answer_correct``; 2 number: `numeric_tolerance`; 3 open: `bidirectional_similarity`.
    Without ``task_kind`` every task is grounding. A kind whose facts are missing, or that is none of these, is paid 0.
    """
    value = iou.compute(predicted_box, target_box, parsed)
    if task_kind is None:
        return value
    xp = array_namespace(predicted_box)
    value = xp.where(task_kind == GROUNDING, value, 0.0)
    if answer_correct is not None:
        value = xp.where(task_kind == MATCHING, answer_accuracy.compute(answer_correct), value)
    if answer_number is not None and reference_number is not None:
        near = numeric_tolerance.compute(answer_number, reference_number, answer_number_given, tolerance=tolerance)
        value = xp.where(task_kind == NUMBER, near, value)
    texts = (answer_embeddings, answer_length, reference_embeddings, reference_length)
    if all(part is not None for part in texts):
        value = xp.where(task_kind == OPEN, bidirectional_similarity.compute(*texts), value)
    return value


@term(bounds=(0, 1), source="Act Wisely (HDPO), Accio-Lab/Metis metis.py, answer score")
def answer_accuracy(answer_correct):
    """How right the answer is, as its judge says. Shape ``[...]``, range [0, 1]."""
    return array_namespace(answer_correct).clip(answer_correct, 0.0, 1.0)


@term(bounds=(0, 1), source="Act Wisely (HDPO), Accio-Lab/Metis metis.py, tool score")
def tool_efficiency(answer_correct, tool_call_count):
    """``1 / (T + 1)`` for a right answer after T tool calls, 0 for a wrong one. Shape ``[...]``.

    Being cheap is worth nothing to a wrong answer. HDPO compares it among the right answers of a group alone.
    """
    xp = array_namespace(answer_correct)
    calls = xp.clip(tool_call_count + 0.0 * answer_correct, 0.0, None)
    return xp.where(answer_correct > 0, 1.0 / (calls + 1.0), 0.0)
