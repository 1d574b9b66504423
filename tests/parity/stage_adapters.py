"""Adapters of trainer stages: rows of one step each, in groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rewardscape.rewards import RewardLayer
from rewardscape.rewards.advantage import conditional, decoupled, group_relative
from rewardscape.rewards.core.stages import Part, Rollouts
from rewardscape.rewards.credit import none
from tests.parity.adapters import adapter


def _rollouts(table: list[list[float | None]], weights: list[float], group: Any) -> Rollouts:
    """Rollouts of one step; NaN: not applicable. The reward is the weighted sum of what applies."""
    values = np.array([[math.nan if v is None else v for v in row] for row in table], float).T
    weighted = np.array(weights)[:, None] * values
    total = np.where(np.isnan(values).all(0), math.nan, np.nansum(weighted, 0))
    parts = {str(k): Part(w, v[None]) for k, (w, v) in enumerate(zip(weights, values, strict=True))}
    return Rollouts(total[None], np.ones((1, len(table)), bool), np.asarray(group), parts)


def _table_and_group(input: dict[str, Any], key: str) -> Rollouts:
    rows = input[key]
    return _rollouts(rows, input["weights"], np.arange(len(rows)) // input["num_generations"])


@adapter("trl_grpo_aggregation", "advantages")
def _(input: dict[str, Any]) -> list[float]:
    normalise_then_sum = input["aggregation"] == "normalize_then_sum"
    stage = decoupled() if normalise_then_sum else group_relative(scale=input["scale_rewards"])
    return stage(none()(_table_and_group(input, "rewards_per_func")))[0].values[0].tolist()


@adapter("gdpo", "gdpo")
def _(input: dict[str, Any]) -> list[float]:
    stage = decoupled(missing="zero", variant="code")
    return stage(none()(_table_and_group(input, "rewards")))[0].values[0].tolist()


@adapter("gdpo", "grpo")
def _(input: dict[str, Any]) -> list[float]:
    stage = group_relative(scale="group" if input.get("scale_rewards", True) else "none")
    return stage(none()(_table_and_group(input, "rewards")))[0].values[0].tolist()


def _uid(input: dict[str, Any]) -> np.ndarray:
    return np.unique(input["uid"], return_inverse=True)[1]


@adapter("act_wisely_hdpo", "conditional_advantage")
def _(input: dict[str, Any]) -> list[float]:
    rollouts = _rollouts([[score] for score in input["scores"]], [1.0], _uid(input))
    stage = conditional(part="0", scale="group" if input["norm_by_std"] else "none")
    return stage(none()(rollouts))[1].values[0].tolist()


@adapter("act_wisely_hdpo", "hdpo")
def _(input: dict[str, Any]) -> dict[str, Any]:
    """Here a rollout has several steps, its tokens: the reward is paid at the last one that counts."""
    mask = np.repeat(np.array(input["mask"], bool)[:, None], len(input["acc"]), 1)
    last = int(np.flatnonzero(input["mask"])[-1])
    parts = {}
    for name in ("acc", "tool"):
        values = np.zeros(mask.shape)
        values[last] = input[name]
        parts[name] = Part(1.0, values)
    rollouts = Rollouts(parts["acc"].values + parts["tool"].values, mask, _uid(input), parts)
    main, tool = conditional(part="tool")(none()(rollouts))
    return {"acc": main.values.T.tolist(), "tool": tool.values.T.tolist()}


def _term(name: str, **facts: Any) -> float | None:
    """A term's value for one row; None where it does not apply."""
    layer = RewardLayer(name)
    layer.reset(facts | {"terminated": np.ones(1, bool)})
    value = float(layer.step(facts | {"terminated": np.ones(1, bool)})[1][name.partition("(")[0]][0])
    return None if math.isnan(value) else value


@adapter("trl_grpo_aggregation", "soft_overlong_punishment")
def _(input: dict[str, Any]) -> float | None:
    longest, tolerance = input["max_completion_len"], input["soft_punish_cache"]
    return _term(f"overlong(longest={longest}, tolerance={tolerance})", completion_length=np.array([input["length"]]))


@adapter("trl_grpo_aggregation", "repetition_penalty")
def _(input: dict[str, Any]) -> float | None:
    penalty = _term(f"repetition(size={input['ngram']})", completion_ids=[input["ids"]])
    return None if penalty is None else -input["max_penalty"] * penalty


@adapter("trl_grpo_aggregation", "cosine_scaled")
def _(input: dict[str, Any]) -> float | None:
    correct = math.nan if input["correct"] is None else input["correct"]
    facts = {"answer_correct": np.array([correct]), "completion_length": np.array([input["length"]])}
    return _term(f"cosine_length(longest={input['max_len']})", **facts)


@adapter("trl_grpo_aggregation", "think_format_reward")
def _(input: dict[str, Any]) -> float | None:
    return _term("think_format()", completion=[input["content"]])
