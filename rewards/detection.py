"""Terms that judge a set of boxes against the boxes that are there: object detection, several elements at once.

The agent's boxes are the fact ``proposals``, the gold ones ``element_boxes``; labels, where there are any, are numbers, and
without them all boxes are of one kind. Both empty is a perfect answer, one of them empty a worthless one.
"""

from __future__ import annotations

from typing import Any

from rewardscape.rewards.core.arrays import array_namespace, indicator
from rewardscape.rewards.core.terms import term
from rewardscape.rewards.gui import iou, told_mask

COCO_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@term(bounds=(0, 1), source="VLM-R1, arXiv:2504.07615, od_reward and odLength_reward; om-ai-lab/VLM-R1 grpo_jsonl.py; COCO")
def detection_map(
    proposals,
    proposal_count,
    element_boxes,
    element_count,
    proposal_labels=None,
    element_labels=None,
    *,
    length_factor: bool = False,
):
    """COCO's mAP of the predicted boxes, all equally confident and taken in their order. Shape ``[...]``, range [0, 1].

    The mean over the gold labels and the IoU thresholds 0.5, 0.55 ... 0.95 of the average precision at the recalls 0, 0.01 ...
    1. A box matches the free gold box of its label with the greatest IoU. ``length_factor``: times ``min(1, gold / predicted)``,
    number of boxes (odLength). Without it, further boxes cost nothing once they come last, and agents learn to spam them.
    """
    xp = array_namespace(proposals)
    predicted, gold = _numbers(proposals, proposal_count, element_boxes, element_count, xp)
    if 0 in (proposals.shape[-2], element_boxes.shape[-2]):
        return _one_sided(0.0 * predicted, predicted, gold, xp)
    overlap, told, there = _overlaps(proposals, proposal_count, element_boxes, element_count, False, xp)
    if proposal_labels is None or element_labels is None:
        same = told[..., None, :]  # [..., label, proposal]: boxes of a label; here there is one
        share, weight = gold[..., None], xp.ones_like(gold[..., None])
    else:
        overlap = xp.where(proposal_labels[..., :, None] == element_labels[..., None, :], overlap, 0.0)
        same = (element_labels[..., :, None] == proposal_labels[..., None, :]) & told[..., None, :]
        twins = (element_labels[..., :, None] == element_labels[..., None, :]) & there[..., None, :]
        share = xp.sum(indicator(twins, overlap), axis=-1)  # gold boxes of the label of each gold box
        weight = indicator(there, overlap) / xp.clip(share, 1.0, None)
    matched = _coco_matches(overlap, xp)  # [..., proposal, threshold]
    hits = xp.cumsum(indicator(same, overlap)[..., None] * matched[..., None, :, :], -2)  # [..., label, proposal, threshold]
    seen = xp.cumsum(indicator(same, overlap), -1)[..., None]
    precision = hits / xp.where(seen > 0, seen, 1.0)
    # how many of the recalls 0, 0.01 ... 1 are reached; 1e-4: recalls are fractions, and 0.28 is to reach 0.28
    reached = xp.where(seen > 0, xp.floor(100.0 * hits / xp.clip(share, 1.0, None)[..., None, None] + 1e-4) + 1.0, 0.0)
    best, area = 0.0 * precision[..., 0, :], 0.0 * precision[..., 0, :]
    for k in range(proposals.shape[-2] - 1, -1, -1):  # precision at a recall is the best at this or any greater one
        best = xp.maximum(best, precision[..., k, :])
        area = area + best * (reached[..., k, :] - reached[..., k - 1, :] if k else reached[..., k, :])
    per_label = xp.mean(area, axis=-1) / 101.0
    total = xp.sum(weight, axis=-1)
    value = xp.sum(per_label * weight, axis=-1) / xp.where(total > 0, total, 1.0)
    if length_factor:
        value = value * xp.clip(gold / xp.where(predicted > 0, predicted, 1.0), 0.0, 1.0)
    return _one_sided(value, predicted, gold, xp)


def _coco_matches(overlap: Any, xp: Any) -> Any:
    """1 where a proposal finds a free gold box at a threshold, ``[..., proposal, threshold]``, of IoUs ``[..., proposal, gold]``."""
    enough = xp.stack([xp.where(overlap >= level - 1e-9, overlap, 0.0) for level in COCO_THRESHOLDS], axis=-2)
    free = xp.ones_like(enough[..., 0, :, :])
    matched = []
    for k in range(overlap.shape[-2]):
        wanted = enough[..., k, :, :] * free
        best = xp.max(wanted, axis=-1, keepdims=True)
        found = (wanted == best) & (best > 0)
        place = xp.cumsum(indicator(found, overlap), -1)
        last = found & (place == place[..., -1:])  # of equal ones COCO takes the last
        free = xp.where(last, 0.0, free)
        matched.append(indicator(best[..., 0] > 0, overlap))
    return xp.stack(matched, axis=-2)


@term(bounds=(0, 1), source="VLM-R1, om-ai-lab/VLM-R1 grpo_jsonl.py, detection_score")
def detection_score(
    proposals,
    proposal_count,
    element_boxes,
    element_count,
    proposal_labels=None,
    element_labels=None,
    *,
    threshold: float = 0.5,
    position: float = 0.7,
    label: float = 0.0,
    completeness: float = 0.3,
):
    """Weighted score of a detection: where boxes are, what they are, and that none is missed or made up. Shape ``[...]``.

    Predicted and gold boxes are paired greedily, greatest IoU first, down to ``threshold``. ``position`` weighs the sum of
    their IoUs (0 for a wrong label), ``label`` the number with the right label, both divided by the number of gold boxes;
    ``completeness`` weighs ``1 - (share of gold boxes missed + share of predicted boxes without partner) / 2``. Divided by the
    sum of the weights; range [0, 1].
    """
    xp = array_namespace(proposals)
    predicted, gold = _numbers(proposals, proposal_count, element_boxes, element_count, xp)
    if 0 in (proposals.shape[-2], element_boxes.shape[-2]):
        return _one_sided(0.0 * predicted, predicted, gold, xp)
    overlap, _, _ = _overlaps(proposals, proposal_count, element_boxes, element_count, True, xp)
    right = xp.ones_like(overlap)
    if proposal_labels is not None and element_labels is not None:
        right = indicator(proposal_labels[..., :, None] == element_labels[..., None, :], overlap)
    shape, rows = overlap.shape, xp.cumsum(xp.ones_like(overlap), -2)
    columns = xp.cumsum(xp.ones_like(overlap), -1)
    rows, columns, right, left = (xp.reshape(part, (*shape[:-2], -1)) for part in (rows, columns, right, overlap))
    paired, correct, overlaps = 0.0 * predicted, 0.0 * predicted, 0.0 * predicted
    for _ in range(min(shape[-2:])):
        best = xp.max(left, axis=-1, keepdims=True)
        greatest = (left == best) & (best >= threshold) & (best > 0)
        chosen = indicator(greatest & (xp.cumsum(indicator(greatest, overlap), -1) == 1.0), overlap)
        fitting = xp.sum(chosen * right, axis=-1)
        paired, correct = paired + xp.sum(chosen, axis=-1), correct + fitting
        overlaps = overlaps + fitting * best[..., 0]
        row, column = (xp.sum(chosen * part, axis=-1, keepdims=True) for part in (rows, columns))
        left = xp.where((rows == row) | (columns == column), 0.0, left)
    wanted, made = xp.clip(gold, 1.0, None), xp.clip(predicted, 1.0, None)
    complete = 1.0 - ((gold - paired) / wanted + (predicted - paired) / made) / 2.0
    value = (position * overlaps + label * correct) / wanted + completeness * complete
    return _one_sided(value / (position + label + completeness), predicted, gold, xp)


def _numbers(proposals: Any, proposal_count: Any, element_boxes: Any, element_count: Any, xp: Any) -> tuple[Any, Any]:
    """How many boxes are predicted and how many there are: no more than there is room for, as floats of the facts' precision."""
    precise = 0.0 * xp.sum(proposals, axis=(-2, -1))
    return (
        xp.clip(proposal_count + precise, 0.0, float(proposals.shape[-2])),
        xp.clip(element_count + precise, 0.0, float(element_boxes.shape[-2])),
    )


def _overlaps(
    proposals: Any, proposal_count: Any, element_boxes: Any, element_count: Any, inclusive: bool, xp: Any
) -> tuple[Any, Any, Any]:
    """IoUs ``[..., proposal, element]``, 0 for what is not given, and which proposals and which elements are given."""
    told, there = told_mask(proposals, proposal_count, xp), told_mask(element_boxes, element_count, xp)
    shared = iou.compute(proposals[..., :, None, :], element_boxes[..., None, :, :], inclusive=inclusive)
    return xp.where(told[..., :, None] & there[..., None, :], shared, 0.0), told, there


def _one_sided(value: Any, predicted: Any, gold: Any, xp: Any) -> Any:
    """``value`` where both sets have boxes; 1 where neither has, 0 where one is empty."""
    return xp.where((predicted > 0) & (gold > 0), value, xp.where(predicted + gold > 0, 0.0, 1.0))
