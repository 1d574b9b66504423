"""Terms that judge a click or a box on a screen.

Boxes are ``[..., 4]`` as (x1, y1, x2, y2), points ``[..., 2]`` as (x, y), in pixels of the screen, y downwards. Every term
pays 0 where the agent's output could not be read (fact ``parsed``), and stays finite on boxes without area.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal

from rewardscape.rewards.core.arrays import array_namespace, indicator
from rewardscape.rewards.core.terms import term

TINY = 1e-28  # px², in place of a squared side of 0; finite in float32 also after division


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
    inside = (predicted_point >= target_box[..., :2]) & (predicted_point <= target_box[..., 2:])
    return _read(indicator(inside[..., 0] & inside[..., 1]), parsed)


@term(bounds=(0, 1))
def distance(predicted_point, target_box, screen_size, parsed=None):
    """Closeness: ``1 - d / D``, d from the predicted point to the target's centre, D the screen's diagonal, not below 0.

    Shape ``[...]``, range [0, 1]. Pays for coming near, without regard to the element's size.
    """
    xp = array_namespace(predicted_point)
    offset = predicted_point - centre(target_box)
    squared, diagonal = offset * offset, screen_size * screen_size
    share = (squared[..., 0] + squared[..., 1]) / xp.maximum(diagonal[..., 0] + diagonal[..., 1], TINY)
    return _read(1.0 - xp.sqrt(xp.clip(share, 0.0, 1.0)), parsed)


@term(bounds=(0, 1), source="VLM-R1 (om-ai-lab/VLM-R1, qwen_module.py); Mixed-R1")
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
    scaled = (twice * twice + 1e-18) / xp.maximum(size * size, TINY)
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
    summed = xp.maximum(summed, TINY)
    near, overlap = twice * twice / summed, product / summed
    value = xp.exp(-0.0625 / alpha**2 * (near[..., 0] + near[..., 1])) * xp.sqrt(xp.abs(overlap[..., 0] * overlap[..., 1]))
    return _read(2.0 * value, parsed)


@term(bounds=(0, 1), source="GUI-G1, arXiv:2505.15810, R_Box; Yuqi-Zhou/GUI-G1 grpo_rec.py")
def edge_agreement(predicted_box, target_box, screen_size, parsed=None):
    """Harmonic mean over the four edges of ``1 - |predicted - target| / side of the screen``: R_Box of GUI-G1.

    Shape ``[...]``, range [0, 1]; 0 if an edge is off by the whole screen. It holds the box to the target's size where hit
    and IoU rewards invite boxes too small or too large.
    """
    xp = array_namespace(predicted_box)
    apart = xp.abs(predicted_box - target_box)
    side = xp.maximum(screen_size, TINY)
    low, high = xp.clip(1.0 - apart[..., :2] / side, 0.0, 1.0), xp.clip(1.0 - apart[..., 2:] / side, 0.0, 1.0)
    missed = (low[..., 0] * low[..., 1] * high[..., 0] * high[..., 1]) <= 0.0
    inverse = 1.0 / xp.where(low > 0, low, 1.0) + 1.0 / xp.where(high > 0, high, 1.0)
    return _read(xp.where(missed, 0.0, 4.0 / (inverse[..., 0] + inverse[..., 1])), parsed)


@term(source="SE-GUI, arXiv:2505.12370; YXB-NKU/SE-GUI qwen_module.py, point_reward")
def squared_closeness(predicted_point, target_box, screen_size, parsed=None):
    """``1 - (d / d_max)²``: d from the point to the target's centre, d_max from there to the farthest corner of the screen.

    Both are measured with the screen scaled to 1 x 1. Shape ``[...]``, at most 1, at least 0 on the screen and below 0 beside
    it; 0 where d is above 1, as in the released code.
    """
    xp = array_namespace(predicted_point)
    size = xp.maximum(screen_size, TINY)
    middle = centre(target_box) / size
    offset = predicted_point / size - middle
    reach = xp.maximum(xp.abs(middle), xp.abs(1.0 - middle))
    squared, farthest = offset * offset, reach * reach
    distance_squared = squared[..., 0] + squared[..., 1]
    value = 1.0 - distance_squared / xp.maximum(farthest[..., 0] + farthest[..., 1], TINY)
    return _read(xp.where(distance_squared > 1.0, 0.0, value), parsed)


def _centrality(predicted_point: Any, target_box: Any, alpha: float, xp: Any) -> Any:
    """Gaussian of the click around the target's centre, deviations ``alpha`` times its sides."""
    scaled = (predicted_point - centre(target_box)) / xp.maximum(alpha * sides(target_box), 1e-9)
    squared = xp.minimum(scaled * scaled, 1e6 + 0.0 * scaled)
    return xp.exp(-0.5 * (squared[..., 0] + squared[..., 1]))


@term(bounds=(-1, 0), source="HyperClick: formula from reviews of the paper; alpha is our choice")
def brier_confidence(predicted_point, target_box, confidence, parsed=None, *, alpha: float = 0.25):
    """``-(c - C)²``: the stated confidence c against C, the click's centrality: 0 outside the target, in it
    ``exp(-½ [(Δx/σx)² + (Δy/σy)²])`` with σ = ``alpha`` times the target's sides. Shape ``[...]``, range [-1, 0].

    For a fixed click c = C is the only best answer. The paper's ``alpha`` could not be read.
    """
    xp = array_namespace(predicted_point)
    inside = hit.compute(predicted_point, target_box)
    apart = confidence - inside * _centrality(predicted_point, target_box, alpha, xp)
    return _read(-apart * apart, parsed)


@term(bounds=(0, 1), source="SSL (arXiv:2601.22491): K and the scale; zone edges and sigma are inferred")
def proximity_zone(predicted_point, target_box, parsed=None, *, zones: int = 4, alpha: float = 0.5):
    """The click's Gaussian proximity to the target's centre, in ``zones`` steps: 0, 1/K, ... 1, rounded up to the next.

    Steps hide differences that are noise. Proximity below ``1e-3`` is 0. Shape ``[...]``, range [0, 1].
    """
    xp = array_namespace(predicted_point)
    near = _centrality(predicted_point, target_box, alpha, xp)
    return _read(xp.where(near < 1e-3, 0.0, xp.ceil(near * zones - 1e-9) / zones), parsed)


@term(bounds=(0, 1), source="UI-Genie, Euphoria16/UI-Genie eval_results_androidcontrol.py")
def near_click(predicted_point, target_box, screen_size, parsed=None, *, tolerance: float = 0.14):
    """1 if the click is within ``sqrt((t W)² + (t H)²)`` of the target's centre, t = ``tolerance``, else 0. Shape ``[...]``."""
    offset = predicted_point - centre(target_box)
    allowed = tolerance * screen_size
    apart, reach = offset * offset, allowed * allowed
    return _read(indicator(apart[..., 0] + apart[..., 1] <= reach[..., 0] + reach[..., 1]), parsed)


def told_mask(proposals: Any, proposal_count: Any, xp: Any) -> Any:
    """Which entries of ``proposals`` are given, bool ``[..., proposal]``."""
    number = xp.ones_like(proposals[..., 0])
    return xp.cumsum(number, -1) <= proposal_count[..., None]


@term(bounds=(-1, 1), source="InfiGUI-G1, arXiv:2508.05731, adaptive exploration; InfiXAI/InfiGUI-G1 reward_fn.py")
def adaptive_exploration(proposals, proposal_count, target_box):
    """``1 / sqrt(N k)`` if the k-th of N proposed points is the first in the target (edges included), else ``-1 / N``.

    A proposed region counts as its centre. -1 where nothing is proposed. Shape ``[...]``, range [-1, 1].
    """
    xp = array_namespace(proposals)
    if proposals.shape[-2] == 0:
        return -xp.ones_like(target_box[..., 0])
    points = centre(proposals)
    inside = (points >= target_box[..., None, :2]) & (points <= target_box[..., None, 2:])
    struck = inside[..., 0] & inside[..., 1] & told_mask(proposals, proposal_count, xp)
    counted = xp.cumsum(xp.where(struck, 1.0, 0.0), -1)
    first = xp.sum(xp.where(counted < 1.0, 1.0, 0.0), axis=-1) + 1.0
    number = xp.maximum(proposal_count + 0.0 * target_box[..., 0], 1.0)  # in the precision of the facts
    return xp.where(counted[..., -1] > 0.0, 1.0 / xp.sqrt(number * first), -1.0 / number)


@term(bounds=(0, 1), source="InfiGUI-G1, arXiv:2508.05731; InfiXAI/InfiGUI-G1 reward_fn.py")
def collinear(proposals, proposal_count, *, tolerance: float = 1e-9):
    """1 if any three of the proposed points lie on a line, else 0: sweeping the screen in a row is no exploration.

    ``tolerance``: the doubled area of the triangle, in square pixels, that counts as none. Shape ``[...]``.
    """
    xp = array_namespace(proposals)
    number = proposals.shape[-2]
    found = xp.zeros_like(proposal_count * 1.0) > 0
    points, told = centre(proposals), told_mask(proposals, proposal_count, xp)
    for a, b, c in itertools.combinations(range(number), 3):
        u, v = points[..., b, :] - points[..., a, :], points[..., c, :] - points[..., a, :]
        area = xp.abs(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])
        found = found | ((area <= tolerance) & told[..., a] & told[..., b] & told[..., c])
    return xp.where(found, 1.0, 0.0)


@term(bounds=(0, 1))
def format_reward(format_valid):
    """1 if the agent's output had exactly the form asked for, else 0. Shape ``[...]``."""
    return indicator(format_valid)


@term(bounds=(0, 1))
def box_area(predicted_box, screen_size, parsed=None):
    """Share of the screen that the predicted box covers. Shape ``[...]``, range [0, 1]. Flawed as a reward, on purpose."""
    xp = array_namespace(predicted_box)
    share = sides(predicted_box) / xp.maximum(screen_size, TINY)
    return _read(xp.clip(share[..., 0] * share[..., 1], 0.0, 1.0), parsed)
