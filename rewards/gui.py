"""Terms that judge a click or a box on a screen.

Boxes are ``[..., 4]`` as (x1, y1, x2, y2), points ``[..., 2]`` as (x, y), in pixels of the screen, y downwards. Every term
pays 0 where the agent's output could not be read (fact ``parsed``), and stays finite on boxes without area.
"""

from __future__ import annotations

from typing import Any, Literal

from rewardscape.rewards.core.arrays import array_namespace
from rewardscape.rewards.core.terms import term

_TINY = 1e-28  # px², in place of a squared side of 0; finite in float32 also after division


def centre(box: Any) -> Any:
    """Centres ``[..., 2]`` of boxes ``[..., 4]``."""
    return 0.5 * (box[..., :2] + box[..., 2:])


def sides(box: Any) -> Any:
    """Widths and heights ``[..., 2]`` of boxes ``[..., 4]``; negative where the corners are swapped."""
    return box[..., 2:] - box[..., :2]


def _corner_sums(box: Any) -> Any:
    """Twice the centres."""
    return box[..., :2] + box[..., 2:]


def _read(value: Any, parsed: Any) -> Any:
    """``value`` where the output could be read, else 0."""
    return value if parsed is None else value * parsed


@term(bounds=(0, 1), source="the binary reward of GUI-R1, UI-R1 and others: the click lies in the element")
def hit(predicted_point, target_box, parsed=None):
    """1 if the predicted point lies in the target box, edges included, else 0. Shape ``[...]``."""
    xp = array_namespace(predicted_point)
    inside = (predicted_point >= target_box[..., :2]) & (predicted_point <= target_box[..., 2:])
    return _read(xp.where(inside[..., 0] & inside[..., 1], 1.0, 0.0), parsed)


@term(bounds=(0, 1))
def distance(predicted_point, target_box, screen_size, parsed=None):
    """Closeness: ``1 - d / D``, d from the predicted point to the target's centre, D the screen's diagonal, not below 0.

    Shape ``[...]``, range [0, 1]. Pays for coming near, without regard to the element's size.
    """
    xp = array_namespace(predicted_point)
    offset = predicted_point - centre(target_box)
    squared, diagonal = offset * offset, screen_size * screen_size
    share = (squared[..., 0] + squared[..., 1]) / xp.maximum(diagonal[..., 0] + diagonal[..., 1], _TINY)
    return _read(1.0 - xp.sqrt(xp.clip(share, 0.0, 1.0)), parsed)


@term(bounds=(0, 1), source="VLM-R1 (om-ai-lab/VLM-R1, qwen_module.py); Mixed-R1 (catalogue row 12)")
def iou(predicted_box, target_box, parsed=None, *, inclusive: bool = False):
    """Intersection over union of the predicted and the target box. Shape ``[...]``, range [0, 1]; 0 for boxes without area.

    ``inclusive``: corners are pixels that belong to the box, so every intersection is one pixel wider and higher, as in
    VLM-R1's code; the areas of the boxes themselves are not widened there, hence the result is capped at 1.
    """
    xp = array_namespace(predicted_box)
    low = xp.maximum(predicted_box[..., :2], target_box[..., :2])
    high = xp.minimum(predicted_box[..., 2:], target_box[..., 2:])
    if inclusive:
        # VLM-R1: inter = (x2 - x1) * (y2 - y1) over corners (max(x1), max(y1)), (min(x2 - 1), min(y2 - 1)), plus one pixel
        overlap = xp.where(low < high - 1, high - low, 0.0)
    else:
        overlap = xp.clip(high - low, 0.0, None)
    shared = overlap[..., 0] * overlap[..., 1]
    sizes, targets = sides(predicted_box), sides(target_box)
    union = sizes[..., 0] * sizes[..., 1] + targets[..., 0] * targets[..., 1] - shared
    safe = xp.where(union > 0, union, 1.0)
    return _read(xp.where((union > 0) & (shared > 0), shared / safe, 0.0), parsed)


@term(bounds=(0, 1), source="GUI-G2, arXiv:2507.15846, eq. 3; ZJU-REAL/GUI-G2 gaussian_grpo.py")
def gaussian_point(predicted_box, target_box, parsed=None, *, alpha: float = 0.5, variant: Literal["paper", "code"] = "paper"):
    """Point reward of GUI-G²: the target's Gaussian, 1 at its centre, at the centre of the predicted box.

    ``exp(-½ [(Δx/σx)² + (Δy/σy)²])`` with σ = ``alpha`` times the target's width and height. Shape ``[...]``, range [0, 1];
    0 for a target without area. ``variant="code"`` rounds to 3 decimals, as the released code does.
    """
    # few array operations: for one environment they are most of a step. Without area the quotient is huge, the value 0
    xp = array_namespace(predicted_box)
    size = sides(target_box)
    twice = _corner_sums(predicted_box - target_box)
    scaled = (twice * twice + 1e-18) / xp.maximum(size * size, _TINY)
    value = xp.exp(-0.125 / alpha**2 * (scaled[..., 0] + scaled[..., 1]))
    return _read(xp.round(value, decimals=3) if variant == "code" else value, parsed)


@term(bounds=(0, 1), source="GUI-G2, arXiv:2507.15846, eqs. 5-6; ZJU-REAL/GUI-G2 gaussian_grpo.py")
def gaussian_coverage(
    predicted_box, target_box, parsed=None, *, alpha: float = 0.5, variant: Literal["paper", "code"] = "paper"
):
    """Coverage reward of GUI-G²: Bhattacharyya coefficient of the Gaussians of the predicted and the target box.

    ``exp(-[⅛ Δμᵀ S⁻¹ Δμ + ½ ln(det S / sqrt(det S_p det S_g))])`` with S = (S_p + S_g)/2 and standard deviations of ``alpha``
    times width and height. Shape ``[...]``, range [0, 1], symmetric; 0 if either box has no area (a bare click).

    ``variant="code"``: 1e-8 is added to S before it is inverted and to ``det S_p det S_g``, and the value is rounded to 3
    decimals, as in the released code, where a predicted box without area can earn a little and one beside a tiny target
    more than 1; where the code's value is infinite (both boxes flat along one axis) this pays 0.
    """
    xp = array_namespace(predicted_box)
    predicted, target = sides(predicted_box), sides(target_box)
    twice = _corner_sums(predicted_box - target_box)
    summed, product = predicted * predicted + target * target, predicted * target  # S = alpha² / 2 * summed
    if variant == "code":
        near = twice * twice / (0.5 * alpha**2 * summed + 1e-8)
        areas, determinant = product[..., 0] * product[..., 1], 0.25 * summed[..., 0] * summed[..., 1]
        flat = determinant == 0
        overlap = xp.sqrt(xp.sqrt(areas * areas + 1e-8 / alpha**8) / (determinant + flat)) * ~flat
        return _read(xp.round(xp.exp(-0.03125 * (near[..., 0] + near[..., 1])) * overlap, decimals=3), parsed)
    summed = xp.maximum(summed, _TINY)
    near, overlap = twice * twice / summed, product / summed
    value = xp.exp(-0.0625 / alpha**2 * (near[..., 0] + near[..., 1])) * xp.sqrt(xp.abs(overlap[..., 0] * overlap[..., 1]))
    return _read(2.0 * value, parsed)


@term(bounds=(0, 1))
def format_reward(format_valid):
    """1 if the agent's output had exactly the form asked for, else 0. Shape ``[...]``."""
    return array_namespace(format_valid).where(format_valid, 1.0, 0.0)


@term(bounds=(0, 1))
def box_area(predicted_box, screen_size, parsed=None):
    """Share of the screen that the predicted box covers. Shape ``[...]``, range [0, 1]. Flawed as a reward, on purpose."""
    xp = array_namespace(predicted_box)
    share = sides(predicted_box) / xp.maximum(screen_size, _TINY)
    return _read(xp.clip(share[..., 0] * share[..., 1], 0.0, 1.0), parsed)
