"""One small function per recorded ``fn``: it turns an input into a call of the public API. No mechanism lives here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rewardscape.rewards import (
    adaptive_exploration,
    edge_agreement,
    format_reward,
    gaussian_coverage,
    gaussian_point,
    get_reward,
    hit,
    iou,
    squared_closeness,
)
from rewardscape.rewards.text import facts_from_completions, score

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
