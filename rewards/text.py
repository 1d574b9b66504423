"""Completions scored: the rewards of a screen, or of an answer, applied to a language model's text.

A completion that cannot be read is no error: its fact ``parsed`` is False and every geometric term pays it 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rewardscape.rewards.actions import kind_number
from rewardscape.rewards.answers import exact_match, normalize_answer, token_set_f1
from rewardscape.rewards.core.facts import FACTS, require_fact
from rewardscape.rewards.core.layer import RewardLayer
from rewardscape.rewards.core.registry import get_reward
from rewardscape.rewards.reading import (
    Click,
    Style,
    extract_answer,
    has_tool_form,
    number_of_kind,
    parse_click,
    resized_screen,
    text_counts,
)

__all__ = [
    "MOST_PROPOSALS", "Click", "Style", "facts_from_answers", "facts_from_completions", "parse_click", "resized_screen", "score",
    "score_answers",
]  # fmt: skip

MOST_PROPOSALS = 64  # of a completion; later ones are not looked at


def facts_from_completions(
    completions: Sequence[str],
    target_box: Any,
    screen_size: Any = (1.0, 1.0),
    style: Style = "any",
    *,
    scale: Any = 1.0,
    reference_kind: Any = None,
    reference_text: Any = None,
    **references: Any,
) -> dict[str, Any]:
    """The facts of a screen that completions amount to, arrays over rows (float64). What cannot be read gets ``parsed`` False and
    a box of zeros.

    ``target_box``: ``[row, 4]`` or one box for all, None (also of single rows) where there is none; ``screen_size``: ``[row, 2]``
    or one for all. ``scale``: factors (x, y), one for all or ``[row, 2]``, from the units of the completions to those of the
    target; style "ui-r1" cuts the results to whole pixels, as its code does.

    ``reference_kind``: the kind of action asked for, by the name it has in ``style`` or as a number; ``reference_text``: the text
    asked for, judged where the style judges the text of that kind. Each one for all or one a row. ``references``: any other
    fact by its name, one for all or one a row.

    Raises ValueError for an unknown style or fact, and for references that fit neither one row nor all.
    """
    rows = len(completions)
    clicks = [parse_click(completion, style) for completion in completions]
    read = [click is not None and click.parsed for click in clicks]
    box = np.array([click.box if click and click.parsed else (0.0,) * 4 for click in clicks]).reshape(rows, 4)
    factors = np.tile(np.broadcast_to(np.asarray(scale, float), (rows, 2)), 2)
    box = np.trunc(box * factors) if style == "ui-r1" else box * factors
    confidences = [None if click is None else click.confidence for click in clicks]
    told = [click.proposals[:MOST_PROPOSALS] if click else () for click in clicks]
    proposals = np.zeros((rows, max(map(len, told), default=0), 4))
    for row, points in enumerate(told):
        proposals[row, : len(points)] = np.array(points).reshape(len(points), 4) * factors[row]
    facts = {
        "completion": list(completions),
        "predicted_box": box,
        "predicted_point": 0.5 * (box[:, :2] + box[:, 2:]),
        "box_given": np.array([click is not None and click.box_given for click in clicks]),
        "confidence": np.array([1.0 if c is None else c for c in confidences]),
        "confidence_given": np.array([c is not None for c in confidences]),
        "proposals": proposals,
        "proposal_count": np.array([len(points) for points in told]),
        "action_kind": np.array([click.kind if click else 0 for click in clicks], np.int64),
        "parsed": np.array(read, bool),
        "format_valid": np.array([click is not None and click.format_valid for click in clicks]),
        "screen_size": np.broadcast_to(np.asarray(screen_size, float), (rows, 2)),
        "terminated": np.ones(rows, bool),
        "truncated": np.zeros(rows, bool),
        **_target(target_box, rows),
    }
    if style == "vlm-r1":
        labels = np.zeros(proposals.shape[:2], np.int64)
        for row, click in enumerate(clicks):
            names = click.labels[:MOST_PROPOSALS] if click else ()
            labels[row, : len(names)] = [kind_number(name) for name in names]
        facts["proposal_labels"] = labels
    kinds = [number_of_kind(kind, style) for kind in _by_row("reference_kind", reference_kind, rows)]
    if reference_kind is not None:
        facts["reference_kind"] = np.array(kinds, np.int64)
    if reference_text is not None:
        variant, agreement = "gui-r1" if style == "gui-r1" else "plain", np.ones(rows)
        for row, asked in enumerate(_by_row("reference_text", reference_text, rows)):
            if asked is not None and (reference_kind is None or text_counts(kinds[row], style)):
                click = clicks[row]
                agreement[row] = token_set_f1.compute(click.text if click else None, asked, variant=variant)
        facts["text_agreement"] = agreement
    return {**facts, **{name: _reference(name, value, rows) for name, value in references.items() if value is not None}}


def _target(target_box: Any, rows: int) -> dict[str, Any]:
    boxes = [None] * rows if target_box is None else target_box
    if not isinstance(boxes, (list, tuple)) or not (target_box is None or any(box is None for box in boxes)):
        return {"target_box": np.broadcast_to(np.asarray(target_box, float), (rows, 4))}
    if len(boxes) != rows:
        raise ValueError(f"target_box has {len(boxes)} rows for {rows} completions")
    filled = [(0.0,) * 4 if box is None else box for box in boxes]
    given = np.array([box is not None for box in boxes], bool)
    return {"target_box": np.array(filled, float).reshape(rows, 4), "target_given": given}


def _by_row(name: str, value: Any, rows: int) -> list[Any]:
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * rows
    if len(value) != rows:
        raise ValueError(f"{name} has {len(value)} rows for {rows} completions")
    return list(value)


def _reference(name: str, value: Any, rows: int) -> Any:
    require_fact(name, "facts_from_completions")
    fact = FACTS[name]
    if fact.dtype == "object":
        return _by_row(name, value, rows)
    array = np.asarray(value, {"int": np.int64, "bool": bool}.get(fact.dtype, float))
    if array.ndim == len(fact.shape):
        return np.broadcast_to(array, (rows, *array.shape))
    if array.ndim != len(fact.shape) + 1 or len(array) != rows:
        raise ValueError(f"{name} has shape {array.shape} for {rows} completions")
    return array


def score(
    reward: Any,
    completions: Sequence[str],
    target_box: Any,
    screen_size: Any = (1.0, 1.0),
    style: Style = "any",
    **references: Any,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Score completions under ``reward`` (see `get_reward`): rewards ``[row]`` and raw terms. ``references``: see
    `facts_from_completions`.

    >>> score("hit", ["[120, 220]"], target_box=(100, 200, 180, 240))[0].tolist()
    [1.0]
    """
    return _judged(reward, facts_from_completions(completions, target_box, screen_size, style, **references))


def _judged(reward: Any, facts: dict[str, Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    layer = get_reward(reward)
    if not isinstance(layer, RewardLayer):
        raise ValueError("score needs a reward; None has no meaning for text")
    layer.attach(facts, world="a completion")
    layer.reset(facts)
    return layer.step(facts)


def facts_from_answers(
    completions: Sequence[str],
    reference_answer: Sequence[Any],
    *,
    tool_calls: Any = 0,
    judge: Callable[[str, Any], float] = exact_match.compute,
    embed: Callable[[str], Any] | None = None,
) -> dict[str, Any]:
    """The facts of answers that completions give in ``<answer>``, arrays over rows (float64).

    ``reference_answer``: the right answer of every row, or a list of right ones. ``tool_calls``: how many were made, one number
    or ``[row]``. ``judge(answer, reference)`` says how right an answer is, 0 to 1; of several references the best counts, and
    without an answer or a reference it is 0. ``embed(text)``: embedded tokens ``[tokens, dims]``, for
    `bidirectional_similarity`. ``format_valid``: the form of Metis (see `has_tool_form`).
    """
    rows = len(completions)
    if len(reference_answer) != rows:
        raise ValueError(f"reference_answer has {len(reference_answer)} rows for {rows} completions")
    answers = [extract_answer(completion) for completion in completions]
    several = [list(r) if isinstance(r, (list, tuple)) else [r] for r in reference_answer]
    verdicts = [
        max((float(judge(answer, r)) for r in right if r not in (None, "")), default=0.0) if answer else 0.0
        for answer, right in zip(answers, several, strict=True)
    ]
    numbers, wanted = [_number(answer) for answer in answers], [_number(right[0] if right else None) for right in several]
    facts = {
        "completion": list(completions),
        "answer": answers,
        "reference_answer": list(reference_answer),
        "answer_correct": np.array(verdicts, float),
        "answer_number": np.array([0.0 if n is None else n for n in numbers], float),
        "answer_number_given": np.array([n is not None and w is not None for n, w in zip(numbers, wanted, strict=True)], bool),
        "reference_number": np.array([0.0 if n is None else n for n in wanted], float),
        "tool_call_count": np.broadcast_to(np.asarray(tool_calls, np.int64), (rows,)),
        "parsed": np.array([answer is not None for answer in answers], bool),
        "format_valid": np.array([has_tool_form(completion) for completion in completions], bool),
        "terminated": np.ones(rows, bool),
        "truncated": np.zeros(rows, bool),
    }
    if embed is not None:
        for name, texts in (("answer", answers), ("reference", [right[0] if right else None for right in several])):
            tokens = [np.zeros((0, 1)) if not text else np.asarray(embed(text), float) for text in texts]
            dims = max((part.shape[1] for part in tokens if len(part)), default=1)
            padded = np.zeros((rows, max(map(len, tokens), default=0), dims))
            for row, part in enumerate(tokens):
                if len(part):
                    padded[row, : len(part)] = part
            facts |= {f"{name}_embeddings": padded, f"{name}_length": np.array([len(part) for part in tokens], np.int64)}
    return facts


def _number(answer: Any) -> float | None:
    try:
        number = float(normalize_answer(answer).removesuffix("%")) if answer is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e300 else None


def score_answers(
    reward: Any, completions: Sequence[str], reference_answer: Sequence[Any], **more: Any
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Score answers under ``reward``: rewards ``[row]`` and raw terms. ``more``: see `facts_from_answers`.

    >>> score_answers("exact_match", ["<answer>4</answer>"], ["4"])[0].tolist()
    [1.0]
    """
    return _judged(reward, facts_from_answers(completions, reference_answer, **more))
