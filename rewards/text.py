"""Completions read as clicks and boxes, so that the rewards of a screen also score a language model's text.

Nothing here evaluates what it reads. A completion that cannot be read is no error: its fact ``parsed`` is False and every
geometric term pays it 0. At most the last `LONGEST` characters are looked at, so a huge completion costs no more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from rewardscape.rewards.core.layer import RewardLayer
from rewardscape.rewards.core.registry import get_reward

LONGEST = 20_000
MOST_PROPOSALS = 64  # of a completion; later ones are not looked at
_NUMBER = r"\s{0,20}-?(?:\d{1,20}(?:\.\d{1,20})?|\.\d{1,20})\s{0,20}"
_BOX = re.compile(rf"\[({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\]")
_POINT = re.compile(rf"[\[(]({_NUMBER}),({_NUMBER})[\])]")
_STRICT_BOX = re.compile(r"\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]")
_BOX_KEYS = ("bbox_2d", "bbox", "box", "box_2d")
_POINT_KEYS = ("point_2d", "point", "coordinate", "coordinates", "position", "click")
_CONFIDENCE_KEYS = ("confidence", "conf", "score")


Style = Literal["any", "gui-g1", "gui-g2", "se-gui", "infigui-g1", "infigui-g1-no-think"]


class Click(NamedTuple):
    """What a completion says: a box (a point is a box without area), how sure it is, and points it proposes. Units are those
    of the text."""

    box: tuple[float, float, float, float]
    box_given: bool
    confidence: float | None
    format_valid: bool
    proposals: tuple[tuple[float, ...], ...] = ()

    @property
    def point(self) -> tuple[float, float]:
        """The centre of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def parse_click(completion: Any, style: Style = "any") -> Click | None:
    """The click or box in a completion, or None if there is none.

    ``style="any"``: the first JSON object or list that holds a box (``bbox_2d``, ``bbox``, ``box``) or a point (``point_2d``,
    ``point``, ``coordinate``), after ``<answer>`` if there is one; else the first ``[x1, y1, x2, y2]``, ``[x, y]`` or
    ``(x, y)``. ``format_valid`` is True if nothing but the answer was said.

    ``style="gui-g2"``: as the released code of GUI-G² reads: the first ``[a,b,c,d]`` after the last ``"assistant\\n"``;
    ``format_valid`` if that is all there is and its numbers are whole and unsigned.

    ``style="gui-g1"``: the first ``bbox_2d`` of four numbers in a JSON list, fenced or bare. ``style="se-gui"``: the
    coordinate of the first ``<tool_call>``; ``format_valid`` if a call is a left click of ``computer_use`` at two whole,
    unsigned numbers. ``style="infigui-g1"``: a JSON list of ``point_2d`` after one ``<think>`` that is not empty
    (``"infigui-g1-no-think"``: without it); the points are the proposals, the first of them the click.
    """
    if not isinstance(completion, str):
        return None
    if style == "gui-g2":
        text = completion[-LONGEST:].rsplit("assistant\n", 1)[-1]
        match = _BOX.search(text)
        box = _finite(match.groups(), 4) if match else None
        return Click(box, True, None, _STRICT_BOX.fullmatch(text) is not None) if box else None  # type: ignore[arg-type]
    if style in _STYLES:
        return _STYLES[style](completion[-LONGEST:])
    if style != "any":
        raise ValueError(f"style={style!r}; allowed: 'any', 'gui-g2', {', '.join(map(repr, _STYLES))}")
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


_FENCED = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_THOUGHT = re.compile(r"<think>(.+?)</think>(.*)", re.DOTALL)


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_gui_g1(text: str) -> Click | None:
    fenced = _FENCED.search(text)
    found = _load(fenced.group(1) if fenced else text)
    entry = found[0] if isinstance(found, list) and found else found
    box = _numbers_of(entry, "bbox_2d", 4)
    return None if box is None else Click(box, True, None, fenced is not None)  # type: ignore[arg-type]


def _numbers_of(entry: Any, key: str, count: int) -> tuple[float, ...] | None:
    value = entry.get(key) if isinstance(entry, dict) else None
    return _finite(value, count) if isinstance(value, list) and len(value) == count else None


def _read_se_gui(text: str) -> Click | None:
    calls = [call for call in map(_load, _CALL.findall(text)) if isinstance(call, dict)]
    asked = [call["arguments"] for call in calls if isinstance(call.get("arguments"), dict)]
    point = _numbers_of(asked[0], "coordinate", 2) if asked else None
    if point is None:
        return None
    return Click((*point, *point), False, None, any(map(_is_left_click, calls)))  # type: ignore[arg-type]


def _is_left_click(call: dict[str, Any]) -> bool:
    arguments = call.get("arguments")
    if call.get("name") != "computer_use" or not isinstance(arguments, dict) or arguments.get("action") != "left_click":
        return False
    point = arguments.get("coordinate")
    if not isinstance(point, list) or len(point) != 2:
        return False
    return all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in point)


def _read_infigui_g1(text: str, thinking: bool = True) -> Click | None:
    if thinking:
        match = _THOUGHT.fullmatch(text)
        if match is None or "<think>" in text[1:] or not match.group(1).strip():
            return None
        text = match.group(2)
    fenced = _FENCED.search(text)
    found = _load((fenced.group(1) if fenced else text).strip())
    if not isinstance(found, list):
        return None
    points = [_numbers_of(entry, "point_2d", 2) for entry in found]
    if any(point is None for point in points):
        return None
    first = points[0] if points else (0.0, 0.0)
    return Click((*first, *first), False, None, True, tuple((*p, *p) for p in points))  # type: ignore[arg-type, misc]


_STYLES: dict[str, Callable[[str], Click | None]] = {
    "gui-g1": _read_gui_g1,
    "se-gui": _read_se_gui,
    "infigui-g1": _read_infigui_g1,
    "infigui-g1-no-think": lambda text: _read_infigui_g1(text, thinking=False),
}


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
    style: Style = "any",
) -> dict[str, Any]:
    """The facts of a screen that completions amount to, arrays over rows (float64).

    ``target_box``: ``[row, 4]`` or one box for all; ``screen_size``: ``[row, 2]`` or one for all; both in the units that the
    completions use. What cannot be read gets ``parsed`` False and a box of zeros.
    """
    rows = len(completions)
    clicks = [parse_click(completion, style) for completion in completions]
    box = np.array([click.box if click else (0.0,) * 4 for click in clicks]).reshape(rows, 4)
    given = [None if click is None else click.confidence for click in clicks]
    told = [click.proposals[:MOST_PROPOSALS] if click else () for click in clicks]
    proposals = np.zeros((rows, max(map(len, told), default=0), 4))
    for row, points in enumerate(told):
        proposals[row, : len(points)] = np.array(points).reshape(len(points), 4)
    return {
        "completion": list(completions),
        "predicted_box": box,
        "predicted_point": 0.5 * (box[:, :2] + box[:, 2:]),
        "box_given": np.array([click is not None and click.box_given for click in clicks]),
        "confidence": np.array([1.0 if c is None else c for c in given]),
        "confidence_given": np.array([c is not None for c in given]),
        "proposals": proposals,
        "proposal_count": np.array([len(points) for points in told]),
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
    style: Style = "any",
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
