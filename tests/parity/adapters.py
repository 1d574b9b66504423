"""One small function per recorded ``fn``: it turns an input into a call of the public API. No mechanism lives here."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from rewardscape.rewards import (
    action_correct,
    action_match,
    adaptive_exploration,
    blink,
    dast,
    edge_agreement,
    format_reward,
    gaussian_coverage,
    gaussian_point,
    get_reward,
    hit,
    iou,
    squared_closeness,
    token_set_f1,
)
from rewardscape.rewards.actions import swipe_direction
from rewardscape.rewards.answers import normalize_answer
from rewardscape.rewards.reading import extract_answer, has_tool_form
from rewardscape.rewards.text import facts_from_completions, parse_click, resized_screen, score, score_answers

ADAPTERS: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {}


def adapter(system: str, fn: str) -> Callable:
    """Register the function that answers ``fn`` of ``system``."""

    def register(function: Callable) -> Callable:
        ADAPTERS[system, fn] = function
        return function

    return register


def _gui_g2(reward: Any, input: dict[str, Any]) -> float:
    rewards, _ = score(reward, [input["content"]], _box(input.get("solution")), style="gui-g2")
    return float(rewards[0])


def _box(solution: Any) -> list[float]:
    """The target; one that is not four numbers is no box, which pays 0."""
    return list(solution) if solution is not None and len(solution) == 4 else [0.0] * 4


@adapter("gui_g2", "gaussian_point_reward")
def _(input: dict[str, Any]) -> float:
    return _gui_g2(gaussian_point(variant="code"), input)


@adapter("gui_g2", "gaussian_plane_reward")
def _(input: dict[str, Any]) -> float:
    return _gui_g2(gaussian_coverage(variant="code"), input)


@adapter("gui_g2", "format_reward")
def _(input: dict[str, Any]) -> float:
    return _gui_g2(format_reward, input)


def _one(reward: Any, input: dict[str, Any], style: str) -> float:
    box, size = input["solution"][:4], input.get("image_wh") or input["solution"][4:]
    return float(score(reward, [input["content"]], box, size, style=style)[0][0])


@adapter("gui_g1", "hit_reward")
def _(input: dict[str, Any]) -> float:
    return _one(hit, input, "gui-g1")


@adapter("gui_g1", "iou_reward")
def _(input: dict[str, Any]) -> float:
    return _one(0.25 * iou(inclusive=True), input, "gui-g1")


@adapter("gui_g1", "box_reward")
def _(input: dict[str, Any]) -> float:
    return _one(0.125 * edge_agreement(), input, "gui-g1")


@adapter("se_gui", "point_reward")
def _(input: dict[str, Any]) -> float:
    return _one(hit() + squared_closeness(), input, "se-gui")


@adapter("se_gui", "format_reward_rec")
def _(input: dict[str, Any]) -> float:
    return float(score(format_reward, [input["content"]], [0] * 4, style="se-gui")[0][0])


@adapter("infigui_g1", "aer_gui_reward_function")
def _(input: dict[str, Any]) -> dict[str, Any]:
    box = [input["ground_truth"][edge] for edge in ("x1", "y1", "x2", "y2")]
    style = "infigui-g1-no-think" if input["extra_info"].get("no_think") else "infigui-g1"
    facts = facts_from_completions([input["solution"]], box, style=style)
    layer = get_reward("infigui-g1")
    layer.reset(facts)
    rewards, terms = layer.step(facts)
    swept = bool(terms["collinear"][0])
    accepted = bool(facts["format_valid"][0]) and not swept
    points = facts["proposals"][0, : facts["proposal_count"][0], :2].tolist() if accepted else []
    inside = [box[0] <= x <= box[2] and box[1] <= y <= box[3] for x, y in points]
    accuracy = float(adaptive_exploration.compute(facts["proposals"], facts["proposal_count"], facts["target_box"])[0])
    return {
        "pred": input["solution"].rsplit("</think>", 1)[-1] if accepted else "",
        "score": float(rewards[0]), "format": float(accepted), "accuracy": accuracy if accepted else -1.0, "num_pred": len(points),
        "has_correct": int(any(inside)), "first_correct": int(bool(inside) and inside[0]), "only_correct": int(inside == [True]),
        "is_collinear": int(swept),
    }  # fmt: skip


def _ui_r1(reward: Any, input: dict[str, Any]) -> float:
    asked, place = parse_click(input["solution"], "ui-r1"), parse_click(input["solution"])
    box, kind, scale = place and place.box, asked and asked.kind, input["scale"]
    return float(score(reward, [input["content"]], box, style="ui-r1", scale=scale, reference_kind=kind)[0][0])


@adapter("ui_r1", "accuracy_reward_action")
def _(input: dict[str, Any]) -> float:
    return _ui_r1(action_match, input)


@adapter("ui_r1", "accuracy_reward_coord")
def _(input: dict[str, Any]) -> float:
    return _ui_r1(action_correct, input)


@adapter("ui_r1", "format_reward")
def _(input: dict[str, Any]) -> float:
    return float(score(format_reward, [input["content"]], None, style="ui-r1")[0][0])


@adapter("ui_r1", "dast")
def _(input: dict[str, Any]) -> list[float]:
    return dast(input["rewards"], input["lengths"], input["num_generations"], a=input["a"], b=input["b"]).tolist()


@adapter("gui_r1", "r1gui_compute_score")
def _(input: dict[str, Any]) -> dict[str, float]:
    asked = json.loads(input["ground_truth"])
    place = asked["gt_bbox"]
    rewards, terms = score(
        "gui-r1", [input["predict"]], [place] if len(place) == 4 else None, style="gui-r1", reference_kind=asked["action"],
        reference_text=asked["input_text"], reference_point=place if len(place) == 2 else None,
    )  # fmt: skip
    accuracy, form = terms["action_correct"][0], terms["format_reward"][0]
    return {"overall": float(rewards[0]), "format": float(form), "accuracy": float(accuracy)}


@adapter("gui_r1", "calculate_f1_score")
def _(input: dict[str, Any]) -> float:
    return token_set_f1.compute(*input["args"], variant="gui-r1")


@adapter("btl_ui", "format")
def _(input: dict[str, Any]) -> float:
    return float(score(format_reward, [input["content"]], None, style="btl-ui")[0][0])


@adapter("btl_ui", "blink")
def _(input: dict[str, Any]) -> float:
    return float(score(blink, [input["content"]], input["bbox"] or None, style="btl-ui")[0][0])


@adapter("btl_ui", "iou")
def _(input: dict[str, Any]) -> float:
    return float(iou.compute(*(np.array(box, float) for box in input["args"])))


@adapter("btl_ui", "accuracy")
def _(input: dict[str, Any]) -> float:
    asked = parse_click(f"<link>```json\n{input['solution']}\n```</link>", "btl-ui")
    assert asked is not None
    screen = resized_screen(*input["image_wh"], max_pixels=input["max_pixels"])
    rewards, _ = score(
        action_correct(strict=True, reach=0.14), [input["content"]], input["bbox"] or None, screen, "btl-ui",
        reference_kind=asked.kind, reference_text=asked.text, reference_point=asked.point,
    )  # fmt: skip
    return float(rewards[0])


@adapter("btl_ui", "direction_determination")
def _(input: dict[str, Any]) -> str:
    return swipe_direction(*input["args"])


@adapter("act_wisely_hdpo", "format_reward")
def _(input: dict[str, Any]) -> float:
    return float(has_tool_form(input["text"]))


@adapter("act_wisely_hdpo", "extract_answer")
def _(input: dict[str, Any]) -> str | None:
    return extract_answer(input["text"])


@adapter("act_wisely_hdpo", "normalize")
def _(input: dict[str, Any]) -> str:
    return normalize_answer(input["text"])


@adapter("act_wisely_hdpo", "reward_manager")
def _(input: dict[str, Any]) -> dict[str, list[float]]:
    rows = input["rows"]
    completions, references, tools = ([row[key] for row in rows] for key in ("response", "gt", "tools"))
    rewards, terms = score_answers("hdpo", completions, references, tool_calls=tools, judge=operator.eq)
    tool = terms["tool_efficiency"]
    accuracy = terms["answer_accuracy"] if input.get("num_examine") == 1 else rewards - tool
    paid_at = [row["tokens"] - 1 if a or t else -1 for row, a, t in zip(rows, accuracy.round(12), tool, strict=True)]
    return {"acc": accuracy.tolist(), "tool": tool.tolist(), "position": paid_at}
