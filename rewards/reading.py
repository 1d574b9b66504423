"""What a completion says: text read as a click, a box, an action of another kind, an answer.

Nothing here evaluates what it reads, and at most the last `LONGEST` characters are looked at, so a huge completion costs no
more. What cannot be read is no error: it is None, or a `Click` of kind 0.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from rewardscape.rewards.actions import BARE_POINT, CLICK, LONG_PRESS, NOTHING, kind_number

LONGEST = 20_000
_NUMBER = r"\s{0,20}-?(?:\d{1,20}(?:\.\d{1,20})?|\.\d{1,20})\s{0,20}"
_BOX = re.compile(rf"\[({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\]")
_POINT = re.compile(rf"[\[(]({_NUMBER}),({_NUMBER})[\])]")
_STRICT_BOX = re.compile(r"\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]")
_BOX_KEYS = ("bbox_2d", "bbox", "box", "box_2d")
_POINT_KEYS = ("point_2d", "point", "coordinate", "coordinates", "position", "click")
_CONFIDENCE_KEYS = ("confidence", "conf", "score")


Style = Literal[
    "any", "gui-g1", "gui-g2", "se-gui", "infigui-g1", "infigui-g1-no-think", "ui-r1", "gui-r1", "btl-ui", "vlm-r1"
]  # fmt: skip
_PLACED_KINDS = {"btl-ui": {"Tap": CLICK, "LongPress": LONG_PRESS}}  # names of kinds that are done at a place
_TEXT_KINDS = {"gui-r1": ("type", "select", "scroll"), "btl-ui": ("Type",)}  # ... whose text is judged; elsewhere of all
_NOWHERE = (-1.0, -1.0, -1.0, -1.0)  # where an action without a place stands: outside every screen


class Click(NamedTuple):
    """What a completion says: a box (a point is a box without area), how sure it is, and points or boxes it proposes, with
    the labels it gives them. Units are those of the text.

    ``kind``: number of the kind of action (see `rewards.actions`), 0 if none could be read; ``placed``: it says where; ``text``:
    what is typed.
    """

    box: tuple[float, float, float, float]
    box_given: bool
    confidence: float | None
    format_valid: bool
    proposals: tuple[tuple[float, ...], ...] = ()
    labels: tuple[str, ...] = ()
    kind: int = CLICK
    placed: bool = True
    text: str | None = None

    @property
    def point(self) -> tuple[float, float]:
        """The centre of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def parsed(self) -> bool:
        """Could it be read as an action: a kind is named, and a place if the kind needs one."""
        return self.kind != NOTHING and (self.placed or self.kind not in (CLICK, LONG_PRESS, BARE_POINT))


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

    ``style="ui-r1"``: ``'action': 'NAME'`` and the first ``[x, y]`` of whole numbers in ``<answer>``; ``format_valid`` if there
    is nothing but ``<think>`` and ``<answer>``. ``style="gui-r1"``: the same, names in lower case, with ``'input_text'``;
    ``format_valid`` if the answer moreover is a list of actions, each with action, whole-numbered point and input_text.
    ``style="btl-ui"``: the boxes of ``<blink>`` are the proposals, the action is that of ``<link>``; ``format_valid`` as the
    released code means it (a misprint there keeps it from ever being true). A swipe's direction is part of its kind.
    ``style="vlm-r1"``: the first ``[x1, y1, x2, y2]`` in the last ``<answer>``; the boxes and labels of its JSON are the
    proposals. These four never give None for a text: ``kind`` tells whether an action was read.
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


def _between(text: str, opening: str, closing: str) -> str | None:
    """What stands between the first ``opening`` and the ``closing`` after it."""
    start = text.find(opening)
    end = text.find(closing, start + len(opening)) if start >= 0 else -1
    return text[start + len(opening) : end] if end >= 0 else None


def _thought_and_answer(text: str) -> bool:
    """Is the text ``<think>...</think><answer>...</answer>``, with at most space between the two?"""
    opening, closing = "<think>", "</answer>"
    return (
        text.startswith(opening)
        and text.endswith(closing)
        and re.compile(r"</think>\s*<answer>").search(text, len(opening), max(len(text) - len(closing), 0)) is not None
    )


_ACTION = re.compile(r"'action':\s*'(\w+)'")
_BARE_ACTION = re.compile(r"'action':\s*(\w+)")
_INPUT_TEXT = re.compile(r"'input_text':\s*'(.*?)'")
_WHOLE_POINT = re.compile(r"\[(\d+),\s*(\d+)\]")


def number_of_kind(name: Any, style: Style = "any") -> int:
    """The number of the kind of action that ``style`` calls ``name``; a number is returned as it is, None is 0."""
    if not isinstance(name, str):
        return NOTHING if name is None else int(name)
    name = name.lower() if style == "gui-r1" else name
    return _PLACED_KINDS.get(style, {"click": CLICK}).get(name) or kind_number(name)


def text_counts(kind: int, style: Style) -> bool:
    """Is the text of an action of this kind judged?"""
    names = _TEXT_KINDS.get(style)
    return names is None or kind in {kind_number(name) for name in names}


def _action(kind: int, point: Sequence[Any] | None, format_valid: bool, text: str | None = None) -> Click:
    place = None if point is None else _finite(point, 2)
    box = _NOWHERE if place is None else (*place, *place)
    return Click(box, False, None, format_valid, kind=kind, placed=place is not None, text=text)  # type: ignore[arg-type]


def _read_ui_r1(text: str) -> Click:
    answer = (_between(text, "<answer>", "</answer>") or "").strip()
    name, point = _ACTION.search(answer) or _BARE_ACTION.search(answer), _WHOLE_POINT.search(answer)
    kind = number_of_kind(name.group(1), "ui-r1") if name else NOTHING
    return _action(kind, point.groups() if point else None, _thought_and_answer(text))


def _read_gui_r1(text: str) -> Click:
    answer = (_between(text, "<answer>", "</answer>") or "").strip()
    name, said = _ACTION.search(answer), _INPUT_TEXT.search(answer)
    kind = number_of_kind(name.group(1), "gui-r1") if name else NOTHING
    format_valid = _thought_and_answer(text) and _lists_actions(answer)
    return _action(kind, _point_in_braces(answer), format_valid, said.group(1) if said else "no input text")


def _point_in_braces(answer: str) -> tuple[str, str] | None:
    """The last ``[x, y]`` of the first line that has one between ``{`` and ``}``."""
    found, line = None, -1
    for match in _WHOLE_POINT.finditer(answer):
        start = answer.rfind("\n", 0, match.start()) + 1
        rest = answer[match.end() :].lstrip()
        if found is not None and start != line:
            break
        if "{" in answer[start : match.start()] and "}" in rest.split("\n", 1)[0]:
            found, line = (match.group(1), match.group(2)), start
    return found


def _lists_actions(answer: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes and numbers in what a model wrote
            actions = ast.literal_eval(answer)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False
    return isinstance(actions, list) and all(map(_is_gui_r1_action, actions))


def _is_gui_r1_action(action: Any) -> bool:
    if not isinstance(action, dict):
        return False
    name, point, said = (action.get(key) for key in ("action", "point", "input_text"))
    if not isinstance(name, str) or not isinstance(said, str) or not isinstance(point, (list, tuple)):
        return False
    if len(point) < 2 or not all(isinstance(n, int) for n in point[:2]):
        return False
    if name == "scroll":
        return said in ("left", "right", "up", "down")
    return name not in ("type", "select", "open_app") or said != "no input text"


def _read_btl_ui(text: str) -> Click:
    looked, linked = (_load(_between(text, f"<{part}>```json\n", f"\n```</{part}>") or "") for part in ("blink", "link"))
    entries = looked if isinstance(looked, list) else []
    boxes = [_corners(entry) for entry in entries]
    entry = linked[0] if isinstance(linked, list) and linked and isinstance(linked[0], dict) else {}
    named = "point_2d" in entry or {"Plan", "Action"} <= entry.keys()
    format_valid = looked is not None and named and len(linked) == 1 and _blinks_thinks_links(text)
    proposals = () if None in boxes else tuple(boxes)
    return _btl_ui_action(entry)._replace(format_valid=format_valid, proposals=proposals)  # type: ignore[arg-type]


def _corners(entry: Any) -> tuple[float, ...] | None:
    """The first four numbers of ``bbox_2d``."""
    value = entry.get("bbox_2d") if isinstance(entry, dict) else None
    return _finite(value[:4], 4) if isinstance(value, list) else None


def _btl_ui_action(entry: dict[str, Any]) -> Click:
    nothing = _action(NOTHING, None, False)
    if "point_2d" in entry:
        point = _numbers_of(entry, "point_2d", 2)
        return nothing if point is None else _action(BARE_POINT, point, False)
    action = entry["Action"] if isinstance(entry.get("Action"), dict) else {}
    name = action.get("function")
    if name in ("Tap", "LongPress"):
        point = _numbers_of(action, "point_2d", 2)
        return nothing if point is None else _action(number_of_kind(name, "btl-ui"), point, False)
    if name == "Type" and isinstance(action.get("text"), str):
        return _action(kind_number(name), None, False, action["text"])
    if name == "Swipe" and "direction" in action:
        direction = action["direction"]
        return _action(kind_number(f"Swipe {direction if isinstance(direction, str) else json.dumps(direction)}"), None, False)
    if name in ("Home", "Back"):
        rest = {key: value for key, value in action.items() if key != "function"}
        return _action(kind_number(f"{name} {json.dumps(rest, sort_keys=True)}" if rest else name), None, False)
    return nothing


def _blinks_thinks_links(text: str) -> bool:
    """Does the text begin with ``<blink>``, ``<think>`` and ``<link>``, in this order, with at most space between them?"""
    looked = re.compile(r"</blink>\s*<think>").search(text, len("<blink>")) if text.startswith("<blink>") else None
    thought = re.compile(r"</think>\s*<link>").search(text, looked.end()) if looked else None
    return thought is not None and text.find("</link>", thought.end()) >= 0


def _read_vlm_r1(text: str) -> Click:
    answer = text.rsplit("<answer>", 1)[-1].split("</answer>", 1)[0] if "<answer>" in text else ""
    match = _BOX.search(answer)
    box = _finite(match.groups(), 4) if match else None
    listed = _load(_between(answer, "```json", "```") or "")
    found = [(_corners(entry), entry) for entry in (listed if isinstance(listed, list) else [])]
    boxes = [(corners, str(entry.get("label", "")).lower()) for corners, entry in found if corners is not None]
    click = Click(box or _NOWHERE, box is not None, None, _thought_and_answer(text))  # type: ignore[arg-type]
    proposals, labels = tuple(corners for corners, _ in boxes), tuple(label for _, label in boxes)
    return click._replace(proposals=proposals, labels=labels, kind=CLICK if box else NOTHING, placed=box is not None)


def extract_answer(completion: Any) -> str | None:
    """What stands in the first ``<answer>`` of a completion, without space around it; None if there is none."""
    found = _between(completion, "<answer>", "</answer>") if isinstance(completion, str) else None
    return None if found is None else found.strip()


def has_tool_form(completion: Any) -> bool:
    """Has a completion the form of a reasoning with tool calls: as many ``<reason>`` as ``</reason>``, as many ``<tool_call>`` as
    ``</tool_call>``, and after the last ``</reason>`` at least one ``<answer>`` and as many ``</answer>``. Source: Metis."""
    if not isinstance(completion, str):
        return False
    last = completion.rsplit("</reason>", 1)[-1]
    pairs = ((completion, "reason"), (completion, "tool_call"), (last, "answer"))
    return "<answer>" in last and all(text.count(f"<{tag}>") == text.count(f"</{tag}>") for text, tag in pairs)


def resized_screen(
    width: float, height: float, max_pixels: int = 12_845_056, min_pixels: int = 3_136, factor: int = 28
) -> tuple[int, int]:
    """The size to which Qwen2-VL's preprocessing brings a picture: sides that are multiples of ``factor``, an area between the
    limits, about the same shape. Boxes and points of such a model are in its pixels, and so must be ``screen_size``."""
    sides = [max(factor, round(side / factor) * factor) for side in (width, height)]
    area = sides[0] * sides[1]
    if area > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        sides = [max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height)]
    elif area < min_pixels:
        grow = math.sqrt(min_pixels / max(width * height, 1.0))
        sides = [math.ceil(side * grow / factor) * factor for side in (width, height)]
    return sides[0], sides[1]


_STYLES: dict[str, Callable[[str], Click | None]] = {
    "gui-g1": _read_gui_g1,
    "se-gui": _read_se_gui,
    "infigui-g1": _read_infigui_g1,
    "infigui-g1-no-think": lambda text: _read_infigui_g1(text, thinking=False),
    "ui-r1": _read_ui_r1,
    "gui-r1": _read_gui_r1,
    "btl-ui": _read_btl_ui,
    "vlm-r1": _read_vlm_r1,
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
