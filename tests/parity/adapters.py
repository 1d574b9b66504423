"""One small function per recorded ``fn``: it turns an input into a call of the public API. No mechanism lives here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rewardscape.rewards import format_reward, gaussian_coverage, gaussian_point
from rewardscape.rewards.text import score

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
