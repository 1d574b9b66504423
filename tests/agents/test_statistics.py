import math

import numpy as np
import pytest

from rewardscape.agents.statistics import (
    area_under,
    band,
    brier_score,
    correlation,
    expected_calibration_error,
    hacking,
    iqm,
    iqm_interval,
    median_reached,
    paired_difference,
    probability_of_improvement,
    smoothed,
    steps_to,
    stratified_bootstrap,
)

# scipy.stats.trim_mean(values, 0.25) of SciPy 1.17.1
TRIM_MEANS = [
    ([3.0], 3.0),
    ([1.0, 4.0, 10.0], 5.0),
    ([1.0, 2.0, 4.0, 100.0], 3.0),
    ([0.1, 0.9, 0.5, 0.7, 0.2], 0.4666666666666666),
    ([5.0, -2.0, 8.0, 1.0, 0.5, 3.0, 9.0], 3.5),
    ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 40.0], 3.5),
]


@pytest.mark.parametrize(("values", "expected"), TRIM_MEANS)
def test_the_interquartile_mean_is_scipys_trimmed_mean(values, expected):
    assert iqm(values) == pytest.approx(expected, abs=1e-15)
    assert iqm(np.tile(values, (3, 1)), axis=1) == pytest.approx([expected] * 3, abs=1e-15)
    assert iqm(np.array(values)[::-1]) == iqm(values)


def test_an_outlier_moves_the_mean_and_not_the_iqm():
    values = np.arange(8.0)
    values[-1] = 1e6
    assert iqm(values) == 3.5 and np.mean(values) > 1e5
    assert math.isnan(iqm([]))


def test_runs_are_resampled_within_their_task():
    """Tasks of very different height: mixing them would blow the interval up; within each nothing varies."""
    values = np.tile([0.0, 100.0], (6, 1))
    assert stratified_bootstrap(values, np.mean) == (50.0, 50.0)
    low, high = stratified_bootstrap(values + np.arange(6.0)[:, None], np.mean)
    assert 50 < low < 52.5 < high < 55


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        _, low, high = paired_difference(rng.normal(1, 1, 40), rng.normal(0, 1, 40), resamples=400, seed=trial)
        inside += low <= 1 <= high
    assert 0.89 <= inside / 200 <= 0.99


def test_one_run_has_no_interval_and_nan_stays_nan():
    assert iqm_interval([0.5])[0] == 0.5 and math.isnan(iqm_interval([0.5]).low)
    assert all(math.isnan(v) for v in iqm_interval([0.5, math.nan]))


def test_pairs_take_out_what_seeds_share():
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 10, 8)
    found = paired_difference(shared + 0.5 + 0.01 * rng.normal(size=8), shared)
    assert found.low > 0.4 and found.high < 0.6
    with pytest.raises(ValueError, match="same length"):
        paired_difference([1, 2], [1])


def test_probability_of_improvement():
    assert probability_of_improvement([2, 3], [0, 1]) == 1 and probability_of_improvement([0, 1], [2, 3]) == 0
    assert probability_of_improvement([1, 1], [1, 1]) == 0.5
    assert probability_of_improvement([0, 2], [1]) == 0.5
    assert probability_of_improvement([[2, 0]], [[1, 1]]) == 0.5  # better at one task, worse at the other


def test_steps_to_a_threshold():
    steps = [100, 200, 300, 400]
    assert steps_to(steps, [0.0, 0.2, 0.6, 0.9], 0.4, smooth=1) == pytest.approx(250)
    assert steps_to(steps, [0.0, 0.2, 0.6, 0.9], 0.95, smooth=1) == math.inf
    assert steps_to(steps, [0.5, 0.2, 0.6, 0.9], 0.4, smooth=1) == 100
    assert steps_to(steps, [math.nan, 0.2, 0.6, 0.9], 0.4, smooth=1) == pytest.approx(250)
    # one lucky update does not count: smoothed it stays below
    assert steps_to(steps, [0.0, 0.0, 0.9, 0.0], 0.5, smooth=3) == math.inf
    assert steps_to([], [], 0.5) == math.inf


def test_runs_that_never_arrive_are_not_left_out():
    assert median_reached([100.0, 300.0, math.inf]) == (300.0, 2, 3)
    assert median_reached([100.0, math.inf, math.inf]) == (math.inf, 1, 3)
    assert median_reached([100.0, 200.0, math.inf, math.inf]).median == math.inf
    assert median_reached([100.0, 200.0]).median == 150


def test_smoothing_looks_back_only():
    assert smoothed([0, 3, 6, 9], 3) == pytest.approx([0, 1.5, 3, 6])
    assert smoothed([math.nan, 2, math.nan, 4], 2)[1:] == pytest.approx([2, 2, 4])
    assert math.isnan(smoothed([math.nan, 1.0], 2)[0])


def test_area_is_the_mean_height():
    assert area_under([0, 10, 20], [0, 1, 1]) == pytest.approx(0.75)
    assert area_under([5, 10], [0.3, 0.3]) == pytest.approx(0.3)
    assert math.isnan(area_under([1, 2], [math.nan, math.nan]))


def test_a_band_lies_around_its_curves_on_a_common_grid():
    runs = [(np.arange(0, 11), np.arange(0, 11) + k) for k in range(5)] + [(np.arange(2, 9), np.arange(2, 9) + 2)]
    b = band(runs)
    assert b.steps[0] == 2 and b.steps[-1] == 8
    assert b.centre == pytest.approx(b.steps + 2)
    assert (b.low < b.centre).all() and (b.centre < b.high).all() and (b.high <= b.steps + 4).all()
    alone = band(runs[:1])
    assert np.array_equal(alone.low, alone.high)
    with pytest.raises(ValueError, match="no curve"):
        band([([1], [math.nan])])


def curves(objective, reward, updates=64, noise=0.02, seed=0):
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, updates)
    return reward(t) + noise * rng.normal(size=updates), objective(t) + noise * rng.normal(size=updates)


@pytest.mark.parametrize("seed", range(5))
def test_the_alarm_tells_hacked_rewards_from_sound_ones(seed):
    def kind(objective, reward, **more):
        return hacking(*curves(objective, reward, seed=seed, **more)).kind

    rises = lambda t: 1 - np.exp(-5 * t)  # noqa: E731
    assert kind(lambda t: 2 * t * (t < 0.3) + (0.6 - 0.5 * (t - 0.3)) * (t >= 0.3), lambda t: t) == "falls"
    assert kind(lambda t: 0.1 + 0 * t, lambda t: 3 * t) == "stays"
    assert kind(rises, rises) == ""  # learns what was meant, then both are flat
    assert kind(lambda t: 0.95 + 0 * t, lambda t: t) == ""  # nothing left to gain
    assert kind(lambda t: 0.1 + 0 * t, lambda t: 0 * t) == ""  # learns nothing, but is not paid for it either
    assert kind(lambda t: 0.8 - 0.5 * t, lambda t: -t) == ""  # unlearns, and the reward says so
    assert kind(lambda t: 0.5 * t, lambda t: t, updates=12) == "short"


def test_the_alarm_says_how_much():
    found = hacking(*curves(lambda t: 0.8 - 0.6 * t, lambda t: 2 * t, noise=0))
    assert found.kind == "falls" and found.objective_gain < -0.4 and found.reward_gain > 1.5


def test_calibration():
    # one bin: says 0.9, right half of the time
    assert expected_calibration_error([0.9] * 4, [1, 0, 1, 0]) == pytest.approx(0.4)
    # two bins: |0.5 - 0.25| for two answers, |1 - 0.75| for two
    assert expected_calibration_error([0.25, 0.25, 0.75, 0.75], [0, 1, 1, 1]) == pytest.approx(0.25)
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=20000)
    assert expected_calibration_error(confidence, rng.uniform(size=20000) < confidence) < 0.02
    assert expected_calibration_error([1.0, 0.0], [1, 0]) == 0
    assert brier_score([1.0, 0.5], [0, 1]) == pytest.approx(0.625)
    assert math.isnan(expected_calibration_error([], []))


def test_correlation():
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1) and correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert math.isnan(correlation([1, 1], [0, 1]))
