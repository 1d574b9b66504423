"""Numbers from the sources, and what must hold of every term."""

import math

import numpy as np
import pytest

from rewardscape.rewards import (
    adaptive_exploration,
    box_area,
    brier_confidence,
    collinear,
    distance,
    edge_agreement,
    gaussian_coverage,
    gaussian_point,
    hit,
    iou,
    near_click,
    proximity_zone,
    squared_closeness,
)
from rewardscape.rewards.text import score

TARGET = np.array([100.0, 100, 200, 140])
PREDICTED = np.array([110.0, 110, 190, 150])


def test_gui_g2_catalogue_row_1():
    point, coverage = gaussian_point.compute(PREDICTED, TARGET), gaussian_coverage.compute(PREDICTED, TARGET)
    assert point == pytest.approx(math.exp(-0.125), abs=1e-12) and point == pytest.approx(0.8825, abs=5e-5)
    assert coverage == pytest.approx(0.9573, abs=5e-5) and point + coverage == pytest.approx(1.8398, abs=5e-5)
    assert gaussian_point.compute(TARGET, TARGET) + gaussian_coverage.compute(TARGET, TARGET) == pytest.approx(2, abs=1e-12)
    assert coverage == pytest.approx(gaussian_coverage.compute(TARGET, PREDICTED), abs=1e-12)
    wide = PREDICTED + np.array([-40.0, 0, 60, 0])
    assert gaussian_point.compute(wide, TARGET) != pytest.approx(gaussian_point.compute(TARGET, wide), abs=1e-3)


def test_coverage_is_the_overlap_of_the_gaussians():
    """The Bhattacharyya coefficient is the integral of sqrt(p q): summed on a grid."""
    x, y = np.meshgrid(np.arange(-200, 500, 1.0), np.arange(-100, 350, 1.0))

    def density(box):
        sx, sy = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
        cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2)) / (2 * np.pi * sx * sy)

    assert np.sqrt(density(PREDICTED) * density(TARGET)).sum() == pytest.approx(
        gaussian_coverage.compute(PREDICTED, TARGET), abs=2e-3
    )


def test_iou_catalogue_row_12():
    assert iou.compute(PREDICTED, TARGET) == pytest.approx(0.5)
    assert iou.compute(TARGET, TARGET) == 1 and iou.compute(TARGET, TARGET + 1000) == 0


@pytest.mark.parametrize("term", [hit, iou, gaussian_point, gaussian_coverage, distance, box_area], ids=lambda t: t.name)
class TestEvery:
    def arguments(self, term, shape=(), seed=0):
        rng = np.random.default_rng(seed)
        corner = rng.uniform(0, 500, (*shape, 2, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0, 200, (*shape, 2, 2))], -1)
        values = {
            "predicted_box": boxes[..., 0, :],
            "target_box": boxes[..., 1, :],
            "predicted_point": corner[..., 0, :],
            "screen_size": np.broadcast_to([800.0, 700.0], (*shape, 2)),
        }
        return [values[name] for name in term.facts_needed]

    def test_bounds_and_leading_axes(self, term):
        arguments = self.arguments(term, (7, 5))
        values = term.compute(*arguments)
        assert values.shape == (7, 5)
        assert (values >= term.bounds[0]).all() and (values <= term.bounds[1] + 1e-12).all()
        for i, j in ((0, 0), (6, 4)):
            assert term.compute(*(a[i, j] for a in arguments)) == pytest.approx(values[i, j], abs=1e-12)
        np.testing.assert_array_equal(term.compute(*(a[::-1] for a in arguments)), values[::-1])

    def test_unreadable_output_is_paid_nothing(self, term):
        arguments = self.arguments(term, (6,))
        assert not term.compute(*arguments, np.zeros(6, bool)).any()

    def test_boxes_without_area_are_finite(self, term):
        arguments = [np.zeros((3, a.shape[-1])) for a in self.arguments(term, (3,))]
        if "screen_size" in term.facts_needed:
            arguments[-1] = np.ones((3, 2))
        for variant in [{"variant": v} for v in term.choices.get("variant", ())] or [{}]:
            assert np.isfinite(term.compute(*arguments, **variant)).all()

    def test_arguments_are_left_alone(self, term):
        arguments = self.arguments(term, (4,))
        before = [a.copy() for a in arguments]
        term.compute(*arguments)
        for a, b in zip(arguments, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_point_reward_falls_with_the_distance():
    steps = np.arange(0, 200, 5.0)
    boxes = TARGET + steps[:, None] * np.array([1.0, 0, 1, 0])
    assert (np.diff(gaussian_point.compute(boxes, np.broadcast_to(TARGET, boxes.shape))) < 0).all()


SCREEN = np.array([1000.0, 500.0])


def test_edge_agreement_is_1_only_for_the_box_itself_and_falls_on_both_sides():
    """R_Box of GUI-G1 by hand: errors of 1 % on each edge give the harmonic mean 0.99."""
    assert edge_agreement.compute(np.array([110.0, 105, 190, 245]), np.array([100.0, 100, 200, 250]), SCREEN) == pytest.approx(
        0.99
    )
    values = [edge_agreement.compute(TARGET + np.array([-g, -g, g, g]), TARGET, SCREEN) for g in (-15.0, -5, 0, 5, 30, 90)]
    assert values[2] == 1 and values[0] < values[1] < 1 > values[3] > values[4] > values[5]
    assert edge_agreement.compute(TARGET - 5000.0, TARGET, SCREEN) == 0


def test_squared_closeness_is_0_in_the_farthest_corner_and_not_clipped_beside_the_screen():
    middle = np.array([150.0, 120.0])
    assert squared_closeness.compute(middle, TARGET, SCREEN) == 1
    assert squared_closeness.compute(np.array([150.0, 500.0]), TARGET, SCREEN) > 0
    low_right = squared_closeness.compute(np.array([650.0, 500.0]), TARGET, SCREEN)
    assert low_right == pytest.approx(1 - (0.5**2 + 0.76**2) / (0.85**2 + 0.76**2))
    assert squared_closeness.compute(np.array([850.0, 500.0]), TARGET, SCREEN) == 0  # farther than 1: the released code's rule
    assert squared_closeness.compute(np.array([5000.0, 5000.0]), TARGET, SCREEN) == 0
    # beside a screen, less than one screen away from the centre but farther than its corners: below 0
    assert squared_closeness.compute(np.array([-220.0, 250.0]), np.array([240.0, 240, 260, 260]), np.array([500.0, 500.0])) < 0


def test_exploration_pays_for_few_points_and_an_early_hit():
    hit_point, miss = [150.0, 120.0] * 2, [10.0, 10.0] * 2
    other, third = [700.0, 30.0] * 2, [400.0, 470.0] * 2

    def pay(*points):
        told = np.zeros((5, 4))
        told[: len(points)] = np.array(points).reshape(-1, 4)
        return float(adaptive_exploration.compute(told, np.array(len(points)), TARGET))

    assert pay(hit_point) == 1 and pay() == -1 and pay(miss) == -1
    assert pay(miss, hit_point) == pytest.approx(0.5) and pay(hit_point, miss) == pytest.approx(1 / math.sqrt(2))
    assert pay(miss, other, third, hit_point) == pytest.approx(0.25) and pay(miss, other, third) == pytest.approx(-1 / 3)


def test_three_points_in_a_row_are_a_sweep():
    row = np.array([[x, 2.0 * x, x, 2.0 * x] for x in (0.0, 10.0, 20.0, 35.0)])
    assert collinear.compute(row, np.array(3)) == 1 and collinear.compute(row, np.array(2)) == 0
    row[2, 0] += 5
    assert collinear.compute(row, np.array(3)) == 0 and collinear.compute(row, np.array(4)) == 1


def test_presets_score_text():
    boxes = ['```json\n[{"bbox_2d": [100, 100, 200, 140]}]\n```', "nothing", '[{"bbox_2d": [100, 100, 200]}]']
    assert score("gui-g1", boxes, TARGET, SCREEN, style="gui-g1")[0] == pytest.approx([1.375, 0, 0], abs=0.02)
    points = '<think>left of it</think>[{"point_2d": [10, 10]}, {"point_2d": [150, 120]}]'
    assert score("infigui-g1", [points, points[7:]], TARGET, SCREEN, style="infigui-g1")[0].tolist() == [1.5, -1]


def test_hyperclick_catalogue_row_137():
    inside, beside = np.array([160.0, 125.0]), np.array([210.0, 125.0])
    assert brier_confidence.compute(inside, TARGET, np.array(0.7)) == pytest.approx(-0.0131, abs=5e-5)
    assert hit.compute(inside, TARGET) + brier_confidence.compute(inside, TARGET, np.array(0.7)) == pytest.approx(
        0.9869, abs=5e-5
    )
    assert brier_confidence.compute(beside, TARGET, np.array(0.9)) == pytest.approx(-0.81)
    stated = np.linspace(0, 1, 1001)
    values = brier_confidence.compute(np.tile(inside, (1001, 1)), np.tile(TARGET, (1001, 1)), stated)
    assert stated[values.argmax()] == pytest.approx(math.exp(-0.205), abs=1e-3)


def test_ssl_catalogue_row_211():
    def pay(x, y, box=TARGET):
        point = np.array([[x, y]])
        return float(hit.compute(point, box[None])[0] + 0.2 * proximity_zone.compute(point, box[None])[0])

    assert pay(150, 120) == 1.2
    zone_3 = 150 + 50 * math.sqrt(-2 * math.log(0.7))  # proximity 0.7, between 2/4 and 3/4
    assert pay(zone_3, 120) == pytest.approx(1.15) == pytest.approx(pay(zone_3 + 1, 120))
    worst_hit = pay(199.9, 139.9)
    best_miss = max(pay(x, y) for x in np.linspace(201, 400, 60) for y in np.linspace(100, 140, 9))
    assert worst_hit >= 1.05 - 1e-9 and best_miss <= 0.2


def test_ui_genie_catalogue_row_266():
    screen, target = np.array([1000.0, 2000.0]), np.array([490.0, 990, 510, 1010])
    assert near_click.compute(np.array([500.0, 1300.0]), target, screen) == 1
    assert near_click.compute(np.array([500.0, 1320.0]), target, screen) == 0
    assert (
        near_click.compute(np.array([500.0, 1313.0495]), target, screen)
        == 1
        > near_click.compute(np.array([500.0, 1313.06]), target, screen)
    )
