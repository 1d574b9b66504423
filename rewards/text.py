"""Completions read as clicks and boxes, so that the rewards of a screen also score a language model's text.

Nothing here evaluates what it reads. A completion that cannot be read is no error: its fact ``parsed`` is False and every
geometric term pays it 0. At most the last `LONGEST` characters are looked at, so a huge completion costs no more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from rewardscape.rewards.core.layer import RewardLayer
from rewardscape.rewards.core.registry import get_reward

LONGEST = 20_000
_NUMBER = r"\s{0,20}-?(?:\d{1,20}(?:\.\d{1,20})?|\.\d{1,20})\s{0,20}"
_BOX = re.compile(rf"\[({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\]")
_POINT = re.compile(rf"[\[(]({_NUMBER}),({_NUMBER})[\])]")
_STRICT_BOX = re.compile(r"\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]")
_BOX_KEYS = ("bbox_2d", "bbox", "box", "box_2d")
_POINT_KEYS = ("point_2d", "point", "coordinate", "coordinates", "position", "click")
_CONFIDENCE_KEYS = ("confidence", "conf", "score")


class Click(NamedTuple):
    """What a completion says: a box (a point is a box without area), and how sure it is. Units are those of the text."""

    box: tuple[float, float, float, float]
    box_given: bool
    confidence: float | None
    format_valid: bool

    @property
    def point(self) -> tuple[float, float]:
        """The centre of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def parse_click(completion: Any, style: Literal["any", "gui-g2"] = "any") -> Click | None:
    """The click or box in a completion, or None if there is none.

    ``style="any"``: the first JSON object or list that holds a box (``bbox_2d``, ``bbox``, ``box``) or a point (``point_2d``,
    ``point``, ``coordinate``), after ``<answer>`` if there is one; else the first ``[x1, y1, x2, y2]``, ``[x, y]`` or
    ``(x, y)``. ``format_valid`` is True if nothing but the answer was said.

    ``style="gui-g2"``: as the released code of GUI-G² reads: the first ``[a,b,c,d]`` after the last ``"assistant\\n"``;
    ``format_valid`` if that is all there is and its numbers are whole and unsigned.
    """
    if not isinstance(completion, str):
        return None
    if style == "gui-g2":
        text = completion[-LONGEST:].rsplit("assistant\n", 1)[-1]
        match = _BOX.search(text)
        box = _finite(match.groups(), 4) if match else None
        return Click(box, True, None, _STRICT_BOX.fullmatch(text) is not None) if box else None  # type: ignore[arg-type]
    if style != "any":
        raise ValueError(f"style={style!r}; allowed: 'any', 'gui-g2'")
    text = completion[-LONGEST:]
    if "<answer>" in text:
        text = text.rsplit("<answer>", 1)[1].split("</answer>", 1)[0]
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    for found, whole in _json_values(text):
        click = _from_json(found)
        if click is not None:
            return click._replace(format_valid=whole)
    for pattern, parts in ((_BOX, 4), (_POINT, 2)):
        match = pattern.search(text)
        numbers = _finite(match.groups(), parts) if match else None
        if numbers and match:
            box = numbers if parts == 4 else numbers * 2
            return Click(box, parts == 4, None, match.group() == text)  # type: ignore[arg-type]
    return None


def _json_values(text: str):
    """JSON values in ``text`` from the outermost on, at most 20, with whether each is all of the text."""
    decoder, start = json.JSONDecoder(), 0
    for _ in range(20):
        opening = min((i for i in (text.find("{", start), text.find("[", start)) if i >= 0), default=-1)
        if opening < 0:
            return
        try:
            value, end = decoder.raw_decode(text, opening)
            yield value, opening == 0 and not text[end:].strip()
            start = end
        except (ValueError, RecursionError):
            start = opening + 1


def _from_json(value: Any, depth: int = 0) -> Click | None:
    if depth > 4:
        return None
    if isinstance(value, list):
        numbers = _finite(value, len(value)) if len(value) in (2, 4) else None
        if numbers:
            return Click(numbers if len(numbers) == 4 else numbers * 2, len(numbers) == 4, None, False)  # type: ignore[arg-type]
        found = (_from_json(part, depth + 1) for part in value[:20] if isinstance(part, (dict, list)))
        return next((click for click in found if click is not None), None)
    if not isinstance(value, dict):
        return None
    for keys in (_BOX_KEYS, _POINT_KEYS):
        for key in keys:
            if isinstance(value.get(key), (list, tuple)):
                click = _from_json(list(value[key]), depth + 1)
                if click is not None:
                    stated = next((value[k] for k in _CONFIDENCE_KEYS if k in value), None)
                    sure = _finite([stated], 1)
                    return click._replace(confidence=min(max(sure[0], 0.0), 1.0) if sure else None)
    if {"x", "y"} <= value.keys():
        return _from_json([value["x"], value["y"]], depth + 1)
    found = (_from_json(part, depth + 1) for part in list(value.values())[:20] if isinstance(part, (dict, list)))
    return next((click for click in found if click is not None), None)


def _finite(parts: Sequence[Any], count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers below 1e9, or None. Booleans are no numbers."""
    try:
        numbers = tuple(float(part) for part in parts if not isinstance(part, bool) and part is not None)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if len(numbers) == count and all(math.isfinite(n) and abs(n) < 1e9 for n in numbers) else None


def facts_from_completions(
    completions: Sequence[str],
    target_box: Any,
    screen_size: Any = (1.0, 1.0),
    style: Literal["any", "gui-g2"] = "any",
) -> dict[str, Any]:
    """The facts of a screen that completions amount to, arrays over rows (float64).

    ``target_box``: ``[row, 4]`` or one box for all; ``screen_size``: ``[row, 2]`` or one for all; both in the units that the
    completions use. What cannot be read gets ``parsed`` False and a box of zeros.
    """
    rows = len(completions)
    clicks = [parse_click(completion, style) for completion in completions]
    box = np.array([click.box if click else (0.0,) * 4 for click in clicks]).reshape(rows, 4)
    given = [None if click is None else click.confidence for click in clicks]
    return {
        "completion": list(completions),
        "predicted_box": box,
        "predicted_point": 0.5 * (box[:, :2] + box[:, 2:]),
        "box_given": np.array([click is not None and click.box_given for click in clicks]),
        "confidence": np.array([1.0 if c is None else c for c in given]),
        "confidence_given": np.array([c is not None for c in given]),
        "parsed": np.array([click is not None for click in clicks]),
        "format_valid": np.array([click is not None and click.format_valid for click in clicks]),
        "target_box": np.broadcast_to(np.asarray(target_box, float), (rows, 4)),
        "screen_size": np.broadcast_to(np.asarray(screen_size, float), (rows, 2)),
        "terminated": np.ones(rows, bool),
        "truncated": np.zeros(rows, bool),
    }


def score(
    reward: Any,
    completions: Sequence[str],
    target_box: Any,
    screen_size: Any = (1.0, 1.0),
    style: Literal["any", "gui-g2"] = "any",
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Score completions under ``reward`` (see `get_reward`): rewards ``[row]`` and raw terms.

    >>> score("hit", ["[120, 220]"], target_box=(100, 200, 180, 240))[0].tolist()
    [1.0]
    """
    layer = get_reward(reward)
    if not isinstance(layer, RewardLayer):
        raise ValueError("score needs a reward; None has no meaning for text")
    facts = facts_from_completions(completions, target_box, screen_size, style)
    layer.attach(facts, world="a completion")
    layer.reset(facts)
    return layer.step(facts)
