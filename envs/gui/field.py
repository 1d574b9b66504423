"""What a reward would have paid elsewhere on the screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from rewardscape.rewards import RewardLayer


def reward_field(env: Any, columns: int = 96, rows: int = 72) -> np.ndarray | None:
    """What the reward of a GUI world pays for a click on each place of the canvas, ``[rows, columns]`` scaled to [0, 1].

    A box action is moved as it is, without changing its size. None for worlds without a screen, for ``reward=None``, and for
    rewards that look back in time.
    """
    layer, facts = env.reward_layer, env.facts
    if layer is None or "target_box" not in facts or not hasattr(env.world.state, "zoom"):
        return None
    expression = layer.expression
    if any(name.startswith("previous_") for name in expression.facts() + expression.optional_facts()):
        return None
    s, size = env.world.state, (env.rules.settings.width, env.rules.settings.height)
    xs, ys = (np.arange(columns) + 0.5) * size[0] / columns, (np.arange(rows) + 0.5) * size[1] / rows
    canvas = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    points = ((canvas - s.offset[0]) / s.zoom[0]).astype(np.float32)
    half = 0.5 * (facts["predicted_box"][0, 2:] - facts["predicted_box"][0, :2])
    many = {name: np.repeat(value, len(points), 0) for name, value in facts.items() if isinstance(value, np.ndarray)}
    many |= {"predicted_point": points, "predicted_box": np.concatenate([points - half, points + half], 1)}
    many |= {name: np.ones(len(points), bool) for name in ("parsed", "format_valid", "action_valid")}
    fresh = RewardLayer(expression)
    fresh.reset(many)
    values = fresh.step(many)[0].reshape(rows, columns)
    low, high = min(values.min(), 0.0), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
