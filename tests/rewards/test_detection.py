"""Detection: numbers from the source, a plain reference in Python, and what spamming boxes pays."""

import numpy as np
import pytest
import torch

from rewardscape.rewards import detection_map, detection_score
from rewardscape.rewards.text import score

GOLD = np.array([[0.0, 0, 100, 100], [200.0, 0, 300, 100]])


def shrunk(share):
    """The gold boxes cut to ``share`` of their width: that is their IoU."""
    boxes = GOLD.copy()
    boxes[:, 2] = boxes[:, 0] + 100 * share
    return boxes


def judged(term, predicted, gold=GOLD, labels=(None, None), **settings):
    counts = np.array(len(predicted)), np.array(len(gold))
    return float(
        term.compute(np.reshape(predicted, (-1, 4)), counts[0], np.reshape(gold, (-1, 4)), counts[1], *labels, **settings)
    )


JUNK = np.array([[500.0, 500, 510, 510], [600.0, 500, 610, 510], [700.0, 500, 710, 510]])


def test_vlm_r1_catalogue_row_83():
    good = shrunk(0.78)  # above 6 of the 10 thresholds: mAP 0.6
    assert judged(detection_map, good) == pytest.approx(0.6)
    assert judged(detection_map, good, length_factor=True) == pytest.approx(0.6)
    spammed = np.concatenate([good, JUNK])
    assert judged(detection_map, spammed) == pytest.approx(0.6)
    assert judged(detection_map, spammed, length_factor=True) == pytest.approx(0.24)
    pair = np.array([shrunk(0.8)[0], shrunk(0.6)[1], JUNK[0]])
    assert judged(detection_score, pair) == pytest.approx(0.74)


@pytest.mark.parametrize("term", [detection_map, detection_map, detection_score])
def test_empty_sets(term):
    assert judged(term, [], []) == 1 and judged(term, GOLD, []) == 0 and judged(term, [], GOLD) == 0
    padded = np.zeros((2, 3, 4)), np.array([0, 0]), np.zeros((2, 3, 4)), np.array([0, 2])
    assert term.compute(*padded).tolist() == [1, 0]


def test_one_of_two_found_is_the_number_that_coco_prints():
    assert judged(detection_map, GOLD[:1]) == pytest.approx(51 / 101)
    assert judged(detection_map, np.concatenate([JUNK[:1], GOLD])) == pytest.approx(2 / 3)  # precision at best 2/3 everywhere


def recall(predicted, gold):
    from rewardscape.rewards import iou

    return float(np.mean([max(iou.compute(p, g) for p in predicted) >= 0.5 for g in gold]))


def test_spamming_boxes_finds_more_and_pays_less():
    """Boxes on a grid hit what one did not know of: recall and mAP rise with them, the odLength reward falls."""
    rng = np.random.default_rng(0)
    corners = rng.choice(100, 6, replace=False)
    gold = np.array([[100.0 * (c % 10), 100.0 * (c // 10), 100.0 * (c % 10) + 100, 100.0 * (c // 10) + 100] for c in corners])
    grid = np.array([[100.0 * x, 100.0 * y, 100.0 * x + 100, 100.0 * y + 100] for x in range(10) for y in range(10)])
    honest, spam = gold[:3], np.concatenate([gold[:3], grid])
    assert recall(honest, gold) == 0.5 and recall(spam, gold) == 1
    assert judged(detection_map, spam, gold) > judged(detection_map, honest, gold)
    assert judged(detection_map, spam, gold, length_factor=True) < 0.1 * judged(detection_map, honest, gold, length_factor=True)
    assert judged(detection_score, spam, gold) < 1


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def plain_map(predicted, gold, predicted_labels, gold_labels):
    """The definition, one box and one threshold at a time."""
    averages = []
    for level in np.linspace(0.5, 0.95, 10):
        for label in sorted(set(gold_labels)):
            wanted = [g for g, name in zip(gold, gold_labels, strict=True) if name == label]
            free, right, curve = set(range(len(wanted))), 0, []
            offered = [p for p, name in zip(predicted, predicted_labels, strict=True) if name == label]
            for number, box in enumerate(offered, 1):
                best = max(free, key=lambda g: (overlap(box, wanted[g]), g), default=None)
                if best is not None and overlap(box, wanted[best]) >= level:
                    free.remove(best)
                    right += 1
                curve.append((right, right / number))
            precisions = [max((p for r, p in curve if 100 * r >= step * len(wanted)), default=0.0) for step in range(101)]
            averages.append(np.mean(precisions))
    return np.mean(averages)


def plain_score(predicted, gold, predicted_labels, gold_labels):
    pairs = sorted(
        ((-overlap(p, g), i, j) for i, p in enumerate(predicted) for j, g in enumerate(gold) if overlap(p, g) >= 0.5)
    )
    rows, columns, total = set(), set(), 0.0
    for value, i, j in pairs:
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            total -= value if predicted_labels[i] == gold_labels[j] else 0
    missed, made_up = 1 - len(columns) / len(gold), 1 - len(rows) / len(predicted)
    return 0.7 * total / len(gold) + 0.3 * (1 - (missed + made_up) / 2)


def drawn(seed, labels):
    rng = np.random.default_rng(seed)
    gold = rng.uniform(0, 60, (rng.integers(1, 9), 2)).round()
    gold = np.concatenate([gold, gold + rng.uniform(20, 60, gold.shape).round()], -1)
    near = gold[rng.integers(0, len(gold), rng.integers(1, 12))]
    predicted = near + rng.integers(-6, 7, near.shape)
    return predicted, gold, rng.integers(0, labels, len(predicted)), rng.integers(0, labels, len(gold))


@pytest.mark.parametrize("labels", [1, 3])
def test_against_the_definition(labels):
    seen = set()
    for seed in range(60):
        predicted, gold, mine, theirs = drawn(seed, labels)
        found = judged(detection_map, predicted, gold, (mine, theirs))
        assert found == pytest.approx(plain_map(predicted, gold, mine, theirs), abs=1e-9)
        assert judged(detection_score, predicted, gold, (mine, theirs)) == pytest.approx(
            plain_score(predicted, gold, mine, theirs)
        )
        if labels == 1:
            assert judged(detection_map, predicted, gold) == pytest.approx(found, abs=1e-12)
        seen.add(round(found, 6))
    assert len(seen) > 30


def test_batches_pad_and_torch_agrees():
    batch = [drawn(seed, 2) for seed in range(40)]
    boxes = [np.full((40, 12, 4), 77.0), np.full((40, 12, 4), 77.0)]
    labels = [np.ones((40, 12), int), np.ones((40, 12), int)]
    counts = [np.array([len(row[side]) for row in batch]) for side in (0, 1)]
    for n, row in enumerate(batch):
        for side in (0, 1):
            boxes[side][n, : len(row[side])], labels[side][n, : len(row[side])] = row[side], row[side + 2]
    facts = boxes[0], counts[0], boxes[1], counts[1], *labels
    for term, settings in ((detection_map, {}), (detection_map, {"length_factor": True}), (detection_score, {})):
        values = term.compute(*facts, **settings)
        alone = [judged(term, p, g, (m, t), **settings) for p, g, m, t in batch]
        np.testing.assert_allclose(values, alone, atol=1e-12)
        assert values.max() > 0.3 and (values >= 0).all() and (values <= 1).all()
        tensors = term.compute(*map(torch.from_numpy, facts), **settings)
        assert tensors.dtype == torch.float64
        np.testing.assert_allclose(tensors.numpy(), values, atol=1e-12)
        single = term.compute(*(torch.from_numpy(f.astype(np.float32) if f.dtype == float else f) for f in facts), **settings)
        np.testing.assert_allclose(single.numpy(), values, atol=1e-5)


def test_the_preset_scores_lists_of_boxes():
    listed = '<think>t</think><answer>```json\n[{"bbox_2d": [0, 0, 100, 100], "label": "a"}, {"bbox_2d": [900, 0, 910, 9], "label": "a"}]\n```</answer>'
    rewards, terms = score("vlm-r1-detection", [listed, "no"], None, style="vlm-r1", element_boxes=GOLD[:1], element_count=1)
    assert terms["detection_map"].tolist() == pytest.approx([0.5, 0]) and rewards.tolist() == pytest.approx([1.5, 0])
